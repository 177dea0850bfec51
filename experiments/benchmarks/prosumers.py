"""The prosumer step: 1,000 homes answer a price, against general solvers on the same quadratic programs.

Every home has a load, PV and a battery with losses and wear behind an import/export tariff, 96 steps of 15 minutes.
Prices and targets change from round to round as in a coordination, so that warm starts are worth something. Peers
answer for a sample of the homes, set up once and warm-started; their time per answer is scaled to 1,000 homes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np
import osqp
import scipy.sparse as sp

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset
from admmflex.assets.pv import Pv
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.program import Program, program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.chain import ChainResponse
from admmflex.response.signal import Response
from experiments.benchmarks.common import Peer, Row, attempt, clock, versions

HOMES = 1000
SAMPLE = 12
ROUNDS = 12
RHO = 0.03
STEPS = 96

OSQP_ITERATIONS = 20_000
OSQP_ENDS = (
    osqp.SolverStatus.OSQP_SOLVED,
    osqp.SolverStatus.OSQP_SOLVED_INACCURATE,
    osqp.SolverStatus.OSQP_MAX_ITER_REACHED,
)

Answer = Callable[[Array], Array]
"""Solution of one program for a linear cost."""


@dataclass(frozen=True)
class Case:
    """Homes, each at a bus of its own, and the signals of some rounds: price and target (ROUNDS, 2, n, STEPS)."""

    horizon: Horizon
    prosumers: list[Prosumer]
    price: Array
    target: Array


def case(seed: int = 0) -> Case:
    """Homes of different size on a sunny day, prices that settle from round to round."""
    rng = np.random.default_rng(seed)
    horizon = Horizon(datetime(2016, 6, 1, tzinfo=UTC), np.full(STEPS, 0.25))
    hour = (np.arange(STEPS) + 0.5) / 4
    prosumers = [behind_meter(i, basics(rng, hour), hour) for i in range(HOMES)]
    return Case(horizon, prosumers, *signals(rng, hour, HOMES))


def signals(rng: np.random.Generator, hour: Array, homes: int) -> tuple[Array, Array]:
    """Prices and targets ``(ROUNDS, 2, homes, STEPS)`` that settle from round to round."""
    noon, evening = np.exp(-((hour - 13) ** 2) / 4), np.exp(-((hour - 19) ** 2) / 3)
    weight = rng.uniform(0.3, 1.0, (homes, 1))
    settled = weight * (0.08 * evening - 0.12 * noon)
    price, target = np.zeros((ROUNDS, 2, homes, STEPS)), np.zeros((ROUNDS, 2, homes, STEPS))
    level = rng.normal(0.0, 2.0, (homes, STEPS))
    for k in range(ROUNDS):
        price[k, 0] = settled + 0.5**k * rng.normal(0.0, 0.05, (homes, STEPS))
        target[k, 0] = level + 0.5**k * rng.normal(0.0, 1.0, (homes, STEPS))
    return price, target


def basics(rng: np.random.Generator, hour: Array) -> tuple[Asset, ...]:
    """A load, PV and a battery of random size."""
    load = rng.uniform(0.2, 1.0) * (0.6 + 0.8 * np.exp(-((hour - 19) ** 2) / 4)) * rng.uniform(0.5, 1.5, STEPS)
    rating = rng.uniform(4.0, 10.0)
    sun = rating * np.maximum(0.0, np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0.7, 1.0, STEPS)
    size, power = rng.uniform(5.0, 12.0), rng.uniform(2.0, 5.0)
    battery = Battery("battery", size, power, power, 0.2 * size, wear=0.02, eta_c=0.95, eta_d=0.95)
    return FixedLoad("load", load, np.zeros(STEPS)), Pv("pv", sun, rating), battery


def behind_meter(number: int, assets: tuple[Asset, ...], hour: Array) -> Prosumer:
    """A home at a bus of its own, power dear in the evening and cheap at night."""
    tariff = np.where((hour >= 17) & (hour < 21), 0.38, np.where(hour < 6, 0.22, 0.30))
    return Prosumer(f"home {number}", number, assets, tariff, np.full(STEPS, 0.08))


def rows() -> list[Row]:
    """The chain against OSQP, PIQP and cvxpy with Clarabel."""
    day = case()
    ours_s, cost = _ours(day)
    return compare(f"prosumer step, {HOMES} homes, {STEPS} steps, losses, kink, wear", day, ours_s, cost)


def compare(name: str, day: Case, ours_s: float, cost: Array) -> list[Row]:
    """Rows for every peer; ``cost (ROUNDS, SAMPLE)`` [EUR] are our objectives of the sampled homes."""
    found = []
    for peer, build, packages in PEERS:
        answer = attempt(partial(_peer, day, build, cost))
        used = versions("numba", "numpy", *packages)
        found.append(Row.against(name, ours_s, peer, answer, "of the objective", used))
    return found


def _ours(day: Case) -> tuple[float, Array]:
    """Median seconds of a round, and the objective of the sampled homes in every round ``(ROUNDS, SAMPLE)`` [EUR]."""
    groups = split(day.prosumers, day.horizon, {i: i for i in range(HOMES)})
    assert groups.chain is not None
    return timed(ChainResponse(groups.chain, day.horizon.dt_h), day)


def timed(response: Response, day: Case) -> tuple[float, Array]:
    """Median seconds of a round, and the objective of the sampled homes in every round ``(ROUNDS, SAMPLE)`` [EUR]."""
    out, seconds = np.zeros((2, len(day.prosumers), STEPS)), []
    objective = np.zeros((ROUNDS, SAMPLE))
    response.answer(day.price[0], day.target[0], RHO, out)
    for k in range(ROUNDS):
        start = clock()
        response.answer(day.price[k], day.target[k], RHO, out)
        seconds.append(clock() - start)
        signal = -day.price[k] * out + RHO / 2 * (out - day.target[k]) ** 2
        objective[k] = response.cost()[:SAMPLE] + (signal.sum(axis=0) @ day.horizon.dt_h)[:SAMPLE]
    return float(np.median(seconds)), objective


def _peer(day: Case, build: Callable[[Program], Answer], cost: Array) -> Peer:
    """Median seconds of a peer for all homes, and its worst relative difference of the objective."""
    dt, seconds, worst = day.horizon.dt_h, [], 0.0
    for i in range(SAMPLE):
        one = program(day.prosumers[i], day.horizon)
        solve = build(one)
        for k in range(ROUNDS):
            price, target = day.price[k, 0, i], day.target[k, 0, i]
            linear = one.cost + one.P.T @ (dt * (RHO * (one.p0 - target) - price))
            start = clock()
            x = solve(linear)
            seconds.append(clock() - start)
            p = one.p0 + one.P @ x
            value = one.cost @ x + one.cost_constant + dt @ (-price * p + RHO / 2 * (p - target) ** 2)
            value += RHO / 2 * float(dt @ (day.target[k, 1, i] - one.q0) ** 2)
            worst = max(worst, abs(value - cost[k, i]) / (1.0 + abs(cost[k, i])))
    return Peer(float(np.median(seconds)) * len(day.prosumers), worst, f"peer on {SAMPLE} homes, scaled")


def _hessian(one: Program) -> sp.csc_matrix:
    """Upper triangle of the penalty's Hessian, as OSQP and PIQP want it."""
    weighted = sp.diags(RHO * one.dt_h) @ one.P
    return sp.triu(one.P.T @ weighted, format="csc")


