"""An electric vehicle at its charger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from admmflex.assets.checks import number_faults
from admmflex.assets.flow import Flow
from admmflex.assets.shortfall import Shortfall, relax_faults
from admmflex.assets.windows import Power, Window, Windows, spread, time_faults, unfinished
from admmflex.errors import Fault
from admmflex.horizon import Horizon


@dataclass(frozen=True)
class Session:
    """One stay at the charger.

    Args:
        arrive_h, depart_h: hours since the start of the horizon, inside it; within a step the power is limited to the
            part of the step during which the car is there.
        arrival_kwh: energy in the battery on arrival, when the car left no fuller than it had to the last time.
        due_kwh: least energy on departure.
    """

    arrive_h: float
    depart_h: float
    arrival_kwh: float
    due_kwh: float


@dataclass(frozen=True)
class ElectricVehicle:
    """A battery that comes and goes.

    p = dis - ch,   0 <= ch <= charger_kw,   0 <= dis <= v2g_kw      at the charger, p = 0 elsewhere
    e[t+1] = e[t] + dt[t] (eta_c ch[t] - dis[t] / eta_d),   min(reserve, arrival) <= e <= capacity
    e >= due on departure,    cost = sum_t dt[t] wear dis

    What the car holds above its due on departure it still holds on its next arrival; a car charged elsewhere arrives
    fuller and so leaves room for that. Vehicle to grid takes nothing below the reserve, nor below the energy on arrival
    where that is lower.

    With ``relax`` a session that cannot be met is charged as far as it goes, what is missing is charged elsewhere at
    ``shortfall_price``, and the next session begins as stated.

    Args:
        name: unique behind the meter.
        capacity_kwh: of the battery [kWh].
        charger_kw: AC power limit [kW].
        sessions: in order of time; none is a day away from home.
        eta_c, eta_d: efficiencies in (0, 1].
        v2g_kw: AC power that may be given back [kW]; 0 for a charger that only charges.
        wear: cost of each kWh of AC energy given back [EUR/kWh].
        reserve_kwh: energy that vehicle to grid leaves in the battery [kWh].
        relax: serve what can be served instead of refusing a session that cannot be met.
        shortfall_price: of the energy that is then missing [EUR/kWh in the battery].

    Source: section 1 of the formulation; the chain of sessions is derived.
    """

    name: str
    capacity_kwh: float
    charger_kw: float
    sessions: tuple[Session, ...]
    eta_c: float = 0.92
    eta_d: float = 0.92
    v2g_kw: float = 0.0
    wear: float = 0.0
    reserve_kwh: float = 0.0
    relax: bool = False
    shortfall_price: float = 0.0
    kind: ClassVar[str] = "ev"

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, sessions that overlap, and sessions that cannot be met unless ``relax``."""
        element = f"ev {self.name!r}"
        found = [
            *number_faults(element, "capacity_kwh", self.capacity_kwh, low=0.0, open_low=True),
            *number_faults(element, "charger_kw", self.charger_kw, low=0.0),
            *number_faults(element, "eta_c", self.eta_c, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "eta_d", self.eta_d, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "v2g_kw", self.v2g_kw, low=0.0),
            *number_faults(element, "wear", self.wear, low=0.0),
            *relax_faults(element, self.relax, self.shortfall_price),
        ]
        if not found:
            found += number_faults(element, "reserve_kwh", self.reserve_kwh, low=0.0, high=self.capacity_kwh)
            for number, one in enumerate(self.sessions, start=1):
                for field in ("arrival_kwh", "due_kwh"):
                    label, value = f"session {number}: {field}", getattr(one, field)
                    found += number_faults(element, label, value, low=0.0, high=self.capacity_kwh)
        names = [f"session {number}" for number in range(1, len(self.sessions) + 1)]
        found += time_faults(element, names, self._windows(), horizon)
        if found or self.relax:
            return found
        return self._unmet(element, horizon)

    def _unmet(self, element: str, horizon: Horizon) -> list[Fault]:
        """Sessions that full power does not fill in time."""
        missing = self._spread(horizon).missing
        return [
            Fault(
                element,
                f"session {k + 1} ends {missing[k]:.4g} kWh short of due_kwh = {one.due_kwh:g} "
                f"at {horizon.clock(one.depart_h)}",
                f"at most {one.due_kwh - missing[k]:.4g} kWh: charger_kw = {self.charger_kw:g}, eta_c = {self.eta_c:g} "
                f"from {one.arrival_kwh:g} kWh at {horizon.clock(one.arrive_h)}",
                "lower due_kwh, stay longer, raise charger_kw, or set relax with a shortfall_price",
            )
            for k, one in enumerate(self.sessions)
            if missing[k] > 0.0
        ]

    def shortfalls(self, horizon: Horizon) -> list[Shortfall]:
        """Sessions that end with less than is due."""
        due = [one.due_kwh for one in self.sessions]
        return unfinished(f"ev {self.name!r}", "session", due, self._spread(horizon), self.shortfall_price)

    def flow(self, horizon: Horizon) -> Flow:
        """A flow whose state is the energy in the battery, at the charger and away."""
        planned, zero, none = self._spread(horizon), np.zeros(horizon.steps), np.zeros(0)
        give, take = self.v2g_kw * planned.open, self.charger_kw * planned.open
        wear = np.full(horizon.steps, self.wear)
        return Flow(zero, zero, give, take, wear, zero, zero, 0.0, none, none, planned.store)

    def _windows(self) -> list[Window]:
        return [
            Window(
                begin_h=one.arrive_h,
                end_h=one.depart_h,
                begin_kwh=one.arrival_kwh,
                due_kwh=one.due_kwh,
                least_kwh=min(self.reserve_kwh, one.arrival_kwh),
                most_kwh=self.capacity_kwh,
            )
            for one in self.sessions
        ]

    def _spread(self, horizon: Horizon) -> Windows:
        return spread(self._windows(), Power(self.charger_kw, self.v2g_kw, self.eta_c, self.eta_d), horizon)
