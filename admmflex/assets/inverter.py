"""Reactive capability of an inverter, as the edges of a flow."""

from __future__ import annotations

import math

import numpy as np

from admmflex.horizon import Array

SECTORS = 16
"""Sides of the polygon that replaces the disc; 16 lose at most 1 - cos(pi/16) = 1.9 % of the rating."""


def tan_phi(power_factor: float) -> float:
    """Reactive per active power at a power factor, ``tan(acos pf)`` [kvar/kW]."""
    return math.sqrt(1.0 - power_factor * power_factor) / power_factor


def disc_edges(s_kva: float, *, generates_only: bool) -> tuple[Array, Array]:
    """The upper edges of a regular polygon inscribed in the disc p^2 + q^2 <= s^2.

    |q| <= c[j] + s[j] p,   c[j] = S cos(h/2) / sin(m[j]),   s[j] = -cot(m[j]),   h = 2 pi / SECTORS

    with m[j] the angle of the middle of side j. The vertices lie on the circle, ``(s, 0)`` and ``(0, s)`` among them,
    so that a point inside the polygon always respects the rating.

    Args:
        s_kva: rating S of the inverter [kVA].
        generates_only: leave out the sides with p < 0, which a generator never meets.

    Returns:
        c [kvar] and s [kvar/kW], ``(J,)`` each.
    """
    width = 2.0 * math.pi / SECTORS
    sides = SECTORS // 4 if generates_only else SECTORS // 2
    middle = width * (np.arange(sides) + 0.5)
    return s_kva * math.cos(width / 2) / np.sin(middle), -np.cos(middle) / np.sin(middle)
