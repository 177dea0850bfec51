"""Three solvers behind one face, and the check that none of them escapes.

    min  1/2 rho x'Hx + g'x    s.t.  low <= A x <= high,   x_min <= x <= x_max

Each is set up once for a prosumer; g changes with every call, rho now and then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import clarabel
import numpy as np
import osqp
import scipy.sparse as sp

from admmflex.horizon import Array
from admmflex.linear_program import MODEL_STATUS, new_highs, pass_lp, suboptimality
from admmflex.prosumers.program import Program

OSQP_SETTINGS: dict[str, Any] = {
    "verbose": False,
    "eps_abs": 1e-10,  # polishing fails where the optimum is degenerate: the iterates must be good enough themselves
    "eps_rel": 0.0,
    "max_iter": 3000,
    "polishing": True,
}
CLARABEL_TOLERANCE = 1e-11
SIMPLEX_TOLERANCE = 1e-10


@dataclass(frozen=True)
class Point:
    """A candidate ``x``, within its bounds, and the multipliers of ``A x``, positive at an upper limit."""

    x: Array
    rows: Array


class QpSolver(Protocol):
    """A way of solving the program above; ``rho`` is positive unless it says otherwise."""

    def solve(self, linear: Array, rho: float) -> Point | None:
        """A point for ``g = linear``, not yet checked; None when the solver gives up."""
        ...


def optimality_gap(one: Program, gradient: Array, point: Point) -> float:
    """An upper bound of how far a feasible ``x`` with this gradient of a convex objective is from the optimum [EUR]."""
    return suboptimality(gradient, (one.A, one.low, one.high), (one.x_min, one.x_max), point.x, point.rows)


class Osqp:
    """Operator splitting with polishing, warm-started; a new factorisation only when ``rho`` changes."""

    def __init__(self, one: Program, unit: sp.csc_matrix) -> None:
        self.program, self.rho = one, 0.0
        self.upper = sp.triu(unit, format="csc")
        self.solver: osqp.OSQP | None = None

    def solve(self, linear: Array, rho: float) -> Point | None:
        one = self.program
        if self.solver is None:
            rows = sp.csc_matrix(sp.vstack([one.A, sp.identity(len(one.cost))]))
            low, high = np.concatenate([one.low, one.x_min]), np.concatenate([one.high, one.x_max])
            self.solver = osqp.OSQP()
            self.solver.setup(rho * self.upper, linear, rows, low, high, **OSQP_SETTINGS)
        else:
            if rho != self.rho:
                self.solver.update(Px=rho * self.upper.data)
            self.solver.update(q=linear)
        self.rho = rho
        result = self.solver.solve(raise_error=False)
        if result.info.status_val != osqp.SolverStatus.OSQP_SOLVED:
            zero = np.zeros(len(one.cost))
            self.solver.warm_start(zero, np.zeros(len(one.low) + len(zero)))
            return None
        return Point(np.clip(result.x, one.x_min, one.x_max), result.y[: len(one.low)])


class Clarabel:
    """Interior point, from scratch in every call: slower, and as accurate as it gets."""

    def __init__(self, one: Program, unit: sp.csc_matrix) -> None:
        self.program, self.upper = one, sp.triu(unit, format="csc")
        self.equal = one.low == one.high
        self.below, self.above = np.isfinite(one.high) & ~self.equal, np.isfinite(one.low) & ~self.equal
        identity = sp.identity(len(one.cost))
        parts = [one.A[self.equal], one.A[self.below], -one.A[self.above], identity, -identity]
        self.rows = sp.csc_matrix(sp.vstack(parts))
        self.right = np.concatenate(
            [one.high[self.equal], one.high[self.below], -one.low[self.above], one.x_max, -one.x_min]
        )
        n_equal = int(self.equal.sum())
        self.cones = [clarabel.ZeroConeT(n_equal), clarabel.NonnegativeConeT(len(self.right) - n_equal)]

    def solve(self, linear: Array, rho: float) -> Point | None:
        settings = clarabel.DefaultSettings()
        settings.verbose, settings.max_threads = False, 1
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = CLARABEL_TOLERANCE
        hessian = rho * self.upper
        solution = clarabel.DefaultSolver(hessian, linear, self.rows, self.right, self.cones, settings).solve()
        if solution.status not in (clarabel.SolverStatus.Solved, clarabel.SolverStatus.AlmostSolved):
            return None
        one, dual = self.program, np.array(solution.z)
        split = np.cumsum([self.equal.sum(), self.below.sum(), self.above.sum()])
        rows = np.zeros(len(one.low))
        rows[self.equal], rows[self.below] = dual[: split[0]], dual[split[0] : split[1]]
        rows[self.above] -= dual[split[1] : split[2]]
        return Point(np.clip(np.array(solution.x), one.x_min, one.x_max), rows)


class Simplex:
    """HiGHS for ``rho = 0``, from the basis of the last call."""

    def __init__(self, one: Program) -> None:
        self.program = one
        self.reactive = np.diff(one.Q.tocsc().indptr) > 0
        self.highs = new_highs(SIMPLEX_TOLERANCE)
        pass_lp(self.highs, one.cost, one.A, one.low, one.high, one.x_min, one.x_max)

    def solve(self, linear: Array, rho: float) -> Point | None:
        """A vertex. Reactive power that neither costs nor earns anything stays at zero."""
        one, highs = self.program, self.highs
        columns = np.arange(len(linear), dtype=np.int32)
        tie = self.reactive & (linear == 0.0)
        highs.changeColsBounds(len(columns), columns, np.where(tie, 0.0, one.x_min), np.where(tie, 0.0, one.x_max))
        highs.changeColsCost(len(columns), columns, linear)
        highs.run()
        if highs.getModelStatus() != MODEL_STATUS.kOptimal:
            return None
        solution = highs.getSolution()
        x = np.clip(np.array(solution.col_value), one.x_min, one.x_max)
        return Point(x, -np.array(solution.row_dual))
