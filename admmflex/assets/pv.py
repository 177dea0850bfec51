"""Photovoltaic generation behind an inverter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from admmflex.assets.checks import number_faults, profile_faults
from admmflex.assets.flow import Flow
from admmflex.assets.inverter import disc_edges, tan_phi
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

PvReactive = Literal["none", "box", "power_factor", "disc"]
REACTIVE: tuple[str, ...] = ("none", "box", "power_factor", "disc")


@dataclass(frozen=True)
class Pv:
    """A plant that gives what the sun offers, or less.

    0 <= p[t] <= avail[t]                    curtailable, otherwise p = avail
    q = 0                                    reactive "none"
    |q| <= tan(acos pf) rating               "box", also at night
    |q| <= tan(acos pf) p                    "power_factor"
    p^2 + q^2 <= s^2, as an inner polygon    "disc", also at night

    Args:
        name: unique behind the meter.
        avail_kw: ``(K,)`` power that the sun offers [kW], not above ``rating_kw``.
        rating_kw: active power rating [kW], positive.
        curtailable: whether less than ``avail_kw`` may be given; curtailment itself costs nothing.
        reactive: one of the capabilities above.
        power_factor: smallest power factor, in (0, 1]; for "box" and "power_factor".
        s_kva: inverter rating [kVA] for "disc"; the rating when it is not given.
        q_cost: cost of reactive energy [EUR/kvarh], not negative.

    Source: section 1 of the formulation, [M] (19).
    """

    name: str
    avail_kw: Array
    rating_kw: float
    curtailable: bool = True
    reactive: PvReactive = "none"
    power_factor: float = 0.95
    s_kva: float | None = None
    q_cost: float = 0.0
    kind: ClassVar[str] = "pv"

    @property
    def inverter_kva(self) -> float:
        return self.rating_kw if self.s_kva is None else self.s_kva

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, each named."""
        element = f"pv {self.name!r}"
        found = [
            *number_faults(element, "rating_kw", self.rating_kw, low=0.0, open_low=True),
            *number_faults(element, "power_factor", self.power_factor, low=0.0, high=1.0, open_low=True),
            *number_faults(element, "q_cost", self.q_cost, low=0.0),
        ]
        if self.s_kva is not None:
            found += number_faults(element, "s_kva", self.s_kva, low=0.0, open_low=True)
        if self.reactive not in REACTIVE:
            found.append(
                Fault(element, f"reactive = {self.reactive!r}", ", ".join(REACTIVE), "choose one of these capabilities")
            )
        profile = profile_faults(element, "avail_kw", self.avail_kw, horizon, low=0.0)
        return found + (profile or ([] if found else self._rating_faults(element, horizon)))

    def _rating_faults(self, element: str, horizon: Horizon) -> list[Fault]:
        limit, field = self.rating_kw, "rating_kw"
        if self.reactive == "disc" and not self.curtailable and self.inverter_kva < limit:
            limit, field = self.inverter_kva, "s_kva"
        over = self.avail_kw > limit * (1.0 + 1e-9)
        if not over.any():
            return []
        step = int(over.argmax())
        return [
            Fault(
                element,
                f"avail_kw = {self.avail_kw[step]:g} at {horizon.label(step)}",
                f"at most {field} = {limit:g}",
                f"correct the profile or {field}",
            )
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """A flow without a state; free curtailment is ``give < give_max`` at no cost."""
        zero, edge_c, edge_s = np.zeros(horizon.steps), np.zeros(0), np.zeros(0)
        q_max, tan, s = zero, tan_phi(self.power_factor), self.inverter_kva
        if self.reactive == "box":
            q_max = np.full(horizon.steps, tan * self.rating_kw)
        elif self.reactive == "power_factor":
            q_max, edge_c, edge_s = tan * self.avail_kw, np.zeros(1), np.array([tan])
        elif self.reactive == "disc":
            q_max = np.full(horizon.steps, s)
            edge_c, edge_s = disc_edges(s, generates_only=True)
        if self.curtailable:
            return Flow(zero, zero, self.avail_kw, zero, zero, zero, q_max, self.q_cost, edge_c, edge_s)
        if len(edge_c):
            q_max = np.clip((edge_c[:, None] + edge_s[:, None] * self.avail_kw).min(axis=0), 0.0, q_max)
        none = np.zeros(0)
        return Flow(self.avail_kw, zero, zero, zero, zero, zero, q_max, self.q_cost, none, none)
