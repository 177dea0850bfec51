"""The whole day of a town: price coordination against one big linear program.

Ours is everything from the prosumers and the grid as read to the plan: building the data of the answers, all rounds,
and the lower bound. The peers get the linear program of all homes and of the grid linearised at our solution, built
beforehand, with only the limits that are near there: they neither search for the rows nor relinearise. ``agreement`` is
the relative difference of the costs. A peer that is stopped gives a lower bound of the ratio.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import highspy
import numpy as np
import scipy.sparse as sp

import grid
from admmflex.comm import SerialComm
from admmflex.coordination.schemes import Outcome, Sorted, admm_settings, by_prices
from admmflex.coordination.whole import Block
from admmflex.data.study import Study
from admmflex.dso import AcCheck
from admmflex.horizon import Array
from admmflex.linear_program import pass_lp
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from experiments.benchmarks.common import Peer, Row, attempt, clock, versions
from experiments.benchmarks.synthetic import town

SIZES = ((500, 120), (2000, 480))
TIME_LIMIT_S = 240.0
NEAR_PU, NEAR_LOADING = 1e-3, 1e-2  # limits with less room than this at our solution are rows of the peers


@dataclass(frozen=True)
class Whole:
    """min cost'x + constant   s.t.  low <= A x <= high,   x_min <= x <= x_max."""

    cost: Array
    constant: float
    A: sp.csr_matrix
    low: Array
    high: Array
    x_min: Array
    x_max: Array


@dataclass(frozen=True)
class Solved:
    """Seconds and cost of a peer; when the time limit stopped it, it is not ``finished`` and the cost means nothing."""

    seconds: float
    cost: float
    finished: bool


def rows() -> list[Row]:
    """Both sizes against HiGHS; the smaller one against Clarabel, too."""
    found = []
    for homes, buses in SIZES:
        peers = [("HiGHS, dual simplex", "simplex"), ("HiGHS, interior point without crossover", "ipx")]
        solvers: list[tuple[str, str, Callable[[Whole], Solved]]] = [
            (name, "highspy", partial(highs, method=method, limit_s=TIME_LIMIT_S)) for name, method in peers
        ]
        if (homes, buses) == SIZES[0]:
            solvers.append(("Clarabel", "clarabel", partial(clarabel, limit_s=TIME_LIMIT_S)))
        found += compare(town(homes, buses), solvers)
    return found


def compare(study: Study, solvers: list[tuple[str, str, Callable[[Whole], Solved]]]) -> list[Row]:
    """One row per peer."""
    outcome, ours_s = ours(study)
    excess = ac_excess(study, outcome.plan.y)
    problem, n_rows = whole(study, outcome.plan.y)
    name = f"{len(study.prosumers)} prosumers, {study.network.n} buses, {study.horizon.steps} steps"
    base = (
        f"{outcome.status}; AC excess {excess[0]:.1e} pu, {100 * excess[1]:.1e} %; {outcome.answers} answers; "
        f"peer with {n_rows} grid rows"
    )
    found = []
    for peer, package, solve in solvers:
        answer = attempt(partial(_peer, problem, solve, outcome.plan.cost, base))
        used = versions("numba", "numpy", package)
        found.append(Row.against(name, ours_s, peer, answer, "of the cost", used))
    return found


def _peer(problem: Whole, solve: Callable[[Whole], Solved], cost: float, note: str) -> Peer:
    """A peer beside our cost [EUR]."""
    solved = solve(problem)
    apart = abs(cost - solved.cost) / abs(solved.cost) if solved.finished else np.nan
    note = note if solved.finished else f"{note}; peer stopped"
    return Peer(solved.seconds, apart, note, stopped=not solved.finished)


def ours(study: Study) -> tuple[Outcome, float]:
    """The coordination and its seconds; a tiny town first, so that nothing is compiled meanwhile.

    Without mixing: it saves answers, which cost homes and networks their time, not seconds of one process.
    """
    settings = replace(admm_settings(study.settings), mixing=None)
    by_prices(town(12, 8), SerialComm(), lambda record: None, settings)
    start = clock()
    outcome = by_prices(study, SerialComm(), lambda record: None, settings)
    return outcome, clock() - start


def injections(study: Study, y: Array) -> tuple[Array, Array]:
    """Bus sums ``(n, K)`` of powers at the meters ``(2, homes, K)``, in kW and kvar."""
    sums = np.zeros((2, study.network.n, study.horizon.steps))
    position = study.network.positions([one.bus for one in study.prosumers])
    for part in (0, 1):
        np.add.at(sums[part], position, y[part])
    return sums[0], sums[1]


def ac_excess(study: Study, y: Array) -> tuple[float, float]:
    """Largest excess over the voltage limits [pu] and the loading limits [fraction] in the AC power flow."""
    flow = grid.power_flow(study.network, *injections(study, y)).require()
    voltage, loading = AcCheck.of(study.limits, flow).worst.tolist()
    return voltage, loading


