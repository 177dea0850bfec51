"""A utility's own customers: the example means what its tables say; bad tables are refused with all their faults."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from admmflex import results, run
from admmflex.assets import Asset, Boiler, Deferrable, ElectricVehicle, HeatPump, SheddableLoad, cop
from admmflex.cli import app
from admmflex.errors import InputError
from admmflex.scenario import Study, build, load

CUSTOMERS = Path(__file__).parents[2] / "data" / "customers"


@pytest.fixture(scope="module")
def study() -> Study:
    return build(load(CUSTOMERS / "day.yaml"))


def device(study: Study, owner: str, kind: str) -> Asset:
    (found,) = (a for p in study.prosumers if p.name == owner for a in p.assets if a.kind == kind)
    return found


def copied(folder: Path, **changes: tuple[str, str]) -> Path:
    """The example with a text replaced in some of its files."""
    for path in CUSTOMERS.iterdir():
        shutil.copy(path, folder)
    for name, (old, new) in changes.items():
        (path,) = folder.glob(f"{name}.[cy]*")
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
    return folder / "day.yaml"


def faults_of(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        build(load(path))
    return [str(fault) for fault in caught.value.faults]


def test_sessions_are_the_rows_in_local_time(study: Study) -> None:
    """Every stay by its own row; those across midnight are charged in proportion to time."""
    table = pd.read_csv(CUSTOMERS / "sessions.csv", parse_dates=["arrive", "depart"])
    start, end = datetime(2016, 1, 20), datetime(2016, 1, 21)
    for owner, rows in table.groupby("prosumer"):
        car = device(study, str(owner), "ev")
        assert isinstance(car, ElectricVehicle)
        assert len(car.sessions) == len(rows)
        for one, row in zip(car.sessions, rows.itertuples(), strict=True):
            rate = (row.due_kwh - row.arrival_kwh) / (row.depart - row.arrive).total_seconds()
            first, last = max(row.arrive, start), min(row.depart, end)
            assert one.arrive_h == pytest.approx((first - start).total_seconds() / 3600.0)
            assert one.depart_h == pytest.approx((last - start).total_seconds() / 3600.0)
            assert one.arrival_kwh == pytest.approx(row.arrival_kwh + rate * (first - row.arrive).total_seconds())
            assert one.due_kwh == pytest.approx(row.due_kwh - rate * (row.depart - last).total_seconds())


def test_every_device_is_there_with_its_numbers(study: Study) -> None:
    profiles = pd.read_csv(CUSTOMERS / "profiles.csv")
    pump, boiler = device(study, "baker street 2", "heat_pump"), device(study, "baker street 3", "boiler")
    assert isinstance(pump, HeatPump)
    assert isinstance(boiler, Boiler)
    assert_allclose(pump.outdoor_c, profiles["outdoor"])
    assert_allclose(pump.cop, cop(profiles["outdoor"].to_numpy()))
    assert_allclose(boiler.draw_kw, profiles["water"])
    oven, machine = device(study, "bakery", "sheddable"), device(study, "baker street 4", "deferrable")
    assert isinstance(oven, SheddableLoad)
    assert isinstance(machine, Deferrable)
    assert (oven.share, oven.lost_load_price) == (0.5, 3.0)
    assert sum(task.energy_kwh for task in machine.tasks) == pytest.approx(1.2 + 0.9 * 4.0 / 10.0)


def test_parquet_says_the_same_as_csv(study: Study, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = copied(tmp_path)
    text = path.read_text()
    for name in ("prosumers", "sessions", "tasks", "profiles"):
        pd.read_csv(tmp_path / f"{name}.csv").to_parquet(tmp_path / f"{name}.parquet")
    path.write_text(text.replace(".csv", ".parquet"))
    for mine, theirs in zip(build(load(path)).prosumers, study.prosumers, strict=True):
        assert repr(mine.assets) == repr(theirs.assets)


def test_a_run_holds_every_promise_and_its_file_is_enough_to_check(tmp_path: Path) -> None:
    found = run(load(CUSTOMERS / "day.yaml"), out=tmp_path).require()
    data = results.read(tmp_path).dataset
    assert found.status == "optimal"
    kinds, dt = list(data["asset_kind"].to_numpy()), data["dt_h"].to_numpy()
    power, energy = data["asset_p_kw"].to_numpy(), data["energy_kwh"].to_numpy()
    edges = np.concatenate([[0.0], np.cumsum(dt)])
    for row in (k for k, kind in enumerate(kinds) if kind == "ev"):
        for n in range(data.sizes["window"]):
            due, depart = float(data["sessions_due_kwh"][row, n]), float(data["sessions_depart_h"][row, n])
            if np.isfinite(due):
                assert energy[row, np.searchsorted(edges, depart - 1e-7) - 1] >= due - 1e-6
    row = kinds.index("heat_pump")
    room, C, loss = 21.0, float(data["capacity_kwh_per_k"][row]), float(data["loss_kw_per_k"][row])
    for t in range(len(dt)):
        stay = np.exp(-dt[t] * loss / C)
        heat = float(data["gains_kw"][row, t]) - power[row, t] * float(data["cop"][row, t])
        room = stay * room + (1 - stay) * (float(data["outdoor_c"][row, t]) + heat / loss)
        assert 20.0 - 1e-6 <= room <= 23.0 + 1e-6
        assert 20.0 + energy[row, t] / C == pytest.approx(room, abs=1e-6)
    assert room >= 21.0 - 1e-6
    row = kinds.index("boiler")
    water = data["t_min_c"].to_numpy()[row, 0] + energy[row] / (200.0 * 4.186 / 3600.0)
    assert 50.0 - 1e-6 <= water.min() <= water.max() <= 75.0 + 1e-6
    row = kinds.index("deferrable")
    energies = [float(dt[data_slice] @ -power[row, data_slice]) for data_slice in (slice(36, 68), slice(80, 96))]
    assert energies == pytest.approx([1.2, 0.36], abs=1e-6)
    assert data["cop"].attrs["units"] == "1"
    assert data["t_max_c"].attrs["units"] == "degC"


def test_bad_tables_are_refused_with_all_their_faults(tmp_path: Path) -> None:
    path = copied(tmp_path)
    table = pd.read_csv(tmp_path / "prosumers.csv", dtype=str)
    table.loc[1, "battery.e_max_kwh"] = "10000"  # Wh
    table.loc[0, "pv.kwp"] = "3000"  # W
    table.loc[2, "ev.charger_kw"] = "0.0074"  # MW
    table.loc[1, "heat_pump.t_start_c"] = "294"  # K
    table.to_csv(tmp_path / "prosumers.csv", index=False)
    (tmp_path / "sessions.csv").write_text(
        "prosumer,arrive,depart,arrival_kwh,due_kwh\n"
        "baker street 1,2016-01-20 12:05,2016-01-20 13:30,5,40\n"
        "baker street 1,2016-01-20 13:00,2016-01-20 15:30,39,40\n"
        "baker street 1,2016-01-20 18:00,2016-01-20 17:00,39,40\n"
        "baker street 1,20.01.2016 18:00,2016-01-20 17:00,39,40\n"
        "baker street 2,2016-01-20 12:05,2016-01-20 13:30,5,40\n"
        "baker stret 3,2016-01-20 12:05,2016-01-20 13:30,5,40\n"
    )
    expected = [
        "ev 'baker street 1 car' session 3: depart = '2016-01-20 17:00' is not after arrive",
        "ev 'baker street 1 car' session 4: arrive = '20.01.2016 18:00'",
        "ev 'baker street 1 car': session 2 begins at 2016-01-20 13:00, session 1 ends at 2016-01-20 13:30",
        "table 'sessions.csv' row 5: prosumer 'baker street 2' has no ev",
        "table 'sessions.csv' row 6: prosumer = 'baker stret 3'; allowed: a name of the prosumer table",
        "battery 'baker street 2 battery': e_max_kwh = 10000; allowed: at most 6000 kWh",
        "battery 'baker street 2 battery': e_max_kwh = 10000 with p_charge_kw = 5",
        "pv 'baker street 1 PV': rating_kw = 3000; allowed: at most 250 kW",
        "pv 'baker street 1 PV': avail_kw = ",
        "ev 'baker street 3 car': charger_kw = 0.0074; allowed: 0, or at least 0.02 kW; give kW: is it MW?",
        "heat_pump 'baker street 2 heat pump': t_start_c = 294; allowed: -60 to 110 degC",
        "heat_pump 'baker street 2 heat pump': t_start_c = 294; allowed: [20, 23]",
    ]
    lines = faults_of(path)
    for start in expected:
        assert any(line.startswith(start) for line in lines), (start, lines)
    assert len(lines) == len(expected), "\n".join(lines)


@pytest.mark.parametrize(
    ("file", "old", "new", "found"),
    [
        ("prosumers", "boiler.volume_l", "boiler.volume", "unknown key 'volume'; *did you mean 'volume_l'?"),
        ("prosumers", "ev.capacity_kwh", "evv.capacity_kwh", "unknown key 'evv'; *did you mean 'ev'?"),
        ("prosumers", "2.6,8,0.18", "2.6,8,", "key 'loss_kw_per_k' is missing"),
        ("prosumers", "baker street 2,2", "baker street 1,2", "2 prosumers have this name"),
        ("prosumers", "water,60", "watr,60", "draw_kw = 'watr' is not in table 'profiles.csv'; *did you mean 'water'?"),
        ("prosumers", "2,200,water,60", "0.01,200,water,60", "p_max_kw = 0.01; *give kW: is it MW?"),
        (
            "prosumers",
            "2,200,water,60",
            "0.2,200,water,60",
            "below its band at 2016-01-21 00:00, from 2016-01-20 23:45*kWh of heat",
        ),
        ("sessions", "18,30", "10,52", "session 1: due_kwh = 52; allowed: [0, 40]"),
        ("sessions", "2016-01-20 13:30,39,40", "2016-01-20 13:30,9,50", "session 2 ends *kWh short of due_kwh = 50"),
        ("sessions", "arrival_kwh", "arrival", "key 'arrival_kwh' is missing"),
        ("tasks", "2016-01-20 17:00,1.2", "2016-01-20 17:00,99", "task 1 is 83 kWh short of energy_kwh = 99"),
        ("profiles", "2016-01-20T12:15", "2016-01-20T12:00", "1 times appear twice"),
        ("day", "sessions: sessions.csv", "sessions: stays.csv", "stays.csv is missing"),
        ("day", "outdoor_c: outdoor", "outdoor_c: outdor", "outdoor_c = 'outdor' is not in*did you mean 'outdoor'?"),
        ("day", "outdoor_c: outdoor", "latitude: 51", "give latitude and longitude together"),
    ],
)
def test_one_fault_is_named(tmp_path: Path, file: str, old: str, new: str, found: str) -> None:
    lines = faults_of(copied(tmp_path, **{file: (old, new)}))
    parts = found.split("*")
    assert any(all(part in line for part in parts) for line in lines), "\n".join(lines)


def without_heat_pump(path: Path) -> Path:
    """The example without the one device that asks for the weather."""
    table = pd.read_csv(path.parent / "prosumers.csv", dtype=str)
    table = table.drop(columns=[name for name in table if name.startswith("heat_pump.")])
    table.to_csv(path.parent / "prosumers.csv", index=False)
    return path


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("outdor", "weather: outdoor_c = 'outdor' is not in table 'profiles.csv'; allowed: one of its"),
        (".nan", "weather: outdoor_c has 96 of 96 values not finite"),
        ("[1, 2]", "weather: outdoor_c has shape (2,); allowed: one value for each of the 96 steps"),
    ],
)
def test_a_wrong_temperature_is_named_once_whether_or_not_a_device_asks(
    tmp_path: Path, given: str, found: str, asked: bool
) -> None:
    path = copied(tmp_path, day=("outdoor_c: outdoor", f"outdoor_c: {given}"))
    (line,) = faults_of(path if asked else without_heat_pump(path))
    assert line.startswith(found)


def test_a_table_without_prosumers_is_one_fault(tmp_path: Path) -> None:
    path = copied(tmp_path)
    header = (tmp_path / "prosumers.csv").read_text().splitlines()[0]
    (tmp_path / "prosumers.csv").write_text(header + "\n")
    assert faults_of(path) == ["table 'prosumers.csv': has no rows; allowed: one row per prosumer; complete the table"]


def test_missing_steps_are_named(tmp_path: Path) -> None:
    path = copied(tmp_path)
    rows = (tmp_path / "profiles.csv").read_text().splitlines()
    (tmp_path / "profiles.csv").write_text("\n".join(rows[:50] + rows[53:]) + "\n")
    assert any("no row for 3 of 96 steps, the first 2016-01-20 12:15" in line for line in faults_of(path))


def test_relax_serves_what_it_can_and_lists_the_rest(tmp_path: Path) -> None:
    path = copied(tmp_path, sessions=("2016-01-20 13:30,39,40", "2016-01-20 13:30,9,50"))
    table = pd.read_csv(tmp_path / "prosumers.csv", dtype=str)
    table.loc[0, "ev.relax"], table.loc[0, "ev.shortfall_price"] = "true", "0.8"
    table.to_csv(tmp_path / "prosumers.csv", index=False)
    relaxed = build(load(path))
    assert any("session 2 is " in note and "12:05" not in note for note in relaxed.notes)
    found = run(relaxed).require()
    (one,) = found.summary["shortfalls"]
    assert one["prosumer"] == "baker street 1"
    spare = 45.0 + 11.0 * 0.92 * 7.25  # the night may fill the car up to its capacity and bring the rest along
    most = min(58.0, spare) - 45.0 + 9.0 + 11.0 * 0.92 * (85.0 / 60.0)
    assert one["kwh"] == pytest.approx(50.0 - most, rel=1e-6)
    assert found.summary["shortfall_eur"] == pytest.approx(0.8 * one["kwh"])


def with_limits(path: Path, **limits: dict[int, str]) -> Path:
    """The example with limits of the connections, by row of the table."""
    table = pd.read_csv(path.parent / "prosumers.csv", dtype=str)
    for name, values in limits.items():
        table[name] = pd.Series(values)
    table.to_csv(path.parent / "prosumers.csv", index=False)
    return path


def test_limits_of_the_connections_are_kept_and_stand_in_the_file(tmp_path: Path) -> None:
    path = with_limits(copied(tmp_path), import_limit_kw={0: "9", 2: "6.5"}, export_limit_kw={0: "2.5"})
    study, inf = build(load(path)), np.inf
    limits = [(one.import_limit_kw, one.export_limit_kw) for one in study.prosumers]
    assert limits == [(9.0, 2.5), (inf, inf), (6.5, inf), (inf, inf), (inf, inf)]
    found = run(study).require()
    p = found.dataset["p_kw"].to_numpy()
    assert p[0].max() == pytest.approx(2.5, abs=1e-6)
    assert p[0].min() >= -9.0 - 1e-6
    assert p[2].min() >= -6.5 - 1e-6
    for name, values in (("import_limit_kw", [9.0, inf, 6.5, inf, inf]), ("export_limit_kw", [2.5, *[inf] * 4])):
        assert_allclose(found.dataset[name], values)
        assert found.dataset[name].attrs["units"] == "kW"
    assert found.summary["ways"] == {"chain": 1, "interior point": 4}


def test_connections_out_of_range_or_too_weak_are_faults(tmp_path: Path) -> None:
    path = with_limits(copied(tmp_path), import_limit_kw={0: "0.4", 1: "-4"}, export_limit_kw={4: "0"})
    lines = faults_of(path)
    assert any(line.startswith("prosumer 'baker street 2': import_limit_kw = -4; allowed: [0, inf)") for line in lines)
    (weak,) = (line for line in lines if "baker street 1" in line)
    assert "kW needed at 2016-01-20 " in weak
    assert "kW too much" in weak
    assert "allowed: import_limit_kw = 0.4" in weak
    assert len(lines) == 2, "\n".join(lines)  # an empty cell is no limit, and plants may be curtailed


def test_a_list_may_hold_every_device(tmp_path: Path) -> None:
    path = copied(tmp_path)
    data = yaml.safe_load(path.read_text())
    stay = {"arrive": "2016-01-20 02:00", "depart": "2016-01-20T07:00+01:00", "arrival_kwh": 10, "due_kwh": 30}
    task = {"earliest": "2016-01-20 10:00", "deadline": "2016-01-20 12:00", "energy_kwh": 1}
    data["prosumers"]["list"] = [
        {
            "name": "corner house",
            "bus": 2,
            "ev": {
                "capacity_kwh": 50,
                "charger_kw": 7.4,
                "sessions": [stay],
            },
            "heat_pump": {"p_max_kw": 3, "capacity_kwh_per_k": 6, "loss_kw_per_k": 0.15, "t_start_c": 21, "cop": 3.2},
            "deferrable": {"p_max_kw": 1, "tasks": [task]},
        }
    ]
    path.write_text(yaml.safe_dump(data))
    study = build(load(path))
    car = device(study, "corner house", "ev")
    assert isinstance(car, ElectricVehicle)
    assert (car.sessions[0].arrive_h, car.sessions[0].depart_h) == (2.0, 7.0)
    pump = device(study, "corner house", "heat_pump")
    assert isinstance(pump, HeatPump)
    assert_allclose(pump.cop, 3.2)


def test_validate_lists_the_faults_and_exits_with_2(tmp_path: Path) -> None:
    path = copied(
        tmp_path, sessions=("2016-01-20 13:30,39,40", "2016-01-20 13:30,9,50"), prosumers=(",8,sun", ",8000,sun")
    )
    done = CliRunner().invoke(app, ["validate", str(path)])
    assert done.exit_code == 2
    shown = " ".join(done.output.split())
    assert "short of due_kwh = 50" in shown
    assert "is it W?" in shown
