"""Scenario files: the shipped ones mean what their pages say, and a bad one is answered with all of its faults."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from admmflex.assets import Battery, FixedLoad, Pv
from admmflex.data.spec import ScenarioSpec
from admmflex.errors import InputError
from admmflex.prosumers.prosumer import Prosumer
from admmflex.scenario import Scenario, Study, build, load, schema
from grid import PowerFlow, power_flow, read_case

EXPERIMENTS = Path(__file__).parents[2] / "experiments"
HAND = EXPERIMENTS / "hand" / "day.yaml"
SHIPPED = sorted(path.relative_to(EXPERIMENTS) for path in EXPERIMENTS.glob("*/*.yaml"))


def of(study: Study, kind: type) -> list[Any]:
    return [asset for prosumer in study.prosumers for asset in prosumer.assets if isinstance(asset, kind)]


def changed(path: Path, **sections: Any) -> Scenario:
    scenario = load(path)
    data = scenario.spec.model_dump(by_alias=True, exclude_unset=True) | sections
    return replace(scenario, spec=ScenarioSpec.model_validate(data))


def greedy(prosumer: Prosumer, study: Study) -> tuple[np.ndarray, float]:
    """Powers (K,) and cost of a home that stores its surplus and uses it, never below the energy it must end with."""
    dt, cost = study.horizon.dt_h, 0.0
    p = np.zeros(study.horizon.steps)
    for asset in prosumer.assets:
        if isinstance(asset, FixedLoad):
            p -= asset.p_kw
        elif isinstance(asset, Pv):
            p += asset.avail_kw
    for battery in (asset for asset in prosumer.assets if isinstance(asset, Battery)):
        energy = battery.e_start_kwh
        for t in range(len(p)):
            room, rest = battery.e_max_kwh - energy, energy - battery.end_bound_kwh
            charge = min(max(p[t], 0.0), battery.p_charge_kw, room / battery.eta_c / dt[t])
            give = min(max(-p[t], 0.0), battery.p_discharge_kw, rest * battery.eta_d / dt[t])
            energy += dt[t] * (battery.eta_c * charge - give / battery.eta_d)
            p[t] += give - charge
            cost += dt[t] * battery.wear * (charge + give)
    money = prosumer.import_price * np.maximum(-p, 0.0) - prosumer.export_price * np.maximum(p, 0.0)
    return p, cost + float(dt @ money)


def flow_of(study: Study) -> tuple[PowerFlow, float]:
    """AC power flow and cost when every home follows the greedy rule and PV gives no reactive power."""
    p = np.zeros((study.network.n, study.horizon.steps))
    q, cost = np.zeros_like(p), 0.0
    for prosumer in study.prosumers:
        bus = study.network.positions([prosumer.bus])[0]
        own, money = greedy(prosumer, study)
        p[bus] += own
        q[bus] -= sum(asset.q_kvar for asset in prosumer.assets if isinstance(asset, FixedLoad))
        cost += money
    return power_flow(study.network, p, q), cost


def loading(study: Study, flow: PowerFlow) -> float:
    return float(np.abs(study.limits.loading(flow.v)).max())


@pytest.mark.parametrize("path", SHIPPED, ids=str)
def test_shipped_scenarios_build(path: Path) -> None:
    study = build(load(EXPERIMENTS / path))
    names = [prosumer.name for prosumer in study.prosumers]
    assert len(set(names)) == len(names)
    assert len(study.network.positions([prosumer.bus for prosumer in study.prosumers])) == len(names)


@pytest.fixture(scope="module")
def check_case() -> Study:
    return build(load(EXPERIMENTS / "rural1" / "check.yaml"))


def test_the_check_case_has_the_plants_and_storages_of_the_grid(check_case: Study) -> None:
    assert len(check_case.prosumers) == 13
    assert sum(pv.rating_kw for pv in of(check_case, Pv)) == pytest.approx(468.2)
    assert sum(battery.e_max_kwh for battery in of(check_case, Battery)) == pytest.approx(412.0)
    assert abs(check_case.network.v_slack) == 1.025
    for battery in of(check_case, Battery):
        assert battery.e_start_kwh == battery.end_bound_kwh == pytest.approx(0.2 * battery.e_max_kwh)


def test_the_check_case_sums_to_the_rows_of_the_grid(check_case: Study) -> None:
    case = read_case("1-LV-rural1--2-sw")
    row = [str(label) for label in case.profiles.time].index("20.05.2016 07:00")  # type: ignore[union-attr]
    assert row == 13464
    p, q = case.bus_sums(slice(row, row + 96))
    own_p, own_q = np.zeros_like(p), np.zeros_like(q)
    for prosumer in check_case.prosumers:
        bus = case.network.positions([prosumer.bus])[0]
        for asset in prosumer.assets:
            own_p[bus] += asset.avail_kw if isinstance(asset, Pv) else 0.0
            if isinstance(asset, FixedLoad):
                own_p[bus] -= asset.p_kw
                own_q[bus] -= asset.q_kvar
    np.testing.assert_allclose(own_p, p, atol=1e-10)
    np.testing.assert_allclose(own_q, q, atol=1e-10)


def test_the_check_case_left_to_itself_gives_the_published_figures(check_case: Study) -> None:
    flow, cost = flow_of(check_case)
    assert cost == pytest.approx(37.257, abs=5e-4)
    assert np.abs(flow.v).max() == pytest.approx(1.0587, abs=5e-5)
    assert loading(check_case, flow) == pytest.approx(1.412, abs=5e-4)


def test_the_worst_step_is_the_overload_of_the_grid_as_it_stands() -> None:
    study = build(load(EXPERIMENTS / "rural1" / "worst.yaml"))
    assert study.horizon.label(0) == "2016-05-20 13:00"
    assert any("tap_pos = 1 read as a ratio tap" in note for note in study.notes)
    assert loading(study, flow_of(study)[0]) == pytest.approx(2.141, abs=5e-4)


def test_the_sunny_day_overloads_the_grid_at_noon() -> None:
    study = build(load(EXPERIMENTS / "rural3" / "day.yaml"))
    buses = {prosumer.bus for prosumer in study.prosumers}
    assert len(of(study, Pv)) == round(0.8 * len(buses))
    assert len(of(study, Battery)) == round(0.5 * len(of(study, Pv)))
    flow, _ = flow_of(study)
    bus, step = np.unravel_index(np.abs(flow.v).argmax(), flow.v.shape)
    assert abs(flow.v[bus, step]) > 1.07
    assert "12:00" <= study.horizon.label(int(step))[-5:] <= "14:00"
    assert loading(study, flow) > 1.1


def test_the_sunny_day_is_the_sunniest_of_early_summer() -> None:
    profiles = read_case("1-LV-rural3--2-sw", taps="neutral").profiles
    assert profiles is not None
    sun = sum(profiles[name] for name in ("PV1", "PV3", "PV4", "PV7"))
    days, day_of_row = np.unique([str(label)[:10] for label in profiles.time], return_inverse=True)
    energy = np.bincount(day_of_row, weights=sun)
    early = [str(day)[3:5] in ("05", "06", "07") for day in days]
    day, month, year = str(days[early][energy[early].argmax()]).split(".")
    assert load(EXPERIMENTS / "rural3" / "day.yaml").spec.horizon.start == f"{year}-{month}-{day} 00:00"


def test_five_homes_at_noon_meet_the_limit_exactly_as_worked_out_by_hand() -> None:
    """Ohm's law home by home from the far end: the limit there, 1 pu at the busbar."""
    study = build(load(HAND))
    noon = np.array([20.0, 20.0, 18.0, 20.0, 13.2969])  # homes 1 to 5, as in the page of the experiment
    v, current = 1.05, 0.0
    for p in noon[::-1]:
        current += p / v
        v -= 0.2e-3 * current
    assert v == pytest.approx(1.0, abs=1e-6)
    p = np.zeros((6, 1))
    p[study.network.positions([1, 2, 3, 4, 5]), 0] = noon
    flow = power_flow(study.network, p, np.zeros_like(p))
    assert np.abs(flow.v).max() == pytest.approx(1.05, abs=1e-6)


