"""Backward and forward sweeps of three or four conductors over a tree in preorder, LANES steps at a time.

Called by unbalanced only. ``wires`` is a tuple (0, 1, 2) or (0, 1, 2, 3): its length is known to the compiler. Voltages
and currents of a bus are one row of 2 w LANES numbers: re and im of conductor 0, of conductor 1, ... Bus numbers come
from ``order`` for the reason given in ``_tree``.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, BoolArray, IntArray

LANES = 32
PAIR = 2 * LANES
Wires = tuple[int, ...]


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _drawn(wires: Wires, slot: IntArray, s: Array, v: Array, b: Array) -> None:
    """b = current drawn by the injections S alone: -conj(S / (V_f - V_n)) per phase, returning in the neutral.

    s (L, 6 LANES) [pu], v and b (R, 2 w LANES). No current where a bus lacks the phase.
    """
    b[:] = 0.0
    for j in range(len(slot)):
        i = slot[j]
        for f in range(3):
            at = f * PAIR
            for k in range(LANES):
                x = v[i, at + k]
                y = v[i, at + LANES + k]
                if len(wires) == 4:
                    x -= v[i, 3 * PAIR + k]
                    y -= v[i, 3 * PAIR + LANES + k]
                size = x * x + y * y
                scale = -1.0 / size if size > 0.0 else 0.0
                re = (s[j, at + k] * x + s[j, at + LANES + k] * y) * scale
                im = (s[j, at + k] * y - s[j, at + LANES + k] * x) * scale
                b[i, at + k] = re
                b[i, at + LANES + k] = im
                if len(wires) == 4:
                    b[i, 3 * PAIR + k] -= re
                    b[i, 3 * PAIR + LANES + k] -= im


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _to_root(wires: Wires, order: IntArray, parent: IntArray, plain: BoolArray, h: Array, b: Array) -> None:
    """b of the parent += H b, leaves first; h (R, w, w, 2)."""
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        up = parent[i]
        if plain[i]:
            for k in range(len(wires) * PAIR):
                b[up, k] += b[i, k]
            continue
        for r in range(len(wires)):
            for c in range(len(wires)):
                hr = h[i, r, c, 0]
                hi = h[i, r, c, 1]
                for k in range(LANES):
                    b[up, r * PAIR + k] += hr * b[i, c * PAIR + k] - hi * b[i, c * PAIR + LANES + k]
                    b[up, r * PAIR + LANES + k] += hr * b[i, c * PAIR + LANES + k] + hi * b[i, c * PAIR + k]


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_product(m: Array, x: Array, at: int, out: Array) -> None:
    """out += m x for one complex number m (2,) and the conductor of x (2 w LANES,) that begins at ``at``."""
    re = m[0]
    im = m[1]
    for k in range(LANES):
        out[k] += re * x[at + k] - im * x[at + LANES + k]
        out[LANES + k] += re * x[at + LANES + k] + im * x[at + k]


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _to_leaves(
    wires: Wires,
    order: IntArray,
    parent: IntArray,
    plain: BoolArray,
    e: Array,
    f: Array,
    b: Array,
    v: Array,
    move: Array,
) -> None:
    """V = E V_parent - F b, root first; move += |change of V|^2 per lane."""
    new = np.empty(PAIR)
    for s in range(1, len(order)):
        i = order[s]
        up = parent[i]
        for r in range(len(wires)):
            at = r * PAIR
            if plain[i]:
                for k in range(PAIR):
                    new[k] = v[up, at + k]
            else:
                new[:] = 0.0
                for c in range(len(wires)):
                    _add_product(e[i, r, c], v[up], c * PAIR, new)
            for c in range(len(wires)):
                fr = f[i, r, c, 0]
                fi = f[i, r, c, 1]
                to = c * PAIR
                for k in range(LANES):
                    re = b[i, to + k]
                    im = b[i, to + LANES + k]
                    new[k] -= fr * re - fi * im
                    new[LANES + k] -= fr * im + fi * re
            for k in range(LANES):
                x = new[k] - v[i, at + k]
                y = new[LANES + k] - v[i, at + LANES + k]
                move[k] += x * x + y * y
                v[i, at + k] = new[k]
                v[i, at + LANES + k] = new[LANES + k]


@nb.njit(cache=True, error_model="numpy")
def _fill(first: int, width: int, p: Array, q: Array, scale: float, start: Array, s: Array, v: Array) -> None:
    """Copy powers and first guess of some steps to the lanes; spare lanes get no power."""
    s[:] = 0.0
    for j in range(len(p)):
        for f in range(3):
            for k in range(width):
                s[j, f * PAIR + k] = p[j, f, first + k] * scale
                s[j, f * PAIR + LANES + k] = q[j, f, first + k] * scale
    for i in range(len(v)):
        for c in range(start.shape[1]):
            for k in range(LANES):
                step = min(first + k, start.shape[2] - 1)
                v[i, c * PAIR + k] = start[i, c, step, 0]
                v[i, c * PAIR + LANES + k] = start[i, c, step, 1]


@nb.njit(cache=True, error_model="numpy")
def _store(first: int, width: int, rows: Array, out: Array) -> None:
    """Write the lanes of some steps to out (R, w, K, 2)."""
    for i in range(out.shape[0]):
        for c in range(out.shape[1]):
            for k in range(width):
                out[i, c, first + k, 0] = rows[i, c * PAIR + k]
                out[i, c, first + k, 1] = rows[i, c * PAIR + LANES + k]


@nb.njit(cache=True, error_model="numpy")
def _settle(width: int, tol: float, last_turn: bool, move: Array, last: Array, before: Array, state: Array) -> int:
    """Estimate the error of each lane; returns how many lanes stop now, their state[1] set to 1.

    error = |move| theta / (1 - theta), theta the larger of the last two ratios |move| / |previous move|. state
    (3, LANES): error, stops now, stopped before.
    """
    stops = 0
    for k in range(width):
        state[1, k] = 0.0
        if state[2, k] > 0.0:
            continue
        size = np.sqrt(move[k])
        first = not last[k] < np.inf
        ratio = 1.0 if first or last[k] <= 0.0 else size / last[k]
        theta = min(max(ratio, before[k]), 0.999)
        state[0, k] = size * theta / (1.0 - theta)
        last[k] = size
        before[k] = 0.0 if first else ratio
        if not state[0, k] > tol or last_turn:
            state[1, k] = 1.0
            state[2, k] = 1.0
            stops += 1
    return stops


@nb.njit(cache=True, error_model="numpy")
def sweep(
    wires: Wires,
    order: IntArray,
    parent: IntArray,
    plain: BoolArray,
    e: Array,
    f: Array,
    h: Array,
    slot: IntArray,
    p: Array,
    q: Array,
    scale: float,
    start: Array,
    out: Array,
    error: Array,
    tol: float,
    most: int,
) -> int:
    """Repeat both sweeps until the estimated error of V is below tol; every step stops on its own.

    Args:
        wires: conductors.
        order, parent, plain: (R,); e, f, h: (R, w, w, 2) as in ``grid.reduction.Reduction``.
        slot: (L,) bus of each row of p, q (L, 3, K); scale makes them per unit.
        start: (R, w, 1 or K, 2) first guess with the slack voltage in row 0.
        out: (R, w, K, 2) overwritten by the answer.
        error: (K,) estimated error of V, overwritten; NaN or large where the sweeps diverge.
        tol, most: largest error [pu] and number of sweeps.

    Returns:
        Most sweeps that any step took.
    """
    steps = p.shape[2]
    v = np.empty((len(order), len(wires) * PAIR))
    b, answer = np.empty_like(v), np.empty_like(v)
    s = np.empty((len(slot), 3 * PAIR))
    move, last, before = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    state = np.empty((3, LANES))
    used = 0
    for first in range(0, steps, LANES):
        width = min(LANES, steps - first)
        _fill(first, width, p, q, scale, start, s, v)
        last[:] = np.inf
        before[:] = 0.0
        state[:] = 0.0
        left = width
        for turn in range(most):
            _drawn(wires, slot, s, v, b)
            _to_root(wires, order, parent, plain, h, b)
            move[:] = 0.0
            _to_leaves(wires, order, parent, plain, e, f, b, v, move)
            used = max(used, turn + 1)
            stops = _settle(width, tol, turn == most - 1, move, last, before, state)
            left -= stops
            if stops > 0:
                for i in range(len(order)):
                    for c in range(2 * len(wires)):
                        for k in range(width):
                            if state[1, k] > 0.0:
                                answer[i, c * LANES + k] = v[i, c * LANES + k]
            if left == 0:
                break
        _store(first, width, answer, out)
        error[first : first + width] = state[0, :width]
    return used


@nb.njit(cache=True, error_model="numpy")
def above(wires: Wires, v: Array, floor: Array, good: BoolArray) -> None:
    """good_k = no |phase-to-neutral voltage|^2 of v (R, w, K, 2) below floor (R, 3); False where it is NaN."""
    good[:] = True
    for i in range(v.shape[0]):
        for f in range(3):
            for k in range(v.shape[2]):
                x, y = v[i, f, k, 0], v[i, f, k, 1]
                if len(wires) == 4:
                    x -= v[i, 3, k, 0]
                    y -= v[i, 3, k, 1]
                good[k] &= x * x + y * y >= floor[i, f]


@nb.njit(cache=True, error_model="numpy")
def currents(
    wires: Wires,
    order: IntArray,
    parent: IntArray,
    plain: BoolArray,
    h: Array,
    slot: IntArray,
    p: Array,
    q: Array,
    scale: float,
    v: Array,
    out: Array,
) -> None:
    """Current b drawn at each swept bus and below (R, w, K, 2) at voltages v (R, w, K, 2)."""
    steps = p.shape[2]
    rows = np.empty((len(order), len(wires) * PAIR))
    b = np.empty_like(rows)
    s = np.empty((len(slot), 3 * PAIR))
    for first in range(0, steps, LANES):
        width = min(LANES, steps - first)
        _fill(first, width, p, q, scale, v, s, rows)
        _drawn(wires, slot, s, rows, b)
        _to_root(wires, order, parent, plain, h, b)
        _store(first, width, b, out)


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add_rows(m: Array, sign: float, x: Array, first: int, out: Array) -> None:
    """out (w, N, 2) += sign m x[:, first : first + N] for m (w, w, 2), x (w, K, 2); most of m may be zero."""
    for r in range(m.shape[0]):
        for c in range(m.shape[1]):
            re = sign * m[r, c, 0]
            im = sign * m[r, c, 1]
            if re == 0.0 and im == 0.0:
                continue
            for k in range(out.shape[1]):
                out[r, k, 0] += re * x[c, first + k, 0] - im * x[c, first + k, 1]
                out[r, k, 1] += re * x[c, first + k, 1] + im * x[c, first + k, 0]


@nb.njit(cache=True, error_model="numpy")
def expand(above: IntArray, below: IntArray, p: Array, q: Array, v: Array, b: Array, out: Array) -> None:
    """out_i = P_i v_a - Q_i b_d for a, d of each of M buses: p, q (M, w, w, 2), v and b (R, w, K, 2), out (M, w, K, 2).

    Some steps at a time, so that what is read stays in the cache.
    """
    chunk = 128
    for first in range(0, out.shape[2], chunk):
        for i in range(len(above)):
            rows = out[i, :, first : first + chunk]
            rows[:] = 0.0
            _add_rows(p[i], 1.0, v[above[i]], first, rows)
            _add_rows(q[i], -1.0, b[below[i]], first, rows)
