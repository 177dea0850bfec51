"""Clarabel for problems written in cvxpy, its answer checked by us in the standard form that it was given.

    min  1/2 x'Px + c'x    s.t.  A x + s = b,  s in K          dual: z in K*,  P x + c + A'z = 0

At an optimum the gap x'Px + c'x + b'z is zero; with a convex objective nothing else has a gap of zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.errors import SolverError
from admmflex.horizon import Array

if TYPE_CHECKING:
    import cvxpy as cp

TOLERANCE = 1e-6  # of the gap and of the stationarity, relative to the terms that they are sums of
ATTEMPTS: tuple[dict[str, float], ...] = (
    {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
    {"tol_gap_abs": 1e-8, "tol_gap_rel": 1e-8, "tol_feas": 1e-8, "max_step_fraction": 0.9},
)
"""The second one for what stalls just before the first."""


def solve(problem: cp.Problem) -> int:
    """Solve, and leave the values in the variables; how many attempts failed before.

    The status of the problem says "optimal" only where our own check agrees; "infeasible" and "unbounded" are
    Clarabel's word, and no values come with them.

    Raises:
        SolverError: no attempt brought an answer that passes.
    """
    import cvxpy as cp

    said = ""
    for failed, options in enumerate(ATTEMPTS):
        data, chain, inverse = problem.get_problem_data(cp.CLARABEL, solver_opts=options)
        raw = chain.solve_via_data(problem, data, solver_opts=options)
        try:
            problem.unpack_results(raw, chain, inverse)
        except cp.SolverError:
            said = "Clarabel gave up"
            continue
        if problem.status not in (cp.OPTIMAL, cp.OPTIMAL_INACCURATE):
            return failed
        worst = residual(data, np.array(raw.x), np.array(raw.z))
        if worst <= TOLERANCE:
            return failed
        said = f"Clarabel says {problem.status}, and the conditions of an optimum are missed by {worst:.1e}"
    raise SolverError(said)


def residual(data: dict[str, Any], x: Array, z: Array) -> float:
    """Largest relative residual of a point and its multipliers: gap, stationarity, dual cones; infinite for NaN.

    Of the cones only the linear and the second-order ones are looked at; whether x keeps them shows in the user's own
    constraints.
    """
    c, b, dims = data["c"], data["b"], data["dims"]
    curved = np.zeros_like(x) if data.get("P") is None else data["P"] @ x
    pulled = data["A"].T @ z
    terms = float(x @ curved), float(c @ x), float(b @ z)
    gap = abs(sum(terms)) / (1.0 + max(abs(one) for one in terms))
    largest = max(float(np.abs(one).max(initial=0.0)) for one in (curved, c, pulled))
    slope = float(np.abs(curved + c + pulled).max(initial=0.0)) / (1.0 + largest)
    outside = max(0.0, -float(z[dims.zero : dims.zero + dims.nonneg].min(initial=0.0)))
    start = dims.zero + dims.nonneg
    for size in dims.soc:
        outside = max(outside, float(np.linalg.norm(z[start + 1 : start + size]) - z[start]))
        start += size
    worst = max(gap, slope, outside / (1.0 + float(np.abs(z).max(initial=0.0))))
    return worst if np.isfinite([*x, *z]).all() else float("inf")
