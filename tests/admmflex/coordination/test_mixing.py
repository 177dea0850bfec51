"""Mixing: weights on the simplex, plans that every home can carry out, and costs that are bounds from above."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.mixing import SLACK_TOLERANCE, Mix, Mixer, combine
from admmflex.horizon import Array
from admmflex.prosumers.program import Program, program

TOLERANCE = 1e-6  # kW, kWh


class Watched(Admm):
    """Keeps every mix, and the answers and costs that went into it."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.mixes: list[tuple[Mix, Array, Array]] = []

    def _mix(self, iteration: int, own: Array) -> Any:
        found = super()._mix(iteration, own)
        if found[0] is not None:
            assert self.mixer is not None
            used = len(found[0].weights)
            self.mixes.append((found[0], np.array(self.mixer.answers[:used]), np.array(self.mixer.costs[:used])))
        return found


@pytest.fixture(scope="module", params=["rural1/check", "hand/day"])
def mixed(request: pytest.FixtureRequest, setting: Any) -> tuple[Any, Watched, Any]:
    one = setting(request.param)
    admm = one.admm()
    watched = Watched(admm.community, admm.dso, SerialComm(), admm.settings)
    return one, watched, watched.run()


def least_cost(one: Program, power: Array) -> float:
    """The least own cost of a home at these powers of its meter; infinite where it cannot do that."""
    equal = np.concatenate([one.P.toarray(), one.Q.toarray()])
    wanted = np.concatenate([power[0] - one.p0, power[1] - one.q0])
    table = np.concatenate([one.A.toarray(), -one.A.toarray(), equal, -equal])
    right = np.concatenate([one.high, -one.low, wanted, -wanted]) + TOLERANCE
    bounds = list(zip(one.x_min - TOLERANCE, one.x_max + TOLERANCE, strict=True))
    if not len(one.cost):
        return one.cost_constant if right.min() >= 0 else np.inf
    found = linprog(one.cost, A_ub=table[np.isfinite(right)], b_ub=right[np.isfinite(right)], bounds=bounds)
    return float(found.fun or 0.0) + one.cost_constant if found.status == 0 else np.inf


def test_weights_are_shares_of_answers(mixed: Any) -> None:
    _, admm, _ = mixed
    assert admm.mixes
    for mix, answers, costs in admm.mixes:
        assert mix.weights.min() >= 0.0
        assert_allclose(mix.weights.sum(axis=0), 1.0, atol=1e-9)
        assert_allclose(mix.cost, np.sum(mix.weights * costs), rtol=1e-12)
        assert_allclose(mix.x, combine(mix.weights, answers))


def test_every_home_can_carry_out_the_plan_at_no_more_than_the_reported_cost(mixed: Any) -> None:
    one, _, found = mixed
    assert found.status == "optimal"
    homes = [program(prosumer, one.study.horizon) for prosumer in one.ordered.prosumers]
    costs = [least_cost(home, found.plan.y[:, i]) for i, home in enumerate(homes)]
    assert sum(costs) <= found.plan.cost + 1e-5 * abs(found.plan.cost)


def test_the_trajectories_belong_to_the_powers(mixed: Any) -> None:
    """Energies follow from the powers and stay within their bands; what the assets do adds up to the meter."""
    one, admm, found = mixed
    horizon, population = one.study.horizon, admm.community.population
    for i, (home, plans) in enumerate(zip(one.ordered.prosumers, population.plans(found.plan.states), strict=True)):
        assert_allclose(sum(plan.p for plan in plans), found.plan.y[0, i], atol=TOLERANCE)
        assert_allclose(sum(plan.q for plan in plans), found.plan.y[1, i], atol=TOLERANCE)
        for asset, plan in zip(home.assets, plans, strict=True):
            flow = asset.flow(horizon)
            assert (plan.p <= flow.fixed_p + flow.give_max + TOLERANCE).all()
            assert (plan.p >= flow.fixed_p - flow.take_max - TOLERANCE).all()
            assert (np.abs(plan.q - flow.fixed_q) <= flow.q_max + TOLERANCE).all()
            if flow.store is not None:
                store = flow.store
                assert (plan.energy >= store.e_min - TOLERANCE).all()
                assert (plan.energy <= store.e_max + TOLERANCE).all()
                # of all ways to split p into give and take, taking alone stores most
                before = np.concatenate([[store.e_start], plan.energy[:-1]])
                net = np.where(plan.p > 0, plan.p / store.eta_give, plan.p * store.eta_take)
                most = store.keep * before - horizon.dt_h * net + store.gain
                assert (plan.energy <= most + TOLERANCE).all()
    costs = population.evaluate_cost(found.plan.y, found.plan.states)
    assert costs.sum() <= found.plan.cost + 1e-9


