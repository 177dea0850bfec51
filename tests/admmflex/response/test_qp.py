"""Answers of the quadratic program: optimal by independent solvers, checked, and never wrong in silence."""

from __future__ import annotations

from datetime import UTC, datetime

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.errors import InputError, SolverError
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.program import Program, program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response import qp, solvers
from admmflex.response.chain import ChainResponse
from admmflex.response.qp import QpAnswer, QpResponse

STEPS = 24


def horizon_of(steps: int = STEPS, dt: float = 1.0) -> Horizon:
    return Horizon(datetime(2024, 6, 1, tzinfo=UTC), np.full(steps, dt))


def home(seed: int, storages: int, name: str = "home") -> Prosumer:
    """Load, PV and storages of random capability."""
    rng = np.random.default_rng(seed)
    sun = 8 * np.maximum(0, np.sin((np.arange(STEPS) - 6) / 12 * np.pi))
    assets: list[FixedLoad | Pv | Battery] = [
        FixedLoad("load", rng.uniform(0.2, 2, STEPS), rng.uniform(0, 0.5, STEPS)),
        Pv("pv", sun * rng.uniform(0.4, 1), 8.0, reactive=rng.choice(["box", "disc", "power_factor"]), q_cost=0.002),
    ]
    for i in range(storages):
        kind, value = rng.choice(["none", "box", "disc"]), rng.choice([None, 0.1])
        start, wear = rng.uniform(1, 8), rng.choice([0.0, 0.02])
        assets.append(Battery(f"b{i}", 10.0, 5.0, 4.0, start, eta_d=0.93, wear=wear, reactive=kind, end_value=value))
    export = np.full(STEPS, rng.choice([0.08, 0.2]))
    return Prosumer(name, 1, tuple(assets), export + rng.choice([0.0, 0.22]), export)


def signal(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(1000 + seed)
    return 0.05 * rng.normal(size=(2, STEPS)), 2 * rng.normal(size=(2, STEPS))


def objective(one: Program, x: Array, price: Array, target: Array, rho: float) -> float:
    y = one.power(x)
    return one.own_cost(x) + float(one.dt_h @ (0.5 * rho * (y - target) ** 2 - price * y).sum(axis=0))


def clarabel_optimum(one: Program, price: Array, target: Array, rho: float) -> float:
    x = cp.Variable(len(one.cost))
    p, q = one.p0 + one.P @ x, one.q0 + one.Q @ x
    near = sum(cp.sum_squares(cp.multiply(np.sqrt(one.dt_h), y - z)) for y, z in zip((p, q), target, strict=True))
    earned = (one.dt_h * price[0]) @ p + (one.dt_h * price[1]) @ q
    rows = [one.low[i] <= one.A[[i]] @ x for i in np.flatnonzero(np.isfinite(one.low))]
    rows += [one.A[np.isfinite(one.high)] @ x <= one.high[np.isfinite(one.high)], one.x_min <= x, x <= one.x_max]
    problem = cp.Problem(cp.Minimize(one.cost @ x + one.cost_constant - earned + 0.5 * rho * near), rows)
    return float(problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11))


@pytest.mark.parametrize("rho", [0.0, 1e-4, 0.02, 0.5])
@pytest.mark.parametrize("storages", [0, 1, 2, 3])
def test_objective_equals_clarabel(storages: int, rho: float) -> None:
    one = program(home(storages, storages), horizon_of())
    answer, (price, target) = QpAnswer(one), signal(storages)
    answer.solve(price, target, rho)
    direct = clarabel_optimum(one, price, target, rho)
    assert_allclose(objective(one, answer.x, price, target, rho), direct, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("rho", [0.0, 0.02, 0.5])
def test_objective_equals_the_exact_chain_where_they_overlap(rho: float) -> None:
    homes = [home(seed, seed % 2, f"h{seed}") for seed in range(12)]
    chain = split(homes, horizon_of(), {1: 0}).chain
    assert chain is not None
    rows, rng = chain.rows, np.random.default_rng(7)
    assert len(rows) >= 6
    price, target = 0.05 * rng.normal(size=(2, 1, STEPS)), rng.normal(size=(2, len(homes), STEPS))
    exact = ChainResponse(chain, horizon_of().dt_h)
    general = QpResponse([homes[i] for i in rows], rows, np.zeros(len(rows), int), horizon_of())
    values = []
    for response in (exact, general):
        y = np.zeros_like(target)
        response.answer(price, target, rho, y)
        terms = (0.5 * rho * (y - target) ** 2 - price * y).sum(axis=0) @ horizon_of().dt_h
        values.append(response.cost() + terms[rows])
    assert_allclose(values[1], values[0], rtol=1e-8, atol=1e-8)


def test_prices_move_and_rho_changes_without_a_new_setup() -> None:
    one = program(home(5, 2), horizon_of())
    answer = QpAnswer(one)
    for seed, rho in enumerate([0.02, 0.02, 0.1, 0.1, 0.02, 0.0, 0.02]):
        price, target = signal(seed)
        answer.solve(price, target, rho)
        direct = clarabel_optimum(one, price, target, rho)
        assert_allclose(objective(one, answer.x, price, target, rho), direct, rtol=1e-8, atol=1e-8)


def test_the_gap_is_an_upper_bound_and_vanishes_at_the_optimum() -> None:
    one = program(home(2, 1), horizon_of())
    dt, rng = sp.diags(one.dt_h), np.random.default_rng(0)
    unit, (price, target) = one.P.T @ dt @ one.P + one.Q.T @ dt @ one.Q, signal(2)
    pull = one.dt_h * (0.02 * (np.stack([one.p0, one.q0]) - target) - price)
    linear = one.cost + one.P.T @ pull[0] + one.Q.T @ pull[1]
    best = solvers.Clarabel(one, unit.tocsc()).solve(linear, 0.02)
    assert best is not None

    def value(x: Array) -> float:
        return float(0.01 * x @ (unit @ x) + linear @ x)

    assert solvers.optimality_gap(one, 0.02 * (unit @ best.x) + linear, best) < 1e-8
    other = program(home(2, 1), horizon_of())
    for _ in range(20):
        answer = QpAnswer(other)
        answer.solve(rng.normal(size=(2, STEPS)), target, 0.02)
        point = solvers.Point(answer.x, best.rows + 0.01 * rng.normal(size=len(best.rows)))
        gap = solvers.optimality_gap(one, 0.02 * (unit @ answer.x) + linear, point)
        assert gap >= value(answer.x) - value(best.x) - 1e-9


def test_a_stalled_osqp_is_noticed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(solvers.OSQP_SETTINGS, "max_iter", 1)
    one = program(home(1, 2), horizon_of())
    answer, (price, target) = QpAnswer(one), signal(1)
    for count in (1, 2):
        answer.solve(price, target, 0.02)
        assert answer.fallbacks == count
        direct = clarabel_optimum(one, price, target, 0.02)
        assert_allclose(objective(one, answer.x, price, target, 0.02), direct, rtol=1e-8)


def test_an_osqp_that_claims_success_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("eps_abs", 10.0), ("polishing", False), ("check_termination", 1)):
        monkeypatch.setitem(solvers.OSQP_SETTINGS, name, value)
    answer, (price, target) = QpAnswer(program(home(1, 2), horizon_of())), signal(1)
    answer.solve(price, target, 0.02)
    assert answer.fallbacks == 1


