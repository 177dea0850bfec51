"""How far an answer of homes with storages can be from the optimum, proven from the multipliers alone.

Weak duality: with any multipliers of the power balance (nu) and of the stored energies (mu) the problem falls apart
into variables that are minimised over their boxes one by one; the sum is below every feasible objective. Edges of
inverters are left out, which can only lower it. Nothing here is shared with the kernels that find the answer.
"""

from __future__ import annotations

import numpy as np

from admmflex.horizon import Array
from admmflex.prosumers.storages import StorageHomes


def objective(homes: StorageHomes, price: Array, target: Array, rho: float, y: Array, own_cost: Array) -> Array:
    """Objective ``(n,)`` [EUR] of answers y to prices and targets, all ``(2, n, K)``."""
    signal = -price * y + 0.5 * rho * (y - target) ** 2
    total: Array = own_cost + signal.sum(axis=0) @ homes.horizon.dt_h
    return total


def lower_bound(homes: StorageHomes, price: Array, target: Array, rho: float, nu: Array, mu: Array) -> Array:
    """Bound ``(n,)`` [EUR] below the objective of every feasible answer.

    Args:
        price, target: (2, n, K). nu: (n, K) of fixed_p + gen + shed + sum_c (give_c - take_c) - p [EUR/kW].
        mu: (n, C, K) of e[t] - keep e[t-1] - dt (eta_take take - give / eta_give) - gain [EUR/kWh].
    """
    dt = homes.horizon.dt_h
    best = _power(homes, price[0], target[0], rho, nu) + nu * homes.fixed_p
    best += np.minimum(nu, 0.0) * homes.avail + np.minimum(dt * homes.shed_cost + nu, 0.0) * homes.shed_max
    total: Array = best.sum(axis=1) + _storages(homes, nu, mu) + _reactive(homes, price[1], target[1], rho)
    return total


def _power(homes: StorageHomes, lam: Array, z: Array, rho: float, nu: Array) -> Array:
    """Minimum over the power at the meter, within its connection and what the assets can reach."""
    dt, stores = homes.horizon.dt_h, homes.stores
    low = np.maximum(homes.fixed_p - stores.take_max.sum(axis=1), -homes.import_limit[:, None])
    high = homes.fixed_p + stores.give_max.sum(axis=1) + homes.avail + homes.shed_max
    high = np.minimum(high, homes.export_limit[:, None])
    stops = [low, high, np.clip(0.0, low, high)]
    if rho > 0.0:
        for tariff in (homes.import_price, homes.export_price):
            stops.append(np.clip(z + (lam + tariff + nu / dt) / rho, low, high))

    def value(p: Array) -> Array:
        tariff = np.maximum(-homes.import_price * p, -homes.export_price * p)
        here: Array = dt * (tariff - lam * p + 0.5 * rho * (p - z) ** 2) - nu * p
        return here

    least: Array = np.min([value(p) for p in stops], axis=0)
    return least


def _storages(homes: StorageHomes, nu: Array, mu: Array) -> Array:
    """Minimum over the flows and the energies of all storages ``(n,)``."""
    dt, stores = homes.horizon.dt_h, homes.stores
    take = dt * (stores.take_cost - stores.eta_take * mu) - nu[:, None]
    give = dt * (stores.give_cost + mu / stores.eta_give) + nu[:, None]
    flows = np.minimum(take * stores.take_min, take * stores.take_max)
    flows += np.minimum(give * stores.give_min, give * stores.give_max)
    after = np.concatenate([stores.keep[:, :, 1:] * mu[:, :, 1:], stores.end_value[:, :, None]], axis=2)
    held = np.minimum((mu - after) * stores.e_min, (mu - after) * stores.e_max) - mu * stores.gain
    total: Array = (flows + held).sum(axis=(1, 2)) - (mu[:, :, 0] * stores.keep[:, :, 0] * stores.e_start).sum(axis=1)
    return total


def _reactive(homes: StorageHomes, lam: Array, z: Array, rho: float) -> Array:
    """Minimum over the reactive powers within their boxes ``(n,)``: a convex function of their sum, piecewise."""
    sources = homes.sources
    pull = np.abs(rho * (z - homes.fixed_q) + lam)
    total, paid = np.zeros_like(pull), np.zeros_like(pull)
    for k in range(sources.q_max.shape[1]):
        margin = pull - sources.cost[:, k, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            wish = np.where(margin > 0.0, margin / rho if rho > 0.0 else np.inf, 0.0)
        used = np.clip(wish - total, 0.0, sources.q_max[:, k])
        total, paid = total + used, paid + sources.cost[:, k, None] * used
    q = np.sign(rho * (z - homes.fixed_q) + lam) * total + homes.fixed_q
    value: Array = (paid - lam * q + 0.5 * rho * (q - z) ** 2) @ homes.horizon.dt_h
    return value
