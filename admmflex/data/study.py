"""The data that a coordination needs, built from a specification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from admmflex.data import (
    adoption,
    elements,
    exchange_limits,
    explicit,
    islands,
    network_prosumers,
    outages,
    tables,
    tariff,
)
from admmflex.data.clock import make_horizon
from admmflex.data.compromised import Suspects, suspects
from admmflex.data.network_prosumers import Source
from admmflex.data.plausibility import unit_faults
from admmflex.data.profiles import Columns, Resolver
from admmflex.data.prosumer_spec import ProsumerSpec
from admmflex.data.spec import CoordinationSpec, ScenarioSpec, SimbenchSpec, TablesSpec
from admmflex.data.validation import prosumer_rows
from admmflex.data.weather import Weather
from admmflex.errors import Fault, InputError, require
from admmflex.horizon import Array, BoolArray, Horizon
from admmflex.prosumers.connection import connection_faults
from admmflex.prosumers.prosumer import Prosumer, shortfalls
from admmflex.prosumers.threat import Threat
from grid import Case, Connection, Limits, Network

T = TypeVar("T")
_ONLY_LOADS = SimbenchSpec.model_validate({"by": "load", "pv": {"use": False}, "storages": {"use": "idle"}})
_NO_TABLE = Columns("tables.profiles, which is not given")
_SHOWN = 3
_LISTED = 20


@dataclass(frozen=True)
class Island:
    """An island: the prosumer that holds its voltage, and a typical price of energy [EUR/kWh], as it has no tariff."""

    grid_forming: str
    typical_price: float


@dataclass(frozen=True)
class Study:
    """Everything that a coordination needs.

    Args:
        network: with ``v_min`` and ``v_max`` of the scenario at every bus.
        limits: the rows of voltage and loading, with the shares of the ratings that the scenario allows.
        horizon: the steps.
        prosumers: names are unique; ``bus`` is a pandapower index that ``network.positions`` knows.
        settings: how to coordinate.
        seed: of everything that is drawn.
        notes: what was decided on the way and the user should know.
        island: what holds the voltage, where or while nothing is exchanged with the upstream grid.
        lasting: (K,) how probable it is that the outage still lasts, where that is not certain.
        out: (K,) the steps of an announced outage, if there is one.
        suspects: devices that may be compromised.
        threat: what they may do, once their last trusted plan is known.
    """

    network: Network
    limits: Limits
    horizon: Horizon
    prosumers: tuple[Prosumer, ...]
    settings: CoordinationSpec
    seed: int
    notes: tuple[str, ...]
    island: Island | None = None
    lasting: Array | None = None
    out: BoolArray | None = None
    suspects: Suspects | None = None
    threat: Threat | None = None


class _Collector:
    """Runs the parts of a build and keeps the faults of all of them."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)

    def __call__(self, part: Callable[[], T]) -> T | None:
        try:
            return part()
        except InputError as error:
            self.faults += error.faults
            return None


