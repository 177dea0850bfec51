"""Largest uniform export limits of 350 scenarios of a day in 96 steps, European feeder with 55 homes, one thread.

Loads are lognormal, PV of 3, 5 or 8 kW follows a sunny day with another sky in each scenario; phase voltages of 0.9 to
1.08 pu everywhere. Ours scans nine points and narrows with secants, and checks all voltages and currents of the answer.
The peers bisect blindly to 1e-6 between 0 and 1 in steps with sun, in which they only look at voltages: our own power
flow on all steps at once, and power-grid-model (a batch per halving) and OpenDSS (a loop) on a sample that is scaled.
``agreement`` is the largest |difference of xi| on the sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

import grid
from admmflex.export_limits import Customers, Scenarios, customers_of, uniform_limits
from admmflex.export_limits.ray import Ray
from admmflex.export_limits.search import ray_of
from admmflex.horizon import IntArray
from experiments.benchmarks.common import Peer, Row, attempt, median_time, versions
from experiments.benchmarks.unbalanced import Real, Tool, feeder, opendss, power_grid_model

SCENARIOS, STEPS, HALVINGS = 350, 96, 20
BAND = 0.9, 1.08


def rows() -> list[Row]:
    """One row per peer."""
    return compare(SCENARIOS, STEPS, {"power-grid-model": 64, "OpenDSS": 32})


def compare(scenarios: int, steps: int, samples: dict[str, int], repeats: int = 3) -> list[Row]:
    """Rows for some scenarios and steps, the peers on samples of them."""
    net = feeder()
    customers = homes(grid.read_three_phase(net))
    days = drawn(customers, scenarios, steps)
    limits = grid.UnbalancedLimits(customers.network, *BAND)
    found = uniform_limits(customers, days, limits)
    ours_s = median_time(lambda: uniform_limits(customers, days, limits), repeats, warm_up=0)
    sunny = np.argwhere((days.avail > days.load_p).any(axis=1))
    ray = ray_of(customers, days, *sunny.T)
    name = f"uniform export limits, {customers.network.n} buses, {scenarios} scenarios x {steps} steps"

    def row(peer: str, package: str, measure: Callable[[], Peer]) -> Row:
        how = f"{peer}, bisections, voltages only, no scan"
        return Row.against(name, ours_s, how, attempt(measure), "of the rating", versions("numpy", "numba", package))

    def blind() -> Peer:
        xi, seconds = timed(lambda: bisected(ray, voltages_here(ray, limits)))
        return Peer(seconds, apart(xi, sunny), f"ours in {found.flows} power flows")

    def apart(xi: Real, of: IntArray) -> float:
        return float(np.abs(xi - found.xi[tuple(of.T)]).max())

    def sampled(make: Callable[..., Tool], size: int) -> Peer:
        some = np.linspace(0, len(sunny) - 1, size).astype(np.int64)
        part = ray.some(some)
        look = peer_excess(part, make(net, by_load(part.customers, part.net(np.ones(len(some)))), by_load_q(part)))
        xi, seconds = timed(lambda: bisected(part, look))
        note = f"peer measured on {len(some)} of {len(sunny)} steps with sun and scaled"
        return Peer(seconds * len(sunny) / len(some), apart(xi, sunny[some]), note)

    tools: dict[str, tuple[str, Callable[..., Tool]]] = {
        "power-grid-model": ("power-grid-model", power_grid_model),
        "OpenDSS": ("dss-python", opendss),
    }
    return [
        row("the same power flow", "scipy", blind),
        *(row(peer, package, partial(sampled, make, samples[peer])) for peer, (package, make) in tools.items()),
    ]


def homes(case: grid.ThreePhaseCase) -> Customers:
    """The 55 customers with PV of 3, 5 or 8 kW."""
    rating = np.random.default_rng(0).choice([3.0, 5.0, 8.0], len(case.names))
    return replace(customers_of(case), rating_kw=rating)


def drawn(customers: Customers, scenarios: int, steps: int, seed: int = 1) -> Scenarios:
    """Lognormal loads; PV under a sky that is drawn per scenario."""
    rng = np.random.default_rng(seed)
    load = rng.lognormal(-0.9, 0.8, (scenarios, customers.n, steps))
    sun = np.clip(np.sin(np.pi * (np.arange(steps) + 0.5) / steps * 2 - np.pi / 2), 0, 1)
    sky = rng.uniform(0.2, 1.1, (scenarios, 1, 1))
    return Scenarios(load, 0.3 * load, customers.rating_kw[:, None] * sun * sky, 24.0 / steps, "2016-06-01")


def timed(work: Callable[[], Real]) -> tuple[Real, float]:
    """The answer and the seconds of one call."""
    found: list[Real] = []
    seconds = median_time(lambda: found.append(work()), repeats=1, warm_up=0)
    return found[-1], seconds


def bisected(ray: Ray, excess: Callable[[Real], Real]) -> Real:
    """Halve [0, 1] for every case."""
    low, high = np.zeros(ray.cases), np.ones(ray.cases)
    free = excess(high) <= 0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        over = excess(middle) > 0
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    return np.where(free, 1.0, low)


def voltages_here(ray: Ray, limits: grid.UnbalancedLimits) -> Callable[[Real], Real]:
    """Excess of the voltages at buses with customers and forks."""

    def look(t: Real) -> Real:
        flow = ray.flow(t)
        return limits.worst(flow, limits.first_rows(flow.reduction)).excess

    return look


def peer_excess(ray: Ray, peer: Tool) -> Callable[[Real], Real]:
    """Excess of the voltages of another tool."""
    (solve, voltages), q = peer, by_load_q(ray)

    def look(t: Real) -> Real:
        v = np.abs(voltages(solve(by_load(ray.customers, ray.net(t)), q)))[1:]
        return np.asarray(np.maximum(v - BAND[1], BAND[0] - v).max(axis=(0, 1)))

    return look


def by_load(customers: Customers, power: Real) -> Real:
    """(n, 3, C) power per customer and phase: the tools have one load for each of the 55 customers."""
    return customers.share[:, :, None] * power[:, None]


def by_load_q(ray: Ray) -> Real:
    """Each bus has one customer."""
    return np.ascontiguousarray(ray.q[ray.customers.row])
