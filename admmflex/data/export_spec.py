"""The keys of a scenario file with ``coordination.method: export-limits``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from admmflex.data.section import Name, NotNegative, Positive, Section, Seed
from admmflex.data.spec import EquipmentSpec

Percent = Annotated[float, Field(gt=0.0, le=100.0)]
Day = Annotated[int, Field(ge=1, le=366)]


class FeederSpec(Section):
    """The feeder: an OpenDSS or pandapower JSON file with the phases of its loads, relative to the scenario."""

    source: str = Field(min_length=1)


class FeederLimitsSpec(EquipmentSpec):
    """Phase-to-neutral voltages, currents of every conductor, transformers; unbalance on demand."""

    v_min: Positive = 0.9
    v_max: Positive = 1.1
    unbalance_percent: Positive | None = Field(default=None, description="negative over positive sequence voltage")


class CustomersSpec(Section):
    """A customer for every load of the feeder, on its phases."""

    rating_kw: NotNegative | dict[str, NotNegative] | None = Field(
        default=None, description="of the inverters: one number, or by name of the load; else the feeder's generators"
    )


class MeasuredSpec(Section):
    """Measured days in a CSV or Parquet table, see ``export_limits.history.read_history``."""

    table: str = Field(min_length=1, description="columns time, NAME_pload, NAME_qload, and the sun; from the scenario")
    start: str = Field(description="beginning of the first day")
    days: Annotated[int, Field(ge=2, le=36_600)]
    step_minutes: Positive = Field(default=15.0, description="of the scenarios; shorter rows are averaged")
    timezone: str = Field(default="UTC", description="of times without an offset; one without summer time")


class DrawnSpec(Section):
    """Scenarios drawn from measured days, see ``export_limits.generate``: of a SimBench grid, or of a table."""

    count: Annotated[int, Field(ge=1, le=100_000)] = 350
    profiles: str = Field(default="1-LV-rural3--2-sw", min_length=1)
    measured: MeasuredSpec | None = Field(default=None, description="instead of profiles")
    plant: str | None = Field(default=None, description="PV profile, or column of the sun in the measured table")
    first_day: Day = 152
    last_day: Day = 243
    oversizing: Positive = 1.0

    @model_validator(mode="after")
    def _one_history(self) -> DrawnSpec:
        if self.measured is not None and "profiles" in self.model_fields_set:
            raise ValueError("give either profiles or measured")
        return self


class ExportScenariosSpec(Section):
    """Where the scenarios come from: drawn, or a table."""

    drawn: DrawnSpec | None = None
    table: str | None = None
    start: str | None = Field(default=None, description="of the first step of a table")
    step_minutes: Positive = Field(default=15.0, description="of a table")

    @model_validator(mode="after")
    def _one_source(self) -> ExportScenariosSpec:
        if (self.drawn is None) == (self.table is None):
            raise ValueError("give either drawn or table")
        if self.table is not None and self.start is None:
            raise ValueError("give start, the time of the first step of the table")
        return self


class ExportCoordinationSpec(Section):
    """How limits are found, and in how many scenarios they have to hold."""

    method: Literal["export-limits"]
    robustness_percent: tuple[Percent, ...] = Field(default=(100.0, 95.0, 90.0), min_length=1)
    confidence: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.95
    scan: Annotated[int, Field(ge=1, le=1000)] = 8
    volt_var: bool = Field(default=False, description="inverters answer their voltage with reactive power")


class ExportSpec(Section):
    """A whole scenario file of export limits."""

    name: Name
    network: FeederSpec
    limits: FeederLimitsSpec = FeederLimitsSpec()
    customers: CustomersSpec = CustomersSpec()
    scenarios: ExportScenariosSpec
    coordination: ExportCoordinationSpec
    seed: Seed = 0

    @model_validator(mode="before")
    @classmethod
    def _short_network(cls, data: object) -> object:
        """``network: FILE`` is short for ``network: {source: FILE}``."""
        if isinstance(data, dict) and isinstance(data.get("network"), str):
            return {**data, "network": {"source": data["network"]}}
        return data


def asks_for_export_limits(data: object) -> bool:
    """Whether the content of a scenario file is an ``ExportSpec``."""
    coordination = data.get("coordination") if isinstance(data, dict) else None
    return isinstance(coordination, dict) and coordination.get("method") == "export-limits"
