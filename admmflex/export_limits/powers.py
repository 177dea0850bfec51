"""What a uniform limit leaves of PV, and the power flow of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.export_limits.customers import Customers
from admmflex.export_limits.scenarios import Scenarios
from admmflex.horizon import Array
from grid import UnbalancedFlow, unbalanced_flow


@dataclass(frozen=True, eq=False)
class Day:
    """One scenario over C of its steps: ``load_p, load_q, avail`` (n, C) [kW, kvar] of the customers."""

    customers: Customers
    load_p: Array
    load_q: Array
    avail: Array

    @classmethod
    def of(cls, customers: Customers, scenarios: Scenarios, scenario: int, steps: slice = slice(None)) -> Day:
        """A scenario, or some steps of it."""
        parts = (scenarios.load_p, scenarios.load_q, scenarios.avail)
        return cls(customers, *(x[scenario][:, steps] for x in parts))

    @property
    def steps(self) -> int:
        """Number of steps C."""
        return int(self.avail.shape[1])

    def pv(self, xi: Array | float) -> Array:
        """(n, C) power of PV under the limit: min(avail, load + xi S)."""
        limited: Array = np.minimum(self.avail, self.load_p + np.asarray(xi) * self.customers.rating_kw[:, None])
        return limited

    def flow(self, pv: Array, start: UnbalancedFlow | None = None) -> UnbalancedFlow:
        """AC power flow with some power of PV (n, C)."""
        who = self.customers
        p, q = who.by_bus(pv - self.load_p), who.by_bus(-self.load_q)
        return unbalanced_flow(who.network, p, q, at=who.at, start=start)
