"""Counterparts of the mixed-integer program, its binaries given or relaxed: true norms, and true AC equations.

Cone program: first-order currents as there, but |u| <= v_max and |I| <= I_max as second-order cones in place of cuts,
and x >= v_min on the rotated voltage, since |u| >= v_min is not convex. Global optimum.

Nonlinear program: AC power flow equations and true magnitudes, by a sequence of linear programs: the limited magnitudes
linearised at the AC power flow of the last powers. Local optimum; the answer carries the excess over the limits and the
last movement of the powers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from admmflex.errors import SolverError
from admmflex.export_limits.milp import Program, program
from admmflex.export_limits.powers import Day
from admmflex.horizon import Array, BoolArray
from admmflex.linear_program import MODEL_STATUS, new_highs, pass_lp
from grid import UnbalancedFlow, UnbalancedLimits
from grid.arrays import ComplexArray
from grid.unbalanced_limits import VOLTAGE

_CLARABEL = 1e-9
_SOLVED = ("Solved", "AlmostSolved")
_MOVED_KW, _ROUNDS = 1e-6, 50
_PENALTY = 1e6  # kW per pu of excess: far more than any sensitivity
_WITHIN = 1e-6


@dataclass(frozen=True, eq=False)
class ConeAnswer:
    """Optimum of one step; ``v`` (R, w) are the voltages of the program at the swept buses [pu]."""

    xi: float
    pv_kw: Array
    v: ComplexArray


@dataclass(frozen=True, eq=False)
class NonlinearAnswer:
    """Local optimum of one step: ``flow`` is the power flow of ``pv_kw`` (n,).

    ``converged``: the powers stopped moving within the limits; ``excess`` over them, relative, as in UnbalancedLimits.
    """

    xi: float
    pv_kw: Array
    flow: UnbalancedFlow
    converged: bool
    excess: float
    rounds: int


def solve_cone(model: Program, k: int, limited: BoolArray | None = None) -> ConeAnswer | None:
    """The cone program of step k with binaries limited (n,), or relaxed to [0, 1]; None when infeasible.

    Raises:
        SolverError: Clarabel gave up.
    """
    import clarabel

    f = model.feeder
    equations, right = f.equations(k)
    rule, rule_high = model.rule(k)
    low, high = _fixed(model, k, limited)
    bounded = np.flatnonzero(np.isfinite(low))
    box = sp.csr_array(sp.eye_array(f.width))[bounded]
    voltage = np.flatnonzero(f.limited.kind == VOLTAGE)
    x, y = f.limit_rows(f.back), f.limit_rows(-1j * f.back)
    size = len(f.back)
    order = np.arange(3 * size).reshape(3, size).T.ravel()
    cones = sp.csr_array(sp.vstack([sp.csr_array((size, f.width)), -x, -y]))[order]
    matrix = sp.vstack([equations, rule, box, -box, -x[voltage], cones])
    b = np.concatenate(
        [right, rule_high, high[bounded], -low[bounded], -f.limited.low[voltage],
         np.concatenate([f.limited.high, np.zeros(2 * size)])[order]]
    )  # fmt: skip
    count = len(rule_high) + 2 * len(bounded) + len(voltage)
    kinds: list[Any] = [clarabel.ZeroConeT(len(right)), clarabel.NonnegativeConeT(count)]
    kinds += [clarabel.SecondOrderConeT(3)] * size
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = _CLARABEL
    solver = clarabel.DefaultSolver(
        sp.csc_matrix((f.width, f.width)), model.cost, sp.csc_matrix(matrix), b, kinds, settings
    )
    found = solver.solve()
    if "Infeasible" in str(found.status):
        return None
    if str(found.status) not in _SOLVED:
        raise SolverError(f"Clarabel stopped with {found.status} in step {k}")
    answer = np.asarray(found.x)
    pv = np.zeros(model.day.customers.n)
    pv[f.owners] = answer[f.p_column]
    return ConeAnswer(float(answer[0]), pv, f.voltages(answer[None])[..., 0])


def solve_nonlinear(
    day: Day, limits: UnbalancedLimits, k: int, limited: BoolArray | None = None, start: Array | None = None
) -> NonlinearAnswer:
    """The nonlinear program of step k with binaries limited (n,), or relaxed to [0, 1].

    Args:
        day: the scenario.
        limits: of the feeder, magnitudes only.
        k: step.
        limited: binaries; None relaxes them, as for the operating point of the published program.
        start: (n,) first powers of PV; those without any export by default.

    Raises:
        SolverError: HiGHS stopped without an answer.
        InputError: no power flow solution on the way.
    """
    one = Day(day.customers, *(x[:, k : k + 1] for x in (day.load_p, day.load_q, day.avail)))
    pv = (one.pv(0.0) if start is None else start[:, None]).copy()
    moved, rounds, xi = np.inf, 0, 0.0
    while moved > _MOVED_KW and rounds < _ROUNDS:
        model = program(one, limits, pv)
        xi, new = _linear_step(model, limited)
        moved, pv, rounds = float(np.abs(new - pv).max()), new, rounds + 1
    flow = one.flow(pv).require()
    excess = float(limits.worst(flow).excess[0])
    return NonlinearAnswer(xi, pv[:, 0], flow, moved <= _MOVED_KW and excess <= _WITHIN, excess, rounds)


def _linear_step(model: Program, limited: BoolArray | None) -> tuple[float, Array]:
    """xi and powers (n, 1) of the linear program around the model's power flow; excess over the limits is priced."""
    f, own = model.feeder, model.feeder.owners
    g = len(own)
    z = f.limited_at(model.point)[:, 0]
    size = np.maximum(np.abs(z), 1e-12)
    slope = f.limit_rows(np.asarray(np.conj(z) / size, dtype=np.complex128)) @ _responses(model)
    rule, rule_high = model.rule(0)
    low, high = (x[: 1 + 2 * g] for x in _fixed(model, 0, limited))
    at = slope @ model.pv[own, 0]
    wide = sp.csr_array(np.hstack([np.zeros((len(z), 1)), slope, np.zeros((len(z), g))]))
    none, ones = sp.csr_array((len(rule_high), 1)), sp.csr_array(np.ones((len(z), 1)))
    matrix = sp.block_array([[rule[:, : 1 + 2 * g], none], [wide, -ones], [wide, ones]])
    without = np.full(len(z), np.inf)
    lows = np.concatenate([np.full(len(rule_high), -np.inf), -without, f.limited.low - size + at])
    highs = np.concatenate([rule_high, f.limited.high - size + at, without])
    solver = new_highs()
    cost = np.append(model.cost[: 1 + 2 * g], _PENALTY)
    pass_lp(solver, cost, matrix, lows, highs, np.append(low, 0.0), np.append(high, np.inf))
    solver.run()
    if solver.getModelStatus() != MODEL_STATUS.kOptimal:
        status = solver.modelStatusToString(solver.getModelStatus())
        raise SolverError(f"HiGHS stopped with {status} on a linear program that has a solution")
    x = np.asarray(solver.getSolution().col_value)
    pv = np.zeros((model.day.customers.n, 1))
    pv[own, 0] = x[f.p_column]
    return float(x[0]), pv


def _responses(model: Program) -> Array:
    """(width, G) derivative of voltages and currents by the powers of PV, exact at an AC power flow; else zero."""
    from scipy.sparse.linalg import splu

    f = model.feeder
    equations, _ = f.equations(0)
    first = 1 + 2 * len(f.owners)
    columns = sp.csc_array(equations)
    out = np.zeros((f.width, len(f.owners)))
    out[first:] = -splu(sp.csc_matrix(columns[:, first:])).solve(columns[:, f.p_column].toarray())
    return out


def _fixed(model: Program, k: int, limited: BoolArray | None) -> tuple[Array, Array]:
    """Bounds of the columns in step k with the binaries given."""
    low, high = model.bounds(k)
    if limited is not None:
        low[model.feeder.w_column] = high[model.feeder.w_column] = limited[model.feeder.owners]
    return low, high
