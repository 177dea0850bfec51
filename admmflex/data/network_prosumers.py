"""The loads, PV plants and storages of the network itself, with their profiles, as prosumers.

A SimBench profile is a factor for the power of its element: ``NAME_pload`` and ``NAME_qload`` for a load, the column of
its name for a plant or a storage. An element without a profile has constant power.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets import Asset, FixedLoad
from admmflex.data import heat, make, weather
from admmflex.data.elements import Element
from admmflex.data.model_spec import SimbenchSpec
from admmflex.data.profiles import Columns
from admmflex.errors import Fault, InputError, require
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.prosumer import Prosumer


@dataclass(frozen=True)
class _Meter:
    """What stands behind one point of connection."""

    name: str
    bus: int
    elements: tuple[Element, ...]


@dataclass(frozen=True)
class Source:
    """What prosumers of the network are made from.

    Args:
        columns: profiles over the horizon.
        import_price, export_price: tariff ``(K,)`` [EUR/kWh].
        outdoor_c: gives the outdoor temperature ``(K,)`` when a heat pump needs it; a typical year without it.
    """

    columns: Columns
    horizon: Horizon
    import_price: Array
    export_price: Array
    outdoor_c: Callable[[], Array] | None = None


def from_network(
    spec: SimbenchSpec, elements: Sequence[Element], supplied: Sequence[int], source: Source
) -> list[Prosumer]:
    """One prosumer per bus with load or generation, or one per load.

    With ``by: load`` the plants and storages of a bus belong to its first load; where there is none they are a prosumer
    of their own. Elements out of service and elements at buses without supply are left out.

    Args:
        supplied: pandapower buses that the network supplies.

    Raises:
        InputError: profiles that are missing, all of them.
    """
    live = frozenset(supplied)
    used = [element for element in elements if element.in_service and element.bus in live]
    meters = _by_bus(used) if spec.by == "bus" else _by_load(used)
    prosumers: list[Prosumer] = []
    faults: list[Fault] = []
    for meter in meters:
        assets: list[Asset] = []
        for kind in (_loads, _heat_pumps, _plants, _storages):
            try:
                assets += kind(spec, meter, source)
            except InputError as error:
                faults += error.faults
        if assets:
            prosumers.append(Prosumer(meter.name, meter.bus, tuple(assets), source.import_price, source.export_price))
    require(faults)
    return prosumers


def _by_bus(elements: Sequence[Element]) -> list[_Meter]:
    buses = sorted({element.bus for element in elements})
    return [_Meter(f"bus {bus}", bus, tuple(e for e in elements if e.bus == bus)) for bus in buses]


def _by_load(elements: Sequence[Element]) -> list[_Meter]:
    rest: dict[int, list[Element]] = {}
    for element in elements:
        if element.kind != "load":
            rest.setdefault(element.bus, []).append(element)
    loads = [element for element in elements if element.kind == "load"]
    meters = [_Meter(load.name, load.bus, (load, *rest.pop(load.bus, ()))) for load in loads]
    return meters + [_Meter(f"bus {bus}", bus, tuple(members)) for bus, members in sorted(rest.items())]


def _factor(element: Element, suffix: str, source: Source) -> Array:
    """Profile of an element per unit of its power, ``(K,)``."""
    if element.profile is None:
        return np.ones(source.horizon.steps)
    return source.columns.find(element.profile + suffix, f"{element.kind} {element.name!r}", "profile")


def _loads(spec: SimbenchSpec, meter: _Meter, source: Source) -> list[Asset]:
    """One load for all; of heat pumps that are flexible only the reactive power, which follows its profile."""
    loads = [element for element in meter.elements if element.kind == "load"]
    if not loads:
        return []
    scale, zero = spec.load_scaling * 1e3, np.zeros(source.horizon.steps)
    fixed = [load for load in loads if not _is_flexible(spec, load)]
    p = zero + sum(scale * load.scaling * load.p_mw * _factor(load, "_pload", source) for load in fixed)
    q = sum(scale * load.scaling * load.q_mvar * _factor(load, "_qload", source) for load in loads)
    name = loads[0].name if len(loads) == 1 else f"loads at {meter.name}"
    return [FixedLoad(name, np.asarray(p), np.asarray(q))]


def _is_flexible(spec: SimbenchSpec, element: Element) -> bool:
    """Whether a load is a heat pump that may move its heat; SimBench names these profiles by their source."""
    return spec.heat_pumps.use == "flexible" and str(element.profile).startswith(("Air_", "Soil_"))


def _heat_pumps(spec: SimbenchSpec, meter: _Meter, source: Source) -> list[Asset]:
    assets: list[Asset] = []
    for load in (e for e in meter.elements if e.kind == "load" and _is_flexible(spec, e)):
        outdoor = weather.typical(source.horizon) if source.outdoor_c is None else source.outdoor_c()
        rated = spec.load_scaling * 1e3 * load.scaling * load.p_mw
        use = rated * _factor(load, "_pload", source)
        ground = str(load.profile).startswith("Soil_")
        name = f"{load.name} heat pump"
        assets.append(heat.of_profile(name, rated, use, outdoor, spec.heat_pumps, ground=ground))
    return assets


def _plants(spec: SimbenchSpec, meter: _Meter, source: Source) -> list[Asset]:
    if not spec.pv.use:
        return []
    assets: list[Asset] = []
    for plant in meter.elements:
        kwp = spec.pv.scaling * 1e3 * plant.scaling * plant.p_mw
        if plant.kind == "sgen" and kwp > 0.0:
            assets.append(make.pv(plant.name, kwp, kwp * _factor(plant, "", source), spec.pv))
    return assets


def _storages(spec: SimbenchSpec, meter: _Meter, source: Source) -> list[Asset]:
    storages = [element for element in meter.elements if element.kind == "storage"]
    if spec.storages.use == "idle":
        return []
    if spec.storages.use == "profile":
        return [_as_load(storage, source) for storage in storages]
    return [_as_battery(spec, storage) for storage in storages]


def _as_load(storage: Element, source: Source) -> Asset:
    """A storage that follows its profile; pandapower counts charging positive, as for a load."""
    factor = 1e3 * storage.scaling * _factor(storage, "", source)
    return FixedLoad(storage.name, storage.p_mw * factor, storage.q_mvar * factor)


def _as_battery(spec: SimbenchSpec, storage: Element) -> Asset:
    kwh, kw = 1e3 * storage.max_e_mwh, 1e3 * storage.sn_mva
    if not (np.isfinite(kwh) and np.isfinite(kw)):
        raise InputError(
            Fault(
                f"storage {storage.name!r}",
                f"max_e_mwh = {storage.max_e_mwh}, sn_mva = {storage.sn_mva} in the network",
                "a capacity and a power",
                "complete the network, or set simbench.storages.use: idle",
            )
        )
    return make.battery(storage.name, kwh, kw, spec.storages)
