"""Random points of a polytope by hit-and-run; called by sampling only."""

from __future__ import annotations

import numba as nb
import numpy as np

from mpo.arrays import Array


@nb.njit(cache=True, error_model="numpy")
def hit_and_run(A: Array, b: Array, start: Array, directions: Array, choice: Array, thin: int, out: Array) -> None:
    """Write every ``thin``-th point of a walk in ``A x <= b`` from ``start``; per step a direction and a number."""
    m, d = A.shape
    x = start.copy()
    slack = np.empty(m)
    for i in range(m):
        slack[i] = b[i]
        for t in range(d):
            slack[i] -= A[i, t] * x[t]
    speed = np.empty(m)
    step = 0
    for r in range(len(out)):
        for _ in range(thin):
            low, high = -np.inf, np.inf
            for i in range(m):
                v = 0.0
                for t in range(d):
                    v += A[i, t] * directions[step, t]
                speed[i] = v
                if v > 1e-14:
                    high = min(high, slack[i] / v)
                elif v < -1e-14:
                    low = max(low, slack[i] / v)
            move = low + choice[step] * (high - low)
            for t in range(d):
                x[t] += move * directions[step, t]
            for i in range(m):
                slack[i] -= move * speed[i]
            step += 1
        out[r] = x
