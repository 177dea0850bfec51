"""Homes with two or three storages answer a price, against general solvers on the same quadratic programs.

Every home has a load, PV, a battery and a car that is away by day, one in three of which gives back; half of the homes
have a third storage as well: a heat pump, a boiler or a task to be done within some hours. All are behind an
import/export tariff, 96 steps of 15 minutes. Prices and targets, peers and the way of timing are those of the benchmark
``prosumers``. Our tolerance follows the movement of the signals, as in a coordination; on further rows every answer is
exact.
"""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from admmflex.assets import Asset, Boiler, Deferrable, ElectricVehicle, HeatPump, Session, Task
from admmflex.assets import cop as performance
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.response.home import HomeResponse
from experiments.benchmarks.common import Row
from experiments.benchmarks.prosumers import STEPS, Case, basics, behind_meter, compare, signals, timed

HOMES = 480
EXACT = 1e-9


def case(seed: int = 0) -> Case:
    """Homes of different size on a sunny day that is cool enough for heating."""
    rng = np.random.default_rng(seed)
    horizon = Horizon(datetime(2016, 4, 20, tzinfo=UTC), np.full(STEPS, 0.25))
    hour = (np.arange(STEPS) + 0.5) / 4
    prosumers = [behind_meter(i, _assets(rng, i, hour), hour) for i in range(HOMES)]
    return Case(horizon, prosumers, *signals(rng, hour, HOMES))


def _assets(rng: np.random.Generator, number: int, hour: Array) -> tuple[Asset, ...]:
    assets = (*basics(rng, hour), _car(rng))
    return (*assets, (_heat_pump, _boiler, _task)[number // 2 % 3](rng, hour)) if number % 2 else assets


def _car(rng: np.random.Generator) -> Asset:
    """At home until about seven and from about five, due before it leaves and, less so, at midnight."""
    start, v2g = rng.uniform(15.0, 25.0), 5.0 if rng.random() < 0.33 else 0.0
    leaves, returns = rng.uniform(6.0, 8.5), rng.uniform(15.5, 18.5)
    due = start + rng.uniform(2.0, 8.0)
    back = due - rng.uniform(5.0, 12.0)
    sessions = Session(0.0, leaves, start, due), Session(returns, 24.0, back, max(back, start))
    return ElectricVehicle("car", 50.0, 7.4, sessions, v2g_kw=v2g, wear=0.02, reserve_kwh=5.0)


def _heat_pump(rng: np.random.Generator, hour: Array) -> Asset:
    outdoor = rng.uniform(2.0, 8.0) + 5.0 * np.sin((hour - 9.0) / 12.0 * np.pi)
    losses, band = rng.uniform(0.12, 0.25), (np.full(STEPS, 20.0), np.full(STEPS, 23.0))
    gains = np.full(STEPS, 0.4)
    return HeatPump("heat pump", 3.5, 50.0 * losses, losses, outdoor, performance(outdoor), gains, *band, 21.0)


def _boiler(rng: np.random.Generator, hour: Array) -> Asset:
    draw = rng.uniform(0.5, 1.5) * (np.abs(hour - 7.0) < 1.0) + rng.uniform(0.5, 1.5) * (np.abs(hour - 19.5) < 1.5)
    return Boiler("boiler", 2.0, 200.0, draw, 60.0)


def _task(rng: np.random.Generator, hour: Array) -> Asset:
    tasks = Task(rng.uniform(0.0, 3.0), 7.0, 1.5), Task(9.0, rng.uniform(16.0, 21.0), rng.uniform(2.0, 5.0))
    return Deferrable("tasks", 2.2, tasks)


def rows() -> list[Row]:
    """The interior point against OSQP, PIQP and cvxpy with Clarabel."""
    day = case()
    homes = split(day.prosumers, day.horizon, {i: i for i in range(HOMES)}).homes
    assert homes is not None
    name = f"prosumer step, {HOMES} homes with 2 or 3 storages, {STEPS} steps"
    return [
        *compare(f"{name}, tolerance by movement", day, *timed(HomeResponse(homes), day)),
        *compare(f"{name}, all answers exact", day, *timed(HomeResponse(homes, loosest=EXACT), day)),
    ]
