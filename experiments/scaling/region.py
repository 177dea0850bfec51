"""Regions of any size: low-voltage grids of SimBench behind a medium-voltage backbone drawn at random.

Every area is built where it is needed, from its number alone: the grid, who has PV and which share of the roofs.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

import grid
from admmflex import scenario
from admmflex.comm import Comm, own_prosumers
from admmflex.coordination.area import Member
from admmflex.coordination.community import Community
from admmflex.coordination.trunk import Trunk
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import Study
from admmflex.horizon import IntArray
from experiments.benchmarks.synthetic import MEDIUM, radial

GRIDS = ("1-LV-rural2--2-sw", "1-LV-rural3--2-sw", "1-LV-semiurb4--2-sw", "1-LV-semiurb5--2-sw", "1-LV-urban6--2-sw")
SHARES = 0.2, 0.9  # of the buses with PV
TRANSFORMER_KVA = 400.0  # of the substation, for each area
PRICE_SCALE = 0.3  # a typical tariff [EUR/kWh]
ABOVE = 2  # buses of the backbone before the first that has an area


@cache
def _scenario() -> scenario.Scenario:
    return scenario.load(Path(__file__).parent / "area.yaml")


def study(number: int) -> Study:
    """The area as a study of its own."""
    loaded = _scenario()
    assert isinstance(loaded.spec, ScenarioSpec)
    document = loaded.spec.model_dump(by_alias=True, exclude_unset=True)
    document["network"]["source"] = GRIDS[number % len(GRIDS)]
    document["prosumers"]["adoption"]["pv"]["share"] = np.random.default_rng(number).uniform(*SHARES)
    document["seed"] = number
    return scenario.build(replace(loaded, spec=ScenarioSpec.model_validate(document)))


@cache
def size(kind: int) -> int:
    """Prosumers of the areas on a grid of this kind."""
    return len(study(kind).prosumers)


def sizes(areas: int) -> IntArray:
    """Prosumers of every area."""
    return np.array([size(number % len(GRIDS)) for number in range(areas)])


def areas_for(prosumers: int) -> int:
    """How many areas have about so many prosumers."""
    kinds = len(GRIDS)
    return max(1, round(prosumers * kinds / int(sizes(kinds).sum())))


def owned(areas: int, rank: int, ranks: int) -> IntArray:
    """The areas of a rank, shared out as ``regional.parts`` does."""
    number = np.repeat(np.arange(areas), sizes(areas))
    return np.unique(number[own_prosumers(number, rank, ranks)])


def member(number: int) -> Member:
    """The area as it enters a region; its node has its number."""
    day = study(number)
    position = day.network.positions([one.bus for one in day.prosumers])
    order = np.argsort(position, kind="stable")
    buses, bus = np.unique(position[order], return_inverse=True)
    prosumers = [day.prosumers[i] for i in order]
    community = Community.of(prosumers, bus.astype(np.int64), day.horizon, PRICE_SCALE)
    return Member(day.network, day.limits, number, buses, community)


def backbone(areas: int) -> Trunk:
    """The substation, and one bus for each area."""
    network = radial(areas + ABOVE, areas * TRANSFORMER_KVA, np.random.default_rng(areas), MEDIUM)
    nodes = np.arange(ABOVE, areas + ABOVE, dtype=np.int64)
    return Trunk(network, grid.Limits.of(network), nodes, study(0).horizon.dt_h)


def parts(areas: int, comm: Comm) -> tuple[tuple[Member, ...], Trunk]:
    """What a rank owns of a region."""
    return tuple(member(int(number)) for number in owned(areas, comm.rank, comm.size)), backbone(areas)
