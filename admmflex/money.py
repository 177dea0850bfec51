"""Who pays and who gives way: tariff bills, payments of grid prices, curtailment, and how evenly they fall.

    tariff_i  = sum_t dt (import [-p]+ - export [p]+)            paid to the supplier
    grid_i    = sum_t dt (-lam_p p - lam_q q)                    paid to the grid at the prices of its bus
    change_i  = tariff_i + grid_i with coordination - tariff_i without
    share_i   = sum_t dt (avail - pv) / sum_t dt avail           of what the sun offered home i, not given
    Gini(x)   = sum_ij |x_i - x_j| / (2 n sum_i x_i),  x >= 0    0: all alike; (n-1)/n: one bears it all

Wear of batteries is not part of a bill.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from admmflex.horizon import Array

if TYPE_CHECKING:
    import xarray as xr

NOTHING_KWH, NOTHING = 1e-3, 1e-3
"""Energy of a day, and share of it, below which they count as none: rounding of the answers."""


@dataclass(frozen=True, eq=False)
class Bills:
    """Of every prosumer ``(n,)`` [EUR]; ``before`` is None when the result has no uncoordinated day."""

    before: Array | None
    after: Array
    grid: Array

    @property
    def change(self) -> Array | None:
        """What coordination costs each, payments to the grid included."""
        return None if self.before is None else self.after + self.grid - self.before


def bills(data: xr.Dataset) -> Bills | None:
    """The bills of a result; None when it has no plan."""
    if "p_kw" not in data:
        return None
    dt, at = data["dt_h"].to_numpy(), positions(data)
    grid = np.zeros(data.sizes["prosumer"])
    for price, power in (("price_p", "p_kw"), ("price_q", "q_kvar")):
        grid -= (data[price].to_numpy()[at] * data[power].to_numpy()) @ dt
    before = tariff(data, "p_kw_baseline") if "p_kw_baseline" in data else None
    return Bills(before, tariff(data, "p_kw"), grid)


def tariff(data: xr.Dataset, power: str) -> Array:
    """What the supplier asks of every prosumer ``(n,)`` [EUR] for the powers of a variable."""
    p = data[power].to_numpy()
    bought, sold = data["import_price"].to_numpy(), data["export_price"].to_numpy()
    total: Array = (bought * np.maximum(-p, 0.0) - sold * np.maximum(p, 0.0)) @ data["dt_h"].to_numpy()
    return total


def curtailed_shares(data: xr.Dataset) -> Array | None:
    """Part of its sun that each prosumer did not give ``(n,)``, NaN without sun; None without a plan."""
    if "asset_p_kw" not in data:
        return None
    plants = (data["asset_kind"] == "pv").to_numpy()
    owner, dt = data["asset_prosumer"].to_numpy()[plants], data["dt_h"].to_numpy()
    offered, given = np.zeros((2, data.sizes["prosumer"]))
    np.add.at(offered, owner, data["avail_kw"].to_numpy()[plants] @ dt)
    np.add.at(given, owner, data["asset_p_kw"].to_numpy()[plants] @ dt)
    sunny = offered > NOTHING_KWH
    shares = np.clip((offered - given) / np.where(sunny, offered, 1.0), 0.0, 1.0)
    return np.where(sunny, np.where(shares < NOTHING, 0.0, shares), np.nan)


def gini(amounts: Array) -> float | None:
    """How unevenly amounts >= 0 fall, NaN left out; 0 when all are zero, None when there are none."""
    known = np.sort(amounts[np.isfinite(amounts)])
    n, total = len(known), known.sum()
    if n == 0:
        return None
    if total <= 0.0:
        return 0.0
    return float(((2 * np.arange(1, n + 1) - n - 1) @ known) / (n * total))


def positions(data: xr.Dataset) -> Array:
    """Position of every prosumer's bus along dimension ``bus``."""
    buses = data["bus"].to_numpy()
    order = np.argsort(buses, kind="stable")
    return np.asarray(order[np.searchsorted(buses, data["prosumer_bus"].to_numpy(), sorter=order)])
