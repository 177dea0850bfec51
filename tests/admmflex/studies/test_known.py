"""Homes as they are known at a moment, and what their energy is worth within a plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.coordination.central import solve_central
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.horizon import Horizon
from admmflex.prosumers.charting import Measured
from admmflex.prosumers.devices import Devices
from admmflex.response.choose import populate
from admmflex.studies.known import KnownHomes
from admmflex.studies.planned_value import PlannedValue

DT = 1 / 60


@pytest.fixture(scope="module")
def study(five: Callable[[str, str], Study]) -> Study:
    return five("15:00", "2h")


@pytest.fixture(scope="module")
def known(study: Study) -> KnownHomes:
    homes = list(study.prosumers)
    return KnownHomes(homes, Devices.of(homes, study.horizon), study.horizon)


def as_foreseen(known: KnownHomes, k: int, energy: float) -> Measured:
    devices = known.devices
    stored = np.full(len(devices.stores), energy)
    return Measured(devices.fixed_p[:, k], devices.fixed_q[:, k], devices.source_give[:, k], stored)


def least_cost(study: Study) -> float:
    found = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert found.status == "optimal"
    return found.cost


def test_the_rest_of_a_horizon_is_the_study_itself_at_its_beginning(study: Study, known: KnownHomes) -> None:
    homes, horizon = known.rest(slice(0, None), as_foreseen(known, 0, 6.0), 0.5)
    again = replace(study, prosumers=tuple(homes), horizon=horizon)
    assert least_cost(again) == pytest.approx(least_cost(study), rel=1e-7)


@pytest.mark.parametrize("energy", [2.9, 3.0, 30.0, 30.1])
def test_what_cannot_be_kept_gives_way(known: KnownHomes, energy: float) -> None:
    """3 kWh cannot become 6 in the last quarter of an hour, nor can a store leave its band by itself."""
    last = known.horizon.steps - 1
    homes, horizon = known.rest(slice(last, None), as_foreseen(known, last, energy), 0.5)
    population = populate(homes, horizon, {one.bus: i for i, one in enumerate(homes)})
    nothing = np.zeros((2, len(homes), 1))
    population.answer(nothing, nothing.copy(), 0.0)
    stored = [
        plan.energy[-1] for owner in population.plans(population.state()) for plan in owner if plan.energy is not None
    ]
    assert_allclose(stored, np.clip(stored, 2.9, min(30.1, energy + 0.95 * 8.0 * 0.25)), atol=1e-6)


def test_a_price_moves_the_value_of_energy(known: KnownHomes) -> None:
    """Under a price that lowers both tariffs by 3 ct all day, energy is worth 3 ct less per kWh that it yields."""
    stores, steps = len(known.devices.stores), known.horizon.steps
    seen, found = as_foreseen(known, 0, 15.0), []
    for price in (0.0, -0.03):
        value = PlannedValue(known, even=0.0, hold=0.0)
        prices = np.full((known.devices.homes, steps), price)
        value.begin(0, prices, np.zeros((stores, steps)), np.full((2, stores), 15.0))
        found.append(value.margin(seen, 14 * DT, DT, 0.0))
    assert_allclose(found[0].given - found[1].given, 0.03 * 0.95, atol=1e-9)
    assert np.all(found[0].given >= found[0].taken - 1e-12)


def test_energy_above_the_plan_is_worth_less(known: KnownHomes) -> None:
    stores, steps = len(known.devices.stores), known.horizon.steps
    value = PlannedValue(known, even=0.0, hold=0.1)
    value.begin(0, np.zeros((known.devices.homes, steps)), np.zeros((stores, steps)), np.full((2, stores), 15.0))
    at, above = (value.margin(as_foreseen(known, 0, energy), 0.0, DT, 0.0) for energy in (15.0, 15.2))
    middle = [one.given - 0.5 * 0.1 * one.down for one in (at, above)]  # slopes are means over what can be given up
    assert_allclose(middle[0] - middle[1], 0.1 * 0.2, atol=1e-9)


def test_one_step_is_answered_within_what_devices_can_do(known: KnownHomes) -> None:
    seen, stores, steps = as_foreseen(known, 0, 6.0), len(known.devices.stores), known.horizon.steps
    value = PlannedValue(known, even=2e-4, hold=0.03)
    value.begin(0, np.zeros((known.devices.homes, steps)), np.zeros((stores, steps)), np.full((2, stores), 6.0))
    homes = known.step(0, seen, DT, value.margin(seen, 14 * DT, DT, 0.5))
    horizon = Horizon(known.horizon.start, np.array([DT]))
    population = populate(homes, horizon, {one.bus: i for i, one in enumerate(homes)})
    nothing = np.zeros((2, len(homes), 1))
    y = population.answer(nothing, nothing.copy(), 0.0)
    plans = [one for owner in population.plans(population.state()) for one in owner]
    source, storage = (
        np.array([plans[i].p[0] for i in known.source_place]),
        [plans[i].p[0] for i in known.storage_place],
    )
    assert np.all(source <= seen.give + 1e-12)
    assert np.all(np.abs(storage) <= 8.0)
    assert_allclose(y[0, :, 0], seen.fixed_p + source + np.array(storage), atol=1e-9)


def test_a_grid_later_has_the_rows_of_the_steps_that_are_left(study: Study) -> None:
    buses = study.network.positions([one.bus for one in study.prosumers])
    dso = Dso(study.network, study.limits, buses, 4)
    x = np.zeros((4, 2 * len(buses)))
    x[1:, : len(buses)] = np.array([12.0, 0.0, 14.0])[:, None]
    dso.relinearise(x)
    dso.project(x, np.ones_like(x))
    later, kept = dso.later(2, 2, study.limits), dso.rows.step >= 2
    assert kept.any()
    assert_allclose(later.rows.nu, dso.rows.nu[kept])
    later.relinearise(x[2:])
    assert_allclose(later.rows.value, dso.rows.value[kept], atol=1e-9)
    assert np.all(np.isin(later.rows.step, [1]))
