"""Largest excess over many linear limits of a three-phase feeder, step by step.

Called by unbalanced_limits only. Some steps at a time, so that what is read stays in the cache.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from grid.arrays import Array, IntArray

CHUNK = 128


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def _add(m: Array, x: Array, first: int, width: int, out: Array) -> None:
    """out (2, CHUNK) += m x[:, first : first + width] for m (w, 2), x (w, K, 2); most of m may be zero."""
    for c in range(m.shape[0]):
        re, im = m[c, 0], m[c, 1]
        if re == 0.0 and im == 0.0:
            continue
        for k in range(width):
            out[0, k] += re * x[c, first + k, 0] - im * x[c, first + k, 1]
            out[1, k] += re * x[c, first + k, 1] + im * x[c, first + k, 0]


@nb.njit(cache=True, error_model="numpy")
def worst(
    rows: IntArray, of_v: Array, of_b: Array, above: IntArray, below: IntArray, high: Array, low: Array,
    v: Array, b: Array, excess: Array, which: IntArray,
) -> None:  # fmt: skip
    """excess_k = largest of |x| - high and low - |x| over rows, x = of_v V_above + of_b b_below; which_k = that row.

    Args:
        rows: (M,) positions of the rows to look at.
        of_v, of_b: (all, w, 2); above, below, high, low: (all,).
        v, b: (R, w, K, 2) voltages and drawn currents at the swept buses.
        excess, which: (K,) overwritten; -inf and -1 where all is NaN.
    """
    x, beyond = np.empty((2, CHUNK)), np.empty(CHUNK)
    for first in range(0, v.shape[2], CHUNK):
        width = min(CHUNK, v.shape[2] - first)
        excess[first : first + width] = -np.inf
        which[first : first + width] = -1
        for r in rows:
            x[:] = 0.0
            _add(of_v[r], v[above[r]], first, width, x)
            _add(of_b[r], b[below[r]], first, width, x)
            top, bottom = high[r], low[r]
            for k in range(width):
                size = np.sqrt(x[0, k] * x[0, k] + x[1, k] * x[1, k])
                beyond[k] = max(size - top, bottom - size)
            for k in range(width):
                if beyond[k] > excess[first + k]:
                    excess[first + k] = beyond[k]
                    which[first + k] = r
