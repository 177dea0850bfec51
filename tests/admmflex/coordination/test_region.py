"""Areas behind a trunk, side by side, against the whole problem solved at once and against one grid."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.coordination import schemes
from admmflex.coordination.central import CentralResult, solve_central
from admmflex.coordination.schemes import Outcome, by_prices
from admmflex.data.study import Study
from admmflex.horizon import Array
from grid.limits import Limits

GAP = 2e-3
SUNNY, MILD = (1.4, 1.6, 0.2, 1.5), (0.5, 0.3, 0.4, 0.4)
DAYS: dict[str, dict[str, Any]] = {
    "areas": {"sun": SUNNY},
    "trunk": {"sun": MILD, "line_ka": 0.0035},
    "both": {"sun": SUNNY, "line_ka": 0.005},
    "quiet": {"sun": MILD},
}


@pytest.fixture(scope="module")
def day(region_file: Any) -> Any:
    """``day(name)``: a study, its central optimum and its outcome, found once."""

    @cache
    def find(name: str) -> tuple[Study, CentralResult, Outcome]:
        study = scenario.build(scenario.load(region_file(**DAYS[name])))
        central = solve_central(study.network, study.limits, study.prosumers, study.horizon)
        return study, central, coordinated(study)

    return find


def coordinated(study: Study) -> Outcome:
    return by_prices(study, SerialComm(), lambda record: None)


def excess(study: Study, y: Array, trunk: bool | None = None) -> tuple[float, float]:
    """Largest excess of a voltage and of a loading in one AC power flow of the whole grid; of one part, if asked."""
    p, q = np.zeros((2, study.network.n, study.horizon.steps))
    at = study.network.positions([one.bus for one in study.prosumers])
    np.add.at(p, at, y[0])
    np.add.at(q, at, y[1])
    high, low, load = study.limits.excess(grid.power_flow(study.network, p, q).require().v)
    division = grid.divide(study.network)
    assert division is not None
    above = division.area_of < 0
    bus = np.ones(study.network.n, bool) if trunk is None else above == trunk
    end = np.ones(study.limits.ends, bool)
    if trunk is not None:
        end = (above[study.limits.from_bus] & above[study.limits.to_bus]) == trunk
    return float(np.maximum(high, low)[bus].max()), float(load[end].max())


@pytest.mark.parametrize("name", DAYS)
def test_the_plan_is_as_good_as_the_central_optimum(day: Any, name: str) -> None:
    """Within the limits of the whole in AC, no dearer, and proven from below."""
    study, central, found = day(name)
    assert central.status == found.status == "optimal"
    volts, load = excess(study, found.plan.y)
    assert volts <= 1e-4
    assert load <= 1e-3
    size = abs(central.cost)
    assert abs(found.plan.cost - central.cost) <= GAP * size
    assert found.lower_bound <= central.cost + 1e-4 * size
    assert found.lower_bound >= central.cost - GAP * size


@pytest.mark.parametrize(("name", "areas", "trunk"), [("areas", 1, 0), ("trunk", 0, 1), ("both", 1, 1)])
def test_the_days_are_what_they_are_called(day: Any, name: str, areas: bool, trunk: bool) -> None:
    """What the uncoordinated day breaks."""
    study, _, found = day(name)
    assert (max(excess(study, found.baseline.y, trunk=False)) > 1e-3) == bool(areas)
    assert (max(excess(study, found.baseline.y, trunk=True)) > 1e-3) == bool(trunk)


def test_without_congestion_everybody_is_asked_once(day: Any) -> None:
    _, central, found = day("quiet")
    assert found.answers == 1
    assert not found.history
    assert not found.price.any()
    assert_allclose(found.plan.y, found.baseline.y)
    assert_allclose(found.plan.cost, central.cost, rtol=1e-9)


@pytest.mark.parametrize("name", ["areas", "both"])
def test_one_grid_for_all_costs_the_same(day: Any, name: str, monkeypatch: Any) -> None:
    study, _, found = day(name)
    monkeypatch.setattr(schemes, "divide", lambda study: None)
    flat = coordinated(study)
    assert flat.status == "optimal"
    assert_allclose(found.plan.cost, flat.plan.cost, rtol=GAP)


def test_areas_are_coordinated_side_by_side_unless_the_trunk_binds(day: Any) -> None:
    """Only the former tells how many areas are under way; areas that break no limit rest."""
    assert all("areas" not in record for record in day("both")[2].history)
    under_way = [record["areas"] for record in day("areas")[2].history]
    assert max(under_way) > 0
    assert min(under_way) < 5


def test_an_area_that_cannot_meet_its_limits_is_named(region_file: Any) -> None:
    """Much load at the end of the longest cable, in the evening."""
    study = scenario.build(scenario.load(region_file(evening=12.0)))
    found = coordinated(study)
    central = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert central.status == found.status == "infeasible"
    assert found.message is not None
    assert {row.label for row in central.rows if row.excess > 0} & {found.message.split(" at 2016")[0]}
    assert found.lower_bound is None


def test_a_trunk_that_cannot_meet_its_limits_is_named(region_file: Any) -> None:
    """Loads alone overload the line to all areas."""
    study = scenario.build(scenario.load(region_file(evening=6.0, sun=MILD, line_ka=0.0008)))
    found = coordinated(study)
    assert found.status == "infeasible"
    assert found.message is not None
    assert "MV line" in found.message


def test_a_voltage_of_the_trunk_is_a_limit_of_the_trunk(day: Any) -> None:
    """The band of medium voltage alone is narrowed until the uncoordinated day leaves it."""
    study, _, free = day("quiet")
    v_max = np.where(study.network.base_kv < 1.0, 1.05, 1.0135)
    network = study.network.with_limits(v_max=v_max)
    narrow = replace(study, network=network, limits=Limits.of(network))
    assert excess(narrow, free.plan.y, trunk=True)[0] > 1e-3
    central = solve_central(network, narrow.limits, study.prosumers, study.horizon)
    found = coordinated(narrow)
    assert central.status == found.status == "optimal"
    assert excess(narrow, found.plan.y)[0] <= 1e-4
    assert abs(found.plan.cost - central.cost) <= GAP * abs(central.cost)
