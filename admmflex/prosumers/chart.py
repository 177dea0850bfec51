"""Cost charts as the central step sees them: f_j(p, q) = max_r (a_r p + b_r q + d_r) over {H [p q] <= h}.

Costs are in any one unit for the period of a step, say EUR per 10 s; slopes in that unit per kW and per kvar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from admmflex.errors import Fault, InputError, require
from admmflex.horizon import Array, IntArray
from grid.arrays import freeze

SLACK = 1e-7  # kVA by which a corner may be beyond other sides: rounding of polygons that are points or lines


@dataclass(frozen=True, eq=False)
class Chart:
    """One chart: pieces a, b, d (R,) and sides H (M, 2), h (M,) of its polygon, in kW and kvar, injections positive."""

    a: Array
    b: Array
    d: Array
    H: Array
    h: Array

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, freeze(np.array(getattr(self, field.name), dtype=np.float64)))

    def cost(self, p: float, q: float) -> float:
        """f(p, q); the polygon is not asked."""
        return float((self.a * p + self.b * q + self.d).max())


@dataclass(frozen=True, eq=False)
class Charts:
    """J charts one behind another, and the position in the network of the bus of each.

    Args:
        bus: (J,) positions, not the slack.
        of_piece: (R,) chart of each piece; a, b, d (R,).
        of_side: (M,) chart of each side; H (M, 2), h (M,).
    """

    bus: IntArray
    of_piece: IntArray
    a: Array
    b: Array
    d: Array
    of_side: IntArray
    H: Array
    h: Array

    @classmethod
    def of(cls, charts: Sequence[Chart], bus: ArrayLike) -> Charts:
        """Stack charts at bus positions (J,).

        Raises:
            InputError: shapes that do not fit, numbers that are not finite, charts at the slack; all of them.
        """
        place = np.asarray(bus, dtype=np.int64)
        if place.shape != (len(charts),) or not len(charts):
            found = f"{len(charts)} charts, buses of shape {place.shape}"
            raise InputError(Fault("charts", found, "one bus for each of at least one chart", "give one per chart"))
        require([fault for j, chart in enumerate(charts) for fault in _faults(j, chart, int(place[j]))])
        pieces, sides = [len(chart.a) for chart in charts], [len(chart.h) for chart in charts]
        joined = {
            name: np.concatenate([getattr(chart, name) for chart in charts]) for name in ("a", "b", "d", "H", "h")
        }
        every = np.arange(len(charts))
        return cls(place, np.repeat(every, pieces), of_side=np.repeat(every, sides), **joined)

    @classmethod
    def stacked(cls, bus: IntArray, pieces: Array, sides: Array) -> Charts:
        """Charts of as many pieces (J, R, 3) a, b, d and sides (J, M, 3) H, h each, which are known to be in order."""
        every = np.arange(len(bus))
        a, b, d = pieces.reshape(-1, 3).T.copy()
        sides = sides.reshape(-1, 3)
        R, M = len(a) // max(len(bus), 1), len(sides) // max(len(bus), 1)
        return cls(bus, np.repeat(every, R), a, b, d, np.repeat(every, M), sides[:, :2].copy(), sides[:, 2].copy())

    def __len__(self) -> int:
        return len(self.bus)

    @cached_property
    def offset(self) -> Array:
        """(J,) largest constant of each chart, taken out of the epigraphs: stored energy may be worth far more."""
        out = np.full(len(self), -np.inf)
        np.maximum.at(out, self.of_piece, self.d)
        return out

    @cached_property
    def steepest(self) -> float:
        """Largest slope of any piece per kW or kvar; 1 when all are flat."""
        return float(max(np.abs(self.a).max(), np.abs(self.b).max())) or 1.0

    def costs(self, p: Array, q: Array) -> Array:
        """f_j(p_j, q_j) (J,)."""
        out = np.full(len(self), -np.inf)
        np.maximum.at(out, self.of_piece, self.a * p[self.of_piece] + self.b * q[self.of_piece] + self.d)
        return out

    def outside(self, p: Array, q: Array) -> float:
        """Largest distance by which a point is beyond a side of its polygon [kVA], at least 0."""
        size = np.maximum(np.hypot(self.H[:, 0], self.H[:, 1]), 1e-300)
        beyond = (self.H[:, 0] * p[self.of_side] + self.H[:, 1] * q[self.of_side] - self.h) / size
        return max(float(beyond.max()), 0.0)

    def pattern(self) -> tuple[IntArray, IntArray]:
        """Rows and columns of ``entries`` in the constraints on (p, q, t), 3 J columns: pieces first, then sides."""
        n, piece, side = len(self), np.arange(len(self.a)), len(self.a) + np.arange(len(self.h))
        rows = np.concatenate([piece, piece, side, side, piece])
        columns = [self.of_piece, n + self.of_piece, self.of_side, n + self.of_side, 2 * n + self.of_piece]
        return rows, np.concatenate(columns)

    def entries(self, base_kva: float) -> tuple[Array, Array]:
        """Entries and right sides of  a p + b q - t <= offset - d,  H [p q] <= h  in powers of ``base_kva``.

        Slopes are over the steepest one, sides over their length: t is in costs of ``base_kva`` at the steepest slope.
        """
        size = np.hypot(self.H[:, 0], self.H[:, 1])
        values = [self.a / self.steepest, self.b / self.steepest, *(self.H / size[:, None]).T, -np.ones(len(self.a))]
        right = [(self.offset[self.of_piece] - self.d) / (self.steepest * base_kva), self.h / (size * base_kva)]
        return np.concatenate(values), np.concatenate(right)

    def box(self) -> Array:
        """(6, J) least p, q and t, then largest p, q and t, of each polygon; t is a bound only; NaN when it is empty.

        Vertices are found as the crossings of all pairs of sides, with polygons filled up to the same number of sides.
        """
        n, most = len(self), int(np.bincount(self.of_side).max())
        place = np.arange(len(self.h)) - np.searchsorted(self.of_side, np.arange(n))[self.of_side]
        size = np.hypot(self.H[:, 0], self.H[:, 1])
        x, y, h = np.zeros((3, n, most)) + np.array([0.0, 0.0, 1.0])[:, None, None]
        x[self.of_side, place], y[self.of_side, place] = self.H[:, 0] / size, self.H[:, 1] / size
        h[self.of_side, place] = self.h / size
        first, second = np.triu_indices(most, 1)
        across = x[:, first] * y[:, second] - y[:, first] * x[:, second]
        with np.errstate(divide="ignore", invalid="ignore"):
            p = (h[:, first] * y[:, second] - y[:, first] * h[:, second]) / across
            q = (x[:, first] * h[:, second] - h[:, first] * x[:, second]) / across
            beyond = (x[:, None] * p[..., None] + y[:, None] * q[..., None] - h[:, None]).max(axis=2)
        room = SLACK * (1.0 + np.abs(h).max(axis=1))[:, None]
        corner = (np.abs(across) > 1e-12) & (beyond <= room)
        p, q = np.where(corner, p, np.nan), np.where(corner, q, np.nan)
        out = np.full((6, n), np.nan)
        some = corner.any(axis=1)
        for row, values in ((0, p), (1, q)):
            out[row, some] = np.nanmin(values[some], axis=1) - room[some, 0]
            out[row + 3, some] = np.nanmax(values[some], axis=1) + room[some, 0]
        of, d = self.of_piece, self.d - self.offset[self.of_piece]
        a_p, b_q = (np.sort([k * out[row, of], k * out[row + 3, of]], axis=0) for k, row in ((self.a, 0), (self.b, 1)))
        out[2], out[5] = -np.inf, -np.inf
        there = some[of]
        np.maximum.at(out[2], of[there], (a_p[0] + b_q[0] + d)[there])
        np.maximum.at(out[5], of[there], (a_p[1] + b_q[1] + d)[there])
        return out

    def same_shape(self, other: Charts) -> bool:
        """Whether the other charts differ in numbers only."""
        names = ("bus", "of_piece", "of_side")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)


def _faults(j: int, chart: Chart, bus: int) -> list[Fault]:
    name, rows, sides = f"chart {j}", chart.a.shape, chart.h.shape
    fits = len(rows) == 1 == len(sides) and rows[0] > 0 and sides[0] > 0
    if not fits or chart.b.shape != rows or chart.d.shape != rows or chart.H.shape != (*sides, 2):
        found = ", ".join(f"{field.name} {getattr(chart, field.name).shape}" for field in fields(chart))
        allowed = "a, b, d (R,), H (M, 2), h (M,), R and M at least 1"
        return [Fault(name, found, allowed, "correct the arrays")]
    lost = [field.name for field in fields(chart) if not np.isfinite(getattr(chart, field.name)).all()]
    faults = [Fault(name, f"{field} has NaN or infinite entries", "numbers", "compute it anew") for field in lost]
    flat = np.flatnonzero(np.abs(chart.H).max(axis=1) == 0)
    if len(flat):
        faults.append(Fault(name, f"side {flat[0]} has H = 0", "a direction", "drop the side"))
    if not lost and not len(flat) and _is_open(chart.H):
        faults.append(Fault(name, "its sides leave a direction free", "a bounded polygon", "add the missing sides"))
    if bus <= 0:
        faults.append(Fault(name, f"at bus position {bus}", "a bus below the slack", "correct its bus"))
    return faults


def empty_polygons(box: Array) -> list[Fault]:
    """Charts without any allowed power, from ``Charts.box``."""
    allowed, remedy = "a polygon with points inside", "check the measurements the chart was made from"
    lost = np.flatnonzero(np.isnan(box[0]))
    return [Fault(f"chart {j}", "its sides leave no power that is allowed", allowed, remedy) for j in lost]


def _is_open(H: Array) -> bool:
    """Whether the normals leave half a plane, so that the sides bound no polygon."""
    angle = np.sort(np.arctan2(H[:, 1], H[:, 0]))
    gaps = np.diff(np.append(angle, angle[0] + 2 * np.pi))
    return bool(gaps.max() >= np.pi - 1e-9)
