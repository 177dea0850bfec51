"""A battery behind an inverter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from admmflex.assets.checks import number_faults
from admmflex.assets.flow import Flow, Store
from admmflex.assets.inverter import disc_edges, tan_phi
from admmflex.errors import Fault
from admmflex.horizon import Horizon

BatteryReactive = Literal["none", "box", "disc"]
REACTIVE: tuple[str, ...] = ("none", "box", "disc")


@dataclass(frozen=True)
class Battery:
    """Stored energy with losses and wear.

    p = dis - ch,   0 <= ch <= p_charge,   0 <= dis <= p_discharge
    e[t+1] = e[t] + dt[t] (eta_c ch[t] - dis[t] / eta_d),   e_min <= e <= e_max
    cost = sum_t dt[t] wear (ch + dis) - end_value e[K],   e[K] >= e_end_min

    The end of the horizon needs a bound or a value, or every plan would end empty: without ``e_end_min`` and without
    ``end_value`` the battery ends at least as full as it starts.

    Args:
        name: unique behind the meter.
        e_max_kwh, e_min_kwh: band of the stored energy [kWh].
        p_charge_kw, p_discharge_kw: AC power limits [kW].
        e_start_kwh: energy at the beginning [kWh], inside the band.
        eta_c, eta_d: efficiencies in (0, 1].
        wear: cost of each kWh of AC energy, charged or discharged [EUR/kWh].
        e_end_min_kwh: least energy at the end [kWh].
        end_value: value of the energy left at the end [EUR/kWh].
        reactive: "none"; "box" ``|q| <= tan(acos pf) s``; "disc" ``p^2 + q^2 <= s^2`` as an inner polygon.
        power_factor: for "box", in (0, 1].
        s_kva: inverter rating [kVA]; the larger power limit when it is not given.
        q_cost: cost of reactive energy [EUR/kvarh].

    Source: section 1 of the formulation, [M] (2e)-(2f).
    """

    name: str
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
    kind: ClassVar[str] = "battery"

    @property
    def inverter_kva(self) -> float:
        return max(self.p_charge_kw, self.p_discharge_kw) if self.s_kva is None else self.s_kva

    @property
    def end_bound_kwh(self) -> float:
        """Least energy at the end that applies: as given, or the start when nothing says otherwise."""
        if self.e_end_min_kwh is not None:
            return self.e_end_min_kwh
        return self.e_start_kwh if self.end_value is None else self.e_min_kwh

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, each named; the end of the horizon is checked once the numbers make sense."""
        element = f"battery {self.name!r}"
        found = [
            *number_faults(element, "e_min_kwh", self.e_min_kwh, low=0.0),
            *number_faults(element, "e_max_kwh", self.e_max_kwh, low=self.e_min_kwh),
            *number_faults(element, "p_charge_kw", self.p_charge_kw, low=0.0),
            *number_faults(element, "p_discharge_kw", self.p_discharge_kw, low=0.0),
            *number_faults(element, "eta_c", self.eta_c, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "eta_d", self.eta_d, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "wear", self.wear, low=0.0),
            *number_faults(element, "q_cost", self.q_cost, low=0.0),
            *number_faults(element, "power_factor", self.power_factor, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "end_value", 0.0 if self.end_value is None else self.end_value),
        ]
        if self.s_kva is not None:
            found += number_faults(element, "s_kva", self.s_kva, low=0.0)
        if self.reactive not in REACTIVE:
            found.append(
                Fault(element, f"reactive = {self.reactive!r}", ", ".join(REACTIVE), "choose one of these capabilities")
            )
        if self.e_min_kwh <= self.e_max_kwh:
            low, high = self.e_min_kwh, self.e_max_kwh
            found += number_faults(element, "e_start_kwh", self.e_start_kwh, low=low, high=high)
            if self.e_end_min_kwh is not None:
                found += number_faults(element, "e_end_min_kwh", self.e_end_min_kwh, low=low, high=high)
        return found or [*self._filling_faults(element), *self._end_faults(element, horizon)]

    def _filling_faults(self, element: str) -> list[Fault]:
        """A capacity that the charger cannot fill within a day: usually kWh and Wh, or kW and W, mixed up."""
        most = 24.0 * self.eta_c * self.p_charge_kw
        if self.p_charge_kw == 0.0 or self.e_max_kwh - self.e_min_kwh <= most:
            return []
        return [
            Fault(
                element,
                f"e_max_kwh = {self.e_max_kwh:g} with p_charge_kw = {self.p_charge_kw:g}",
                f"at most {self.e_min_kwh + most:.6g}: what charging for a day fills",
                "correct e_max_kwh or p_charge_kw, and look at their units",
            )
        ]

    def _end_faults(self, element: str, horizon: Horizon) -> list[Fault]:
        """An end that the charger cannot reach."""
        charge_kw = self.p_charge_kw
        if self.reactive == "disc":
            charge_kw = min(charge_kw, self.inverter_kva)
        reach = min(self.e_max_kwh, self.e_start_kwh + self.eta_c * charge_kw * float(horizon.dt_h.sum()))
        if self.end_bound_kwh <= reach * (1.0 + 1e-12):
            return []
        return [
            Fault(
                element,
                f"e_end_min_kwh = {self.end_bound_kwh:g}",
                f"at most {reach:g}: charging from e_start_kwh = {self.e_start_kwh:g} reaches no more",
                "lower e_end_min_kwh, or raise e_start_kwh or p_charge_kw",
            )
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """A flow with a state; the bound at the end is the last ``e_min``."""
        steps = horizon.steps
        zero, wear = np.zeros(steps), np.full(steps, self.wear)
        e_min = np.full(steps, self.e_min_kwh)
        e_min[-1] = self.end_bound_kwh
        store = Store(
            e_start=self.e_start_kwh,
            e_min=e_min,
            e_max=np.full(steps, self.e_max_kwh),
            eta_take=np.full(steps, self.eta_c),
            eta_give=np.full(steps, self.eta_d),
            keep=np.ones(steps),
            gain=zero,
            end_value=0.0 if self.end_value is None else self.end_value,
        )
        s, q_max, edge_c, edge_s = self.inverter_kva, zero, np.zeros(0), np.zeros(0)
        if self.reactive == "box":
            q_max = np.full(steps, tan_phi(self.power_factor) * s)
        elif self.reactive == "disc":
            q_max = np.full(steps, s)
            edge_c, edge_s = disc_edges(s, generates_only=False)
        give, take = np.full(steps, self.p_discharge_kw), np.full(steps, self.p_charge_kw)
        return Flow(zero, zero, give, take, wear, wear, q_max, self.q_cost, edge_c, edge_s, store)
