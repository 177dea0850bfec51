"""The central step over cost charts on a SimBench grid of 129 buses: linear steps against the cone relaxation.

Charts are 12 tangents of a paraboloid over an octagon of 10 kVA, at random buses. From call to call every constant
moves by a thousandth of the steepest slope times the size of a polygon, and every polygon by 1 %. Exports are moderate
(the cone is tight) or large (an upper voltage limit or the transformer binds).
``agreement`` is the largest difference of the costs over the steepest slope [kW]; where the cone is not tight it is the
gap between its bound and the AC optimum.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import grid
from admmflex.coordination.set_points import CentralStep, SetPoints, StepSettings, Way
from admmflex.horizon import Array
from admmflex.prosumers.chart import Chart, Charts
from experiments.benchmarks.common import Row, clock, versions
from grid.limits import Limits
from grid.network import Network

GRID, CALLS, PRICE_LOSS = "1-LV-rural3--2-sw", 15, 0.08
CURVE = np.array([0.02, 0.01])


def rows() -> list[Row]:
    """150 homes in two states of the grid, and thousands."""
    network = grid.read_case(GRID).network.with_limits(0.95, 1.06)
    cases = (("cone tight", 3.0, 150), ("limits bind", 6.0, 150), ("limits bind", 6.0, 2000))
    return [row for name, mean_kw, count in cases for row in compare(network, name, mean_kw, count)]


def compare(network: Network, name: str, mean_kw: float, count: int) -> list[Row]:
    """Later calls and the first call of both ways."""
    calls = moving(drawn(network, mean_kw * 150 / count, 10.0 * 150 / count, count))
    ours, seconds = run(network, calls, "linear")
    theirs, peer_seconds = run(network, calls, "cone")
    bounds = np.array([one.bound for one in theirs])
    apart = float(np.abs(np.array([one.cost for one in ours]) - bounds).max() / calls[0].steepest)
    exact = sum(one.way == "cone" for one in theirs)
    worst = max(max(one.voltage_excess_pu, one.loading_excess) for one in ours)
    note = f"cone certified in {exact} of {len(calls)} calls, else linear steps follow; AC excess of ours {worst:.1e}"
    size, used = f"{network.n} buses, {count} charts, {name}", versions("numpy", "clarabel", "highspy")
    peer = "cone (Clarabel), then linear steps"
    later, peer_later = (float(np.median(one[1:])) for one in (seconds, peer_seconds))
    return [
        Row(f"set-points, {size}", later, peer, peer_later, apart, "kW", used, note),
        Row(f"first set-points, {size}", seconds[0], peer, peer_seconds[0], apart, "kW", used, "everything assembled"),
    ]


def run(network: Network, calls: list[Charts], way: Way) -> tuple[list[SetPoints], list[float]]:
    """Answers and seconds of every call; one call of another object before, for the compiled kernels."""
    limits, settings = Limits.of(network), StepSettings(way=way)
    CentralStep(network, limits, PRICE_LOSS, settings).solve(calls[0])
    step, found, seconds = CentralStep(network, limits, PRICE_LOSS, settings), [], []
    for charts in calls:
        start = clock()
        answer = step.solve(charts)
        seconds.append(clock() - start)
        found.append(answer.require())
    return found, seconds


def drawn(network: Network, mean_kw: float, size: float, count: int) -> Charts:
    """Random charts: wishes around a mean, 12 pieces each."""
    rng = np.random.default_rng(count)
    angle = np.arange(8) * np.pi / 4
    sides = np.stack([np.cos(angle), np.sin(angle)], axis=1)

    def one(wish: Array) -> Chart:
        at = rng.uniform(-size, size, (12, 2))
        at[0] = wish
        slope = 2 * CURVE * (at - wish) * 10.0 / size
        height = (CURVE * (at - wish) ** 2).sum(axis=1) * 10.0 / size - (slope * at).sum(axis=1)
        return Chart(slope[:, 0], slope[:, 1], height, sides, np.full(8, size))

    wishes = rng.normal([mean_kw, 0.0], [0.2 * size, 0.05 * size], (count, 2))
    return Charts.of([one(wish) for wish in wishes], rng.integers(2, network.n, count))


def moving(charts: Charts) -> list[Charts]:
    """The charts of consecutive calls."""
    rng, found = np.random.default_rng(0), []
    for _ in range(CALLS):
        d = charts.d + rng.normal(0.0, 1e-3 * charts.steepest * charts.h.mean(), len(charts.d))
        h = charts.h * (1.0 + rng.normal(0.0, 0.01, len(charts)))[charts.of_side]
        found.append(replace(charts, d=d, h=h))
    return found
