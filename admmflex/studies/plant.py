"""Homes as they really are: their devices follow what they are told as far as they can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.data.reality import Reality
from admmflex.horizon import Array
from admmflex.prosumers.charting import Actions, Measured
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.period import Reactive

CURTAILED_KW = 1e-6  # by which a set-point must be below what a plant could give to mean curtailment


@dataclass(frozen=True, eq=False)
class Done:
    """What n homes did in a control step.

    Args:
        powers: (2, n) at the connections [kW, kvar].
        source, storage: (2, S), (2, C) [kW, kvar].
        energy: (C,) [kWh] at the end.
        wear: (n,) [EUR] cost of wear, of shed load and of reactive energy.
    """

    powers: Array
    source: Array
    storage: Array
    energy: Array
    wear: Array


class Plant:
    """The homes of a rank.

    Args:
        devices: what there is.
        reality: what happens.
        dt_h: [h] length of a control step.
    """

    def __init__(self, devices: Devices, reality: Reality, dt_h: float) -> None:
        self.devices, self.reality, self.dt_h = devices, reality, dt_h
        stores = devices.stores
        self.energy: Array = np.array([store.e_start for store in stores])
        self._store = np.array([[one.eta_give, one.eta_take, one.keep, one.gain] for one in stores])
        self._store = self._store.reshape(len(stores), 4, len(devices.dt))
        kinds = [one[0] for one in devices.storages]
        self._storage_cost = np.array([(one.give_cost, one.take_cost, _cost(one.reactive)) for one in kinds])
        self._storage_cost = self._storage_cost.reshape(-1, 3)
        sources = devices.sources
        self._give_cost = np.array([one.give_cost for one in sources])
        self._with_power = np.array([one.give_q for one in sources])
        self._source_edges = _edges([one.reactive for one in sources])
        self._storage_edges = _edges([one.reactive for one in kinds])

    def measured(self, t: int) -> Measured:
        """What is known at the beginning of control step t: powers of the step before, energy as it is."""
        before, seen = max(t - 1, 0), self.reality
        return Measured(seen.fixed_p[:, before], seen.fixed_q[:, before], seen.give[:, before], self.energy)

    def follow(self, t: int, step: int, seen: Measured, told: Actions) -> Done:
        """Control step t, in step ``step`` of the horizon.

        A plant that is not curtailed gives what it can; one that is, no more than it was told. What that and the load
        add to what was measured, the storages of the home take up as far as they can, so that its connection keeps the
        set-point; what they cannot take, the plants of a home do not give while the grid is full.
        """
        devices, give = self.devices, self.reality.give[:, t]
        unbound = devices.free & (told.source_p >= seen.give - CURTAILED_KW)
        source_p = np.where(unbound, give, np.minimum(told.source_p, give))
        surplus = self.reality.fixed_p[:, t] - seen.fixed_p
        np.add.at(surplus, devices.source_home, source_p - told.source_p)
        moved = self._moved(told.storage_p - self._share(step) * surplus[devices.storage_home], step)
        if told.firm is not None:
            np.add.at(surplus, devices.storage_home, moved - told.storage_p)
            source_p = self._held_back(source_p, np.where(told.firm, surplus.clip(0.0), 0.0))
        with_power = self._with_power * source_p
        reach = _reach(self._source_edges, devices.source_size[:, step], source_p)
        source = np.stack([source_p, with_power + np.clip(told.source_q - with_power, -reach, reach)])
        reach = _reach(self._storage_edges, devices.size[:, step], moved)
        storage = np.stack([moved, np.clip(told.storage_q, -reach, reach)])
        powers = np.stack([self.reality.fixed_p[:, t], self.reality.fixed_q[:, t]])
        for c in range(2):
            np.add.at(powers[c], devices.source_home, source[c])
            np.add.at(powers[c], devices.storage_home, storage[c])
        return Done(powers, source, storage, self.energy, self._wear(source, storage))

    def _held_back(self, source_p: Array, excess: Array) -> Array:
        """Sources that cost nothing give less by the excess (n,) of their home, in proportion."""
        home, total = self.devices.source_home, np.zeros(self.devices.homes)
        able = np.where(self.devices.free, source_p, 0.0)
        np.add.at(total, home, able)
        return np.asarray(source_p - able * np.minimum(excess / np.maximum(total, 1e-12), 1.0)[home])

    def _share(self, step: int) -> Array:
        """Part of the surplus of its home that each storage takes up: by power."""
        power = self.devices.give[:, step] + self.devices.take[:, step]
        total = np.zeros(self.devices.homes)
        np.add.at(total, self.devices.storage_home, power)
        return np.asarray(power / np.maximum(total[self.devices.storage_home], 1e-9))

    def _moved(self, wish: Array, step: int) -> Array:
        """Active power of storages that their limits and the energy in them allow; moves the energy on."""
        devices, dt = self.devices, self.dt_h
        share = dt / float(devices.dt[step])
        eta_give, eta_take, keep, gain = self._store[:, :, step].T
        rest = self.energy * keep**share + gain * share
        most = np.minimum(devices.give[:, step], np.maximum(rest - devices.low, 0.0) * eta_give / dt)
        least = np.minimum(devices.take[:, step], np.maximum(devices.high - rest, 0.0) / (eta_take * dt))
        moved = np.clip(wish, -least, most)
        self.energy = rest - dt * np.where(moved > 0.0, moved / eta_give, eta_take * moved)
        return np.asarray(moved)

    def _wear(self, source: Array, storage: Array) -> Array:
        wear, cost = np.zeros(self.devices.homes), self._storage_cost
        own = self._give_cost * source[0] + self.devices.reactive_cost * np.abs(source[1])
        np.add.at(wear, self.devices.source_home, self.dt_h * own)
        moved = cost[:, 0] * storage[0].clip(0.0) + cost[:, 1] * (-storage[0]).clip(0.0)
        np.add.at(wear, self.devices.storage_home, self.dt_h * (moved + cost[:, 2] * np.abs(storage[1])))
        return wear


def _cost(reactive: Reactive | None) -> float:
    return reactive.cost if reactive else 0.0


def _edges(kinds: Sequence[Reactive | None]) -> Array:
    """(S, J, 2) all limits (c, s) of |u| <= c size + s p, those that are missing repeated; |u| <= 0 for none."""
    rows = [[*one.edges, *([(1.0, 0.0)] if one.bounded else [])] if one else [(0.0, 0.0)] for one in kinds]
    most = max((len(row) for row in rows), default=1)
    return np.array([row + row[-1:] * (most - len(row)) for row in rows]).reshape(-1, most, 2)


def _reach(edges: Array, size: Array, power: Array) -> Array:
    """Largest reactive power at an active power."""
    limits = edges[:, :, 0] * size[:, None] + edges[:, :, 1] * power[:, None]
    return np.asarray(np.maximum(limits.min(axis=1, initial=np.inf), 0.0))
