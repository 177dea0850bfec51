"""The published mixed-integer program for the uniform export limit of one scenario, all steps or one at a time.

    min  sum_i (avail_i - p_i)    over  xi in [0, 1], w_i in {0, 1}, p_i, and voltages V and currents b of the feeder
    s.t. p_i - load_i <= xi S_i,   avail_i - p_i <= avail_i w_i,   xi S_i + load_i - p_i <= (S_i + load_i) (1 - w_i)
         b_r - sum H_c b_c = -I_r(V, p),   V_r = E V_up - F b_r              (linear network, ``grid.reduction``)
         I_r = conj(s/U*) - conj(s*/U*^2) conj(U - U*)                       (first order in s = p - load and in U)
         cuts of |U| and of |I|                                              (``Cuts``)

w_i = 0: all PV is used; w_i = 1: the limit holds with equality. Where nothing binds every xi is optimal; the largest is
meant, so a little of xi is taken off the objective. This costs nothing: less curtailment never needs a smaller xi.

Source: Vergara et al., eq. (1)-(43); the big-M are the smallest valid ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import highspy
import numpy as np
import scipy.sparse as sp

from admmflex.errors import SolverError
from admmflex.export_limits.cuts import Cuts
from admmflex.export_limits.powers import Day
from admmflex.export_limits.taylor import Feeder
from admmflex.horizon import Array, BoolArray
from admmflex.linear_program import MODEL_STATUS, new_highs, pass_lp
from grid import UnbalancedFlow, UnbalancedLimits
from grid.arrays import ComplexArray
from grid.unbalanced_limits import VOLTAGE

_TIE = 1e-3  # kW per unit of xi
_GAP = 1e-7
_TOLERANCE = 1e-9
_PUBLISHED = Cuts()


@dataclass(frozen=True, eq=False)
class MilpAnswer:
    """Optimum of C steps, each "optimal" or "infeasible"; NaN where infeasible.

    ``xi`` (C,), ``pv_kw`` (n, C), ``limited`` (n, C): w, ``v`` (R, w, C): voltages of the program at the swept buses
    [pu], ``deviation_deg``: d of the cuts.
    """

    status: tuple[str, ...]
    xi: Array
    pv_kw: Array
    limited: BoolArray
    v: ComplexArray
    deviation_deg: float


@dataclass(frozen=True, eq=False)
class Program:
    """The program of the steps of a day around a power flow of them: rows of every step, ready for a solver.

    Columns of a step: xi, then p and w of the G customers with PV, then V and b (re, im) of the swept buses.
    """

    day: Day
    limits: UnbalancedLimits
    cuts: Cuts
    point: UnbalancedFlow
    pv: Array

    @cached_property
    def feeder(self) -> Feeder:
        """Equations of the network around the point."""
        return Feeder(self.day, self.limits, self.point, self.pv)

    @cached_property
    def deviation_deg(self) -> float:
        """Angle d of the cuts."""
        if self.cuts.deviation_deg is not None:
            return self.cuts.deviation_deg
        return 1.1 * max(self.feeder.deviation_deg(flow) for flow in (self.point, self.day.flow(self.day.avail)))

    @cached_property
    def cut_rows(self) -> tuple[sp.csr_array, Array, Array]:
        """Rows of the cuts, the same in all steps: matrix, lowest and highest values."""
        f, low, high = self.feeder, list[Array](), list[Array]()
        voltage, parts = np.flatnonzero(f.limited.kind == VOLTAGE), list[sp.csr_array]()
        current, size = np.flatnonzero(f.limited.kind != VOLTAGE), len(f.limited.kind)
        for c, least, most in self.cuts.voltage(self.deviation_deg, self.limits.v_min, self.limits.v_max):
            parts.append(f.limit_rows(c * f.back)[voltage])
            low.append(np.full(len(voltage), least))
            high.append(np.full(len(voltage), most))
        for c in self.cuts.current:
            parts.append(f.limit_rows(np.full(size, c))[current])
            low.append(np.full(len(current), -np.inf))
            high.append(f.limited.high[current])
        return sp.csr_array(sp.vstack(parts)), np.concatenate(low), np.concatenate(high)

    def rule(self, k: int) -> tuple[sp.csr_array, Array]:
        """Rows  A x <= high  of the export limit in step k."""
        f = self.feeder
        own, g = f.owners, len(f.owners)
        s, avail, load = self.day.customers.rating_kw[own], self.day.avail[own, k], self.day.load_p[own, k]
        p, w, row, one = f.p_column, f.w_column, np.arange(g), np.ones(g)
        entries = [
            (row, np.zeros(g, np.int64), -s), (row, p, one),
            (g + row, p, -one), (g + row, w, -avail),
            (2 * g + row, np.zeros(g, np.int64), s), (2 * g + row, p, -one), (2 * g + row, w, s + load),
        ]  # fmt: skip
        rows, columns, values = (np.concatenate([e[i] for e in entries]) for i in range(3))
        matrix = sp.csr_array((values, (rows, columns)), shape=(3 * g, f.width))
        return matrix, np.concatenate([load, -avail, s])

    def bounds(self, k: int) -> tuple[Array, Array]:
        """Lowest and highest values of the columns in step k."""
        f = self.feeder
        low, high = np.full(f.width, -np.inf), np.full(f.width, np.inf)
        low[: 1 + 2 * len(f.owners)] = 0.0
        high[0] = 1.0
        high[f.p_column], high[f.w_column] = self.day.avail[f.owners, k], 1.0
        return low, high

    @property
    def cost(self) -> Array:
        """(width,) of a step, less the constant sum of what could be made."""
        cost = np.zeros(self.feeder.width)
        cost[0], cost[self.feeder.p_column] = -_TIE, -1.0
        return cost

    def solve(self, *, together: bool = False) -> MilpAnswer:
        """Solve every step by itself, or all of them as one program, as published.

        Args:
            together: one program; infeasible as a whole when one step is.

        Raises:
            SolverError: HiGHS stopped without an answer.
        """
        steps = range(self.day.steps)
        groups = [list(steps)] if together else [[k] for k in steps]
        x = np.full((self.day.steps, self.feeder.width), np.nan)
        for group in groups:
            x[group] = self._solved(group)
        return self._answer(x)

    def _solved(self, steps: list[int]) -> Array:
        """(steps, width) optimum; NaN when infeasible."""
        cuts, cut_low, cut_high = self.cut_rows
        blocks, lows, highs, bounds = [], [], [], []
        for k in steps:
            equations, right = self.feeder.equations(k)
            rule, rule_high = self.rule(k)
            blocks.append(sp.vstack([equations, rule, cuts]))
            lows.append(np.concatenate([right, np.full(len(rule_high), -np.inf), cut_low]))
            highs.append(np.concatenate([right, rule_high, cut_high]))
            bounds.append(self.bounds(k))
        low, high = (np.concatenate([b[i] for b in bounds]) for i in (0, 1))
        solver = new_highs(_TOLERANCE)
        cost = np.tile(self.cost, len(steps))
        pass_lp(solver, cost, sp.block_diag(blocks), np.concatenate(lows), np.concatenate(highs), low, high)
        whole = (self.feeder.width * np.arange(len(steps))[:, None] + self.feeder.w_column).ravel().astype(np.int32)
        kinds = np.full(len(whole), int(highspy.HighsVarType.kInteger), np.uint8)
        solver.changeColsIntegrality(len(whole), whole, kinds)
        solver.setOptionValue("mip_rel_gap", _GAP)
        solver.run()
        status = solver.getModelStatus()
        if status in (MODEL_STATUS.kInfeasible, MODEL_STATUS.kUnboundedOrInfeasible):  # the costs are bounded
            return np.full((len(steps), self.feeder.width), np.nan)
        if status != MODEL_STATUS.kOptimal:
            raise SolverError(f"HiGHS stopped with {solver.modelStatusToString(status)} on steps {steps}")
        return np.reshape(solver.getSolution().col_value, (len(steps), -1))

    def _answer(self, x: Array) -> MilpAnswer:
        f, day = self.feeder, self.day
        pv, limited = np.zeros(day.avail.shape), np.zeros(day.avail.shape, dtype=np.bool_)
        pv[f.owners], limited[f.owners] = x[:, f.p_column].T, x[:, f.w_column].T > 0.5
        pv[:, np.isnan(x[:, 0])] = np.nan
        status = tuple("infeasible" if lost else "optimal" for lost in np.isnan(x[:, 0]))
        return MilpAnswer(status, x[:, 0], pv, limited, f.voltages(x), self.deviation_deg)


def program(day: Day, limits: UnbalancedLimits, pv: Array, cuts: Cuts = _PUBLISHED) -> Program:
    """The program around the AC power flow with some power of PV (n, C).

    Raises:
        InputError: no power flow solution at some step.
    """
    return Program(day, limits, cuts, day.flow(pv).require(), pv)