def test_mixes_never_beat_the_linear_program_over_the_same_rows(mixed: Any) -> None:
    """The last mix against HiGHS over all rows of the mixer's working set."""
    _, admm, _ = mixed
    mixer = admm.mixer
    mix, answers, costs = admm.mixes[-1]
    rows, (n_answers, n_buses) = mixer.dso.rows, costs.shape
    m, product = len(rows), rows.gradient[None] * answers[:, rows.step]
    effect = (product[:, :, :n_buses] + product[:, :, n_buses:]).transpose(1, 2, 0).reshape(m, -1)
    limit = np.einsum("mj,mj->m", rows.gradient, mixer.dso.origin[rows.step]) - rows.value
    found = linprog(
        np.concatenate([costs.T.ravel(), np.full(m, mixer.price)]),
        A_ub=np.hstack([effect / rows.scale[:, None], -np.eye(m)]),
        b_ub=limit / rows.scale,
        A_eq=np.hstack([np.kron(np.eye(n_buses), np.ones(n_answers)), np.zeros((n_buses, m))]),
        b_eq=np.ones(n_buses),
    )
    assert found.fun is not None
    assert_allclose(mix.cost, found.fun, rtol=2e-5)
    assert mix.slack <= SLACK_TOLERANCE


def test_what_the_last_mix_used_is_kept(setting: Any) -> None:
    """A full memory forgets the answer that the last mix used least, or the oldest of those."""
    _, dso = setting("hand/day").parts()
    mixer, rng = Mixer(dso, SerialComm(), 4, 100.0), np.random.default_rng(0)
    x = rng.normal(size=(5, 3, 10))
    assert [mixer.record(one, np.zeros(5)) for one in x[:4]] == [None] * 4
    mixer.used = [1.0, 0.2, 0.1, 0.3]
    assert mixer.record(x[4], np.zeros(5)) == 2
    assert_allclose(mixer.answers, x[[0, 1, 3, 4]])
    mixer.used = [1.0] * 4
    assert mixer.record(x[0], np.zeros(5)) == 0
    assert len(mixer.answers) == len(mixer.costs) == len(mixer.used) == 4


def test_answers_within_the_limits_are_mixed_for_cost_alone(setting: Any) -> None:
    one = setting("hand/day").with_limits(0.5, 2.0, 100.0)
    _, dso = one.parts()
    mixer, rng = Mixer(dso, SerialComm(), 10, 100.0), np.random.default_rng(0)
    costs = rng.normal(size=(4, 5))
    for cost in costs:
        mixer.record(rng.normal(size=(3, 10)), cost)
    assert_allclose(mixer.mix().cost, costs.min(axis=0).sum())


@pytest.mark.parametrize("name", ["hand/day", "rural1/idle", "rural1/worst"])
def test_without_mixing_the_answers_themselves_get_there(setting: Any, name: str) -> None:
    one = setting(name)
    found = one.run(mixing=None, max_iterations=300)
    assert found.status == "optimal"
    assert found.plan.excess[0] <= 1e-4
    assert found.plan.excess[1] <= 1e-3
    assert abs(found.plan.cost - one.central.cost) <= 5e-3 * abs(one.central.cost)
