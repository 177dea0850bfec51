"""Search of the graph of bases: which are optimal on a set with an interior; called by search and spaces."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo._nearest import EMPTY, FEASIBLE, Scratch, decide, scratch
from mpo._tableau import flip, members, slot, transform
from mpo.arrays import Array, BoolArray, IntArray, KeyArray

DONE, PAUSED, FULL = 0, 1, 2
NODES, REGIONS, EXPANDED, UNKNOWN, SEARCHES = 0, 1, 2, 3, 4
_FLAT = 1e-9


class Space(NamedTuple):
    """What is explored: base tableau ``(m + n, m + p + 1)``, parameter set, and how both fall into blocks.

    Parameters lie in [-1, 1]^p. With two blocks the rows of multipliers depend on the columns of block 0 alone and
    those of slacks on block 1 alone; ``column`` and ``row`` say where the parameters and the rows of the parameter
    set of each block begin. ``weight``: a multiplier of the block is one
    of the tableau times this; ``margin``: depth a region must have; ``pivot``: least entry to pivot on; ``noise``:
    constants of rows without parameters that count as zero.
    """

    base: Array
    multiplier: BoolArray
    theta_G: Array
    theta_h: Array
    column: IntArray
    row: IntArray
    weight: Array
    margin: float
    pivot: float
    noise: float


class Found(NamedTuple):
    """What has been found: keys of all bases seen, their hash table, which are regions, a point of each region."""

    keys: KeyArray
    table: IntArray
    region: IntArray
    point: Array
    unknown: IntArray
    counts: IntArray


class Work(NamedTuple):
    """Memory of one expansion."""

    T: Array
    block: Array
    flips: IntArray
    kind: BoolArray
    y: Array
    point: Array
    key: KeyArray
    search: Scratch


def work(space: Space) -> Work:
    """Memory for the expansion of one basis."""
    rows, width = space.base.shape
    m, p = len(space.multiplier), space.theta_G.shape[1]
    return Work(
        np.zeros((rows, width)),
        np.zeros((m, m)),
        np.zeros(m, np.int64),
        np.zeros(m, np.bool_),
        np.zeros((2, p + 1)),
        np.zeros(p),
        np.zeros(words(m), np.uint64),
        scratch(m + len(space.theta_h), p),
    )


def words(pairs: int) -> int:
    """Words of 64 bits in a key."""
    return max(1, (pairs + 63) // 64)


@nb.njit(cache=True, error_model="numpy")
def tableau(space: Space, key: KeyArray, rows: int, w: Work) -> bool:
    """Tableau of a basis and which of its basic variables are multipliers; False when the basis is singular."""
    m = len(space.multiplier)
    k = members(key, m, w.flips)
    for i in range(m):
        w.kind[i] = space.multiplier[i]
    for a in range(k):
        w.kind[w.flips[a]] = not w.kind[w.flips[a]]
    regular: bool = transform(space.base, rows, w.flips, k, w.T, w.block)
    return regular


@nb.njit(cache=True, error_model="numpy")
def least_pivot(space: Space, T: Array, i: int) -> float:
    """Entries of row i up to this size are rounding errors."""
    largest = 1.0
    for j in range(len(space.multiplier)):
        largest = max(largest, abs(T[i, j]))
    return space.pivot * largest


@nb.njit(cache=True, error_model="numpy")
def _solve_pair(T: Array, m: int, i: int, j: int, y: Array) -> None:
    """Parametric values of the variables that enter when pair i, or pairs i and j, are exchanged."""
    width = T.shape[1] - m
    if j < 0:
        scale = -1.0 / T[i, i]
        for c in range(width):
            y[0, c] = scale * T[i, m + c]
        return
    scale = -1.0 / (T[i, i] * T[j, j] - T[i, j] * T[j, i])
    for c in range(width):
        y[0, c] = scale * (T[j, j] * T[i, m + c] - T[i, j] * T[j, m + c])
        y[1, c] = scale * (T[i, i] * T[j, m + c] - T[j, i] * T[i, m + c])


@nb.njit(cache=True, error_model="numpy")
def _row(T: Array, y: Array, m: int, r: int, i: int, j: int, first: int, last: int, G: Array, at: int) -> float:
    """Row r after the exchange in columns first...last of the parameters, to ``G[at]``; returns the constant."""
    p = T.shape[1] - m - 1
    if r in (i, j):
        a = 0 if r == i else 1
        for c in range(first, last):
            G[at, c - first] = y[a, c]
        own: float = y[a, p]
        return own
    constant: float = T[r, m + p]
    f = T[r, i] if i >= 0 else 0.0
    g = T[r, j] if j >= 0 else 0.0
    if f == 0.0 and g == 0.0:
        for c in range(first, last):
            G[at, c - first] = T[r, m + c]
        return constant
    if g == 0.0:
        for c in range(first, last):
            G[at, c - first] = T[r, m + c] + f * y[0, c]
        constant += f * y[0, p]
    else:
        for c in range(first, last):
            G[at, c - first] = T[r, m + c] + f * y[0, c] + g * y[1, c]
        constant += f * y[0, p] + g * y[1, p]
    return constant


@nb.njit(cache=True, error_model="numpy")
def _rows(space: Space, w: Work, i: int, j: int, part: int, centre: Array, margin: float) -> int:
    """Rows ``G x <= h`` of the region around ``centre`` in one block; -1 when one row alone shows that it is empty."""
    T, y, own, noise = w.T, w.y, w.kind, space.noise  # arrays by name: passing tuples on costs more than a row
    G, h, theta_G, theta_h = w.search.G, w.search.h, space.theta_G, space.theta_h
    first, last = space.column[part], space.column[part + 1]
    split, m, d = len(space.column) > 2, len(own), last - first
    count = 0
    for r in range(m):
        kind = own[r] != (r in (i, j))
        if split and kind != (part == 0):
            continue
        constant = _row(T, y, m, r, i, j, first, last, G, count)
        square, spread, value = 0.0, 0.0, constant
        for t in range(d):
            square += G[count, t] * G[count, t]
            spread += abs(G[count, t])
            value += G[count, t] * centre[first + t]
        length = np.sqrt(square)
        if length < _FLAT:
            if constant < -noise:
                return -1
            continue
        if constant + spread < margin * length:
            return -1
        if constant - spread >= margin * length:
            continue
        scale = 1.0 / length
        for t in range(d):
            G[count, t] *= -scale
        h[count] = value * scale - margin
        count += 1
    for r in range(space.row[part], space.row[part + 1]):
        value = theta_h[r] - margin
        for t in range(d):
            G[count, t] = theta_G[r, first + t]
            value -= theta_G[r, first + t] * centre[first + t]
        h[count] = value
        count += 1
    return count


@nb.njit(cache=True, error_model="numpy")
def admit(space: Space, w: Work, i: int, j: int, centre: Array, margin: float) -> int:
    """Is the basis after exchanging pair i (and j; -1 for none) optimal on a set with an interior?

    FEASIBLE leaves a point of it in ``w.point``.
    """
    m = len(space.multiplier)
    if i >= 0:
        _solve_pair(w.T, m, i, j, w.y)
    for part in range(len(space.column) - 1):
        first = space.column[part]
        d = space.column[part + 1] - first
        count = _rows(space, w, i, j, part, centre, margin)
        if count < 0:
            return EMPTY
        for t in range(d):
            w.point[first + t] = centre[first + t]
        state: int = decide(w.search, count, d, 2.2 * np.sqrt(d), w.point[first : first + d])
        if state != FEASIBLE:
            return state
    return FEASIBLE


@nb.njit(cache=True, error_model="numpy")
def _visit(space: Space, found: Found, w: Work, i: int, j: int, centre: Array) -> None:
    """Test the neighbour across pair i (and j) unless its basis has been seen."""
    flip(w.key, i)
    if j >= 0:
        flip(w.key, j)
    place = slot(found.keys, found.table, w.key)
    if found.table[place] < 0:
        number = found.counts[NODES]
        found.keys[number] = w.key
        found.table[place] = number
        found.counts[NODES] += 1
        found.counts[SEARCHES] += 1
        state = admit(space, w, i, j, centre, space.margin)
        if state == FEASIBLE:
            region = found.counts[REGIONS]
            found.region[region] = number
            found.point[region] = w.point
            found.counts[REGIONS] += 1
        elif state != EMPTY:
            found.unknown[found.counts[UNKNOWN]] = number
            found.counts[UNKNOWN] += 1
    flip(w.key, i)
    if j >= 0:
        flip(w.key, j)


@nb.njit(cache=True, error_model="numpy")
def add(found: Found, key: KeyArray, point: Array, region: bool) -> bool:
    """Add a basis as seen, and as a region with a point of it; False when it has been seen before."""
    place = slot(found.keys, found.table, key)
    if found.table[place] >= 0:
        return False
    number = found.counts[NODES]
    found.keys[number] = key
    found.table[place] = number
    found.counts[NODES] += 1
    if region:
        found.region[found.counts[REGIONS]] = number
        found.point[found.counts[REGIONS]] = point
        found.counts[REGIONS] += 1
    return True


@nb.njit(cache=True, error_model="numpy")
def explore(space: Space, found: Found, w: Work, most: int) -> int:
    """Expand at most so many regions: DONE when none is left, FULL when the arrays in ``found`` must grow first."""
    m = len(space.multiplier)
    centre = np.empty(space.theta_G.shape[1])
    for _ in range(most):
        if found.counts[EXPANDED] == found.counts[REGIONS]:
            return DONE
        ahead = found.counts[NODES] + m * (m + 1)
        if ahead > len(found.keys) or 2 * ahead > len(found.table):
            return FULL
        if found.counts[REGIONS] + m * (m + 1) > len(found.region) or found.counts[UNKNOWN] + m * (m + 1) > len(
            found.unknown
        ):
            return FULL
        current = found.counts[EXPANDED]
        number = found.region[current]
        w.key[:] = found.keys[number]
        centre[:] = found.point[current]
        if tableau(space, w.key, m, w):
            for i in range(m):
                least = least_pivot(space, w.T, i)
                if w.T[i, i] > least:
                    _visit(space, found, w, i, -1, centre)
                else:
                    for j in range(m):
                        if j != i and w.T[i, j] > least:
                            _visit(space, found, w, i, j, centre)
        else:
            found.unknown[found.counts[UNKNOWN]] = number
            found.counts[UNKNOWN] += 1
        found.counts[EXPANDED] += 1
    return PAUSED
