"""Linear programs over one polyhedron, solved again and again by HiGHS from its last basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
import scipy.sparse as sp

from mpo.arrays import Array, BoolArray

Status = Literal["optimal", "infeasible", "unbounded"]
_STATUS: dict[object, Status] = {
    highspy.HighsModelStatus.kOptimal: "optimal",
    highspy.HighsModelStatus.kInfeasible: "infeasible",
    highspy.HighsModelStatus.kUnbounded: "unbounded",
}


@dataclass(frozen=True)
class Answer:
    """Status, largest value and where it is attained; NaN unless optimal."""

    status: Status
    value: float
    point: Array


class Polyhedron:
    """All x with low <= A x <= high and x_low <= x <= x_high."""

    def __init__(
        self, A: Array, high: Array, low: Array | None = None, x_low: Array | None = None, x_high: Array | None = None
    ) -> None:
        rows, columns = A.shape
        matrix, inf = sp.csc_matrix(A), highspy.kHighsInf
        model = highspy.HighsLp()
        model.num_row_, model.num_col_ = rows, columns
        model.col_cost_ = np.zeros(columns)
        model.col_lower_ = np.full(columns, -inf) if x_low is None else x_low
        model.col_upper_ = np.full(columns, inf) if x_high is None else x_high
        model.row_lower_ = np.full(rows, -inf) if low is None else low
        model.row_upper_ = high
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        model.sense_ = highspy.ObjSense.kMaximize
        self._n, self._high = columns, high
        self._highs = highspy.Highs()
        for option, value in (
            ("output_flag", False),
            ("presolve", "off"),
            ("threads", 1),
            ("primal_feasibility_tolerance", 1e-10),
            ("dual_feasibility_tolerance", 1e-10),
        ):
            self._highs.setOptionValue(option, value)
        self._highs.passModel(model)

    def maximise(self, direction: Array) -> Answer:
        """The largest ``direction . x``."""
        self._highs.changeColsCost(self._n, np.arange(self._n, dtype=np.int32), np.ascontiguousarray(direction))
        self._highs.run()
        status = _STATUS.get(self._highs.getModelStatus())
        if status is None:  # stalled from its last basis: once more from the start
            self._highs.clearSolver()
            self._highs.run()
            status = _STATUS.get(self._highs.getModelStatus())
        if status is None:
            raise RuntimeError(f"HiGHS: {self._highs.getModelStatus()}")
        if status != "optimal":
            return Answer(status, np.nan, np.full(self._n, np.nan))
        point = np.array(self._highs.getSolution().col_value)
        return Answer(status, float(direction @ point), point)

    def relax(self, row: int, by: float) -> None:
        """Move the upper bound of one row."""
        self._highs.changeRowBounds(row, -highspy.kHighsInf, float(self._high[row] + by))


def centre(A: Array, b: Array) -> tuple[float, Array]:
    """Radius (at most 1) and centre of a largest ball in ``A x <= b``; a negative radius proves it empty."""
    norms = np.linalg.norm(A, axis=1)
    wide = np.column_stack([A, norms])
    n = A.shape[1]
    low, high = np.full(n + 1, -np.inf), np.full(n + 1, np.inf)
    high[n] = 1.0
    answer = Polyhedron(wide, b, x_low=low, x_high=high).maximise(np.eye(n + 1)[n])
    if answer.status != "optimal":
        return -np.inf, np.zeros(n)
    return float(answer.point[n]), answer.point[:n]


def irredundant(A: Array, b: Array, candidates: int, *, rays: int = 400, tolerance: float = 1e-10) -> BoolArray:
    """Which of the first ``candidates`` rows of ``A x <= b`` are needed; rows are of unit length.

    Rays from an inner point prove the rows they hit first; linear programs decide about the others one by one,
    without the rows that have already been found redundant.
    """
    rows = len(b)
    needed: BoolArray = np.ones(rows, np.bool_)
    proven = _hit(A, b, rays)
    polyhedron = Polyhedron(A, b)
    for i in range(candidates):
        if proven[i]:
            continue
        polyhedron.relax(i, 1.0)
        answer = polyhedron.maximise(A[i])
        if answer.status == "optimal" and answer.value <= b[i] + tolerance:
            needed[i] = False
            polyhedron.relax(i, np.inf)
        else:
            polyhedron.relax(i, 0.0)
    return needed[:candidates]


def _hit(A: Array, b: Array, rays: int) -> BoolArray:
    """Rows that random rays from an inner point hit clearly before any other."""
    proven: BoolArray = np.zeros(len(b), np.bool_)
    radius, inner = centre(A, b)
    if radius < 1e-6:
        return proven
    directions = np.random.default_rng(0).standard_normal((rays, A.shape[1]))
    slack, speed = b - A @ inner, A @ directions.T
    with np.errstate(divide="ignore"):
        reach = np.where(speed > 1e-12, slack[:, None] / np.maximum(speed, 1e-12), np.inf)
    first = reach.argmin(axis=0)
    clear = np.partition(reach, 1, axis=0)[1] if len(b) > 1 else np.full(rays, np.inf)
    nearest = reach[first, np.arange(rays)]
    proven[first[np.isfinite(nearest) & (nearest * (1.0 + 1e-7) + 1e-9 < clear)]] = True
    return proven