def test_limits_of_the_scenario_reach_the_rows() -> None:
    study = build(changed(HAND, limits={"v_min": 0.9, "v_max": 1.1, "line_percent": 50}))
    assert set(study.network.v_max) == {1.1}
    p = np.zeros((6, 1))
    p[-1] = 20.0
    flow = power_flow(study.network, p, np.zeros_like(p))
    full = build(load(HAND))
    np.testing.assert_allclose(study.limits.loading(flow.v), 2 * full.limits.loading(flow.v))


def test_slack_voltage_and_taps_of_the_scenario_reach_the_network() -> None:
    study = build(changed(HAND, network={"source": "network.json", "slack_pu": 1.02}))
    assert abs(study.network.v_slack) == pytest.approx(1.02)
    with pytest.raises(InputError, match=r"slack voltage 1.06 pu, which nothing in the grid can change"):
        build(changed(HAND, network={"source": "network.json", "slack_pu": 1.06}))


def test_a_table_gives_the_same_study_as_a_list(tmp_path: Path) -> None:
    listed = build(load(HAND))
    (tmp_path / "network.json").write_bytes((HAND.parent / "network.json").read_bytes())
    rows = ["name,bus,load.p_kw,pv.kwp,pv.avail_kw,battery.e_max_kwh,battery.p_charge_kw,battery.p_discharge_kw,"]
    rows[0] += "battery.e_start_kwh,battery.e_end_min_kwh,battery.eta_c,battery.eta_d,battery.wear"
    for home in range(1, 6):
        rows.append(f"home {home},{home},2,25,roof," + ("2,2,2,0,0,1,1,0.02" if home == 3 else ",,,,,,,"))
    (tmp_path / "prosumers.csv").write_text("\n".join(rows))
    times = [f"2016-06-01 {hour}:00" for hour in (11, 12, 13)]
    (tmp_path / "profiles.csv").write_text(
        "time,roof\n" + "\n".join(f"{t},{p}" for t, p in zip(times, (6, 22, 0), strict=True))
    )
    data = yaml.safe_load(HAND.read_text())
    data["prosumers"] = {"tables": {"prosumers": "prosumers.csv", "profiles": "profiles.csv"}}
    (tmp_path / "day.yaml").write_text(yaml.safe_dump(data))
    tabled = build(load(tmp_path / "day.yaml"))
    for one, other in zip(listed.prosumers, tabled.prosumers, strict=True):
        assert (one.name, one.bus) == (other.name, other.bus)
        for mine, theirs in zip(one.assets, other.assets, strict=True):
            assert repr(mine) == repr(theirs)


