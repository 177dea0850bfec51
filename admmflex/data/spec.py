"""The keys of a scenario file; the ranges of explicit assets are checked by the assets themselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from admmflex.assets.battery import BatteryReactive
from admmflex.assets.pv import PvReactive

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Efficiency = Annotated[float, Field(gt=0.0, le=1.0)]
Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
Profile = Annotated[
    float | list[float] | str, Field(description="one number, one number per step, or the name of a column of profiles")
]


class Section(BaseModel):
    """A section of a scenario: frozen, without room for unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class NetworkSpec(Section):
    """The grid: a SimBench code, or a pandapower JSON file relative to the scenario."""

    source: str = Field(min_length=1)
    taps: Literal["as_given", "neutral"] = "as_given"
    slack_pu: Positive | None = None


class HorizonSpec(Section):
    """Local start and the steps; a duration in days counts calendar days, so that a day may have 23 or 25 hours."""

    start: str
    steps: Annotated[int, Field(gt=0, le=1_000_000)] | None = None
    duration: Annotated[str, Field(pattern=r"^\d+(\.\d+)?\s*(min|h|d)$")] | None = None
    step_minutes: Positive | list[Positive] = 15.0
    timezone: str = "Europe/Berlin"
    profile_timezone: str = "Europe/Berlin"

    @model_validator(mode="after")
    def _one_length(self) -> HorizonSpec:
        given = (self.steps is not None) + (self.duration is not None) + isinstance(self.step_minutes, list)
        if given != 1:
            raise ValueError("give exactly one of steps, duration, or step_minutes as a list")
        return self


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


class LimitsSpec(Section):
    """What the grid may carry; percentages of the ratings in the network."""

    v_min: Positive = 0.95
    v_max: Positive = 1.05
    line_percent: Positive = 100.0
    transformer_percent: Positive = 100.0
    transformer: Literal["current", "power"] = "current"

    @model_validator(mode="after")
    def _ordered(self) -> LimitsSpec:
        if self.v_min >= self.v_max:
            raise ValueError(f"v_min = {self.v_min:g} must be below v_max = {self.v_max:g}")
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


class ProsumerSpec(Section):
    """One prosumer; a row of a table has the same keys, written with a dot: ``pv.kwp``."""

    name: str = Field(min_length=1)
    bus: int
    load: LoadSpec | None = None
    pv: PvSpec | None = None
    battery: BatterySpec | None = None
    tariff: TariffSpec | None = None


class TablesSpec(Section):
    """CSV or Parquet files, relative to the scenario; ``timezone`` says what timestamps without an offset mean."""

    prosumers: str | None = None
    profiles: str | None = None
    timezone: str | None = None
    resample: Literal["never", "mean"] = "never"


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


class NetworkPv(PvModel):
    """PV plants of the network: as assets, or left out."""

    use: bool = True
    scaling: Positive = 1.0


class NetworkStorages(BatteryModel):
    """Storages of the network: as batteries, left out ("idle"), or fixed to the profile the network gives them."""

    use: Literal["battery", "idle", "profile"] = "battery"


class SimbenchSpec(Section):
    """Loads, PV and storages of the network itself with its profiles; one prosumer per bus, or one per load."""

    by: Literal["bus", "load"] = "bus"
    load_scaling: Positive = 1.0
    pv: NetworkPv = NetworkPv()
    storages: NetworkStorages = NetworkStorages()


class AdoptedPv(PvModel):
    """PV on a share of the load buses, or of the prosumers."""

    share: Share
    of: Literal["buses", "prosumers"] = "buses"
    kwp: Positive | tuple[Positive, Positive] = Field(description="size, or smallest and largest of a uniform draw")
    profile: str | None = Field(default=None, description="one profile for all; without it each plant draws one")


class AdoptedBattery(BatteryModel):
    """Batteries with a share of the plants that the adoption adds."""

    share_of_pv: Share
    kwh: Positive
    kw: Positive


class AdoptionSpec(Section):
    """PV and batteries added to prosumers that have loads, drawn with the seed of the scenario."""

    pv: AdoptedPv
    battery: AdoptedBattery | None = None


class ProsumersSpec(Section):
    """Where the prosumers come from; sources may be combined."""

    listed: tuple[ProsumerSpec, ...] = Field(default=(), alias="list")
    tables: TablesSpec | None = None
    simbench: SimbenchSpec | None = None
    adoption: AdoptionSpec | None = None

    @model_validator(mode="after")
    def _something(self) -> ProsumersSpec:
        has_table = self.tables is not None and self.tables.prosumers is not None
        if not (self.listed or has_table or self.simbench or self.adoption):
            raise ValueError("give at least one of list, tables.prosumers, simbench, adoption")
        return self


class CoordinationSpec(Section):
    """How prosumers and grid agree."""

    method: Literal["admm", "central", "none"] = "admm"
    rho: Positive = 0.01
    relaxation: Annotated[float, Field(gt=0.0, lt=2.0)] = 1.6
    balancing: bool = True
    mixing: bool = True
    relinearise_every: Annotated[int, Field(ge=0)] = 1
    max_iterations: Annotated[int, Field(gt=0)] = 200
    cost_tolerance: Positive = 2e-4
    voltage_tolerance_pu: Positive = 1e-4
    loading_tolerance_percent: Positive = 0.1
    certify: bool = True


class ScenarioSpec(Section):
    """A whole scenario file."""

    name: str = Field(min_length=1)
    network: NetworkSpec
    horizon: HorizonSpec
    tariff: TariffSpec
    limits: LimitsSpec = LimitsSpec()
    prosumers: ProsumersSpec
    coordination: CoordinationSpec = CoordinationSpec()
    mode: Literal["grid-connected"] = "grid-connected"
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="before")
    @classmethod
    def _short_network(cls, data: object) -> object:
        """``network: CODE`` is short for ``network: {source: CODE}``."""
        if isinstance(data, dict) and isinstance(data.get("network"), str):
            return {**data, "network": {"source": data["network"]}}
        return data
