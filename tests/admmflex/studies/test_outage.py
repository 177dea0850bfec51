"""Announced outages and outages of unknown length."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.testing import assert_allclose
from scipy.integrate import quad

import grid
from admmflex import run, scenario
from admmflex.assets import FixedLoad, SheddableLoad
from admmflex.coordination.central import solve_central
from admmflex.data.outages import lasting
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import Study
from admmflex.data.trouble_spec import DurationSpec
from admmflex.errors import InputError
from admmflex.horizon import Array
from admmflex.results import Result
from admmflex.scenario import Scenario
from admmflex.studies.variants import expected

FOLDER = Path(__file__).parents[3] / "experiments" / "islanded"
GOAL = 1e-3


def changed(name: str, **sections: Any) -> Scenario:
    found = scenario.load(FOLDER / f"{name}.yaml")
    kept = {key: value for key, value in (yaml.safe_load(found.text) | sections).items() if value is not None}
    return replace(found, spec=ScenarioSpec.model_validate(kept))


@cache
def day() -> Study:
    return scenario.build(scenario.load(FOLDER / "outage.yaml"))


@cache
def coordinated() -> Result:
    return run(scenario.load(FOLDER / "outage.yaml")).require()


@pytest.mark.parametrize(("begin", "end"), [("18:00", "21:30"), ("16:30", "23:30")])
def test_an_announced_outage_costs_what_the_central_optimum_costs(begin: str, end: str) -> None:
    """One that batteries can bridge, and one with load shed: prices of 0.4 and of 3 EUR/kWh while it lasts."""
    source = changed("outage", outage={"from": f"2016-05-26 {begin}", "to": f"2016-05-26 {end}"})
    study, result = scenario.build(source), run(source).require()
    central = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert central.status == "optimal"
    assert abs(result.objective_eur - central.cost) <= GOAL * central.cost
    assert (result.summary["outage"]["normal"]["shed_kwh"] > 5.0) == (begin == "16:30")


def test_nothing_is_exchanged_while_the_grid_is_away_and_batteries_are_filled_before() -> None:
    study, data = day(), coordinated().dataset
    assert study.out is not None
    assert study.horizon.dt_h[study.out].sum() == 3.5
    drawn = np.hypot(data["grid_p_kw"].to_numpy(), data["grid_q_kvar"].to_numpy())
    load = np.maximum(data["load_p_kw"].to_numpy(), 0.0).sum(axis=0)
    assert (drawn[study.out] <= GOAL * load[study.out]).all()
    assert (data["grid_p_kw"].to_numpy()[~study.out] > 0.1).any()
    summary = coordinated().summary["outage"]
    assert summary["hours"] == 3.5
    assert summary["from"] == "2016-05-26 18:00"
    assert summary["stored_kwh"] > 1.5 * (3.0 + 2.0 + 16.0)  # what the batteries begin with
    assert summary["normal"]["shed_kwh"] == pytest.approx(0.0, abs=1e-3)


def test_during_the_outage_the_unit_at_its_voltage_sees_the_plan_that_the_power_flow_gave() -> None:
    """With the unit as the slack, held at the voltage of the plan, its plan is what the power flow asks of it."""
    study, data = day(), coordinated().dataset
    assert study.out is not None
    unit = next(i for i, one in enumerate(study.prosumers) if one.name == "community battery")
    network = study.network
    root = int(network.positions([study.prosumers[unit].bus])[0])
    position = network.positions([one.bus for one in study.prosumers])
    p, q = np.zeros((network.n, study.horizon.steps)), np.zeros((network.n, study.horizon.steps))
    np.add.at(p, position, data["p_kw"].to_numpy())
    np.add.at(q, position, data["q_kvar"].to_numpy())
    load = np.maximum(data["load_p_kw"].to_numpy(), 0.0).sum(axis=0)
    opened = np.flatnonzero((network.from_bus == 0) | (network.to_bus == 0))
    for step in np.flatnonzero(study.out).tolist():
        held = float(data["v_pu"].to_numpy()[root, step])
        island = grid.island(network, root, opened, complex(held))
        kept = network.positions(island.buses)
        flow = grid.power_flow(island, p[kept][:, [step]], q[kept][:, [step]])
        residual = grid.drawn_kw(island, flow.v, (p[root, [step]] + 1j * q[root, [step]]))
        # the cable between the unit and the open switch is part of the plan's network only; it carries no power
        assert abs(residual[0]) <= GOAL * load[step]
        assert_allclose(np.abs(flow.v[:, 0]), data["v_pu"].to_numpy()[kept, step], atol=2e-4)


def test_without_the_outage_the_same_loads_and_tariffs_remain() -> None:
    study = day()
    plain = scenario.build(changed("outage", outage=None, island=None))
    assert study.out is not None

    def total(one: Study) -> Array:
        owned = [asset for home in one.prosumers for asset in home.assets]
        return np.asarray(np.sum([a.p_kw for a in owned if isinstance(a, FixedLoad | SheddableLoad)], axis=0))

    assert_allclose(total(study), total(plain), rtol=1e-12)
    before = {one.name: one for one in plain.prosumers}
    for one in study.prosumers:
        if one.name in before:
            assert_allclose(one.import_price[~study.out], before[one.name].import_price[~study.out])
            assert not one.import_price[study.out].any()


@pytest.mark.parametrize(
    ("duration", "survives"),
    [
        (9.0, lambda hours: float(hours < 9.0)),
        (DurationSpec(mean_h=4.0), lambda hours: np.exp(-hours / 4.0)),
        (DurationSpec(hours=[1.0, 3.25, 9.0], probability=[0.5, 0.3, 0.2]),
         lambda hours: 0.5 * (hours < 1.0) + 0.3 * (hours < 3.25) + 0.2 * (hours < 9.0)),
    ],
)  # fmt: skip
def test_weights_are_the_mean_probability_that_the_outage_lasts(duration: Any, survives: Any) -> None:
    horizon = scenario.build(scenario.load(FOLDER / "five.yaml")).horizon
    weights = lasting(duration, horizon)
    edges = np.concatenate([[0.0], np.cumsum(horizon.dt_h)])
    for k, weight in enumerate(weights.tolist()):
        inside = [hours for hours in (1.0, 3.25) if edges[k] < hours < edges[k + 1]]
        mean = quad(survives, edges[k], edges[k + 1], points=inside or None)[0] / horizon.dt_h[k]
        assert weight == pytest.approx(mean, abs=1e-9)


def test_a_shaped_distribution_has_its_mean() -> None:
    horizon = scenario.build(scenario.load(FOLDER / "five.yaml")).horizon
    long = replace(horizon, dt_h=np.full(72, 0.25))
    assert lasting(DurationSpec(mean_h=4.0, shape=2.0), long) @ long.dt_h == pytest.approx(4.0, abs=1e-6)


def test_an_outage_of_unknown_length_is_coordinated_at_its_expected_cost() -> None:
    source = changed("five", outage={"duration": {"mean_h": 4.0}})
    study = expected(scenario.build(source))
    central = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    result = run(source).require()
    assert abs(result.objective_eur - central.cost) <= GOAL * central.cost
    island = result.summary["island"]
    assert 0.0 < island["normal"]["expected_shed_kwh"] < island["normal"]["shed_kwh"]


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"outage": {"from": "2016-05-26 18:10", "to": "2016-05-26 21:30"}}, "beginning or end of a step"),
        ({"outage": {"from": "2016-05-26 21:30", "to": "2016-05-26 18:00"}}, "from before to"),
        ({"outage": {"from": "2016-05-25 18:00", "to": "2016-05-26 18:00"}}, "beginning or end of a step"),
    ],
)
def test_windows_that_no_step_meets_are_refused(sections: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scenario.build(changed("outage", **sections))


@pytest.mark.parametrize(
    ("name", "sections", "message"),
    [
        ("outage", {"outage": {"from": "2016-05-26 18:00"}}, "from and to"),
        ("outage", {"outage": {"duration": 4}}, "belong"),
        ("five", {"outage": {"duration": {"hours": [1, 2], "probability": [0.5, 0.4]}}}, "add up to 0.9"),
        ("five", {"outage": {"duration": {"mean_h": 3, "hours": [1]}}}, "exactly one"),
        ("outage", {"limits": {"connection": {"import_kw": 10}}}, "unmet_price"),
    ],
)
def test_outages_that_contradict_themselves_are_refused(name: str, sections: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        changed(name, **sections)


def test_a_horizon_longer_than_any_outage_is_refused() -> None:
    with pytest.raises(InputError, match="certainly over"):
        scenario.build(changed("five", outage={"duration": 4}))
