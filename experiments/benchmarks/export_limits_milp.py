"""Uniform export limits of 350 scenarios of a day on the IEEE European feeder: exact search against the published MILP.

HiGHS solves the program step by step, which is easier than a scenario in one piece, on a sample: some pairs of scenario
and step in which the exact limit binds and some with sun in which it does not; their mean times are scaled by how often
both occur. Dark steps cost the peer nothing. The point of expansion is the power flow at the exact limit, whose time
does not count either. ``agreement`` is the largest |difference of the limit| on the sample: what the cuts leave.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from admmflex.export_limits import uniform_limits
from admmflex.export_limits.milp import program
from admmflex.export_limits.powers import Day
from admmflex.export_limits.scenarios import Scenarios
from admmflex.horizon import Array, IntArray
from experiments.benchmarks.common import Row, clock, median_time, versions
from experiments.export_limits.feeders import Feeder, feeder
from experiments.export_limits.study import generator

SCENARIOS = 350
BINDING, FREE = 20, 10


def rows() -> list[Row]:
    """Exact search against the scaled sample of mixed-integer programs."""
    with tempfile.TemporaryDirectory() as folder:
        own = feeder("european", Path(folder))
    return [compare(own, SCENARIOS, BINDING, FREE)]


def compare(own: Feeder, count: int, binding: int, free: int, repeats: int = 3) -> Row:
    """The row for some scenarios and samples."""
    scenarios = generator(own, 0).scenarios(count)
    xi = uniform_limits(own.customers, scenarios, own.limits).xi
    seconds = median_time(lambda: uniform_limits(own.customers, scenarios, own.limits), repeats)
    sunny = scenarios.avail.any(axis=1)
    peer_s, apart, measured = 0.0, 0.0, 0
    rng = np.random.default_rng(0)
    for pairs, size in ((np.argwhere(sunny & (xi < 1.0)), binding), (np.argwhere(sunny & (xi == 1.0)), free)):
        picked = pairs[rng.choice(len(pairs), min(size, len(pairs)), replace=False)]
        mean_s, error = _programs(own, scenarios, xi, picked)
        peer_s += mean_s * len(pairs)
        apart, measured = max(apart, error), measured + len(picked)
    size = (
        f"{own.customers.n} customers, {own.customers.network.n} buses, {count} scenarios x {scenarios.shape[2]} steps"
    )
    name = f"uniform export limits, {size}"
    note = f"peer measured on {measured} programs of one step and scaled to {int(sunny.sum())} with sun"
    peer, used = "HiGHS, mixed-integer program", versions("numpy", "numba", "highspy")
    return Row(name, seconds, peer, peer_s, apart, "of the rating", used, note)


def _programs(own: Feeder, scenarios: Scenarios, xi: Array, pairs: IntArray) -> tuple[float, float]:
    """Mean seconds of a program and largest difference of its limit from the exact one."""
    spent, apart = 0.0, 0.0
    for s, k in pairs:
        day = Day.of(own.customers, scenarios, int(s), slice(int(k), int(k) + 1))
        model = program(day, own.limits, day.pv(xi[s, k]))
        _ = model.feeder, model.cut_rows
        start = clock()
        answer = model.solve()
        spent += clock() - start
        apart = max(apart, abs(float(answer.xi[0]) - float(xi[s, k])))
    return spent / len(pairs), apart
