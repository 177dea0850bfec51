"""Reserve for the upstream grid: against the same problem written in cvxpy, and in the AC power flow when called."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex import scenario
from admmflex.assets.battery import Battery
from admmflex.assets.pv import Pv
from admmflex.data.study import Study
from admmflex.errors import InputError
from admmflex.horizon import Array, Horizon
from admmflex.studies.reserve import sweep
from grid import Connection
from grid.limits import Limits

HAND = Path(__file__).parents[3] / "experiments" / "hand" / "day.yaml"
PRICES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)


def hand(v_max: float = 1.05, dt_h: float = 1.0, **battery: object) -> Study:
    """Five homes with one battery, its fields replaced, in steps of another length."""
    study = scenario.build(scenario.load(HAND))
    network = study.network.with_limits(v_max=v_max)
    homes = [
        replace(one, assets=tuple(replace(a, **battery) if isinstance(a, Battery) else a for a in one.assets))  # type: ignore[arg-type]
        for one in study.prosumers
    ]
    horizon = Horizon(study.horizon.start, dt_h * study.horizon.dt_h)
    return replace(study, network=network, limits=Limits.of(network), prosumers=tuple(homes), horizon=horizon)


@dataclass(frozen=True)
class Direct:
    """The least cost less earnings, the reserve, and what the battery does: energies, and its offers up and down."""

    value: float
    held: Array
    energy: Array
    up: Array
    down: Array


def directly(study: Study, price: float, hold_h: float) -> Direct:
    """The same without limits of the grid, in cvxpy: one battery, several plants."""
    dt, steps = study.horizon.dt_h, study.horizon.steps
    ends = np.concatenate([[0.0], np.cumsum(dt)])
    held = cp.Variable(steps, nonneg=True)
    take, give, up, down = (cp.Variable(steps, nonneg=True) for _ in range(4))
    one = next(asset for home in study.prosumers for asset in home.assets if isinstance(asset, Battery))
    charged = cp.multiply(dt, one.eta_c * take - give / one.eta_d)
    energy = cp.hstack([one.e_start_kwh, one.e_start_kwh + cp.cumsum(charged)])
    rules = [take <= one.p_charge_kw, give <= one.p_discharge_kw, energy >= one.e_min_kwh, energy <= one.e_max_kwh]
    rules += [energy[steps] >= one.end_bound_kwh]
    rules += [give - take + up <= one.p_discharge_kw, take - give + down <= one.p_charge_kw]
    for k in range(steps):
        for b in range(k, steps + 1):
            if b <= k + 1 or ends[b - 1] < ends[k + 1] + hold_h - 1e-9:
                rules += [energy[b] - hold_h * up[k] / one.eta_d >= one.e_min_kwh]
                rules += [energy[b] + hold_h * down[k] * one.eta_c <= one.e_max_kwh]
    cost, all_down = dt @ (one.wear * (give + take)), down
    for home in study.prosumers:
        p = give - take if one in home.assets else cp.Constant(np.zeros(steps))
        for asset in home.assets:
            if isinstance(asset, Pv):
                sun, less = cp.Variable(steps, nonneg=True), cp.Variable(steps, nonneg=True)
                rules += [sun <= asset.avail_kw, less <= sun]
                p, all_down = p + sun, all_down + less
            elif not isinstance(asset, Battery):
                p = p + asset.flow(study.horizon).fixed_p
        spread = home.import_price - home.export_price
        cost = cost + dt @ (cp.multiply(spread, cp.pos(-p)) - cp.multiply(home.export_price, p))
    rules += [held <= up, held <= all_down]
    problem = cp.Problem(cp.Minimize(cost - price * (dt @ held)), rules)
    problem.solve(cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return Direct(float(problem.value), held.value, energy.value, up.value, down.value)


@pytest.mark.parametrize(("dt_h", "hold_h"), [(1.0, 0.25), (1.0, 1.0), (0.25, 0.6)])
def test_the_reserve_is_that_of_the_same_problem_in_cvxpy(dt_h: float, hold_h: float) -> None:
    study = hand(
        v_max=1.3, dt_h=dt_h, e_max_kwh=3.0, e_start_kwh=1.2, e_min_kwh=0.3, e_end_min_kwh=0.5, eta_c=0.9, eta_d=0.95
    )
    for found in sweep(study, PRICES, hold_h, block_h=dt_h):
        expected = directly(study, found.price, hold_h)
        assert found.status == "optimal"
        value = found.cost - found.price * float(study.horizon.dt_h @ found.power_kw)
        assert_allclose(value, expected.value, atol=1e-6)
    assert found.power_kw.max() > 0.5


@pytest.mark.parametrize(("dt_h", "hold_h"), [(1.0, 0.25), (0.25, 0.6)])
def test_calls_that_begin_at_any_minute_find_the_energy(dt_h: float, hold_h: float) -> None:
    study = hand(
        v_max=1.3, dt_h=dt_h, e_max_kwh=3.0, e_start_kwh=1.2, e_min_kwh=0.3, e_end_min_kwh=0.5, eta_c=0.9, eta_d=0.95
    )
    found = directly(study, 0.4, hold_h)
    ends = np.concatenate([[0.0], np.cumsum(study.horizon.dt_h)])
    minute, low, high = np.arange(0.0, ends[-1] + 1e-9, 1.0 / 60.0), [], []
    plan = np.interp(minute, ends, found.energy)
    for given, swing, side in ((found.up / 0.95, -1.0, low), (found.down * 0.9, 1.0, high)):
        called = np.concatenate([[0.0], np.cumsum(given * study.horizon.dt_h)])
        for begin in minute:
            length = np.clip(minute - begin, 0.0, hold_h)
            moved = np.interp(begin + length, ends, called) - np.interp(begin, ends, called)
            during = (minute >= begin) & (minute <= begin + hold_h)
            side.append((plan + swing * moved)[during])
    assert min(one.min() for one in low) >= 0.3 - 1e-6
    assert max(one.max() for one in high) <= 3.0 + 1e-6


def test_calls_of_any_depth_meet_the_limits_of_the_grid() -> None:
    study = hand()
    reserves = sweep(study, PRICES, 0.25)
    free = sweep(hand(v_max=1.3), PRICES, 0.25)
    for found, loose in zip(reserves, free, strict=True):
        planned, up, down = found.powers
        for call in (up, down):
            for depth in np.linspace(0.0, 1.0, 5):
                flow = grid.power_flow(study.network, *(planned + depth * (call - planned))).require()
                assert max(table.max() for table in study.limits.excess(flow.v)) <= 1e-6
        moved = (up - planned)[0].sum(axis=0), (planned - down)[0].sum(axis=0)
        assert (np.minimum(*moved) >= found.power_kw - 1e-9).all()
        hours = study.horizon.dt_h
        assert found.cost - found.price * hours @ found.power_kw >= loose.cost - loose.price * hours @ loose.power_kw


def test_more_is_held_ready_at_a_higher_price_and_costs_more() -> None:
    study = hand()
    found = sweep(study, PRICES, 0.25)
    held = [float(study.horizon.dt_h @ one.power_kw) for one in found]
    assert np.diff(held).min() >= -1e-9
    for cheap, dear in pairwise(found):
        more, cost = held[found.index(dear)] - held[found.index(cheap)], dear.cost - cheap.cost
        assert cheap.price * more - 1e-7 <= cost <= dear.price * more + 1e-7


def test_limits_of_the_slack_are_refused() -> None:
    study = hand()
    closed = replace(study.limits, connection=Connection.closed(np.ones(study.horizon.steps)))
    with pytest.raises(InputError, match="limits of what is drawn at the slack"):
        sweep(replace(study, limits=closed), [0.1], 0.25)


@pytest.mark.parametrize(("hold_h", "block_h"), [(0.0, 1.0), (0.25, -1.0), (np.nan, 1.0)])
def test_lengths_that_make_no_sense_are_refused(hold_h: float, block_h: float) -> None:
    with pytest.raises(InputError, match="a positive number of hours"):
        sweep(hand(), [0.1], hold_h, block_h)
