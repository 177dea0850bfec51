"""The kernels of the explicit solutions: pivots to a region's tableau, tests of neighbours."""

from __future__ import annotations

import numba as nb
import numpy as np

from experiments.benchmarks.parametric import current_period
from experiments.kernels.count import operations
from experiments.kernels.work import F, Work
from mpo import _explore, _tableau
from mpo.arrays import KeyArray
from mpo.explore import PERTURBATION
from mpo.lcp import tolls
from mpo.presolve import presolve
from mpo.search import add_start, room
from mpo.spaces import perturbed_space, starts

REGIONS, SAMPLE = 1000, 40


def works() -> list[Work]:
    """The search of the largest block of the current period of a storage, three segments."""
    problem = current_period(3).program()
    block = max(presolve(problem).blocks, key=lambda one: len(one.w))
    space = perturbed_space(block, PERTURBATION, tolls(problem.variables, None))
    w, found = _explore.work(space), room(space, 1 << 18, 1 << 14)
    if not any(add_start(space, found, w, t) for t in starts(block)[1]):
        raise RuntimeError("no region to begin with")
    before = found.counts.copy(), found.table.copy()

    def search() -> None:
        found.counts[:], found.table[:] = before
        _explore.explore(space, found, w, REGIONS)

    search()
    counts = found.counts.copy()
    keys = np.ascontiguousarray(found.keys[found.region[:REGIONS]])
    m, (rows, width) = len(space.multiplier), space.base.shape
    flips = np.array([sum(int(word).bit_count() for word in key) for key in keys])
    some = keys[:: REGIONS // SAMPLE]
    each = [operations((_explore, _tableau), "tableau", space, key, m, w) for key in some]
    numbers = 3.0 * m * width
    held = F * (2.0 * rows * width + m * m)
    pivots = Work(
        "regions, tableau of a basis", "region", len(keys), lambda: _repeat_tableau(space, keys, w),
        float(np.mean(each)), F * numbers, held,
        f"counted: {m} pairs, {flips.mean():.0f} exchanged, {width} columns; base in, tableau in and out",
        "pivot", float(flips.mean()),
    )  # fmt: skip
    tested = float(counts[_explore.SEARCHES])
    d = float(np.diff(space.column).max())
    tests = Work(
        "regions, neighbour tested", "basis", tested, search, 6.0 * m * (d + 1), F * m * (width + d), held,
        f"6 m (d + 1) operations, m = {m}, d = {d:.0f}: its rows, not the search for a point", "row", float(m),
    )  # fmt: skip
    return [pivots, tests]


@nb.njit(error_model="numpy")
def _repeat_tableau(space: _explore.Space, keys: KeyArray, w: _explore.Work) -> int:
    regular = 0
    for r in range(len(keys)):
        regular += _explore.tableau(space, keys[r], len(space.multiplier), w)
    return regular
