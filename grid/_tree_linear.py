"""Exact sensitivities over a tree of buses in preorder; called by linear only.

At every step the system Y x + a conj(x) = r is eliminated from the leaves: D x + A conj(x) is inverted as
conj(e) r - f conj(r) with e = D / (|D|^2 - |A|^2), f = A / (|D|^2 - |A|^2). The adjoint has Y^H and the same a, e, f.
Why bus numbers come from ``order``: see ``_tree``.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, BoolArray, ComplexArray, IntArray

LANES = 32


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


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def transfers(
    parent: IntArray, y: Array, blocks: Array, v: ComplexArray, asked: IntArray, there: BoolArray, out: Array
) -> None:
    """Per step and bus e, f (re, im) and the 2 x 2 matrix from the parent's gradient to the own one; out (K, n, 8).

    Only for the steps ``asked`` that are not ``there (K,)`` yet.

    With w = dF/dp - j dF/dq = lambda / V and no right-hand side at the bus: w = alpha w_p + beta conj(w_p),
    alpha = -e conj(y_pi) V_p / V,   beta = f y_pi conj(V_p) / V.
    """
    n = len(v)
    for t in asked:
        if there[t]:
            continue
        there[t] = True
        out[t, 0] = 0.0
        c, k = divmod(t, LANES)
        for i in range(1, n):
            e = complex(blocks[c, i, k], blocks[c, i, LANES + k])
            f = complex(blocks[c, i, 2 * LANES + k], blocks[c, i, 3 * LANES + k])
            y_pi = complex(y[i, 4], y[i, 5])
            v_p = v[parent[i], t]
            alpha = -e * np.conj(y_pi) * v_p / v[i, t]
            beta = f * y_pi * np.conj(v_p) / v[i, t]
            out[t, i, 0] = e.real
            out[t, i, 1] = e.imag
            out[t, i, 2] = f.real
            out[t, i, 3] = f.imag
            out[t, i, 4] = alpha.real + beta.real
            out[t, i, 5] = alpha.imag - beta.imag
            out[t, i, 6] = -alpha.imag - beta.imag
            out[t, i, 7] = alpha.real - beta.real


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _climb(
    parent: IntArray,
    y: Array,
    table: Array,
    v: ComplexArray,
    a: int,
    g_a: complex,
    b: int,
    g_b: complex,
    p: Array,
    q: Array,
) -> None:
    """Eliminate a right-hand side g at buses a and b up to the root; leave lambda / V of the way in p, q (n,)."""
    while a > 0 or b > 0:
        if a < b:
            a, b, g_a, g_b = b, a, g_b, g_a
        if a == b:
            g_a, b, g_b = g_a + g_b, 0, 0j
        e = complex(table[a, 0], table[a, 1])
        f = complex(table[a, 2], table[a, 3])
        lam = e * g_a - f * np.conj(g_a)
        w = lam / v[a]
        p[a] += w.real
        q[a] -= w.imag
        g_a = -complex(y[a, 2], -y[a, 3]) * lam
        a = parent[a]


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _descend4(parent: IntArray, table: Array, m: IntArray, p: Array, q: Array) -> None:
    """Bring the gradients of functionals m (4,) of one step from the root to the leaves; table (n, 8), p, q (M, n)."""
    p0, p1, p2, p3 = p[m[0]], p[m[1]], p[m[2]], p[m[3]]
    q0, q1, q2, q3 = q[m[0]], q[m[1]], q[m[2]], q[m[3]]
    for i in range(1, len(parent)):
        up = np.uint64(parent[i])
        a, b, c, d = table[i, 4], table[i, 5], table[i, 6], table[i, 7]
        x0, y0 = p0[i] + a * p0[up] + b * q0[up], q0[i] + c * p0[up] + d * q0[up]
        x1, y1 = p1[i] + a * p1[up] + b * q1[up], q1[i] + c * p1[up] + d * q1[up]
        x2, y2 = p2[i] + a * p2[up] + b * q2[up], q2[i] + c * p2[up] + d * q2[up]
        x3, y3 = p3[i] + a * p3[up] + b * q3[up], q3[i] + c * p3[up] + d * q3[up]
        p0[i], p1[i], p2[i], p3[i] = x0, x1, x2, x3
        q0[i], q1[i], q2[i], q3[i] = y0, y1, y2, y3


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _descend1(wide: IntArray, parent: IntArray, table: Array, p: Array, q: Array) -> None:
    """The same for one functional; ``wide`` is a breadth-first order, so that neighbours do not wait for each other."""
    for s in range(1, len(parent)):
        i = np.uint64(wide[s])
        up = np.uint64(parent[i])
        x = p[up]
        y = q[up]
        p[i] += table[i, 4] * x + table[i, 5] * y
        q[i] += table[i, 6] * x + table[i, 7] * y


@nb.njit(cache=True, error_model="numpy")
def gradients(
    wide: IntArray,
    parent: IntArray,
    y: Array,
    table: Array,
    v: ComplexArray,
    step: IntArray,
    rows: IntArray,
    root: ComplexArray,
    bus_a: IntArray,
    h_a: ComplexArray,
    bus_b: IntArray,
    h_b: ComplexArray,
    p: Array,
    q: Array,
) -> None:
    """Gradients p, q (M, n) of M functionals Re(h_a dV[bus_a] + h_b dV[bus_b]); root (M,) is lambda / V at the slack.

    ``rows`` sorts the functionals by step, v is (K, n). A few functionals at a time stay in the cache to the end.
    """
    first = 0
    while first < len(rows):
        t = step[rows[first]]
        together = 4 if first + 4 <= len(rows) and step[rows[first + 3]] == t else 1
        group = rows[first : first + together]
        for m in group:
            p[m] = 0.0
            q[m] = 0.0
            _climb(parent, y, table[t], v[t], bus_a[m], np.conj(h_a[m]), bus_b[m], np.conj(h_b[m]), p[m], q[m])
            p[m, 0] = root[m].real
            q[m, 0] = -root[m].imag
        if together == 4:
            _descend4(parent, table[t], group, p, q)
        else:
            _descend1(wide, parent, table[t], p[group[0]], q[group[0]])
        for m in group:
            p[m, 0] = 0.0
            q[m, 0] = 0.0
        first += together
