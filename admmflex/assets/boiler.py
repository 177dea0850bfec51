"""An electric boiler: a tank of hot water, heated by a resistance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from admmflex.assets.checks import number_faults, profile_faults
from admmflex.assets.flow import Flow
from admmflex.assets.heat_store import HeatStore
from admmflex.assets.shortfall import Shortfall, relax_faults
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

WATER_KWH_PER_L_K = 4.186 / 3600.0
"""Heat capacity of a litre of water [kWh/(l K)]."""


@dataclass(frozen=True)
class Boiler:
    """A well mixed tank with draws of hot water.

    C dT/dt = UA (T_ambient - T) - draw + p,   0 <= p <= p_max,   t_min <= T <= t_max,   T[K] >= t_end_min

    Solved exactly over each step (``admmflex.assets.heat_store``), C = 4.186 kJ/(l K) times the volume. A draw counts
    the heat that leaves with the water. With ``relax`` a band that cannot be held is widened by what is missed whatever
    the plan, and by no more.

    Args:
        name: unique behind the meter.
        p_max_kw: electric power limit [kW].
        volume_l: of the tank [l].
        draw_kw: ``(K,)`` heat drawn [kW].
        t_start_c: temperature at the beginning [degC], inside the band.
        t_min_c, t_max_c: band of the water [degC].
        loss_kw_per_k: losses UA of the tank [kW/K].
        ambient_c: temperature around the tank [degC].
        t_end_min_c: least temperature at the end [degC]; the start when it is not given.
        relax: hold the band as well as possible instead of refusing one that cannot be held.
        shortfall_price: of the heat that is then missing or too much [EUR/kWh].

    Source: section 1 of the formulation.
    """

    name: str
    p_max_kw: float
    volume_l: float
    draw_kw: Array
    t_start_c: float
    t_min_c: float = 50.0
    t_max_c: float = 75.0
    loss_kw_per_k: float = 0.0015
    ambient_c: float = 15.0
    t_end_min_c: float | None = None
    relax: bool = False
    shortfall_price: float = 0.0
    kind: ClassVar[str] = "boiler"

    @property
    def end_c(self) -> float:
        """Least temperature at the end that applies [degC]."""
        return min(self.t_start_c, self.t_max_c) if self.t_end_min_c is None else self.t_end_min_c

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, and a band that cannot be held unless ``relax``."""
        element = f"boiler {self.name!r}"
        found = [
            *number_faults(element, "volume_l", self.volume_l, low=0.0, open_low=True),
            *number_faults(element, "loss_kw_per_k", self.loss_kw_per_k, low=0.0),
            *number_faults(element, "ambient_c", self.ambient_c),
            *profile_faults(element, "draw_kw", self.draw_kw, horizon, low=0.0),
            *relax_faults(element, self.relax, self.shortfall_price),
        ]
        heat = self._heat(horizon)
        return (found + heat.faults(horizon)) or heat.band_faults(horizon)

    def shortfalls(self, horizon: Horizon) -> list[Shortfall]:
        """Spells outside the band of the water that no plan avoids."""
        return self._heat(horizon).shortfalls(horizon)

    def flow(self, horizon: Horizon) -> Flow:
        """A flow that only takes."""
        return self._heat(horizon).flow(horizon)

    def _heat(self, horizon: Horizon) -> HeatStore:
        def constant(value: float) -> Array:
            return np.full(horizon.steps, value)

        return HeatStore(
            element=f"boiler {self.name!r}",
            capacity_kwh_per_k=WATER_KWH_PER_L_K * self.volume_l,
            loss_kw_per_k=self.loss_kw_per_k,
            ambient_c=constant(self.ambient_c),
            heat_kw=-self.draw_kw,
            eta=constant(1.0),
            p_max_kw=self.p_max_kw,
            t_min_c=constant(self.t_min_c),
            t_max_c=constant(self.t_max_c),
            t_start_c=self.t_start_c,
            t_end_min_c=self.t_end_min_c,
            relax=self.relax,
            shortfall_price=self.shortfall_price,
        )
