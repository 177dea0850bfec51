"""A faster way through most chains: find where the energy meets its bounds, one multiplier in between (numba).

Between two meetings the multiplier is constant, and the energy moved is a monotone, piecewise linear function of it,
summed without branches over the steps; Newton's method finds its root. Where the energy then leaves its band most, it
is set to the bound and the segment is divided (for separable convex costs with nested bounds the most violated bound
is tight); meetings whose multipliers step the wrong way are dropped. The meetings of the last answer are tried first.

The result is checked by the conditions of optimality; whatever does not pass is left to the chain, which needs no
luck. Source: van der Klauw, Gerards, Hurink, Resource allocation problems in decentralized energy management, OR
Spectrum 2017.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from admmflex.horizon import Array, IntArray

NEWTON = 40
PASSES = 8
EXACT = 1e-12
"""Energy [kWh] by which a segment may miss its end."""


class Stage(NamedTuple):
    """Levels and limits of a home, (K,) each, and for each side C, I, G of mu = C - Phi'/I, w = -G b."""

    above: Array
    below: Array
    load: Array
    avail: Array
    give: Array
    take: Array
    c_give: Array
    i_give: Array
    g_give: Array
    c_take: Array
    i_take: Array
    g_take: Array


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _moved(m: float, start: int, end: int, inverse: float, stage: Stage) -> tuple[float, float]:
    """Energy moved in the steps start...end at multiplier m (from the left of a jump), and its slope.

    Everything is read before it is asked whether it is needed: only then are there no branches.
    """
    total = 0.0
    steep = 0.0
    for t in range(np.uint64(start), np.uint64(end)):
        above, below, load, avail = stage.above[t], stage.below[t], stage.load[t], stage.avail[t]
        gain, rate, limit = stage.g_give[t], stage.i_give[t], stage.give[t]
        d = (stage.c_give[t] - m) * rate
        free = load + (max(d - above, 0.0) + min(d - below, 0.0)) * inverse - (avail if d < 0.0 else 0.0)
        total -= gain * min(max(free, 0.0), limit)
        bends = (free > 0.0) & (free < limit) & ((d > above) | (d < below))
        slope = gain * rate
        steep += slope if bends else 0.0
        gain, rate, limit = stage.g_take[t], stage.i_take[t], -stage.take[t]
        d = (stage.c_take[t] - m) * rate
        free = load + (max(d - above, 0.0) + min(d - below, 0.0)) * inverse - (avail if d < 0.0 else 0.0)
        total -= gain * max(min(free, 0.0), limit)
        bends = (free < 0.0) & (free > limit) & ((d > above) | (d < below))
        slope = gain * rate
        steep += slope if bends else 0.0
    return total, steep * inverse


@nb.njit(cache=True, error_model="numpy")
def _side(
    d: float, above: float, below: float, inverse: float, load: float, avail: float, low: float, high: float,
) -> tuple[float, float]:  # fmt: skip
    """Storage power where Phi' = d, curtailing nothing at d = 0 and all of it."""
    free = load + (max(d - above, 0.0) + min(d - below, 0.0)) * inverse
    early = free - (avail if d < 0.0 else 0.0)
    late = free - (avail if d <= 0.0 else 0.0)
    return min(max(early, low), high), min(max(late, low), high)


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _moves(
    m: float, start: int, end: int, inverse: float, stage: Stage, least: Array, most: Array,
) -> tuple[float, float]:  # fmt: skip
    """Intervals of the moves at multiplier m; returns the sums of their ends."""
    low = 0.0
    high = 0.0
    for t in range(np.uint64(start), np.uint64(end)):
        above, below, load, avail = stage.above[t], stage.below[t], stage.load[t], stage.avail[t]
        give, take, gain = stage.give[t], -stage.take[t], stage.g_give[t]
        d = (stage.c_give[t] - m) * stage.i_give[t]
        early, late = _side(d, above, below, inverse, load, avail, 0.0, give)
        first, last = -gain * early, -gain * late
        gain = stage.g_take[t]
        d = (stage.c_take[t] - m) * stage.i_take[t]
        early, late = _side(d, above, below, inverse, load, avail, take, 0.0)
        first -= gain * early
        last -= gain * late
        least[t], most[t] = first, last
        low += first
        high += last
    return low, high


