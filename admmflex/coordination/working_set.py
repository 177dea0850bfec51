"""The limits that matter, linearised at an AC operating point that moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import grid
from admmflex.dso import AcCheck
from admmflex.dso.dso import Watched
from admmflex.dso.margins import Guard
from admmflex.errors import SolverError
from admmflex.horizon import Array, BoolArray, IntArray
from grid.limits import BRANCH, V_HIGH, V_LOW
from grid.linear import Linearisation
from grid.network import Network

ComplexArray = NDArray[np.complex128]
Key = tuple[int, int, int, int]

TOLERANCE = 1e-7  # pu, and fraction of the rating: excess that calls for a row
SAME_DIRECTION = 1e-4  # rad: two cuts of one current this close differ by 5e-9 of the rating
HALVINGS = 8


@dataclass(frozen=True)
class Point:
    """AC operating point: injections ``p, q (n_bus, K)`` [kW, kvar], and the sensitivities of its voltages."""

    p: Array
    q: Array
    lin: Linearisation


def excess(network: Network, limits: Watched, p: Array, q: Array) -> tuple[float, float]:
    """Largest excess of a voltage [pu] and of a loading [fraction of the rating] in the AC power flow, at least 0."""
    voltage, loading = AcCheck.of(limits, grid.power_flow(network, p, q)).worst.tolist()
    return voltage, loading


def operating_point(network: Network, p: Array, q: Array) -> Point:
    """AC power flow of the injections; steps beyond voltage collapse are halved until they have one."""
    p, q = p.copy(), q.copy()
    for _ in range(HALVINGS):
        flow = grid.power_flow(network, p, q)
        if flow.converged.all():
            return Point(p, q, grid.linearise(network, flow.v, p, q))
        p[:, ~flow.converged] *= 0.5
        q[:, ~flow.converged] *= 0.5
    raise SolverError("no AC power flow near the plan; check the injections and the impedances of the grid")


@dataclass
class WorkingSet:
    """Rows ``value + gradient (z - z0) <= 0``, each for a step, a limit and, for a branch, a direction of its loading.

    A branch keeps all its cuts: with a single one that moves, a sequence of linear programs cycles.
    """

    network: Network
    guard: Guard
    step: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    kind: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    index: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    direction: ComplexArray = field(default_factory=lambda: np.zeros(0, np.complex128))
    idle: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        self.limits = self.guard.limits
        feeder = self.network.feeder + 1
        self.bus_group = feeder
        self.end_group = feeder[np.maximum(self.limits.from_bus, self.limits.to_bus)]

    def __len__(self) -> int:
        return len(self.step)

    def keys(self) -> tuple[Key, ...]:
        """What each row is about, to find it again."""
        return tuple(_keys(self.step, self.kind, self.index, self.direction))

    def linearised(self, point: Point) -> tuple[Array, Array, Array]:
        """Value ``(M,)`` [pu], with the margin, and gradients ``(M, n_bus)`` [1/kW, 1/kvar] at an operating point."""
        row = self.limits.functional(point.lin.v, self.step, self.kind, self.index, self.direction)
        gp, gq = point.lin.gradients(self.step, row.bus_a, row.h_a, row.bus_b, row.h_b)
        return row.value + self.guard.of_rows(self.step, self.kind, gp, gq), gp, gq

    def add_violated(self, point: Point, p: Array, q: Array) -> int:
        """Add the limits that the linearised voltages at ``p, q`` exceed most, by step, feeder and kind; how many."""
        v = point.lin.v + point.lin.dv(p - point.p, q - point.q)
        tables = zip((V_HIGH, V_LOW, BRANCH), self.guard.excess(v), strict=True)
        found = [self._worst(kind, table) for kind, table in tables]
        step = np.concatenate([steps for steps, _ in found])
        index = np.concatenate([rows for _, rows in found])
        kind = np.concatenate([np.full(len(steps), kind) for kind, (steps, _) in enumerate(found)])
        direction = np.ones(len(step), np.complex128)
        branch = kind == BRANCH
        loading = self.guard.loading(v)[index[branch], step[branch]]
        direction[branch] = loading / np.abs(loading)
        known = set(self.keys())
        new = np.array([key not in known for key in _keys(step, kind, index, direction)], dtype=bool)
        self.step, self.kind = np.append(self.step, step[new]), np.append(self.kind, kind[new])
        self.index, self.direction = np.append(self.index, index[new]), np.append(self.direction, direction[new])
        self.idle = np.append(self.idle, np.zeros(int(new.sum()), np.int64))
        return int(new.sum())

    def retire(self, binding: BoolArray, longest: int) -> None:
        """Count for how long each row has not been binding, and drop those idle for more than ``longest`` calls."""
        idle = np.where(binding, 0, self.idle + 1)
        kept = idle <= longest
        self.step, self.kind, self.index = self.step[kept], self.kind[kept], self.index[kept]
        self.direction, self.idle = self.direction[kept], idle[kept]

    def _worst(self, kind: int, table: Array) -> tuple[IntArray, IntArray]:
        """Steps and rows of the largest excess of each group, where it is above the tolerance."""
        group = self.end_group if kind == BRANCH else self.bus_group
        steps, rows = [], []
        for g in np.unique(group):
            members = np.flatnonzero(group == g)
            worst = members[table[members].argmax(axis=0)]
            over = np.flatnonzero(table[worst, np.arange(table.shape[1])] > TOLERANCE)
            steps.append(over)
            rows.append(worst[over])
        none = [np.zeros(0, np.int64)]
        return np.concatenate(none + steps), np.concatenate(none + rows)


def _keys(step: IntArray, kind: IntArray, index: IntArray, direction: ComplexArray) -> list[Key]:
    angle = np.round(np.angle(direction) / SAME_DIRECTION).astype(np.int64)
    return list(zip(step.tolist(), kind.tolist(), index.tolist(), angle.tolist(), strict=True))
