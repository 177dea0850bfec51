"""From a feeder to limits and their verification."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

import grid
from admmflex.export_limits import Scenarios, uniform_limits
from admmflex.export_limits.generate import Generator
from admmflex.export_limits.history import simbench_history
from admmflex.export_limits.robust import RobustLimits, robust_limits
from admmflex.export_limits.search import UniformLimits
from admmflex.export_limits.verify import Simulated, Simulator, simulate
from admmflex.horizon import Array
from experiments.export_limits.feeders import Feeder

ROBUSTNESS = (1.0, 0.95, 0.9)
PROFILES = "1-LV-rural3--2-sw"


@dataclass(frozen=True, eq=False)
class Study:
    """Limits from N scenarios, and M held-out ones in OpenDSS without limits and under those of each robustness."""

    feeder: Feeder
    found: UniformLimits
    robust: dict[float, RobustLimits]
    held: Scenarios
    free: Simulated
    limited: dict[float, Simulated]
    seconds: dict[str, float]

    @property
    def clock(self) -> list[str]:
        """Beginning of every step as 12:30."""
        step = timedelta(hours=self.held.dt_h)
        return [
            f"{(k * step).seconds // 3600:02d}:{(k * step).seconds // 60 % 60:02d}" for k in range(self.held.shape[2])
        ]

    @property
    def worst_customer(self) -> int:
        """The one with the highest voltage of all held-out scenarios without limits."""
        return int(np.nanmax(self.free.v, axis=(0, 2)).argmax())


def generator(feeder: Feeder, seed: int) -> Generator:
    """Scenarios of a summer day."""
    return Generator(feeder.customers, simbench_history(grid.read_case(PROFILES)), seed)


def study(feeder: Feeder, count: int, held_out: int, seed: int = 0) -> Study:
    """Limits from ``count`` scenarios, verification on ``held_out`` others."""
    clock = [time.perf_counter()]
    source = generator(feeder, seed)
    used, held = source.scenarios(count), source.scenarios(held_out, first=count)
    uniform_limits(feeder.customers, used.part(0, 1), feeder.limits)  # compiles
    clock.append(time.perf_counter())
    found = uniform_limits(feeder.customers, used, feeder.limits)
    clock.append(time.perf_counter())
    robust = {r: robust_limits(found.xi, r) for r in ROBUSTNESS}
    simulator = Simulator(feeder.script, feeder.customers, _ratings(feeder))
    free = simulate(simulator, held)
    clock.append(time.perf_counter())
    limited = {r: simulate(simulator, held, robust[r].xi, known=free) for r in ROBUSTNESS}
    clock.append(time.perf_counter())
    names = ("scenarios", "search", "OpenDSS without limits", "OpenDSS with limits")
    return Study(feeder, found, robust, held, free, limited, dict(zip(names, np.diff(clock).tolist(), strict=True)))


def _ratings(feeder: Feeder) -> dict[str, tuple[int, float]]:
    """The rated lines next to the transformer, and the transformer at its lower end."""
    net = feeder.customers.network
    out = {}
    for b, kind in enumerate(net.branch_kinds):
        if kind == "trafo":
            out["Transformer.T"] = (2, float(net.s_max_kva[b] / (np.sqrt(3.0) * net.base_kv[b + 1])))
            first = np.flatnonzero(net.parent == b + 1) - 1
            out |= {
                f"Line.{net.branch_names[c]}": (1, float(net.i_max_a[c])) for c in first if np.isfinite(net.i_max_a[c])
            }
    return out


def energy(power: Array, dt_h: float) -> float:
    """Mean energy of a day [kWh] of powers (M, K)."""
    return float(np.nanmean(power.sum(axis=1)) * dt_h)
