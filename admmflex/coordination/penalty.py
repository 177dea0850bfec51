"""The penalty rho of ADMM and its balancing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Balancing:
    """Residual balancing, biased towards the primal residual.

    rho <- rho clip( sqrt(bias r_primal / r_dual), 1 / most, most )   in each of the first ``early`` rounds, then every
    ``every`` rounds up to round ``until``, when the factor leaves [1 / deadband, deadband]; relative residuals.
    """

    early: int = 4
    every: int = 3
    until: int = 40
    bias: float = 0.5
    deadband: float = 1.5
    most: float = 5.0

    def update(self, rho: float, iteration: int, primal: float, dual: float) -> float:
        """The penalty for the next round."""
        if (iteration > self.early and iteration % self.every) or iteration > self.until or iteration == 1:
            return rho
        factor = float(np.clip(np.sqrt(self.bias * max(primal, 1e-12) / max(dual, 1e-12)), 1.0 / self.most, self.most))
        return rho * factor if factor > self.deadband or factor < 1.0 / self.deadband else rho
