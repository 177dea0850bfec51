"""The limits that matter, linearised at an AC operating point that moves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

import grid
from admmflex.dso import AcCheck
from admmflex.errors import SolverError
from admmflex.horizon import Array, BoolArray, IntArray
from grid.connection import P_HIGH, Q_HIGH, SIDES
from grid.limits import BRANCH, SLACK, V_HIGH, V_LOW, Limits
from grid.linear import Linearisation
from grid.network import Network

ComplexArray = NDArray[np.complex128]
Key = tuple[int, int, int, int, int]

TOLERANCE = 1e-7  # pu, and fraction of the rating: excess that calls for a row
SAME_DIRECTION = 1e-4  # rad: two cuts of one current this close differ by 5e-9 of the rating
HALVINGS = 8


@dataclass(frozen=True)
class Point:
    """AC operating point: injections ``p, q (n_bus, K)`` [kW, kvar], and the sensitivities of its voltages."""

    p: Array
    q: Array
    lin: Linearisation


def excess(network: Network, limits: Limits, p: Array, q: Array) -> tuple[float, ...]:
    """Largest excess over each kind of limit in the AC power flow, at least 0: see ``AcCheck.worst``."""
    return tuple(AcCheck.of(limits, grid.power_flow(network, p, q), p[0] + 1j * q[0]).worst.tolist())


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

    A branch keeps all its cuts: with a single one that moves, a sequence of linear programs cycles. What is drawn at
    the slack grows faster than linearly, by the losses: tangents at former points stay as rows that do not move, or the
    sequence would follow the losses from one vertex to the next. ``tangent`` is their position in ``_tangents``, -1 for
    rows that move.
    """

    network: Network
    limits: Limits
    step: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    kind: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    index: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    direction: ComplexArray = field(default_factory=lambda: np.zeros(0, np.complex128))
    idle: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    tangent: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def __post_init__(self) -> None:
        feeder = self.network.feeder + 1
        self.bus_group = feeder
        self.end_group = feeder[np.maximum(self.limits.from_bus, self.limits.to_bus)]
        self._tangents: list[tuple[Array, Array, float]] = []

    def __len__(self) -> int:
        return len(self.step)

    def keys(self) -> tuple[Key, ...]:
        """What each row is about, to find it again."""
        return tuple(_keys(self.step, self.kind, self.index, self.direction, self.tangent))

    def linearised(self, point: Point) -> tuple[Array, Array, Array]:
        """Value ``(M,)`` [pu] and gradients ``(M, n_bus)`` [1/kW, 1/kvar] at an operating point."""
        own = point.p[0] + 1j * point.q[0]
        row = self.limits.functional(point.lin.v, self.step, self.kind, self.index, self.direction, own)
        gp, gq = point.lin.gradients(self.step, row.bus_a, row.h_a, row.bus_b, row.h_b, root=row.root)
        value = row.value
        for r in np.flatnonzero(self.tangent >= 0):
            gp[r], gq[r], right = self._tangents[self.tangent[r]]
            k = self.step[r]
            value[r] = gp[r] @ point.p[:, k] + gq[r] @ point.q[:, k] - right
        return value, gp, gq

    def keep_tangents(self, point: Point, binding: BoolArray) -> None:
        """Let the rows for what is drawn at the slack, where they are binding, stay as they are at a point."""
        convex = (self.kind == SLACK) & np.isin(self.index, (P_HIGH, Q_HIGH)) & (self.tangent < 0) & binding
        if not convex.any():
            return
        value, gp, gq = self.linearised(point)
        kept = np.flatnonzero(convex)
        for r in kept:
            k = self.step[r]
            right = float(gp[r] @ point.p[:, k] + gq[r] @ point.q[:, k] - value[r])
            self._tangents.append((gp[r].copy(), gq[r].copy(), right))
        serial = np.arange(len(self._tangents) - len(kept), len(self._tangents))
        self._append(self.step[kept], self.kind[kept], self.index[kept], self.direction[kept], serial)

    def _append(
        self, step: IntArray, kind: IntArray, index: IntArray, direction: ComplexArray, tangent: IntArray
    ) -> None:
        self.step, self.kind = np.append(self.step, step), np.append(self.kind, kind)
        self.index, self.direction = np.append(self.index, index), np.append(self.direction, direction)
        self.idle, self.tangent = np.append(self.idle, np.zeros_like(step)), np.append(self.tangent, tangent)

    def add_violated(self, point: Point, p: Array, q: Array) -> int:
        """Add the limits that the linearised voltages at ``p, q`` exceed most, by step, feeder and kind; how many."""
        v = point.lin.v + point.lin.dv(p - point.p, q - point.q)
        tables = (*self.limits.excess(v), self.limits.connection_excess(v, p[0] + 1j * q[0]))
        found = [self._worst(kind, table) for kind, table in zip((V_HIGH, V_LOW, BRANCH, SLACK), tables, strict=True)]
        step = np.concatenate([steps for steps, _ in found])
        index = np.concatenate([rows for _, rows in found])
        kind = np.concatenate([np.full(len(steps), kind) for kind, (steps, _) in enumerate(found)])
        direction = np.ones(len(step), np.complex128)
        branch = kind == BRANCH
        loading = self.limits.loading(v)[index[branch], step[branch]]
        direction[branch] = loading / np.abs(loading)
        known = set(self.keys())
        moving = np.full(len(step), -1)
        new = np.array([key not in known for key in _keys(step, kind, index, direction, moving)], dtype=bool)
        self._append(step[new], kind[new], index[new], direction[new], moving[new])
        return int(new.sum())

    def retire(self, binding: BoolArray, longest: int) -> None:
        """Count for how long each row has not been binding, and drop those idle for more than ``longest`` calls."""
        idle = np.where(binding, 0, self.idle + 1)
        kept = idle <= longest
        self.step, self.kind, self.index = self.step[kept], self.kind[kept], self.index[kept]
        self.direction, self.idle, self.tangent = self.direction[kept], idle[kept], self.tangent[kept]

    def _worst(self, kind: int, table: Array) -> tuple[IntArray, IntArray]:
        """Steps and rows of the largest excess of each group, where it is above the tolerance."""
        group = {BRANCH: self.end_group, SLACK: np.arange(SIDES)}.get(kind, self.bus_group)
        steps, rows = [], []
        for g in np.unique(group):
            members = np.flatnonzero(group == g)
            worst = members[table[members].argmax(axis=0)]
            over = np.flatnonzero(table[worst, np.arange(table.shape[1])] > TOLERANCE)
            steps.append(over)
            rows.append(worst[over])
        none = [np.zeros(0, np.int64)]
        return np.concatenate(none + steps), np.concatenate(none + rows)


def _keys(step: IntArray, kind: IntArray, index: IntArray, direction: ComplexArray, tangent: IntArray) -> list[Key]:
    angle = np.round(np.angle(direction) / SAME_DIRECTION).astype(np.int64)
    return list(zip(*(part.tolist() for part in (step, kind, index, angle, tangent)), strict=True))
