"""Settings of the price coordination."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from admmflex.coordination.penalty import Balancing
from admmflex.horizon import Array


@dataclass(frozen=True)
class MixingSettings:
    """When past answers are mixed: from round ``first`` on, every ``every`` rounds, over at most ``window`` answers.

    A warm start mixes from round ``every`` on. Each mix multiplies the penalty by ``shrink``, down to ``least`` of what
    it was at the first one: mixes meet the limits, and towards less cost larger steps are needed.
    """

    first: int = 9
    every: int = 2
    window: int = 30
    shrink: float = 0.25
    least: float = 0.02


@dataclass(frozen=True)
class AdmmSettings:
    """Settings of the coordination; the defaults suit low-voltage grids and need no tuning.

    Args:
        rho: penalty [EUR/(kW kWh)] where the balancing starts.
        relaxation: over-relaxation in (0, 2).
        balancing: None keeps rho.
        mixing: None stops on the answers themselves.
        relinearise_every: rounds between two linearisations of the grid; 0 keeps the first one.
        max_iterations: rounds after which a run gives up.
        cost_tolerance: relative movement of the cost at which a plan counts as settled.
        voltage_tolerance, loading_tolerance, connection_tolerance: what a plan may exceed in the AC power flow [pu],
            [fraction], at the slack [fraction of the load].
        cost_scale: [EUR] least cost that a movement is compared with, where the cost itself may be about zero.
        certify: ask one last answer for a lower bound of the cost.
    """

    rho: float = 0.01
    relaxation: float = 1.6
    balancing: Balancing | None = field(default_factory=Balancing)
    mixing: MixingSettings | None = field(default_factory=MixingSettings)
    relinearise_every: int = 1
    max_iterations: int = 200
    cost_tolerance: float = 2e-4
    voltage_tolerance: float = 1e-4
    loading_tolerance: float = 1e-3
    connection_tolerance: float = 5e-4
    cost_scale: float = 1e-9
    certify: bool = True

    @property
    def tolerances(self) -> Array:
        """(3,) of voltages, loadings and the power at the slack."""
        return np.array([self.voltage_tolerance, self.loading_tolerance, self.connection_tolerance])
