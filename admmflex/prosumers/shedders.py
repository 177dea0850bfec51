"""Prosumers that can do nothing but consume less, or without a tariff give and take at a price, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets.flow import Flow
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer


@dataclass(frozen=True)
class Shedders:
    """n consumers with up to J sheddable parts each, the cheapest first.

    p = fixed_p + s,   q = fixed_q + ratio s,   s = sum_j s_j - taken,
    0 <= s_j <= size_j at cost_j,   0 <= taken <= take at take_cost;   p <= 0 where there is a tariff

    Args:
        rows, bus: (n,) positions of the prosumer in the rank's list, of its bus in the network.
        fixed_p, fixed_q, ratio, import_price: (n, K) [kW, kvar, kvar/kW, EUR/kWh].
        size: (n, J, K) [kW], zeros where a prosumer has fewer parts.
        cost: (n, J, K) [EUR/kWh], not negative, from part to part not falling.
        take, take_cost: (n, K).
        asset: (n, J) position of the part among the assets.
    """

    rows: IntArray
    bus: IntArray
    fixed_p: Array
    fixed_q: Array
    ratio: Array
    import_price: Array
    size: Array
    cost: Array
    take: Array
    take_cost: Array
    asset: IntArray
    prosumers: tuple[Prosumer, ...]


def sheds_only(prosumer: Prosumer, flows: Sequence[Flow]) -> bool:
    """Whether a prosumer is one: parts of one power factor, in one order of prices, that never make it give power."""
    giving = [flow for flow in flows if flow.give_max.any()]
    if not giving or any(flow.store is not None or flow.q_max.any() for flow in flows):
        return False
    prices = np.array([flow.give_cost for flow in sorted(giving, key=_price)])
    if (prices < 0.0).any() or (np.diff(prices, axis=0) < 0.0).any():
        return False
    if any(flow.take_max.any() for flow in flows):
        bare = not (prosumer.import_price.any() or prosumer.export_price.any())
        priced = all((flow.take_cost >= 0.0).all() for flow in flows)
        return bare and priced and len(flows) == 1 and flows[0].give_q is None
    total = np.sum([flow.fixed_p + flow.give_max for flow in flows], axis=0)
    ratios = np.array([_ratio(flow) for flow in giving])
    there = np.array([flow.give_max > 0.0 for flow in giving])
    widest = np.where(there, ratios, -np.inf).max(axis=0) - np.where(there, ratios, np.inf).min(axis=0)
    same = not (widest > 1e-9).any()
    return same and bool((total <= 1e-9).all()) and -float(total.min(initial=0.0)) <= prosumer.import_limit_kw


def shedders(
    prosumers: Sequence[Prosumer], rows: Sequence[int], bus: Sequence[int], horizon: Horizon
) -> Shedders | None:
    """Their arrays; None when there are none."""
    if not prosumers:
        return None
    flows = [[asset.flow(horizon) for asset in one.assets] for one in prosumers]
    parts = [sorted((j for j, f in enumerate(own) if f.give_max.any()), key=lambda j: _price(own[j])) for own in flows]
    n, most, steps = len(prosumers), max(len(own) for own in parts), horizon.steps
    size, cost, asset = np.zeros((n, most, steps)), np.zeros((n, most, steps)), np.full((n, most), -1)
    ratio = np.zeros((n, steps))
    for i, (own, order) in enumerate(zip(flows, parts, strict=True)):
        for place, j in enumerate(order):
            size[i, place], cost[i, place], asset[i, place] = own[j].give_max, own[j].give_cost, j
            ratio[i] = np.where(own[j].give_max > 0.0, _ratio(own[j]), ratio[i])
        cost[i, len(order) :] = cost[i, len(order) - 1]
    take = np.array([np.sum([f.take_max for f in own], axis=0) for own in flows])
    take_cost = np.array([np.max([f.take_cost for f in own], axis=0) for own in flows])
    fixed = np.array([np.sum([[f.fixed_p, f.fixed_q] for f in own], axis=0) for own in flows])
    return Shedders(
        np.array(rows, np.int64),
        np.array(bus, np.int64),
        fixed[:, 0].copy(),
        fixed[:, 1].copy(),
        ratio,
        np.array([one.import_price for one in prosumers]),
        size,
        cost,
        take,
        take_cost,
        asset,
        tuple(prosumers),
    )


def _price(flow: Flow) -> float:
    return float(flow.give_cost.max(initial=0.0))


def _ratio(flow: Flow) -> Array:
    return np.zeros(len(flow.give_max)) if flow.give_q is None else flow.give_q
