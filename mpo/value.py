"""Convex piecewise linear functions of one variable: values of programs with one parameter, values of stored energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mpo.arrays import Array, IntArray, freeze
from mpo.errors import Fault, InputError
from mpo.part import Part
from mpo.solution import Solution

_SAME = 1e-10


@dataclass(frozen=True, eq=False)
class PiecewiseLinear:
    """A convex function on [x[0], x[-1]], linear between the points (x, y); infinite elsewhere.

    Args:
        x: (m + 1,) increasing; two equal ones are merged. A single point is a function defined there only.
        y: (m + 1,).

    Raises:
        InputError: not increasing, not finite, or not convex.
    """

    x: Array
    y: Array

    def __post_init__(self) -> None:
        x, y = np.atleast_1d(np.array(self.x, np.float64)), np.atleast_1d(np.array(self.y, np.float64))
        if x.ndim != 1 or x.shape != y.shape or not len(x) or not np.isfinite([x, y]).all():
            raise _fault(f"shapes {x.shape} and {y.shape}", "as many finite x as y", "check the points")
        if (np.diff(x) < 0.0).any():
            raise _fault("x that decrease", "increasing x", "sort the points")
        x, y = _merged(x, y)
        slopes = np.diff(y) / np.diff(x)
        if (np.diff(slopes) < -1e-9 * (1.0 + np.abs(slopes[1:]))).any():
            at = x[1:-1][np.diff(slopes).argmin()]
            raise _fault(f"slope decreases at x = {at:.6g}", "convex functions", "check sign and order of the values")
        object.__setattr__(self, "x", freeze(x))
        object.__setattr__(self, "y", freeze(y))

    @property
    def slopes(self) -> Array:
        """Slope of each segment, increasing."""
        slopes: Array = np.diff(self.y) / np.diff(self.x)
        return slopes

    @property
    def segments(self) -> int:
        """How many linear pieces there are."""
        return len(self.x) - 1

    def __call__(self, x: ArrayLike) -> Array:
        """Values; infinite outside."""
        points = np.asarray(x, np.float64)
        return np.interp(points, self.x, self.y, left=np.inf, right=np.inf)

    def __add__(self, other: PiecewiseLinear) -> PiecewiseLinear:
        """Sum, where both are finite."""
        low, high = max(self.x[0], other.x[0]), min(self.x[-1], other.x[-1])
        if low > high:
            raise _fault("two functions that are nowhere both finite", "overlapping intervals", "check the limits")
        x = np.unique(np.concatenate([self.x, other.x, [low, high]]))
        x = x[(x >= low) & (x <= high)]
        return PiecewiseLinear(x, self(x) + other(x))

    def between(self, low: float, high: float) -> PiecewiseLinear:
        """The same function, infinite outside [low, high]."""
        low, high = max(low, float(self.x[0])), min(high, float(self.x[-1]))
        if low > high:
            raise _fault(f"finite on [{self.x[0]:.6g}, {self.x[-1]:.6g}] only", "some x in the limits", "widen them")
        x = np.concatenate([[low], self.x[(self.x > low) & (self.x < high)], [high]])
        return PiecewiseLinear(x, self(x))

    def mirrored(self) -> PiecewiseLinear:
        """f(-x)."""
        return PiecewiseLinear(-self.x[::-1], self.y[::-1])

    def infimal_convolution(self, other: PiecewiseLinear) -> PiecewiseLinear:
        """min over w of f(w) + g(x - w): the segments of both in the order of their slopes.

        Source: R. T. Rockafellar, Convex Analysis (1970), theorem 16.4.
        """
        slopes = np.concatenate([self.slopes, other.slopes])
        lengths = np.concatenate([np.diff(self.x), np.diff(other.x)])
        order = np.argsort(slopes, kind="stable")
        x = np.concatenate([[0.0], np.cumsum(lengths[order])]) + self.x[0] + other.x[0]
        y = np.concatenate([[0.0], np.cumsum((slopes * lengths)[order])]) + self.y[0] + other.y[0]
        return PiecewiseLinear(x, y)

    def fitted(self, segments: int) -> Fit:
        """The best convex function from below that is made of at most so many of the linear pieces; see ``Fit``.

        The worst error between two chosen neighbours is where they cross; dynamic programming over pieces chooses
        those with the least worst error.

        Raises:
            InputError: no segment, or a function that is defined at one point only.
        """
        if segments < 1 or not self.segments:
            raise _fault(f"{segments} segments of {self.segments}", "at least one", "ask for one or more")
        if self.segments <= segments:
            pad = segments - self.segments
            slopes = np.concatenate([self.slopes, np.full(pad, self.slopes[-1])])
            return Fit(np.concatenate([self.x, np.full(pad, self.x[-1])]), slopes, self, 0.0)
        chosen = _best_pieces(self, segments)
        slopes, level = self.slopes[chosen], (self.y[:-1] - self.slopes * self.x[:-1])[chosen]
        inner = -np.diff(level) / np.diff(slopes)
        ends = np.concatenate([self.x[:1], inner, self.x[-1:]])
        values = np.append(slopes * ends[:-1] + level, slopes[-1] * ends[-1] + level[-1])
        below = PiecewiseLinear(ends, values)
        return Fit(ends, slopes, below, float((self(ends) - values).max()))


@dataclass(frozen=True, eq=False)
class Fit:
    """A convex function from below in a fixed number N of segments.

    Args:
        ends, slopes: (N + 1,), (N,); segments of length zero, with the last slope, fill up.
        function: the same as a function.
        error: how far it is below at most.
    """

    ends: Array
    slopes: Array
    function: PiecewiseLinear
    error: float


def _fault(value: str, allowed: str, remedy: str) -> InputError:
    return InputError([Fault("piecewise linear function", value, allowed, remedy)])


def _merged(x: Array, y: Array) -> tuple[Array, Array]:
    """Without points that are equal, or between segments of equal slope."""
    different = np.concatenate([[True], np.diff(x) > 1e-14 * (1.0 + np.abs(x[1:]))])
    x, y = x[different], y[different]
    if len(x) > 2:
        slopes = np.diff(y) / np.diff(x)
        bend = np.abs(np.diff(slopes)) > _SAME * (1.0 + np.abs(slopes[1:]))
        kept = np.concatenate([[True], bend, [True]])
        x, y = x[kept], y[kept]
    return x, y


def _best_pieces(f: PiecewiseLinear, segments: int) -> IntArray:
    """Numbers of the pieces whose maximum is closest to f."""
    m, slopes = f.segments, f.slopes
    level = f.y[:-1] - slopes * f.x[:-1]
    left, right = f.y[0] - (slopes * f.x[0] + level), f.y[-1] - (slopes * f.x[-1] + level)
    a, b = np.triu_indices(m, 1)
    cross = -(level[b] - level[a]) / (slopes[b] - slopes[a])
    gap = np.full((m, m), np.inf)
    gap[a, b] = np.maximum(f(cross) - (slopes[a] * cross + level[a]), 0.0)
    worst, before = left.copy(), []
    for _ in range(segments - 1):
        with_last = np.maximum(worst[:, None], gap)
        before.append(with_last.argmin(axis=0))
        worst = with_last.min(axis=0)
    last = int(np.maximum(worst, right).argmin())
    chosen = [last]
    for step in reversed(before):
        chosen.append(int(step[chosen[-1]]))
    return np.array(chosen[::-1], np.int64)


def storage_value(stages: Sequence[PiecewiseLinear], end: PiecewiseLinear, low: float, high: float) -> PiecewiseLinear:
    """Least cost from now on as a function of the energy in a store.

    V_k(e) = min over w of g_k(w) + V_{k+1}(e + w),   low <= e + w <= high,

    by merging slopes from the last step to the first (exact).

    Args:
        stages: cost g_k of adding the energy w in step k, first step first; defined where w is possible.
        end: value at the end, as a cost of the energy that is left.
        low, high: limits of the energy at all times.

    Raises:
        InputError: no way to keep the limits.
    """
    value = end.between(low, high)
    for stage in reversed(stages):
        value = value.infimal_convolution(stage.mirrored()).between(low, high)
    return value


def value_function(solution: Solution) -> PiecewiseLinear:
    """The value of a linear program with one parameter, in its right-hand side only.

    Raises:
        InputError: another kind of program, or no solution at all.
    """
    problem = solution.problem
    if problem.parameters != 1 or problem.C.any() or problem.hessian.any() or not len(solution):
        kind = f"{problem.parameters} parameters, cost with parameters: {problem.C.any()}, status {solution.status!r}"
        allowed = "one parameter, linear cost without it"
        raise InputError([Fault("solution", kind, allowed, "slice it first, or evaluate it")])
    points = np.unique(np.concatenate([_ends(solution), *(_crossings(part) for part in solution.parts)]))
    answer = solution.evaluate(points[:, None])
    return PiecewiseLinear(points[answer.inside], answer.value[answer.inside])


def _ends(solution: Solution) -> Array:
    A, b = solution.theta_A[:, 0], solution.theta_b
    return np.array([(b[A < 0] / A[A < 0]).max(), (b[A > 0] / A[A > 0]).min()])


def _crossings(part: Part) -> Array:
    """Parameters where a basic variable of some region is zero."""
    rows = part.rows
    slope, constant = rows[:, :, :-1] @ part.L[:, 0], rows[:, :, :-1] @ part.shift + rows[:, :, -1]
    moving = np.abs(slope) > 1e-12
    return np.asarray(-constant[moving] / slope[moving], np.float64)
