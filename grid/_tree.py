"""Kernels over a tree of buses in preorder, vectorised over the steps of a chunk; called by powerflow and linear only."""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, BoolArray, IntArray

LANES = 16


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def sweep(parent: IntArray, c: Array, v0r: float, v0i: float, p: Array, q: Array, v: Array, ok: BoolArray, tol: float, most: int) -> int:
    """Solve V = Y^-1 (conj(S / V) - y_0 V_0) by sweeps: leaves to root, root to leaves, until V moves less than tol.

    parent (n,); c (n, 6): L, U, 1/D (re, im) of the LDU factors; p, q (n, K) [pu]; v (n, K, 2) start and answer; ok (K,).
    """
    n, steps = p.shape
    br = np.empty((n, LANES))
    bi = np.empty((n, LANES))
    vr = np.empty((n, LANES))
    vi = np.empty((n, LANES))
    pp = np.zeros((n, LANES))
    qq = np.zeros((n, LANES))
    move = np.empty(LANES)
    used = 0
    for start in range(0, steps, LANES):
        width = min(LANES, steps - start)
        for i in range(n):
            for k in range(width):
                pp[i, k] = p[i, start + k]
                qq[i, k] = q[i, start + k]
                vr[i, k] = v[i, start + k, 0]
                vi[i, k] = v[i, start + k, 1]
            for k in range(width, LANES):
                pp[i, k] = 0.0
                qq[i, k] = 0.0
                vr[i, k] = v0r
                vi[i, k] = v0i
        for it in range(most):
            br[:] = 0.0
            bi[:] = 0.0
            for i in range(n - 1, 0, -1):
                up = parent[i]
                lr = c[i, 0]
                li = c[i, 1]
                for k in range(LANES):
                    x = vr[i, k]
                    y = vi[i, k]
                    w = 1.0 / (x * x + y * y)
                    gr = br[i, k] + (pp[i, k] * x + qq[i, k] * y) * w
                    gi = bi[i, k] + (pp[i, k] * y - qq[i, k] * x) * w
                    br[i, k] = gr
                    bi[i, k] = gi
                    br[up, k] -= lr * gr - li * gi
                    bi[up, k] -= lr * gi + li * gr
            move[:] = 0.0
            for k in range(LANES):
                vr[0, k] = v0r
                vi[0, k] = v0i
            for i in range(1, n):
                up = parent[i]
                ur = c[i, 2]
                ui = c[i, 3]
                dr = c[i, 4]
                di = c[i, 5]
                for k in range(LANES):
                    x = dr * br[i, k] - di * bi[i, k] - (ur * vr[up, k] - ui * vi[up, k])
                    y = dr * bi[i, k] + di * br[i, k] - (ur * vi[up, k] + ui * vr[up, k])
                    move[k] += (x - vr[i, k]) ** 2 + (y - vi[i, k]) ** 2
                    vr[i, k] = x
                    vi[i, k] = y
            used = max(used, it + 1)
            if move.max() < tol * tol:
                break
        for i in range(n):
            for k in range(width):
                v[i, start + k, 0] = vr[i, k]
                v[i, start + k, 1] = vi[i, k]
        for k in range(width):
            ok[start + k] = move[k] < tol * tol
    return used
