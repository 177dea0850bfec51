"""A part of a grid on its own: cut loose at open branches, with another bus as the slack."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from grid import topology
from grid.arrays import BoolArray, IntArray
from grid.errors import Fault, InputError
from grid.network import Network


def find_branches(network: Network, names: tuple[str, ...]) -> IntArray:
    """Positions of branches by what messages call them: ``line 3``, ``trafo 0``, or their name.

    Raises:
        InputError: unknown or ambiguous names, all of them.
    """
    found, faults = [], []
    kinds = zip(network.branch_kinds, network.branch_index, strict=True)
    numbered = [f"{kind} {index}" for kind, index in kinds]
    for name in names:
        at = [e for e in range(network.m) if name in (numbered[e], network.branch_names[e])]
        if len(at) == 1:
            found += at
        else:
            value = "several branches have this name" if at else "no such branch"
            allowed = f"one of {network.m} branches, such as {numbered[0]!r}" if network.m else "a branch"
            faults.append(Fault(f"open branch {name!r}", value, allowed, "use kind and index, such as 'line 3'"))
    if faults:
        raise InputError(faults)
    return np.array(found, dtype=np.int64)


def island(network: Network, root: int, opened: IntArray, v_slack: complex) -> Network:
    """What hangs together with bus ``root`` once branches are open, with that bus as the slack.

    Args:
        network: n buses, m branches.
        root: position of the bus that holds the voltage.
        opened: positions of branches that are open; both their ends are.
        v_slack: voltage that is held [pu].

    Returns:
        The island: buses in depth-first preorder from the new slack; everything else is left out.

    Raises:
        InputError: the island holds on to the old slack.
    """
    closed: BoolArray = np.ones(network.m, dtype=np.bool_)
    closed[opened] = False
    kept = topology.preorder(network.n, network.from_bus[closed], network.to_bus[closed], root)
    if 0 in kept:
        where = f"{network.bus_label(root)} is still connected to the upstream grid at {network.bus_label(0)}"
        allowed = "an island that open branches cut off"
        raise InputError(Fault("island", where, allowed, "open more branches, such as the transformer"))
    place = np.full(network.n, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    branch = np.flatnonzero(closed & (place[network.from_bus] >= 0))
    known = place[network.known_positions] >= 0
    names = (
        "y_ff",
        "y_ft",
        "y_tf",
        "y_tt",
        "branch_index",
        "is_transformer",
        "i_max_from",
        "i_max_to",
        "s_max",
        "length_km",
    )
    by_branch = {name: getattr(network, name)[branch] for name in names}
    by_bus = {name: getattr(network, name)[kept] for name in ("buses", "base_kv", "v_min", "v_max", "shunt_y", "geo")}
    return replace(
        network,
        name=f"{network.name} (island)",
        v_slack=complex(v_slack),
        bus_names=tuple(network.bus_names[i] for i in kept),
        known_buses=network.known_buses[known],
        known_positions=place[network.known_positions[known]],
        from_bus=place[network.from_bus[branch]],
        to_bus=place[network.to_bus[branch]],
        branch_kinds=tuple(network.branch_kinds[e] for e in branch),
        branch_names=tuple(network.branch_names[e] for e in branch),
        **by_branch,
        **by_bus,
    )
