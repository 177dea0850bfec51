"""Convex curvature of the losses in a linear program: branch powers F, and tangents under rho_e F_e^2.

    F_e - sum of F of the branches below + sum of the powers at its bus = 0,    w_e >= rho_e (2 F_k F_e - F_k^2)

for P, then Q, in per unit of ``base_kva``; rho_e = r_e / u_e with the voltages without load. F and w stand behind the
variables of the charts.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from admmflex.horizon import Array, BoolArray, IntArray
from grid.branchflow import BranchFlow


class LossTangents:
    """The tangents collected so far: branch power ``cut (C,)``, at which value ``at (C,)``, idle for how long.

    Args:
        model: the grid.
        place: (J,) bus position of each chart.
        count: number of branch powers, 2 b, or 0 when losses have no price.
        width: number of variables of the program.
    """

    def __init__(self, model: BranchFlow, place: IntArray, count: int, width: int) -> None:
        self.model, self.place, self.count, self.width = model, place, count, width
        self.first = 3 * len(place)
        self.rho = np.maximum(np.tile(model.z.real / np.abs(model.network.v_no_load[1:]) ** 2, 2), 0.0)
        self.cut, self.idle = np.zeros(0, np.int64), np.zeros(0, np.int64)
        self.at = np.zeros(0)

    def __len__(self) -> int:
        return len(self.cut)

    def tree(self) -> sp.csr_array:
        """The equations of F, right side zero."""
        b, n, parent = self.model.branches, len(self.place), self.model.parent
        if not self.count:
            return sp.csr_array((0, self.width))
        at, part, below = self.place - 1, np.arange(b), np.flatnonzero(parent > 0)
        rows = np.concatenate([at, b + at, part, b + part, parent[below] - 1, b + parent[below] - 1])
        flows = self.first + np.concatenate([part, b + part, below, b + below])
        columns = np.concatenate([np.arange(2 * n), flows])
        values = np.concatenate([np.ones(2 * n + 2 * b), -np.ones(2 * len(below))])
        return sp.csr_array((values, (rows, columns)), shape=(2 * b, self.width))

    def flows(self, buses: IntArray, x: Array) -> Array:
        """F (2 b,) of bus sums x (2 B,) [kW, kvar]."""
        model, parent = self.model, self.model.parent
        out = np.zeros((2, model.branches))
        out[:, buses - 1] = -x.reshape(2, -1) / model.base_kva
        for e in range(model.branches - 1, -1, -1):
            if parent[e] > 0:
                out[:, parent[e] - 1] += out[:, e]
        return out.ravel()

    def add_short(self, values: Array, weight: float, tolerance: float) -> IntArray:
        """New tangents where w lies too low, when all together are short by more than the tolerance; which."""
        if not self.count:
            return np.zeros(0, np.int64)
        last = self.first + self.count
        flow, under = values[self.first : last], values[last : last + self.count]
        short = weight * (self.rho * flow**2 - under)
        if short.sum() <= tolerance:
            return np.zeros(0, np.int64)
        return self.add_at(flow, short > 0.5 * tolerance / self.count)

    def add_at(self, flow: Array, where: BoolArray) -> IntArray:
        """Tangents at the flows (2 b,) of some branches; their places in the list."""
        new, count = np.flatnonzero(where), len(self)
        self.cut, self.at = np.append(self.cut, new), np.append(self.at, flow[new])
        self.idle = np.append(self.idle, np.zeros(len(new), np.int64))
        return count + np.arange(len(new))

    def keep(self, kept: BoolArray) -> None:
        """Forget all but these."""
        self.cut, self.at, self.idle = self.cut[kept], self.at[kept], self.idle[kept]

    def rows(self, which: IntArray) -> tuple[sp.csr_array, Array]:
        """Tangents as rows ``A x <= right``."""
        row, cut, at = np.arange(len(which)), self.cut[which], self.at[which]
        columns = np.concatenate([self.first + cut, self.first + self.count + cut])
        values = np.concatenate([2.0 * self.rho[cut] * at, -np.ones(len(which))])
        matrix = sp.csr_array((values, (np.tile(row, 2), columns)), shape=(len(which), self.width))
        return matrix, self.rho[cut] * at**2