BAD = """
name: bad
network: network.json
horizon: { start: 2016-06-01 11:00, steps: 3, step_minutes: 60 }
tariff: { import: 0.30, export: 0.48 }
limts: { v_min: 0.95 }
limits: { v_min: 0.95, v_maxx: 1.05, transformer: curent }
prosumers:
  list:
    - name: home 1
      bus: 1
      load: { p_kw: [2, .nan, 1] }
      pv: { kwp: 25, avail_kw: [6, 22] }
    - name: home 1
      bus: 99
      load: { p_kw: house }
      battery: { e_max_kwh: 5, p_charge_kw: 2, p_discharge_kw: 2, e_start_kwh: 7.2, eta_c: 1.2 }
    - bus: x
      pv: { kwp: 5 }
coordination: { rhoo: 0.1, max_iterations: many }
"""
FOUND = [
    "limts (line 6): unknown key 'limts'; allowed: *did you mean 'limits'?",
    "limits.v_maxx (line 7): unknown key 'v_maxx'; *did you mean 'v_max'?",
    "limits.transformer (line 7): transformer = 'curent'; allowed: 'current' or 'power'",
    "prosumers.list[2].name (line 18): key 'name' is missing",
    "prosumers.list[2].bus (line 18): bus = 'x'; allowed: a valid integer",
    "prosumers.list[2].pv (line 19): *give exactly one of profile (per kWp) and avail_kw",
    "coordination.rhoo (line 20): unknown key 'rhoo'; *did you mean 'rho'?",
    "coordination.max_iterations (line 20): max_iterations = 'many'",
    "tariff: import price 0.3 below export price 0.48 EUR/kWh at 2016-06-01 11:00",
    "load 'home 1 load': p_kw = 'house' is not in tables.profiles",
    "prosumer 'home 1': 2 prosumers have this name",
    "load 'home 1 load': p_kw has 1 of 3 values not finite, the first nan at 2016-06-01 12:00",
    "pv 'home 1 PV': avail_kw has shape (2,); allowed: one value for each of the 3 steps",
    "prosumer 'home 1': bus = 99 is not a supplied bus of the network",
    "battery 'home 1 battery': eta_c = 1.2; allowed: (0, 1]",
    "battery 'home 1 battery': e_start_kwh = 7.2; allowed: [0, 5]",
]


