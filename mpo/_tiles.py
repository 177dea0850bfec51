"""Slices of two parameters: the polygons in which regions meet a plane; called by slices only."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo._locate import INSIDE, Map, locate
from mpo._polygon import AREA, centroid, clip, outline, room
from mpo._slice import CUTS, UNKNOWN, Cuts, Plane, Table, cuts, possible, survivors
from mpo.arrays import Array, IntArray

_COVERED = 1.0 - 1e-7


@nb.njit(cache=True, error_model="numpy")
def _domain(map: Map, plane: Plane, polygon: Array, count: int, other: Array) -> int:
    """Cut off what has no solution."""
    fixed, moving, D, limits = plane.fixed, plane.moving, plane.D, map.limits
    p = len(fixed)
    for i in range(len(limits)):
        h = limits[i, p]
        for c in range(p):
            h += limits[i, c] * fixed[c]
        a, b = 0.0, 0.0
        for c in moving:
            a += limits[i, c] * D[c, 0]
            b += limits[i, c] * D[c, 1]
        if abs(a) + abs(b) > INSIDE:
            if h < abs(a) + abs(b):
                count = clip(polygon, count, -a, -b, h, other)
        elif h < -INSIDE:
            count = 0
        if count < 3:
            return 0
    return count


@nb.njit(cache=True, error_model="numpy")
def _cut(table: Table, r: int, w: Cuts, polygon: Array, count: int, other: Array) -> int:
    """Cut region r out of a polygon; returns how many corners remain."""
    for i in table.number[r]:
        if i >= 0 and w.state[i] == CUTS:
            count = clip(polygon, count, w.G[i, 0], w.G[i, 1], w.h[i], other)
            if count < 3:
                return 0
    return count


@nb.njit(cache=True, error_model="numpy")
def _grown(array: Array, rows: int) -> Array:
    """An array with room for so many rows, the same content."""
    if rows <= len(array):
        return array
    larger = np.empty((2 * rows, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@nb.njit(cache=True, error_model="numpy")
def tiles(
    map: Map, table: Table, plane: Plane, shape: Array, first: int, w: Cuts
) -> tuple[IntArray, IntArray, Array, Array]:
    """Regions that meet a plane in a polygon with an area inside ``shape``.

    From the region of one point on to neighbours; all regions are looked at when what these cover is smaller than
    what has a solution.

    Returns:
        Numbers (f,), where the corners of each begin (f + 1,), corners (., 2), and a point inside each (f, 2).
    """
    m, R = map.rows.shape[1], len(map.rows)
    polygon, other = room(len(shape) + max(m, len(map.limits))), room(len(shape) + max(m, len(map.limits)))
    met, begin, point, corners = np.empty(R, np.int64), np.zeros(R + 1, np.int64), np.empty((R, 2)), room(100)
    queue, seen, middle, rest = np.empty(R, np.int64), np.zeros(R, np.bool_), np.empty(2), np.empty(R, np.int64)
    polygon[: len(shape)] = shape
    whole, covered = 0.0, 0.0
    count = _domain(map, plane, polygon, len(shape), other)
    found, head, tail = 0, 0, 0
    if count >= 3 and R > 0:
        whole = centroid(polygon, count, middle)
        t = plane.fixed.copy()
        for c in plane.moving:
            t[c] += plane.D[c, 0] * middle[0] + plane.D[c, 1] * middle[1]
        queue[0] = locate(map, t, first, np.empty(m), np.zeros(1, np.int64))
        if queue[0] >= 0:
            seen[queue[0]] = True
            tail = 1
    everywhere = whole <= AREA
    while True:
        if head == tail:
            if everywhere or covered >= whole * _COVERED:
                break
            everywhere = True
            for r in rest[: survivors(table, plane, w, rest)]:
                if not seen[r]:
                    seen[r] = True
                    queue[tail] = r
                    tail += 1
            continue
        r = queue[head]
        head += 1
        if not possible(table, plane, w, r):
            continue
        polygon[: len(shape)] = shape
        count = _cut(table, r, w, polygon, len(shape), other)
        area = centroid(polygon, count, point[found]) if count >= 3 else 0.0
        if area <= AREA:
            continue
        covered += area
        met[found] = r
        corners = _grown(corners, begin[found] + count)
        corners[begin[found] : begin[found] + count] = polygon[:count]
        found += 1
        begin[found] = begin[found - 1] + count
        for e in range(map.start[r], map.start[r + 1]):
            row, beyond = table.number[r, map.links[e, 0]], map.links[e, 2]
            if not seen[beyond] and row >= 0 and w.state[row] == CUTS:
                seen[beyond] = True
                queue[tail] = beyond
                tail += 1
    return met[:found].copy(), begin[: found + 1].copy(), corners[: begin[found]], point[:found].copy()


@nb.njit(cache=True, error_model="numpy")
def met_plane(map: Map, table: Table, plane: Plane, shape: Array, first: int) -> tuple[IntArray, Array]:
    """Numbers of the regions that meet a plane inside ``shape``, and a point inside each."""
    met, _, _, point = tiles(map, table, plane, shape, first, cuts(table, 2))
    return met, point


class Pieces(NamedTuple):
    """Many slices, each in polygons: pieces of slice j from ``start[j]``, corners of piece k from ``begin[k]``.

    ``region`` and ``x`` (., n, 3), variables over (theta, 1), of each piece, theta the two parameters left.
    """

    start: IntArray
    begin: IntArray
    corners: Array
    region: IntArray
    x: Array


def nothing(x: Array) -> Pieces:
    """As many slices as ``x`` has, without pieces."""
    none = np.zeros(0, np.int64)
    return Pieces(np.zeros(len(x) + 1, np.int64), np.zeros(1, np.int64), np.zeros((0, 2)), none, x[:0])


@nb.njit(cache=True, error_model="numpy")
def outlines(A: Array, b: Array, x: Array) -> Pieces:
    """The sets ``A theta <= b[j]`` as one piece each, none where that is empty; ``x`` (m, n, 3) comes along."""
    m, count, end = len(b), 0, 0
    start, begin = np.zeros(m + 1, np.int64), np.zeros(m + 1, np.int64)
    corners, kept = room(4 * m), np.empty_like(x)
    length = np.sqrt(A[:, 0] ** 2 + A[:, 1] ** 2)
    turning = length > 1e-12
    rows = A[turning] / length[turning].reshape(-1, 1)
    for j in range(m):
        if (b[j][~turning] >= -INSIDE).all():
            shape = outline(rows, b[j][turning] / length[turning])
            if len(shape):
                corners = _grown(corners, end + len(shape))
                corners[end : end + len(shape)] = shape
                end += len(shape)
                kept[count] = x[j]
                count += 1
                begin[count] = end
        start[j + 1] = count
    return Pieces(start, begin[: count + 1], corners[:end], np.zeros(count, np.int64), kept[:count])


@nb.njit(cache=True, error_model="numpy")
def _frame(corners: Array, middle: Array, half: Array) -> bool:
    """Middle and half the size of the box around some points; False when it is flat."""
    for c in range(2):
        low, high = corners[:, c].min(), corners[:, c].max()
        middle[c] = 0.5 * (low + high)
        half[c] = 0.5 * (high - low)
    return bool(half.min() > 1e-9)


@nb.njit(cache=True, error_model="numpy")
def _law(law: Array, V: Array, T: Array, t: Array, x: Array) -> None:
    """Add V u to x, both over (theta, 1), for t + T theta in place of the parameters of ``law``."""
    p = len(t)
    for a in range(len(law)):
        slope, other, constant = 0.0, 0.0, law[a, p]
        for c in range(p):
            slope += law[a, c] * T[c, 0]
            other += law[a, c] * T[c, 1]
            constant += law[a, c] * t[c]
        for i in range(len(x)):
            x[i, 0] += V[i, a] * slope
            x[i, 1] += V[i, a] * other
            x[i, 2] += V[i, a] * constant


@nb.njit(cache=True, error_model="numpy")
def refined(map: Map, table: Table, law: Array, V: Array, T: Array, t: Array, stride: int, old: Pieces) -> Pieces:
    """Cut all pieces by the regions of one part, whose parameters are ``t[j] + T theta`` in slice j."""
    moving = np.flatnonzero((T[:, 0] != 0.0) | (T[:, 1] != 0.0))
    w, middle, half = cuts(table, 2), np.empty(2), np.empty(2)
    start = np.zeros(len(old.start), np.int64)
    begin, corners = np.zeros(len(old.region) + 1, np.int64), room(len(old.corners))
    region, x = np.empty(len(old.region), np.int64), np.empty_like(old.x)
    count, end, first = 0, 0, 0
    for j in range(len(t)):
        pieces = range(old.start[j], old.start[j + 1])
        around = old.corners[old.begin[old.start[j]] : old.begin[old.start[j + 1]]]
        if len(pieces) and _frame(around, middle, half):
            D = T * half
            plane = Plane(t[j] + T[:, 0] * middle[0] + T[:, 1] * middle[1], moving, D)
            w.state[:] = UNKNOWN
            for k in pieces:
                shape = (old.corners[old.begin[k] : old.begin[k + 1]] - middle) / half
                met, edge, points, _ = tiles(map, table, plane, shape, first, w)
                region, x = _grown(region, count + len(met)), _grown(x, count + len(met))
                begin, corners = _grown(begin, count + len(met) + 1), _grown(corners, end + len(points))
                corners[end : end + len(points)] = points * half + middle
                for q in range(len(met)):
                    first = met[q]
                    region[count] = old.region[k] + stride * first
                    x[count] = old.x[k]
                    _law(law[first], V, T, t[j], x[count])
                    count += 1
                    begin[count] = end + edge[q + 1]
                end += len(points)
        start[j + 1] = count
    return Pieces(start, begin[: count + 1], corners[:end], region[:count], x[:count])
