"""The price that an island begins with: one for all its buses and steps, at which energy is in balance over them.

Without a tariff prices begin at nothing, far from what keeps an island in balance: the cost of its generator, or the
value of the load that has to be shed. Every question is an answer of the prosumers that can be mixed later.
"""

from __future__ import annotations

import numpy as np

from admmflex.coordination.exchange import Exchange
from admmflex.horizon import BoolArray

LEAST = 1e-3  # [EUR/kWh]
QUESTIONS = 10
CLOSE = 0.02  # of the energy that is given or taken


def opening_price(exchange: Exchange, closed: BoolArray, dearest: float, rho: float) -> float:
    """Bisect log price in [LEAST, 2 dearest] for sum_t dt_t sum_b p_b,t = 0; losses are left out.

    Args:
        closed: (K,) the steps of the island; there is no price in the others.
        dearest: no energy is worth more [EUR/kWh].
        rho: tiny, so that identical devices spread.
    """
    low, high = np.log(LEAST), np.log(max(2.0 * dearest, 10.0 * LEAST))
    dt, n_buses = exchange.community.dt_h, exchange.n_buses
    middle = low
    for question in range(QUESTIONS):
        middle = low if question == 0 else 0.5 * (low + high)
        price = np.zeros((2, n_buses, len(dt)))
        price[0, :, closed] = np.exp(middle)
        own, _ = exchange.ask_all(price, rho)
        energy = own[:, :n_buses] * (dt * closed)[exchange.steps, None]
        balance, size = exchange.comm.sum(np.array([energy.sum(), np.abs(energy).sum()]))
        if abs(balance) <= CLOSE * size or (question == 0 and balance > 0.0):
            break
        low, high = (low, middle) if balance > 0.0 else (middle, high)
    return float(np.exp(middle))
