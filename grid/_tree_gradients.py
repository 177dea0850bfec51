"""Gradients over a tree of buses, from what ``_tree_linear`` eliminated; called by linear only.

A functional of one or two voltages climbs from them to the root, and its gradient descends from the root to all buses.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid._tree import LANES
from grid.arrays import Array, BoolArray, ComplexArray, IntArray

TOGETHER = 4  # functionals that descend together


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
    inverse: ComplexArray,
    a: int,
    g_a: complex,
    b: int,
    g_b: complex,
    p: Array,
    q: Array,
) -> None:
    """Eliminate a right-hand side g at buses a and b up to the root; leave lambda / V of the way in p, q (n,).

    ``inverse`` (n,) is 1 / V.
    """
    while a > 0 or b > 0:
        if a < b:
            a, b, g_a, g_b = b, a, g_b, g_a
        if a == b:
            g_a, b, g_b = g_a + g_b, 0, 0j
        e = complex(table[a, 0], table[a, 1])
        f = complex(table[a, 2], table[a, 3])
        lam = e * g_a - f * np.conj(g_a)
        w = lam * inverse[a]
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


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _descend_within(order: IntArray, parent: IntArray, table: Array, low: int, high: int, work: Array) -> None:
    """The same for TOGETHER functionals that only buses low to high - 1 and the root matter to.

    work (n, 2 TOGETHER), p then q, has what ``_climb`` left, and what comes from above is added to it.
    """
    for s in range(low, high):
        i = order[s]
        up = parent[i]
        a, b, c, d = table[i, 4], table[i, 5], table[i, 6], table[i, 7]
        for k in range(TOGETHER):
            x = work[up, k]
            y = work[up, TOGETHER + k]
            work[i, k] += a * x + b * y
            work[i, TOGETHER + k] += c * x + d * y


@nb.njit(cache=True, error_model="numpy")
def _write(work: Array, k: int, low: int, high: int, p: Array, q: Array) -> None:
    """Gradients p, q (n,) of the functional in lane k, zero but at buses low to high - 1."""
    p[:low] = 0.0
    q[:low] = 0.0
    for i in range(low, high):
        p[i] = work[i, k]
        q[i] = work[i, TOGETHER + k]
    p[high:] = 0.0
    q[high:] = 0.0


@nb.njit(cache=True, error_model="numpy")
def _branches(parent: IntArray) -> tuple[IntArray, IntArray]:
    """For every bus the first and the last plus one of the buses that hang on the slack by the same branch (n,).

    Where these do not stand together, all buses count as one branch.
    """
    n = len(parent)
    first = np.arange(n)
    end = np.arange(n) + 1
    for i in range(1, n):
        if parent[i] > 0:
            first[i] = first[parent[i]]
            if first[i] != first[i - 1]:
                first[:] = 1
                end[:] = n
                return first, end
        end[first[i]] = i + 1
    for i in range(1, n):
        end[i] = end[first[i]]
    return first, end


@nb.njit(cache=True, error_model="numpy")
def _within(
    order: IntArray,
    parent: IntArray,
    y: Array,
    table: Array,
    inverse: ComplexArray,
    group: IntArray,
    bus_a: IntArray,
    h_a: ComplexArray,
    bus_b: IntArray,
    h_b: ComplexArray,
    low: int,
    high: int,
    work: Array,
    p: Array,
    q: Array,
) -> None:
    """Gradients of a group of functionals of one step that only buses low to high - 1 matter to; see ``gradients``."""
    work[0] = 0.0
    work[low:high] = 0.0
    for k in range(len(group)):
        m = group[k]
        x, y_k = work[:, k], work[:, TOGETHER + k]
        _climb(parent, y, table, inverse, bus_a[m], np.conj(h_a[m]), bus_b[m], np.conj(h_b[m]), x, y_k)
    _descend_within(order, parent, table, low, high, work)
    for k in range(len(group)):
        _write(work, k, low, high, p[group[k]], q[group[k]])


@nb.njit(cache=True, error_model="numpy")
def gradients(
    wide: IntArray,
    parent: IntArray,
    y: Array,
    table: Array,
    inverse: ComplexArray,
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

    ``rows`` sorts the functionals by step, ``inverse`` (K, n) is 1 / V. A few functionals at a time stay in the cache
    to the end. What hangs on the slack by another branch has no effect unless it comes from the root.
    """
    n = len(parent)
    order = np.arange(n)
    branch_first, branch_end = _branches(parent)
    work = np.empty((n, 2 * TOGETHER))
    last = 0
    while last < len(rows):
        first = last
        t = step[rows[first]]
        low, high = n, 1
        while last < len(rows) and last < first + TOGETHER and step[rows[last]] == t:
            m = rows[last]
            for i in (bus_a[m], bus_b[m]):
                if i > 0:
                    low, high = min(low, branch_first[i]), max(high, branch_end[i])
            if root[m] != 0.0:
                low, high = 1, n
            last += 1
        group = rows[first:last]
        if 2 * (high - low) < n:
            _within(order, parent, y, table[t], inverse[t], group, bus_a, h_a, bus_b, h_b, low, high, work, p, q)
            continue
        for m in group:
            p[m] = 0.0
            q[m] = 0.0
            _climb(parent, y, table[t], inverse[t], bus_a[m], np.conj(h_a[m]), bus_b[m], np.conj(h_b[m]), p[m], q[m])
            p[m, 0] = root[m].real
            q[m, 0] = -root[m].imag
        if len(group) == TOGETHER:
            _descend4(parent, table[t], group, p, q)
        else:
            for m in group:
                _descend1(wide, parent, table[t], p[m], q[m])
        for m in group:
            p[m, 0] = 0.0
            q[m, 0] = 0.0
