"""Which regions a slice of the parameter set meets, and what they are there; called by slices and _tiles."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo._locate import INSIDE, Map
from mpo._nearest import EMPTY, Scratch, decide
from mpo.arrays import Array, IntArray, KeyArray, NumberArray, StateArray

UNKNOWN, MISSED, IDLE, CUTS = 0, 1, 2, 3


class Table(NamedTuple):
    """Rows of all regions of a part, each once though many regions share it.

    Args:
        rows: (., p + 1) rows >= 0, of unit length, those of many regions first.
        number: (R, m) which of them each row of each region is; -1 for a row without parameters.
        mask: (R, words) the same as bits, for as many of the first rows as there are bits.
        inner: (p,) a point inside the set of parameters with a solution.
    """

    rows: Array
    number: NumberArray
    mask: KeyArray
    inner: Array


class Plane(NamedTuple):
    """Parameters t = fixed + D s for s in [-1, 1]^k; ``moving`` numbers the t that depend on s."""

    fixed: Array
    moving: IntArray
    D: Array


class Cuts(NamedTuple):
    """What the rows of a table do on a plane (UNKNOWN until somebody asks), and as ``G s <= h``."""

    state: StateArray
    G: Array
    h: Array


@nb.njit(cache=True, error_model="numpy")
def _moved(rows: Array, plane: Plane, out: Array) -> None:
    """Rows ``(m, p + 1)`` over the plane, ``(m, k + 1)``."""
    fixed, moving, D = plane.fixed, plane.moving, plane.D
    p, k = D.shape
    for i in range(len(rows)):
        v = rows[i, p]
        for c in range(p):
            v += rows[i, c] * fixed[c]
        out[i, k] = v
        for e in range(k):
            v = 0.0
            for c in moving:
                v += rows[i, c] * D[c, e]
            out[i, e] = v


@nb.njit(cache=True, error_model="numpy")
def restricted(
    map: Map, law: Array, tail: Array, plane: Plane, met: IntArray
) -> tuple[Array, Array, Array, Array, IntArray, IntArray, Array]:
    """Over the plane: rows and laws of some regions, ``limits`` (of unit length), ``tail``, and links between them."""
    k, count = plane.D.shape[1], len(met)
    rows, laws = np.empty((count, map.rows.shape[1], k + 1)), np.empty((count, law.shape[1], k + 1))
    limits, end = np.empty((len(map.limits), k + 1)), np.empty((len(tail), k + 1))
    _moved(map.limits, plane, limits)
    for i in range(len(limits)):
        length = 0.0
        for e in range(k):
            length += limits[i, e] ** 2
        if length > 1e-18:
            limits[i] /= np.sqrt(length)
    _moved(tail, plane, end)
    new, most = np.full(len(map.rows), -1, np.int64), 0
    for q in range(count):
        _moved(map.rows[met[q]], plane, rows[q])
        _moved(law[met[q]], plane, laws[q])
        new[met[q]] = q
        most += map.start[met[q] + 1] - map.start[met[q]]
    start, links, gain = np.zeros(count + 1, np.int64), np.empty((most, 3), np.int64), np.empty(most)
    found = 0
    for q in range(count):
        for e in range(map.start[met[q]], map.start[met[q] + 1]):
            if new[map.links[e, 2]] >= 0:
                links[found] = map.links[e]
                links[found, 2] = new[map.links[e, 2]]
                gain[found] = map.gain[e]
                found += 1
        start[q + 1] = found
    return rows, laws, limits, end, start, links[:found].copy(), gain[:found].copy()


@nb.njit(cache=True, error_model="numpy")
def survivors(table: Table, plane: Plane, w: Cuts, out: IntArray) -> int:
    """Regions none of whose rows alone keeps them out of the plane, of all regions; returns how many."""
    rows, inner, mask = table.rows, table.inner, table.mask
    fixed, moving, D, state = plane.fixed, plane.moving, plane.D, w.state
    missed = np.zeros(mask.shape[1], np.uint64)
    for i in range(min(len(rows), 64 * len(missed))):
        state[i] = _judge(rows, inner, fixed, moving, D, i, w.G, w.h)
        missed[i >> 6] |= np.uint64(state[i] == MISSED) << np.uint64(i & 63)
    near = 0
    for r in range(len(mask)):
        common = np.uint64(0)
        for word in range(len(missed)):
            common |= mask[r, word] & missed[word]
        out[near] = r
        near += common == np.uint64(0)
    count = 0
    for q in range(near):
        r = out[q]
        out[count] = r
        count += possible(table, plane, w, r)
    return count


@nb.njit(cache=True, error_model="numpy")
def possible(table: Table, plane: Plane, w: Cuts, r: int) -> bool:
    """Does no row of region r alone keep it out of the plane?"""
    state = w.state
    for i in table.number[r]:
        if i >= 0:
            if state[i] == UNKNOWN:
                state[i] = _judge(table.rows, table.inner, plane.fixed, plane.moving, plane.D, i, w.G, w.h)
            if state[i] == MISSED:
                return False
    return True


@nb.njit(cache=True, error_model="numpy")
def _judge(rows: Array, inner: Array, fixed: Array, moving: IntArray, D: Array, i: int, G: Array, h: Array) -> int:
    """What row i does on the plane; it is left in ``G s <= h``.

    Where a plane lies in the boundary of regions, those count that are met when it moves towards an inner point.
    """
    p = len(fixed)
    constant = rows[i, p]
    for c in range(p):
        constant += rows[i, c] * fixed[c]
    spread = 0.0
    for e in range(D.shape[1]):
        v = 0.0
        for q in range(len(moving)):
            v += rows[i, moving[q]] * D[moving[q], e]
        G[i, e] = -v
        spread += abs(v)
    h[i] = constant
    if spread > INSIDE:
        if constant + spread < INSIDE:
            return MISSED
        return IDLE if constant - spread >= -INSIDE * INSIDE else CUTS
    if abs(constant) > INSIDE:
        return IDLE if constant > 0.0 else MISSED
    towards = rows[i, p]
    for c in range(p):
        towards += rows[i, c] * inner[c]
    return MISSED if towards < constant else IDLE


@nb.njit(cache=True, error_model="numpy")
def cuts(table: Table, k: int) -> Cuts:
    """Memory for what is known of each row."""
    rows = len(table.rows)
    return Cuts(np.full(rows, UNKNOWN, np.int8), np.empty((rows, k)), np.empty(rows))


@nb.njit(cache=True, error_model="numpy")
def met_space(
    table: Table, plane: Plane, A: Array, b: Array, margin: float, s: Scratch, state: IntArray, point: Array
) -> None:
    """The same for any number of parameters, ``A s <= b``: FEASIBLE, EMPTY or undecided for each region."""
    k = plane.D.shape[1]
    w, which = cuts(table, k), np.empty(len(table.number), np.int64)
    state[:] = EMPTY
    for q in range(survivors(table, plane, w, which)):
        r = which[q]
        count = 0
        for i in table.number[r]:
            if i >= 0 and w.state[i] == CUTS:
                length = 0.0
                for e in range(k):
                    length += w.G[i, e] ** 2
                length = np.sqrt(length)
                for e in range(k):
                    s.G[count, e] = w.G[i, e] / length
                s.h[count] = w.h[i] / length - margin
                count += 1
        for i in range(len(b)):
            s.G[count, :k] = A[i]
            s.h[count] = b[i] - margin
            count += 1
        point[r] = 0.0
        state[r] = decide(s, count, k, 2.2 * np.sqrt(k), point[r])
