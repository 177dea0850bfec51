"""Backward and forward sweeps of three or four conductors over a tree in preorder, LANES steps at a time.

Called by unbalanced only. ``wires`` is a tuple (0, 1, 2) or (0, 1, 2, 3): its length is known to the compiler.
Bus numbers come from ``order`` for the reason given in ``_tree``.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, BoolArray, IntArray

LANES = 32
Wires = tuple[int, ...]


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _drawn(wires: Wires, slot: IntArray, s: Array, v: Array, b: Array) -> None:
    """b = current drawn by the injections S alone: -conj(S / (V_f - V_n)) per phase, returning in the neutral.

    s (L, 3, 2, LANES) [pu], v and b (R, w, 2, LANES); parts re, im. No current where a bus lacks the phase.
    """
    b[:] = 0.0
    for j in range(len(slot)):
        i = slot[j]
        for f in range(3):
            for k in range(LANES):
                x = v[i, f, 0, k]
                y = v[i, f, 1, k]
                if len(wires) == 4:
                    x -= v[i, 3, 0, k]
                    y -= v[i, 3, 1, k]
                size = x * x + y * y
                scale = -1.0 / size if size > 0.0 else 0.0
                cr = (s[j, f, 0, k] * x + s[j, f, 1, k] * y) * scale
                ci = (s[j, f, 0, k] * y - s[j, f, 1, k] * x) * scale
                b[i, f, 0, k] = cr
                b[i, f, 1, k] = ci
                if len(wires) == 4:
                    b[i, 3, 0, k] -= cr
                    b[i, 3, 1, k] -= ci


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _to_root(wires: Wires, order: IntArray, parent: IntArray, plain: BoolArray, h: Array, b: Array) -> None:
    """b of the parent += H b, leaves first; h (R, w, w, 2)."""
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        up = parent[i]
        for f in range(len(wires)):
            if plain[i]:
                for k in range(LANES):
                    b[up, f, 0, k] += b[i, f, 0, k]
                    b[up, f, 1, k] += b[i, f, 1, k]
                continue
            for c in range(len(wires)):
                hr = h[i, f, c, 0]
                hi = h[i, f, c, 1]
                for k in range(LANES):
                    b[up, f, 0, k] += hr * b[i, c, 0, k] - hi * b[i, c, 1, k]
                    b[up, f, 1, k] += hr * b[i, c, 1, k] + hi * b[i, c, 0, k]


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _to_leaves(
    wires: Wires, order: IntArray, parent: IntArray, plain: BoolArray, e: Array, f: Array, b: Array, v: Array, move: Array
) -> None:
    """V = E V_parent - F b, root first; move += |change of V|^2 per lane."""
    new = np.empty((2, LANES))
    for s in range(1, len(order)):
        i = order[s]
        up = parent[i]
        for r in range(len(wires)):
            if plain[i]:
                for k in range(LANES):
                    new[0, k] = v[up, r, 0, k]
                    new[1, k] = v[up, r, 1, k]
            else:
                new[:] = 0.0
                for c in range(len(wires)):
                    er = e[i, r, c, 0]
                    ei = e[i, r, c, 1]
                    for k in range(LANES):
                        new[0, k] += er * v[up, c, 0, k] - ei * v[up, c, 1, k]
                        new[1, k] += er * v[up, c, 1, k] + ei * v[up, c, 0, k]
            for c in range(len(wires)):
                fr = f[i, r, c, 0]
                fi = f[i, r, c, 1]
                for k in range(LANES):
                    new[0, k] -= fr * b[i, c, 0, k] - fi * b[i, c, 1, k]
                    new[1, k] -= fr * b[i, c, 1, k] + fi * b[i, c, 0, k]
            for k in range(LANES):
                x = new[0, k] - v[i, r, 0, k]
                y = new[1, k] - v[i, r, 1, k]
                move[k] += x * x + y * y
                v[i, r, 0, k] = new[0, k]
                v[i, r, 1, k] = new[1, k]


@nb.njit(cache=True, error_model="numpy")
def _fill(first: int, width: int, p: Array, q: Array, scale: float, start: Array, s: Array, v: Array) -> None:
    """Copy powers and first guess of some steps to the lanes; spare lanes get no power."""
    s[:] = 0.0
    for j in range(len(p)):
        for f in range(3):
            for k in range(width):
                s[j, f, 0, k] = p[j, f, first + k] * scale
                s[j, f, 1, k] = q[j, f, first + k] * scale
    for i in range(len(v)):
        for f in range(v.shape[1]):
            for k in range(LANES):
                step = min(first + k, start.shape[2] - 1)
                v[i, f, 0, k] = start[i, f, step, 0]
                v[i, f, 1, k] = start[i, f, step, 1]


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

    error = |move| theta / (1 - theta), theta the larger of the last two ratios |move| / |previous move|.

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
    v = np.empty((len(order), len(wires), 2, LANES))
    b = np.empty_like(v)
    s = np.empty((len(slot), 3, 2, LANES))
    move, last, before = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    done = np.empty(LANES, np.bool_)
    used = 0
    for first in range(0, steps, LANES):
        width = min(LANES, steps - first)
        _fill(first, width, p, q, scale, start, s, v)
        last[:] = np.inf
        before[:] = 0.0
        left = width
        done[:width] = False
        for turn in range(most):
            _drawn(wires, slot, s, v, b)
            _to_root(wires, order, parent, plain, h, b)
            move[:] = 0.0
            _to_leaves(wires, order, parent, plain, e, f, b, v, move)
            used = max(used, turn + 1)
            for k in range(width):
                if done[k]:
                    continue
                size = np.sqrt(move[k])
                ratio = size / last[k] if last[k] > 0.0 and last[k] < np.inf else 1.0
                theta = min(max(ratio, before[k]), 0.999)
                error[first + k] = size * theta / (1.0 - theta)
                last[k] = size
                before[k] = ratio if turn > 0 else 0.0
                if not error[first + k] > tol or turn == most - 1:
                    done[k] = True
                    left -= 1
                    for i in range(len(order)):
                        for c in range(len(wires)):
                            out[i, c, first + k, 0] = v[i, c, 0, k]
                            out[i, c, first + k, 1] = v[i, c, 1, k]
            if left == 0:
                break
    return used


@nb.njit(cache=True, error_model="numpy")
def currents(
    wires: Wires, order: IntArray, parent: IntArray, plain: BoolArray, h: Array, slot: IntArray, p: Array, q: Array, scale: float, v: Array, out: Array
) -> None:
    """Current b drawn at each swept bus and below (R, w, K, 2) at voltages v (R, w, K, 2)."""
    steps = p.shape[2]
    block = np.empty((len(order), len(wires), 2, LANES))
    b = np.empty_like(block)
    s = np.empty((len(slot), 3, 2, LANES))
    for first in range(0, steps, LANES):
        width = min(LANES, steps - first)
        _fill(first, width, p, q, scale, v, s, block)
        _drawn(wires, slot, s, block, b)
        _to_root(wires, order, parent, plain, h, b)
        for i in range(len(order)):
            for c in range(len(wires)):
                for k in range(width):
                    out[i, c, first + k, 0] = b[i, c, 0, k]
                    out[i, c, first + k, 1] = b[i, c, 1, k]
