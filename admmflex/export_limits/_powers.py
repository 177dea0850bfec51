"""Net powers of customers under their limits, summed by bus and phase. Called by ray only."""

from __future__ import annotations

import numba as nb

from admmflex.horizon import Array, IntArray


@nb.njit(cache=True, error_model="numpy")
def injections(
    row: IntArray, share: Array, want: Array, base: Array, step: Array, t: Array, sign: Array, out: Array
) -> None:
    """out[row_i, f] += share_if sign_ik min(sign_ik want_ik, base_ik + t_k step_ik) for customers i, phases f, cases k.

    want (n, C); base, step, sign (n, C) or (n, 1); t (C,); out (L, 3, C) is overwritten.
    """
    out[:] = 0.0
    for i in range(len(row)):
        for f in range(3):
            part = share[i, f]
            if part == 0.0:
                continue
            for k in range(len(t)):
                limit = base[i, k % base.shape[1]] + t[k] * step[i, k % step.shape[1]]
                way = sign[i, k % sign.shape[1]]
                out[row[i], f, k] += part * way * min(way * want[i, k], limit)
