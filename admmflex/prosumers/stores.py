"""The storages of many homes as arrays, and what of their bands can be reached and held."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from admmflex.horizon import Array

ROUNDING = 1e-9  # kWh


class Stores(NamedTuple):
    """Storages of n homes, ``(n, C, K)`` as in ``admmflex.assets.flow``; ``e_start`` and ``end_value`` are ``(n, C)``.

    Homes with fewer storages have further ones that hold no energy and cannot move. take_min and give_min, zero in the
    data, are what no plan can stay below.
    """

    take_min: Array
    give_min: Array
    take_max: Array
    give_max: Array
    take_cost: Array
    give_cost: Array
    eta_take: Array
    eta_give: Array
    keep: Array
    gain: Array
    e_min: Array
    e_max: Array
    e_start: Array
    end_value: Array


def moves(stores: Stores, dt: Array) -> tuple[Array, Array]:
    """Least and largest change of the energies in a step ``(n, C, K)`` [kWh]."""
    return -dt * stores.give_max / stores.eta_give, dt * stores.take_max * stores.eta_take


def shortfall(e_start: Array, band: tuple[Array, Array], moves: tuple[Array, Array], keep: Array, gain: Array) -> Array:
    """Largest energy ``(...)`` [kWh] by which what a store can reach misses its band at the end of a step.

    Args:
        e_start: (...). band: lowest and highest energy, moves: least and largest change by flows, keep, gain: (..., K).
    """
    low, high, short = e_start, e_start, np.zeros(e_start.shape)
    for t in range(keep.shape[-1]):
        e_min, e_max = band[0][..., t], band[1][..., t]
        low = keep[..., t] * low + gain[..., t] + moves[0][..., t]
        high = keep[..., t] * high + gain[..., t] + moves[1][..., t]
        short = np.maximum(short, np.maximum(e_min - high, low - e_max))
        low, high = np.clip(low, e_min, e_max), np.clip(high, e_min, e_max)
    return np.where(short > ROUNDING, short, 0.0)


def corridor(stores: Stores, dt: Array) -> tuple[Array, Array]:
    """Energies ``(n, C, K)`` [kWh] that can be reached and from which the band can be held to the end.

    Every feasible plan stays between them. Where they meet nothing is left to decide, however wide the band is: a task
    outside of its hours, a car that is away.
    """
    low, high = stores.e_min.copy(), stores.e_max.copy()
    least, most = moves(stores, dt)
    for t in range(len(dt) - 2, -1, -1):
        keep, gain = stores.keep[:, :, t + 1], stores.gain[:, :, t + 1]
        low[:, :, t] = np.maximum(low[:, :, t], (low[:, :, t + 1] - gain - most[:, :, t + 1]) / keep)
        high[:, :, t] = np.minimum(high[:, :, t], (high[:, :, t + 1] - gain - least[:, :, t + 1]) / keep)
    below = above = stores.e_start
    for t in range(len(dt)):
        keep, gain = stores.keep[:, :, t], stores.gain[:, :, t]
        below = np.maximum(low[:, :, t], keep * below + gain + least[:, :, t])
        above = np.minimum(high[:, :, t], keep * above + gain + most[:, :, t])
        low[:, :, t], high[:, :, t] = below, np.maximum(below, above)
    return low, high


def held(stores: Stores, dt: Array) -> Stores:
    """Energies within their corridor, flows within what leads from one step's corridor into the next."""
    low, high = corridor(stores, dt)
    start, a, b = stores.e_start[:, :, None], dt * stores.eta_take, dt / stores.eta_give
    least = low - stores.keep * np.concatenate([start, high[:, :, :-1]], axis=2) - stores.gain
    most = high - stores.keep * np.concatenate([start, low[:, :, :-1]], axis=2) - stores.gain
    take_min, give_min = np.clip(least / a, 0.0, stores.take_max), np.clip(-most / b, 0.0, stores.give_max)
    return stores._replace(
        take_min=take_min,
        give_min=give_min,
        take_max=np.clip((most + b * stores.give_max) / a, take_min, stores.take_max),
        give_max=np.clip((a * stores.take_max - least) / b, give_min, stores.give_max),
        e_min=low,
        e_max=high,
    )
