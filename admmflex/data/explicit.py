"""Prosumers that the scenario, or a table, lists one by one."""

from __future__ import annotations

from admmflex.assets import Asset, Battery, FixedLoad, Pv
from admmflex.data import tariff
from admmflex.data.network_prosumers import Source
from admmflex.data.profiles import resolve
from admmflex.data.spec import LoadSpec, ProsumerSpec, PvSpec
from admmflex.errors import Fault, InputError, require
from admmflex.prosumers.prosumer import Prosumer


def prosumer(spec: ProsumerSpec, source: Source) -> Prosumer:
    """The prosumer of one entry; ranges are checked later, by its assets.

    Raises:
        InputError: profiles that do not exist, a tariff that does not fit; all of them.
    """
    assets: list[Asset] = []
    faults: list[Fault] = []
    for make, part in ((_load, spec.load), (_pv, spec.pv)):
        if part is not None:
            try:
                assets.append(make(spec.name, part, source))  # type: ignore[operator]
            except InputError as error:
                faults += error.faults
    if spec.battery is not None:
        assets.append(Battery(name=f"{spec.name} battery", **spec.battery.model_dump()))
    imp, exp = source.import_price, source.export_price
    if spec.tariff is not None:
        try:
            imp, exp = tariff.prices(spec.tariff, source.horizon, f"prosumer {spec.name!r} tariff")
        except InputError as error:
            faults += error.faults
    require(faults)
    return Prosumer(spec.name, spec.bus, tuple(assets), imp, exp)


def _load(name: str, spec: LoadSpec, source: Source) -> FixedLoad:
    element = f"load '{name} load'"
    p = resolve(spec.p_kw, source.columns, source.horizon, element, "p_kw")
    q = resolve(spec.q_kvar, source.columns, source.horizon, element, "q_kvar")
    return FixedLoad(f"{name} load", p, q)


def _pv(name: str, spec: PvSpec, source: Source) -> Pv:
    element = f"pv '{name} PV'"
    if spec.avail_kw is not None:
        avail = resolve(spec.avail_kw, source.columns, source.horizon, element, "avail_kw")
    else:
        profile = 0.0 if spec.profile is None else spec.profile
        avail = spec.kwp * resolve(profile, source.columns, source.horizon, element, "profile")
    fields = spec.model_dump(exclude={"kwp", "profile", "avail_kw"})
    return Pv(name=f"{name} PV", avail_kw=avail, rating_kw=spec.kwp, **fields)