def whole(study: Study, y: Array) -> tuple[Whole, int]:
    """The linear program of all homes and the grid linearised at ``y``, and how many rows the grid has in it.

    Variables: those of the homes, then the bus sums, so that the rows of the grid stay short.
    """
    ordered = Sorted.of(study, SerialComm())
    programs = [program(one, study.horizon) for one in ordered.prosumers if isinstance(one, Prosumer)]
    block = Block.of(programs, ordered.bus, len(ordered.buses), study.horizon.steps)
    G, h = grid_rows(study, ordered, y)
    n_x, n_z = len(block.cost), len(block.z0)
    own, none = sp.csr_matrix((len(block.low), n_z)), sp.csr_matrix((len(h), n_x))
    sums = sp.hstack([-block.Z, sp.identity(n_z)])
    A = sp.csr_matrix(sp.vstack([sp.hstack([block.A, own]), sums, sp.hstack([none, G])]))
    free = np.full(n_z, np.inf)
    return Whole(
        cost=np.concatenate([block.cost, np.zeros(n_z)]),
        constant=block.constant,
        A=A,
        low=np.concatenate([block.low, block.z0, np.full(len(h), -np.inf)]),
        high=np.concatenate([block.high, block.z0, h]),
        x_min=np.concatenate([block.x_min, -free]),
        x_max=np.concatenate([block.x_max, free]),
    ), len(h)


def grid_rows(study: Study, ordered: Sorted, y: Array) -> tuple[sp.csr_matrix, Array]:
    """Rows ``G z <= h`` of the limits with little room left at ``y``, scaled to kW; z as in ``Block``."""
    n_steps, n_buses = study.horizon.steps, len(ordered.buses)
    p, q = injections(study, y)
    flow = grid.power_flow(study.network, p, q).require()
    lin = grid.linearise(study.network, flow.v, p, q)
    room = zip(study.limits.excess(flow.v), (NEAR_PU, NEAR_PU, NEAR_LOADING), strict=True)
    near = [np.nonzero(table > -margin) for table, margin in room]
    kind = np.repeat(np.arange(3), [len(index) for index, _ in near])
    index, step = (np.concatenate([pair[side] for pair in near]) for side in (0, 1))
    row = study.limits.functional(flow.v, step, kind, index)
    gradients = lin.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b)
    gradient = np.concatenate([part[:, ordered.buses] for part in gradients], axis=1)
    scale = np.abs(gradient).max(axis=1, initial=1e-12)
    gradient /= scale[:, None]
    origin = np.concatenate([p[ordered.buses], q[ordered.buses]])
    column = np.arange(2 * n_buses) * n_steps + step[:, None]
    place = (np.repeat(np.arange(len(step)), 2 * n_buses), column.ravel())
    G = sp.csr_matrix((gradient.ravel(), place), shape=(len(step), 2 * n_buses * n_steps))
    return G, np.einsum("rj,jr->r", gradient, origin[:, step]) - row.value / scale


def highs(problem: Whole, method: str, limit_s: float) -> Solved:
    """HiGHS with one thread."""
    solver = highspy.Highs()
    options = {"output_flag": False, "threads": 1, "solver": method, "run_crossover": "off", "time_limit": limit_s}
    for option, value in options.items():
        solver.setOptionValue(option, value)
    pass_lp(solver, problem.cost, problem.A, problem.low, problem.high, problem.x_min, problem.x_max)
    start = clock()
    solver.run()
    seconds = clock() - start
    finished = solver.getModelStatus() in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kUnknown)
    return Solved(seconds, solver.getInfo().objective_function_value + problem.constant, finished)


def clarabel(problem: Whole, limit_s: float) -> Solved:
    """Clarabel with one thread, called directly."""
    import clarabel as peer

    A, low, high = problem.A, problem.low, problem.high
    equal = low == high
    above, below = np.isfinite(low) & ~equal, np.isfinite(high) & ~equal
    bounds = sp.identity(len(problem.cost), format="csr")
    lower, upper = np.isfinite(problem.x_min), np.isfinite(problem.x_max)
    matrix = sp.vstack([A[equal], A[below], -A[above], bounds[upper], -bounds[lower]]).tocsc()
    right = [low[equal], high[below], -low[above], problem.x_max[upper], -problem.x_min[lower]]
    b = np.concatenate(right)
    cones = [peer.ZeroConeT(int(equal.sum())), peer.NonnegativeConeT(len(b) - int(equal.sum()))]
    settings = peer.DefaultSettings()
    settings.verbose, settings.time_limit, settings.max_threads = False, limit_s, 1
    n = len(problem.cost)
    solver = peer.DefaultSolver(sp.csc_matrix((n, n)), problem.cost, matrix, b, cones, settings)
    start = clock()
    solution = solver.solve()
    finished = str(solution.status) in ("Solved", "AlmostSolved")
    return Solved(clock() - start, solution.obj_val + problem.constant, finished)
