"""The keys of a scenario file.

``prosumer_spec`` has those of one prosumer, ``model_spec`` those of many, ``trouble_spec`` those of islands, outages
and compromised devices.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from admmflex.data.model_spec import AdoptionSpec, SimbenchSpec
from admmflex.data.prosumer_spec import ProsumerSpec, TariffSpec
from admmflex.data.section import Finite, Name, NotNegative, Positive, Profile, Section, Seed
from admmflex.data.trouble_spec import CompromisedSpec, IslandSpec, OutageSpec

__all__ = [
    "AdoptionSpec",
    "ChartsSpec",
    "ConnectionSpec",
    "CoordinationSpec",
    "DeviationsSpec",
    "HorizonSpec",
    "LimitsSpec",
    "NetworkSpec",
    "ProsumerSpec",
    "ProsumersSpec",
    "ScenarioSpec",
    "SimbenchSpec",
    "TablesSpec",
    "TariffSpec",
    "WeatherSpec",
]


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


class ConnectionSpec(Section):
    """What the connection with the upstream grid may exchange; active power drawn is positive.

    A cap on import or on export, a band around a requested profile ``p_kw``, or the profile itself (``band_kw: 0``); a
    floor is a negative limit of the other direction. What cannot be met is missed by as little energy as possible,
    unless ``unmet_price`` is null: then the day is infeasible.
    """

    import_kw: Profile | None = None
    export_kw: Profile | None = None
    p_kw: Profile | None = None
    band_kw: NotNegative = 0.0
    import_kvar: Profile | None = None
    export_kvar: Profile | None = None
    unmet_price: Positive | None = Field(default=10.0, description="[EUR/kWh] off the limits, far above the tariff")

    @model_validator(mode="after")
    def _something(self) -> ConnectionSpec:
        if not self.model_fields_set - {"band_kw", "unmet_price"}:
            raise ValueError("give at least one of import_kw, export_kw, p_kw, import_kvar, export_kvar")
        return self


class EquipmentSpec(Section):
    """What the grid may carry; percentages of the ratings in the network."""

    v_min: Positive = 0.95
    v_max: Positive = 1.05
    line_percent: Positive = 100.0
    transformer_percent: Positive = 100.0
    transformer: Literal["current", "power"] = "current"

    @model_validator(mode="after")
    def _ordered(self) -> EquipmentSpec:
        if self.v_min >= self.v_max:
            raise ValueError(f"v_min = {self.v_min:g} must be below v_max = {self.v_max:g}")
        return self


class LimitsSpec(EquipmentSpec):
    """Limits of the equipment, and of what is exchanged with the upstream grid."""

    connection: ConnectionSpec | None = None


class TablesSpec(Section):
    """CSV or Parquet files, relative to the scenario; ``timezone`` says what timestamps without an offset mean."""

    prosumers: str | None = None
    profiles: str | None = None
    sessions: str | None = Field(default=None, description="stays of the cars of the prosumer table")
    tasks: str | None = Field(default=None, description="tasks of the deferrable loads of the prosumer table")
    largest_kw: Positive = Field(default=250.0, description="what a customer may have; more suggests another unit")
    timezone: str | None = None
    resample: Literal["never", "mean"] = "never"

    @model_validator(mode="after")
    def _owners(self) -> TablesSpec:
        if self.prosumers is None and (self.sessions or self.tasks):
            raise ValueError("sessions and tasks belong to the prosumers of a table: give tables.prosumers")
        return self


class WeatherSpec(Section):
    """Outdoor temperature, and the place for the position of the sun."""

    outdoor_c: Profile | None = Field(
        default=None, description="[degC]; without it a typical year of Central Europe stands in"
    )
    warmer_k: Finite = Field(default=0.0, description="added to the typical year")
    latitude: Annotated[float, Field(ge=-66.0, le=66.0)] | None = None
    longitude: Annotated[float, Field(ge=-180.0, le=180.0)] | None = None
    tilt: Annotated[float, Field(ge=0.0, le=90.0)] = 30.0
    azimuth: Annotated[float, Field(ge=0.0, le=360.0)] = Field(default=180.0, description="180 is south")

    @model_validator(mode="after")
    def _one_temperature(self) -> WeatherSpec:
        if self.outdoor_c is not None and self.warmer_k != 0.0:
            raise ValueError("give outdoor_c, or warmer_k for the typical year")
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("give latitude and longitude together")
        return self


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


class DeviationsSpec(Section):
    """How far loads and sun wander from the forecast: standard deviations of logarithms, slow and fast."""

    load: NotNegative = 0.25
    flicker: NotNegative = 0.2
    sun: NotNegative = 0.15
    clouds: NotNegative = 0.15


class ChartsSpec(Section):
    """``method: charts``: the horizon in closed loop, a control step every few seconds."""

    control_seconds: Positive = 10.0
    future: Literal["forecast", "none"] = "forecast"
    segments: Annotated[int, Field(ge=1, le=12)] = 3
    even: NotNegative = Field(default=2e-4, description="[EUR/kWh per kW] by which equally good times are told apart")
    loss_price: NotNegative = Field(default=0.0, description="[EUR/kWh] of losses in the grid")
    deviations: DeviationsSpec = DeviationsSpec()


class CoordinationSpec(Section):
    """How prosumers and grid agree."""

    method: Literal["admm", "charts", "central", "none"] = "admm"
    charts: ChartsSpec = ChartsSpec()
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

    name: Name
    network: NetworkSpec
    horizon: HorizonSpec
    tariff: TariffSpec
    limits: LimitsSpec = LimitsSpec()
    weather: WeatherSpec = WeatherSpec()
    prosumers: ProsumersSpec
    coordination: CoordinationSpec = CoordinationSpec()
    compromised: CompromisedSpec | None = None
    mode: Literal["grid-connected", "islanded"] = "grid-connected"
    island: IslandSpec | None = None
    outage: OutageSpec | None = None
    seed: Seed = 0

    @model_validator(mode="after")
    def _island_of_mode(self) -> ScenarioSpec:
        window = self.outage is not None and self.outage.begin is not None
        if (self.mode == "islanded" or window) != (self.island is not None):
            raise ValueError("mode: islanded, or outage with from and to, and a section island belong together")
        if self.outage is not None and window == (self.mode == "islanded"):
            raise ValueError("outage from and to belong to a grid-connected day, outage.duration to mode: islanded")
        if window and self.island is not None and self.island.model_fields_set & {"open", "voltage_pu"}:
            raise ValueError(
                "during an announced outage the whole grid is an island, at the voltage that its connection has "
                "before and after: remove island.open and island.voltage_pu"
            )
        if window and self.limits.connection is not None and self.limits.connection.unmet_price is not None:
            raise ValueError("nothing fills gaps in an announced outage: set limits.connection.unmet_price: null")
        if self.mode == "islanded" and self.limits.connection is not None:
            raise ValueError("an island has no connection: remove limits.connection")
        if self.coordination.method == "charts" and (self.island is not None or self.limits.connection is not None):
            raise ValueError("method charts knows no limits of the connection: use admm or central")
        return self

    @model_validator(mode="before")
    @classmethod
    def _short_network(cls, data: object) -> object:
        """``network: CODE`` is short for ``network: {source: CODE}``."""
        if isinstance(data, dict) and isinstance(data.get("network"), str):
            return {**data, "network": {"source": data["network"]}}
        return data