def build(spec: ScenarioSpec, folder: Path, faults: Sequence[Fault] = ()) -> Study:
    """Read the network and the profiles, make the prosumers, and check everything.

    Args:
        folder: relative paths start here.
        faults: what is known to be wrong already; reported together with what is found.

    Raises:
        InputError: every fault.
    """
    collect = _Collector(faults)
    case = collect(lambda: elements.read_network(spec.network, folder))
    horizon = collect(lambda: make_horizon(spec.horizon))
    prosumers, notes, profile = ([], [], None) if horizon is None else _prosumers(spec, folder, case, horizon, collect)
    if horizon is not None:
        known = None if case is None else frozenset(case.network.known_buses.tolist())
        collect.faults += _prosumer_faults(prosumers, horizon, known)
    doubtful = _suspects(spec, prosumers, collect)
    network = collect(lambda: None if case is None else _limited(case.network, spec))
    require(merged(collect.faults))
    if network is None or profile is None or horizon is None:
        raise InputError(merged(collect.faults))
    island, exchange, lasting, out = None, None, None, None
    if spec.island is not None:
        typical = float(np.mean([one.import_price.mean() for one in prosumers]))
        island = Island(spec.island.grid_forming, typical)
    if spec.mode == "islanded" and spec.island is not None:
        network, prosumers, note = islands.cut_loose(network, prosumers, spec.island)
        notes.append(note)
        exchange = Connection.closed(islands.typical_load(prosumers, horizon))
        if spec.outage is not None and spec.outage.duration is not None:
            lasting = outages.lasting(spec.outage.duration, horizon)
    elif spec.limits.connection is not None:
        exchange = exchange_limits.connection(spec.limits.connection, prosumers, profile)
        gap = exchange_limits.unmet(spec.limits.connection, exchange, network, horizon)
        prosumers += [] if gap is None else [gap]
    if spec.mode != "islanded" and spec.outage is not None and spec.island is not None:
        out = outages.window(spec.outage, horizon)
        prosumers = outages.prepared(prosumers, spec.island, out)
        exchange = outages.closed(out, exchange, islands.typical_load(prosumers, horizon))
    limits = Limits.of(
        network,
        transformer=spec.limits.transformer,
        line_loading=spec.limits.line_percent / 100.0,
        transformer_loading=spec.limits.transformer_percent / 100.0,
    )
    limits = replace(limits, connection=exchange)
    unserved = [one.text(horizon) for _, one in shortfalls(prosumers, horizon)]
    if len(unserved) > _LISTED:
        unserved[_LISTED:] = [f"and {len(unserved) - _LISTED} more devices or times that cannot be served"]
    remarks = (*network.notes, *notes, *unserved)
    return Study(
        network,
        limits,
        horizon,
        tuple(prosumers),
        spec.coordination,
        spec.seed,
        remarks,
        island,
        lasting,
        out,
        doubtful,
    )


def _suspects(spec: ScenarioSpec, prosumers: Sequence[Prosumer], collect: _Collector) -> Suspects | None:
    """The devices under suspicion, looked for once the prosumers are there."""
    if spec.compromised is None or not prosumers:
        return None
    found, faults = suspects(spec.compromised, prosumers, spec.seed)
    collect.faults += faults
    away = ", or remove the section"
    refused = (
        (spec.coordination.method == "charts", "method: charts", "admm, central or none", "choose another method"),
        (spec.limits.connection is not None, "limits.connection", "a connection without limits", "remove its limits"),
        (spec.outage is not None, "outage", "no outage", "remove it"),
        (spec.island is not None, "mode: islanded", "grid-connected", "change mode"),
    )
    collect.faults += [
        Fault("compromised", given, allowed, what + away) for bad, given, allowed, what in refused if bad
    ]
    return found


def _limited(network: Network, spec: ScenarioSpec) -> Network:
    """The network with the voltage band of the scenario."""
    limits, slack = spec.limits, abs(network.v_slack)
    if spec.mode == "islanded" and spec.island is not None:
        slack = spec.island.voltage_pu
    if not limits.v_min <= slack <= limits.v_max:
        raise InputError(
            Fault(
                "limits",
                f"slack voltage {slack:g} pu, which nothing in the grid can change",
                f"v_min = {limits.v_min:g} to v_max = {limits.v_max:g} pu",
                f"change {'island.voltage_pu' if spec.mode == 'islanded' else 'network.slack_pu'} or the limits",
            )
        )
    return network.with_limits(v_min=limits.v_min, v_max=limits.v_max)


def _prosumers(
    spec: ScenarioSpec, folder: Path, case: Case | None, horizon: Horizon, collect: _Collector
) -> tuple[list[Prosumer], list[str], Resolver]:
    """Prosumers of all sources: network, adoption, list, table; notes; and the profiles, for limits."""
    notes: list[str] = []
    own = spec.prosumers
    price = collect(lambda: tariff.prices(spec.tariff, horizon)) or tariff.free(horizon)
    rows: list[ProsumerSpec] = []
    columns: Columns | None = _NO_TABLE
    if own.tables is not None:
        rows, columns = _tables(own.tables, folder, horizon, collect)
    profile = Resolver(columns, horizon)
    weather = Weather(spec.weather, horizon, profile)
    prosumers: list[Prosumer] = []
    if case is not None and (own.simbench is not None or own.adoption is not None):
        prosumers = collect(lambda: _from_network(spec, case, horizon, price, weather, notes)) or []
    prosumers = prosumers + [explicit.prosumer(entry, profile, price, weather) for entry in own.listed]
    tabled = [explicit.prosumer(entry, profile, price, weather) for entry in rows]
    if own.tables is not None:
        collect.faults += [fault for one in tabled for fault in unit_faults(one, own.tables.largest_kw)]
    prosumers += tabled
    notes += weather.notes
    collect.faults += profile.faults
    if not prosumers and not collect.faults:
        collect.faults.append(Fault("prosumers", "none", "at least one", "use a network with loads, or list prosumers"))
    return prosumers, notes, profile


