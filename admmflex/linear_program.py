"""Linear programs handed to HiGHS as arrays, and bases that go on to the next one."""

from __future__ import annotations

from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp

from admmflex.horizon import Array

BasisStatus = highspy.HighsBasisStatus
MODEL_STATUS = highspy.HighsModelStatus
BASIC, LOWER = BasisStatus.kBasic, BasisStatus.kLower


def new_highs(tolerance: float = 1e-9) -> highspy.Highs:
    """A silent solver with one thread; ``tolerance`` of its bounds, rows and reduced costs."""
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    for name in ("primal_feasibility_tolerance", "dual_feasibility_tolerance"):
        highs.setOptionValue(name, tolerance)
    return highs


def pass_lp(
    highs: highspy.Highs, cost: Array, matrix: Any, low: Array, high: Array, x_min: Array, x_max: Array
) -> None:
    """min cost' x  s.t.  low <= A x <= high,  x_min <= x <= x_max;  ``matrix`` is any sparse A (M, n)."""
    columns = sp.csc_matrix(matrix)
    n_rows, n_columns = columns.shape
    start, index = columns.indptr.astype(np.int32), columns.indices.astype(np.int32)
    size = n_columns, n_rows, columns.nnz, int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0
    real = np.zeros(n_columns, np.int32)
    highs.passModel(*size, cost, x_min, x_max, low, high, start, index, columns.data, real)


def suboptimality(
    gradient: Array, rows: tuple[Any, Array, Array], box: tuple[Array, Array], x: Array, multipliers: Array
) -> float:
    """An upper bound of how far a feasible ``x`` with this gradient of a convex objective is from the optimum.

    With r = gradient + A'y, every x' that meets the rows and the bounds has

        f(x') - f(x) >= gradient'(x' - x) >= - sum_j max(r_j (x_j - x_min_j), r_j (x_j - x_max_j)) - sum_i |y_i| slack_i

    and the sums vanish at an optimum with its multipliers y, positive at an upper limit.

    Args:
        rows: A, low, high.
        box: x_min, x_max, finite where r may have the sign that looks there.
    """
    (matrix, low, high), (x_min, x_max) = rows, box
    y = np.where(np.isneginf(low), np.maximum(multipliers, 0.0), multipliers)
    y = np.where(np.isposinf(high), np.minimum(y, 0.0), y)
    reduced = gradient + matrix.T @ y
    boxes = np.maximum(reduced * (x - x_min), reduced * (x - x_max))
    activity = matrix @ x
    up, down = y > 0, y < 0
    slack = y[up] @ (high[up] - activity[up]) + y[down] @ (low[down] - activity[down])
    return float(boxes.sum() + slack)


def set_basis(highs: highspy.Highs, columns: list[BasisStatus], rows: list[BasisStatus]) -> None:
    """Begin at a basis; HiGHS repairs one that does not fit."""
    basis = highspy.HighsBasis()
    basis.col_status, basis.row_status = columns, rows
    basis.valid = basis.alien = True
    highs.setBasis(basis)
