"""What the exploration leaves behind: laws, neighbours and limits of the regions; called by search, part and cover."""

from __future__ import annotations

import numba as nb
import numpy as np

from mpo._explore import REGIONS, Found, Space, Work, admit, least_pivot, tableau
from mpo._nearest import FEASIBLE
from mpo._tableau import crisscross, flip, slot
from mpo.arrays import Array, BoolArray, IntArray, KeyArray


@nb.njit(cache=True, error_model="numpy")
def check(space: Space, found: Found, w: Work, state: IntArray) -> None:
    """Whether each region found has an interior in ``space``; moves its point there."""
    m = len(space.multiplier)
    centre = np.empty(space.theta_G.shape[1])
    for region in range(found.counts[REGIONS]):
        centre[:] = found.point[region]
        state[region] = -1
        if tableau(space, found.keys[found.region[region]], m, w):
            state[region] = admit(space, w, -1, -1, centre, space.margin)
            if state[region] == FEASIBLE:
                found.point[region] = w.point


@nb.njit(cache=True, error_model="numpy")
def collect(space: Space, keys: KeyArray, w: Work, rows: Array, law: Array, kind: BoolArray) -> None:
    """Parametric values of basic variables ``rows (R, m, p + 1)`` and of u, ``law (R, n, p + 1)``, for each key."""
    total, m = len(space.base), len(space.multiplier)
    for r in range(len(keys)):
        tableau(space, keys[r], total, w)
        rows[r] = w.T[:m, m:]
        law[r] = w.T[m:, m:]
        kind[r] = w.kind


@nb.njit(cache=True, error_model="numpy")
def neighbours(
    space: Space, keys: KeyArray, table: IntArray, w: Work, start: IntArray, links: IntArray, gain: Array
) -> int:
    """All pivots between the regions: ``links`` (row, partner or -1, region), ``gain`` the entry pivoted on.

    Returns how many there are; only as many as fit are written.
    """
    m = len(space.multiplier)
    count = 0
    for r in range(len(keys)):
        start[r] = count
        if tableau(space, keys[r], m, w):
            w.key[:] = keys[r]
            for i in range(m):
                least = least_pivot(space, w.T, i)
                single = w.T[i, i] > least
                for j in range(m):
                    if (single and j != i) or (not single and (j == i or w.T[i, j] <= least)):
                        continue
                    flip(w.key, i)
                    if j != i:
                        flip(w.key, j)
                    other = table[slot(keys, table, w.key)]
                    if other >= 0:
                        if count < len(links):
                            links[count, 0] = i
                            links[count, 1] = -1 if single else j
                            links[count, 2] = other
                            gain[count] = w.T[i, j]
                        count += 1
                    flip(w.key, i)
                    if j != i:
                        flip(w.key, j)
    start[len(keys)] = count
    return count


@nb.njit(cache=True, error_model="numpy")
def limits(space: Space, keys: KeyArray, w: Work, out: Array) -> int:
    """Rows ``g t + h >= 0`` (unit length) without which the program has no solution; returns how many.

    A row of a basis whose matrix entries are all <= 0 can be met by no parameter where it is negative.
    """
    m = len(space.multiplier)
    p = space.theta_G.shape[1]
    count = 0
    for r in range(len(keys)):
        if count == len(out):
            break
        if not tableau(space, keys[r], m, w):
            continue
        for i in range(m):
            top = 0.0
            for j in range(m):
                top = max(top, w.T[i, j])
            length = 0.0
            for t in range(p):
                length += w.T[i, m + t] ** 2
            length = np.sqrt(length)
            if top > least_pivot(space, w.T, i) or length < 1e-9:
                continue
            known = False
            for q in range(count):
                gap = 0.0
                for t in range(p + 1):
                    gap = max(gap, abs(out[q, t] - w.T[i, m + t] / length))
                if gap < 1e-9:
                    known = True
                    break
            if not known and count < len(out):
                out[count] = w.T[i, m:] / length
                count += 1
    return count


@nb.njit(cache=True, error_model="numpy")
def walk_to(base: Array, pairs: int, t: Array, key: KeyArray, tolerance: float) -> tuple[int, Array]:
    """Optimal basis at t from ``key`` by criss-cross; 0 and the row that proves it when there is none."""
    state, row, out = crisscross(base, pairs, t, key, tolerance, 50 * pairs + 50)
    proof = out[max(row, 0), pairs:].copy()
    return state, proof
