"""What is varied: one factor at a time around the defaults."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset
from admmflex.assets.pv import Pv
from admmflex.coordination.penalty import Balancing
from admmflex.coordination.schemes import admm_settings
from admmflex.coordination.settings import AdmmSettings
from admmflex.data.study import Study
from admmflex.prosumers.prosumer import Prosumer

RHOS = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
RELAXATIONS = (1.0, 1.3, 1.6, 1.8)
BIASES = (0.2, 0.5, 1.0, 5.0)
SPLITS = (1, 2, 4)
TOLERANCES = (5e-5, 2e-5)  # the default is 2e-4
DEEP = ("rural1/check", "rural3/day")  # every factor
WIDE = ("hand/day", "rural1/worst", "rural1/idle")  # rho0, with and without mixing
FORECASTS = (0.0, 0.05, 0.2)
QUICK = ("rural1/check",)


@dataclass(frozen=True)
class Variant:
    """A day and how its prosumers are changed: ``parts`` homes for one; costs that replace the assets' own."""

    day: str
    parts: int = 1
    wear: float | None = None
    q_cost: float | None = None

    @property
    def reference(self) -> Variant:
        """The variant with the same central optimum and the fewest homes: parts of a home do what the home did."""
        return replace(self, parts=1)

    def apply(self, study: Study) -> Study:
        """The changed study."""
        homes = [replace(one, assets=tuple(_priced(asset, self) for asset in one.assets)) for one in study.prosumers]
        return replace(study, prosumers=tuple(part for one in homes for part in split(one, self.parts)))


@dataclass(frozen=True)
class Trial:
    """One run: ``factor`` is set to ``value``, everything else is at its default.

    ``forecast`` is None for a cold start, or how much the forecast that the run starts from differs from the day.
    """

    factor: str
    value: str
    variant: Variant
    changes: dict[str, Any] = field(default_factory=dict)
    forecast: float | None = None

    def settings(self, study: Study) -> AdmmSettings:
        """The settings of the scenario with the changes of the trial."""
        return replace(admm_settings(study.settings), **self.changes)


def trials(*, quick: bool) -> list[Trial]:
    """Every run of the study, the defaults first."""
    deep, wide = (QUICK, ()) if quick else (DEEP, WIDE)
    found = [Trial("defaults", "", Variant(day)) for day in (*deep, *wide)]
    for day in (*deep, *wide):
        found += [Trial("rho0", f"{rho:g}", Variant(day), {"rho": rho}) for rho in RHOS]
        found += [Trial("no mixing, rho0", f"{rho:g}", Variant(day), {"rho": rho, "mixing": None}) for rho in RHOS]
    for day in deep:
        found += _settings_varied(Variant(day)) + _costs_varied(day)
        found += [Trial("warm start, forecast off by", f"{x:.0%}", Variant(day), forecast=x) for x in FORECASTS]
    found += [Trial("homes for one", str(parts), Variant(deep[-1], parts)) for parts in SPLITS]
    return found


def _settings_varied(variant: Variant) -> list[Trial]:
    """Relaxation, balancing, mixing, linearisation."""
    vary: list[tuple[str, str, dict[str, Any]]] = []
    vary += [("relaxation", f"{value:g}", {"relaxation": value}) for value in RELAXATIONS]
    vary += [("no balancing, rho0", f"{rho:g}", {"balancing": None, "rho": rho}) for rho in RHOS]
    vary += [("bias of the balancing", f"{bias:g}", {"balancing": Balancing(bias=bias)}) for bias in BIASES]
    plain: dict[str, Any] = {"mixing": None}
    for name, more in (("linearised every", {}), ("no mixing, linearised every", plain)):
        vary += [(name, "never again" if not n else f"{n}", {"relinearise_every": n, **more}) for n in (0, 1, 5)]
    return [Trial(factor, value, variant, changes) for factor, value, changes in vary]


def _costs_varied(day: str) -> list[Trial]:
    """Wear and reactive power with and without a cost; where it has none for reactive power, finer cost tolerances."""
    found = [
        Trial("wear, q_cost", f"{wear:g}, {q_cost:g}", Variant(day, wear=wear, q_cost=q_cost))
        for wear in (0.0, 0.02)
        for q_cost in (0.0, 0.002)
    ]
    free = Variant(day, q_cost=0.0)
    return found + [Trial("q_cost 0, cost_tolerance", f"{x:g}", free, {"cost_tolerance": x}) for x in TOLERANCES]


def _priced(asset: Asset, variant: Variant) -> Asset:
    """The asset with the costs of the variant in place of its own, where it has such a cost."""
    if isinstance(asset, Battery) and variant.wear is not None:
        asset = replace(asset, wear=variant.wear)
    if isinstance(asset, Battery | Pv) and variant.q_cost is not None:
        asset = replace(asset, q_cost=variant.q_cost)
    return asset


def split(home: Prosumer, parts: int) -> list[Prosumer]:
    """Equal parts of a home at the same bus.

    Costs and limits are homogeneous, so together the parts can do what the home can, at the same cost: the central
    optimum does not change.
    """
    if parts == 1:
        return [home]
    assets = tuple(SCALED[type(asset)](asset, 1.0 / parts) for asset in home.assets)
    return [replace(home, name=f"{home.name} part {i + 1}", assets=assets) for i in range(parts)]


def _load(one: FixedLoad, share: float) -> FixedLoad:
    return replace(one, p_kw=share * one.p_kw, q_kvar=share * one.q_kvar)


def _pv(one: Pv, share: float) -> Pv:
    s_kva = None if one.s_kva is None else share * one.s_kva
    return replace(one, avail_kw=share * one.avail_kw, rating_kw=share * one.rating_kw, s_kva=s_kva)


def _battery(one: Battery, share: float) -> Battery:
    sizes = ("e_max_kwh", "e_min_kwh", "e_start_kwh", "e_end_min_kwh", "p_charge_kw", "p_discharge_kw", "s_kva")
    given = {name: getattr(one, name) for name in sizes}
    return replace(one, **{name: share * value for name, value in given.items() if value is not None})


SCALED: dict[type, Callable[[Any, float], Asset]] = {FixedLoad: _load, Pv: _pv, Battery: _battery}
