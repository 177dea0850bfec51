"""Answers of prosumers that can only consume less: closed form, all of them at once.

With h the value of the first kW shed and rho (1 + g^2) the curvature, g = kvar/kW of the load, the parts are shed in
the order of their costs:

    h = lam_p + g lam_q + imp - rho ((fixed_p - z_p) + g (fixed_q - z_q))
    s_j = clip( (h - cost_j) / (rho (1 + g^2)) - sum_{i<j} size_i,  0, size_j )

and what is taken beyond the load, where that has a price, is clip( (-h - take_cost) / (rho (1 + g^2)), 0, take ).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.shedders import Shedders


class SheddingResponse:
    """A member of the response protocol for ``Shedders`` of this horizon."""

    way: ClassVar[str] = "shedding"

    def __init__(self, homes: Shedders, horizon: Horizon) -> None:
        self.homes, self.dt_h, self.rows, self._horizon = homes, horizon.dt_h, homes.rows, horizon
        self._shed, self._taken = np.zeros_like(homes.size), np.zeros_like(homes.take)
        below = np.cumsum(homes.size, axis=1) - homes.size
        self._below, self._curvature = below, 1.0 + homes.ratio**2

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """Answer ``price (2, n_bus, K)`` and ``target (2, n, K)``; writes its own rows of ``out (2, n, K)``."""
        homes = self.homes
        lam, z = price[:, homes.bus], target[:, self.rows]
        first = lam[0] + homes.ratio * lam[1] + homes.import_price
        first -= rho * ((homes.fixed_p - z[0]) + homes.ratio * (homes.fixed_q - z[1]))
        gain = first[:, None] - homes.cost
        loss = -first - homes.take_cost
        if rho > 0.0:
            curvature = rho * self._curvature
            self._shed = np.clip(gain / curvature[:, None] - self._below, 0.0, homes.size)
            self._taken = np.clip(loss / curvature, 0.0, homes.take)
        else:
            self._shed = np.where(gain > 0.0, homes.size, 0.0)
            self._taken = np.where(loss > 0.0, homes.take, 0.0)
        total = self._shed.sum(axis=1) - self._taken
        out[0, self.rows] = homes.fixed_p + total
        out[1, self.rows] = homes.fixed_q + homes.ratio * total

    def warm(self) -> dict[str, Array]:
        """Nothing: answers have a closed form."""
        return {}

    def counts(self) -> dict[str, float]:
        """See ``Response.counts``."""
        return {}

    def cost(self) -> Array:
        """Own cost of the last answers [EUR]."""
        return self.evaluate_cost(self.homes.fixed_p + self._shed.sum(axis=1) - self._taken, self.state())

    def state(self) -> dict[str, Array]:
        """What is shed of each part ``(n, J, K)`` and taken ``(n, K)``."""
        return {"shed": self._shed, "taken": self._taken}

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost [EUR] at (combinations of) earlier states."""
        lost = (self.homes.cost * state["shed"]).sum(axis=1) + self.homes.take_cost * state["taken"]
        return np.asarray((lost - self.homes.import_price * p) @ self.dt_h)

    def plans(self, state: Mapping[str, Array]) -> list[tuple[AssetPlan, ...]]:
        """What the assets do in (combinations of) earlier states."""
        return [self._plan(i, state["shed"][i], state["taken"][i]) for i in range(len(self.rows))]

    def _plan(self, i: int, shed: Array, taken: Array) -> tuple[AssetPlan, ...]:
        homes = self.homes
        place = {int(asset): row for row, asset in zip(shed, homes.asset[i], strict=True)}
        plans = []
        for j, asset in enumerate(homes.prosumers[i].assets):
            flow = asset.flow(self._horizon)
            own = place.get(j, np.zeros_like(self.dt_h)) - (taken if flow.take_max.any() else 0.0)
            plans.append(AssetPlan(p=flow.fixed_p + own, q=flow.fixed_q + homes.ratio[i] * own, energy=None))
        return tuple(plans)
