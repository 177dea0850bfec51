"""When a coordination is done. Every test looks and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from admmflex.coordination.settings import AdmmSettings
from admmflex.horizon import Array

EXCESS = ("voltage_excess_pu", "loading_excess", "connection_excess")
"""What the record of a round calls the parts of ``AcCheck.worst``; the last is there where the slack has limits."""
PROVEN = 5.0  # a plan is good enough within so many cost tolerances of a lower bound: 0.1 % by default
SETTLED_MIXES = 8  # whose costs all stand still
STEADY_ROUNDS = 8
STEADY_PRIMAL = 1e-2  # relative disagreement of prosumers and grid


def excess_of(record: Mapping[str, Any]) -> Array:
    """Excess of the answers of a round over the limits, as ``AcCheck.worst``, from its record."""
    return np.array([record[name] for name in EXCESS if name in record])


def meets_limits(excess: Array, settings: AdmmSettings) -> bool:
    """Whether an excess over the limits in the AC power flow, as ``AcCheck.worst``, is small enough."""
    return bool(np.all(excess <= settings.tolerances[: len(excess)]))


def settled(before: float, after: float, settings: AdmmSettings) -> bool:
    """Whether a cost stopped moving."""
    return abs(after - before) <= settings.cost_tolerance * max(abs(after), settings.cost_scale)


def proves(bound: float, cost: float, settings: AdmmSettings) -> bool:
    """Whether a lower bound shows that a plan is good enough.

    What the limits' tolerances allow may cost less than the bound; far below it nothing is proven either.
    """
    return abs(cost - bound) <= _enough(cost, settings)


def refuted(bound: float, cost: float, settings: AdmmSettings) -> bool:
    """Whether a plan within the limits undercuts a bound by more than tolerances allow: limits are not linear."""
    return bound - cost > _enough(cost, settings)


def _enough(cost: float, settings: AdmmSettings) -> float:
    """[EUR] by which a plan and its bound may differ."""
    return PROVEN * settings.cost_tolerance * max(abs(cost), settings.cost_scale)


def mixes_settled(history: Sequence[Mapping[str, Any]], settings: AdmmSettings) -> bool:
    """Whether the cost of the last mixes stood still; what a bound cannot prove has to end as well."""
    costs = [record["mix_cost_eur"] for record in history if "mix_cost_eur" in record][-SETTLED_MIXES:]
    return len(costs) == SETTLED_MIXES and settled(min(costs), max(costs), settings)


def steady(history: Sequence[Mapping[str, Any]], settings: AdmmSettings) -> bool:
    """Whether the answers themselves met the limits, at a cost that stood still, in the last rounds."""
    recent = history[-STEADY_ROUNDS:]
    if len(recent) < STEADY_ROUNDS or recent[-1]["primal"] > STEADY_PRIMAL:
        return False
    costs = [record["cost_eur"] for record in recent]
    return settled(min(costs), max(costs), settings) and all(
        meets_limits(excess_of(record), settings) for record in recent
    )
