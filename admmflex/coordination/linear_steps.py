"""The central step over cost charts by sequential linear programs, for where the cone is not tight.

At an AC operating point x0 (bus sums) with losses L0 of gradient g and branch powers F (sums of the injections below):

    min  sum_j t_j + price_loss (L0 + g (x - x0) + sum_e rho_e |F_e - F0_e|^2)
    s.t. t_j >= f_j(p_j, q_j),  polygons,  linearised limits of the grid,      rho_e = r_e / u_e

rho_e |F_e|^2 is an epigraph under tangents, P and Q apart: those stay from one operating point to the next, only the
linear cost moves. Pieces and sides of charts, rows of the grid and tangents join where they are broken; the basis
stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from admmflex.coordination.loss_tangents import LossTangents
from admmflex.dso import AcCheck, Dso
from admmflex.dso.rows import row_keys
from admmflex.errors import SolverError, require
from admmflex.horizon import Array, IntArray
from admmflex.linear_program import BASIC, MODEL_STATUS, BasisStatus, new_highs, pass_lp, set_basis
from admmflex.prosumers.chart import Charts, empty_polygons
from grid.branchflow import BranchFlow
from grid.limits import BRANCH, Limits

PENALTY = 1e3  # price of the largest excess, over the steepest slope
PATIENCE = 3  # operating points before the steps are kept short
FORGET = 10  # operating points after which an idle row or tangent is dropped
ON_SIDE = 1e-9  # base powers by which a point may be beyond a side
OWN, CUT, GRID = 0, 1, 2


@dataclass(frozen=True)
class Stop:
    """When the sequence has settled: AC excess [pu, fraction], change of the cost [unit of the charts], and budgets."""

    violation: float
    cost: float
    points: int = 30
    rounds: int = 40


@dataclass(frozen=True)
class LinearAnswer:
    """Powers ``p, q (J,)`` [kW, kvar], ``price (2, n)``, whether they have settled, operating points and programs.

    ``slack_kw`` is by how much the last program breaks its rows, at the bus that moves them most.
    """

    p: Array
    q: Array
    price: Array
    settled: bool
    points: int
    programs: int
    slack_kw: float


@dataclass(frozen=True)
class _Truth:
    """Cost of powers and their largest excess over a limit in the AC power flow."""

    cost: float
    excess: float


_NOWHERE = _Truth(np.inf, np.inf)


class LinearSteps:
    """Working set, tangents and basis, kept from call to call for charts of one shape.

    Args:
        model, limits: the grid.
        charts: whose buses and numbers of pieces and sides stay.
        price_loss: cost of 1 kW of losses, in the unit of the charts.
    """

    def __init__(self, model: BranchFlow, limits: Limits, charts: Charts, price_loss: float) -> None:
        self.model, self.price_loss = model, price_loss
        self.buses, self.bus = np.unique(charts.bus, return_inverse=True)
        self.dso = Dso(model.network, limits, self.buses, 1)
        self.flows = 2 * model.branches if price_loss > 0 else 0
        self.width = 3 * len(charts) + 2 * self.flows + 1
        self.own, self.own_idle = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.tangents = LossTangents(model, charts.bus, self.flows, self.width)
        self.basis: tuple[list[BasisStatus], list[BasisStatus]] | None = None
        self.kind = np.zeros(0, np.int64)
        self.x = np.zeros(2 * len(self.buses))
        self.weight, self.box = 0.0, np.zeros((6, len(charts)))
        self.pieces, self.own_right = len(charts.a), np.zeros(0)
        self.own_rows = sp.csr_array((0, self.width))
        self.group = np.concatenate([charts.of_piece, len(charts) + charts.of_side])
        self.tree = self.tangents.tree()
        self.highs = new_highs()
        self.highs.setOptionValue("presolve", "off")

    def solve(self, charts: Charts, stop: Stop, start: Array | None = None) -> LinearAnswer:
        """Relinearise until the AC power flow meets the limits and the cost has settled.

        Args:
            charts: of the same shape.
            start: bus sums (2 B,) of the first operating point; those of the last call by default.

        Raises:
            SolverError: a program without an optimum.
        """
        n, base = len(charts), self.model.base_kva
        self.box = charts.box()
        require(empty_polygons(self.box))
        x, last = self.x if start is None else start, _NOWHERE
        powers: Array | None = None
        radius, programs = np.inf, 0
        for point in range(stop.points):
            slope = self._move(x)
            near = None if powers is None or not np.isfinite(radius) else (powers / base, radius / base)
            self._pass(charts, slope, near)
            solution, used = self._program(0.1 * stop.cost / (charts.steepest * base), stop.rounds)
            programs += used
            before, powers = powers, np.array(solution.col_value[: 2 * n]) * base
            x = self.sums(powers)
            now = self._truth(charts, powers, x)
            settled = now.excess <= stop.violation and abs(now.cost - last.cost) <= stop.cost and used < stop.rounds
            if settled:
                break
            if before is not None and point >= PATIENCE and now.excess > max(0.5 * last.excess, stop.violation):
                radius = 0.5 * min(radius, float(np.abs(powers - before).max()))
            last = now
        assert powers is not None
        self.x = x
        slack = float(solution.col_value[-1]) * base
        return LinearAnswer(powers[:n], powers[n:], self._prices(x, charts), settled, point + 1, programs, slack)

    def _truth(self, charts: Charts, powers: Array, x: Array) -> _Truth:
        """Cost and largest excess in the AC power flow."""
        flow = self.dso.power_flow(x[None])
        if not flow.converged.all():
            return _NOWHERE
        n = len(charts)
        cost = float(charts.costs(powers[:n], powers[n:]).sum()) + self.price_loss * float(flow.loss_kw[0])
        return _Truth(cost, float(AcCheck.of(self.dso.limits, flow).worst.max()))

    def sums(self, powers: Array) -> Array:
        """Bus sums (2 B,) of powers (2 J,): p, then q."""
        n = len(self.bus)
        out = np.zeros(2 * len(self.buses))
        np.add.at(out, self.bus, powers[:n])
        np.add.at(out, len(self.buses) + self.bus, powers[n:])
        return out

    def _move(self, x: Array) -> Array:
        """New operating point; gradient of its losses (2 B,) per kW and kvar."""
        self.dso.relinearise(x[None])
        self._turn_cuts()
        if self.flows and self.basis is None:
            flow = self.tangents.flows(self.buses, self.dso.origin[0])
            self.tangents.add_at(flow, self.tangents.rho * flow**2 > 0.0)
        return self._loss_gradient()[:, self.buses].ravel()

    def _turn_cuts(self) -> None:
        """Turn each cut of a loading to the operating point if that is in its bucket: one per bucket is then enough."""
        rows, lin = self.dso.rows, self.dso.lin
        assert lin is not None
        branch = np.flatnonzero(rows.kind == BRANCH)
        loading = self.dso.limits.loading(lin.v)[rows.index[branch], 0]
        now = np.ones(len(rows), np.complex128)
        now[branch] = np.where(loading == 0, 1.0, loading / np.maximum(np.abs(loading), 1e-300))
        same = row_keys(self.dso.limits, rows.step, rows.kind, rows.index, now) == rows.key
        turned = branch[same[branch]]
        if len(turned):
            rows.direction[turned] = now[turned]
            rows.refresh(lin)

    def _loss_gradient(self) -> Array:
        """(2, n) change of the losses per kW and kvar at the operating point."""
        assert self.dso.lin is not None
        p_p, p_q, _, _ = self.dso.lin.pcc_gradients(np.zeros(1, np.int64))
        gradient = np.concatenate([1.0 - p_p, -p_q])
        gradient[:, 0] = 0.0
        return gradient

    def _program(self, tolerance: float, rounds: int) -> tuple[Any, int]:
        """The optimum at the operating point with all rows and tangents it needs, and how many programs it took."""
        n, used = len(self.bus), 0
        while True:
            used += 1
            self._run()
            solution = self.highs.getSolution()
            if used == rounds:  # what is still broken joins at the next operating point
                break
            values = np.array(solution.col_value)
            own, known = self._add_own(values, tolerance), len(self.dso.rows)
            cuts = self.tangents.add_short(values, self.weight, tolerance)
            self.dso.add_violated(self.sums(values[: 2 * n])[None] * self.model.base_kva)
            added = len(self.dso.rows) - known
            if not (len(own) or len(cuts) or added):
                break
            self._append(own, cuts, added)
        self._remember(solution)
        return solution, used

    def _run(self) -> None:
        """Solve from the basis; from scratch with presolve when that fails for numerical reasons."""
        self.highs.run()
        if self.highs.getModelStatus() != MODEL_STATUS.kOptimal:
            self.highs.clearSolver()
            self.highs.setOptionValue("presolve", "on")
            self.highs.run()
            self.highs.setOptionValue("presolve", "off")
        if self.highs.getModelStatus() != MODEL_STATUS.kOptimal:
            self.basis = None
            status = self.highs.modelStatusToString(self.highs.getModelStatus())
            raise SolverError(f"central step: linear program is {status}")

    def _pass(self, charts: Charts, slope: Array, near: tuple[Array, float] | None) -> None:
        """Give HiGHS the whole program, with the basis of the last one; powers within a radius of others [base_kva]."""
        n_flows, base = self.flows, self.model.base_kva
        self.weight = self.price_loss / charts.steepest
        entries, self.own_right = charts.entries(base)
        shape = (len(self.own_right), self.width)
        self.own_rows = sp.csr_array((entries, charts.pattern()), shape=shape)
        parts = [
            self._own(self.own),
            self.tangents.rows(np.arange(len(self.tangents))),
            self._grid(np.arange(len(self.dso.rows))),
        ]
        matrix = sp.vstack([self.tree, *(rows for rows, _ in parts)])
        cost, x_min, x_max = self._columns(charts, self.weight * slope, near)
        above = np.concatenate([np.zeros(n_flows), *(right for _, right in parts)])
        below = np.full(len(above), -np.inf)
        below[:n_flows] = 0.0
        pass_lp(self.highs, cost, matrix, below, above, x_min, x_max)
        self.kind = np.repeat([OWN, CUT, GRID], [len(right) for _, right in parts])
        if self.basis is not None:
            set_basis(self.highs, *self.basis)

    def _columns(self, charts: Charts, slope: Array, near: tuple[Array, float] | None) -> tuple[Array, Array, Array]:
        """Cost and bounds of the variables p, q, t, F, their squares, and the slack."""
        n, first, last = len(self.bus), 3 * len(self.bus), 3 * len(self.bus) + self.flows
        cost = np.zeros(self.width)
        low, high = np.full(self.width, -np.inf), np.full(self.width, np.inf)
        cost[:n], cost[n : 2 * n], cost[2 * n : first] = slope[self.bus], slope[len(self.buses) + self.bus], 1.0
        if self.flows:
            flow = self.tangents.flows(self.buses, self.dso.origin[0])
            cost[first:last] = -2.0 * self.weight * self.tangents.rho * flow
            cost[last:-1] = self.weight
        cost[-1], low[last:] = PENALTY, 0.0
        unit = self.model.base_kva * np.array([1.0, 1.0, charts.steepest])[:, None]
        low[:first], high[: 2 * n] = (self.box[:3] / unit).ravel(), (self.box[3:5] / unit[:2]).ravel()
        if near is not None:
            low[: 2 * n] = np.maximum(low[: 2 * n], near[0] - near[1])
            high[: 2 * n] = np.minimum(high[: 2 * n], near[0] + near[1])
        return cost, low, high

    def _add_own(self, values: Array, tolerance: float) -> IntArray:
        """Of every chart the piece and the side that are broken most; they join the program."""
        beyond = self.own_rows @ values - self.own_right
        beyond[: self.pieces] -= 0.5 * tolerance / len(self.bus)
        beyond[self.pieces :] -= ON_SIDE
        beyond[self.own] = -1.0
        best = np.zeros(2 * len(self.bus))
        np.maximum.at(best, self.group, beyond)
        new = np.flatnonzero((beyond > 0.0) & (beyond >= best[self.group]))
        self.own = np.append(self.own, new)
        self.own_idle = np.append(self.own_idle, np.zeros(len(new), np.int64))
        return new

    def _own(self, which: IntArray) -> tuple[sp.csr_array, Array]:
        """Pieces and sides of the charts."""
        return self.own_rows[which], self.own_right[which]

    def _grid(self, which: IntArray) -> tuple[sp.csr_array, Array]:
        """Linearised limits over the powers of the charts, 1 at the bus that moves them most; less the shared slack."""
        rows, base = self.dso.rows, self.model.base_kva
        gradient = rows.gradient[which] / rows.scale[which, None]
        right = (gradient @ self.dso.origin[0] - rows.value[which] / rows.scale[which]) / base
        dense = np.zeros((len(which), self.width))
        n = len(self.bus)
        dense[:, :n], dense[:, n : 2 * n] = gradient[:, self.bus], gradient[:, len(self.buses) + self.bus]
        dense[:, -1] = -1.0
        return sp.csr_array(dense), right

    def _append(self, own: IntArray, cuts: IntArray, n_rows: int) -> None:
        """Add pieces and sides, tangents and the newest rows of the grid behind the others."""
        total = len(self.dso.rows)
        grid_rows = self._grid(np.arange(total - n_rows, total))
        for kind, (matrix, right) in ((OWN, self._own(own)), (CUT, self.tangents.rows(cuts)), (GRID, grid_rows)):
            count = len(right)
            if count:
                low = np.full(count, -np.inf)
                start, index = matrix.indptr[:-1].astype(np.int32), matrix.indices.astype(np.int32)
                self.highs.addRows(count, low, right, matrix.nnz, start, index, matrix.data)
                self.kind = np.append(self.kind, np.full(count, kind))

    def _remember(self, solution: Any) -> None:
        """Keep basis and multipliers; rows idle for long are forgotten, with their place in the basis."""
        found, kind, rows, tangents = self.highs.getBasis(), self.kind, self.dso.rows, self.tangents
        status = found.row_status
        fixed, extra = status[: self.flows], status[self.flows :]
        idle = np.array([one == BASIC for one in extra], np.bool_)
        rows.nu = np.maximum(-np.array(solution.row_dual)[self.flows :][kind == GRID], 0.0) / rows.scale
        self.own_idle = np.where(idle[kind == OWN], self.own_idle + 1, 0)
        tangents.idle = np.where(idle[kind == CUT], tangents.idle + 1, 0)
        rows.idle = np.where(idle[kind == GRID], rows.idle + 1, 0)
        kept = [age <= FORGET for age in (self.own_idle, tangents.idle, rows.idle)]
        places = [np.flatnonzero(kind == which)[one] for which, one in zip((OWN, CUT, GRID), kept, strict=True)]
        self.own, self.own_idle = self.own[kept[0]], self.own_idle[kept[0]]
        tangents.keep(kept[1])
        rows.keep(kept[2])
        self.basis = found.col_status, fixed + [extra[place] for place in np.concatenate(places).tolist()]

    def _prices(self, x: Array, charts: Charts) -> Array:
        """(2, n) worth of 1 kW and 1 kvar more at every bus: less losses, and room in the limits that bind."""
        multipliers = self.dso.rows.nu * charts.steepest
        self.dso.relinearise(x[None])
        assert self.dso.lin is not None
        rows = self.dso.rows
        row = self.dso.limits.functional(self.dso.lin.v, rows.step, rows.kind, rows.index, rows.direction)
        g_p, g_q = self.dso.lin.gradients(rows.step, row.bus_a, row.h_a, row.bus_b, row.h_b)
        price: Array = -np.stack([multipliers @ g_p, multipliers @ g_q]) - self.price_loss * self._loss_gradient()
        return price