def test_no_solver_within_the_tolerance_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qp, "OPTIMALITY", -1.0)
    answer, (price, target) = QpAnswer(program(home(1, 1), horizon_of())), signal(1)
    with pytest.raises(SolverError, match="home"):
        answer.solve(price, target, 0.02)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused_and_leaves_no_trace(bad: float) -> None:
    one = program(home(4, 1), horizon_of())
    answer, fresh, (price, target) = QpAnswer(one), QpAnswer(one), signal(4)
    answer.solve(price, target, 0.02)
    poisoned = price.copy()
    poisoned[0, 3] = bad
    for call in ((poisoned, target, 0.02), (price, poisoned, 0.02), (price, target, bad)):
        with pytest.raises(SolverError, match="finite"):
            answer.solve(*call)
    assert_allclose(answer.solve(price, target, 0.02), fresh.solve(price, target, 0.02), atol=1e-6)


def test_free_reactive_power_stays_at_zero_when_nobody_pays_for_it() -> None:
    pv = Pv("pv", np.full(STEPS, 2.0), 2.0, reactive="box")
    prosumer = Prosumer("p", 1, (pv,), np.full(STEPS, 0.3), np.full(STEPS, 0.1))
    answer = QpAnswer(program(prosumer, horizon_of()))
    none = np.zeros((2, STEPS))
    assert_allclose(answer.solve(none, none, 0.0), [np.full(STEPS, 2.0), np.zeros(STEPS)])


def test_response_writes_its_rows_and_prices_states() -> None:
    prosumers = [home(seed, storages, f"h{seed}") for seed, storages in ((1, 2), (2, 0), (3, 3))]
    rows, buses = np.array([4, 0, 2]), np.array([1, 1, 3])
    response, rng = QpResponse(prosumers, rows, buses, horizon_of()), np.random.default_rng(0)
    out, powers, states, costs = np.full((2, 5, STEPS), np.nan), [], [], []
    for _ in range(3):
        price, target = 0.05 * rng.normal(size=(2, 4, STEPS)), rng.normal(size=(2, 5, STEPS))
        response.answer(price, target, 0.05, out)
        powers.append(out[0, rows].copy())
        states.append(response.state())
        costs.append(response.cost())
    assert np.isnan(out[:, [1, 3]]).all()
    assert np.isfinite(out[:, rows]).all()
    one = QpAnswer(program(prosumers[2], horizon_of()))
    assert_allclose(one.solve(price[:, 3], target[:, 2], 0.05), out[:, 2], atol=1e-5)
    assert_allclose(response.evaluate_cost(powers[-1], states[-1]), costs[-1])
    weights = rng.dirichlet(np.ones(3))
    mixed = {name: np.tensordot(weights, [state[name] for state in states], 1) for name in states[0]}
    power = np.tensordot(weights, powers, 1)
    assert (response.evaluate_cost(power, mixed) <= weights @ costs + 1e-7).all()
    for plan, p in zip(response.plans(states[-1]), powers[-1], strict=True):
        assert_allclose(sum(asset.p for asset in plan), p, atol=1e-9)


def test_stores_that_cannot_stay_in_their_band_are_all_named() -> None:
    class Leaky(Battery):
        """Ends fuller than its charger can make it."""

        @property
        def end_bound_kwh(self) -> float:
            return 9.5

    price = np.full(STEPS, 0.2)
    homes = [Prosumer(n, 1, (Leaky(f"b {n}", 10.0, 0.1, 0.1, 2.0),), price, price) for n in ("one", "two")]
    with pytest.raises(InputError) as caught:
        QpResponse(homes, np.arange(2), np.zeros(2, int), horizon_of())
    assert ["one" in str(f) for f in caught.value.faults] == [True, False]
    assert all("5.22" in fault.value for fault in caught.value.faults)
