"""The working set of grid limits: linearised rows, added when violated and dropped when idle."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from admmflex.dso._project import worst_per_group
from admmflex.horizon import Array, BoolArray, IntArray
from grid.limits import BRANCH, V_HIGH, V_LOW, Limits
from grid.linear import Linearisation

ComplexArray = NDArray[np.complex128]

ANGLE_BUCKETS = 1024  # cuts of one branch and step closer than 2 pi / 1024 are one row: |I| exact to 5e-6
VOLTAGE_TOLERANCE = 1e-7  # [pu]
LOADING_TOLERANCE = 1e-6


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


def _empty_int() -> IntArray:
    return np.zeros(0, np.int64)


@dataclass
class Rows:
    """Rows ``value_r + gradient_r (z - z0) <= 0`` of the limits that matter, sorted by step.

    Every row belongs to one step, one limit (``kind``, ``index``) and, for a branch, one direction of the complex
    current. ``gradient (M, 2 B)`` holds dp [1/kW] of the B prosumer buses, then dq [1/kvar]; ``value (M,)`` is the
    row at the operating point z0 [pu]; ``nu (M,)`` the multipliers of the last projection; ``idle (M,)`` how often in
    a row a multiplier was zero.
    """

    limits: Limits
    buses: IntArray
    step: IntArray = field(default_factory=_empty_int)
    kind: IntArray = field(default_factory=_empty_int)
    index: IntArray = field(default_factory=_empty_int)
    direction: ComplexArray = field(default_factory=lambda: np.zeros(0, np.complex128))
    value: Array = field(default_factory=lambda: np.zeros(0))
    nu: Array = field(default_factory=lambda: np.zeros(0))
    idle: IntArray = field(default_factory=_empty_int)
    gradient: Array = field(init=False)
    known: set[tuple[int, int, int, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.gradient = np.zeros((0, 2 * len(self.buses)))
        self.bus_group, self.end_group = feeder_groups(self.limits)

    def __len__(self) -> int:
        return len(self.step)

    @property
    def scale(self) -> Array:
        """Effect of 1 kW (or kvar) at the bus that moves the row most, ``(M,)``."""
        return np.asarray(np.maximum(np.abs(self.gradient).max(axis=1, initial=0.0), 1e-12))

    def first(self, n_steps: int) -> IntArray:
        """Row t of the result is where the rows of step t begin, ``(K + 1,)``."""
        return np.searchsorted(self.step, np.arange(n_steps + 1))

    def refresh(self, lin: Linearisation) -> None:
        """Recompute value and gradient of every row at a new operating point."""
        if len(self):
            self.value, self.gradient = self._linearised(lin, self.step, self.kind, self.index, self.direction)

    def add_violated(self, lin: Linearisation, dv: ComplexArray, coarse: float = 1.0) -> int:
        """Add, per step and feeder, the rows that the linearised voltages ``V0 + dv (n, K)`` violate most; how many.

        ``coarse`` multiplies the tolerances.
        """
        step, kind, index, direction = self._violated(lin, dv, coarse)
        bucket = np.where(kind == BRANCH, np.round(np.angle(direction) * ANGLE_BUCKETS / (2 * np.pi)), 0).astype(int)
        keys = list(zip(step.tolist(), kind.tolist(), index.tolist(), bucket.tolist(), strict=True))
        fresh = [i for i, key in enumerate(keys) if key not in self.known]
        if not fresh:
            return 0
        self.known.update(keys[i] for i in fresh)
        step, kind, index, direction = step[fresh], kind[fresh], index[fresh], direction[fresh]
        value, gradient = self._linearised(lin, step, kind, index, direction)
        self._insert(step, kind, index, direction, value, gradient)
        return len(fresh)

    def drop_idle(self, longest: int) -> None:
        """Forget the rows whose multiplier was zero more than ``longest`` times in a row."""
        self.keep(self.idle <= longest)

    def keep(self, kept: BoolArray) -> None:
        """Forget all rows but these ``(M,)``."""
        if kept.all():
            return
        for name in ("step", "kind", "index", "direction", "value", "nu", "idle", "gradient"):
            setattr(self, name, getattr(self, name)[kept])
        bucket = np.where(self.kind == BRANCH, np.round(np.angle(self.direction) * ANGLE_BUCKETS / (2 * np.pi)), 0)
        self.known = set(
            zip(self.step.tolist(), self.kind.tolist(), self.index.tolist(), bucket.astype(int).tolist(), strict=True)
        )

    def count_idle(self) -> None:
        """Note which multipliers were zero after a projection."""
        self.idle = np.where(self.nu > 0.0, 0, self.idle + 1)

    def _linearised(
        self, lin: Linearisation, step: IntArray, kind: IntArray, index: IntArray, direction: ComplexArray
    ) -> tuple[Array, Array]:
        row = self.limits.functional(lin.v, step, kind, index, direction)
        gp, gq = lin.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b)
        return row.value, np.concatenate([gp[:, self.buses], gq[:, self.buses]], axis=1)

    def _violated(
        self, lin: Linearisation, dv: ComplexArray, coarse: float
    ) -> tuple[IntArray, IntArray, IntArray, ComplexArray]:
        magnitude = np.abs(lin.v) + (np.conj(lin.v) * dv).real / np.abs(lin.v)
        magnitude[0] = np.nan  # the slack is given
        current = self.limits.loading(lin.v + dv)
        grid, volts = self.limits.network, coarse * VOLTAGE_TOLERANCE
        found = [
            (V_HIGH, *worst_per_group(magnitude - grid.v_max[:, None], *self.bus_group, volts)),
            (V_LOW, *worst_per_group(grid.v_min[:, None] - magnitude, *self.bus_group, volts)),
            (BRANCH, *worst_per_group(np.abs(current) - 1.0, *self.end_group, coarse * LOADING_TOLERANCE)),
        ]
        step = np.concatenate([s for _, s, _ in found])
        index = np.concatenate([i for _, _, i in found])
        kind = np.concatenate([np.full(len(s), k) for k, s, _ in found])
        direction = np.ones(len(step), np.complex128)
        branch: BoolArray = kind == BRANCH
        at = current[index[branch], step[branch]]
        direction[branch] = at / np.abs(at)
        return step, kind, index, direction

    def _insert(
        self, step: IntArray, kind: IntArray, index: IntArray, direction: ComplexArray, value: Array, gradient: Array
    ) -> None:
        order = np.argsort(np.concatenate([self.step, step]), kind="stable")
        self.step = np.concatenate([self.step, step])[order]
        self.kind = np.concatenate([self.kind, kind])[order]
        self.index = np.concatenate([self.index, index])[order]
        self.direction = np.concatenate([self.direction, direction])[order]
        self.value = np.concatenate([self.value, value])[order]
        self.nu = np.concatenate([self.nu, np.zeros(len(step))])[order]
        self.idle = np.concatenate([self.idle, np.zeros(len(step), np.int64)])[order]
        self.gradient = np.concatenate([self.gradient, gradient])[order]
