"""A load of which a part may be shed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from admmflex.assets.checks import number_faults, profile_faults
from admmflex.assets.flow import Flow
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

PRIORITIES: tuple[str, ...] = ("normal", "critical")


@dataclass(frozen=True)
class SheddableLoad:
    """Consumption that follows a profile, or stays below it at a price.

    p[t] = -p_kw[t] + shed[t],   q[t] = -q_kvar[t] + (q_kvar / p_kw)[t] shed[t],   0 <= shed <= share p_kw
    cost = sum_t dt[t] lost_load_price shed

    Reactive power is shed with the same power factor. Two of them, at two prices, are a normal and a critical part.

    Args:
        name: unique behind the meter.
        p_kw, q_kvar: ``(K,)`` consumption [kW, kvar], p not negative.
        share: largest part that may be shed, in [0, 1].
        lost_load_price: value of lost load [EUR/kWh].
        priority: "normal" or "critical", for reports.

    Source: section 2 of the formulation (islanded operation), [G].
    """

    name: str
    p_kw: Array
    q_kvar: Array
    share: float
    lost_load_price: float
    priority: Literal["normal", "critical"] = "normal"
    kind: ClassVar[str] = "sheddable"

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Numbers out of range and profiles that are short, not finite or a net profile."""
        element = f"sheddable {self.name!r}"
        return [
            *number_faults(element, "share", self.share, low=0.0, high=1.0),
            *number_faults(element, "lost_load_price", self.lost_load_price, low=0.0),
            *[
                Fault(element, f"priority = {self.priority!r}", ", ".join(PRIORITIES), "choose one of these")
                for _ in range(self.priority not in PRIORITIES)
            ],
            *profile_faults(element, "p_kw", self.p_kw, horizon, low=0.0),
            *profile_faults(element, "q_kvar", self.q_kvar, horizon),
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """Fixed powers, and a part of them given back."""
        zero, none = np.zeros(horizon.steps), np.zeros(0)
        price = np.full(horizon.steps, self.lost_load_price)
        give_q = np.divide(self.q_kvar, self.p_kw, out=np.zeros(horizon.steps), where=self.p_kw > 0.0)
        give = self.share * self.p_kw
        return Flow(-self.p_kw, -self.q_kvar, give, zero, price, zero, zero, 0.0, none, none, give_q=give_q)
