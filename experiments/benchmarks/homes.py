"""Homes with two or three storages answer a price, against general solvers on the same quadratic programs.

Every home has a load, PV, a battery, a vehicle that is away for part of the day and needs its energy before, and half
of them a heat pump, behind an import/export tariff, 96 steps of 15 minutes. Prices and targets, peers and the way of
timing are those of the benchmark ``prosumers``. Our tolerance follows the movement of the signals, as in a
coordination; on further rows every answer is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset, Flow, Store
from admmflex.assets.pv import Pv
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.home import HomeResponse
from experiments.benchmarks.common import Row
from experiments.benchmarks.prosumers import STEPS, Case, compare, signals, timed

HOMES = 480
EXACT = 1e-9


@dataclass(frozen=True)
class Device:
    """An asset that is its flow."""

    name: str
    raw: Flow
    kind: ClassVar[str] = "device"

    def faults(self, horizon: Horizon) -> list[Fault]:
        return []

    def flow(self, horizon: Horizon) -> Flow:
        return self.raw


def case(seed: int = 0) -> Case:
    """Homes of different size on a sunny day."""
    rng = np.random.default_rng(seed)
    horizon = Horizon(datetime(2016, 6, 1, tzinfo=UTC), np.full(STEPS, 0.25))
    hour = (np.arange(STEPS) + 0.5) / 4
    prosumers = [_home(rng, i, hour) for i in range(HOMES)]
    return Case(horizon, prosumers, *signals(rng, hour, HOMES))


def _home(rng: np.random.Generator, number: int, hour: Array) -> Prosumer:
    load = rng.uniform(0.2, 1.0) * (0.6 + 0.8 * np.exp(-((hour - 19) ** 2) / 4)) * rng.uniform(0.5, 1.5, STEPS)
    rating = rng.uniform(4.0, 10.0)
    sun = rating * np.maximum(0.0, np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0.7, 1.0, STEPS)
    size, power = rng.uniform(5.0, 12.0), rng.uniform(2.0, 5.0)
    battery = Battery("battery", size, power, power, 0.2 * size, wear=0.02, eta_c=0.95, eta_d=0.95)
    assets: list[Asset] = [FixedLoad("load", load, np.zeros(STEPS)), Pv("pv", sun, rating), battery]
    assets.append(Device("vehicle", _vehicle(rng)))
    if number % 2:
        assets.append(Device("heat pump", _heat_pump(rng, hour)))
    tariff = np.where((hour >= 17) & (hour < 21), 0.38, np.where(hour < 6, 0.22, 0.30))
    return Prosumer(f"home {number}", number, tuple(assets), tariff, np.full(STEPS, 0.08))


def _device(take_max: Array, give_max: Array, give_cost: float, store: Store) -> Flow:
    zero, none = np.zeros(STEPS), np.zeros(0)
    return Flow(zero, zero, give_max, take_max, zero + give_cost, zero, zero, 0.0, none, none, store)


def _vehicle(rng: np.random.Generator) -> Flow:
    """At home until about seven and from about five, due before it leaves and at the end; some give back."""
    zero, start = np.zeros(STEPS), rng.uniform(15.0, 25.0)
    leaves, returns = int(rng.integers(24, 34)), int(rng.integers(62, 74))
    here = (np.arange(STEPS) < leaves) | (np.arange(STEPS) >= returns)
    e_min, gain = zero + 5.0, zero.copy()
    e_min[leaves - 1], e_min[-1] = start + rng.uniform(2.0, 8.0), start
    gain[returns - 1] = -rng.uniform(5.0, 12.0)
    store = Store(start, e_min, zero + 50.0, zero + 0.92, zero + 0.92, zero + 1.0, gain, 0.12)
    return _device(7.4 * here, 5.0 * here * (rng.random() < 0.33), 0.02, store)


def _heat_pump(rng: np.random.Generator, hour: Array) -> Flow:
    """Heat above the lower comfort limit: losses at standstill, demand, a performance that depends on the hour."""
    zero, power, top = np.zeros(STEPS), rng.uniform(1.5, 3.5), rng.uniform(6.0, 12.0)
    demand = 0.25 * power * rng.uniform(0.5, 1.1, STEPS)
    cop = 2.6 + 0.8 * np.sin((hour - 9.0) / 24.0 * 2.0 * np.pi)
    store = Store(0.5 * top, zero, zero + top, cop, zero + 1.0, zero + 0.985, -demand, 0.06)
    return _device(zero + power, zero, 0.0, store)


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
