"""The keys of devices that come by the dozen: those of the network, and those that an adoption adds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from admmflex.assets.battery import BatteryReactive
from admmflex.assets.heat_pump import HeatSink, HeatSource
from admmflex.assets.pv import PvReactive
from admmflex.data.section import Clock, Efficiency, Finite, NotNegative, Positive, Section, Share, Size


class PvModel(Section):
    """How PV of the network, or PV that is added, behaves."""

    curtailable: bool = True
    reactive: PvReactive = "none"
    power_factor: Efficiency = 0.95
    oversize: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = Field(
        default=1.0, description="inverter rating [kVA] per kWp, for reactive: disc"
    )
    q_cost: NotNegative = 0.0


class BatteryModel(Section):
    """How batteries behave; ``start``, ``floor``, ``end`` are shares of the capacity, ``end: null`` needs a value."""

    eta_c: Efficiency = 0.95
    eta_d: Efficiency = 0.95
    wear: NotNegative = 0.02
    start: Share = 0.2
    floor: Share = 0.0
    end: Share | Literal["start"] | None = "start"
    end_value: float | None = Field(default=None, allow_inf_nan=False)
    reactive: BatteryReactive = "none"
    power_factor: Efficiency = 0.95
    q_cost: NotNegative = 0.0

    @model_validator(mode="after")
    def _ends(self) -> BatteryModel:
        if self.end is None and self.end_value is None:
            raise ValueError("end: null needs an end_value, or every plan ends empty")
        if self.start < self.floor:
            raise ValueError(f"start = {self.start:g} must not be below floor = {self.floor:g}")
        return self


class HeatModel(Section):
    """How a heat pump with a known demand of heat behaves: it has a store of ``store_h`` hours of full power."""

    sink: HeatSink = "floor"
    store_h: Positive = 2.0
    store_span_k: Positive = 5.0
    loss_time_h: Positive = Field(default=100.0, description="time constant of the losses of the store [h]")
    relax: bool = True
    shortfall_price: NotNegative = 0.5


class NetworkPv(PvModel):
    """PV plants of the network: as assets, or left out."""

    use: bool = True
    scaling: Positive = 1.0


class NetworkStorages(BatteryModel):
    """Storages of the network: as batteries, left out ("idle"), or fixed to the profile the network gives them."""

    use: Literal["battery", "idle", "profile"] = "battery"


class NetworkHeatPumps(HeatModel):
    """Loads of the network with a heat-pump profile: fixed as they stand, or flexible with a store for their heat."""

    use: Literal["fixed", "flexible"] = "fixed"


class SimbenchSpec(Section):
    """Loads, PV and storages of the network itself with its profiles; one prosumer per bus, or one per load."""

    by: Literal["bus", "load"] = "bus"
    load_scaling: Positive = 1.0
    pv: NetworkPv = NetworkPv()
    storages: NetworkStorages = NetworkStorages()
    heat_pumps: NetworkHeatPumps = NetworkHeatPumps()


class AdoptedPv(PvModel):
    """PV on a share of the load buses, or of the prosumers."""

    share: Share
    of: Literal["buses", "prosumers"] = "buses"
    kwp: Size
    profile: str | None = Field(
        default=None,
        description="one profile for all; clear_sky computes one from the place; without it each plant draws one",
    )


class AdoptedBattery(BatteryModel):
    """Batteries with a share of the plants that the adoption adds."""

    share_of_pv: Share
    kwh: Positive
    kw: Positive


class ClockDraw(Section):
    """A wall-clock time that is drawn: normal around ``mean``, cut at three deviations."""

    mean: Clock
    std_h: Annotated[float, Field(ge=0.0, le=4.0)] = 1.0


class EnergyDraw(Section):
    """Energy driven on a day [kWh]: gamma distributed, so never negative and with a tail."""

    mean: Positive
    std: NotNegative


class AdoptedEv(Section):
    """Cars at a share of the prosumers with a load: away by day, at the charger from arrival to the next departure."""

    share: Share
    charger_kw: Size = 11.0
    capacity_kwh: Size = 60.0
    departure: ClockDraw = ClockDraw(mean="07:30", std_h=1.0)
    arrival: ClockDraw = ClockDraw(mean="17:45", std_h=1.5)
    energy_kwh: EnergyDraw = EnergyDraw(mean=8.0, std=5.0)
    due: Share = Field(default=0.8, description="share of the capacity that the battery holds on departure")
    eta_c: Efficiency = 0.92
    eta_d: Efficiency = 0.92
    v2g_kw: NotNegative = 0.0
    wear: NotNegative = 0.05
    reserve: Share = 0.3
    relax: bool = False
    shortfall_price: NotNegative = 0.0


class AdoptedHeatPump(Section):
    """Heat pumps that heat the rooms of a share of the prosumers with a load.

    ``heat_kw`` is the heat demand of the building at ``design_c`` outside; with the temperature inside it gives the
    losses, with ``time_constant_h`` the capacity. The setback holds between two wall-clock times, which
    ``setback_std_h`` spreads.
    """

    share: Share
    heat_kw: Size = (5.0, 10.0)
    time_constant_h: Size = (40.0, 80.0)
    design_c: Finite = -12.0
    oversize: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 1.2
    source: HeatSource = "air"
    sink: HeatSink = "floor"
    t_min_c: Finite = 20.0
    t_max_c: Finite = 22.5
    setback_k: NotNegative = 0.0
    setback_from: Clock = "22:00"
    setback_to: Clock = "05:00"
    setback_std_h: Annotated[float, Field(ge=0.0, le=4.0)] = 0.5
    gains_kw: NotNegative = 0.4
    heating_limit_c: Finite = 15.0
    relax: bool = False
    shortfall_price: NotNegative = 0.0

    @model_validator(mode="after")
    def _band(self) -> AdoptedHeatPump:
        if not self.design_c < self.t_min_c < self.t_max_c:
            raise ValueError("design_c < t_min_c < t_max_c must hold")
        return self


class AdoptionSpec(Section):
    """What is added to prosumers that have loads, drawn with the seed of the scenario; the limits hold for all."""

    pv: AdoptedPv | None = None
    battery: AdoptedBattery | None = None
    ev: AdoptedEv | None = None
    heat_pump: AdoptedHeatPump | None = None
    import_limit_kw: NotNegative | None = Field(default=None, description="of the connection of each")
    export_limit_kw: NotNegative | None = None

    @model_validator(mode="after")
    def _something(self) -> AdoptionSpec:
        if self.battery is not None and self.pv is None:
            raise ValueError("battery needs pv: batteries come with a share of the plants")
        if not self.model_fields_set - {"battery"}:
            raise ValueError("give at least one of pv, ev, heat_pump, import_limit_kw, export_limit_kw")
        return self
