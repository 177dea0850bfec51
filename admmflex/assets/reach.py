"""Which energies a store can reach, and the band that can be held."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.assets.flow import Store
from admmflex.horizon import Array


@dataclass(frozen=True)
class Reach:
    """The band of a store widened to what can be held.

    Attributes:
        store: with ``e_min`` lowered by ``short`` and ``e_max`` raised by ``over``, and by nothing else.
        short, over: ``(K,)`` how far the best plan stays below the band, or above it, at the end of each step [kWh].
        missing, excess: ``(K,)`` energy that another source would have had to bring, or to take away, in each step for
            the band to hold [kWh].
    """

    store: Store
    short: Array
    over: Array
    missing: Array
    excess: Array


def reach(store: Store, take_max: Array, give_max: Array, dt: Array) -> Reach:
    """The energies that can be reached, step by step.

    high[t+1] = min(keep high[t] + dt eta_take take_max + gain, e_max),      short = [e_min - high]+
    low[t+1]  = max(keep low[t] - dt give_max / eta_give + gain, e_min),     over  = [low - e_max]+

    Taking at full power reaches the most energy at every moment at once, so that no plan is short by less anywhere; a
    bound that is lowered by ``short`` is met, and only by such plans. Where both ends of the band are missed in turn,
    the lower end comes first.
    """
    steps = len(dt)
    rise = dt * store.eta_take * take_max + store.gain
    fall = store.gain - dt * give_max / store.eta_give
    short, over = np.zeros(steps), np.zeros(steps)
    low = high = store.e_start
    for t in range(steps):
        low, high = store.keep[t] * low + fall[t], store.keep[t] * high + rise[t]
        short[t], over[t] = max(store.e_min[t] - high, 0.0), max(low - store.e_max[t], 0.0)
        low, high = max(low, store.e_min[t] - short[t]), min(high, store.e_max[t] + over[t])
    held = replace(store, e_min=store.e_min - short, e_max=store.e_max + over)
    return Reach(held, short, over, _added(short, store.keep), _added(over, store.keep))


def _added(depth: Array, keep: Array) -> Array:
    """Energy to add in each step, ``(K,)``: added earlier, what of it has not leaked still helps.

    help[t+1] = max(keep help[t], depth[t+1]),   added = help[t+1] - keep help[t]
    """
    added, held = np.zeros(len(depth)), 0.0
    for t in np.flatnonzero(np.cumsum(depth) > 0.0):
        kept = keep[t] * held
        held = max(kept, depth[t])
        added[t] = held - kept
    return added