def written(folder: Path, text: str) -> Path:
    (folder / "network.json").write_bytes((HAND.parent / "network.json").read_bytes())
    (folder / "bad.yaml").write_text(text)
    return folder / "bad.yaml"


def test_one_look_finds_every_fault(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(written(tmp_path, BAD))
    lines = [str(fault) for fault in caught.value.faults]
    for expected in FOUND:
        parts = expected.split("*")
        assert any(line.startswith(parts[0]) and all(part in line for part in parts) for line in lines), expected
    assert len(lines) == len(FOUND), "\n".join(lines)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("network.json", "missing.json", "missing.json is missing"),
        ("network.json", "1-LV-rural9--2-sw", "1-LV-rural9--2-sw"),
        ("steps: 3", "steps: 3\n  duration: 1d", "give exactly one of steps, duration"),
        ("steps: 3", "steps: 0", "steps = 0; allowed: greater than 0"),
        ("2016-06-01 11:00", "yesterday", "start = 'yesterday'"),
        ("import: 0.30, export: 0.08", "import: 0.30", "give import and export together"),
        ("v_min: 0.95, v_max: 1.05", "v_min: 1.05, v_max: 0.95", "v_min = 1.05 must be below v_max = 0.95"),
        ("method: admm", "method: magic", "method = 'magic'; allowed: 'admm', 'charts', 'central' or 'none'"),
        ("name: five homes by hand", "name: x\nmode: floating", "mode = 'floating'"),
        ("bus: 5", "bus: 5\n      tariff: { import: 0.1, export: 0.2 }", "'home 5' tariff: import price 0.1 below"),
        ("bus: 5", "bus: 5\n      bus: 4", "key appears twice"),
        ("bus: 5", "bus: true", "bus = True; allowed: a number, not true or false"),
        ("avail_kw: [6, 22, 0]", "avail_kw: [6, 22, true]", "allowed: a number, not true or false"),
        ("import: 0.30, export: 0.08", "import: true, export: 0.08", "allowed: a number, not true or false"),
    ],
)
def test_one_fault_is_named(tmp_path: Path, old: str, new: str, found: str) -> None:
    text = HAND.read_text()
    assert old in text
    with pytest.raises(InputError, match=found):
        build(load(written(tmp_path, text.replace(old, new, 1))))


def test_the_same_fault_of_many_elements_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        build(load(written(tmp_path, HAND.read_text().replace("avail_kw: [6, 22, 0]", "avail_kw: [6, 22]"))))
    assert [fault.element for fault in caught.value.faults] == ["pv 'home 1 PV' and 4 others"]


@pytest.mark.parametrize(("text", "found"), [("", "holds None"), ("- 1\n- 2\n", r"holds \[1, 2\]")])
def test_an_empty_file_is_no_scenario(tmp_path: Path, text: str, found: str) -> None:
    with pytest.raises(InputError, match=found + ", and no keys; allowed: a section of keys with values"):
        load(written(tmp_path, text))


def test_the_schema_knows_every_key() -> None:
    text = json.dumps(schema())
    for key in ("slack_pu", "profile_timezone", "share_of_pv", "import", "from", "line_percent", "relaxation", "list"):
        assert f'"{key}"' in text
    assert schema()["additionalProperties"] is False
