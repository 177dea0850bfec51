"""Islands and limits of the connection: prices find the central optimum, and the balance holds in the AC power flow."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.testing import assert_allclose

import grid
from admmflex import run, scenario
from admmflex.assets import Battery, FixedLoad, Generator, SheddableLoad
from admmflex.coordination.central import CentralResult, solve_central
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import Study
from admmflex.errors import InputError
from admmflex.results import Result
from admmflex.scenario import Scenario

FIVE = Path(__file__).parents[3] / "experiments" / "islanded" / "five.yaml"
GOAL = 1e-3


def changed(**sections: Any) -> Scenario:
    """The island of five homes with other sections; None leaves one out."""
    found = scenario.load(FIVE)
    data = yaml.safe_load(found.text) | sections
    kept = {key: value for key, value in data.items() if value is not None}
    return replace(found, spec=ScenarioSpec.model_validate(kept))


def connected(**connection: Any) -> Scenario:
    """The same homes on the grid, with limits of the connection."""
    limits = {"v_min": 0.95, "v_max": 1.05, "connection": connection}
    return changed(mode="grid-connected", island=None, limits=limits)


@cache
def study() -> Study:
    return scenario.build(scenario.load(FIVE))


@cache
def central() -> CentralResult:
    return solved(study())


def solved(one: Study) -> CentralResult:
    return solve_central(one.network, one.limits, one.prosumers, one.horizon)


@cache
def island() -> Result:
    return run(scenario.load(FIVE))


def flow_of(one: Study, result: Result) -> tuple[grid.PowerFlow, Any]:
    """AC power flow of the plan, and what stands at the slack (K,)."""
    p, q = (np.zeros((one.network.n, one.horizon.steps)) for _ in range(2))
    at = one.network.positions([home.bus for home in one.prosumers])
    np.add.at(p, at, result.dataset["p_kw"].to_numpy())
    np.add.at(q, at, result.dataset["q_kvar"].to_numpy())
    return grid.power_flow(one.network, p, q, tol=1e-12).require(), p[0] + 1j * q[0]


def test_an_island_costs_what_the_central_optimum_costs() -> None:
    result = island().require()
    assert central().status == "optimal"
    assert abs(result.objective_eur - central().cost) <= GOAL * central().cost


def test_the_unit_that_holds_the_voltage_gives_what_the_power_flow_asks_of_it() -> None:
    one, result = study(), island()
    flow, own = flow_of(one, result)
    asked = -flow.pcc_kw
    load = sum(a.p_kw for p in one.prosumers for a in p.assets if isinstance(a, SheddableLoad))
    assert np.abs(asked - own).max() > 0.0  # the test looks at something that is not exact by construction
    assert (np.abs(asked - own) <= GOAL * load).all()
    found = result.summary["island"]
    assert found["residual_of_load"] <= GOAL
    assert_allclose(found["residual_kva"], np.abs(asked - own).max(), atol=1e-6)  # the tolerance of the power flow
    assert (np.abs(flow.v) <= 1.05 + 1e-6).all()


def test_the_unit_keeps_its_reserve() -> None:
    data = island().dataset
    row = [str(name) for name in data["asset"].to_numpy()].index("community battery/community battery battery")
    energy, p = data["energy_kwh"].to_numpy()[row], data["asset_p_kw"].to_numpy()[row]
    assert energy.min() >= 2.0 - 1e-6  # 5 % of 40 kWh
    assert energy.max() <= 38.0 + 1e-6
    assert np.abs(p).max() <= 13.5 + 1e-6  # 90 % of 15 kW
    q = data["asset_q_kvar"].to_numpy()[row]
    assert np.hypot(p, q).max() <= 18.0 + 1e-6  # 90 % of 20 kVA


def test_prices_are_one_price_and_the_marginal_losses() -> None:
    """No limit binds but the balance: lam_b = lam (1 + marginal loss), by finite differences of the power flow."""
    one, found = study(), central()
    at = one.network.positions([home.bus for home in one.prosumers])
    p, q = (np.zeros((one.network.n, one.horizon.steps)) for _ in range(2))
    np.add.at(p, at, found.y[0])
    np.add.at(q, at, found.y[1])
    h = 0.01
    for bus in range(1, one.network.n):
        drawn = []
        for sign in (1, -1):
            moved = p.copy()
            moved[bus] += sign * h
            drawn.append(-grid.power_flow(one.network, moved, q, tol=1e-14).pcc_kw.real)
        saved = -(drawn[0] - drawn[1]) / (2 * h)
        common = found.price[0, 0]
        assert_allclose(found.price[0, bus], common * saved, rtol=2e-4)


def test_load_is_shed_in_the_order_of_its_value() -> None:
    found = island().summary["island"]
    assert found["normal"]["shed_kwh"] > 5.0
    assert found["critical"]["shed_kwh"] < 0.01
    assert found["normal"]["missing"] == "energy"
    assert "all critical load is served" in found["message"]


def test_an_island_with_little_energy_sheds_the_critical_load_that_it_must() -> None:
    weak = yaml.safe_load(FIVE.read_text())["prosumers"]
    weak["list"][5]["battery"] |= {"e_max_kwh": 8, "e_start_kwh": 2, "e_end_min_kwh": 2}
    weak["list"][6]["generator"] |= {"fuel_l": 0.2}
    given = changed(prosumers=weak)
    result, reference = run(given).require(), solved(scenario.build(given))
    assert abs(result.objective_eur - reference.cost) <= GOAL * reference.cost
    found = result.summary["island"]
    critical = found["critical"]
    sun = 0.5 * sum(home["pv"]["kwp"] * sum(home["pv"]["profile"]) for home in weak["list"] if "pv" in home)
    stored, fuel = (3 - 1) + (2 - 1), 0.2 * 3.3  # of the homes; the community's battery has nothing to give
    assert critical["shed_kwh"] > critical["load_kwh"] - sun - stored - fuel > 1.0
    assert critical["shed_kwh"] == pytest.approx((reference.cost - 3 * found["normal"]["load_kwh"]) / 15, abs=0.1)
    assert critical["missing"] == "energy"
    assert 0.0 <= critical["served_h"] < 8.0
    assert f"critical load is served for {critical['served_h']:g} h" in found["message"]
    assert "energy" in found["message"]


def test_an_island_that_cannot_serve_its_critical_load_says_for_how_long() -> None:
    weak = yaml.safe_load(FIVE.read_text())
    weak["prosumers"]["list"][5]["battery"] |= {"e_max_kwh": 8, "e_start_kwh": 5, "e_end_min_kwh": 1}
    weak["prosumers"]["list"][6]["generator"] |= {"fuel_l": 1}
    weak["island"]["shedding"] |= {"critical_share": 0.6}
    scarce = changed(prosumers=weak["prosumers"], island=weak["island"])
    result = run(scarce).require()
    reference = solved(scenario.build(scarce))
    assert abs(result.objective_eur - reference.cost) <= GOAL * reference.cost
    found = result.summary["island"]
    critical = found["critical"]
    assert critical["shed_kwh"] > 1.0
    assert critical["missing"] == "energy"
    assert 0.0 <= critical["served_h"] < 8.0
    assert f"critical load is served for {critical['served_h']:g} h" in found["message"]
    assert "energy" in found["message"]


def test_too_little_power_is_told_from_too_little_energy() -> None:
    weak = yaml.safe_load(FIVE.read_text())["prosumers"]
    weak["list"][5]["battery"] |= {"p_discharge_kw": 2, "e_max_kwh": 100, "e_start_kwh": 90, "p_charge_kw": 10}
    weak["list"][6]["generator"] |= {"p_max_kw": 1, "fuel_l": 100}
    for home in weak["list"][:5]:
        home.pop("battery", None)
    found = run(changed(prosumers=weak)).require().summary["island"]
    assert found["normal"]["shed_kwh"] > 5.0
    assert found["normal"]["missing"] == "power"


@pytest.mark.parametrize("request_", [{"import_kw": 6}, {"p_kw": 3.0, "band_kw": 1.0}], ids=["cap", "band"])
def test_limits_of_the_connection_hold_at_least_cost(request_: dict[str, float]) -> None:
    given = connected(**request_)
    one = scenario.build(given)
    result, reference = run(given).require(), solved(one)
    assert reference.status == "optimal"
    assert abs(result.objective_eur - reference.cost) <= GOAL * reference.cost
    assert result.summary["connection"]["status"] == "met"
    flow, _ = flow_of(one, result)
    assert (-flow.pcc_kw.real).max() <= request_.get("import_kw", 4.0) + 0.02
    if "p_kw" in request_:
        assert (-flow.pcc_kw.real).min() >= 2.0 - 0.02


def test_a_request_that_cannot_be_met_ends_at_the_nearest_plan() -> None:
    given = connected(import_kw=2, export_kw=0, unmet_price=5.0)
    one = scenario.build(given)
    result, reference = run(given).require(), solved(one)
    assert abs(result.objective_eur - reference.cost) <= GOAL * reference.cost
    found = result.summary["connection"]
    assert found["status"] == "nearest"
    gap = next(i for i, home in enumerate(one.prosumers) if home.name == "grid connection")
    assert_allclose(found["unmet_kwh"], np.abs(reference.y[0, gap]) @ one.horizon.dt_h, rtol=0.02)
    assert "nearest plan misses them" in found["message"]


def test_a_strict_request_that_cannot_be_met_is_infeasible() -> None:
    result = run(connected(import_kw=0.5, export_kw=0, unmet_price=None))
    assert result.status == "infeasible"
    assert "active power drawn from the upstream grid" in str(result.summary["message"])


def test_an_island_is_the_study_without_tariff_outside_and_fixed_loads() -> None:
    one = study()
    assert 0 not in one.network.buses
    assert all(not home.import_price.any() for home in one.prosumers)
    assert not [a for home in one.prosumers for a in home.assets if isinstance(a, FixedLoad)]
    unit = next(a for home in one.prosumers for a in home.assets if isinstance(a, Generator))
    assert unit.fuel_kwh == pytest.approx(9 * 3.3)
    held = next(home for home in one.prosumers if home.name == "community battery")
    assert one.network.positions([held.bus])[0] == 0
    assert isinstance(held.assets[0], Battery)


@pytest.mark.parametrize(
    ("island_of", "found"),
    [
        ({"grid_forming": "nobody"}, "no prosumer 'nobody'"),
        ({"grid_forming": "home 1"}, "'home 1' has 0 batteries and generators"),
        ({"grid_forming": "home 2"}, "gives no reactive power"),
        ({"grid_forming": "community battery", "open": ["line 99"]}, "no such branch"),
        ({"grid_forming": "community battery", "open": ["line 3"]}, "still connected to the upstream grid"),
        ({"grid_forming": "community battery", "voltage_pu": 1.2}, "change island.voltage_pu"),
        ({"grid_forming": "community battery", "reserve": {"energy_percent": 45}}, "reserve of the unit"),
    ],
)
def test_faults_of_islands_are_named(island_of: dict[str, Any], found: str) -> None:
    with pytest.raises(InputError, match=found):
        scenario.build(changed(island=island_of))


def test_limits_of_the_connection_that_exclude_each_other_are_a_fault() -> None:
    with pytest.raises(InputError, match="at least 5 and at most 3 kW drawn at 2016-05-26 16:00"):
        scenario.build(connected(import_kw=3, p_kw=5))
    with pytest.raises(InputError, match="import_kw with 2 numbers"):
        scenario.build(connected(import_kw=[3.0, 4.0]))
