"""Exact sensitivities over a tree of buses in preorder; called by linear only.

At every step the system Y x + a conj(x) = r is eliminated from the leaves: D x + A conj(x) is inverted as
conj(e) r - f conj(r) with e = D / (|D|^2 - |A|^2), f = A / (|D|^2 - |A|^2). The adjoint has Y^H and the same a, e, f.
Why bus numbers come from ``order``: see ``_tree``.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid._tree import LANES
from grid.arrays import Array, IntArray


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def factor(order: IntArray, parent: IntArray, y: Array, block: Array) -> None:
    """Eliminate one block of LANES steps in place.

    y (n, 6): y_ii, y_ip, y_pi (re, im). block (n, 6 LANES): in D, A, out e, f in the first four parts (re, im each).
    """
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        up = parent[i]
        # products y_ip y_pi and conj(y_ip) y_pi
        br = y[i, 2] * y[i, 4] - y[i, 3] * y[i, 5]
        bi = y[i, 2] * y[i, 5] + y[i, 3] * y[i, 4]
        cr = y[i, 2] * y[i, 4] + y[i, 3] * y[i, 5]
        ci = y[i, 2] * y[i, 5] - y[i, 3] * y[i, 4]
        for k in range(LANES):
            dr = block[i, k]
            di = block[i, LANES + k]
            ar = block[i, 2 * LANES + k]
            ai = block[i, 3 * LANES + k]
            w = 1.0 / (dr * dr + di * di - ar * ar - ai * ai)
            er = dr * w
            ei = di * w
            fr = ar * w
            fi = ai * w
            block[i, k] = er
            block[i, LANES + k] = ei
            block[i, 2 * LANES + k] = fr
            block[i, 3 * LANES + k] = fi
            block[up, k] -= br * er + bi * ei
            block[up, LANES + k] -= bi * er - br * ei
            block[up, 2 * LANES + k] += cr * fr - ci * fi
            block[up, 3 * LANES + k] += cr * fi + ci * fr


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _eliminate(order: IntArray, parent: IntArray, y: Array, block: Array, r: Array) -> None:
    """r_parent -= y_pi (conj(e) r - f conj(r)), leaves first; r (n, 2 LANES)."""
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        up = parent[i]
        yr = y[i, 4]
        yi = y[i, 5]
        for k in range(LANES):
            rr = r[i, k]
            ri = r[i, LANES + k]
            er = block[i, k]
            ei = block[i, LANES + k]
            fr = block[i, 2 * LANES + k]
            fi = block[i, 3 * LANES + k]
            zr = er * rr + ei * ri - fr * rr - fi * ri
            zi = er * ri - ei * rr - fi * rr + fr * ri
            r[up, k] -= yr * zr - yi * zi
            r[up, LANES + k] -= yr * zi + yi * zr


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _substitute(order: IntArray, parent: IntArray, y: Array, block: Array, r: Array) -> None:
    """x = conj(e) s - f conj(s) with s = r - y_ip x_parent, root first; x overwrites r."""
    for s in range(1, len(order)):
        i = order[s]
        up = parent[i]
        yr = y[i, 2]
        yi = y[i, 3]
        for k in range(LANES):
            xr = r[up, k]
            xi = r[up, LANES + k]
            rr = r[i, k] - yr * xr + yi * xi
            ri = r[i, LANES + k] - yr * xi - yi * xr
            er = block[i, k]
            ei = block[i, LANES + k]
            fr = block[i, 2 * LANES + k]
            fi = block[i, 3 * LANES + k]
            r[i, k] = er * rr + ei * ri - fr * rr - fi * ri
            r[i, LANES + k] = er * ri - ei * rr - fi * rr + fr * ri


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def solve(order: IntArray, parent: IntArray, y: Array, blocks: Array, r: Array, steps: int, out: Array) -> None:
    """Voltage changes of all steps, out (n, K, 2), for r (2, n, K) = dp, dq [pu].

    blocks (C, n, 6 LANES) with 1 / conj(V) in the last two parts.
    """
    n = len(order)
    right = np.empty((n, 2 * LANES))
    for c in range(len(blocks)):
        block = blocks[c]
        first = c * LANES
        width = min(LANES, steps - first)
        right[:] = 0.0
        for i in range(1, n):
            for k in range(width):
                p = r[0, i, first + k]
                q = r[1, i, first + k]
                gr = block[i, 4 * LANES + k]
                gi = block[i, 5 * LANES + k]
                right[i, k] = p * gr + q * gi
                right[i, LANES + k] = p * gi - q * gr
        _eliminate(order, parent, y, block, right)
        right[0] = 0.0
        _substitute(order, parent, y, block, right)
        for i in range(n):
            for k in range(width):
                out[i, first + k, 0] = right[i, k]
                out[i, first + k, 1] = right[i, LANES + k]
