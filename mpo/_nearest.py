"""Point of a polyhedron nearest to the origin, by a dual active-set method; says whether the polyhedron is empty.

Three answers: FEASIBLE (a point is found and satisfies every row), EMPTY (proven by a combination of rows, or because
every point is further away than ``reach``, which bounds the set) and UNDECIDED.

Source: D. Goldfarb, A. Idnani, A numerically stable dual method for solving strictly convex quadratic programs,
Mathematical Programming 27 (1983), for the identity as Hessian.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo.arrays import Array, BoolArray, IntArray

FEASIBLE, EMPTY, UNDECIDED = 1, 0, -1
_EXACT = 1e-10
_DEPENDENT, _NEARLY = 1e-18, 1e-13
_MOST = 500


class Scratch(NamedTuple):
    """Memory of one search: rows ``G x <= h``, the point, the active rows, their multipliers and triangular factor."""

    G: Array
    h: Array
    x: Array
    z: Array
    active: BoolArray
    rows: IntArray
    u: Array
    r: Array
    L: Array


def scratch(rows: int, dimension: int) -> Scratch:
    """Memory for at most so many rows and dimensions."""
    d = dimension + 1
    return Scratch(
        np.zeros((rows, d)),
        np.zeros(rows),
        np.zeros(d),
        np.zeros(d),
        np.zeros(rows, np.bool_),
        np.zeros(d + 1, np.int64),
        np.zeros(d + 1),
        np.zeros(d + 1),
        np.zeros((d + 1, d + 1)),
    )


@nb.njit(cache=True, error_model="numpy")
def _worst(G: Array, h: Array, x: Array, active: BoolArray, m: int, d: int) -> tuple[int, float]:
    """The inactive row that is violated most, and its slack; -1 when none is."""
    worst = -_EXACT
    p = -1
    for i in range(m):
        if not active[i]:
            slack = h[i]
            for t in range(d):
                slack -= G[i, t] * x[t]
            if slack < worst:
                worst = slack
                p = i
    return p, worst


@nb.njit(cache=True, error_model="numpy")
def _project(G: Array, rows: IntArray, L: Array, r: Array, z: Array, p: int, k: int, d: int) -> float:
    """Split row p into the active rows (r) and the rest (z); returns |z|^2. Row k of L is left half of its factor."""
    for a in range(k):
        v = 0.0
        for t in range(d):
            v += G[rows[a], t] * G[p, t]
        for b in range(a):
            v -= L[a, b] * L[k, b]
        L[k, a] = v / L[a, a]
    for a in range(k - 1, -1, -1):
        v = L[k, a]
        for b in range(a + 1, k):
            v -= L[b, a] * r[b]
        r[a] = v / L[a, a]
    rest = 0.0
    for t in range(d):
        v = G[p, t]
        for a in range(k):
            v -= G[rows[a], t] * r[a]
        z[t] = v
        rest += v * v
    return rest


@nb.njit(cache=True, error_model="numpy")
def _drop(s: Scratch, gone: int, k: int, d: int) -> None:
    """Take one row out of the active ones and factorise what follows anew."""
    s.active[s.rows[gone]] = False
    for a in range(gone, k - 1):
        s.rows[a] = s.rows[a + 1]
        s.u[a] = s.u[a + 1]
    for a in range(gone, k - 1):
        for b in range(a + 1):
            v = 0.0
            for t in range(d):
                v += s.G[s.rows[a], t] * s.G[s.rows[b], t]
            for c in range(b):
                v -= s.L[a, c] * s.L[b, c]
            if b < a:
                s.L[a, b] = v / s.L[b, b]
            else:
                s.L[a, a] = np.sqrt(max(v, 1e-30))


@nb.njit(cache=True, error_model="numpy")
def _proven_empty(s: Scratch, p: int, k: int, rest: float, reach: float) -> bool:
    """Row p minus r times the active rows, weights >= 0, is z' x <= gap: does that fail wherever |x| <= reach?"""
    gap = s.h[p]
    size = abs(s.h[p])
    for a in range(k):
        gap -= s.r[a] * s.h[s.rows[a]]
        size += abs(s.r[a] * s.h[s.rows[a]])
    empty: bool = gap < -np.sqrt(rest) * reach - 1e-13 * size
    return empty


@nb.njit(cache=True, error_model="numpy")
def _satisfied(s: Scratch, m: int, d: int) -> bool:
    for i in range(m):
        slack = s.h[i]
        for t in range(d):
            slack -= s.G[i, t] * s.x[t]
        if slack < -10.0 * _EXACT:
            return False
    return True


@nb.njit(cache=True, error_model="numpy")
def nearest(s: Scratch, m: int, d: int, reach: float, dependent_below: float) -> int:
    """Search ``min |x|`` over the first m rows ``G x <= h`` (unit length) in d dimensions; the point is left in x.

    A row counts as a combination of active ones when the square of what is left of it is below ``dependent_below``.
    """
    for t in range(d):
        s.x[t] = 0.0
    for i in range(m):
        s.active[i] = False
    k = 0
    for _ in range(_MOST):
        p, slack = _worst(s.G, s.h, s.x, s.active, m, d)
        if p < 0:
            return FEASIBLE if _satisfied(s, m, d) else UNDECIDED
        length = 0.0
        for t in range(d):
            length += s.x[t] * s.x[t]
        if length > reach * reach * (1.0 + 1e-6):
            return EMPTY
        own = 0.0
        joined = False
        while not joined:
            rest = _project(s.G, s.rows, s.L, s.r, s.z, p, k, d)
            step = np.inf
            gone = -1
            for a in range(k):
                if s.r[a] > 1e-12 and s.u[a] < step * s.r[a]:
                    step = s.u[a] / s.r[a]
                    gone = a
            dependent = rest <= dependent_below or k >= d
            if dependent and gone < 0:
                return EMPTY if _proven_empty(s, p, k, rest, reach) else UNDECIDED
            joined = not dependent and -slack <= step * rest
            if joined:
                step = -slack / rest
            elif gone < 0:  # numbers that are none
                return UNDECIDED
            if not dependent:
                for t in range(d):
                    s.x[t] -= step * s.z[t]
                slack += step * rest
            for a in range(k):
                s.u[a] -= step * s.r[a]
            own += step
            if joined:
                s.L[k, k] = np.sqrt(rest)
                s.rows[k] = p
                s.u[k] = own
                s.active[p] = True
                k += 1
            else:
                _drop(s, gone, k, d)
                k -= 1
    return UNDECIDED


@nb.njit(cache=True, error_model="numpy")
def decide(s: Scratch, m: int, d: int, reach: float, point: Array) -> int:
    """Search near ``point``, around which the rows are given and which moves to what is found.

    Where rounding errors leave it open, once more from what was found, from the middle of the box and from elsewhere.
    """
    state: int = UNDECIDED
    for attempt in range(8):
        state = nearest(s, m, d, reach, _DEPENDENT if attempt % 2 == 0 else _NEARLY)
        length = 0.0
        for t in range(d):
            length += s.x[t] * s.x[t]
        useful = length <= reach * reach
        if state == EMPTY:
            return state
        if state == FEASIBLE and not useful:
            return UNDECIDED
        for t in range(d):
            if state != FEASIBLE and (not useful or attempt > 1):
                s.x[t] = -point[t] + 0.1 * (attempt - 3) * np.sin(1.0 + 7.0 * attempt + 3.0 * t)
            point[t] += s.x[t]
        if state == FEASIBLE:
            return state
        for i in range(m):
            for t in range(d):
                s.h[i] -= s.G[i, t] * s.x[t]
    return state
