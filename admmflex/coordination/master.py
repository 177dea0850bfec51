"""The linear program behind mixing: one convex combination per bus under a few rows that couple the buses.

    min  sum_bl c_bl w_bl + sum_r price_r s_r
    s.t. sum_bl A_rbl w_bl - s_r + t_r = h_r,    sum_l w_bl = 1,    w, s, t >= 0

Mehrotra's predictor-corrector interior point. The convexity rows are eliminated in closed form, bus by bus, so that
each step factorises one matrix of the size of the coupling rows. Without crossover the answer is the centre of the
optimal face: it moves little when the rows are linearised anew, where a vertex would jump between equally cheap
plans.

The answer is the point of the central path at a small complementarity mu, found to many digits: it depends on the data
alone, smoothly, and not on where the search began. A program that differs a little, with rows linearised anew or added,
begins at the answer of the last one. Its rows are then not met at first; to meet them with more slack would lead far
away from the path.

Source: Nocedal and Wright, Numerical Optimization, algorithm 14.3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from admmflex.coordination import _master as kernel
from admmflex.errors import SolverError
from admmflex.horizon import Array, IntArray

MAX_STEPS = 80
TOLERANCE = 1e-8
# Of every diagonal entry: nearly equal rows make the system singular at the end of the path. The least that helps.
REGULARISATION = (1e-15, 1e-14, 1e-13, 1e-12, 1e-11, 1e-9, 1e-7)
SPREAD = 10.0  # of the complementarities that a corrector asks for: outliers would block the steps to come
BACK_OFF = 0.995  # fraction of the way to the boundary
FEASIBLE = 1e-10  # of the rows, over the largest limit
CENTRED = 1e-6  # largest relative difference of any complementarity from mu, at the end
LEAST_WEIGHT = 1e-9  # of an answer, where a program begins


@dataclass(frozen=True)
class Effects:
    """The M rows A_rbl = sum_c gradient[r, c B + b] answers[at[r], l, c B + b]; ``at`` ascends.

    Args:
        at: (M,) index of the step of each row.
        gradient: (M, 2 B) [kW/kW, kW/kvar].
        answers: (T, L, 2 B) bus powers of the L answers in the steps that have rows [kW, kvar].
    """

    at: IntArray
    gradient: Array
    answers: Array

    def __len__(self) -> int:
        return len(self.at)

    @property
    def first(self) -> IntArray:
        """Where the rows of each step begin, ``(T + 1,)``."""
        return np.searchsorted(self.at, np.arange(len(self.answers) + 1))

    def of(self, weights: Array) -> Array:
        """A w, ``(M,)``."""
        out = np.empty(len(self))
        kernel.forward(self.at, self.gradient, self.answers, weights, out)
        return out

    def transposed(self, y: Array) -> Array:
        """A' y, ``(L, B)``."""
        out = np.empty((self.answers.shape[1], self.answers.shape[2] // 2))
        kernel.transposed(self.at, self.gradient, self.answers, y, out)
        return out


@dataclass(frozen=True)
class Start:
    """A point near the central path: ``weights (L, B)``, multipliers ``nu (M,)``, 0 where unknown, complementarity."""

    weights: Array
    nu: Array
    mu: float


@dataclass(frozen=True)
class Master:
    """Solution: ``weights (L, B)``, multipliers ``nu (M,)``, ``slack (M,)``, ``gap``; where to go on from.

    The gap is the sum of all complementarities, in spreads of the costs of the bus where they differ most.
    """

    weights: Array
    nu: Array
    slack: Array
    gap: float
    path: Start


def solve_master(
    cost: Array,
    rows: Effects,
    limit: Array,
    price: float | Array,
    tolerance: float = TOLERANCE,
    start: Start | None = None,
) -> Master:
    """Solve the LP.

    Args:
        cost: (L, B) of each answer at each bus.
        rows: effect of each answer on each row.
        limit: (M,).
        price: of exceeding a row by one unit, (M,) or one for all.
        tolerance: the ``gap`` at which to stop.
        start: ``path`` of a program with the same answers and some of these rows.

    Raises:
        SolverError: rows so nearly equal that no step can be made.
    """
    if len(limit) == 0:
        weights = np.zeros_like(cost)
        weights[cost.argmin(axis=0), np.arange(cost.shape[1])] = 1.0
        return Master(weights, np.zeros(0), np.zeros(0), 0.0, Start(weights, np.zeros(0), 0.0))
    scale = max(float(np.ptp(cost, axis=0).max()), 1e-9)
    prices = np.broadcast_to(np.asarray(price, dtype=np.float64) / scale, limit.shape)
    path = _Path((cost - cost.min(axis=0)) / scale, rows, limit, prices)
    if start is None or not start.nu.any():
        path.begin()
    else:
        path.go_on(Start(start.weights, start.nu / scale, start.mu / scale))
    mu = path.follow(tolerance / len(path.cost))
    weights, nu = path.x[: cost.size].reshape(cost.shape), -path.y * scale
    end = Start(weights, nu, mu * scale)
    weights = weights / weights.sum(axis=0)
    slack = np.maximum(rows.of(weights) - limit, 0.0)
    return Master(weights, nu, slack, mu * len(path.cost), end)


class _Path:
    """The central path; x = (w, s, t), their reduced costs z, multipliers y of the rows and v of the convexity rows."""

    x: Array
    y: Array
    v: Array
    z: Array

    def __init__(self, cost: Array, rows: Effects, limit: Array, price: Array) -> None:
        self.shape, self.m, self.n = cost.shape, len(limit), cost.size
        self.rows, self.limit, self.first, self.price = rows, limit, rows.first, price
        self.cost = np.concatenate([cost.ravel(), price, np.zeros(self.m)])

    def begin(self) -> None:
        """All answers alike, every row met."""
        weights = np.full(self.shape, 1.0 / self.shape[0])
        excess = self.rows.of(weights) - self.limit
        s = np.maximum(excess, 0.0) + 0.1 * max(float(np.abs(excess).max()), 1e-3)
        self._set(weights, np.minimum(0.01, 0.5 * self.price), s, s - excess, 0.1)

    def go_on(self, start: Start) -> None:
        """From a point of another program; rows that it did not have get a typical multiplier."""
        weights = np.maximum(start.weights, LEAST_WEIGHT)
        nu = np.where(start.nu > 0.0, start.nu, np.median(start.nu[start.nu > 0.0]))
        nu = np.minimum(nu, (1.0 - LEAST_WEIGHT) * self.price)
        self._set(weights / weights.sum(axis=0), nu, start.mu / (self.price - nu), start.mu / nu, 0.1 * start.mu)

    def _set(self, weights: Array, nu: Array, s: Array, t: Array, least: float) -> None:
        """Begin here; ``least`` of all reduced costs of the answers."""
        mu = float(s @ (self.price - nu) + t @ nu) / (2 * self.m)
        reduced = self.cost[: self.n].reshape(self.shape) + self.rows.transposed(nu)
        centred = np.sum(weights * reduced, axis=0) - len(weights) * mu
        self.v = np.minimum(centred, reduced.min(axis=0) - least)
        self.x, self.y = np.concatenate([weights.ravel(), s, t]), -nu
        self.z = np.concatenate([(reduced - self.v).ravel(), self.price - nu, nu])

    def follow(self, goal: float) -> float:
        """Go to the point of the path where every complementarity is ``goal``; their mean there."""
        before, infeasible_before = np.inf, np.inf
        for _ in range(MAX_STEPS):
            primal = self.limit - self._forward(self.x), 1.0 - self.x[: self.n].reshape(self.shape).sum(axis=0)
            dual = self.cost - self._transposed(self.y, self.v) - self.z
            apart = float(np.abs(self.x * self.z / goal - 1.0).max())
            infeasible = float(np.abs(primal[0]).max()) / (1.0 + float(np.abs(self.limit).max()))
            feasible = infeasible < FEASIBLE or (infeasible >= infeasible_before and apart < 1.0)
            if feasible and (apart < CENTRED or 0.1 > apart >= before):
                break  # rows that are nearly equal keep a little infeasibility, and it would grow
            before, infeasible_before = apart, infeasible
            self._step(primal, dual, goal)
        return float(self.x @ self.z) / len(self.x)

    def _step(self, primal: tuple[Array, Array], dual: Array, goal: float) -> None:
        """Predict up to the goal, then correct towards the centre."""
        weight = self.x / self.z
        factor = self._factorise(weight)
        mu = float(self.x @ self.z) / len(self.x)
        dx, _, _, dz = self._solve(factor, weight, primal, dual, goal - self.x * self.z)
        ahead = float((self.x + _most(self.x, dx) * dx) @ (self.z + _most(self.z, dz) * dz)) / len(self.x)
        centre = max((ahead / mu) ** 3 * mu, goal)
        wanted = np.clip(centre - dx * dz, centre / SPREAD, centre * SPREAD)
        dx, dy, dv, dz = self._solve(factor, weight, primal, dual, wanted - self.x * self.z)
        along, across = (min(1.0, BACK_OFF * _most(*pair)) for pair in ((self.x, dx), (self.z, dz)))
        self.x += along * dx
        self.y += across * dy
        self.v += across * dv
        self.z += across * dz

    def _forward(self, x: Array) -> Array:
        return self.rows.of(x[: self.n].reshape(self.shape)) - x[self.n : self.n + self.m] + x[self.n + self.m :]

    def _transposed(self, y: Array, v: Array) -> Array:
        return np.concatenate([(self.rows.transposed(y) + v).ravel(), -y, y])

    def _factorise(self, weight: Array) -> tuple[tuple[Array, bool], Array, Array]:
        """Cholesky factor of the rows' Schur complement; coupling to the convexity rows; their own diagonal.

        The Schur complement sums the spread of the answers around their weighted mean, bus by bus.
        """
        own = weight[: self.n].reshape(self.shape)
        total = own.sum(axis=0)
        matrix, coupling = np.zeros((self.m, self.m)), np.empty((self.m, self.shape[1]))
        kernel.schur(self.first, self.rows.gradient, self.rows.answers, own, total, matrix, coupling)
        diagonal = matrix.diagonal() + weight[self.n : self.n + self.m] + weight[self.n + self.m :]
        for shift in REGULARISATION:
            np.fill_diagonal(matrix, (1.0 + shift) * diagonal)
            try:
                return scipy.linalg.cho_factor(matrix, lower=True, check_finite=False), coupling, total
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
        shift = complement / self.z - weight * dual
        right = primal[0] - self._forward(shift)
        convex = primal[1] - shift[: self.n].reshape(self.shape).sum(axis=0)
        dy = scipy.linalg.cho_solve(cholesky, right - coupling @ (convex / own), check_finite=False)
        dv = (convex - dy @ coupling) / own
        dx = shift + weight * self._transposed(dy, dv)
        return dx, dy, dv, (complement - self.z * dx) / self.x


def _most(value: Array, change: Array) -> float:
    """Longest step in [0, 1] that keeps ``value + step change`` non-negative."""
    falling = change < 0
    return min(1.0, float(np.min(-value[falling] / change[falling], initial=np.inf)))
