"""Rules shared by the assets; each returns the faults it finds and never repairs anything."""

from __future__ import annotations

import math

import numpy as np

from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

LARGEST = 1e6
"""Beyond any profile of a home in kW, kvar or degC: a gigawatt, at which no power flow comes to an end."""


def profile_faults(element: str, field: str, values: Array, horizon: Horizon, *, low: float = -math.inf) -> list[Fault]:
    """A profile must have one finite value per step, none below ``low`` or beyond ``LARGEST``."""
    if values.shape != (horizon.steps,):
        return [
            Fault(
                element,
                f"{field} has shape {values.shape}",
                f"one value for each of the {horizon.steps} steps",
                "give a profile as long as the horizon",
            )
        ]
    bad = ~np.isfinite(values)
    if bad.any():
        first, count = int(bad.argmax()), f"{int(bad.sum())} of {len(bad)}"
        return [
            Fault(
                element,
                f"{field} has {count} values not finite, the first {values[first]} at {horizon.label(first)}",
                "finite numbers",
                "fill the gap in the profile",
            )
        ]
    if np.abs(values).max() > LARGEST:
        first = int(np.abs(values).argmax())
        value = f"{field} = {values[first]:g} at {horizon.label(first)}"
        return [Fault(element, value, f"at most {LARGEST:g}", "look at the unit of the profile")]
    if values.min() < low:
        first = int((values < low).argmax())
        return [
            Fault(
                element,
                f"{field} = {values[first]:g} at {horizon.label(first)}",
                f"at least {low:g}",
                "correct the profile or its sign",
            )
        ]
    return []


def number_faults(
    element: str, field: str, value: float, *, low: float = -math.inf, high: float = math.inf, open_low: bool = False
) -> list[Fault]:
    """A number must be finite and inside ``[low, high]``, or ``(low, high]`` when ``open_low``."""
    inside = math.isfinite(value) and value <= high and (value > low if open_low else value >= low)
    if inside:
        return []
    left, right = ("(" if open_low or low == -math.inf else "["), (")" if high == math.inf else "]")
    return [Fault(element, f"{field} = {value:g}", f"{left}{low:g}, {high:g}{right}", f"correct {field}")]
