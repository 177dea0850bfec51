"""The keys of one prosumer; the ranges of its assets are checked by the assets themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from admmflex.assets.battery import BatteryReactive
from admmflex.assets.generator import GeneratorReactive
from admmflex.assets.heat_pump import HeatSink, HeatSource
from admmflex.assets.pv import PvReactive
from admmflex.data.section import Clock, Name, NotNegative, Positive, Profile, Section


class BandSpec(Section):
    """Prices between two local times of the day; a band may pass midnight."""

    start: Clock = Field(alias="from")
    end: Clock = Field(alias="to")
    import_price: float = Field(alias="import", allow_inf_nan=False)
    export_price: float = Field(alias="export", allow_inf_nan=False)


class TariffSpec(Section):
    """Prices [EUR/kWh] as one number or one per step; bands replace them inside their hours."""

    import_price: float | list[float] | None = Field(default=None, alias="import")
    export_price: float | list[float] | None = Field(default=None, alias="export")
    bands: tuple[BandSpec, ...] = ()

    @model_validator(mode="after")
    def _something(self) -> TariffSpec:
        if (self.import_price is None) != (self.export_price is None):
            raise ValueError("give import and export together")
        if self.import_price is None and not self.bands:
            raise ValueError("give import and export, or bands")
        return self


class LoadSpec(Section):
    """Consumption of one prosumer, positive [kW, kvar]."""

    p_kw: Profile
    q_kvar: Profile = 0.0


class PvSpec(Section):
    """PV of one prosumer; ``profile`` is power per kWp, ``avail_kw`` power."""

    kwp: float
    profile: Profile | None = None
    avail_kw: Profile | None = None
    curtailable: bool = True
    reactive: PvReactive = "none"
    power_factor: float = 0.95
    s_kva: float | None = None
    q_cost: float = 0.0

    @model_validator(mode="after")
    def _one_profile(self) -> PvSpec:
        if (self.profile is None) == (self.avail_kw is None):
            raise ValueError("give exactly one of profile (per kWp) and avail_kw")
        return self


class BatterySpec(Section):
    """Battery of one prosumer, with the fields of the asset."""

    e_max_kwh: float
    p_charge_kw: float
    p_discharge_kw: float
    e_start_kwh: float
    e_min_kwh: float = 0.0
    eta_c: float = 0.95
    eta_d: float = 0.95
    wear: float = 0.0
    e_end_min_kwh: float | None = None
    end_value: float | None = None
    reactive: BatteryReactive = "none"
    power_factor: float = 0.95
    s_kva: float | None = None
    q_cost: float = 0.0


class SessionSpec(Section):
    """One stay of a car: local times, with or without an offset, and energies [kWh]."""

    arrive: str
    depart: str
    arrival_kwh: float
    due_kwh: float


class EvSpec(Section):
    """Car of one prosumer, with the fields of the asset; a table gives its sessions in ``tables.sessions``."""

    capacity_kwh: float
    charger_kw: float
    sessions: tuple[SessionSpec, ...] = ()
    eta_c: float = 0.92
    eta_d: float = 0.92
    v2g_kw: float = 0.0
    wear: float = 0.0
    reserve_kwh: float = 0.0
    relax: bool = False
    shortfall_price: float = 0.0


class HeatPumpSpec(Section):
    """Heat pump of one prosumer; without them, ``outdoor_c`` is that of ``weather``, ``cop`` that of the two sides."""

    p_max_kw: float
    capacity_kwh_per_k: float
    loss_kw_per_k: float
    t_start_c: float
    t_min_c: Profile = 20.0
    t_max_c: Profile = 23.0
    t_end_min_c: float | None = None
    gains_kw: Profile = 0.0
    outdoor_c: Profile | None = None
    cop: Profile | None = None
    source: HeatSource = "air"
    sink: HeatSink = "floor"
    relax: bool = False
    shortfall_price: float = 0.0

    @model_validator(mode="after")
    def _one_cop(self) -> HeatPumpSpec:
        if self.cop is not None and {"source", "sink"} & self.model_fields_set:
            raise ValueError("give cop, or source and sink to compute it")
        return self


class BoilerSpec(Section):
    """Electric boiler of one prosumer, with the fields of the asset."""

    p_max_kw: float
    volume_l: float
    draw_kw: Profile
    t_start_c: float
    t_min_c: float = 50.0
    t_max_c: float = 75.0
    loss_kw_per_k: float = 0.0015
    ambient_c: float = 15.0
    t_end_min_c: float | None = None
    relax: bool = False
    shortfall_price: float = 0.0


class TaskSpec(Section):
    """One task of a deferrable load: local times, with or without an offset."""

    earliest: str
    deadline: str
    energy_kwh: float


class DeferrableSpec(Section):
    """Deferrable load of one prosumer; a table gives its tasks in ``tables.tasks``."""

    p_max_kw: float
    tasks: tuple[TaskSpec, ...] = ()
    relax: bool = False
    shortfall_price: float = 0.0


class SheddableSpec(Section):
    """Load of one prosumer of which ``share`` may be shed at ``lost_load_price`` [EUR/kWh]."""

    p_kw: Profile
    q_kvar: Profile = 0.0
    share: float
    lost_load_price: float
    priority: Literal["normal", "critical"] = "normal"


class GeneratorSpec(Section):
    """Generator of one prosumer, with the fields of the asset; the tank in litres, or as the energy it yields."""

    p_max_kw: float
    cost: float
    fuel_kwh: float | None = None
    fuel_l: NotNegative | None = None
    kwh_per_l: Positive = Field(default=3.3, description="electric energy that a litre yields; a small diesel's")
    reactive: GeneratorReactive = "disc"
    power_factor: float = 0.8
    s_kva: float | None = None
    q_cost: float = 0.0

    @model_validator(mode="after")
    def _one_tank(self) -> GeneratorSpec:
        if self.fuel_kwh is not None and self.fuel_l is not None:
            raise ValueError("give fuel_kwh or fuel_l, not both")
        return self


class ProsumerSpec(Section):
    """One prosumer; a row of a table has the same keys, written with a dot: ``pv.kwp``."""

    name: Name
    bus: int
    import_limit_kw: float | None = None
    export_limit_kw: float | None = None
    load: LoadSpec | None = None
    pv: PvSpec | None = None
    battery: BatterySpec | None = None
    ev: EvSpec | None = None
    heat_pump: HeatPumpSpec | None = None
    boiler: BoilerSpec | None = None
    deferrable: DeferrableSpec | None = None
    sheddable: SheddableSpec | None = None
    generator: GeneratorSpec | None = None
    tariff: TariffSpec | Literal["none"] | None = Field(
        default=None, description="none: the operator's own, which takes part without a tariff"
    )
