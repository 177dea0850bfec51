"""Prosumers that the scenario, or a table, lists one by one."""

from __future__ import annotations

from admmflex.assets import Asset, Battery, FixedLoad, Pv
from admmflex.data import tariff
from admmflex.data.profiles import Resolver
from admmflex.data.spec import LoadSpec, ProsumerSpec, PvSpec
from admmflex.errors import InputError
from admmflex.horizon import Array
from admmflex.prosumers.prosumer import Prosumer


def prosumer(spec: ProsumerSpec, profile: Resolver, price: tuple[Array, Array]) -> Prosumer:
    """The prosumer of one entry; ranges are checked later by its assets, other faults go to ``profile.faults``.

    Args:
        profile: finds the profiles, knows the steps.
        price: import and export price ``(K,)`` [EUR/kWh] where the entry has no tariff of its own.
    """
    assets: list[Asset] = []
    if spec.load is not None:
        assets.append(_load(spec.name, spec.load, profile))
    if spec.pv is not None:
        assets.append(_pv(spec.name, spec.pv, profile))
    if spec.battery is not None:
        assets.append(Battery(name=f"{spec.name} battery", **spec.battery.model_dump()))
    if spec.tariff is not None:
        try:
            price = tariff.prices(spec.tariff, profile.horizon, f"prosumer {spec.name!r} tariff")
        except InputError as error:
            profile.faults += error.faults
    return Prosumer(spec.name, spec.bus, tuple(assets), *price)


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
