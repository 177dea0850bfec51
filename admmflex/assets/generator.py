"""A generator that burns fuel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from admmflex.assets.checks import number_faults
from admmflex.assets.flow import Flow, Store
from admmflex.assets.inverter import disc_edges, tan_phi
from admmflex.errors import Fault
from admmflex.horizon import Horizon

GeneratorReactive = Literal["none", "box", "disc"]
REACTIVE: tuple[str, ...] = ("none", "box", "disc")


@dataclass(frozen=True)
class Generator:
    """A machine with a cost per kWh and, if given, a tank.

    0 <= p[t] <= p_max,   q as below,   fuel[t+1] = fuel[t] - dt[t] p[t] >= 0
    cost = sum_t dt[t] (cost p[t] + q_cost |q[t]|)

    q = 0                                    reactive "none"
    |q| <= tan(acos pf) p_max                "box"
    p^2 + q^2 <= s^2, as an inner polygon    "disc"

    The fuel is counted as the electric energy that it yields. A least power while running is not part of the convex
    set: docs/decisions/islands.md.

    Args:
        name: unique behind the meter.
        p_max_kw: active power [kW], positive.
        cost: of electric energy, fuel included [EUR/kWh], not negative.
        fuel_kwh: electric energy that the tank yields [kWh]; None without a limit.
        reactive: one of the capabilities above.
        power_factor: smallest power factor, in (0, 1]; for "box".
        s_kva: rating [kVA] for "disc"; ``p_max_kw`` when it is not given.
        q_cost: cost of reactive energy [EUR/kvarh], not negative.
    """

    name: str
    p_max_kw: float
    cost: float
    fuel_kwh: float | None = None
    reactive: GeneratorReactive = "disc"
    power_factor: float = 0.8
    s_kva: float | None = None
    q_cost: float = 0.0
    kind: ClassVar[str] = "generator"

    @property
    def inverter_kva(self) -> float:
        return self.p_max_kw if self.s_kva is None else self.s_kva

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, each named."""
        element = f"generator {self.name!r}"
        found = [
            *number_faults(element, "p_max_kw", self.p_max_kw, low=0.0, open_low=True),
            *number_faults(element, "cost", self.cost, low=0.0),
            *number_faults(element, "power_factor", self.power_factor, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "q_cost", self.q_cost, low=0.0),
        ]
        for name in ("fuel_kwh", "s_kva"):
            value = getattr(self, name)
            found += [] if value is None else number_faults(element, name, value, low=0.0)
        if self.reactive not in REACTIVE:
            found.append(
                Fault(element, f"reactive = {self.reactive!r}", ", ".join(REACTIVE), "choose one of these capabilities")
            )
        return found

    def flow(self, horizon: Horizon) -> Flow:
        """A flow that only gives; the tank is a state that nothing fills."""
        zero, one = np.zeros(horizon.steps), np.ones(horizon.steps)
        s, q_max, edge_c, edge_s = self.inverter_kva, zero, np.zeros(0), np.zeros(0)
        if self.reactive == "box":
            q_max = tan_phi(self.power_factor) * self.p_max_kw * one
        elif self.reactive == "disc":
            q_max = s * one
            edge_c, edge_s = disc_edges(s, generates_only=True)
        tank = None
        if self.fuel_kwh is not None:
            full = self.fuel_kwh * one
            tank = Store(self.fuel_kwh, zero, full, one, one, one, zero, 0.0)
        return Flow(
            zero, zero, self.p_max_kw * one, zero, self.cost * one, zero, q_max, self.q_cost, edge_c, edge_s, tank
        )
