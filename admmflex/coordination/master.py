"""The linear program behind mixing: one convex combination per bus under a few rows that couple the buses.

    min  sum_bl c_bl w_bl + price sum_r s_r
    s.t. sum_bl A_rbl w_bl - s_r + t_r = h_r,    sum_l w_bl = 1,    w, s, t >= 0

Mehrotra's predictor-corrector interior point. The convexity rows are eliminated in closed form, bus by bus, so that
each step factorises one matrix of the size of the coupling rows. Without crossover the answer is the centre of the
optimal face: it moves little when the rows are linearised anew, where a vertex would jump between equally cheap
plans.

Source: Nocedal and Wright, Numerical Optimization, algorithm 14.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from admmflex.errors import SolverError
from admmflex.horizon import Array

MAX_STEPS = 80
TOLERANCE = 1e-8
# Of every diagonal entry: nearly equal rows make the system singular at the end of the path. The least that helps.
REGULARISATION = (1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-9, 1e-7)
BACK_OFF = 0.995  # fraction of the way to the boundary


@dataclass(frozen=True)
class Master:
    """Solution: ``weights (B, L)``, multipliers ``nu (M,)``, ``slack (M,)``; relative ``gap``."""

    weights: Array
    nu: Array
    slack: Array
    gap: float


def solve_master(cost: Array, rows: Array, limit: Array, price: float, tolerance: float = TOLERANCE) -> Master:
    """Solve the LP.

    Args:
        cost: (B, L) of each answer at each bus.
        rows: (M, B, L) effect of each answer on each row.
        limit: (M,).
        price: of exceeding a row by one unit.
        tolerance: of the relative complementarity gap, and of the rows.
    """
    if len(limit) == 0:
        weights = np.zeros_like(cost)
        weights[np.arange(len(cost)), cost.argmin(axis=1)] = 1.0
        return Master(weights, np.zeros(0), np.zeros(0), 0.0)
    scale = max(float(np.ptp(cost, axis=1).max()), 1e-9)
    path = _Path((cost - cost.min(axis=1, keepdims=True)) / scale, rows.reshape(len(limit), -1), limit, price / scale)
    gap = path.follow(tolerance)
    weights = path.x[: cost.size].reshape(cost.shape)
    weights = weights / weights.sum(axis=1, keepdims=True)
    slack = np.maximum(np.einsum("rbl,bl->r", rows, weights) - limit, 0.0)
    return Master(weights, np.maximum(-path.y, 0.0) * scale, slack, gap)


class _Path:
    """The central path; x = (w, s, t), their reduced costs z, multipliers y of the rows and v of the convexity rows."""

    def __init__(self, cost: Array, rows: Array, limit: Array, price: float) -> None:
        self.shape, self.m = cost.shape, len(limit)
        self.rows, self.limit = rows, limit
        self.cost = np.concatenate([cost.ravel(), np.full(self.m, price), np.zeros(self.m)])
        w = np.full(cost.size, 1.0 / self.shape[1])
        excess = rows @ w - limit
        size = max(float(np.abs(excess).max()), 1e-3)
        s = np.maximum(excess, 0.0) + 0.1 * size
        self.x = np.concatenate([w, s, s - excess])
        self.y = np.full(self.m, -min(1.0, 0.5 * price))
        self.v = np.zeros(self.shape[0])
        reduced = self.cost - self._transposed(self.y, self.v)
        self.v = np.minimum(reduced[: cost.size].reshape(self.shape).min(axis=1) - 0.5, 0.0)
        self.z = self.cost - self._transposed(self.y, self.v)

    def follow(self, tolerance: float) -> float:
        """Go to the end of the path; the relative complementarity gap there."""
        gap = before = np.inf
        for _ in range(MAX_STEPS):
            primal = (
                self.limit - self._forward(self.x),
                1.0 - self.x[: self.rows.shape[1]].reshape(self.shape).sum(axis=1),
            )
            dual = self.cost - self._transposed(self.y, self.v) - self.z
            gap = float(self.x @ self.z) / (1.0 + abs(float(self.cost @ self.x)))
            infeasible = float(np.abs(primal[0]).max()) / (1.0 + float(np.abs(self.limit).max()))
            if gap < tolerance and (infeasible < tolerance or infeasible >= before):
                break  # rows that are nearly equal keep a little infeasibility, and it would grow
            before = infeasible
            self._step(primal, dual)
        return gap

    def _step(self, primal: tuple[Array, Array], dual: Array) -> None:
        """Predict to the boundary, then correct towards the centre."""
        weight = self.x / self.z
        factor = self._factorise(weight)
        mu = float(self.x @ self.z) / len(self.x)
        dx, _, _, dz = self._solve(factor, weight, primal, dual, -self.x * self.z)
        ahead = float((self.x + _most(self.x, dx) * dx) @ (self.z + _most(self.z, dz) * dz)) / len(self.x)
        centre = (ahead / mu) ** 3 * mu
        dx, dy, dv, dz = self._solve(factor, weight, primal, dual, centre - dx * dz - self.x * self.z)
        along, across = (min(1.0, BACK_OFF * _most(*pair)) for pair in ((self.x, dx), (self.z, dz)))
        self.x += along * dx
        self.y += across * dy
        self.v += across * dv
        self.z += across * dz

    def _forward(self, x: Array) -> Array:
        n = self.rows.shape[1]
        return np.asarray(self.rows @ x[:n] - x[n : n + self.m] + x[n + self.m :])

    def _transposed(self, y: Array, v: Array) -> Array:
        return np.concatenate([y @ self.rows + np.repeat(v, self.shape[1]), -y, y])

    def _factorise(self, weight: Array) -> tuple[tuple[Array, bool], Array, Array]:
        """Cholesky factor of the rows' Schur complement; coupling to the convexity rows; their own diagonal.

        The Schur complement sums the spread of the answers around their weighted mean, bus by bus.
        """
        n = self.rows.shape[1]
        by_bus, own = self.rows.reshape(self.m, *self.shape), weight[:n].reshape(self.shape)
        coupling, total = np.einsum("mbl,bl->mb", by_bus, own), own.sum(axis=1)
        spread = by_bus - (coupling / total)[:, :, None]
        spread *= np.sqrt(own)
        matrix = scipy.linalg.blas.dsyrk(1.0, spread.reshape(self.m, n).T, trans=1)
        diagonal = matrix.diagonal() + weight[n : n + self.m] + weight[n + self.m :]
        for shift in REGULARISATION:
            np.fill_diagonal(matrix, (1.0 + shift) * diagonal)
            try:
                return scipy.linalg.cho_factor(matrix, check_finite=False), coupling, total
            except scipy.linalg.LinAlgError:
                continue
        raise SolverError("the mixing of past answers met a singular system; run with mixing: false")

    def _solve(
        self,
        factor: tuple[tuple[Array, bool], Array, Array],
        weight: Array,
        primal: tuple[Array, Array],
        dual: Array,
        complement: Array,
    ) -> tuple[Array, Array, Array, Array]:
        """Newton step for the residuals: (dx, dy, dv, dz)."""
        cholesky, coupling, own = factor
        n = self.rows.shape[1]
        shift = complement / self.z - weight * dual
        right = primal[0] - self._forward(shift)
        convex = primal[1] - shift[:n].reshape(self.shape).sum(axis=1)
        dy = scipy.linalg.cho_solve(cholesky, right - coupling @ (convex / own), check_finite=False)
        dv = (convex - dy @ coupling) / own
        dx = shift + weight * self._transposed(dy, dv)
        return dx, dy, dv, (complement - self.z * dx) / self.x


def _most(value: Array, change: Array) -> float:
    """Longest step in [0, 1] that keeps ``value + step change`` non-negative."""
    falling = change < 0
    return min(1.0, float(np.min(-value[falling] / change[falling], initial=np.inf)))
