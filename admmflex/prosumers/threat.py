"""Devices that may stop doing what they are told: what each could do instead, and how many may do so at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from admmflex.assets.flow import Asset
from admmflex.horizon import Array, Horizon, IntArray


@runtime_checkable
class WithInverter(Protocol):
    """An asset whose reactive power is limited by the rating of its inverter."""

    @property
    def inverter_kva(self) -> float: ...


@dataclass(frozen=True, eq=False)
class Threat:
    """A suspects, of which at most ``budget`` at once leave their plan, each for anything in its capability.

    capability = { low[t] <= p <= high[t],  p^2 + q^2 <= s^2 }      without inverter (s = 0): q as planned

    Args:
        names: of the devices, ``prosumer/device``.
        bus: (A,) positions in the network.
        low, high: (A, K) [kW], injections positive; within the rating of the inverter.
        s_kva: (A,) rating of the inverter [kVA], 0 without one.
        plan: (2, A, K) last trusted powers [kW, kvar], inside the capability.
        budget: how many may misbehave at once.
        plan_eur: what the plans cost beyond the tariff, such as wear [EUR]; nobody else counts it.
    """

    names: tuple[str, ...]
    bus: IntArray
    low: Array
    high: Array
    s_kva: Array
    plan: Array
    budget: int
    plan_eur: float = 0.0

    def within(self, steps: slice) -> Threat:
        """The same in a part of the steps."""
        cut = (np.ascontiguousarray(one[..., steps]) for one in (self.low, self.high, self.plan))
        low, high, plan = cut
        return replace(self, low=low, high=high, plan=plan)

    def deviation_kw(self) -> tuple[Array, Array]:
        """Largest surplus and shortage of active power that ``budget`` suspects make together, ``(K,)`` [kW] each."""
        beyond = (self.high - self.plan[0], self.plan[0] - self.low)
        surplus, shortage = (np.sort(one, axis=0)[len(one) - self.budget :].sum(axis=0) for one in beyond)
        return surplus, shortage


def own_cost(asset: Asset, p: Array, q: Array, horizon: Horizon) -> float:
    """Cost of a device's powers ``(K,)`` beyond the tariff [EUR]: wear and reactive energy, without stored energy."""
    flow = asset.flow(horizon)
    active, reactive = p - flow.fixed_p, np.abs(q - flow.fixed_q)
    rate = flow.give_cost * np.maximum(active, 0.0) + flow.take_cost * np.maximum(-active, 0.0)
    return float(horizon.dt_h @ (rate + flow.q_cost * reactive))


def capability(asset: Asset, horizon: Horizon) -> tuple[Array, Array, float]:
    """What a device could do if it obeyed nobody: least and largest p ``(K,)`` [kW], and its inverter's rating [kVA].

    It can always be switched off. The inverter does what it is built for, whatever the coordination asks of it.
    """
    flow = asset.flow(horizon)
    least, most = flow.fixed_p - flow.take_max, flow.fixed_p + flow.give_max
    low, high = np.minimum(least, 0.0), np.maximum(most, 0.0)
    if not isinstance(asset, WithInverter):
        return low, high, 0.0
    rating = asset.inverter_kva
    return np.maximum(low, -rating), np.minimum(high, rating), rating