def _osqp(one: Program) -> Answer:
    """Answers that are not within the tolerance after so many iterations count as they are: the agreement tells."""
    n = len(one.cost)
    A = sp.vstack([one.A, sp.identity(n)]).tocsc()
    low, high = np.concatenate([one.low, one.x_min]), np.concatenate([one.high, one.x_max])
    solver = osqp.OSQP()
    tolerance = {"eps_abs": 1e-5, "eps_rel": 1e-5, "max_iter": OSQP_ITERATIONS}
    solver.setup(_hessian(one), one.cost, A, low, high, verbose=False, **tolerance)

    def solve(linear: Array) -> Array:
        solver.update(q=linear)
        result = solver.solve(raise_error=False)
        if result.info.status_val not in OSQP_ENDS:
            raise RuntimeError(f"OSQP: {result.info.status}")
        x: Array = result.x
        return x

    return solve


def _piqp(one: Program) -> Answer:
    import piqp

    equal = one.low == one.high
    A, G = one.A[equal].tocsc(), one.A[~equal].tocsc()
    solver = piqp.SparseSolver()
    solver.settings.verbose = False
    solver.setup(_hessian(one), one.cost, A, one.low[equal], G, one.low[~equal], one.high[~equal], one.x_min, one.x_max)

    def solve(linear: Array) -> Array:
        solver.update(c=linear)
        status = solver.solve()
        if status != piqp.PIQP_SOLVED:
            raise RuntimeError(f"PIQP: {status}")
        x: Array = solver.result.x
        return x

    return solve


def _cvxpy(one: Program) -> Answer:
    import cvxpy as cp

    n = len(one.cost)
    x, linear_cost = cp.Variable(n), cp.Parameter(n)
    root = sp.diags(np.sqrt(RHO * one.dt_h)) @ one.P
    equal = one.low == one.high
    constraints = [one.A[equal] @ x == one.low[equal], x >= one.x_min, x <= one.x_max]
    if not equal.all():
        constraints += [one.A[~equal] @ x >= one.low[~equal], one.A[~equal] @ x <= one.high[~equal]]
    problem = cp.Problem(cp.Minimize(0.5 * cp.sum_squares(root @ x) + linear_cost @ x), constraints)

    def solve(linear: Array) -> Array:
        linear_cost.value = linear
        problem.solve(solver=cp.CLARABEL)
        value: Array = x.value
        return value

    return solve


PEERS: list[tuple[str, Callable[[Program], Answer], tuple[str, ...]]] = [
    ("OSQP, 1e-5, warm, factorised once", _osqp, ("osqp",)),
    ("PIQP, sparse, default tolerances", _piqp, ("piqp",)),
    ("cvxpy (DPP) with Clarabel", _cvxpy, ("cvxpy", "clarabel")),
]
