"""The chain x[t+1] = x[t] + w[t], lo <= x <= hi, each stage a non-decreasing curve w of its multiplier (numba).

Forward, the state as a function of the multiplier is a sorted list of points (x, jump, change of slope): add the
stage's points, cut at the bounds, remember the two multipliers of the cuts. Backward, they cut the multiplier (taut
string). Where it rests on a jump the move is an interval: a forward sweep of reachable intervals and a backward
choice.
Source: section 2 of the formulation.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from admmflex.horizon import Array, IntArray


@nb.njit(cache=True, error_model="numpy")
def _cut_left(
    x: Array, jump: Array, slope: Array, head: int, tail: int, value: float, bound: float,
) -> tuple[int, float]:  # fmt: skip
    """Raise the left end of the sorted list [head:tail) from value to bound.

    Returns the new head and the multiplier of the cut, which becomes the list's first point.
    """
    steep = 0.0
    here = -np.inf
    while head < tail:
        at = x[head]
        if steep > 0.0:
            after = value + steep * (at - here)
            if after >= bound:
                head -= 1
                x[head], jump[head], slope[head] = min(max(here + (bound - value) / steep, here), at), 0.0, steep
                return head, x[head]
            value = after
        value += jump[head]
        steep += slope[head]
        here = at
        if value >= bound:
            jump[head], slope[head] = value - bound, steep
            return head, here
        head += 1
    return head, here


@nb.njit(cache=True, error_model="numpy")
def _cut_right(
    x: Array, jump: Array, slope: Array, head: int, tail: int, value: float, bound: float,
) -> tuple[int, float]:  # fmt: skip
    """Lower the right end from value to bound; returns the new tail and the multiplier of the cut, as ``_cut_left``."""
    steep = 0.0
    here = np.inf
    while head < tail:
        last = tail - 1
        at = x[last]
        if steep > 0.0:
            after = value - steep * (here - at)
            if after <= bound:
                x[tail], jump[tail], slope[tail] = max(min(here - (value - bound) / steep, here), at), 0.0, -steep
                return tail + 1, x[tail]
            value = after
        value -= jump[last]
        steep -= slope[last]
        here = at
        if value <= bound:
            jump[last], slope[last] = bound - value, -steep
            return tail, here
        tail = last
    return tail, here


@nb.njit(cache=True, error_model="numpy")
def _insert(
    x: Array, jump: Array, slope: Array, head: int, tail: int, new_x: Array, new_jump: Array, new_slope: Array,
    first: int, last: int,
) -> tuple[int, int]:  # fmt: skip
    """Merge the points new[first:last] into the sorted list [head:tail), from the nearer end; returns head, tail."""
    middle = x[(head + tail) // 2] if tail > head else -np.inf
    split = first
    while split < last and new_x[split] < middle:
        split += 1
    i = head
    head -= split - first
    q = head
    for j in range(first, split):
        here = new_x[j]
        while x[i] < here:
            x[q], jump[q], slope[q] = x[i], jump[i], slope[i]
            q += 1
            i += 1
        x[q], jump[q], slope[q] = here, new_jump[j], new_slope[j]
        q += 1
    i = tail - 1
    tail += last - split
    q = tail - 1
    for j in range(last - 1, split - 1, -1):
        here = new_x[j]
        while i >= head and x[i] > here:
            x[q], jump[q], slope[q] = x[i], jump[i], slope[i]
            q -= 1
            i -= 1
        x[q], jump[q], slope[q] = here, new_jump[j], new_slope[j]
        q -= 1
    return head, tail


@nb.njit(cache=True, error_model="numpy")
def forward(
    first: IntArray, w_low: Array, w_high: Array, stage_x: Array, stage_jump: Array, stage_slope: Array,
    lo: Array, hi: Array, x: Array, jump: Array, slope: Array, cut_low: Array, cut_high: Array,
) -> None:  # fmt: skip
    """Forward sweep; fills the multipliers of the cuts. A bound that is out of reach is taken as reached."""
    head = x.shape[0] // 2
    tail = head
    left = 0.0
    right = 0.0
    for t in range(lo.shape[0]):
        left += w_low[t]
        right += w_high[t]
        begin, end = first[t], first[t + 1]
        cut_low[t] = -np.inf
        cut_high[t] = np.inf
        if right <= lo[t] or left >= hi[t]:
            last = max(x[tail - 1] if tail > head else -np.inf, stage_x[end - 1] if end > begin else -np.inf)
            least = min(x[head] if tail > head else np.inf, stage_x[begin] if end > begin else np.inf)
            if right <= lo[t]:
                cut_low[t] = last
                left = lo[t]
            else:
                cut_high[t] = least
                left = hi[t]
            right = left
            head = x.shape[0] // 2
            tail = head
            continue
        head, tail = _insert(x, jump, slope, head, tail, stage_x, stage_jump, stage_slope, begin, end)
        if left < lo[t]:
            head, cut_low[t] = _cut_left(x, jump, slope, head, tail, left, lo[t])
            left = lo[t]
        if right > hi[t]:
            tail, cut_high[t] = _cut_right(x, jump, slope, head, tail, right, hi[t])
            right = hi[t]


@nb.njit(cache=True, error_model="numpy")
def _move(
    m: float, first: int, last: int, start: float, end: float, x: Array, jump: Array, slope: Array,
) -> tuple[float, float]:  # fmt: skip
    """The interval of moves of a stage at multiplier m."""
    w = start
    steep = 0.0
    k = first
    here = m
    while k < last and x[k] < m:
        w += steep * (x[k] - here) + jump[k]
        steep += slope[k]
        here = x[k]
        k += 1
    if k == last:
        return end, end
    w += steep * (m - here)
    if x[k] == m:
        return w, w + jump[k]
    return w, w


@nb.njit(cache=True, error_model="numpy")
def backward(
    m: float, first: IntArray, w_low: Array, w_high: Array, stage_x: Array, stage_jump: Array, stage_slope: Array,
    lo: Array, hi: Array, cut_low: Array, cut_high: Array, mu: Array, least: Array, most: Array, near: Array,
    far: Array,
) -> None:  # fmt: skip
    """Backward sweep from the final multiplier m; fills mu and the moves ``least``."""
    steps = lo.shape[0]
    loose = False
    for t in range(steps - 1, -1, -1):
        near[t] = lo[t]
        far[t] = hi[t]
        if m < cut_low[t]:
            m = cut_low[t]
            far[t] = lo[t]
        if m > cut_high[t]:
            m = cut_high[t]
            near[t] = hi[t]
        mu[t] = m
        a, b = _move(m, first[t], first[t + 1], w_low[t], w_high[t], stage_x, stage_jump, stage_slope)
        least[t] = a
        most[t] = b
        loose |= b > a
    if loose:
        _choose(least, most, near, far)


@nb.njit(cache=True, error_model="numpy")
def _choose(least: Array, most: Array, near: Array, far: Array) -> None:
    """Pick moves within their intervals so that the state stays between near and far; written to ``least``."""
    steps = least.shape[0]
    a = 0.0
    b = 0.0
    for t in range(steps):
        a = min(max(a + least[t], near[t]), far[t])
        b = max(min(b + most[t], far[t]), a)
        near[t] = a
        far[t] = b
    x = min(max(0.0, a), b)
    for t in range(steps - 1, -1, -1):
        low = near[t - 1] if t > 0 else 0.0
        high = far[t - 1] if t > 0 else 0.0
        low = max(low, x - most[t])
        high = min(high, x - least[t])
        before = max(min(x, high), low)
        least[t] = min(max(x - before, least[t]), most[t])
        x = before