def _tables(
    spec: TablesSpec, folder: Path, horizon: Horizon, collect: _Collector
) -> tuple[list[ProsumerSpec], Columns | None]:
    """Entries of the prosumer table, and the profiles; None for profiles at fault."""
    entries: list[ProsumerSpec] = []
    columns: Columns | None = _NO_TABLE
    if spec.profiles is not None:
        profiles = folder / spec.profiles
        columns = collect(lambda: tables.profile_columns(profiles, spec, horizon))
    if spec.prosumers is not None:
        path = folder / spec.prosumers
        found = collect(lambda: tables.prosumer_rows(path))
        if found is not None:
            for name, device, key in ((spec.sessions, "ev", "sessions"), (spec.tasks, "deferrable", "tasks")):
                if name is not None:
                    collect.faults += collect(partial(tables.attach, found, folder / name, device, key)) or []
            entries, faults = prosumer_rows(found, path)
            collect.faults += faults
    return entries, columns


def _from_network(
    spec: ScenarioSpec,
    case: Case,
    horizon: Horizon,
    price: tuple[Array, Array],
    weather: Weather,
    notes: list[str],
) -> list[Prosumer]:
    """Prosumers of the network and what is added to them."""
    columns, aligned = elements.profile_columns(case.profiles, spec.horizon, horizon, spec.network.source)
    if not aligned:
        notes.append("profiles of the network are averaged over steps that are not one row each")
    source = Source(columns, horizon, *price, outdoor_c=lambda: weather.outdoor_c)
    supplied = case.network.known_buses.tolist()
    own = spec.prosumers
    prosumers = network_prosumers.from_network(
        own.simbench or _ONLY_LOADS, elements.rows(case.elements), supplied, source
    )
    if own.adoption is None:
        return prosumers
    around = adoption.Surroundings(columns, horizon, weather, spec.seed)
    return adoption.adopt(own.adoption, prosumers, around)


def _prosumer_faults(prosumers: Sequence[Prosumer], horizon: Horizon, known: frozenset[int] | None) -> list[Fault]:
    """Names that appear twice, buses that are not supplied, what is wrong with assets, and connections too weak."""
    faults = [
        Fault(f"prosumer {name!r}", f"{count} prosumers have this name", "unique names", "rename them")
        for name, count in Counter(prosumer.name for prosumer in prosumers).items()
        if count > 1
    ]
    for prosumer in prosumers:
        faults += prosumer.faults(horizon) or connection_faults(prosumer, horizon)
        if known is not None and prosumer.bus not in known:
            faults.append(
                Fault(
                    f"prosumer {prosumer.name!r}",
                    f"bus = {prosumer.bus} is not a supplied bus of the network",
                    f"one of {len(known)} pandapower bus indices, {min(known)} to {max(known)}",
                    "correct bus",
                )
            )
    return faults


def merged(faults: Sequence[Fault]) -> list[Fault]:
    """The same fault of many elements as one, with the first elements named and the others counted."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for fault in faults:
        elements_of = groups.setdefault((fault.value, fault.allowed, fault.remedy), [])
        if fault.element not in elements_of:
            elements_of.append(fault.element)
    result = []
    for (value, allowed, remedy), named in groups.items():
        if len(named) <= _SHOWN:
            result += [Fault(element, value, allowed, remedy) for element in named]
        else:
            result.append(Fault(f"{named[0]} and {len(named) - 1} others", value, allowed, remedy))
    return result
