"""The central step over cost charts as a second-order cone program, on the branch-flow model.

    min  sum_j f_j(p_j, q_j) + price_loss * losses(y)
    s.t. bus_power(y) = sum of the charts of each bus,  drop(y) = 0,  u l >= P^2 + Q^2,  limits of voltages and loadings

It is a relaxation: its optimum bounds the cost of every AC power flow from below, and is one itself where the cone is
tight. With ``guarded``, the voltages without losses stay below the upper limits too: they are the higher ones, so that
fictitious losses cannot buy room for export; what is feasible then is feasible without it, not the other way round.

Source: Moureau et al., eq. (35)-(41); Gan, Li, Topcu, Low (2015) for the voltages without losses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import clarabel
import numpy as np
import scipy.sparse as sp

from admmflex.errors import SolverError
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.chart import Charts
from grid.branchflow import BranchFlow
from grid.limits import Limits

SOLVED = ("Solved", "AlmostSolved")
INFEASIBLE = ("PrimalInfeasible", "AlmostPrimalInfeasible")


@dataclass(frozen=True)
class ConeAnswer:
    """Powers ``p, q (J,)`` [kW, kvar], lower bound ``value`` of the cost, ``price (2, n)``, and variables ``y``.

    ``p`` is None where even the relaxation is infeasible. ``surplus_kw`` is what the cone lacks to be tight.
    """

    p: Array | None
    q: Array | None
    value: float
    price: Array
    y: Array
    surplus_kw: float


class ConeProgram:
    """Data of the cone program, assembled once for a grid, its limits and charts of one shape.

    Args:
        model, limits: the grid.
        charts: whose buses and numbers of pieces and sides stay; their numbers may change from call to call.
        price_loss: cost of 1 kW of losses, in the unit of the charts.
        guarded: also bound the voltages without losses.
    """

    def __init__(
        self, model: BranchFlow, limits: Limits, charts: Charts, price_loss: float, *, guarded: bool = False
    ) -> None:
        self.model, self.charts, self.price_loss = model, charts, price_loss
        n_charts, b = len(charts), model.branches
        self.width = 3 * n_charts + (7 if guarded else 4) * b
        own = _chart_rows(charts, self.width)
        equations, room, cones = self._equations(guarded), self._limits(limits, guarded), self._cones(limits)
        ordered = [*equations, own, *room, *cones]
        self.A = sp.csc_matrix(sp.vstack([matrix for matrix, _ in ordered]))
        self.right = np.concatenate([right for _, right in ordered])
        self.n_zero, n_room = (sum(len(right) for _, right in part) for part in (equations, [own, *room]))
        self.kinds = [clarabel.ZeroConeT(self.n_zero), clarabel.NonnegativeConeT(n_room)]
        self.kinds += [clarabel.SecondOrderConeT(size) for size in self._sizes]
        self.places = _chart_places(self.A, charts, self.n_zero)
        self.solver: Any = None

    def solve(self, charts: Charts) -> ConeAnswer:
        """The optimum for charts of the same shape.

        Raises:
            SolverError: Clarabel gave up.
        """
        model, n = self.model, len(charts)
        unit = charts.steepest * model.base_kva  # cost of the base power at the steepest slope
        linear = np.zeros(self.width)
        linear[2 * n : 3 * n] = 1.0
        weight = self.price_loss * model.base_kva / unit
        losses = model.losses
        linear[3 * n : 3 * n + 4 * model.branches] = weight * losses.matrix.toarray()[0]
        self._write(charts, linear)
        solution = self.solver.solve()
        status = str(solution.status)
        if status in INFEASIBLE:
            none = np.zeros(0)
            return ConeAnswer(None, None, np.inf, np.full((2, model.network.n), np.nan), none, np.nan)
        if status not in SOLVED:
            raise SolverError(f"central step: Clarabel ended with {status}")
        x, z = np.array(solution.x), np.array(solution.z)
        constant = charts.offset.sum() + unit * weight * losses.constant[0]
        y = x[3 * n : 3 * n + 4 * model.branches]
        price = np.zeros((2, model.network.n))
        price[:, 1:] = z[: 2 * model.branches].reshape(2, -1) * charts.steepest
        price[0, 0] = self.price_loss
        value = unit * min(float(solution.obj_val), float(solution.obj_val_dual)) + constant
        p, q = x[:n] * model.base_kva, x[n : 2 * n] * model.base_kva
        return ConeAnswer(p, q, float(value), price, y, model.surplus_kw(y))

    def _write(self, charts: Charts, linear: Array) -> None:
        """Put the numbers of the charts where they belong; the factorisation keeps its pattern."""
        at, count = self.n_zero, len(charts.a) + len(charts.h)
        self.A.data[self.places], self.right[at : at + count] = charts.entries(self.model.base_kva)
        if self.solver is None:
            nothing = sp.csc_matrix((self.width, self.width))
            self.solver = clarabel.DefaultSolver(nothing, linear, self.A, self.right, self.kinds, _settings())
        else:
            self.solver.update(q=linear, A=self.A.data, b=self.right)

    def _equations(self, guarded: bool) -> list[tuple[sp.csr_array, Array]]:
        """Bus balances and voltage drops; the same without the currents when guarded."""
        model, n_charts, n = self.model, len(self.charts), self.model.network.n
        b, below = model.branches, np.r_[1:n, n + 1 : 2 * n]
        power, drop = model.bus_power, model.drop
        taken = np.concatenate([self.charts.bus - 1, b + self.charts.bus - 1])
        given = sp.csr_array((-np.ones(2 * n_charts), (taken, np.arange(2 * n_charts))), shape=(2 * b, 2 * n_charts))
        none = sp.csr_array((2 * b, n_charts))
        balance = sp.csr_array(power.matrix[below])
        found = [(sp.hstack([given, none, balance]), -power.constant[below])]
        found.append((sp.hstack([sp.csr_array((b, 3 * n_charts)), drop.matrix]), -drop.constant))
        if guarded:
            skip = sp.csr_array((2 * b, 4 * b))
            lossless = sp.csr_array(balance[:, : 3 * b])
            found.append((sp.hstack([given, none, skip, lossless]), -power.constant[below]))
            skip = sp.csr_array((b, 3 * n_charts + 4 * b))
            found.append((sp.hstack([skip, sp.csr_array(drop.matrix[:, : 3 * b])]), -drop.constant))
        return [(_shifted(matrix, 0, self.width), right) for matrix, right in found]

    def _limits(self, limits: Limits, guarded: bool) -> list[tuple[sp.csr_array, Array]]:
        """Limits of voltages and currents as rows ``A x <= right``."""
        model, start, grid = self.model, 3 * len(self.charts), self.model.network
        b = model.branches
        own = sp.eye_array(b, format="csr")
        _, squared = model.squared_loading(limits)
        rows = [
            (_shifted(own, start, self.width), grid.v_max[1:] ** 2),
            (_shifted(-own, start, self.width), -(grid.v_min[1:] ** 2)),
            (_shifted(squared.matrix, start, self.width), 1.0 - squared.constant),
        ]
        if guarded:
            rows.append((_shifted(own, start + 4 * b, self.width), grid.v_max[1:] ** 2))
        return rows

    def _cones(self, limits: Limits) -> list[tuple[sp.csr_array, Array]]:
        """|(2 P, 2 Q, u - l)| <= u + l of every branch, |(real, imag)| <= 1 of every loading that is a power."""
        model, b = self.model, self.model.branches
        eye = sp.eye_array(b, format="csr")
        zero = sp.csr_array((b, b))
        p, q = sp.hstack([zero, eye, zero, zero]), sp.hstack([zero, zero, eye, zero])
        current, u = sp.hstack([zero, zero, zero, eye]), model.inner
        end, real, imag = model.power_loading(limits)
        none = sp.csr_array((len(end), 4 * b))
        branch = [(u.matrix + current, u.constant), (2 * p, np.zeros(b)), (2 * q, np.zeros(b))]
        branch.append((u.matrix - current, u.constant))
        loading = [(none, np.ones(len(end))), (real.matrix, real.constant), (imag.matrix, imag.constant)]
        self._sizes = [4] * b + [3] * len(end)
        found = []
        for parts in (branch, loading):
            count, size = len(parts[0][1]), len(parts)
            order = np.arange(size * count).reshape(size, count).T.ravel()
            matrix = sp.csr_array(sp.vstack([part for part, _ in parts]))[order]
            right = np.concatenate([constant for _, constant in parts])[order]
            found.append((_shifted(-matrix, 3 * len(self.charts), self.width), right))
        return found


def _settings() -> Any:
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.presolve_enable = False  # else the data cannot be updated
    settings.max_threads = 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-9
    return settings


def _chart_rows(charts: Charts, width: int) -> tuple[sp.csr_array, Array]:
    """Epigraphs and polygons with ones for the numbers that come later: every place is stored, zeros included."""
    rows, columns = charts.pattern()
    count = len(charts.a) + len(charts.h)
    return sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(count, width)), np.zeros(count)


def _chart_places(A: sp.csc_matrix, charts: Charts, first_row: int) -> IntArray:
    """Where in the data of A the entries of the charts stand."""
    A.sort_indices()
    rows, columns = charts.pattern()
    key = np.repeat(np.arange(A.shape[1]), np.diff(A.indptr)) * A.shape[0] + A.indices
    return np.searchsorted(key, columns * A.shape[0] + first_row + rows)


def _shifted(matrix: sp.csr_array, before: int, width: int) -> sp.csr_array:
    """The matrix with ``before`` empty columns in front, ``width`` in all."""
    entries = sp.coo_array(matrix)
    place = (entries.coords[0], entries.coords[1] + before)
    return sp.csr_array((entries.data, place), shape=(matrix.shape[0], width))
