"""Which prosumers are a chain (fixed part, free generation, at most one storage), and how their arrays are filled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets.flow import Flow
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.chain_homes import ChainHomes, Edges, Field, Profiles
from admmflex.prosumers.connection import can_bind
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.roles import follows, is_generator, is_lossy, part, power_limits
from admmflex.prosumers.storages import HomesBuilder, StorageHomes, roles_of


@dataclass(frozen=True)
class Groups:
    """Prosumers by the way they are answered: the chain, homes with storages, and positions of all others."""

    chain: ChainHomes | None
    homes: StorageHomes | None
    others: list[int]


@dataclass(frozen=True)
class _Parts:
    """The flows of one home by role."""

    fixed_p: Array
    fixed_q: Array
    generator: Flow | None
    storage: Flow | None


def split(
    prosumers: Sequence[Prosumer],
    horizon: Horizon,
    position_of_bus: Mapping[int, int],
    rows: Sequence[int] | None = None,
) -> Groups:
    """Sort prosumers into homes that the chain answers exactly, homes with storages, and others.

    A home is a chain when it has at most one storage, otherwise only fixed parts and free generation (no cost, nothing
    taken), reactive power that is free of the active one and separable, or limited by one inverter polygon per role
    with equal costs, and a connection that cannot bind. What else counts as a home with storages says
    ``storages.roles_of``.

    Args:
        prosumers: without faults.
        horizon: K steps.
        position_of_bus: position in the network of every bus index.
        rows: position of every prosumer in the rank's list; 0, 1, ... when not given.
    """
    chains, homes, others = _Builder(horizon), HomesBuilder(horizon), []
    for row, prosumer in zip(range(len(prosumers)) if rows is None else rows, prosumers, strict=True):
        flows, bus = [asset.flow(horizon) for asset in prosumer.assets], position_of_bus[prosumer.bus]
        parts = None if can_bind(prosumer, flows) else _parts(flows)
        roles = roles_of(flows) if parts is None else None
        if parts is not None:
            chains.add(row, bus, prosumer, parts)
        elif roles is not None:
            homes.add(row, bus, prosumer, flows, roles)
        else:
            others.append(row)
    return Groups(chains.homes(), homes.homes(), others)


def _parts(flows: Sequence[Flow]) -> _Parts | None:
    """Roles of the flows, or None when they do not form a chain."""
    if any(follows(flow).any() for flow in flows):
        return None
    storages = [flow for flow in flows if flow.store is not None]
    generators = [flow for flow in flows if is_generator(flow)]
    if len(storages) > 1 or any(flow.store is None and flow.take_max.any() for flow in flows):
        return None
    if any(flow.give_cost[flow.give_max > 0].any() for flow in generators):
        return None
    storage = storages[0] if storages else None
    generator = _merge(generators) if generators else None
    if (generators and generator is None) or not _separable_or_equal(generator, storage):
        return None
    if storage is not None and not is_lossy(storage):
        return None
    fixed = np.sum([[flow.fixed_p, flow.fixed_q] for flow in flows], axis=0)
    return _Parts(fixed[0], fixed[1], generator, storage)


def _merge(generators: Sequence[Flow]) -> Flow | None:
    """Several free generators as one, or None when their reactive powers do not add up to one box or polygon."""
    reactive = [flow for flow in generators if flow.q_max.any()]
    if len(generators) == 1:
        return generators[0]
    if any(len(flow.edge_c) for flow in generators) or len({flow.q_cost for flow in reactive}) > 1:
        return None
    first = reactive[0] if reactive else generators[0]
    total_give = np.sum([flow.give_max for flow in generators], axis=0)
    total_q = np.sum([flow.q_max for flow in generators], axis=0)
    return Flow(
        first.fixed_p,
        first.fixed_q,
        total_give,
        first.take_max,
        first.give_cost,
        first.take_cost,
        total_q,
        first.q_cost,
        first.edge_c,
        first.edge_s,
    )


def _separable_or_equal(generator: Flow | None, storage: Flow | None) -> bool:
    """Whether the reactive limits are boxes, or polygons constant in time with one cost for both inverters."""
    flows = [flow for flow in (generator, storage) if flow is not None]
    edged = [flow for flow in flows if len(flow.edge_c) and flow.q_max.any()]
    if any((flow.edge_c < 0.0).any() for flow in flows):
        return False
    costs = {flow.q_cost for flow in flows if flow.q_max.any()}
    return not edged or (len(costs) == 1 and all(_box_is_spare(flow) or np.ptp(flow.q_max) == 0.0 for flow in edged))


def _box_is_spare(flow: Flow) -> bool:
    """Whether the edges alone keep the reactive power below ``q_max``, at every power that can be reached."""
    take, give = power_limits(flow)
    ends = np.stack([-take, give])
    crossings = [
        np.clip((c2 - c1) / (s1 - s2), -take, give)
        for c1, s1 in zip(flow.edge_c, flow.edge_s, strict=True)
        for c2, s2 in zip(flow.edge_c, flow.edge_s, strict=True)
        if s1 > s2
    ]
    at = np.concatenate([ends, np.array(crossings).reshape(-1, len(take))])
    envelope = np.min(flow.edge_c[:, None, None] + flow.edge_s[:, None, None] * at, axis=0)
    return bool(np.all(envelope <= flow.q_max * (1.0 + 1e-12)))


def asset_plans(flows: Sequence[Flow], state: Mapping[str, Array]) -> tuple[AssetPlan, ...]:
    """What each asset of a home does, from the trajectories ``(K,)`` of its roles; generators share by their limits."""
    generators = [flow for flow in flows if is_generator(flow)]
    plans = []
    for flow in flows:
        p, q, energy = flow.fixed_p, flow.fixed_q, None
        if flow.store is not None:
            p, q, energy = p + state["give"] - state["take"], q + state["store_q"], state["energy"].copy()
        elif is_generator(flow):
            p = p + state["gen"] * part(flow.give_max, [other.give_max for other in generators])
            q = q + state["gen_q"] * part(flow.q_max, [other.q_max for other in generators])
        plans.append(AssetPlan(p=p, q=q, energy=energy))
    return tuple(plans)


def _polyline(flow: Flow | None) -> tuple[Array, Array]:
    """Knots (power, value) of the lower envelope of all edges and the box, over the power range of the horizon."""
    if flow is None or not flow.q_max.any() or not len(flow.edge_c):
        return np.zeros(0), np.zeros(0)
    take, give = power_limits(flow)
    low, high = -float(take.max()), float(give.max())
    c, s = flow.edge_c, flow.edge_s
    if not _box_is_spare(flow):
        c, s = np.append(c, flow.q_max[0]), np.append(s, 0.0)
    power, at = [low], low
    while at < high:
        value = c + s * at
        lowest = value <= value.min() + 1e-12 * (1.0 + abs(value.min()))
        slope = s[lowest].min()
        line = int(np.flatnonzero(lowest & (s == slope))[0])
        falling = s < slope
        crossing = (c[falling] - c[line]) / (slope - s[falling])
        at = min(high, float(crossing[crossing > at].min(initial=high)))
        power.append(at)
    knots = np.array(power)
    return knots, np.maximum(np.min(c[:, None] + s[:, None] * knots, axis=0), 0.0)


class _Builder:
    """Collects homes, then turns them into arrays."""

    def __init__(self, horizon: Horizon) -> None:
        self._profiles = Profiles(horizon.steps)
        self._steps = horizon.steps
        self._horizon = horizon
        self._index: list[list[int]] = []
        self._place: list[tuple[int, int]] = []
        self._scalars: list[tuple[float, float, float, float]] = []
        self._edges: tuple[list[tuple[Array, Array]], list[tuple[Array, Array]]] = ([], [])
        self._prosumers: list[Prosumer] = []

    def add(self, row: int, bus: int, prosumer: Prosumer, parts: _Parts) -> None:
        """Append one home."""
        self._prosumers.append(prosumer)
        generator, storage = parts.generator, parts.storage
        zero, one = np.zeros(self._steps), np.ones(self._steps)
        store = storage.store if storage is not None else None
        take, give = power_limits(storage) if storage is not None else (zero, zero)
        fields = {
            Field.LOAD_P: -parts.fixed_p,
            Field.LOAD_Q: -parts.fixed_q,
            Field.AVAIL: power_limits(generator)[1] if generator is not None else zero,
            Field.IMPORT: prosumer.import_price,
            Field.EXPORT: prosumer.export_price,
            Field.TAKE_MAX: take,
            Field.GIVE_MAX: give,
            Field.TAKE_COST: storage.take_cost if storage is not None else zero,
            Field.GIVE_COST: storage.give_cost if storage is not None else zero,
            Field.ETA_TAKE: store.eta_take if store is not None else one,
            Field.ETA_GIVE: store.eta_give if store is not None else one,
            Field.KEEP: store.keep if store is not None else one,
            Field.GAIN: store.gain if store is not None else zero,
            Field.E_MIN: store.e_min if store is not None else zero,
            Field.E_MAX: store.e_max if store is not None else zero,
            Field.GEN_Q_MAX: generator.q_max if generator is not None else zero,
            Field.STORE_Q_MAX: storage.q_max if storage is not None else zero,
        }
        self._index.append([self._profiles.add(fields[field]) for field in Field])
        self._place.append((row, bus))
        self._scalars.append(
            (
                store.e_start if store is not None else 0.0,
                store.end_value if store is not None else 0.0,
                generator.q_cost if generator is not None else 0.0,
                storage.q_cost if storage is not None else 0.0,
            )
        )
        for edges, flow in zip(self._edges, (generator, storage), strict=True):
            edges.append(_polyline(flow))

    def homes(self) -> ChainHomes | None:
        """All homes as arrays; None when there are none."""
        if not self._index:
            return None
        place = np.array(self._place, dtype=np.int64)
        scalar = np.array(self._scalars)
        return ChainHomes(
            rows=place[:, 0].copy(),
            bus=place[:, 1].copy(),
            table=self._profiles.table(),
            index=np.array(self._index, dtype=np.int64),
            e_start=scalar[:, 0].copy(),
            end_value=scalar[:, 1].copy(),
            gen_q_cost=scalar[:, 2].copy(),
            store_q_cost=scalar[:, 3].copy(),
            gen_edges=_pad(self._edges[0]),
            store_edges=_pad(self._edges[1]),
            prosumers=tuple(self._prosumers),
            horizon=self._horizon,
        )


def _pad(polylines: Sequence[tuple[Array, Array]]) -> Edges:
    """Polylines of different lengths as arrays of one width."""
    knots = np.array([len(power) for power, _ in polylines], dtype=np.int64)
    shape = (len(polylines), max(1, int(knots.max(initial=0))))
    power, value = np.zeros(shape), np.zeros(shape)
    for i, (x, y) in enumerate(polylines):
        power[i, : len(x)], value[i, : len(x)] = x, y
    return Edges(knots, power, value)
