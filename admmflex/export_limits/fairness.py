"""What limits give, and how evenly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.export_limits.customers import Customers
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import pv_power
from admmflex.horizon import Array


@dataclass(frozen=True)
class Shares:
    """Energy under export limits, mean of the scenarios, and how it is spread over the customers with PV.

    Args:
        pv_kwh, curtailed_kwh, exported_kwh: per scenario; exported only counts net exports of customers.
        jain: of the served shares x_i = energy made / energy that could be made: (sum x)^2 / (n sum x^2), 1 is even.
        gini: of the curtailed shares 1 - x_i, 0 is even.
        worst_off: smallest served share.
    """

    pv_kwh: float
    curtailed_kwh: float
    exported_kwh: float
    jain: float
    gini: float
    worst_off: float


def shares(customers: Customers, scenarios: Scenarios, export_kw: Array) -> Shares:
    """Energies and fairness of export limits (n, K) or (N, n, K) [kW]."""
    p = pv_power(scenarios, export_kw)
    per_scenario = scenarios.dt_h / len(p)
    made, could = (x.sum(axis=(0, 2)) * per_scenario for x in (p, scenarios.avail))
    has = (customers.rating_kw > 0) & (could > 0)
    served = made[has] / could[has]
    exported = float(np.maximum(p - scenarios.load_p, 0.0).sum() * per_scenario)
    if not len(served):
        return Shares(0.0, 0.0, exported, 1.0, 0.0, 1.0)
    jain = float(served.sum() ** 2 / (len(served) * (served**2).sum())) if served.any() else 1.0
    total, lost = float(made.sum()), float((could - made).sum())
    return Shares(total, lost, exported, jain, gini(1.0 - served), float(served.min()))


def gini(x: Array) -> float:
    """Mean difference of all pairs over twice the mean: sum_i (2 i - n - 1) x_(i) / (n sum x), x_(i) ascending."""
    ordered = np.sort(np.maximum(x, 0.0))
    n, total = len(x), ordered.sum()
    if total <= 1e-12:
        return 0.0
    return float((2.0 * np.arange(1, n + 1) - n - 1.0) @ ordered / (n * total))
