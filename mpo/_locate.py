"""Which region holds a parameter, and the laws there; called by part, and by the kernels that walk."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo.arrays import Array, BoolArray, IntArray

INSIDE = 1e-9
_STEPS, _STARTS = 200, 6


class Map(NamedTuple):
    """Regions of one block.

    Args:
        rows: (R, m, p + 1) basic variables over (t, 1); region r is where all are >= 0.
        inverse: (R, m) one over the length of the gradient of each row; 0 for rows without parameters.
        start, links, gain: (R + 1,), (L, 3), (L,) neighbours: row, partner (-1: none), region; entry pivoted on.
        limits: (k, p + 1) rows >= 0 wherever the program has a solution.
    """

    rows: Array
    inverse: Array
    start: IntArray
    links: IntArray
    gain: Array
    limits: Array


@nb.njit(cache=True, error_model="numpy")
def _outside(rows: Array, t: Array) -> bool:
    for i in range(len(rows)):
        value = rows[i, len(t)]
        for c in range(len(t)):
            value += rows[i, c] * t[c]
        if value < -INSIDE:
            return True
    return False


@nb.njit(cache=True, error_model="numpy")
def holds(map: Map, r: int, t: Array) -> bool:
    """Is t in region r?"""
    p = len(t)
    for i in range(map.rows.shape[1]):
        if map.inverse[r, i] > 0.0:
            value = map.rows[r, i, p]
            for c in range(p):
                value += map.rows[r, i, c] * t[c]
            if value * map.inverse[r, i] < -INSIDE:
                return False
    return True


@nb.njit(cache=True, error_model="numpy")
def holding(map: Map, t: Array, depth: float) -> int:
    """How many regions hold t at least so deep."""
    p = len(t)
    count = 0
    for r in range(len(map.rows)):
        deep = True
        for i in range(map.rows.shape[1]):
            if map.inverse[r, i] > 0.0:
                value = map.rows[r, i, p]
                for c in range(p):
                    value += map.rows[r, i, c] * t[c]
                if value * map.inverse[r, i] < depth:
                    deep = False
                    break
        if deep:
            count += 1
    return count


@nb.njit(cache=True, error_model="numpy")
def _next(map: Map, r: int, value: Array) -> int:
    """Neighbour across the row that is violated most; among several, that of the least ratio. -1: none."""
    best = -1
    worst = 0.0
    ratio = 0.0
    for e in range(map.start[r], map.start[r + 1]):
        i = map.links[e, 0]
        j = map.links[e, 1]
        depth = value[i] * map.inverse[r, i]
        if depth >= -INSIDE or depth > worst:
            continue
        own = 0.0 if j < 0 else value[j] / map.gain[e]
        if depth < worst or own < ratio:
            worst = depth
            ratio = own
            best = map.links[e, 2]
    return best


@nb.njit(cache=True, error_model="numpy")
def walk(map: Map, t: Array, first: int, value: Array) -> int:
    """From region ``first`` across violated rows to the region of t; -1 when the way is lost."""
    p = len(t)
    r = first
    for _ in range(_STEPS):
        inside = True
        for i in range(map.rows.shape[1]):
            v = map.rows[r, i, p]
            for c in range(p):
                v += map.rows[r, i, c] * t[c]
            value[i] = v
            if v * map.inverse[r, i] < -INSIDE:
                inside = False
        if inside:
            return r
        r = _next(map, r, value)
        if r < 0:
            return -1
    return -1


@nb.njit(cache=True, error_model="numpy")
def locate(map: Map, t: Array, first: int, value: Array, count: IntArray) -> int:
    """Region of t or -1; by walking, from elsewhere when the way is lost, and region by region at last (counted)."""
    R = len(map.rows)
    if R == 0 or _outside(map.limits, t):
        return -1
    for attempt in range(_STARTS):
        r: int = walk(map, t, (first + attempt * R // _STARTS) % R, value)
        if r >= 0:
            return r
    count[0] += 1
    for q in range(R):
        if holds(map, q, t):
            return q
    return -1


@nb.njit(cache=True, error_model="numpy")
def evaluate(
    map: Map,
    law: Array,
    kind: BoolArray,
    T: Array,
    first: int,
    region: IntArray,
    u: Array,
    multiplier: Array,
    count: IntArray,
) -> int:
    """Region, variables and multipliers at each row of T (NaN outside); returns the last region."""
    p = T.shape[1]
    value = np.empty(map.rows.shape[1])
    for s in range(len(T)):
        r = locate(map, T[s], first, value, count)
        region[s] = r
        if r < 0:
            u[s] = np.nan
            multiplier[s] = np.nan
            continue
        first = r
        for k in range(law.shape[1]):
            v = law[r, k, p]
            for c in range(p):
                v += law[r, k, c] * T[s, c]
            u[s, k] = v
        for i in range(map.rows.shape[1]):
            v = 0.0
            if kind[r, i]:
                v = map.rows[r, i, p]
                for c in range(p):
                    v += map.rows[r, i, c] * T[s, c]
            multiplier[s, i] = max(v, 0.0)
    return first
