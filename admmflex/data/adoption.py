"""PV and batteries that are added to a share of the prosumers, drawn with the seed of the scenario.

Every draw has its own stream and is made for all candidates, so that a larger share keeps the plants of a smaller one
and adding batteries moves no plant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from admmflex.data import make
from admmflex.data.profiles import Columns
from admmflex.data.spec import AdoptedPv, AdoptionSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.prosumer import Prosumer

_PLACES, _OWNERS, _PROFILES, _SIZES, _BATTERIES = range(5)


@dataclass(frozen=True)
class Draw:
    """P plants: positions of their owners (P,), sizes (P,), profiles, and which of the plants have a battery (B,)."""

    owners: IntArray
    kwp: Array
    profile: tuple[str, ...]
    has_battery: IntArray


def draw(spec: AdoptionSpec, buses: IntArray, profiles: Sequence[str], seed: int) -> Draw:
    """Choose owners, sizes and profiles.

    Args:
        buses: bus of every candidate.
        profiles: names that a plant may draw.
    """

    def stream(purpose: int) -> np.random.Generator:
        return np.random.default_rng([seed, purpose])

    owners = _owners(spec.pv, buses, stream(_PLACES), stream(_OWNERS))
    n = len(buses)
    low, high = spec.pv.kwp if isinstance(spec.pv.kwp, tuple) else (spec.pv.kwp, spec.pv.kwp)
    kwp = stream(_SIZES).uniform(low, high, n)[owners]
    drawn = stream(_PROFILES).integers(len(profiles), size=n)[owners]
    rank = stream(_BATTERIES).permutation(n)[owners]
    share = spec.battery.share_of_pv if spec.battery else 0.0
    chosen = np.argsort(rank)[: round(share * len(owners))]
    return Draw(owners, kwp, tuple(profiles[k] for k in drawn), np.sort(chosen))


def _owners(pv: AdoptedPv, buses: IntArray, places: np.random.Generator, owners: np.random.Generator) -> IntArray:
    """Positions of the candidates that get PV, ascending: any of them, or one at each chosen bus."""
    if pv.of == "prosumers":
        return np.sort(places.permutation(len(buses))[: round(pv.share * len(buses))])
    load_buses = np.unique(buses)
    chosen = places.permutation(load_buses)[: round(pv.share * len(load_buses))]
    lot = owners.random(len(buses))
    first = np.lexsort((lot, buses))
    winner = first[np.concatenate([[True], np.diff(buses[first]) > 0])]
    return np.sort(winner[np.isin(buses[winner], chosen)])


def adopt(spec: AdoptionSpec, prosumers: Sequence[Prosumer], columns: Columns, seed: int) -> list[Prosumer]:
    """The prosumers with the added plants and batteries; the candidates are those that own a load.

    Raises:
        InputError: nobody has a load, no PV profile of the network, or no profile of the given name.
    """
    able = np.array([k for k, p in enumerate(prosumers) if any(a.kind == "load" for a in p.assets)], dtype=np.int64)
    if not len(able):
        raise InputError(
            Fault("adoption", "the network has no loads", "at least one load", "use another network or list prosumers")
        )
    names = [spec.pv.profile] if spec.pv.profile else sorted(name for name in columns.values if name.startswith("PV"))
    if not names:
        raise InputError(
            Fault("adoption.pv", f"{columns.source} has no PV profile", "a profile per kWp", "name one with profile")
        )
    shapes = {name: columns.find(name, "adoption.pv", "profile") for name in names}
    found = draw(spec, np.array([prosumers[k].bus for k in able]), names, seed)
    batteries = set(found.has_battery.tolist())
    result = list(prosumers)
    for number, (owner, kwp, profile) in enumerate(zip(able[found.owners], found.kwp, found.profile, strict=True)):
        who = result[owner]
        added = [make.pv(f"{who.name} added PV", float(kwp), kwp * shapes[profile], spec.pv)]
        assets = [*who.assets, *added]
        if spec.battery and number in batteries:
            assets.append(make.battery(f"{who.name} added battery", spec.battery.kwh, spec.battery.kw, spec.battery))
        result[owner] = replace(who, assets=tuple(assets))
    return result
