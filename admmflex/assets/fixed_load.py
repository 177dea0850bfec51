"""A load that is not flexible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from admmflex.assets.checks import profile_faults
from admmflex.assets.flow import Flow
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon


@dataclass(frozen=True)
class FixedLoad:
    """Consumption that follows a profile.

    p[t] = -p_kw[t],   q[t] = -q_kvar[t]

    Args:
        name: unique behind the meter.
        p_kw, q_kvar: ``(K,)`` consumption, positive [kW, kvar]. Negative values are a net profile that feeds in.
    """

    name: str
    p_kw: Array
    q_kvar: Array
    kind: ClassVar[str] = "load"

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Profiles that are short or not finite."""
        element = f"load {self.name!r}"
        return [
            *profile_faults(element, "p_kw", self.p_kw, horizon),
            *profile_faults(element, "q_kvar", self.q_kvar, horizon),
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """Fixed powers and nothing to decide."""
        return Flow.fixed(-self.p_kw, -self.q_kvar)
