"""Exploring a plane of two parameters, polygon by polygon; called by _planes only.

A tableau of m pairs and n variables has the columns ``[M | s0, s1, perturbed constant, true constant]``: polygons and
pivots are those of the perturbed problem, in which no basis is degenerate; laws and sides those of the true one.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo._polygon import centroid
from mpo._tableau import flip, members, slot, transform
from mpo.arrays import Array, IntArray, KeyArray

MOST = 400  # bases of one plane
CORNERS = 96  # of one polygon
SIDES = 96  # of the domain
FRESH = 6  # exchanges after which a tableau is made anew
FOUND, EMPTY, STUCK = 0, 1, 2
FLAT, _NOISE, _PIVOT, _TINY = 1e-10, 1e-12, 1e-9, 1e-18


class Room(NamedTuple):
    """Memory for one plane.

    kept: the tableau of every basis; origin (., 4): the basis from which it was found, the pairs exchanged (-1: one
    only), and how many exchanges there are since the tableau was made from the first.
    """

    base: Array
    start: Array
    T: Array
    block: Array
    flips: IntArray
    key: KeyArray
    keys: KeyArray
    table: IntArray
    polygon: Array
    other: Array
    label: IntArray
    other_label: IntArray
    walls: Array
    kept: Array
    origin: IntArray


class Plane(NamedTuple):
    """What was found: polygons with more than a sliver of area, their laws, and the sides of the domain.

    begin (T + 1,), corners (., 2); law (T, n, 3): variables over (s0, s1, 1); sides (., 3): a s0 + b s1 <= h.
    """

    begin: IntArray
    corners: Array
    law: Array
    sides: Array
    counts: IntArray  # tiles, sides, bases
    area: Array  # (1,) of all polygons


def room(m: int, n: int, rows: int) -> Room:
    """Memory for planes of problems with m pairs, n variables and so many rows of the parameter set."""
    words = max(1, (m + 63) // 64)
    return Room(
        np.empty((m + n, m + 4)), np.empty((m + n, m + 4)), np.empty((m + n, m + 4)), np.empty((m, m)),
        np.empty(m, np.int64), np.zeros(words, np.uint64), np.zeros((MOST, words), np.uint64),
        np.empty(4 * 512, np.int64), np.empty((CORNERS, 2)), np.empty((CORNERS, 2)), np.empty(CORNERS, np.int64),
        np.empty(CORNERS, np.int64), np.empty((4 + rows, 3)), np.empty((MOST, m + n, m + 4)),
        np.zeros((MOST, 4), np.int64),
    )  # fmt: skip


def plane(n: int) -> Plane:
    """Memory for one answer."""
    return Plane(
        np.zeros(MOST + 1, np.int64), np.empty((MOST * 8, 2)), np.empty((MOST, n, 3)), np.empty((SIDES, 3)),
        np.zeros(3, np.int64), np.zeros(1),
    )  # fmt: skip


@nb.njit(cache=True, error_model="numpy")
def clip(r: Room, count: int, a: float, b: float, h: float, label: int) -> int:
    """Cut a x + b y <= h out of the polygon; the new edge gets the label. Edge q goes from corner q to the next."""
    kept = 0
    for q in range(count):
        n = q + 1 if q + 1 < count else 0
        here = h - a * r.polygon[q, 0] - b * r.polygon[q, 1]
        there = h - a * r.polygon[n, 0] - b * r.polygon[n, 1]
        if here >= 0.0:
            r.other[kept] = r.polygon[q]
            r.other_label[kept] = r.label[q]
            kept += 1
        if (here > 0.0 and there < 0.0) or (here < 0.0 and there > 0.0):
            w = here / (here - there)
            r.other[kept, 0] = r.polygon[q, 0] + w * (r.polygon[n, 0] - r.polygon[q, 0])
            r.other[kept, 1] = r.polygon[q, 1] + w * (r.polygon[n, 1] - r.polygon[q, 1])
            r.other_label[kept] = label if here > 0.0 else r.label[q]
            kept += 1
        elif here == 0.0 and there < 0.0:
            r.other_label[kept - 1] = label
    if kept > CORNERS - 2:
        return 0
    r.polygon[:kept] = r.other[:kept]
    r.label[:kept] = r.other_label[:kept]
    return kept


class Outline(NamedTuple):
    """Corners of the parameter set over s, and the label of the edge behind each: -1 - the number of its wall."""

    corners: Array
    label: IntArray


@nb.njit(cache=True, error_model="numpy")
def _whole(outline: Outline, r: Room) -> int:
    """The polygon to cut from."""
    count = len(outline.corners)
    r.polygon[:count] = outline.corners
    r.label[:count] = outline.label
    return count


@nb.njit(cache=True, error_model="numpy")
def _optimal(m: int, x: float, y: float, key: KeyArray, r: Room) -> int:
    """Least-index criss-cross at (x, y) from ``key``, in ``r.T``; the row that proves infeasibility, -1 when optimal,
    -2 when it does not come to an end.
    """
    for pivot in range(50 * m + 50):
        if pivot % FRESH == 0:
            k = members(key, m, r.flips)
            if not transform(r.base, m, r.flips, k, r.T, r.block):
                return -2
        low = -1
        for i in range(m):
            if r.T[i, m] * x + r.T[i, m + 1] * y + r.T[i, m + 2] < -_NOISE:
                low = i
                break
        if low < 0:
            return -1
        partner = low
        if r.T[low, low] <= _PIVOT:
            partner = -1
            for j in range(m):
                if r.T[low, j] > _PIVOT and j != low:
                    partner = j
                    break
            if partner < 0:
                return low
        flip(key, low)
        if partner != low:
            flip(key, partner)
        r.flips[0], r.flips[1] = min(low, partner), max(low, partner)
        if not transform(r.T, m, r.flips, 1 if partner == low else 2, r.start, r.block):
            return -2
        r.T[:m] = r.start[:m]
    return -2


@nb.njit(cache=True, error_model="numpy")
def _begin(m: int, outline: Outline, key: KeyArray, r: Room) -> int:
    """A basis that is optimal somewhere in the outline, to ``key``: cut off what proves infeasible until one is."""
    count, middle = _whole(outline, r), np.empty(2)
    for _ in range(SIDES):
        if count < 3 or not centroid(r.polygon, count, middle) > _TINY:
            return EMPTY
        row = _optimal(m, middle[0], middle[1], key, r)
        if row == -1:
            return FOUND
        if row == -2:
            return STUCK
        a, b, h = -r.T[row, m], -r.T[row, m + 1], r.T[row, m + 2]
        if abs(a) + abs(b) < FLAT:
            return EMPTY
        count = clip(r, count, a, b, h, 0)
    return STUCK


@nb.njit(cache=True, error_model="numpy")
def _partner(m: int, i: int, x: float, y: float, T: Array) -> int:
    """Pair to exchange together with i across its edge at (x, y): -1 for i alone, -2 at the end of the domain."""
    if T[i, i] > _PIVOT:
        return -1
    best, least = -2, np.inf
    for j in range(m):
        if T[j, i] < -_PIVOT and j != i:
            ratio = max(T[j, m] * x + T[j, m + 1] * y + T[j, m + 2], 0.0) / -T[j, i]
            if ratio < least:
                best, least = j, ratio
    return best


@nb.njit(cache=True, error_model="numpy")
def _side(a: float, b: float, h: float, out: Plane) -> None:
    """A side of the domain, unless it is known."""
    length = np.sqrt(a * a + b * b)
    a, b, h = a / length, b / length, h / length
    for q in range(out.counts[1]):
        if abs(out.sides[q, 0] - a) + abs(out.sides[q, 1] - b) + abs(out.sides[q, 2] - h) < 1e-9:
            return
    if out.counts[1] < len(out.sides):
        out.sides[out.counts[1], 0] = a
        out.sides[out.counts[1], 1] = b
        out.sides[out.counts[1], 2] = h
        out.counts[1] += 1


@nb.njit(cache=True, error_model="numpy")
def _emit(m: int, n: int, count: int, r: Room, out: Plane) -> bool:
    """Add the polygon and the true law of the basis in ``r.T``; False when there is no room."""
    tile = out.counts[0]
    if tile >= MOST or out.begin[tile] + count > len(out.corners):
        return False
    out.corners[out.begin[tile] : out.begin[tile] + count] = r.polygon[:count]
    out.begin[tile + 1] = out.begin[tile] + count
    for v in range(n):
        out.law[tile, v, 0] = r.T[m + v, m]
        out.law[tile, v, 1] = r.T[m + v, m + 1]
        out.law[tile, v, 2] = r.T[m + v, m + 3]
    out.counts[0] += 1
    return True


@nb.njit(cache=True, error_model="numpy")
def _polygon(m: int, outline: Outline, r: Room) -> int:
    """Polygon of the basis in ``r.T``; 0 when it is empty."""
    count: int = _whole(outline, r)
    for i in range(m):
        a, b, h = -r.T[i, m], -r.T[i, m + 1], r.T[i, m + 2]
        if abs(a) + abs(b) < FLAT:
            if h < -_NOISE:
                return 0
            continue
        count = clip(r, count, a, b, h, i)
        if count < 3:
            return 0
    return count


@nb.njit(cache=True, error_model="numpy")
def _tableau(m: int, n: int, number: int, r: Room) -> bool:
    """The tableau of a basis to ``r.T``: one exchange from the basis it was found from, now and then from the first."""
    before, i, j = r.origin[number, 0], r.origin[number, 1], r.origin[number, 2]
    r.origin[number, 3] = r.origin[before, 3] + 1 if number > 0 else 0
    if number == 0 or r.origin[number, 3] > FRESH:
        r.origin[number, 3] = 0
        k = members(r.keys[number], m, r.flips)
        regular = transform(r.start, m + n, r.flips, k, r.T, r.block)
    else:
        k = 1 if j < 0 else 2
        r.flips[0], r.flips[1] = min(i, j) if k == 2 else i, max(i, j)
        regular = transform(r.kept[before], m + n, r.flips, k, r.T, r.block)
    r.kept[number] = r.T
    return bool(regular)


@nb.njit(cache=True, error_model="numpy")
def explore(m: int, n: int, outline: Outline, sliver: float, key: KeyArray, r: Room, out: Plane) -> int:
    """All polygons of the plane ``r.base`` inside ``outline``, from the basis ``key`` on; that of a region to ``key``.

    Bases are searched across the edges of polygons; those with an area up to ``sliver`` connect others and are left
    out. EMPTY: no solution anywhere; STUCK: more bases or corners than there is room for.
    """
    out.counts[:] = 0
    out.area[0] = 0.0
    state: int = _begin(m, outline, key, r)
    if state != FOUND:
        return state
    k = members(key, m, r.flips)
    if not transform(r.base, m + n, r.flips, k, r.start, r.block):
        return STUCK
    r.table[:] = -1
    r.keys[0] = 0
    r.origin[0] = 0
    r.table[slot(r.keys, r.table, r.keys[0])] = 0
    bases, done, middle = 1, 0, np.empty(2)
    while done < bases:
        r.key[:] = r.keys[done]
        done += 1
        if not _tableau(m, n, done - 1, r):
            continue
        count = _polygon(m, outline, r)
        area = centroid(r.polygon, count, middle) if count >= 3 else 0.0
        if area <= _TINY:
            continue
        out.area[0] += area
        if area > sliver and not _emit(m, n, count, r, out):
            return STUCK
        for q in range(count):
            i = r.label[q]
            if i < 0:
                _side(r.walls[-1 - i, 0], r.walls[-1 - i, 1], r.walls[-1 - i, 2], out)
                continue
            e = q + 1 if q + 1 < count else 0
            x, y = 0.5 * (r.polygon[q, 0] + r.polygon[e, 0]), 0.5 * (r.polygon[q, 1] + r.polygon[e, 1])
            j = _partner(m, i, x, y, r.T)
            if j == -2:
                _side(-r.T[i, m], -r.T[i, m + 1], r.T[i, m + 3], out)
                continue
            flip(r.key, i)
            if j >= 0:
                flip(r.key, j)
            place = slot(r.keys, r.table, r.key)
            if r.table[place] < 0:
                if bases == MOST:
                    return STUCK
                r.keys[bases] = r.key
                r.table[place] = bases
                r.origin[bases, 0], r.origin[bases, 1], r.origin[bases, 2] = done - 1, i, j
                bases += 1
            r.key[:] = r.keys[done - 1]
    out.counts[2] = bases
    return FOUND
