"""A study of two voltage levels as a region: which prosumers live in which area, and which areas a rank owns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import grid
from admmflex.comm import Comm, own_prosumers
from admmflex.coordination.area import Member
from admmflex.coordination.community import Community
from admmflex.coordination.trunk import Trunk
from admmflex.data.study import Study
from admmflex.horizon import IntArray
from admmflex.response.choose import AnyProsumer


@dataclass(frozen=True)
class Parts:
    """A rank's share of a region.

    Args:
        members: its areas, in the order of their buses.
        own: which of the sorted prosumers live there.
        trunk: the same on every rank.
    """

    members: tuple[Member, ...]
    own: slice
    trunk: Trunk


def divide(study: Study) -> grid.Division | None:
    """The areas of a study that is coordinated area by area; None for one that is coordinated as a whole.

    Limits of what is drawn upstream, islands and devices under suspicion concern all areas at once.
    """
    whole = study.limits.connection is not None or study.threat is not None or study.settings.mixing is False
    return None if whole else grid.divide(study.network)


def parts(
    study: Study, division: grid.Division, prosumers: Sequence[AnyProsumer], position: IntArray, comm: Comm
) -> Parts:
    """What a rank owns of a region.

    Args:
        prosumers: all of them, sorted by ``position`` (n,) in the whole grid.
    """
    label = division.area_of[position]
    home = np.where(label < 0, len(division.areas) + position, label)  # a bus of the trunk is an area of its own
    first = np.flatnonzero(np.diff(home, prepend=-1))
    number = np.repeat(np.arange(len(first)), np.diff([*first, len(home)]))
    places = [
        division.areas[a] if a >= 0 else division.busbar(study.network, int(position[i]))
        for i, a in zip(first, label[first], strict=True)
    ]
    nodes, node = np.unique([place.at for place in places], return_inverse=True)
    own = own_prosumers(number, comm.rank, comm.size)
    scale = float(np.mean([np.mean(np.abs(one.import_price)) for one in prosumers]))
    members = []
    for i in np.unique(number[own]).tolist():
        here = np.flatnonzero(number == i)
        buses, bus = np.unique(np.searchsorted(places[i].buses, position[here]), return_inverse=True)
        community = Community.of(
            [prosumers[k] for k in here.tolist()], bus.astype(np.int64), study.horizon, max(scale, 1e-3)
        )
        limits = places[i].limits(study.limits)
        members.append(Member(limits.network, limits, int(node[i]), buses, community))
    above = division.trunk.limits(study.limits)
    return Parts(tuple(members), own, Trunk(above.network, above, nodes.astype(np.int64), study.horizon.dt_h))
