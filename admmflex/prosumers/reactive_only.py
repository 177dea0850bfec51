"""Homes that can move nothing but the reactive power of plants without sun: charts and set-points in closed form."""

from __future__ import annotations

import numpy as np

from admmflex.horizon import Array, IntArray
from admmflex.prosumers.chart_rows import ChartRows
from admmflex.prosumers.devices import Devices


def add_reactive_only(rows: ChartRows, devices: Devices, homes: IntArray, step: int, dt_h: float, level: Array) -> None:
    """Reactive power of the cheapest source first:  f = level + max_k (c_k |Q| - sum_{j<k} (c_k - c_j) r_j)."""
    nothing = np.zeros(len(homes))
    rows.add_pieces(homes, nothing, nothing, level[homes], nothing, nothing)
    order, reach, cost, before, spent = _merit(devices, homes, step)
    owner, slope = devices.source_home[order], dt_h * cost
    above = level[owner] + dt_h * (spent - cost * before)
    zero = np.zeros(len(order))
    for sign in (1.0, -1.0):
        rows.add_pieces(owner, zero, sign * slope, above, zero, zero)
    total = np.zeros(devices.homes)
    np.add.at(total, owner, reach)
    for a, b, h in ((1.0, 0.0, nothing), (-1.0, 0.0, nothing), (0.0, 1.0, total[homes]), (0.0, -1.0, total[homes])):
        rows.add_sides(homes, np.full(len(homes), a), np.full(len(homes), b), h)


def share_reactive(devices: Devices, homes: IntArray, step: int, q: Array, source_q: Array) -> None:
    """Reactive power q (n,) [kvar] of some homes among their sources, to ``source_q``."""
    order, reach, _, before, _ = _merit(devices, homes, step)
    wish = q[devices.source_home[order]]
    source_q[order] = np.sign(wish) * np.clip(np.abs(wish) - before, 0.0, reach)


def _merit(devices: Devices, homes: IntArray, step: int) -> tuple[IntArray, Array, Array, Array, Array]:
    """Sources without active power in the order of the cost of reactive power within each home: their numbers, reach
    [kvar], cost, and the reach and the cost of all that come before.
    """
    chosen = np.flatnonzero(np.isin(devices.source_home, homes))
    cost = devices.reactive_cost[chosen]
    reach = devices.idle_share[chosen] * devices.source_size[chosen, step]
    order = np.lexsort((cost, devices.source_home[chosen]))
    chosen, cost, reach = chosen[order], cost[order], reach[order]
    owner = devices.source_home[chosen]
    first = np.searchsorted(owner, owner)
    total, paid = np.cumsum(reach) - reach, np.cumsum(cost * reach) - cost * reach
    return chosen, reach, cost, total - total[first], paid - paid[first]
