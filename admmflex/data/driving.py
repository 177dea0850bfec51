"""When an adopted car is away and how much it drives, drawn."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from admmflex.assets import Session
from admmflex.data.model_spec import AdoptedEv, ClockDraw
from admmflex.data.stays import cut_session
from admmflex.horizon import Array, Horizon

HABIT, DAY = np.sqrt(0.75), 0.5
"""Three quarters of the variance of a time of day are the habit of a driver, one quarter that of the day."""
FURTHEST = 3.0
LEAST_H = 1.0
"""Shortest time away, and shortest stay."""
SPARE = 0.95
"""A car drives no more than the stay after it can charge at this share of the charger's power."""


class _Day(NamedTuple):
    """Hours since the start of the horizon, and energy driven in between."""

    departs_h: float
    arrives_h: float
    kwh: float


def draw_sessions(
    spec: AdoptedEv, capacity_kwh: float, charger_kw: float, horizon: Horizon, key: tuple[int, ...]
) -> tuple[Session, ...]:
    """The stays of one car within the horizon: each from an arrival to the departure of the next day.

    A day has its own stream of random numbers, so that a plan made an hour later sees the same stays. The energy driven
    is gamma distributed, and no more than what the battery holds on departure and what the following stay can charge.

    Args:
        key: of the random numbers of this car: the same key, the same stays.
    """
    habit = np.random.default_rng(key).standard_normal(2)
    first = horizon.start.date() - timedelta(days=1)
    count = int(float(horizon.dt_h.sum()) // 24.0) + 4
    days = [_draw_day(spec, first + timedelta(days=k), habit, horizon, key) for k in range(count)]
    due, end, found = spec.due * capacity_kwh, float(horizon.dt_h.sum()), []
    for day, following in pairwise(days):
        departs = max(following.departs_h, day.arrives_h + LEAST_H)
        kwh = min(day.kwh, due, SPARE * spec.eta_c * charger_kw * (departs - day.arrives_h))
        found.append(cut_session(day.arrives_h, departs, due - kwh, due, end))
    return tuple(one for one in found if one is not None)


def _draw_day(spec: AdoptedEv, day: date, habit: Array, horizon: Horizon, key: tuple[int, ...]) -> _Day:
    stream = np.random.default_rng((*key, day.toordinal()))
    away, home = stream.standard_normal(2)
    departs = _hours(spec.departure, HABIT * habit[0] + DAY * away, day, horizon)
    arrives = max(_hours(spec.arrival, HABIT * habit[1] + DAY * home, day, horizon), departs + LEAST_H)
    mean, std = spec.energy_kwh.mean, spec.energy_kwh.std
    kwh = stream.gamma((mean / std) ** 2, std * std / mean) if std > 0.0 else mean
    return _Day(departs, arrives, float(kwh))


def _hours(draw: ClockDraw, deviation: float, day: date, horizon: Horizon) -> float:
    """Hours since the start of the horizon of a wall-clock time that is drawn."""
    clock = datetime.combine(day, time.fromisoformat(draw.mean), tzinfo=horizon.start.tzinfo)
    shift = draw.std_h * float(np.clip(deviation, -FURTHEST, FURTHEST))
    return (clock.timestamp() - horizon.start.timestamp()) / 3600.0 + shift
