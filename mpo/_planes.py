"""Many planes of one program, one after the other; called by plane only."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from mpo._plane import EMPTY, FLAT, FOUND, Outline, Plane, Room, clip, explore
from mpo.arrays import Array, IntArray, KeyArray

RELAXED = 1e-6
THIN = 1e-3  # a sliver is at most so much of the whole domain


class Program(NamedTuple):
    """Tableau ``[M | over t | perturbed constant | true constant]`` over t = L theta + shift, and the parameter set.

    Free parameters are ``middle + half s`` with s in [-1, 1]^2; ``free`` and ``held`` number them.
    """

    base: Array
    L: Array
    shift: Array
    theta_A: Array
    theta_b: Array
    free: IntArray
    held: IntArray
    middle: Array
    half: Array


@nb.njit(cache=True, error_model="numpy")
def _outline(program: Program, values: Array, r: Room) -> int:
    """The parameter set over s, to ``r.polygon``; a little relaxed like the program's rows, so as not to be flat."""
    count, free = 4, program.free
    r.polygon[:4] = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    r.walls[:4] = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0], [-1.0, 0.0, 1.0]])
    r.label[:4] = np.array([-1, -2, -3, -4])
    for i in range(len(program.theta_b)):
        h, A = program.theta_b[i], program.theta_A[i]
        for c in range(len(values)):
            h -= A[program.held[c]] * values[c]
        a, b = A[free[0]] * program.half[0], A[free[1]] * program.half[1]
        h -= A[free[0]] * program.middle[0] + A[free[1]] * program.middle[1]
        if abs(a) + abs(b) < FLAT:
            if h < -1e-9 * (1.0 + abs(program.theta_b[i])):
                return 0
            continue
        far = h + RELAXED * (1.0 + 0.2 * (i % 5)) * (abs(a) + abs(b))
        if far < abs(a) + abs(b):
            r.walls[4 + i, 0], r.walls[4 + i, 1], r.walls[4 + i, 2] = a, b, h
            count = clip(r, count, a, b, far, -5 - i)
        if count < 3:
            return 0
    return count


@nb.njit(cache=True, error_model="numpy")
def _over_plane(m: int, program: Program, values: Array, r: Room) -> None:
    """The tableau over s, to ``r.base``."""
    base, p = program.base, len(program.shift)
    t = program.shift.copy()
    for c in range(p):
        for e in range(len(values)):
            t[c] += program.L[c, program.held[e]] * values[e]
        for e in range(2):
            t[c] += program.L[c, program.free[e]] * program.middle[e]
    for i in range(len(base)):
        r.base[i, :m] = base[i, :m]
        for e in range(2):
            v = 0.0
            for c in range(p):
                v += base[i, m + c] * program.L[c, program.free[e]]
            r.base[i, m + e] = v * program.half[e]
        v = 0.0
        for c in range(p):
            v += base[i, m + c] * t[c]
        r.base[i, m + 2] = base[i, m + p] + v
        r.base[i, m + 3] = base[i, m + p + 1] + v


@nb.njit(cache=True, error_model="numpy")
def explore_all(
    m: int, program: Program, values: Array, sliver: float, key: KeyArray, r: Room, one: Plane, state: IntArray,
    count: IntArray, begin: IntArray, corners: Array, law: Array, sides: Array, at: int,
) -> int:  # fmt: skip
    """Planes ``at`` and on, one row of ``values`` each, until there are no more or no more room; the next is returned.

    count (planes + 1, 3): tiles, corners and sides up to each plane.
    """
    n = len(program.base) - m
    while at < len(values):
        tiles, points, walls = count[at]
        outline = _outline(program, values[at], r)
        one.counts[:] = 0
        state[at] = EMPTY
        if outline >= 3:
            polygon = Outline(r.polygon[:outline].copy(), r.label[:outline].copy())
            _over_plane(m, program, values[at], r)
            state[at] = explore(m, n, polygon, sliver, key, r, one)
            if state[at] == FOUND and sliver > THIN * one.area[0]:
                state[at] = explore(m, n, polygon, sliver * one.area[0], key, r, one)
        found, edges = one.counts[0], one.counts[1]
        ends = one.begin[found]
        if tiles + found > len(law) or points + ends > len(corners) or walls + edges > len(sides):
            break
        law[tiles : tiles + found] = one.law[:found]
        begin[tiles : tiles + found] = points + one.begin[:found]
        corners[points : points + ends] = one.corners[:ends]
        sides[walls : walls + edges] = one.sides[:edges]
        at += 1
        count[at, 0] = tiles + found
        count[at, 1] = points + ends
        count[at, 2] = walls + edges
    return at
