"""Which buses of a pandapower grid the slack supplies, from its tables alone: also of a grid with other faults."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

_ENDS = {
    "line": ("l", ("from_bus", "to_bus")),
    "trafo": ("t", ("hv_bus", "lv_bus")),
    "trafo3w": ("t3", ("hv_bus", "mv_bus", "lv_bus")),
    "impedance": ("", ("from_bus", "to_bus")),
    "tcsc": ("", ("from_bus", "to_bus")),
    "dcline": ("", ("from_bus", "to_bus")),
}
_CARRYING = ("load", "sgen", "storage", "shunt", "asymmetric_load", "asymmetric_sgen")


def lost_and_spare(net: Any) -> tuple[list[int], list[int]]:
    """Buses in service without supply: those that should have one, and spare ones behind open switches.

    A bus is spare when its island meets an open switch and carries nothing. Without a slack no bus is named: that is
    another fault.
    """
    slacks = net.ext_grid.bus[net.ext_grid.in_service.astype(bool)]
    buses = sorted(set(net.bus.index[net.bus.in_service.astype(bool)]))
    place = {bus: i for i, bus in enumerate(buses)}
    if not len(slacks) or not buses:
        return [], []
    pairs = np.array([(place[a], place[b]) for a, b in _joined(net) if a in place and b in place], np.int64)
    one, other = pairs.reshape(-1, 2).T
    graph = sp.coo_array((np.ones(len(one)), (one, other)), shape=(len(buses), len(buses)))
    island = connected_components(graph, directed=False)[1]

    def islands(found: Iterable[Any]) -> set[int]:
        return {int(island[place[bus]]) for bus in found if bus in place}

    fed = islands(slacks)
    carrying = [bus for table in _CARRYING for bus in _in_service(net, table, "bus")]
    spare = islands(_at_open_switches(net)) - islands(carrying) - fed
    off = [bus for bus in buses if island[place[bus]] not in fed]
    return [bus for bus in off if not islands([bus]) & spare], [bus for bus in off if islands([bus]) & spare]


def _in_service(net: Any, table: str, column: str) -> list[Any]:
    rows = net.get(table, ())
    return rows[column][rows.in_service.astype(bool)].tolist() if len(rows) else []


def _joined(net: Any) -> Iterator[tuple[Any, Any]]:
    """Pairs of buses that a closed switch or a branch in service joins; an open switch at an end parts it."""
    switch = net.switch
    closed = switch.closed.astype(bool)
    yield from zip(switch.bus[closed & (switch.et == "b")], switch.element[closed & (switch.et == "b")], strict=True)
    for table, (kind, ends) in _ENDS.items():
        rows = net.get(table, ())
        if not len(rows):
            continue
        opened = switch[~closed & (switch.et == kind)]
        open_at = set(zip(opened.element, opened.bus, strict=True))
        rows = rows[rows.in_service.astype(bool)]
        for index, *buses in zip(rows.index, *(rows[end] for end in ends), strict=True):
            held = [bus for bus in buses if (index, bus) not in open_at]
            if len(held) == len(buses) or kind == "t3":
                yield from pairwise(held)


def _at_open_switches(net: Any) -> Iterator[Any]:
    """Buses at open switches, and at the ends of what these part."""
    opened = net.switch[~net.switch.closed.astype(bool)]
    yield from opened.bus
    yield from opened.element[opened.et == "b"]
    for table, (kind, ends) in _ENDS.items():
        if kind and len(net.get(table, ())):
            rows = net[table][net[table].index.isin(opened.element[opened.et == kind])]
            for end in ends:
                yield from rows[end]
