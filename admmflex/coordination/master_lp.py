"""The linear program behind mixing when the interior point gives up: handed to HiGHS as it stands.

min  sum_bl c_bl w_bl + sum_r price_r s_r    s.t.  sum_bl A_rbl w_bl - s_r <= h_r,   sum_l w_bl = 1,   w, s >= 0
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from admmflex.coordination.master import Effects, Master, Start, solve_master
from admmflex.errors import SolverError
from admmflex.horizon import Array
from admmflex.linear_program import MODEL_STATUS, new_highs, pass_lp


def solve_surely(
    cost: Array, rows: Effects, limit: Array, price: Array, tolerance: float, start: Start | None
) -> tuple[Master, bool]:
    """By the interior point, or else by HiGHS; whether the latter was needed.

    Raises:
        SolverError: both gave up.
    """
    try:
        found = solve_master(cost, rows, limit, price, tolerance, start)
    except SolverError:
        return by_simplex(cost, rows, limit, price), True
    if np.isfinite(found.weights).all() and np.isfinite(found.nu).all():
        return found, False
    return by_simplex(cost, rows, limit, price), True


def by_simplex(cost: Array, rows: Effects, limit: Array, price: Array) -> Master:
    """A vertex; the next program begins anew.

    Raises:
        SolverError: HiGHS gave up as well.
    """
    n_answers, n_buses = cost.shape
    gradient, answers = rows.gradient.reshape(len(rows), 2, 1, n_buses), rows.answers[rows.at]
    effect = (gradient * answers.reshape(len(rows), n_answers, 2, n_buses).transpose(0, 2, 1, 3)).sum(axis=1)
    broken = sp.hstack([sp.csr_matrix(effect.reshape(len(rows), -1)), -sp.identity(len(rows))])
    one = sp.hstack([sp.identity(n_buses)] * n_answers + [sp.csr_matrix((n_buses, len(rows)))])
    highs, width = new_highs(), cost.size + len(rows)
    pass_lp(
        highs,
        np.concatenate([cost.ravel(), price]),
        sp.vstack([broken, one]),
        np.concatenate([np.full(len(rows), -np.inf), np.ones(n_buses)]),
        np.concatenate([limit, np.ones(n_buses)]),
        np.zeros(width),
        np.full(width, np.inf),
    )
    highs.run()
    solution = highs.getSolution()
    values, multipliers = np.array(solution.col_value), -np.array(solution.row_dual)
    if highs.getModelStatus() != MODEL_STATUS.kOptimal or not np.isfinite(values).all():
        raise SolverError("the mixing of past answers has no solver left; run with mixing: false")
    weights = np.maximum(values[: cost.size], 0.0).reshape(cost.shape)
    weights /= weights.sum(axis=0)
    nu, none = np.clip(multipliers[: len(rows)], 0.0, price), np.zeros(len(rows))
    return Master(weights, nu, np.maximum(rows.of(weights) - limit, 0.0), 0.0, Start(weights, none, 0.0))
