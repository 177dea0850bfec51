"""Which regions a slice of the parameter set meets; called by slices only."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo._locate import INSIDE, Map, locate
from mpo._nearest import EMPTY, Scratch, decide
from mpo.arrays import Array, BoolArray, IntArray

VERTICES = 256
_AREA = 1e-12


@nb.njit(cache=True, error_model="numpy")
def _row(rows: Array, i: int, fixed: Array, moving: IntArray, D: Array, out: Array) -> float:
    """Row i over the slice t = fixed + D s: gradient to ``out``, the constant returned."""
    constant: float = rows[i, len(fixed)]
    for c in range(len(fixed)):
        constant += rows[i, c] * fixed[c]
    for e in range(D.shape[1]):
        v = 0.0
        for c in moving:
            v += rows[i, c] * D[c, e]
        out[e] = v
    return constant


@nb.njit(cache=True, error_model="numpy")
def move(rows: Array, numbers: IntArray, fixed: Array, moving: IntArray, D: Array, unit: bool) -> Array:
    """Rows ``(., m, p + 1)`` of some regions over the slice, ``(., m, k + 1)``; made of unit length on request."""
    k = D.shape[1]
    out = np.empty((len(numbers), rows.shape[1], k + 1))
    for q in range(len(numbers)):
        for i in range(rows.shape[1]):
            out[q, i, k] = _row(rows[numbers[q]], i, fixed, moving, D, out[q, i])
            if unit:
                length = 0.0
                for e in range(k):
                    length += out[q, i, e] ** 2
                length = np.sqrt(length)
                if length > 1e-9:
                    out[q, i] /= length
    return out


@nb.njit(cache=True, error_model="numpy")
def slice_rows(
    map: Map, kind: BoolArray, r: int, fixed: Array, moving: IntArray, D: Array, G: Array, h: Array, which: IntArray
) -> int:
    """Rows ``which``, as ``G s <= h``, of region r that can bind over s in [-1, 1]^k; -1 when it is not met at all."""
    rows = map.rows[r]
    k = D.shape[1]
    count = 0
    for first in (True, False):
        for i in range(len(rows)):
            scale = map.inverse[r, i]
            if kind[r, i] != first or scale == 0.0:
                continue
            constant = _row(rows, i, fixed, moving, D, G[count]) * scale
            spread = 0.0
            for e in range(k):
                G[count, e] *= -scale
                spread += abs(G[count, e])
            if constant + spread < -INSIDE or (spread > INSIDE and constant + spread < INSIDE):
                return -1
            if constant - spread >= -INSIDE * INSIDE or spread <= INSIDE:
                continue
            h[count] = constant
            which[count] = i
            count += 1
    return count


@nb.njit(cache=True, error_model="numpy")
def clip(polygon: Array, count: int, a: float, b: float, h: float, other: Array) -> int:
    """Cut a x + b y <= h out of a polygon (vertices in order), in place; returns how many vertices remain."""
    kept = 0
    for q in range(count):
        n = q + 1 if q + 1 < count else 0
        here = h - a * polygon[q, 0] - b * polygon[q, 1]
        there = h - a * polygon[n, 0] - b * polygon[n, 1]
        if here >= 0.0:
            other[kept] = polygon[q]
            kept += 1
        if (here > 0.0 and there < 0.0) or (here < 0.0 and there > 0.0):
            w = here / (here - there)
            other[kept, 0] = polygon[q, 0] + w * (polygon[n, 0] - polygon[q, 0])
            other[kept, 1] = polygon[q, 1] + w * (polygon[n, 1] - polygon[q, 1])
            kept += 1
    for q in range(kept):
        polygon[q] = other[q]
    return kept


@nb.njit(cache=True, error_model="numpy")
def outline(A: Array, b: Array) -> Array:
    """Corners of the bounded set ``A x <= b`` in the plane, none if it is empty; cut from a huge square, then from a
    square of its own size, as rounding errors grow with that.
    """
    polygon, other = np.zeros((VERTICES, 2)), np.zeros((VERTICES, 2))
    low, high = np.full(2, -1e9), np.full(2, 1e9)
    count = 4
    for _ in range(2):
        count = 4
        for corner in range(4):
            polygon[corner, 0] = high[0] if corner in (1, 2) else low[0]
            polygon[corner, 1] = high[1] if corner >= 2 else low[1]
        for i in range(len(b)):
            count = clip(polygon, count, A[i, 0], A[i, 1], b[i], other)
            if count < 3:
                return polygon[:0]
        for c in range(2):
            size = polygon[:count, c].max() - polygon[:count, c].min()
            low[c] = polygon[:count, c].min() - size
            high[c] = polygon[:count, c].max() + size
    return polygon[:count].copy()


@nb.njit(cache=True, error_model="numpy")
def centroid(polygon: Array, count: int, out: Array) -> float:
    """Area of a polygon, its centre of gravity to ``out``."""
    area, x, y = 0.0, 0.0, 0.0
    for q in range(1, count - 1):
        ax, ay = polygon[q, 0] - polygon[0, 0], polygon[q, 1] - polygon[0, 1]
        bx, by = polygon[q + 1, 0] - polygon[0, 0], polygon[q + 1, 1] - polygon[0, 1]
        part = 0.5 * (ax * by - ay * bx)
        area += part
        x += part * (ax + bx) / 3.0
        y += part * (ay + by) / 3.0
    if area > 0.0:
        out[0] = polygon[0, 0] + x / area
        out[1] = polygon[0, 1] + y / area
    return area


@nb.njit(cache=True, error_model="numpy")
def _domain(map: Map, fixed: Array, moving: IntArray, D: Array, polygon: Array, count: int, other: Array) -> int:
    """Cut off what has no solution."""
    g = np.empty(2)
    for i in range(len(map.limits)):
        h = _row(map.limits, i, fixed, moving, D, g)
        if abs(g[0]) + abs(g[1]) > INSIDE:
            count = clip(polygon, count, -g[0], -g[1], h, other)
        elif h < -INSIDE:
            count = 0
        if count < 3:
            return 0
    return count


class Plane(NamedTuple):
    """Memory for polygons, and what is known of each region: seen, or in the queue."""

    G: Array
    h: Array
    polygon: Array
    other: Array
    which: IntArray
    binding: BoolArray
    queue: IntArray
    seen: BoolArray


@nb.njit(cache=True, error_model="numpy")
def _visit(
    map: Map, kind: BoolArray, r: int, fixed: Array, moving: IntArray, D: Array, outline: Array, w: Plane, point: Array
) -> float:
    """Area of the polygon in which region r meets the plane, its centre of gravity, and which rows cut it."""
    rows = slice_rows(map, kind, r, fixed, moving, D, w.G, w.h, w.which)
    if rows < 0:
        return 0.0
    count = len(outline)
    w.polygon[:count] = outline
    w.binding[:] = False
    for i in range(rows):
        w.binding[w.which[i]] = True
        count = clip(w.polygon, count, w.G[i, 0], w.G[i, 1], w.h[i], w.other)
        if count < 3:
            return 0.0
    area: float = centroid(w.polygon, count, point)
    return area


@nb.njit(cache=True, error_model="numpy")
def met_plane(
    map: Map,
    kind: BoolArray,
    fixed: Array,
    moving: IntArray,
    D: Array,
    outline: Array,
    first: int,
    met: IntArray,
    point: Array,
) -> int:
    """Regions that meet a plane in a polygon inside ``outline``; their numbers, and a point inside each.

    From the region of one point on to neighbours; all regions are looked at when what these cover is smaller than
    what has a solution.
    """
    m, R = map.rows.shape[1], len(map.rows)
    shape = np.empty((VERTICES, 2)), np.empty((VERTICES, 2))
    rows = np.empty(m + 1, np.int64), np.empty(m, np.bool_)
    w = Plane(np.empty((m + 1, 2)), np.empty(m + 1), *shape, *rows, np.empty(R, np.int64), np.zeros(R, np.bool_))
    w.polygon[: len(outline)] = outline
    count = _domain(map, fixed, moving, D, w.polygon, len(outline), w.other)
    if count == 0 or R == 0:
        return 0
    t, middle = fixed.copy(), np.empty(2)
    whole = centroid(w.polygon, count, middle)
    for c in moving:
        t[c] += D[c, 0] * middle[0] + D[c, 1] * middle[1]
    start = locate(map, t, first, np.empty(m), np.zeros(1, np.int64))
    found, head, tail, covered = 0, 0, 0, 0.0
    if start >= 0:
        w.queue[0] = start
        w.seen[start] = True
        tail = 1
    while head < tail:
        r = w.queue[head]
        head += 1
        area = _visit(map, kind, r, fixed, moving, D, outline, w, point[found])
        if area > _AREA:
            covered += area
            met[found] = r
            found += 1
            for e in range(map.start[r], map.start[r + 1]):
                other = map.links[e, 2]
                if w.binding[map.links[e, 0]] and not w.seen[other]:
                    w.seen[other] = True
                    w.queue[tail] = other
                    tail += 1
    if covered < whole * (1.0 - 1e-7):
        for r in range(R):
            if not w.seen[r] and _visit(map, kind, r, fixed, moving, D, outline, w, point[found]) > _AREA:
                met[found] = r
                found += 1
    return found


@nb.njit(cache=True, error_model="numpy")
def met_space(
    map: Map,
    kind: BoolArray,
    fixed: Array,
    moving: IntArray,
    D: Array,
    A: Array,
    b: Array,
    margin: float,
    s: Scratch,
    state: IntArray,
    point: Array,
) -> None:
    """The same for any number of parameters, ``A s <= b``: FEASIBLE, EMPTY or undecided for each region."""
    k = D.shape[1]
    which = np.empty(map.rows.shape[1] + 1, np.int64)
    for r in range(len(map.rows)):
        state[r] = EMPTY
        count = slice_rows(map, kind, r, fixed, moving, D, s.G, s.h, which)
        if count < 0:
            continue
        for i in range(count):
            length = 0.0
            for e in range(k):
                length += s.G[i, e] ** 2
            length = np.sqrt(length)
            for e in range(k):
                s.G[i, e] /= length
            s.h[i] = s.h[i] / length - margin
        for i in range(len(b)):
            s.G[count, :k] = A[i]
            s.h[count] = b[i] - margin
            count += 1
        point[r] = 0.0
        state[r] = decide(s, count, k, 2.2 * np.sqrt(k), point[r])


@nb.njit(cache=True, error_model="numpy")
def sub_links(map: Map, met: IntArray, new: IntArray, begin: IntArray, out: IntArray, gained: Array) -> int:
    """Links between the regions in ``met`` only, renumbered by ``new``; returns how many."""
    start, links, gain = map.start, map.links, map.gain
    count = 0
    for q in range(len(met)):
        begin[q] = count
        for e in range(start[met[q]], start[met[q] + 1]):
            if new[links[e, 2]] >= 0:
                out[count, 0] = links[e, 0]
                out[count, 1] = links[e, 1]
                out[count, 2] = new[links[e, 2]]
                gained[count] = gain[e]
                count += 1
    begin[len(met)] = count
    return count
