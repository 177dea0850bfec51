"""Homes as they are known at a moment: the rest of a horizon from measured energies on, and one control step.

Assets are flows (``Known``). What cannot be kept because the world was not as foreseen gives way: bands of energy to
what can be reached, limits of connections to what loads and storages leave possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from admmflex.assets.flow import Flow, Store
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.groups import Measured
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.hindsight import Known

SPARE = 1e-9  # kWh, kW by which what gives way is wider than what can be reached


@dataclass(frozen=True, eq=False)
class Margin:
    """Value (C,) [EUR/kWh] of the energy that a control step moves: of what is given up, and of what is added.

    It holds for ``down`` and ``up`` (C,) [kWh] around what is stored when nothing moves.
    """

    given: Array
    taken: Array
    down: Array
    up: Array


class KnownHomes:
    """The homes of a rank.

    Args:
        homes, devices: in the same order.
        horizon: of the forecast.

    ``source_place``, ``storage_place``: positions of sources and storages among the assets of all homes of a step.
    """

    def __init__(self, homes: Sequence[Prosumer], devices: Devices, horizon: Horizon) -> None:
        self.homes, self.devices, self.horizon = homes, devices, horizon
        self.flows = [[asset.flow(horizon) for asset in one.assets] for one in homes]
        first = np.cumsum(devices.assets) - devices.assets
        self._source = _positions(devices.source_home, devices.source_asset - first[devices.source_home])
        self._storage = _positions(devices.storage_home, devices.storage_asset - first[devices.storage_home])
        owners = devices.source_home, devices.storage_home
        sources, storages = (np.bincount(home, minlength=len(homes)) for home in owners)
        begin = np.cumsum(1 + sources + storages) - sources - storages
        self.source_place: IntArray = begin[devices.source_home] + _rank(devices.source_home)
        self.storage_place: IntArray = (begin + sources)[devices.storage_home] + _rank(devices.storage_home)

    def rest(self, steps: slice, seen: Measured, persistence: float) -> tuple[list[Prosumer], Horizon]:
        """Steps from the present one on: as foreseen, the first partly as measured.

        After the last of them no less may be stored than at the end of the whole horizon.
        """
        devices, w, k = self.devices, persistence, steps.start
        horizon = self.later(steps)
        low, high = self._bands(steps, seen.energy)
        extra = w * np.stack([seen.fixed_p - devices.fixed_p[:, k], seen.fixed_q - devices.fixed_q[:, k]])
        give = devices.source_give[:, k] + w * (seen.give - devices.source_give[:, k])
        found = []
        for i, home in enumerate(self.homes):
            flows = [flow.at(steps) for flow in self.flows[i]]
            if extra[:, i].any():
                p, q = _first(flows[0].fixed_p, extra[0, i]), _first(flows[0].fixed_q, extra[1, i])
                flows[0] = replace(flows[0], fixed_p=p, fixed_q=q)
            for s, j in self._source.get(i, []):
                flows[j] = replace(flows[j], give_max=_first(flows[j].give_max, give[s] - flows[j].give_max[0]))
            for c, j in self._storage.get(i, []):
                store = replace(_store(flows[j]), e_start=float(seen.energy[c]), e_min=low[c], e_max=high[c])
                flows[j] = replace(flows[j], store=store)
            found.append(_prosumer(home, steps, [asset.name for asset in home.assets], flows))
        return found, horizon

    def later(self, steps: slice) -> Horizon:
        """Some steps of the horizon."""
        start, dt = self.horizon.start, self.horizon.dt_h
        begin = datetime.fromtimestamp(start.timestamp() + 3600.0 * float(dt[: steps.start].sum()), tz=start.tzinfo)
        return Horizon(begin, dt[steps])

    def step(self, k: int, seen: Measured, dt_h: float, margin: Margin) -> list[Prosumer]:
        """One control step in step k: as measured; energies count from what is stored now.

        Giving up energy costs ``margin.given``, adding to it earns ``margin.taken`` <= ``margin.given``.
        """
        now, found, share = slice(k, k + 1), [], dt_h / float(self.horizon.dt_h[k])
        for i, home in enumerate(self.homes):
            flows = [Flow.fixed(seen.fixed_p[i : i + 1], seen.fixed_q[i : i + 1])]
            for s, j in self._source.get(i, []):
                flows.append(replace(_alone(self.flows[i][j], now), give_max=seen.give[s : s + 1]))
            for c, j in self._storage.get(i, []):
                flow = _alone(self.flows[i][j], now)
                store = self._stored(c, flow, float(seen.energy[c]), share, (margin.down[c], margin.up[c]))
                cost = max(float(margin.given[c] - margin.taken[c]), 0.0) / store.eta_give
                store = replace(store, end_value=float(margin.taken[c]))
                flows.append(replace(flow, store=store, give_cost=flow.give_cost + cost))
            found.append(_prosumer(home, now, [str(j) for j in range(len(flows))], flows))
        return found

    def _stored(self, c: int, flow: Flow, energy: float, share: float, room: tuple[float, float]) -> Store:
        """A store over a control step, in which ``share`` of its losses and gains happen."""
        store = _store(flow)
        idle = energy * store.keep**share + store.gain * share - energy
        low = np.minimum(np.maximum(self.devices.low[c] - energy, idle - room[0]), idle)
        high = np.maximum(np.minimum(self.devices.high[c] - energy, idle + room[1]), idle)
        return replace(store, e_start=0.0, e_min=low - SPARE, e_max=high + SPARE, keep=np.ones(1), gain=idle)

    def _bands(self, steps: slice, energy: Array) -> tuple[Array, Array]:
        """(C, L) bands that can be kept from these energies on."""
        devices, ahead = self.devices, range(*steps.indices(self.horizon.steps))
        low, high = (np.array([getattr(one, name)[steps] for one in devices.stores]) for name in ("e_min", "e_max"))
        low, high = low.reshape(len(energy), len(ahead)), high.reshape(len(energy), len(ahead))
        final = np.array([one.e_min[-1] for one in devices.stores])
        low[:, -1] = np.minimum(np.maximum(low[:, -1], final), high[:, -1])
        least, most = energy, energy
        for t, step in enumerate(ahead):
            keep, gain, take, give = (
                np.array([getattr(one, name)[step] for one in devices.stores])
                for name in ("keep", "gain", "eta_take", "eta_give")
            )
            dt = float(self.horizon.dt_h[step])
            least = keep * least + gain - dt * devices.give[:, step] / give
            most = keep * most + gain + dt * devices.take[:, step] * take
            low[:, t] = np.where(most < low[:, t] + SPARE, most - SPARE, low[:, t])
            high[:, t] = np.where(least > high[:, t] - SPARE, least + SPARE, high[:, t])
            least, most = np.maximum(least, low[:, t]), np.minimum(most, high[:, t])
        return low, high


def _positions(home: IntArray, asset: IntArray) -> dict[int, list[tuple[int, int]]]:
    """Of every home: numbers of its devices, and their positions among its assets."""
    found: dict[int, list[tuple[int, int]]] = {}
    for number, (i, j) in enumerate(zip(home.tolist(), asset.tolist(), strict=True)):
        found.setdefault(i, []).append((number, j))
    return found


def _rank(home: IntArray) -> IntArray:
    """How many devices of the same home come before each; homes ascend."""
    return np.asarray(np.arange(len(home)) - np.searchsorted(home, home))


def _store(flow: Flow) -> Store:
    assert flow.store is not None  # a storage
    return flow.store


def _first(profile: Array, extra: float) -> Array:
    """With something added to the first step."""
    changed = profile.copy()
    changed[0] += extra
    return changed


def _alone(flow: Flow, step: slice) -> Flow:
    """One step of what a flow can decide."""
    return replace(flow.at(step), fixed_p=np.zeros(1), fixed_q=np.zeros(1))


def _prosumer(home: Prosumer, steps: slice, names: Sequence[str], flows: Sequence[Flow]) -> Prosumer:
    """With limits of the connection that can be kept in every step, other steps left out of account."""
    fixed = np.sum([flow.fixed_p for flow in flows], axis=0)
    give = np.sum([flow.give_max for flow in flows], axis=0)
    take = np.sum([flow.take_max for flow in flows], axis=0)
    bought = max(home.import_limit_kw, float((-fixed - give).max()) + SPARE)
    sold = max(home.export_limit_kw, float((fixed - take).max()) + SPARE)
    assets = tuple(Known(name, flow) for name, flow in zip(names, flows, strict=True))
    return Prosumer(home.name, home.bus, assets, home.import_price[steps], home.export_price[steps], bought, sold)
