"""Random walks inside regions, and a look beyond each end of every chord; called by cover only."""

from __future__ import annotations

import numba as nb
import numpy as np

from mpo._locate import INSIDE, Map, locate
from mpo.arrays import Array, IntArray

_BEYOND = 1e-6


@nb.njit(cache=True, error_model="numpy")
def _chord(map: Map, G: Array, h: Array, r: int, x: Array, v: Array) -> tuple[float, float, int, int]:
    """How far region r and the parameter set reach from x along -v and v, and which rows of the region end that."""
    p = len(x)
    below, above = -1, -1
    low, high = -np.inf, np.inf
    for i in range(map.rows.shape[1]):
        scale = map.inverse[r, i]
        if scale > 0.0:
            value = map.rows[r, i, p]
            speed = 0.0
            for c in range(p):
                value += map.rows[r, i, c] * x[c]
                speed -= map.rows[r, i, c] * v[c]
            if abs(speed) * scale > 1e-12:
                end = max(value, 0.0) / speed
                if speed > 0.0 and end < high:
                    high = end
                    above = i
                elif speed < 0.0 and end > low:
                    low = end
                    below = i
    for i in range(len(h)):
        value = h[i]
        speed = 0.0
        for c in range(p):
            value -= G[i, c] * x[c]
            speed += G[i, c] * v[c]
        if speed > 1e-12:
            high = min(high, max(value, 0.0) / speed)
        elif speed < -1e-12:
            low = max(low, max(value, 0.0) / speed)
    return low, high, below, above


@nb.njit(cache=True, error_model="numpy")
def _possible(map: Map, G: Array, h: Array, t: Array) -> bool:
    """Is t in the parameter set and not known to have no solution?"""
    p = len(t)
    for i in range(len(h)):
        value = h[i]
        for c in range(p):
            value -= G[i, c] * t[c]
        if value < 0.0:
            return False
    for i in range(len(map.limits)):
        value = map.limits[i, p]
        for c in range(p):
            value += map.limits[i, c] * t[c]
        if value < -INSIDE:
            return False
    return True


@nb.njit(cache=True, error_model="numpy")
def cross(
    map: Map,
    G: Array,
    h: Array,
    point: Array,
    directions: Array,
    choice: Array,
    inner: Array,
    missing: Array,
    beyond: IntArray,
) -> tuple[int, int]:
    """Walk from the point of each region; ``inner`` becomes the mean of the walk, ``missing`` what no region holds.

    One direction (unit length) and one number for each step. ``beyond``: region, row at its end, region beyond. Returns
    how many parameters are missing, at most as many as fit, and how many rows ``beyond`` has.
    """
    p = point.shape[1]
    x, t = np.empty(p), np.empty(p)
    value = np.empty(map.rows.shape[1])
    searched = np.zeros(1, np.int64)
    count, linked = 0, 0
    for r in range(len(point)):
        x[:] = point[r]
        inner[r] = 0.0
        for s in range(len(directions)):
            v = directions[s]
            low, high, below, above = _chord(map, G, h, r, x, v)
            for row, end in ((below, low - _BEYOND), (above, high + _BEYOND)):
                for c in range(p):
                    t[c] = x[c] + end * v[c]
                if not _possible(map, G, h, t):
                    continue
                other = locate(map, t, r, value, searched)
                if other >= 0 and other != r and row >= 0:
                    beyond[linked, 0] = r
                    beyond[linked, 1] = row
                    beyond[linked, 2] = other
                    linked += 1
                elif other < 0 and count < len(missing):
                    missing[count] = t
                    count += 1
            move = low + choice[s] * (high - low)
            for c in range(p):
                x[c] += move * v[c]
                inner[r, c] += x[c] / len(directions)
    return count, linked
