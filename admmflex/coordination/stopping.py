"""When a coordination is done. Every test looks and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from admmflex.coordination.settings import AdmmSettings
from admmflex.horizon import Array

STEADY_ROUNDS = 8
STEADY_PRIMAL = 1e-2  # relative disagreement of prosumers and grid


def meets_limits(excess: Array, settings: AdmmSettings) -> bool:
    """Whether an excess [pu, fraction] over the limits in the AC power flow is small enough."""
    return bool(excess[0] <= settings.voltage_tolerance and excess[1] <= settings.loading_tolerance)


def settled(before: float, after: float, settings: AdmmSettings) -> bool:
    """Whether a cost stopped moving."""
    return abs(after - before) <= settings.cost_tolerance * max(abs(after), settings.cost_scale)


def steady(history: Sequence[Mapping[str, Any]], settings: AdmmSettings) -> bool:
    """Whether the answers themselves met the limits, at a cost that stood still, in the last rounds."""
    recent = history[-STEADY_ROUNDS:]
    if len(recent) < STEADY_ROUNDS or recent[-1]["primal"] > STEADY_PRIMAL:
        return False
    costs = [record["cost_eur"] for record in recent]
    return settled(min(costs), max(costs), settings) and all(
        record["voltage_excess_pu"] <= settings.voltage_tolerance
        and record["loading_excess"] <= settings.loading_tolerance
        for record in recent
    )
