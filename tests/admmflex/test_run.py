"""Runs from file to file: a result can be re-checked without us, and what cannot be solved says why."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import yaml
from numpy.testing import assert_allclose
from typer.testing import CliRunner

import admmflex
from admmflex.cli import app
from admmflex.horizon import Array, Horizon
from admmflex.progress import Silent
from admmflex.response.signal import COUNTS
from admmflex.scenario import Study, build, load

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
HAND = EXPERIMENTS / "hand" / "day.yaml"
FOREVER = {"method": "admm", "max_iterations": 100000, "cost_tolerance": 1e-300, "mixing": False}
Write = Callable[..., Path]


@pytest.fixture
def hand(tmp_path: Path) -> Write:
    """Writes the five homes to a folder: sections replaced, homes changed by position, text replaced, net changed."""

    def write(
        *texts: tuple[str, str], net: Callable[[Any], Any] | None = None, homes: Any = None, **sections: Any
    ) -> Path:
        data = yaml.safe_load(HAND.read_text(encoding="utf-8").replace("2016-06-01 11:00", "'2016-06-01 11:00'"))
        data |= sections
        for position, change in (homes or {}).items():
            data["prosumers"]["list"][position] |= change
        text = yaml.safe_dump(data, sort_keys=False)
        for old, new in texts:
            assert old in text
            text = text.replace(old, new, 1)
        (tmp_path / "day.yaml").write_text(text, encoding="utf-8")
        network = (HAND.parent / "network.json").read_bytes()
        (tmp_path / "network.json").write_bytes(network)
        if net is not None:
            changed(tmp_path / "network.json", net)
        return tmp_path / "day.yaml"

    return write


def changed(path: Path, change: Callable[[Any], Any]) -> None:
    import pandapower as pp

    net = pp.from_json(str(path))
    change(net)
    pp.to_json(net, str(path))


def pandapower_net(data: xr.Dataset, folder: Path) -> Any:
    """The network that the scenario in the file names, empty, as the scenario wants it."""
    import pandapower as pp

    wanted = yaml.safe_load(data.attrs["scenario"])["network"]
    if isinstance(wanted, str):
        return pp.from_json(str(folder / wanted))
    import simbench

    net = simbench.get_simbench_net(wanted["source"])
    for table in ("load", "sgen", "storage"):
        net[table] = net[table].iloc[:0]
    net.trafo["tap_pos"] = net.trafo["tap_neutral"]
    net.ext_grid["vm_pu"] = wanted["slack_pu"]
    return net


def check_power_flow(data: xr.Dataset, folder: Path, steps: list[int]) -> None:
    """Voltages, loadings and the exchange by pandapower, which never saw our network."""
    import pandapower as pp

    net = pandapower_net(data, folder)
    plants = [pp.create_sgen(net, int(bus), p_mw=0.0) for bus in data["prosumer_bus"]]
    for step in steps:
        net.sgen.loc[plants, "p_mw"] = data["p_kw"].to_numpy()[:, step] / 1000
        net.sgen.loc[plants, "q_mvar"] = data["q_kvar"].to_numpy()[:, step] / 1000
        start = "dc" if len(net.trafo) else "flat"  # its DC start divides by the reactance, which cables by hand lack
        pp.runpp(
            net,
            init=start,
            calculate_voltage_angles=True,
            tolerance_mva=1e-10,
            trafo_model="t",
            trafo_loading="current",
        )
        assert_allclose(data["v_pu"][:, step], net.res_bus.vm_pu.loc[data["bus"].to_numpy()], atol=1e-6)
        theirs = np.concatenate([net.res_line.loading_percent, net.res_trafo.loading_percent]) / 100
        assert_allclose(np.sort(data["loading"][:, step]), np.sort(theirs), atol=1e-6)
        assert_allclose(data["grid_p_kw"][step], net.res_ext_grid.p_mw.sum() * 1000, atol=1e-4)


def gross(data: xr.Dataset) -> tuple[Array, Array]:
    """Charged and discharged power [kW] of the batteries, from their power and the steps of their energy."""
    battery = (data["asset_kind"] == "battery").to_numpy()
    p, energy, dt = (data[name].to_numpy() for name in ("asset_p_kw", "energy_kwh", "dt_h"))
    start, eta_c, eta_d = (data[name].to_numpy()[battery, None] for name in ("e_start_kwh", "eta_c", "eta_d"))
    rate = np.diff(np.hstack([start, energy[battery]]), axis=1) / dt
    charge = (rate + p[battery] / eta_d) / (eta_c - 1 / eta_d)
    return charge, p[battery] + charge


def check_assets(data: xr.Dataset) -> None:
    """Every asset within its own limits, and the meter their sum."""
    kind, owner = data["asset_kind"].to_numpy(), data["asset_prosumer"].to_numpy()
    p, q = data["asset_p_kw"].to_numpy(), data["asset_q_kvar"].to_numpy()
    for meter, own in ((data["p_kw"], p), (data["q_kvar"], q)):
        total = np.zeros(meter.shape)
        np.add.at(total, owner, own)
        assert_allclose(meter, total, atol=1e-8)
    assert_allclose(p[kind == "load"], -data["load_p_kw"].to_numpy()[kind == "load"], atol=1e-9)
    offered = data["avail_kw"].to_numpy()[kind == "pv"] - p[kind == "pv"]
    assert min(offered.min(), p[kind == "pv"].min()) > -1e-6
    battery = kind == "battery"
    energy = data["energy_kwh"].to_numpy()[battery]
    low, high, end, ch_max, dis_max = (
        data[name].to_numpy()[battery, None]
        for name in ("e_min_kwh", "e_max_kwh", "e_end_min_kwh", "p_charge_kw", "p_discharge_kw")
    )
    charge, discharge = gross(data)
    for room in (energy - low, high - energy, energy[:, -1:] - end, charge, ch_max - charge, discharge):
        assert room.min() > -1e-6
    assert (dis_max - discharge).min() > -1e-6


def cost(data: xr.Dataset) -> float:
    """Tariff, wear and reactive energy [EUR] from the variables of the file."""
    p, dt = data["p_kw"].to_numpy(), data["dt_h"].to_numpy()
    bought, sold = np.maximum(-p, 0), np.maximum(p, 0)
    money = data["import_price"].to_numpy() * bought - data["export_price"].to_numpy() * sold
    wear = data["wear"].to_numpy()[(data["asset_kind"] == "battery").to_numpy(), None] * sum(gross(data))
    reactive = np.nan_to_num(data["q_cost"].to_numpy())[:, None] * np.abs(data["asset_q_kvar"].to_numpy())
    reactive[(data["asset_kind"] == "load").to_numpy()] = 0.0
    return float(sum((part * dt).sum() for part in (money, wear, reactive)))


LOSSY = {"pv": {"kwp": 25, "avail_kw": [6, 22, 0], "reactive": "box", "q_cost": 0.002}}
LOSSY["battery"] = {"e_max_kwh": 9, "p_charge_kw": 4, "p_discharge_kw": 3, "e_start_kwh": 1, "eta_d": 0.9, "wear": 0.02}


STORE = {"e_max_kwh": 9, "p_charge_kw": 4, "p_discharge_kw": 3, "e_start_kwh": 1, "wear": 0.0, "eta_c": 0.8}
TWO = {"battery": STORE, "boiler": {"p_max_kw": 2, "volume_l": 200, "draw_kw": 0.5, "t_start_c": 60}}


@pytest.mark.parametrize(("export", "burns"), [(0.08, False), (-0.2, True)])
def test_the_summary_tells_who_answered_and_what_was_burnt(hand: Write, export: float, burns: bool) -> None:
    """With negative prices for energy that cannot be curtailed, the losses of a battery earn money."""
    plant = {"pv": {"kwp": 25, "avail_kw": [6, 22, 10], "curtailable": not burns}}
    homes, tariff = {1: TWO | plant, 3: {"battery": STORE}}, {"import": 0.3, "export": export}
    path = hand(("method: admm", "method: none"), homes=homes, tariff=tariff)
    summary = admmflex.run(load(path)).summary
    assert summary["ways"] == {"chain": 4, "interior point": 1}
    assert ("burnt_kwh" in summary) == burns
    document = (EXPERIMENTS.parent / "docs" / "results.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in document for name in ("ways", *COUNTS))


@pytest.mark.parametrize("method", ["admm", "central", "none"])
def test_a_result_file_can_be_checked_without_us(hand: Write, tmp_path: Path, method: str) -> None:
    path = hand(("method: admm", f"method: {method}"), homes={2: LOSSY, 4: LOSSY})
    admmflex.run(load(path), out=tmp_path / "out").require()
    data = xr.load_dataset(tmp_path / "out" / "result.nc", engine="h5netcdf")
    check_power_flow(data, tmp_path, [0, 1, 2])
    check_assets(data)
    assert cost(data) == pytest.approx(data.attrs["objective_eur"], abs=1e-6)
    over = float((data["v_pu"] - data["v_max"]).max())
    assert (over > 1e-3) if method == "none" else (over < 1e-4)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["steps_beyond_limits"] == (1 if method == "none" else 0)
    assert summary["baseline"]["steps_beyond_limits"] == 1
    assert summary["method"] == method


@pytest.mark.parametrize("method", ["admm", "central"])
def test_the_baseline_can_be_checked_without_us(hand: Write, tmp_path: Path, method: str) -> None:
    """Without coordination, too, the assets make up the homes, keep their bands and cost what the result says."""
    path = hand(("method: admm", f"method: {method}"), homes={2: LOSSY, 4: LOSSY})
    data = admmflex.run(load(path)).require().dataset
    ending = "_baseline"
    names = [str(name).removesuffix(ending) for name in data.data_vars if str(name).endswith(ending)]
    alone = data.drop_vars(names).rename({f"{name}{ending}": name for name in names})
    assert {"asset_p_kw", "asset_q_kvar", "energy_kwh"} <= set(names)
    check_assets(alone)
    assert cost(alone) == pytest.approx(data.attrs["baseline_eur"], abs=1e-6)
    assert np.abs(data["asset_p_kw"] - data["asset_p_kw_baseline"]).max() > 0.1


@pytest.fixture(scope="module")
def rural1(tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    if importlib.util.find_spec("simbench") is None:
        pytest.skip("simbench is not installed")
    folder = tmp_path_factory.mktemp("rural1")
    admmflex.run(load(EXPERIMENTS / "rural1" / "check.yaml"), out=folder).require()
    return xr.load_dataset(folder / "result.nc", engine="h5netcdf")


def test_the_demo_can_be_checked_without_us(rural1: xr.Dataset, tmp_path: Path) -> None:
    check_power_flow(rural1, tmp_path, [0, int(rural1["loading"].to_numpy().max(axis=0).argmax()), 54])
    check_assets(rural1)
    assert cost(rural1) == pytest.approx(rural1.attrs["objective_eur"], abs=1e-6)


def test_the_demo_is_within_a_thousandth_of_the_optimum_and_its_bound_below(rural1: xr.Dataset) -> None:
    central = 44.5832  # the whole problem, tests/admmflex/coordination/test_central.py
    assert rural1.attrs["lower_bound_eur"] < central < rural1.attrs["objective_eur"] + 5e-4
    assert rural1.attrs["objective_eur"] <= 1.001 * central
    assert float((rural1["v_pu"] - rural1["v_max"]).max()) <= 1e-4
    assert float(rural1["loading"].max()) <= 1.001
    assert rural1.attrs["answers_per_prosumer"] <= 30
    told = rural1["history_answers"].to_numpy()
    assert (np.diff(told) >= 1).all()
    assert told[-1] <= rural1.attrs["answers_per_prosumer"]  # more are asked for the bound when the rounds are over


@dataclass(frozen=True)
class Boiler:
    """A water heater that a user wrote: 6 kWh within the day, at most 3 kW, the rounder the better."""

    name: str
    bus: int
    import_price: Array
    export_price: Array

    def build(self, horizon: Horizon) -> Any:
        import cvxpy as cp

        from admmflex.response.custom import CvxpyModel

        heat = cp.Variable(horizon.steps, nonneg=True)
        rows = [heat <= 3, horizon.dt_h @ heat == 6]
        return CvxpyModel(-heat, np.zeros(horizon.steps), 0.001 * cp.sum_squares(heat), rows)


@pytest.mark.parametrize("method", ["admm", "central"])
def test_a_prosumer_written_in_cvxpy_takes_part(tmp_path: Path, method: str) -> None:
    study: Study = build(load(HAND))
    home = study.prosumers[3]
    boiler: Any = Boiler("boiler", 5, home.import_price, home.export_price)
    settings = study.settings.model_copy(update={"method": method})
    both = replace(study, prosumers=(*study.prosumers, boiler), settings=settings)
    found = admmflex.run(both, out=tmp_path).require()
    p = found.dataset["p_kw"].sel(prosumer="boiler").to_numpy()
    assert p.sum() == pytest.approx(-6.0, abs=1e-4)
    assert p[1] == pytest.approx(-3.0, abs=1e-3)  # the sunny hour, when power is worth least at bus 5
    without = admmflex.run(study).require()
    assert float(found.dataset["v_pu"].max()) <= 1.05 + 1e-4
    assert found.objective_eur < without.objective_eur + 6 * 0.3
    assert xr.load_dataset(tmp_path / "result.nc", engine="h5netcdf").sizes["prosumer"] == 6


class Interrupt(Silent):
    """Ctrl-C in the third round."""

    def iteration(self, record: Any) -> None:
        if record["iteration"] == 3:
            raise KeyboardInterrupt


def test_an_interrupted_run_leaves_its_history_and_no_result(hand: Write, tmp_path: Path) -> None:
    out = tmp_path / "out"
    admmflex.run(load(hand()), out=out)
    assert (out / "summary.json").is_file()
    with pytest.raises(KeyboardInterrupt):
        admmflex.run(load(hand(coordination=FOREVER)), out=out, observer=Interrupt())
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    assert [record["iteration"] for record in records] == [1, 2, 3]
    assert [path.name for path in out.iterdir()] == ["history.jsonl"]


HEAVY, THICK = ({i: {"load": {"p_kw": power}} for i in range(5)} for power in (30, 45))
DARK = {i: {"pv": {"kwp": 25, "avail_kw": [6, 22, 0], "curtailable": False}} for i in range(5)}


@pytest.mark.parametrize("method", ["admm", "central"])
@pytest.mark.parametrize(
    ("homes", "sections", "limit"),
    [
        (HEAVY, {}, r"voltage at bus 5 'home 5' at 2016-06-01 1[123]:00"),
        (
            THICK,
            {"limits": {"v_min": 0.5, "v_max": 1.05}},
            r"current of line 0 'cable to home 1' .*2016-06-01 1[13]:00",
        ),
        (DARK, {}, r"voltage at bus 5 'home 5' at 2016-06-01 12:00"),
    ],
    ids=["too much load", "too much current", "too much sun"],
)
def test_an_infeasible_day_names_limit_place_and_hour(
    hand: Write, tmp_path: Path, homes: Any, sections: Any, limit: str, method: str
) -> None:
    path = hand(("method: admm", f"method: {method}"), homes=homes, **sections)
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 3
    message = json.loads((tmp_path / "out" / "summary.json").read_text())["message"]
    assert re.search(limit, message)
    assert message in " ".join(done.stderr.split())
    assert (tmp_path / "out" / "report.html").is_file()
    assert "infeasible" in done.stdout
    assert "EUR/kWh" not in done.stdout  # prices of an infeasible day mean nothing


def test_a_feasible_day_of_the_same_kind_is_not_called_infeasible(hand: Write, tmp_path: Path) -> None:
    """One plant that may be curtailed makes room for those that may not: the last home gives nothing at noon."""
    homes = {i: {"pv": {"kwp": 25, "avail_kw": [6, 16, 0], "curtailable": i == 4}} for i in range(5)}
    assert admmflex.run(load(hand(homes=homes))).status == "optimal"


def test_too_few_rounds_exit_with_4(hand: Write, tmp_path: Path) -> None:
    path = hand(coordination={"method": "admm", "max_iterations": 3})
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 4
    assert "3 rounds used up" in " ".join(done.stderr.split())
    assert "not converged" in done.stdout


def test_a_day_left_to_itself_may_have_no_power_flow(hand: Write, tmp_path: Path) -> None:
    path = hand(homes={i: {"load": {"p_kw": 2000}} for i in range(5)}, coordination={"method": "none"})
    done = CliRunner().invoke(app, ["run", str(path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0
    assert "broken in 3 steps" in done.stdout
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["steps_without_power_flow"] == 3


def negative_resistance(net: Any) -> None:
    net.line.loc[2, "r_ohm_per_km"] = -0.16


def cut_off(net: Any) -> None:
    net.line.loc[4, "in_service"] = False


def not_a_number(net: Any) -> None:
    net.line.loc[1, "length_km"] = np.nan


BATTERY = {"e_max_kwh": 5, "p_charge_kw": 2, "p_discharge_kw": 2, "e_start_kwh": 1}
BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "NaN in a profile": (
        {"homes": {0: {"load": {"p_kw": [2, float("nan"), 1]}}}},
        ["load 'home 1 load': p_kw has 1 of 3 values not finite, the first nan at 2016-06-01 12:00"],
    ),
    "short profile": ({"homes": {1: {"load": {"p_kw": [2, 2]}}}}, ["load 'home 2 load': p_kw has shape (2,)"]),
    "negative resistance": ({"net": negative_resistance}, ["r_ohm_per_km = -0.16", "line 2"]),
    "length not a number": ({"net": not_a_number}, ["length_km = nan", "line 1"]),
    "cut-off bus": ({"net": cut_off}, ["bus 5 'home 5': cut off from the slack"]),
    "duplicate names": ({"homes": {1: {"name": "home 1"}}}, ["prosumer 'home 1': 2 prosumers have this name"]),
    "e_start outside its band": (
        {"homes": {0: {"battery": BATTERY | {"e_start_kwh": 7.2}}}},
        ["e_start_kwh = 7.2", "[0, 5]"],
    ),
    "eta outside (0, 1]": (
        {"homes": {0: {"battery": BATTERY | {"eta_c": 1.2, "eta_d": 0.0}}}},
        ["eta_c = 1.2", "eta_d = 0", "(0, 1]"],
    ),
    "unknown key": ({"homes": {0: {"colour": "red"}}}, ["unknown key 'colour'"]),
    "missing network file": ({"network": "nowhere.json"}, ["nowhere.json is missing"]),
    "missing table": (
        {"prosumers": {"tables": {"prosumers": "a.csv", "profiles": "b.csv"}}},
        ["a.csv", "b.csv", "missing"],
    ),
    "all at once": (
        {
            "homes": {0: {"load": {"p_kw": [2, 1]}, "name": "home 2"}, 3: {"battery": BATTERY | {"eta_c": 7}}},
            "net": cut_off,
        },
        ["shape (2,)", "2 prosumers have this name", "eta_c = 7", "cut off from the slack"],
    ),
}


@pytest.mark.parametrize("command", ["validate", "run"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_every_fault(
    hand: Write, tmp_path: Path, case: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def solve(*_: Any) -> None:
        raise AssertionError("something was solved")

    monkeypatch.setattr(import_module("admmflex.run"), "SCHEMES", {"admm": solve})
    change, found = BAD[case]
    out = ["--out", str(tmp_path / "out")] if command == "run" else []
    done = CliRunner().invoke(app, [command, str(hand(**change)), *out])
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    said = " ".join(done.stderr.split())
    for text in found:
        assert text in said
    assert said.count("allowed:") == said.count("to do:") >= 1
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()
