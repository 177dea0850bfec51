"""A day under price coordination in closed loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from admmflex.assets import FixedLoad, Pv
from admmflex.coordination.central import solve_central
from admmflex.data.compromised import Suspects
from admmflex.data.reality import Deviations, realise
from admmflex.data.study import Study
from admmflex.errors import InputError
from admmflex.horizon import Array
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.day import Day
from admmflex.studies.hindsight import hindsight
from admmflex.studies.receding import RecedingSettings, simulate_prices
from grid import Connection

CONTROL_H, PER_STEP = 1 / 12, 3
SETTINGS = RecedingSettings(control_h=CONTROL_H)


@pytest.fixture(scope="module")
def study(five: Callable[[str, str], Study]) -> Study:
    return five("11:00", "2h")


@pytest.fixture(scope="module")
def day(study: Study) -> Day:
    return simulate_prices(study, None, SETTINGS, seed=1)


def optimum(study: Study) -> float:
    found = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert found.status == "optimal"
    return found.cost


def test_limits_hold_in_the_power_flow_of_what_was_done(study: Study) -> None:
    """With loads that deviate; a plant that loses the sun also loses reactive power, which nobody makes up for."""
    day = simulate_prices(study, None, SETTINGS, seed=1, deviations=Deviations(sun=0.0, clouds=0.0))
    assert day.statuses == {"optimal": day.powers.shape[2]}
    assert day.excess.max() <= 1e-3
    assert day.v_pu[1].max() > 1.049  # the limit matters
    assert day.price[0].min() < -0.01


def test_energies_are_those_of_the_powers(study: Study, day: Day) -> None:
    devices = Devices.of(list(study.prosumers), study.horizon)
    start = np.array([one.e_start for one in devices.stores])
    give, take = np.maximum(day.storage[0], 0.0), np.maximum(-day.storage[0], 0.0)
    assert_allclose(day.energy, start[:, None] + CONTROL_H * np.cumsum(0.95 * take - give / 0.95, axis=1), atol=1e-9)
    assert np.all(day.energy[:, -1] >= 6.0 - 0.05)  # what one step's surprise takes from the least energy at the end


def test_costs_are_those_of_the_powers(study: Study, day: Day) -> None:
    bought, sold = (np.repeat(np.stack(x), PER_STEP, axis=1) for x in _tariff(study))
    p = day.powers[0]
    moved = 0.01 * np.abs(day.storage[0]) + 0.002 * (np.abs(day.storage[1]) + np.abs(day.source[1]))
    meter = bought * np.maximum(-p, 0.0) - sold * np.maximum(p, 0.0)
    assert_allclose(day.cost, CONTROL_H * (meter + moved), atol=1e-12)


def test_no_control_beats_hindsight(study: Study, day: Day) -> None:
    devices = Devices.of(list(study.prosumers), study.horizon)
    known = hindsight(study, realise(devices, PER_STEP, 1))
    end_value = 0.11 * np.maximum(6.0 - day.energy[:, -1], 0.0).sum()
    best = optimum(known)
    assert day.cost.sum() + end_value >= best - 1e-3 * abs(best)


def test_a_seed_gives_the_same_day_again(five: Callable[[str, str], Study]) -> None:
    hour = five("12:00", "1h")
    one, again, other = (simulate_prices(hour, None, SETTINGS, seed=seed) for seed in (1, 1, 2))
    for name in ("powers", "source", "storage", "energy", "cost", "price", "rounds"):
        assert_array_equal(getattr(again, name), getattr(one, name))
    assert not np.allclose(other.cost, one.cost)


def test_a_steady_day_as_foreseen_without_limits_costs_what_was_planned(study: Study, as_foreseen: Deviations) -> None:
    """Loads and sun that stand still are measured without delay."""
    free = replace(study.network, v_max=study.network.v_max + 0.2)
    flat = tuple(_steady(one) for one in study.prosumers)
    loose = replace(study, network=free, limits=replace(study.limits, network=free), prosumers=flat)
    day = simulate_prices(loose, None, SETTINGS, deviations=as_foreseen)
    assert day.plans[0]["cost_eur"] == pytest.approx(optimum(loose), rel=1e-3)
    assert day.cost.sum() == pytest.approx(day.plans[0]["cost_eur"], rel=2e-3)


def test_warm_plans_need_at_most_two_thirds_of_the_answers_of_cold_ones(study: Study, day: Day) -> None:
    cold = simulate_prices(study, None, replace(SETTINGS, warm=False), seed=1)
    answers = [sum(plan["answers"] for plan in one.plans[1:]) for one in (day, cold)]
    assert answers[0] <= answers[1] * 2 / 3
    assert cold.cost.sum() == pytest.approx(day.cost.sum(), rel=0.02)


def _tariff(study: Study) -> tuple[list[Array], list[Array]]:
    return [one.import_price for one in study.prosumers], [one.export_price for one in study.prosumers]


def _steady(home: Prosumer) -> Prosumer:
    load, pv, battery = home.assets
    assert isinstance(load, FixedLoad)
    assert isinstance(pv, Pv)
    load = replace(load, p_kw=np.full_like(load.p_kw, load.p_kw.mean()), q_kvar=np.zeros_like(load.q_kvar))
    pv = replace(pv, avail_kw=np.full_like(pv.avail_kw, 3.0))
    return replace(home, assets=(load, pv, battery))


def test_clouds_over_homes_without_batteries_do_not_break_limits(five: Callable[[str, str], Study]) -> None:
    """What the sun gives on top of what was measured a minute ago is held back where there is no room for it."""
    hour = five("12:00", "1h")
    plants = replace(hour, prosumers=tuple(replace(one, assets=one.assets[:2]) for one in hour.prosumers))
    day = simulate_prices(plants, None, RecedingSettings(control_h=1 / 60), seed=3)
    assert day.v_pu[1].max() > 1.049  # the limit matters
    assert day.excess[0].max() <= 1e-3


def test_suspects_and_limits_of_the_slack_are_refused(study: Study) -> None:
    closed = replace(study.limits, connection=Connection.closed(np.ones(study.horizon.steps)))
    doubtful = replace(study, limits=closed, suspects=Suspects(((0, 0),), 1, 0.0))
    with pytest.raises(InputError) as caught:
        simulate_prices(doubtful, None, SETTINGS)
    assert [fault.value for fault in caught.value.faults] == [
        "compromised devices",
        "limits of what is drawn at the slack",
    ]
