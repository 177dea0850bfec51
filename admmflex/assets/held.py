"""A device that keeps to a plan, whatever the price."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from admmflex.assets.checks import profile_faults
from admmflex.assets.flow import Flow
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon


@dataclass(frozen=True)
class Held:
    """Powers that were decided before.

    p[t] = plan_p_kw[t],   q[t] = plan_q_kvar[t]

    Args:
        name: unique behind the meter.
        plan_p_kw, plan_q_kvar: ``(K,)`` injections [kW, kvar].
    """

    name: str
    plan_p_kw: Array
    plan_q_kvar: Array
    kind: ClassVar[str] = "held"

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Plans that are short or not finite."""
        element = f"held {self.name!r}"
        return [
            *profile_faults(element, "plan_p_kw", self.plan_p_kw, horizon),
            *profile_faults(element, "plan_q_kvar", self.plan_q_kvar, horizon),
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """Fixed powers and nothing to decide."""
        return Flow.fixed(self.plan_p_kw, self.plan_q_kvar)
