"""Power flow sweeps over a tree of buses in preorder, LANES steps at a time; called by powerflow only.

The workspace holds one row of 6 LANES numbers per bus: voltage (re, im), current (re, im), injected power (p, q).
Bus numbers come from ``order`` (0, 1, ... n - 1) rather than from the loop counter: only then does the compiler check
the overlap of the rows of a bus and its parent row by row, and use vector instructions.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, IntArray

LANES = 32


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _fill(work: Array, p: Array, q: Array, v: Array, first: int, width: int, scale: float) -> None:
    """Copy voltages and powers of some steps to the lanes (no power in spare lanes); current = conj(S / V)."""
    for i in range(len(p)):
        for k in range(width):
            work[i, k] = v[i, first + k, 0]
            work[i, LANES + k] = v[i, first + k, 1]
            work[i, 4 * LANES + k] = p[i, first + k] * scale
            work[i, 5 * LANES + k] = q[i, first + k] * scale
        for k in range(width, LANES):
            work[i, k] = v[i, first, 0]
            work[i, LANES + k] = v[i, first, 1]
            work[i, 4 * LANES + k] = 0.0
            work[i, 5 * LANES + k] = 0.0
        for k in range(LANES):
            x = work[i, k]
            y = work[i, LANES + k]
            w = 1.0 / (x * x + y * y)
            work[i, 2 * LANES + k] = (work[i, 4 * LANES + k] * x + work[i, 5 * LANES + k] * y) * w
            work[i, 3 * LANES + k] = (work[i, 4 * LANES + k] * y - work[i, 5 * LANES + k] * x) * w


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _to_root(work: Array, order: IntArray, parent: IntArray, factors: Array) -> None:
    """Forward elimination: current of the parent -= L current of the bus, leaves first."""
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        up = parent[i]
        lr = factors[i, 0]
        li = factors[i, 1]
        for k in range(LANES):
            br = work[i, 2 * LANES + k]
            bi = work[i, 3 * LANES + k]
            work[up, 2 * LANES + k] -= lr * br - li * bi
            work[up, 3 * LANES + k] -= lr * bi + li * br


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _to_leaves(work: Array, order: IntArray, parent: IntArray, factors: Array, move: Array) -> None:
    """Back substitution V = current / D - U V_parent, then current = conj(S / V); move += |change of V|^2 per lane."""
    for s in range(1, len(order)):
        i = order[s]
        up = parent[i]
        ur = factors[i, 2]
        ui = factors[i, 3]
        dr = factors[i, 4]
        di = factors[i, 5]
        for k in range(LANES):
            br = work[i, 2 * LANES + k]
            bi = work[i, 3 * LANES + k]
            pr = work[up, k]
            pi = work[up, LANES + k]
            x = dr * br - di * bi - ur * pr + ui * pi
            y = dr * bi + di * br - ur * pi - ui * pr
            ex = x - work[i, k]
            ey = y - work[i, LANES + k]
            work[i, k] = x
            work[i, LANES + k] = y
            w = 1.0 / (x * x + y * y)
            work[i, 2 * LANES + k] = (work[i, 4 * LANES + k] * x + work[i, 5 * LANES + k] * y) * w
            work[i, 3 * LANES + k] = (work[i, 4 * LANES + k] * y - work[i, 5 * LANES + k] * x) * w
            move[k] += ex * ex + ey * ey


@nb.njit(cache=True, error_model="numpy")
def sweep(
    order: IntArray,
    parent: IntArray,
    factors: Array,
    p: Array,
    q: Array,
    scale: float,
    v: Array,
    error: Array,
    tol: float,
    most: int,
) -> int:
    """Solve V = Y^-1 (conj(S / V) - y_0 V_0) by sweeps, until the estimated error of V is below tol.

    error = |move| theta / (1 - theta), theta the larger of the last two ratios |move| / |previous move|: an iteration
    that blew up may fall back by chance, once. Every step stops on its own, so that its answer does not depend on the
    steps that it is solved with.

    Args:
        order, parent: (n,) bus numbers and parents.
        factors: (n, 6) L, U, 1/D (re, im) of the factors of Y.
        p, q: (n, K) injections; scale makes them per unit.
        v: (n, K, 2) start, overwritten by the answer.
        error: (K,) estimated error of V per step, overwritten; NaN or large where the sweeps diverge.
        tol, most: largest error [pu] and number of sweeps.

    Returns:
        Most sweeps that any step took.
    """
    n, steps = p.shape
    work = np.empty((n, 6 * LANES))
    move = np.empty(LANES)
    last = np.empty(LANES)
    before = np.empty(LANES)
    done = np.empty(LANES, np.bool_)
    used = 0
    for first in range(0, steps, LANES):
        width = min(LANES, steps - first)
        _fill(work, p, q, v, first, width, scale)
        last[:] = np.inf
        before[:] = 0.0
        left = width
        done[:width] = False
        for turn in range(most):
            _to_root(work, order, parent, factors)
            move[:] = 0.0
            _to_leaves(work, order, parent, factors, move)
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
                    for i in range(n):
                        v[i, first + k, 0] = work[i, k]
                        v[i, first + k, 1] = work[i, LANES + k]
            if left == 0:
                break
    return used
