"""The keys of what does not happen on a usual day: islands, outages, compromised devices."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from admmflex.data.section import NotNegative, Positive, Section, Share


class ReserveSpec(Section):
    """What the unit that holds the voltage keeps for what no plan foresees: percentages of its power and energy."""

    power_percent: Annotated[float, Field(ge=0.0, lt=100.0)] = 10.0
    energy_percent: Annotated[float, Field(ge=0.0, lt=50.0)] = 5.0


class SheddingSpec(Section):
    """Which loads may be shed, and what that is worth [EUR/kWh]: a critical share of every fixed load, and the rest."""

    critical_share: Share = 0.3
    normal_price: Positive = 3.0
    critical_price: Positive = 15.0

    @model_validator(mode="after")
    def _ordered(self) -> SheddingSpec:
        if self.normal_price >= self.critical_price:
            raise ValueError("normal_price must be below critical_price")
        return self


class IslandSpec(Section):
    """``mode: islanded`` and announced outages: what is cut loose, and what holds its voltage."""

    grid_forming: str = Field(description="name of the prosumer whose battery or generator is the slack")
    voltage_pu: Positive = 1.0
    open: tuple[str, ...] = Field(
        default=(), description="branches that are open, such as 'trafo 0'; those at the upstream grid by default"
    )
    reserve: ReserveSpec = ReserveSpec()
    shedding: SheddingSpec | None = SheddingSpec()


Controllable = Literal["pv", "battery", "ev", "heat_pump", "boiler", "deferrable"]


class CompromisedSpec(Section):
    """Devices that may be taken over; they keep their last trusted plan, and the grid keeps a margin against them."""

    kinds: tuple[Controllable, ...] = ("pv", "battery", "ev", "heat_pump", "boiler", "deferrable")
    prosumers: tuple[str, ...] = Field(default=(), description="only those of these prosumers")
    share: Share | None = Field(default=None, description="of them, drawn with the seed; all when not given")
    listed: tuple[str, ...] = Field(
        default=(), alias="list", description="prosumer/kind or prosumer/device, in addition"
    )
    budget: Annotated[int, Field(ge=0)] = Field(description="how many may misbehave at once")
    detection_h: NotNegative = Field(
        default=0.0, description="[h] for which trusted batteries can cover them; 0 leaves that to the upstream grid"
    )


class DurationSpec(Section):
    """How long an outage lasts: lengths with their probabilities, or a mean and the shape of a Weibull distribution."""

    hours: list[Positive] | None = None
    probability: list[NotNegative] | None = Field(default=None, description="of each of the hours")
    mean_h: Positive | None = None
    shape: Positive = Field(default=1.0, description="of the Weibull distribution; 1 is the exponential one")

    @model_validator(mode="after")
    def _one_kind(self) -> DurationSpec:
        if (self.hours is None) == (self.mean_h is None):
            raise ValueError("give exactly one of hours and mean_h")
        if (self.hours is None) != (self.probability is None):
            raise ValueError("hours and probability belong together")
        if self.hours is not None and self.probability is not None:
            if len(self.hours) != len(self.probability):
                raise ValueError(f"{len(self.hours)} hours and {len(self.probability)} probabilities")
            if abs(sum(self.probability) - 1.0) > 1e-6:
                raise ValueError(f"probabilities add up to {sum(self.probability):g}, not 1")
        return self


class OutageSpec(Section):
    """An announced window of a grid-connected day (``from``, ``to``), or how long an island may last (``duration``)."""

    begin: str | None = Field(default=None, alias="from")
    end: str | None = Field(default=None, alias="to")
    duration: Positive | DurationSpec | None = Field(default=None, description="[h], or how probable which length is")

    @model_validator(mode="after")
    def _one_kind(self) -> OutageSpec:
        if (self.begin is None) != (self.end is None) or (self.begin is None) == (self.duration is None):
            raise ValueError("give from and to, or duration")
        return self
