"""What a flow is to its home: a generator or a storage, and how far it can go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from admmflex.assets.flow import Flow
from admmflex.horizon import Array, BoolArray


def is_generator(flow: Flow) -> bool:
    """Whether a flow is part of the generator of its home: no state, but something to decide."""
    return flow.store is None and bool(flow.give_max.any() or flow.q_max.any())


def follows(flow: Flow) -> BoolArray:
    """Where the reactive power of a flow moves with what it gives ``(K,)``."""
    return np.zeros(len(flow.give_max), np.bool_) if flow.give_q is None else flow.give_max * flow.give_q != 0.0


def is_lossy(storage: Flow) -> bool:
    """Whether moving energy through the storage never creates any, so that its stage cost is convex."""
    assert storage.store is not None
    both = (storage.take_max > 0) & (storage.give_max > 0)
    cycle = storage.store.eta_take * storage.store.eta_give
    free = storage.give_cost + storage.take_cost
    return bool(np.all(~both | ((cycle <= 1.0) & (free >= 0.0))) and np.all(storage.store.keep > 0.0))


def part(one: Array, all_of_them: Sequence[Array]) -> Array:
    """Share of one limit in the sum of all, zero where the sum is."""
    total = np.sum(all_of_them, axis=0)
    share: Array = np.divide(one, total, out=np.zeros_like(total), where=total > 0.0)
    return share


def power_limits(flow: Flow) -> tuple[Array, Array]:
    """Largest take and give ``(K,)`` at which every edge still allows zero reactive power."""
    take, give = flow.take_max, flow.give_max
    for c, s in zip(flow.edge_c, flow.edge_s, strict=True):
        if s > 0.0:
            take = np.minimum(take, c / s)
        elif s < 0.0:
            give = np.minimum(give, -c / s)
    return take, give
