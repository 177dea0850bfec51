"""Differential of the three-phase power flow over a tree of swept buses; called by unbalanced_linear only.

Complex vectors of w conductors are real vectors of 2 w numbers, real parts first. At every step the current drawn at
and below bus i is b_i = W_i V_i + r_i with a real matrix W_i, since a constant power draws d conj(S / u) =
conj(dS) / conj(u) - conj(S) / conj(u)^2 conj(du). Put into V_i = E V_p - F b_i and handed up as H b_i:

    V_i = M V_p - N r_i,   M = (1 + F W)^-1 E,   N = (1 + F W)^-1 F,   W_p += H W M,   r_p += H (1 - W N) r_i.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, IntArray


@nb.njit(cache=True, error_model="numpy")
def _solve(a: Array, x: Array) -> None:
    """x <- a^-1 x by elimination with row exchange; a is overwritten."""
    n, m = x.shape
    for c in range(n):
        best = c
        for r in range(c + 1, n):
            if abs(a[r, c]) > abs(a[best, c]):
                best = r
        if best != c:
            for j in range(n):
                a[c, j], a[best, j] = a[best, j], a[c, j]
            for j in range(m):
                x[c, j], x[best, j] = x[best, j], x[c, j]
        pivot = 1.0 / a[c, c]
        for r in range(c + 1, n):
            factor = a[r, c] * pivot
            if factor == 0.0:
                continue
            for j in range(c + 1, n):
                a[r, j] -= factor * a[c, j]
            for j in range(m):
                x[r, j] -= factor * x[c, j]
    for c in range(n - 1, -1, -1):
        for j in range(m):
            total = x[c, j]
            for k in range(c + 1, n):
                total -= a[c, k] * x[k, j]
            x[c, j] = total / a[c, c]


@nb.njit(cache=True, error_model="numpy")
def _add_product(a: Array, b: Array, sign: float, out: Array) -> None:
    """out += sign a b."""
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            factor = sign * a[i, k]
            if factor != 0.0:
                for j in range(b.shape[1]):
                    out[i, j] += factor * b[k, j]


@nb.njit(cache=True, error_model="numpy")
def _loads(slot: IntArray, p: Array, q: Array, v: Array, own: Array) -> None:
    """Add the derivative of the drawn currents by the bus voltages of one step to own (R, 2 w, 2 w).

    p, q (L, 3) [pu], v (R, w, 2). With a = conj(S) / conj(u)^2 the current rises by a conj(du), u = V_f - V_n.
    """
    w = v.shape[1]
    for j in range(len(slot)):
        i = slot[j]
        for f in range(3):
            if p[j, f] == 0.0 and q[j, f] == 0.0:
                continue
            x = v[i, f, 0] - (v[i, 3, 0] if w == 4 else 0.0)
            y = v[i, f, 1] - (v[i, 3, 1] if w == 4 else 0.0)
            size = 1.0 / (x * x + y * y)
            ur, ui = (x * x - y * y) * size * size, 2.0 * x * y * size * size  # 1 / conj(u)^2
            ar, ai = p[j, f] * ur + q[j, f] * ui, p[j, f] * ui - q[j, f] * ur
            for row, sign in ((f, 1.0), (3, -1.0)):
                if row == 3 and w == 3:
                    continue
                for column, side in ((f, 1.0), (3, -1.0)):
                    if column == 3 and w == 3:
                        continue
                    t = sign * side
                    own[i, row, column] += t * ar
                    own[i, row, w + column] += t * ai
                    own[i, w + row, column] += t * ai
                    own[i, w + row, w + column] -= t * ar


@nb.njit(cache=True, error_model="numpy")
def _factor(order: IntArray, parent: IntArray, e: Array, f: Array, h: Array, own: Array, m: Array, n: Array) -> None:
    """Eliminate one step: own holds W of the loads and becomes W; m, n (R, 2 w, 2 w) are overwritten."""
    size = own.shape[1]
    a, x, wm = np.empty((size, size)), np.empty((size, 2 * size)), np.empty((size, size))
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        a[:] = 0.0
        for c in range(size):
            a[c, c] = 1.0
        _add_product(f[i], own[i], 1.0, a)
        x[:, :size] = e[i]
        x[:, size:] = f[i]
        _solve(a, x)
        m[i] = x[:, :size]
        n[i] = x[:, size:]
        wm[:] = 0.0
        _add_product(own[i], m[i], 1.0, wm)
        _add_product(h[i], wm, 1.0, own[parent[i]])


@nb.njit(cache=True, error_model="numpy")
def _substitute(
    order: IntArray, parent: IntArray, h: Array, own: Array, m: Array, n: Array, r: Array, dv: Array
) -> None:
    """Solve for columns r (R, 2 w, C), overwritten by db; dv (R, 2 w, C)."""
    handed = np.empty(r.shape[1:])
    for s in range(len(order) - 1, 0, -1):
        i = order[s]
        dv[i] = 0.0
        _add_product(n[i], r[i], -1.0, dv[i])
        handed[:] = r[i]
        _add_product(own[i], dv[i], 1.0, handed)
        _add_product(h[i], handed, 1.0, r[parent[i]])
    dv[0] = 0.0
    for s in range(1, len(order)):
        i = order[s]
        _add_product(m[i], dv[parent[i]], 1.0, dv[i])
        _add_product(own[i], dv[i], 1.0, r[i])


@nb.njit(cache=True, error_model="numpy")
def _right_side(slot: IntArray, dp: Array, dq: Array, v: Array, r: Array) -> None:
    """r += -conj(dS) / conj(u) for columns dp, dq (L, 3, C) [pu]; the neutral carries the return."""
    w = v.shape[1]
    for j in range(len(slot)):
        i = slot[j]
        for f in range(3):
            x = v[i, f, 0] - (v[i, 3, 0] if w == 4 else 0.0)
            y = v[i, f, 1] - (v[i, 3, 1] if w == 4 else 0.0)
            size = 1.0 / (x * x + y * y)
            for c in range(dp.shape[2]):
                if dp[j, f, c] == 0.0 and dq[j, f, c] == 0.0:
                    continue
                cr = -(dp[j, f, c] * x + dq[j, f, c] * y) * size
                ci = -(dp[j, f, c] * y - dq[j, f, c] * x) * size
                r[i, f, c] += cr
                r[i, w + f, c] += ci
                if w == 4:
                    r[i, 3, c] -= cr
                    r[i, w + 3, c] -= ci


@nb.njit(cache=True, error_model="numpy")
def solve(
    order: IntArray,
    parent: IntArray,
    e: Array,
    f: Array,
    h: Array,
    slot: IntArray,
    p: Array,
    q: Array,
    scale: float,
    v: Array,
    dp: Array,
    dq: Array,
    dv: Array,
    db: Array,
) -> None:
    """Changes of voltages and drawn currents, each (K, R, 2 w, C), for C changes dp, dq (K, L, 3, C) at each step.

    e, f, h (R, 2 w, 2 w) real forms; p, q (K, L, 3), v (K, R, w, 2) the state; scale makes powers per unit.
    """
    count, size = len(order), e.shape[1]
    own, m, n = np.empty((count, size, size)), np.empty((count, size, size)), np.empty((count, size, size))
    for k in range(len(v)):
        own[:] = 0.0
        _loads(slot, p[k] * scale, q[k] * scale, v[k], own)
        _factor(order, parent, e, f, h, own, m, n)
        db[k] = 0.0
        _right_side(slot, dp[k] * scale, dq[k] * scale, v[k], db[k])
        _substitute(order, parent, h, own, m, n, db[k], dv[k])
