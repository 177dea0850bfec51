"""The working set of grid limits: linearised rows, added when violated and dropped when idle."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from admmflex.dso._project import gather, loading_excess, voltage_excess, worst_per_group
from admmflex.dso.margins import Guard
from admmflex.horizon import Array, BoolArray, IntArray
from grid.connection import SIDES
from grid.limits import BRANCH, KINDS, SLACK, V_HIGH, V_LOW, Limits
from grid.linear import Linearisation

ComplexArray = NDArray[np.complex128]

ANGLE_BUCKETS = 1024  # cuts of one branch and step closer than 2 pi / 1024 are one row: |I| exact to 5e-6
VOLTAGE_TOLERANCE = 1e-7  # [pu]
LOADING_TOLERANCE = 1e-6
CONNECTION_TOLERANCE = 1e-6  # of the typical load
_COLUMNS = ("step", "kind", "index", "direction", "key", "value", "margin", "nu", "idle", "gradient")


def feeder_groups(limits: Limits) -> tuple[tuple[IntArray, int], tuple[IntArray, int]]:
    """Labels of buses and of monitored branch ends, and how many: one per feeder, one per branch above the feeders."""
    grid = limits.network
    n_feeders = int(grid.feeder.max(initial=-1)) + 2
    end_feeder = np.minimum(grid.feeder[limits.from_bus], grid.feeder[limits.to_bus])
    end_feeder = np.where(
        end_feeder < 0, np.maximum(grid.feeder[limits.from_bus], grid.feeder[limits.to_bus]), end_feeder
    )
    trunk = (end_feeder < 0) | grid.is_transformer[limits.branch]
    label = np.where(trunk, n_feeders + limits.branch, end_feeder + 1)
    names, end_group = np.unique(label, return_inverse=True)
    return (grid.feeder + 1, n_feeders), (end_group.astype(np.int64), len(names))


def row_keys(limits: Limits, step: IntArray, kind: IntArray, index: IntArray, direction: ComplexArray) -> IntArray:
    """One number for each row ``(M,)``: its step, its limit, and the bucket of its direction."""
    bucket = np.round(np.angle(direction) * (ANGLE_BUCKETS / (2 * np.pi))).astype(np.int64) % ANGLE_BUCKETS
    index_of = max(limits.ends, limits.network.n, SIDES)
    return ((step * KINDS + kind) * index_of + index) * ANGLE_BUCKETS + np.where(kind == BRANCH, bucket, 0)


def _empty_int() -> IntArray:
    return np.zeros(0, np.int64)


@dataclass
class Rows:
    """Rows ``value_r + gradient_r (z - z0) <= 0`` of the limits that matter, sorted by step.

    Every row belongs to one step, one limit (``kind``, ``index``) and, for a branch, one direction of the complex
    current. ``gradient (M, 2 B)`` holds dp [1/kW] of the B prosumer buses, then dq [1/kvar]; ``value (M,)`` is the
    row at the operating point z0 [pu], with its ``margin (M,)`` for what compromised devices do; ``nu (M,)`` the
    multipliers of the last projection; ``idle (M,)`` how often in a row a multiplier was zero; ``key (M,)`` what the
    row is about: no two are equal.
    """

    guard: Guard
    buses: IntArray
    step: IntArray = field(default_factory=_empty_int)
    kind: IntArray = field(default_factory=_empty_int)
    index: IntArray = field(default_factory=_empty_int)
    direction: ComplexArray = field(default_factory=lambda: np.zeros(0, np.complex128))
    value: Array = field(default_factory=lambda: np.zeros(0))
    margin: Array = field(default_factory=lambda: np.zeros(0))
    nu: Array = field(default_factory=lambda: np.zeros(0))
    idle: IntArray = field(default_factory=_empty_int)
    gradient: Array = field(init=False)
    key: IntArray = field(default_factory=_empty_int)

    def __post_init__(self) -> None:
        self.limits = self.guard.limits
        self.gradient = np.zeros((0, 2 * len(self.buses)))
        self.bus_group, self.end_group = feeder_groups(self.limits)
        self._scratch = np.empty((2, 0, self.limits.network.n))

    def __len__(self) -> int:
        return len(self.step)

    @property
    def scale(self) -> Array:
        """Effect of 1 kW (or kvar) at the bus that moves the row most, ``(M,)``."""
        return np.asarray(np.maximum(np.abs(self.gradient).max(axis=1, initial=0.0), 1e-12))

    def first(self, n_steps: int) -> IntArray:
        """Row t of the result is where the rows of step t begin, ``(K + 1,)``."""
        return np.searchsorted(self.step, np.arange(n_steps + 1))

    def refresh(self, lin: Linearisation, own: ComplexArray | None = None) -> None:
        """Recompute value and gradient of every row at a new operating point; ``own (K,)`` as in ``add_violated``."""
        self.guard.renew(lin)
        if len(self):
            found = self._linearised(lin, own, self.step, self.kind, self.index, self.direction)
            self.value, self.margin, self.gradient = found

    def add_violated(
        self, lin: Linearisation, dv: ComplexArray, own: ComplexArray, change: ComplexArray, coarse: float = 1.0
    ) -> int:
        """Add, per step and feeder, the rows that the linearised voltages ``V0 + dv (n, K)`` violate most; how many.

        ``own (K,)`` is injected at the slack bus itself at the operating point [kW, kvar], ``change`` added to it;
        ``coarse`` multiplies the tolerances.
        """
        step, kind, index, direction = self._violated(lin, dv, own + change, coarse)
        if not len(step):
            return 0
        key = row_keys(self.limits, step, kind, index, direction)
        fresh = np.flatnonzero(~np.isin(key, self.key))
        if not len(fresh):
            return 0
        step, kind, index, direction = step[fresh], kind[fresh], index[fresh], direction[fresh]
        value, margin, gradient = self._linearised(lin, own, step, kind, index, direction)
        nu, idle = np.zeros(len(fresh)), np.zeros(len(fresh), np.int64)
        added = (step, kind, index, direction, key[fresh], value, margin, nu, idle, gradient)
        self._insert(dict(zip(_COLUMNS, added, strict=True)))
        return len(fresh)

    def drop_idle(self, longest: int) -> None:
        """Forget the rows whose multiplier was zero more than ``longest`` times in a row."""
        self.keep(self.idle <= longest)

    def adopt(self, other: Rows) -> None:
        """Become a copy of the rows of another working set on the same limits, without its multipliers."""
        for name in _COLUMNS:
            setattr(self, name, getattr(other, name).copy())
        self.nu[:] = 0.0

    def later(self, steps: int, n_steps: int, length: int, guard: Guard) -> Rows:
        """The rows of ``n_steps`` steps turned by ``steps``, and of those the first ``length``; see ``Dso.later``."""
        left, turned = Rows(guard, self.buses), (self.step - steps) % n_steps
        order = np.argsort(turned, kind="stable")
        order = order[turned[order] < length]
        for name in _COLUMNS:
            setattr(left, name, getattr(self, name)[order])
        left.step = turned[order]
        left.key = row_keys(left.limits, left.step, left.kind, left.index, left.direction)
        return left

    def keep(self, kept: BoolArray) -> None:
        """Forget all rows but these ``(M,)``."""
        if kept.all():
            return
        for name in _COLUMNS:
            setattr(self, name, getattr(self, name)[kept])

    def count_idle(self) -> None:
        """Note which multipliers were zero after a projection."""
        self.idle = np.where(self.nu > 0.0, 0, self.idle + 1)

    def _linearised(
        self,
        lin: Linearisation,
        own: ComplexArray | None,
        step: IntArray,
        kind: IntArray,
        index: IntArray,
        direction: ComplexArray,
    ) -> tuple[Array, Array, Array]:
        row = self.limits.functional(lin.v, step, kind, index, direction, own)
        size = len(step)
        if len(self._scratch[0]) < size:
            self._scratch = np.empty((2, size + size // 2, self.limits.network.n))
        gp, gq = self._scratch[:, :size]
        lin.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b, out=(gp, gq), root=row.root)
        gradient = np.empty((size, 2 * len(self.buses)))
        gather(gp, gq, self.buses, gradient)
        margin = self.guard.of_rows(step, kind, gp, gq)
        return row.value + margin, margin, gradient

    def _violated(
        self, lin: Linearisation, dv: ComplexArray, own: ComplexArray, coarse: float
    ) -> tuple[IntArray, IntArray, IntArray, ComplexArray]:
        grid, volts = self.limits.network, coarse * VOLTAGE_TOLERANCE
        high, low = np.empty(dv.shape), np.empty(dv.shape)
        voltage_excess(lin.v, dv, grid.v_min, grid.v_max, high, low)
        high[0] = low[0] = np.nan  # the slack is given
        ends = self.limits
        over = np.empty((ends.ends, dv.shape[1]))
        rated = ends.c_f, ends.c_t, ends.as_power, ends.at_from
        loading_excess(lin.v, dv, ends.from_bus, ends.to_bus, *rated, over)
        margins = self.guard.margins
        if margins is not None:
            high, low = high + margins.rise, low + margins.drop
            over = np.abs(self.guard.loading(lin.v + dv)) - 1.0
        found = [
            (V_HIGH, *worst_per_group(high, *self.bus_group, volts)),
            (V_LOW, *worst_per_group(low, *self.bus_group, volts)),
            (BRANCH, *worst_per_group(over, *self.end_group, coarse * LOADING_TOLERANCE)),
        ]
        if ends.connection is not None:
            beyond = ends.connection_excess(lin.v + dv, own)
            found += [(SLACK, *worst_per_group(beyond, np.arange(SIDES), SIDES, coarse * CONNECTION_TOLERANCE))]
        step = np.concatenate([s for _, s, _ in found])
        index = np.concatenate([i for _, _, i in found])
        kind = np.concatenate([np.full(len(s), k) for k, s, _ in found])
        direction = np.ones(len(step), np.complex128)
        branch = np.flatnonzero(kind == BRANCH)
        end, k = index[branch], step[branch]
        f, g = ends.from_bus[end], ends.to_bus[end]
        v_f, v_g = lin.v[f, k] + dv[f, k], lin.v[g, k] + dv[g, k]
        current = ends.c_f[end] * v_f + ends.c_t[end] * v_g
        at = np.where(ends.as_power[end], np.where(ends.at_from[end], v_f, v_g) * np.conj(current), current)
        at = at if margins is None else at + margins.shift[end, k]
        direction[branch] = at / np.abs(at)
        return step, kind, index, direction

    def _insert(self, added: dict[str, NDArray[Any]]) -> None:
        """Put rows behind those of their steps."""
        order = np.argsort(added["step"], kind="stable")
        new = np.searchsorted(self.step, added["step"][order], side="right") + np.arange(len(order))
        old = np.ones(len(self) + len(order), np.bool_)
        old[new] = False
        for name in _COLUMNS:
            before = getattr(self, name)
            column = np.empty((len(old), *before.shape[1:]), before.dtype)
            column[old], column[new] = before, added[name][order]
            setattr(self, name, column)
