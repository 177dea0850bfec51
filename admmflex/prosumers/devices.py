"""The flows of many homes as tables: what is fixed, sources, storages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from admmflex.assets.flow import Flow, Store
from admmflex.horizon import Array, BoolArray, Horizon, IntArray
from admmflex.prosumers.period import Reactive, Source, Storage
from admmflex.prosumers.prosumer import Prosumer

SAMPLES = 33  # points at which an edge is compared with a bound
SAME = 12  # digits of an edge: inverters that differ in size only are of one type
DIGITS = 2  # of an efficiency that changes with time: steps that differ by less are of one type


@dataclass(frozen=True, eq=False)
class Devices:
    """n homes over K steps, S sources and C storages; a flow that does neither is part of what is fixed.

    Args:
        dt: (K,) [h].
        fixed_p, fixed_q: (n, K) [kW, kvar].
        source_home, source_asset: (S,) home, and position of the asset among the assets of all homes in turn.
        sources: what does not change with time.
        source_give, source_size: (S, K) [kW, kvar] largest power, and size of the reactive power.
        storage_home, storage_asset: (C,).
        storages: as they are in each step, ``storages[c][k]``.
        give, take, size: (C, K) [kW, kvar].
        stores: (C,).
        low, high: (C,) [kWh] lower and upper end of the band over the whole horizon.
        assets: (n,) how many assets each home has.
    """

    dt: Array
    fixed_p: Array
    fixed_q: Array
    source_home: IntArray
    source_asset: IntArray
    sources: tuple[Source, ...]
    source_give: Array
    source_size: Array
    storage_home: IntArray
    storage_asset: IntArray
    storages: tuple[tuple[Storage, ...], ...]
    give: Array
    take: Array
    size: Array
    stores: tuple[Store, ...]
    low: Array
    high: Array
    assets: IntArray

    @property
    def homes(self) -> int:
        """n."""
        return len(self.fixed_p)

    @cached_property
    def free(self) -> BoolArray:
        """(S,) sources whose active power costs nothing."""
        return np.array([one.give_cost == 0.0 for one in self.sources], np.bool_)

    @cached_property
    def reactive_cost(self) -> Array:
        """(S,) [EUR/kvarh] of sources; 0 where there is no reactive power."""
        return np.array([one.reactive.cost if one.reactive else 0.0 for one in self.sources])

    @cached_property
    def idle_share(self) -> Array:
        """(S,) reactive power that a source can make without active power, over its size."""
        kinds = [one.reactive for one in self.sources]
        return np.array([min([1.0, *(c for c, _ in one.edges)]) if one else 0.0 for one in kinds])

    def sources_of_stores(self, width: int) -> IntArray:
        """(C, width) numbers of the sources that give in the home of each storage; S where there are fewer."""
        gives = self.source_give.any(axis=1)
        found = np.full((len(self.stores), width), len(self.sources))
        for c, home in enumerate(self.storage_home.tolist()):
            own = np.flatnonzero((self.source_home == home) & gives)
            found[c, : len(own)] = own
        return found

    @staticmethod
    def of(prosumers: Sequence[Prosumer], horizon: Horizon) -> Devices:
        """Tables of prosumers whose data have no faults."""
        flows = [[asset.flow(horizon) for asset in one.assets] for one in prosumers]
        steps, shape = horizon.steps, (0, horizon.steps)
        counts = np.array([len(own) for own in flows], np.int64)
        first = np.cumsum(counts) - counts
        placed = [(i, int(first[i]) + j, flow) for i, own in enumerate(flows) for j, flow in enumerate(own)]
        sources = [one for one in placed if one[2].store is None and _moves(one[2])]
        storages = [one for one in placed if one[2].store is not None and _moves(one[2])]
        stores = tuple(flow.store for *_, flow in storages if flow.store is not None)

        def table(rows: list[Array]) -> Array:
            return np.stack(rows) if rows else np.zeros(shape)

        return Devices(
            dt=horizon.dt_h,
            fixed_p=table([np.sum([np.zeros(steps), *(flow.fixed_p for flow in own)], axis=0) for own in flows]),
            fixed_q=table([np.sum([np.zeros(steps), *(flow.fixed_q for flow in own)], axis=0) for own in flows]),
            source_home=np.array([home for home, *_ in sources], np.int64),
            source_asset=np.array([asset for _, asset, _ in sources], np.int64),
            sources=tuple(_source(flow) for *_, flow in sources),
            source_give=table([flow.give_max for *_, flow in sources]),
            source_size=table([flow.q_max for *_, flow in sources]),
            storage_home=np.array([home for home, *_ in storages], np.int64),
            storage_asset=np.array([asset for _, asset, _ in storages], np.int64),
            storages=tuple(_storages(flow) for *_, flow in storages),
            give=table([flow.give_max for *_, flow in storages]),
            take=table([flow.take_max for *_, flow in storages]),
            size=table([flow.q_max for *_, flow in storages]),
            stores=stores,
            low=np.array([store.e_min.min() for store in stores]),
            high=np.array([store.e_max.max() for store in stores]),
            assets=counts,
        )


def _moves(flow: Flow) -> bool:
    return bool(flow.give_max.any() or flow.take_max.any() or flow.q_max.any())


def _reactive(flow: Flow) -> Reactive | None:
    """Edges over the size, and whether the size itself says anything that they do not."""
    if not flow.q_max.any():
        return None
    size = float(flow.q_max.max())
    pairs = zip(flow.edge_c, flow.edge_s, strict=True)
    edges = tuple((round(float(c) / size, SAME), round(float(s), SAME)) for c, s in pairs)
    power = np.linspace(-flow.take_max, flow.give_max, SAMPLES)
    reach = np.min([np.full_like(power, np.inf), *(c * size + s * power for c, s in edges)], axis=0)
    bounded = bool((reach > flow.q_max * (1.0 + 1e-9) + 1e-12).any())
    return Reactive(flow.q_cost, bounded, edges)


def _source(flow: Flow) -> Source:
    cost = float(flow.give_cost.mean())
    with_power = 0.0 if flow.give_q is None else float(flow.give_q.mean())
    return Source(cost, _reactive(flow), with_power)


def _storages(flow: Flow) -> tuple[Storage, ...]:
    """What a storage is in each step."""
    assert flow.store is not None  # chosen by the caller
    reactive, gives, takes = _reactive(flow), bool(flow.give_max.any()), bool(flow.take_max.any())
    give_cost, take_cost = float(flow.give_cost.mean()), float(flow.take_cost.mean())
    etas = zip(_steady(flow.store.eta_give), _steady(flow.store.eta_take), strict=True)
    return tuple(
        Storage(gives, takes, give_cost, take_cost, float(eta_give), float(eta_take), reactive)
        for eta_give, eta_take in etas
    )


def _steady(eta: Array) -> Array:
    """Rounded where it changes."""
    return eta if np.ptp(eta) == 0.0 else np.round(eta, DIGITS)
