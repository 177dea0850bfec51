"""What the grid connection exchanges beyond what was asked of it, at a price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from admmflex.assets.checks import number_faults
from admmflex.assets.flow import Flow
from admmflex.errors import Fault
from admmflex.horizon import Horizon


@dataclass(frozen=True)
class Unmet:
    """Power at the slack bus that fills the gap between a request and what the grid can do.

    p[t] = beyond[t] - short[t],   0 <= beyond, short <= largest_kw,   cost = sum_t dt[t] price (beyond + short)

    It lets a request that cannot be met end at the nearest plan: the one with the least energy off the request.

    Args:
        name: unique behind the meter.
        largest_kw: more than could ever be missing [kW].
        price: of energy off the request [EUR/kWh], far above any other.
    """

    name: str
    largest_kw: float
    price: float
    kind: ClassVar[str] = "unmet"

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Numbers out of range."""
        element = f"unmet {self.name!r}"
        return [
            *number_faults(element, "largest_kw", self.largest_kw, low=0.0, open_low=True),
            *number_faults(element, "price", self.price, low=0.0, open_low=True),
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """Both directions, both at the price."""
        zero, none = np.zeros(horizon.steps), np.zeros(0)
        size, price = np.full(horizon.steps, self.largest_kw), np.full(horizon.steps, self.price)
        return Flow(zero, zero, size, size, price, price, zero, 0.0, none, none)
