"""A radial grid of two voltage levels, taken apart at its substations: a trunk, and an area behind each transformer."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from grid.arrays import BoolArray, IntArray, freeze
from grid.limits import Limits
from grid.network import Network

LOW_KV = 1.0  # below: low voltage


@dataclass(frozen=True, eq=False)
class Area:
    """A part of a grid as a grid of its own.

    Args:
        network: n buses; an area's slack, position 0, is the bus of the trunk that it hangs on, and the first branch
            behind it the transformer.
        at: position of that bus in the trunk; 0 for the trunk itself.
        buses, branches: (n,), (m,) positions in the whole grid.
    """

    network: Network
    at: int
    buses: IntArray
    branches: IntArray

    def limits(self, whole: Limits) -> Limits:
        """The limits of the whole grid that belong here, but for those of its slack."""
        place = np.full(whole.network.m, -1, dtype=np.int64)
        place[self.branches] = np.arange(len(self.branches))
        here = np.flatnonzero(place[whole.branch] >= 0)
        bus = np.full(whole.network.n, -1, dtype=np.int64)
        bus[self.buses] = np.arange(len(self.buses))
        network = replace(self.network, v_min=whole.network.v_min[self.buses], v_max=whole.network.v_max[self.buses])
        return Limits(
            network=network,
            branch=place[whole.branch[here]],
            at_from=whole.at_from[here],
            as_power=whole.as_power[here],
            from_bus=bus[whole.from_bus[here]],
            to_bus=bus[whole.to_bus[here]],
            c_f=whole.c_f[here],
            c_t=whole.c_t[here],
        )


@dataclass(frozen=True, eq=False)
class Division:
    """A grid taken apart.

    Args:
        trunk: what is above all areas, as a grid of its own.
        areas: in the order of their buses.
        area_of: (n,) which area a bus of the whole grid belongs to, -1 on the trunk.
    """

    trunk: Area
    areas: tuple[Area, ...]
    area_of: IntArray

    def busbar(self, network: Network, position: int) -> Area:
        """A bus of the trunk as an area of one bus, for those who are connected there; ``position`` in the whole."""
        at = int(np.searchsorted(self.trunk.buses, position))
        here = np.array([position], dtype=np.int64)
        return Area(_part(network, here, np.zeros(0, dtype=np.int64)), at, here, np.zeros(0, dtype=np.int64))


def divide(network: Network) -> Division | None:
    """Cut a radial grid where a transformer leads down to low voltage.

    None where there is nothing to cut: a meshed grid, or fewer than two such areas.
    """
    parent = network.parent
    if parent is None:
        return None
    low = network.base_kv < LOW_KV
    head = np.flatnonzero(low[1:] & ~low[parent[1:]]) + 1
    if len(head) < 2:
        return None
    area_of = np.full(network.n, -1, dtype=np.int64)
    area_of[head] = np.arange(len(head))
    for bus in range(1, network.n):  # parents stand before their children
        if area_of[bus] < 0:
            area_of[bus] = area_of[parent[bus]]
    above = np.flatnonzero(area_of < 0)
    end = np.maximum(area_of[network.from_bus], area_of[network.to_bus])
    trunk = Area(_part(network, above, np.flatnonzero(end < 0)), 0, above, np.flatnonzero(end < 0))
    order, branch_order = np.argsort(area_of, kind="stable"), np.argsort(end, kind="stable")
    first = np.searchsorted(area_of[order], np.arange(len(head) + 1))
    first_branch = np.searchsorted(end[branch_order], np.arange(len(head) + 1))
    areas = []
    for a, top in enumerate(head):
        buses = np.concatenate([[parent[top]], order[first[a] : first[a + 1]]])
        branches = np.sort(branch_order[first_branch[a] : first_branch[a + 1]])
        at = int(np.searchsorted(above, parent[top]))
        areas.append(Area(_part(network, buses, branches), at, buses, branches))
    return Division(trunk, tuple(areas), freeze(area_of))


def _part(network: Network, buses: IntArray, branches: IntArray) -> Network:
    """Some buses and branches of a grid; the first bus is its slack and carries nothing of its own."""
    place = np.full(network.n, -1, dtype=np.int64)
    place[buses] = np.arange(len(buses))
    known: BoolArray = place[network.known_positions] >= 0
    shunt = network.shunt_y[buses].copy()
    if buses[0] != 0:
        shunt[0] = 0.0
    changes: dict[str, object] = {"shunt_y": shunt, "notes": ()}
    for name in ("buses", "base_kv", "v_min", "v_max", "geo"):
        changes[name] = getattr(network, name)[buses]
    changes["bus_names"] = tuple(network.bus_names[i] for i in buses)
    changes["known_buses"] = network.known_buses[known]
    changes["known_positions"] = place[network.known_positions[known]]
    for name in ("y_ff", "y_ft", "y_tf", "y_tt", "branch_index", "is_transformer", "i_max_from", "i_max_to", "s_max"):
        changes[name] = getattr(network, name)[branches]
    changes["length_km"] = network.length_km[branches]
    changes["from_bus"], changes["to_bus"] = place[network.from_bus[branches]], place[network.to_bus[branches]]
    changes["branch_kinds"] = tuple(network.branch_kinds[i] for i in branches)
    changes["branch_names"] = tuple(network.branch_names[i] for i in branches)
    kept = {one.name: getattr(network, one.name) for one in fields(network) if one.name not in changes}
    return Network(**(kept | changes))
