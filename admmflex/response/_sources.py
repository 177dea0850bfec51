"""Reactive power of homes with storages, at powers that are already found (numba)."""

from __future__ import annotations

import numba as nb

from admmflex.horizon import Array
from admmflex.prosumers.storages import GENERATION, Sources
from admmflex.response._answer import Answers, Homes


@nb.njit(cache=True, error_model="numpy")
def _limit(i: int, k: int, t: int, data: Sources, answers: Answers) -> float:
    """Largest reactive power of source k at the power of its owner."""
    limit: float = data.q_max[i, k, t]
    if data.edges[i, k] > 0:
        c = data.owner[i, k]
        if c >= 0:
            power = answers.give[i, c, t] - answers.take[i, c, t]
        elif c == GENERATION:
            power = data.share[i, k, t] * answers.gen[i, t]
        else:
            power = answers.shed[i, t]
        for j in range(data.edges[i, k]):
            limit = min(limit, data.edge_c[i, k, j] + data.edge_s[i, k, j] * power)
    return max(limit, 0.0)


@nb.njit(cache=True, error_model="numpy")
def react(
    price: Array, target: Array, rho: float, homes: Homes, fixed_q: Array, data: Sources, answers: Answers,
    reactive: Array, out: Array, excess: Array,
) -> None:  # fmt: skip
    """Reactive power of every source in the order of their costs, and of the homes.

    min  sum_t dt [ rho/2 (q - z)^2 - lam q + sum_k cost_k |u_k| ]     q = fixed_q + sum_k u_k,   |u_k| <= limit_k

    ``excess (n,)`` [EUR]: by how much this costs more than if no edge limited any source; where it is zero, active and
    reactive power are optimal together.
    """
    n, sources, steps = reactive.shape
    for i in range(n):
        row, bus, lost = homes.rows[i], homes.bus[i], 0.0
        edged = False
        for k in range(sources):
            edged |= data.edges[i, k] > 0
        for t in range(steps):
            level = rho * (target[1, row, t] - fixed_q[i, t]) + price[1, bus, t]
            sign, pull = (1.0 if level >= 0.0 else -1.0), abs(level)
            total, free, cost, least = 0.0, 0.0, 0.0, 0.0
            for k in range(sources):
                margin, wish, widest = pull - data.cost[i, k], 0.0, data.q_max[i, k, t]
                limit = _limit(i, k, t, data, answers) if edged else widest
                if margin > 0.0:
                    wish = margin / rho if rho > 0.0 else total + free + limit + widest
                u = min(max(wish - total, 0.0), limit)
                reactive[i, k, t] = sign * u
                total += u
                cost += data.cost[i, k] * u
                if edged:
                    u = min(max(wish - free, 0.0), widest)
                    free += u
                    least += data.cost[i, k] * u
            out[1, row, t] = fixed_q[i, t] + sign * total
            if edged:
                here, best = total * (0.5 * rho * total - pull) + cost, free * (0.5 * rho * free - pull) + least
                lost += homes.dt[t] * (here - best)
        excess[i] = lost
