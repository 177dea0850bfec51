"""Linear cuts that stand for the magnitudes of voltages and currents."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.errors import Fault, InputError
from admmflex.horizon import Array

K_PUBLISHED = (0.9604338701, 0.3978247348)
K_SAFE = (1.0, float(np.sqrt(2.0) - 1.0))
_SMALLEST_DEG = 0.1


@dataclass(frozen=True)
class Cuts:
    """Voltages rotated to their angle without load, which includes the vector group of the transformer.

    Published: v_min <= alpha x +- beta y <= v_max, alpha = r cos(d/2), beta = r sin(d/2), r = 2 / (1 + cos(d/2)): for
    angles up to d both signs err by at most tan^2(d/4) of |V|. Safe: the same tangents moved outwards, so that |V|
    never exceeds v_max, and x >= v_min. Currents: the eight sides of an octagon that errs by 4 % either way (published)
    or lies within the circle (safe).

    Args:
        deviation_deg: d; None takes the largest angle of the point of expansion and of no export limit, plus a tenth.
        safe: inner cuts instead of the published ones.

    Raises:
        InputError: d outside (0, 45].

    Source: Vergara et al., eq. (28)-(43).
    """

    deviation_deg: float | None = None
    safe: bool = False

    def __post_init__(self) -> None:
        if self.deviation_deg is not None and not 0.0 < self.deviation_deg <= 45.0:
            value = f"deviation_deg = {self.deviation_deg:g}"
            raise InputError(Fault("cuts", value, "0 to 45", "correct it, or leave it out"))

    def voltage(self, deviation_deg: float, v_min: float, v_max: float) -> list[tuple[complex, float, float]]:
        """Rows  low <= Re(c u) <= high  on the rotated voltage u = x + jy."""
        d = np.deg2rad(max(deviation_deg, _SMALLEST_DEG))
        if self.safe:
            slope = np.tan(d / 2.0)
            upper = [(complex(1.0, -sign * slope), -np.inf, v_max) for sign in (1.0, -1.0)]
            return [*upper, (1.0 + 0.0j, v_min, np.inf)]
        r = 2.0 / (1.0 + np.cos(d / 2.0))
        alpha, beta = r * np.cos(d / 2.0), r * np.sin(d / 2.0)
        return [(complex(alpha, -sign * beta), v_min, v_max) for sign in (1.0, -1.0)]

    @property
    def current(self) -> Array:
        """(8,) complex c of the rows  Re(c I) <= I_max."""
        k1, k2 = K_SAFE if self.safe else K_PUBLISHED
        return np.array([complex(s1 * a, -s2 * b) for a, b in ((k1, k2), (k2, k1)) for s1 in (1, -1) for s2 in (1, -1)])