@nb.njit(cache=True, error_model="numpy")
def _root(
    target: Array, m: float, start: int, end: int, inverse: float, stage: Stage, jump_give: float,
    jump_take: float,
) -> float:  # fmt: skip
    """Multiplier at which the steps start...end move the energy ``target``; NaN when it is not found."""
    low = -np.inf
    high = np.inf
    stride = 0.02
    for _ in range(NEWTON):
        moved, steep = _moved(m, start, end, inverse, stage)
        gap = target - moved
        if abs(gap) <= EXACT:
            return m
        if gap > 0.0:
            low = m
        else:
            high = m
        following = m + gap / steep if steep > 0.0 else (np.inf if gap > 0.0 else -np.inf)
        if not low < following < high:
            if low > -np.inf and high < np.inf:
                following = 0.5 * (low + high)
            else:
                following = m + stride if gap > 0.0 else m - stride
                stride *= 4.0
        crossed = np.nan
        for jump in (jump_give, jump_take):
            if min(m, following) <= jump <= max(m, following) and low <= jump <= high:
                crossed = jump
        if crossed == crossed:
            before, _ = _moved(crossed, start, end, inverse, stage)
            after, _ = _moved(np.nextafter(crossed, np.inf), start, end, inverse, stage)
            if before <= target <= after:
                return crossed
            if target > after:
                low = max(low, crossed)
            else:
                high = min(high, crossed)
            if not low < following < high:
                following = np.nextafter(crossed, np.inf) if target > after else np.nextafter(crossed, -np.inf)
        if not abs(following) < 1e6 or following == m:
            return np.nan
        m = following
    return np.nan


@nb.njit(cache=True, error_model="numpy")
def levels(price: Array, target: Array, rho: float, bought: Array, sold: Array, above: Array, below: Array) -> None:
    """Fill F'(0+) and F'(0-) of every step."""
    for t in range(above.shape[0]):
        lean = price[t] + rho * target[t]
        above[t] = -sold[t] - lean
        below[t] = -bought[t] - lean


@nb.njit(cache=True, error_model="numpy")
def burns(mu: Array, rho: float, stage: Stage, kappa: Array) -> bool:
    """Whether charging and discharging at once would pay in some step at its multiplier."""
    found = 0
    for t in range(np.uint64(mu.shape[0])):
        above, below, level = stage.above[t], stage.below[t], kappa[t]
        top = stage.give[t] - stage.load[t]
        dear = (above if top > 0.0 else below) + rho * top > level
        found += dear & ((stage.c_give[t] - mu[t]) * stage.i_give[t] >= level)
    return found > 0


@nb.njit(cache=True, error_model="numpy")
def _worst(x: float, start: int, end: int, move: Array, lo: Array, hi: Array) -> tuple[int, int]:
    """Step at which the energy, x before ``start``, leaves its band most, and 1 above or -1 below; or (-1, 0)."""
    at = -1
    side = 0
    worst = 1e-10
    for t in range(start, end):
        x += move[t]
        if x - hi[t] > worst:
            worst, at, side = x - hi[t], t, 1
        if lo[t] - x > worst:
            worst, at, side = lo[t] - x, t, -1
    return at, side


@nb.njit(cache=True, error_model="numpy")
def _sweep(
    lo: Array, hi: Array, end_value: float, meets: IntArray, mu: Array, inverse: float, stage: Stage,
    jump_give: float, jump_take: float, move: Array, most: Array,
) -> bool:  # fmt: skip
    """Solve the segments between the meetings, adding meetings where the energy leaves its band; False when stuck."""
    steps = lo.shape[0]
    start = 0
    x = 0.0
    while start < steps:
        last = start
        while last < steps - 1 and meets[last] == 0:
            last += 1
        end = last + 1
        fixed = meets[last] != 0
        m = end_value
        goal = 0.0
        if fixed:
            goal = (hi[last] if meets[last] > 0 else lo[last]) - x
            m = _root(goal, mu[last], start, end, inverse, stage, jump_give, jump_take)
            if m != m:
                return False
        low, high = _moves(m, start, end, inverse, stage, move, most)
        if high > low:
            if not fixed:
                return False
            part = min(max((goal - low) / (high - low), 0.0), 1.0)
            for t in range(start, end):
                move[t] += part * (most[t] - move[t])
        for t in range(start, end):
            mu[t] = m
        at, side = _worst(x, start, last if fixed else end, move, lo, hi)
        if at >= 0:
            meets[at] = side
            continue
        x += goal
        start = end
    return True


@nb.njit(cache=True, error_model="numpy")
def solve_segments(
    lo: Array, hi: Array, end_value: float, meets: IntArray, mu: Array, inverse: float, stage: Stage,
    jump_give: float, jump_take: float, move: Array, most: Array,
) -> bool:  # fmt: skip
    """Moves and multipliers of a chain, from those of the last answer; False when not proven optimal."""
    last = lo.shape[0] - 1
    for _ in range(PASSES):
        if not _sweep(lo, hi, end_value, meets, mu, inverse, stage, jump_give, jump_take, move, most):
            return False
        proven = True
        for t in range(last + 1):
            step = (mu[t + 1] if t < last else end_value) - mu[t]
            if meets[t] * step < -1e-11 and hi[t] > lo[t]:
                meets[t] = 0
                proven = False
        if proven:
            return True
    return False


@nb.njit(cache=True, error_model="numpy")
def meetings(lo: Array, hi: Array, end_value: float, mu: Array, meets: IntArray) -> None:
    """Where the multipliers of an answer say that the energy meets a bound."""
    last = lo.shape[0] - 1
    for t in range(last + 1):
        step = (mu[t + 1] if t < last else end_value) - mu[t]
        meets[t] = 1 if step > 0.0 else -1 if step < 0.0 else 0
