"""Copies of the areas of one region, with other owners of other devices: drawn as arrays, none is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.comm import SerialComm
from admmflex.coordination.area import Member
from admmflex.coordination.community import Community
from admmflex.coordination.regional import Parts, divide, parts
from admmflex.coordination.schemes import Sorted
from admmflex.coordination.trunk import Trunk
from admmflex.data.study import Study
from admmflex.horizon import Array, BoolArray
from admmflex.prosumers.chain_homes import ChainHomes, Edges, Field
from admmflex.response.chain import ChainResponse
from admmflex.response.population import Population
from grid import Division

KWP = (4.0, 6.0, 8.0, 10.0)
KWH = (5.0, 10.0)
POWER_FACTOR, Q_COST = 0.95, 0.002
EFFICIENCY, WEAR, START = 0.95, 0.02, 0.2
C_RATE = 0.5  # kW per kWh
LOAD_FACTOR = (0.8, 1.2)


@dataclass(frozen=True)
class Adoption:
    """Shares of homes with PV, drawn area by area between the two, and of these with a battery."""

    least: float = 0.2
    most: float = 0.7
    battery: float = 0.5


@dataclass(frozen=True)
class Template:
    """A region as it is in the file.

    Args:
        division: its parts.
        parts: its areas with those who live there.
        position: per area (n,) of the prosumers in the whole grid.
        sun: (K,) output of 1 kWp [kW].
        tariff: (2, K) import and export [EUR/kWh].
    """

    study: Study
    division: Division
    parts: Parts
    position: tuple[Array, ...]
    sun: Array
    tariff: Array


def template(study: Study) -> Template:
    """Take a region apart once."""
    division, ordered = divide(study), Sorted.of(study, SerialComm())
    assert division is not None
    position = ordered.buses[ordered.bus]
    found = parts(study, division, ordered.prosumers, position, SerialComm())
    counts = np.cumsum([len(one.community.bus) for one in found.members])[:-1]
    homes = _homes(found.members[int(np.argmax([len(one.community.bus) for one in found.members]))])
    avail = homes.profile(Field.AVAIL)
    sun = avail[int(np.argmax(avail.max(axis=1)))] / 10.0
    tariff = np.array([homes.profile(field)[0] for field in (Field.IMPORT, Field.EXPORT)])
    return Template(study, division, found, tuple(np.split(position, counts)), sun, tariff)


def copy(one: Template, seed: int, number: int, adoption: Adoption) -> tuple[list[Member], Trunk]:
    """Copy ``number`` of the region, with other owners; the same for the same seed, whoever draws it."""
    draw = np.random.default_rng([seed, number])
    members = [replace(member, community=_community(member, one, draw, adoption)) for member in one.parts.members]
    trunk = one.parts.trunk
    return members, Trunk(trunk.dso.network, trunk.dso.limits, trunk.nodes, trunk.dt_h)


def _homes(member: Member) -> ChainHomes:
    response = member.community.population.responses[0]
    assert isinstance(response, ChainResponse)
    return response.homes


def _community(member: Member, one: Template, draw: np.random.Generator, adoption: Adoption) -> Community:
    """New owners for the homes of an area."""
    old, known = member.community, _homes(member)
    n, steps = len(known), len(old.dt_h)
    sunny = draw.random(n) < draw.uniform(adoption.least, adoption.most)
    stores = sunny & (draw.random(n) < adoption.battery)
    size, capacity = draw.integers(len(KWP), size=n), draw.integers(len(KWH), size=n)
    factor = draw.uniform(*LOAD_FACTOR, size=n)[:, None]
    table, row = _table(one, steps)
    first = len(table)
    loads = np.concatenate([known.profile(Field.LOAD_P) * factor, known.profile(Field.LOAD_Q) * factor])
    index = np.empty((n, len(Field)), np.int64)
    index[:] = row["zero"]
    index[:, [Field.ETA_TAKE, Field.ETA_GIVE, Field.KEEP]] = row["one"]
    index[:, Field.LOAD_P], index[:, Field.LOAD_Q] = first + np.arange(n), first + n + np.arange(n)
    index[:, Field.IMPORT], index[:, Field.EXPORT] = row["import"], row["export"]
    index[sunny, Field.AVAIL] = row["avail"] + size[sunny]
    index[sunny, Field.GEN_Q_MAX] = row["q_max"] + size[sunny]
    for field, name in ((Field.TAKE_MAX, "kw"), (Field.GIVE_MAX, "kw"), (Field.E_MIN, "low"), (Field.E_MAX, "high")):
        index[stores, field] = row[name] + capacity[stores]
    index[np.ix_(stores, [Field.ETA_TAKE, Field.ETA_GIVE])] = row["eta"]
    index[np.ix_(stores, [Field.TAKE_COST, Field.GIVE_COST])] = row["wear"]
    none = Edges(np.zeros(n, np.int64), np.zeros((n, 1)), np.zeros((n, 1)))
    homes = ChainHomes(
        rows=np.arange(n), bus=old.bus, table=np.concatenate([table, loads]), index=index,
        e_start=np.where(stores, START * np.array(KWH)[capacity], 0.0), end_value=np.zeros(n),
        gen_q_cost=np.where(sunny, Q_COST, 0.0), store_q_cost=np.zeros(n), gen_edges=none, store_edges=none,
    )  # fmt: skip
    population = Population([ChainResponse(homes, old.dt_h)], n, steps)
    return replace(old, population=population, flexible=_flexible(sunny, stores, one.sun), reach=None)


def _table(one: Template, steps: int) -> tuple[Array, dict[str, int]]:
    """Profiles of all devices, and where each kind begins."""
    q_per_kwp = np.tan(np.arccos(POWER_FACTOR))
    low = np.zeros((len(KWH), steps))
    low[:, -1] = START * np.array(KWH)
    blocks = {
        "zero": np.zeros((1, steps)), "one": np.ones((1, steps)),
        "import": one.tariff[:1], "export": one.tariff[1:],
        "avail": np.outer(KWP, one.sun), "q_max": np.outer(KWP, np.full(steps, q_per_kwp)),
        "kw": np.outer(KWH, np.full(steps, C_RATE)), "low": low, "high": np.outer(KWH, np.ones(steps)),
        "eta": np.full((1, steps), EFFICIENCY), "wear": np.full((1, steps), WEAR),
    }  # fmt: skip
    first = np.cumsum([0, *(len(block) for block in blocks.values())])
    return np.concatenate(list(blocks.values())), dict(zip(blocks, first.tolist(), strict=False))


def _flexible(sunny: BoolArray, stores: BoolArray, sun: Array) -> BoolArray:
    """(2, n, K) where power can move at all."""
    active = (sunny[:, None] & (sun > 0.0)) | stores[:, None]
    return np.array([active, np.broadcast_to(sunny[:, None], active.shape)])
