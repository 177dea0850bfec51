"""PV, batteries, cars and heat pumps that are added to a share of the prosumers, drawn with the seed of the scenario.

Every draw has its own stream and is made for all candidates, so that a larger share keeps the devices of a smaller one
and adding one kind of device moves none of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from admmflex.assets import Asset, ElectricVehicle
from admmflex.data import heat, make
from admmflex.data.driving import draw_sessions
from admmflex.data.model_spec import AdoptedEv, AdoptedHeatPump, AdoptedPv, AdoptionSpec
from admmflex.data.profiles import Columns
from admmflex.data.weather import Weather
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer

CLEAR_SKY = "clear_sky"


class _Stream(IntEnum):
    """What a stream of random numbers is for."""

    PLACES = 0
    OWNERS = 1
    PROFILES = 2
    SIZES = 3
    BATTERIES = 4
    CARS = 5
    CAR_SIZES = 6
    DRIVING = 7
    PUMPS = 8
    PUMP_SIZES = 9


@dataclass(frozen=True)
class Draw:
    """P plants: positions of their owners (P,), sizes (P,), profiles, and which of the plants have a battery (B,)."""

    owners: IntArray
    kwp: Array
    profile: tuple[str, ...]
    has_battery: IntArray


@dataclass(frozen=True)
class Surroundings:
    """What is common to all devices: profiles of the network, steps, weather and the seed."""

    columns: Columns
    horizon: Horizon
    weather: Weather
    seed: int

    def stream(self, purpose: _Stream) -> np.random.Generator:
        """Random numbers for one purpose."""
        return np.random.default_rng([self.seed, purpose])


def draw(spec: AdoptionSpec, buses: IntArray, profiles: Sequence[str], seed: int) -> Draw:
    """Choose owners, sizes and profiles of plants.

    Args:
        spec: with ``pv``.
        buses: bus of every candidate.
        profiles: names that a plant may draw.
    """

    def stream(purpose: _Stream) -> np.random.Generator:
        return np.random.default_rng([seed, purpose])

    n = len(buses)
    if spec.pv is None:
        nothing = np.zeros(0, np.int64)
        return Draw(nothing, np.zeros(0), (), nothing)
    owners = _owners(spec.pv, buses, stream(_Stream.PLACES), stream(_Stream.OWNERS))
    kwp = _sizes(spec.pv.kwp, n, stream(_Stream.SIZES))[owners]
    drawn = stream(_Stream.PROFILES).integers(len(profiles), size=n)[owners]
    rank = stream(_Stream.BATTERIES).permutation(n)[owners]
    share = spec.battery.share_of_pv if spec.battery else 0.0
    chosen = np.argsort(rank)[: round(share * len(owners))]
    return Draw(owners, kwp, tuple(profiles[k] for k in drawn), np.sort(chosen))


def _sizes(size: float | tuple[float, float], count: int, stream: np.random.Generator) -> Array:
    """One size for all, or uniform draws."""
    low, high = size if isinstance(size, tuple) else (size, size)
    return stream.uniform(low, high, count)


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


def adopt(spec: AdoptionSpec, prosumers: Sequence[Prosumer], around: Surroundings) -> list[Prosumer]:
    """The prosumers with what is added; the candidates are those that own a load.

    Raises:
        InputError: nobody has a load, no PV profile of the network, or no profile of the given name.
    """
    able = [k for k, p in enumerate(prosumers) if any(a.kind == "load" for a in p.assets)]
    if not able:
        raise InputError(
            Fault("adoption", "the network has no loads", "at least one load", "use another network or list prosumers")
        )
    candidates = [prosumers[k] for k in able]
    added: list[list[Asset]] = [[] for _ in candidates]
    if spec.pv is not None:
        _add_plants(spec, spec.pv, candidates, added, around)
    if spec.ev is not None:
        _add_cars(spec.ev, candidates, added, around)
    if spec.heat_pump is not None:
        _add_pumps(spec.heat_pump, candidates, added, around)
    result = list(prosumers)
    limits = spec.model_dump(include={"import_limit_kw", "export_limit_kw"}, exclude_none=True)
    for k, assets in zip(able, added, strict=True):
        result[k] = replace(result[k], assets=(*result[k].assets, *assets), **limits)
    return result


def _add_plants(
    spec: AdoptionSpec, pv: AdoptedPv, candidates: Sequence[Prosumer], added: list[list[Asset]], around: Surroundings
) -> None:
    shapes = _shapes(pv, around)
    found = draw(spec, np.array([one.bus for one in candidates]), list(shapes), around.seed)
    batteries = set(found.has_battery.tolist())
    for number, (owner, kwp, profile) in enumerate(zip(found.owners, found.kwp, found.profile, strict=True)):
        name = candidates[owner].name
        added[owner].append(make.pv(f"{name} added PV", float(kwp), kwp * shapes[profile], pv))
        if spec.battery and number in batteries:
            added[owner].append(make.battery(f"{name} added battery", spec.battery.kwh, spec.battery.kw, spec.battery))


def _shapes(pv: AdoptedPv, around: Surroundings) -> dict[str, Array]:
    """The profiles per kWp that a plant may have."""
    columns = around.columns
    if pv.profile == CLEAR_SKY and CLEAR_SKY not in columns.values:
        return {CLEAR_SKY: around.weather.sun}
    names = [pv.profile] if pv.profile else sorted(name for name in columns.values if name.startswith("PV"))
    if not names:
        remedy = "name one with profile, or profile: clear_sky with a place in weather"
        raise InputError(Fault("adoption.pv", f"{columns.source} has no PV profile", "a profile per kWp", remedy))
    return {name: columns.find(name, "adoption.pv", "profile") for name in names}


def _add_cars(spec: AdoptedEv, candidates: Sequence[Prosumer], added: list[list[Asset]], around: Surroundings) -> None:
    n, sizes = len(candidates), around.stream(_Stream.CAR_SIZES)
    charger, capacity = _sizes(spec.charger_kw, n, sizes), _sizes(spec.capacity_kwh, n, sizes)
    for k in _chosen(spec.share, n, around.stream(_Stream.CARS)):
        kw, kwh = float(charger[k]), float(capacity[k])
        added[k].append(
            ElectricVehicle(
                name=f"{candidates[k].name} added car",
                capacity_kwh=kwh,
                charger_kw=kw,
                sessions=draw_sessions(spec, kwh, kw, around.horizon, (around.seed, _Stream.DRIVING, int(k))),
                eta_c=spec.eta_c,
                eta_d=spec.eta_d,
                v2g_kw=min(spec.v2g_kw, kw),
                wear=spec.wear,
                reserve_kwh=spec.reserve * kwh if spec.v2g_kw > 0.0 else 0.0,
                relax=spec.relax,
                shortfall_price=spec.shortfall_price,
            )
        )


def _add_pumps(
    spec: AdoptedHeatPump, candidates: Sequence[Prosumer], added: list[list[Asset]], around: Surroundings
) -> None:
    n, sizes = len(candidates), around.stream(_Stream.PUMP_SIZES)
    heat_kw, constant = _sizes(spec.heat_kw, n, sizes), _sizes(spec.time_constant_h, n, sizes)
    start, shift = sizes.uniform(0.1, 0.6, n), np.clip(sizes.standard_normal(n), -2.0, 2.0)
    for k in _chosen(spec.share, n, around.stream(_Stream.PUMPS)):
        added[k].append(
            heat.of_building(
                f"{candidates[k].name} added heat pump",
                spec,
                heat_kw=float(heat_kw[k]),
                time_constant_h=float(constant[k]),
                start=float(start[k]),
                shift_h=spec.setback_std_h * float(shift[k]),
                outdoor_c=around.weather.outdoor_c,
                horizon=around.horizon,
            )
        )


def _chosen(share: float, count: int, stream: np.random.Generator) -> IntArray:
    """Positions of a share of the candidates, ascending."""
    return np.sort(stream.permutation(count)[: round(share * count)])
