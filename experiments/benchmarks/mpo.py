"""Explicit solutions: all critical regions, against PPOPT; and what is then asked of them, against a direct solve.

PPOPT gets a limit of time: where it does not finish, its time is a lower bound, and the agreement is that of HiGHS.
Agreement: worst relative difference of the values at sampled parameters that both have.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import mpo
from experiments.benchmarks.common import Peer, Row, attempt, clock, median_time, versions
from experiments.benchmarks.parametric import FIXED_PRICES, current_period, double_integrator
from experiments.benchmarks.ppopt_peer import by_ppopt
from mpo.arrays import Array
from mpo.certify import direct_value
from mpo.sampling import draw

LIMIT_S = 150.0
CERTIFIED = 100_000
RELATIVE = "relative"


def rows(limit_s: float = LIMIT_S, certified: int = CERTIFIED) -> list[Row]:
    """Every comparison."""
    fixed = FIXED_PRICES | {"T0": -0.2}
    small = current_period(1, reduced=True).program(fixed=fixed)
    found = [
        against_ppopt("explicit MPC of the double integrator, 10 steps", double_integrator(10), limit_s),
        against_ppopt("current period, 1 segment, prices fixed, 6 parameters", small, limit_s),
    ]
    model = current_period(3)
    problem = model.program()
    mpo.solve(problem)
    solution, seconds = _timed(lambda: mpo.solve(problem))
    found.append(_explored("current period, 3 segments, 16 parameters", solution, seconds, certified))
    quadratic = current_period(3, reduced=True).program(1e-3)
    mpo.solve(quadratic)
    regularised, seconds = _timed(lambda: mpo.solve(quadratic))
    found.append(_explored("the same as QP (1e-3 |x|^2 / 2), 13 parameters", regularised, seconds, certified // 10))
    large = current_period(8).program()
    whole, seconds = _timed(lambda: mpo.solve(large))
    found.append(_explored("current period, 8 segments, 26 parameters", whole, seconds, certified // 10))
    stopped, seconds = _timed(lambda: mpo.solve(large, budget=mpo.Budget(seconds=3.0)))
    found.append(_explored("the same with a budget of 3 s", stopped, seconds, certified // 100))
    return found + online(list(model.parameters), solution)


def _timed(work: Callable[[], mpo.Solution]) -> tuple[mpo.Solution, float]:
    start = clock()
    return work(), clock() - start


def _explored(name: str, solution: mpo.Solution, seconds: float, samples: int) -> Row:
    """An exploration with its certificate; the peer is one direct solve for each region found."""
    certificate, counts = solution.certify(samples, direct=200), solution.report
    theta = _inside(solution, 50)
    direct = median_time(lambda: [direct_value(solution.problem, one) for one in theta], 3) / len(theta)
    peer = "HiGHS" if not solution.problem.hessian.any() else "Clarabel"
    worst = max(certificate.infeasibility, certificate.stationarity, certificate.gap)
    note = f"{solution.status}, {len(solution)} regions, {counts.tested} bases, {counts.referred} referred, "
    note += f"{counts.undecided} undecided; "
    note += f"{certificate.samples} samples: {certificate.holes} holes, conditions to {worst:.0e}"
    label, used = f"{peer}, one solve for each region", versions("highspy", "clarabel")
    return Row(name, seconds, label, direct * len(solution), certificate.error, RELATIVE, used, note)


def online(names: list[str], solution: mpo.Solution) -> list[Row]:
    """Locating, evaluating and slicing, with prices and states that differ from call to call."""
    theta = _inside(solution, 2000)
    part = max(solution.parts, key=lambda one: one.regions)
    t = part.parameters(theta)
    cold = median_time(lambda: part.evaluate(t)) / len(t)
    near = np.repeat(t[:50], 40, axis=0) + 1e-3 * np.random.default_rng(0).standard_normal((2000, t.shape[1]))
    near = near[part.evaluate(near)[0] >= 0]
    warm = median_time(lambda: part.evaluate(near)) / len(near)
    direct = median_time(lambda: [direct_value(solution.problem, one) for one in theta[:50]], 3) / 50
    free = [names.index(name) for name in ("P", "Q")]
    fixed = [{n: v for n, v in enumerate(one) if n not in free} for one in theta[:100]]
    solution.slice(fixed[0])
    slicing = float(np.median([median_time(partial(solution.slice, one), 1, 0) for one in fixed]))
    columns = {n: theta[:1000, n] for n in range(len(names)) if n not in free}
    solution.slices(columns)
    many = median_time(lambda: solution.slices(columns), 3) / len(theta[:1000])
    sliced = solution.slice(fixed[0])
    problem, which = sliced.problem, versions("highspy")
    again = median_time(lambda: mpo.solve(problem), 3)
    error = sliced.certify(1000, direct=100).error
    values = solution.evaluate(theta[:200]).value
    known = np.array([direct_value(solution.problem, one) for one in theta[:200]])
    worst = _apart(known, values)
    regions = f"among {part.regions} regions of 13 parameters"
    near_by = f"{regions}; 40 parameters around each"
    return [
        Row("locate and evaluate, cold", cold, "HiGHS", direct, worst, RELATIVE, which, regions),
        Row("locate and evaluate, warm", warm, "HiGHS", direct, worst, RELATIVE, which, near_by),
        Row("slice to the chart over (P, Q)", slicing, "mpo.solve of the slice", again, error, RELATIVE, which),
        Row("the same, 1000 slices in one call", many, "mpo.solve of the slice", again, error, RELATIVE, which),
    ]


def _inside(solution: mpo.Solution, count: int) -> Array:
    """Parameters that have a solution."""
    theta = draw(solution.theta_A, solution.theta_b, 10 * count, seed=1)
    return theta[solution.evaluate(theta).inside][:count]


def against_ppopt(name: str, problem: mpo.ParametricLP | mpo.ParametricQP, limit_s: float) -> Row:
    """Both solve the same program; PPOPT's graph algorithm in a process of its own, which can be stopped."""
    mpo.solve(problem)
    ours = median_time(lambda: mpo.solve(problem), 3)
    solution = mpo.solve(problem)
    theta = _inside(solution, 300)
    expected = solution.evaluate(theta).value
    own = f"{len(solution)} regions"

    def peer() -> Peer:
        found = by_ppopt(problem, theta, limit_s)
        if found is None:
            values = np.array([direct_value(problem, one) for one in theta])
            return Peer(limit_s, _apart(values, expected), f"{own}; PPOPT stopped, agreement with HiGHS", stopped=True)
        none = f"none at {np.isnan(found.values).mean():.1%} of the samples"
        note = f"{own}; PPOPT has {found.regions}, and {none}"
        return Peer(found.seconds, _apart(found.values, expected), note)

    return Row.against(name, ours, "PPOPT, graph", attempt(peer), RELATIVE, versions("ppopt", "highspy"))


def _apart(values: Array, expected: Array) -> float:
    """Worst relative difference where there are values."""
    known = np.isfinite(values)
    return float((np.abs(values - expected)[known] / (1.0 + np.abs(expected[known]))).max(initial=0.0))
