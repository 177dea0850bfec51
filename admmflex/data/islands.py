"""What becomes of a grid and its prosumers when a part of it runs as an island."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import grid
from admmflex.assets import Asset, Battery, FixedLoad, Generator, SheddableLoad
from admmflex.data.trouble_spec import IslandSpec, ReserveSpec, SheddingSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Horizon
from admmflex.prosumers.prosumer import Prosumer
from grid import Network

LOADS = " (loads)"


def cut_loose(network: Network, prosumers: Sequence[Prosumer], spec: IslandSpec) -> tuple[Network, list[Prosumer], str]:
    """The island, the prosumers in it, and a note on what is left out.

    The unit that holds the voltage keeps its reserve, its bus becomes the slack; loads may be shed; there is no tariff.

    Raises:
        InputError: no such unit, branches or bus; an island that is still connected; a reserve that leaves nothing.
    """
    unit = leader(prosumers, spec.grid_forming)
    network, left_out = _network(network, unit, spec)
    there = set(network.known_buses.tolist())
    kept = [one for one in prosumers if one.bus in there]
    inside = [part for one in kept for part in _islanded(one, spec)]
    note = f"island of {network.n} buses and {len(kept)} prosumers, its voltage held by {unit.name!r}"
    outside = len(prosumers) - len(kept)
    if left_out or outside:
        note += f"; {left_out} buses and {outside} prosumers are outside"
    return network, inside, note


def leader(prosumers: Sequence[Prosumer], name: str) -> Prosumer:
    """The prosumer of that name, with exactly one battery or generator."""
    element = "island.grid_forming"
    found = [one for one in prosumers if one.name == name]
    if not found:
        raise InputError(Fault(element, f"no prosumer {name!r}", "the name of one", "add it under prosumers.list"))
    units = [asset for asset in found[0].assets if isinstance(asset, Battery | Generator)]
    if len(units) != 1:
        value = f"prosumer {name!r} has {len(units)} batteries and generators"
        raise InputError(Fault(element, value, "exactly one", "choose another, or give the unit a name of its own"))
    if units[0].reactive == "none":
        value = f"{units[0].kind} {units[0].name!r} gives no reactive power"
        raise InputError(
            Fault(element, value, "reactive: disc or box", "set reactive: whoever holds the voltage gives it")
        )
    return found[0]


def _network(network: Network, unit: Prosumer, spec: IslandSpec) -> tuple[Network, int]:
    """The island, and how many buses are outside."""
    root = int(network.positions([unit.bus])[0])
    if spec.open:
        opened = grid.find_branches(network, spec.open)
    else:
        opened = np.flatnonzero((network.from_bus == 0) | (network.to_bus == 0))
    found = grid.island(network, root, opened, complex(spec.voltage_pu))
    return found, network.n - found.n


def _islanded(one: Prosumer, spec: IslandSpec) -> list[Prosumer]:
    """Without a tariff, and with a reserve where the prosumer holds the voltage.

    Loads that may be shed stand beside the rest of their home: without a tariff the two have nothing in
    common, unless their connection is limited.
    """
    assets: list[Asset] = []
    loads: list[Asset] = []
    for asset in one.assets:
        if isinstance(asset, FixedLoad) and spec.shedding is not None:
            loads += sheddable(asset, spec.shedding)
        elif isinstance(asset, Battery | Generator) and one.name == spec.grid_forming:
            assets.append(with_reserve(asset, spec.reserve))
        else:
            assets.append(asset)
    nothing = np.zeros_like(one.import_price)
    bare = replace(one, import_price=nothing, export_price=nothing)
    limited = min(one.import_limit_kw, one.export_limit_kw) < np.inf
    if limited or not (assets and loads):
        return [replace(bare, assets=(*assets, *loads))]
    return [replace(bare, assets=tuple(assets)), replace(bare, name=f"{one.name}{LOADS}", assets=tuple(loads))]


def sheddable(load: FixedLoad, spec: SheddingSpec) -> list[Asset]:
    """The normal and the critical part of a load; what a net profile feeds in stays as it is."""
    taken, fed = np.maximum(load.p_kw, 0.0), np.minimum(load.p_kw, 0.0)
    parts: list[Asset] = [FixedLoad(f"{load.name} feed-in", fed, np.zeros_like(fed))] if fed.any() else []
    kappa = spec.critical_share
    if kappa < 1.0:
        part = (1.0 - kappa) * taken, (1.0 - kappa) * load.q_kvar
        parts.append(SheddableLoad(f"{load.name} normal", *part, 1.0, spec.normal_price, "normal"))
    if kappa > 0.0:
        part = kappa * taken, kappa * load.q_kvar
        parts.append(SheddableLoad(f"{load.name} critical", *part, 1.0, spec.critical_price, "critical"))
    return parts


def with_reserve(unit: Battery | Generator, spec: ReserveSpec) -> Battery | Generator:
    """The unit with what a plan may use of it: both ends of the energy and the rating are kept back.

    Raises:
        InputError: a battery that begins outside of what is left.
    """
    left, kept = 1.0 - spec.power_percent / 100.0, spec.energy_percent / 100.0
    if isinstance(unit, Generator):
        fuel = None if unit.fuel_kwh is None else (1.0 - kept) * unit.fuel_kwh
        return replace(unit, p_max_kw=left * unit.p_max_kw, s_kva=left * unit.inverter_kva, fuel_kwh=fuel)
    width = unit.e_max_kwh - unit.e_min_kwh
    low, high = unit.e_min_kwh + kept * width, unit.e_max_kwh - kept * width
    if not low <= unit.e_start_kwh <= high:
        raise InputError(
            Fault(
                f"battery {unit.name!r}",
                f"e_start_kwh = {unit.e_start_kwh:g}",
                f"{low:g} to {high:g}: the reserve of the unit that holds the voltage is kept back",
                "change e_start_kwh or island.reserve.energy_percent",
            )
        )
    return replace(
        unit,
        e_min_kwh=low,
        e_max_kwh=high,
        e_end_min_kwh=min(max(unit.end_bound_kwh, low), high),
        p_charge_kw=left * unit.p_charge_kw,
        p_discharge_kw=left * unit.p_discharge_kw,
        s_kva=left * unit.inverter_kva,
    )


def typical_load(prosumers: Sequence[Prosumer], horizon: Horizon) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """(K,) what all loads take [kW], at least a twentieth of the most they take: what balances are measured in."""
    total = np.zeros(horizon.steps)
    for one in prosumers:
        for asset in one.assets:
            if isinstance(asset, FixedLoad | SheddableLoad):
                total += np.maximum(asset.p_kw, 0.0)
    return np.maximum(total, max(0.05 * float(total.max(initial=0.0)), 1.0))
