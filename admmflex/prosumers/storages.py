"""Homes with up to three storages, a priced generator or a limited connection, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from admmflex.assets.flow import Flow, Store
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.roles import follows, is_generator, is_lossy, part, power_limits
from admmflex.prosumers.stores import Stores, held

MOST_STORAGES = 3
GENERATION, SHEDDING = -1, -2  # what limits a reactive source that belongs to no storage


@dataclass(frozen=True)
class Roles:
    """Positions among the flows of a home: storages, those that also give first; free generators; priced generator."""

    storages: tuple[int, ...]
    free: tuple[int, ...]
    priced: int | None


class Sources(NamedTuple):
    """What can make reactive power, per home in ascending order of cost.

    Args:
        q_max: (n, S, K) [kvar], zeros where a home has fewer.
        cost: (n, S) [EUR/kvarh].
        edges: (n, S) number of edges, whose lines are edge_c (n, S, J) [kvar] and edge_s [kvar/kW].
        owner: (n, S) the storage whose net power the edges refer to, GENERATION or SHEDDING.
        share: (n, S, K) of the free generation, for GENERATION.
        flow: (n, S) position of the flow in its home.
    """

    q_max: Array
    cost: Array
    edges: IntArray
    edge_c: Array
    edge_s: Array
    owner: IntArray
    share: Array
    flow: IntArray


@dataclass(frozen=True)
class StorageHomes:
    """n homes of a fixed part, free generation, a priced generator and C storages behind a connection.

    p = fixed_p + gen + shed + sum_c (give_c - take_c),   -import_limit <= p <= export_limit
    0 <= gen <= avail,   0 <= shed <= shed_max at shed_cost,   q = fixed_q + reactive sources

    Args:
        rows, bus: (n,) positions of the home in the rank's list, of its bus in the network.
        fixed_p, fixed_q, avail, shed_max, shed_cost, import_price, export_price: (n, K).
        import_limit, export_limit: (n,) [kW], infinite where there is none.
        count: (n,) storages of each home.
    """

    rows: IntArray
    bus: IntArray
    fixed_p: Array
    fixed_q: Array
    avail: Array
    shed_max: Array
    shed_cost: Array
    import_price: Array
    export_price: Array
    import_limit: Array
    export_limit: Array
    count: IntArray
    stores: Stores
    sources: Sources
    roles: tuple[Roles, ...]
    prosumers: tuple[Prosumer, ...]
    horizon: Horizon

    def __len__(self) -> int:
        return len(self.rows)

    def held(self) -> StorageHomes:
        """The same homes with bands and flows as narrow as the corridor of their energies."""
        return replace(self, stores=held(self.stores, self.horizon.dt_h))


def roles_of(flows: Sequence[Flow]) -> Roles | None:
    """What the flows of a home are, or None when they do not form a home with storages.

    There may be one generator with a cost, none whose reactive power follows its power. Edges of an inverter may limit
    the reactive power of anything, but not the power of a storage that both takes and gives.
    """
    if any(follows(flow).any() for flow in flows):
        return None
    storages = [i for i, flow in enumerate(flows) if flow.store is not None]
    generators = [i for i, flow in enumerate(flows) if is_generator(flow)]
    priced = [i for i in generators if flows[i].give_cost[flows[i].give_max > 0].any()]
    stateless = [flow for flow in flows if flow.store is None]
    if len(storages) > MOST_STORAGES or len(priced) > 1 or any(flow.take_max.any() for flow in stateless):
        return None
    if any((flows[i].give_cost < 0.0).any() for i in priced) or not all(is_lossy(flows[i]) for i in storages):
        return None
    if any((flow.edge_c < 0.0).any() for flow in flows if flow.q_max.any()):
        return None
    if any(_cut(flows[i]) for i in storages if flows[i].give_max.any() and flows[i].take_max.any()):
        return None
    storages.sort(key=lambda i: not flows[i].give_max.any())
    return Roles(tuple(storages), tuple(i for i in generators if i not in priced), priced[0] if priced else None)


def _cut(flow: Flow) -> bool:
    """Whether edges keep a storage from its power limits, by more than rounding."""
    take, give = power_limits(flow)
    return bool((take < (1.0 - 1e-9) * flow.take_max).any() or (give < (1.0 - 1e-9) * flow.give_max).any())


class HomesBuilder:
    """Collects homes, then turns them into arrays."""

    def __init__(self, horizon: Horizon) -> None:
        self._horizon = horizon
        self._place: list[tuple[int, int]] = []
        self._prosumers: list[Prosumer] = []
        self._flows: list[Sequence[Flow]] = []
        self._roles: list[Roles] = []

    def add(self, row: int, bus: int, prosumer: Prosumer, flows: Sequence[Flow], roles: Roles) -> None:
        """Append one home."""
        self._place.append((row, bus))
        self._prosumers.append(prosumer)
        self._flows.append(flows)
        self._roles.append(roles)

    def homes(self) -> StorageHomes | None:
        """All homes as arrays; None when there are none."""
        if not self._place:
            return None
        place = np.array(self._place, dtype=np.int64)
        zero = np.zeros(self._horizon.steps)
        pairs = list(zip(self._flows, self._roles, strict=True))
        priced = [None if roles.priced is None else flows[roles.priced] for flows, roles in pairs]
        free = [[zero, *(power_limits(flows[i])[1] for i in roles.free)] for flows, roles in pairs]
        return StorageHomes(
            rows=place[:, 0].copy(),
            bus=place[:, 1].copy(),
            fixed_p=np.array([np.sum([flow.fixed_p for flow in flows], axis=0) for flows in self._flows]),
            fixed_q=np.array([np.sum([flow.fixed_q for flow in flows], axis=0) for flows in self._flows]),
            avail=np.array([np.sum(limits, axis=0) for limits in free]),
            shed_max=np.array([zero if flow is None else power_limits(flow)[1] for flow in priced]),
            shed_cost=np.array([zero if flow is None else flow.give_cost for flow in priced]),
            import_price=np.array([one.import_price for one in self._prosumers]),
            export_price=np.array([one.export_price for one in self._prosumers]),
            import_limit=np.array([one.import_limit_kw for one in self._prosumers]),
            export_limit=np.array([one.export_limit_kw for one in self._prosumers]),
            count=np.array([len(roles.storages) for roles in self._roles]),
            stores=self._stores(),
            sources=self._sources(),
            roles=tuple(self._roles),
            prosumers=tuple(self._prosumers),
            horizon=self._horizon,
        )

    def _stores(self) -> Stores:
        width = max(1, max(len(roles.storages) for roles in self._roles))
        none = _no_storage(self._horizon.steps)
        table = [
            [*(flows[i] for i in roles.storages), *[none] * (width - len(roles.storages))]
            for flows, roles in zip(self._flows, self._roles, strict=True)
        ]

        def gather(of: Callable[[Flow, Store], Array | float]) -> Array:
            return np.array([[of(flow, flow.store) for flow in home if flow.store is not None] for home in table])

        return Stores(
            take_min=gather(lambda flow, _: 0.0 * flow.take_max),
            give_min=gather(lambda flow, _: 0.0 * flow.give_max),
            take_max=gather(lambda flow, _: power_limits(flow)[0]),
            give_max=gather(lambda flow, _: power_limits(flow)[1]),
            take_cost=gather(lambda flow, _: flow.take_cost),
            give_cost=gather(lambda flow, _: flow.give_cost),
            eta_take=gather(lambda _, store: store.eta_take),
            eta_give=gather(lambda _, store: store.eta_give),
            keep=gather(lambda _, store: store.keep),
            gain=gather(lambda _, store: store.gain),
            e_min=gather(lambda _, store: store.e_min),
            e_max=gather(lambda _, store: store.e_max),
            e_start=gather(lambda _, store: store.e_start),
            end_value=gather(lambda _, store: store.end_value),
        )

    def _sources(self) -> Sources:
        found = [_home_sources(flows, roles) for flows, roles in zip(self._flows, self._roles, strict=True)]
        n, width = len(found), max(1, max(len(sources) for sources in found))
        lines = max(1, max((len(flow.edge_c) for flows in self._flows for flow in flows), default=1))
        steps = self._horizon.steps
        table = Sources(
            q_max=np.zeros((n, width, steps)),
            cost=np.zeros((n, width)),
            edges=np.zeros((n, width), np.int64),
            edge_c=np.zeros((n, width, lines)),
            edge_s=np.zeros((n, width, lines)),
            owner=np.zeros((n, width), np.int64),
            share=np.zeros((n, width, steps)),
            flow=np.full((n, width), -1),
        )
        for i, sources in enumerate(found):
            for k, (position, owner, share) in enumerate(sources):
                flow = self._flows[i][position]
                j = len(flow.edge_c)
                table.q_max[i, k], table.cost[i, k], table.edges[i, k] = flow.q_max, flow.q_cost, j
                table.edge_c[i, k, :j], table.edge_s[i, k, :j] = flow.edge_c, flow.edge_s
                table.owner[i, k], table.share[i, k], table.flow[i, k] = owner, share, position
        return table


def _home_sources(flows: Sequence[Flow], roles: Roles) -> list[tuple[int, int, Array]]:
    """Flow, owner and share of the generation of every reactive source of a home, the cheapest first."""
    limits = [power_limits(flows[i])[1] for i in roles.free]
    zero = np.zeros(len(flows[0].fixed_p))
    found = [(i, c, zero) for c, i in enumerate(roles.storages)]
    found += [(i, GENERATION, part(limit, limits)) for i, limit in zip(roles.free, limits, strict=True)]
    found += [] if roles.priced is None else [(roles.priced, SHEDDING, zero)]
    able = [source for source in found if flows[source[0]].q_max.any()]
    return sorted(able, key=lambda source: flows[source[0]].q_cost)


def _no_storage(steps: int) -> Flow:
    """A storage that holds nothing and cannot move."""
    zero, one = np.zeros(steps), np.ones(steps)
    return replace(Flow.fixed(zero, zero), store=Store(0.0, zero, zero, one, one, one, zero, 0.0))


def home_plans(homes: StorageHomes, i: int, state: Mapping[str, Array]) -> tuple[AssetPlan, ...]:
    """What each asset of home i does, from the trajectories of all homes; free generators share by their limits."""
    flows = [asset.flow(homes.horizon) for asset in homes.prosumers[i].assets]
    roles, sources = homes.roles[i], homes.sources
    limits = [power_limits(flows[j])[1] for j in roles.free]
    powers = {j: state["gen"][i] * part(limit, limits) for j, limit in zip(roles.free, limits, strict=True)}
    powers |= {j: state["give"][i, c] - state["take"][i, c] for c, j in enumerate(roles.storages)}
    powers |= {} if roles.priced is None else {roles.priced: state["shed"][i]}
    reactive = {int(j): state["reactive"][i, k] for k, j in enumerate(sources.flow[i]) if j >= 0}
    energy = {j: state["energy"][i, c].copy() for c, j in enumerate(roles.storages)}
    return tuple(
        AssetPlan(p=flow.fixed_p + powers.get(j, 0.0), q=flow.fixed_q + reactive.get(j, 0.0), energy=energy.get(j))
        for j, flow in enumerate(flows)
    )
