"""Prosumers that the scenario, or a table, lists one by one."""

from __future__ import annotations

from admmflex.assets import (
    Asset,
    Battery,
    Boiler,
    Deferrable,
    ElectricVehicle,
    FixedLoad,
    Generator,
    HeatPump,
    Pv,
    SheddableLoad,
)
from admmflex.assets import cop as performance
from admmflex.data import stays, tariff
from admmflex.data.profiles import Resolver
from admmflex.data.prosumer_spec import (
    BoilerSpec,
    DeferrableSpec,
    EvSpec,
    GeneratorSpec,
    HeatPumpSpec,
    LoadSpec,
    ProsumerSpec,
    PvSpec,
    SheddableSpec,
)
from admmflex.data.weather import Weather
from admmflex.errors import InputError
from admmflex.horizon import Array
from admmflex.prosumers.prosumer import Prosumer


def prosumer(spec: ProsumerSpec, profile: Resolver, price: tuple[Array, Array], weather: Weather) -> Prosumer:
    """The prosumer of one entry; ranges are checked later by its assets, other faults go to ``profile.faults``.

    Args:
        profile: finds the profiles, knows the steps.
        price: import and export price ``(K,)`` [EUR/kWh] where the entry has no tariff of its own.
        weather: outdoor temperature of a heat pump that brings none.
    """
    name, assets = spec.name, list[Asset]()
    if spec.load is not None:
        assets.append(_load(name, spec.load, profile))
    if spec.pv is not None:
        assets.append(_pv(name, spec.pv, profile))
    if spec.battery is not None:
        assets.append(Battery(name=f"{name} battery", **spec.battery.model_dump()))
    if spec.ev is not None:
        assets.append(_car(name, spec.ev, profile))
    if spec.heat_pump is not None:
        assets.append(_heat_pump(name, spec.heat_pump, profile, weather))
    if spec.boiler is not None:
        assets.append(_boiler(name, spec.boiler, profile))
    if spec.deferrable is not None:
        assets.append(_deferrable(name, spec.deferrable, profile))
    if spec.sheddable is not None:
        assets.append(_sheddable(name, spec.sheddable, profile))
    if spec.generator is not None:
        assets.append(_generator(name, spec.generator))
    if spec.tariff == "none":
        price = tariff.free(profile.horizon)
    elif spec.tariff is not None:
        try:
            price = tariff.prices(spec.tariff, profile.horizon, f"prosumer {name!r} tariff")
        except InputError as error:
            profile.faults += error.faults
    limits = spec.model_dump(include={"import_limit_kw", "export_limit_kw"}, exclude_none=True)
    return Prosumer(name, spec.bus, tuple(assets), *price, **limits)


def _load(name: str, spec: LoadSpec, profile: Resolver) -> FixedLoad:
    element = f"load '{name} load'"
    return FixedLoad(f"{name} load", profile(spec.p_kw, element, "p_kw"), profile(spec.q_kvar, element, "q_kvar"))


def _pv(name: str, spec: PvSpec, profile: Resolver) -> Pv:
    element = f"pv '{name} PV'"
    if spec.avail_kw is not None:
        avail = profile(spec.avail_kw, element, "avail_kw")
    else:
        shape = 0.0 if spec.profile is None else spec.profile
        avail = spec.kwp * profile(shape, element, "profile")
    fields = spec.model_dump(exclude={"kwp", "profile", "avail_kw"})
    return Pv(name=f"{name} PV", avail_kw=avail, rating_kw=spec.kwp, **fields)


def _car(name: str, spec: EvSpec, profile: Resolver) -> ElectricVehicle:
    found = stays.sessions(spec.sessions, profile.horizon, f"ev '{name} car'", profile.faults)
    return ElectricVehicle(name=f"{name} car", sessions=found, **spec.model_dump(exclude={"sessions"}))


def _heat_pump(name: str, spec: HeatPumpSpec, profile: Resolver, weather: Weather) -> HeatPump:
    element = f"heat_pump '{name} heat pump'"
    given = spec.outdoor_c
    outdoor = weather.outdoor_c if given is None else profile(given, element, "outdoor_c")
    if spec.cop is None:
        ratio = performance(outdoor, source=spec.source, sink=spec.sink)
    else:
        ratio = profile(spec.cop, element, "cop")
    return HeatPump(
        name=f"{name} heat pump",
        outdoor_c=outdoor,
        cop=ratio,
        gains_kw=profile(spec.gains_kw, element, "gains_kw"),
        t_min_c=profile(spec.t_min_c, element, "t_min_c"),
        t_max_c=profile(spec.t_max_c, element, "t_max_c"),
        **spec.model_dump(exclude={"gains_kw", "t_min_c", "t_max_c", "outdoor_c", "cop", "source", "sink"}),
    )


def _boiler(name: str, spec: BoilerSpec, profile: Resolver) -> Boiler:
    draw = profile(spec.draw_kw, f"boiler '{name} boiler'", "draw_kw")
    return Boiler(name=f"{name} boiler", draw_kw=draw, **spec.model_dump(exclude={"draw_kw"}))


def _deferrable(name: str, spec: DeferrableSpec, profile: Resolver) -> Deferrable:
    found = stays.tasks(spec.tasks, profile.horizon, f"deferrable '{name} deferrable'", profile.faults)
    return Deferrable(name=f"{name} deferrable", tasks=found, **spec.model_dump(exclude={"tasks"}))


def _sheddable(name: str, spec: SheddableSpec, profile: Resolver) -> SheddableLoad:
    element = f"sheddable '{name} sheddable'"
    p, q = profile(spec.p_kw, element, "p_kw"), profile(spec.q_kvar, element, "q_kvar")
    return SheddableLoad(f"{name} sheddable", p, q, spec.share, spec.lost_load_price, spec.priority)


def _generator(name: str, spec: GeneratorSpec) -> Generator:
    fuel = spec.fuel_kwh if spec.fuel_l is None else spec.fuel_l * spec.kwh_per_l
    fields = spec.model_dump(exclude={"fuel_kwh", "fuel_l", "kwh_per_l"})
    return Generator(name=f"{name} generator", fuel_kwh=fuel, **fields)
