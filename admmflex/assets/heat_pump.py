"""A heat pump that keeps a building, or a tank, within a band of temperature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from admmflex.assets.checks import number_faults, profile_faults
from admmflex.assets.flow import Flow
from admmflex.assets.heat_store import HeatStore
from admmflex.assets.shortfall import Shortfall, relax_faults
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

HeatSource = Literal["air", "ground"]
HeatSink = Literal["floor", "radiator", "water"]
_LAW = {"air": (6.81, -0.121, 0.000630, 15.0, 60.0), "ground": (8.77, -0.150, 0.000734, 20.0, 60.0)}
_CURVE = {"floor": (30.0, -0.5), "radiator": (40.0, -1.0), "water": (50.0, 0.0)}
GROUND_C = 10.0
"""Temperature of the brine in winter, for want of a profile of the ground."""


def cop(outdoor_c: Array, *, source: HeatSource = "air", sink: HeatSink = "floor", quality: float = 0.85) -> Array:
    """Coefficient of performance from the outdoor temperature.

    COP = quality (c0 + c1 d + c2 d^2),   d = T_sink - T_source,   T_sink = s0 + s1 T_outdoor

    with d held within the range of the regression, 15 to 60 K for air and 20 to 60 K for the ground.

    Args:
        outdoor_c: outdoor temperature [degC].
        source: "air" at the outdoor temperature, "ground" at 10 degC.
        sink: "floor" heating 30 - 0.5 T, "radiator" 40 - T, hot "water" 50 degC.
        quality: from the test bench to the house; 0.85 in the source.

    Source: regressions of Staffell et al. 2012, doi 10.1039/c2ee22653g; heating curves and quality of Ruhnau et al.
    2019, doi 10.1038/s41597-019-0199-y.
    """
    c0, c1, c2, least, most = _LAW[source]
    s0, s1 = _CURVE[sink]
    from_c = outdoor_c if source == "air" else np.full_like(outdoor_c, GROUND_C)
    lift = np.clip(s0 + s1 * outdoor_c - from_c, least, most)
    result: Array = quality * (c0 + c1 * lift + c2 * lift * lift)
    return result


@dataclass(frozen=True)
class HeatPump:
    """Electric power into a leaky store of heat.

    C dT/dt = UA (T_outdoor - T) + gains + cop p,   0 <= p <= p_max,   t_min <= T <= t_max,   T[K] >= t_end_min

    Solved exactly over each step (``admmflex.assets.heat_store``); the state is the heat above the lowest t_min.
    With ``relax`` a band that cannot be held is widened by what is missed whatever the plan, and by no more.

    Args:
        name: unique behind the meter.
        p_max_kw: electric power limit [kW].
        capacity_kwh_per_k: heat capacity C [kWh/K].
        loss_kw_per_k: losses UA [kW/K].
        outdoor_c: ``(K,)`` temperature that the losses go to [degC].
        cop: ``(K,)`` heat per electric energy, for example from ``cop``.
        gains_kw: ``(K,)`` heat from sun and people, less heat that is drawn [kW].
        t_min_c, t_max_c: ``(K,)`` comfort band [degC].
        t_start_c: temperature at the beginning [degC], inside the band of the first step.
        t_end_min_c: least temperature at the end [degC]; the start, or the top of the band if lower, when not given.
        relax: hold the band as well as possible instead of refusing one that cannot be held.
        shortfall_price: of the heat that is then missing or too much [EUR/kWh].

    Source: section 1 of the formulation; one resistance and one capacity.
    """

    name: str
    p_max_kw: float
    capacity_kwh_per_k: float
    loss_kw_per_k: float
    outdoor_c: Array
    cop: Array
    gains_kw: Array
    t_min_c: Array
    t_max_c: Array
    t_start_c: float
    t_end_min_c: float | None = None
    relax: bool = False
    shortfall_price: float = 0.0
    kind: ClassVar[str] = "heat_pump"

    @property
    def end_c(self) -> float:
        """Least temperature at the end that applies [degC]."""
        return self._heat().end_c

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, and a band that cannot be held unless ``relax``."""
        element, heat = f"heat_pump {self.name!r}", self._heat()
        found = [
            *number_faults(element, "capacity_kwh_per_k", self.capacity_kwh_per_k, low=0.0, open_low=True),
            *number_faults(element, "loss_kw_per_k", self.loss_kw_per_k, low=0.0),
            *profile_faults(element, "outdoor_c", self.outdoor_c, horizon),
            *profile_faults(element, "cop", self.cop, horizon, low=0.0),
            *profile_faults(element, "gains_kw", self.gains_kw, horizon),
            *relax_faults(element, self.relax, self.shortfall_price),
            *heat.faults(horizon),
        ]
        if not found and (self.cop == 0.0).any():
            at = horizon.label(int((self.cop == 0.0).argmax()))
            found = [Fault(element, f"cop = 0 at {at}", "above 0", "correct the profile")]
        return found or heat.band_faults(horizon)

    def shortfalls(self, horizon: Horizon) -> list[Shortfall]:
        """Spells outside the comfort band that no plan avoids."""
        return self._heat().shortfalls(horizon)

    def flow(self, horizon: Horizon) -> Flow:
        """A flow that only takes."""
        return self._heat().flow(horizon)

    def _heat(self) -> HeatStore:
        return HeatStore(
            element=f"heat_pump {self.name!r}",
            capacity_kwh_per_k=self.capacity_kwh_per_k,
            loss_kw_per_k=self.loss_kw_per_k,
            ambient_c=self.outdoor_c,
            heat_kw=self.gains_kw,
            eta=self.cop,
            p_max_kw=self.p_max_kw,
            t_min_c=self.t_min_c,
            t_max_c=self.t_max_c,
            t_start_c=self.t_start_c,
            t_end_min_c=self.t_end_min_c,
            relax=self.relax,
            shortfall_price=self.shortfall_price,
        )
