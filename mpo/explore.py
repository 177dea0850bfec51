"""Explicit solutions: the search for all critical regions, from a first basis to a covered parameter set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from mpo import _explore, _regions
from mpo._explore import DONE, FULL, Found, Space, Work
from mpo._nearest import EMPTY, FEASIBLE
from mpo._tableau import members, rehash
from mpo.arrays import Array, KeyArray
from mpo.lcp import perturbed, tableau
from mpo.linear import Polyhedron, centre
from mpo.presolve import Block

Status = Literal["complete", "budget", "infeasible", "unbounded"]
MARGIN = 1e-7
PERTURBATION = 1e-4
_PIVOT = 1e-9
_SLICE = 200


@dataclass(frozen=True)
class Budget:
    """When to stop: number of regions, seconds, megabytes; None for no limit."""

    regions: int | None = None
    seconds: float | None = None
    megabytes: float | None = 2000.0


@dataclass
class Counts:
    """What was done: nothing is dropped without being counted.

    ``tested`` bases were examined, ``undecided`` of them settled by HiGHS, ``flat`` regions of the perturbed problem
    have no interior without perturbation, ``uncovered`` sampled parameters lay in a gap from which the search went on.
    """

    tested: int = 0
    undecided: int = 0
    flat: int = 0
    merged: int = 0
    uncovered: int = 0
    dropped_rows: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Explored:
    """Bases of one block that are optimal on sets with an interior, and a point of each."""

    keys: KeyArray
    points: Array
    status: Status


@dataclass
class Clock:
    """A budget being spent."""

    budget: Budget
    start: float = field(default_factory=time.perf_counter)

    def spent(self, regions: int, megabytes: float) -> bool:
        """Is any limit reached?"""
        b = self.budget
        return (
            (b.regions is not None and regions >= b.regions)
            or (b.seconds is not None and time.perf_counter() - self.start >= b.seconds)
            or (b.megabytes is not None and megabytes >= b.megabytes)
        )


def explore(block: Block, preference: Array, clock: Clock, counts: Counts) -> Explored:
    """All critical regions of one block.

    Found in the perturbed problem, where no basis is degenerate and the graph of bases is connected; kept when they
    have an interior without the perturbation.
    """
    true = space_of(block, block.w, block.c, 1e-10)
    verdict, starts = _starts(block)
    if verdict is not None:
        return Explored(
            np.zeros((0, _explore.words(len(block.w))), np.uint64), np.zeros((0, true.theta_G.shape[1])), verdict
        )
    space = space_of(block, *perturbed(block, PERTURBATION, preference), 1e-13)
    found, status = _search(space, starts, clock, counts)
    keys, points = _with_interior(true, found, counts)
    return Explored(keys, points, status)


def space_of(block: Block, w: Array, c: Array, noise: float) -> Space:
    """Tableau and parameter set of a block in the form the kernels want."""
    form, parameters = tableau(block, w, c), block.parameters
    A, b, first, p = parameters.A, parameters.b, parameters.cost_only, len(parameters.shift)
    columns, rows = np.array([0, p]), np.array([0, len(b)])
    if block.separated:
        in_cost = (A[:, :first] != 0.0).any(axis=1)
        order = np.concatenate([np.flatnonzero(in_cost), np.flatnonzero(~in_cost)])
        A, b = A[order], b[order]
        columns, rows = np.array([0, first, p]), np.array([0, int(in_cost.sum()), len(b)])
    scale = float(np.abs(form.rows[: len(block.w), : len(block.w)]).max(initial=1e-300))
    return Space(
        form.rows, form.multiplier, np.ascontiguousarray(A), b, columns, rows, MARGIN, _PIVOT * min(1.0, scale), noise
    )


def _starts(block: Block) -> tuple[Status | None, Array]:
    """Generic parameters that have a solution, as rows; or why there are none."""
    n, m, p = len(block.c), len(block.w), len(block.parameters.shift)
    A, b = block.parameters.A, block.parameters.b
    primal = np.vstack([np.hstack([block.G, -block.S]), np.hstack([np.zeros((len(b), n)), A])])
    if Polyhedron(primal, np.concatenate([block.w, b])).maximise(np.zeros(n + p)).status == "infeasible":
        return "infeasible", np.zeros((0, p))
    # u, t, v, lambda: primal rows, parameter rows, stationarity at any v
    size = 2 * n + p + m
    rows = np.zeros((m + len(b) + n, size))
    rows[: m + len(b), : n + p] = primal
    rows[m + len(b) :, n:] = np.hstack([block.C, block.H, block.G.T])
    high = np.concatenate([block.w, b, -block.c])
    low = np.concatenate([np.full(m + len(b), -np.inf), -block.c])
    x_low = np.full(size, -np.inf)
    x_low[2 * n + p :] = 0.0
    polyhedron = Polyhedron(rows, high, low, x_low)
    generic = np.random.default_rng(1)
    corners = []
    for _ in range(max(2, 2 * p)):
        direction = np.zeros(size)
        direction[n : n + p] = generic.standard_normal(p)
        answer = polyhedron.maximise(direction)
        if answer.status == "infeasible":
            return "unbounded", np.zeros((0, p))
        corners.append(answer.point[n : n + p])
    weights = generic.dirichlet(np.ones(len(corners)), size=20)
    return None, weights @ np.array(corners)


def _search(space: Space, starts: Array, clock: Clock, counts: Counts) -> tuple[Found, Status]:
    """Explore from the first start whose basis has an interior, in slices, until done or out of budget."""
    m, p = len(space.multiplier), space.theta_G.shape[1]
    found, w = _room(m, p, 1 << 14, 1 << 12, 1 << 12), _explore.work(space)
    for t in starts:
        if add_start(space, found, w, t):
            break
    status: Status = "complete"
    settled = 0
    while True:
        code = _explore.explore(space, found, w, _SLICE)
        if found.count[_explore.UNKNOWN] > settled:
            settled = _settle(space, found, w, settled, counts)
        elif code == DONE:
            break
        if code == FULL:
            found = _larger(found)
        if clock.spent(int(found.count[_explore.REGIONS]), _megabytes(space, found)):
            status = "budget"
            break
    counts.tested += int(found.count[_explore.NODES])
    return found, status


def _room(m: int, p: int, nodes: int, regions: int, unknown: int) -> Found:
    most = m * (m + 1) + 1
    nodes, regions, unknown = (max(size, 2 * most) for size in (nodes, regions, unknown))
    table = 1 << (2 * nodes - 1).bit_length()
    return Found(
        np.zeros((nodes, _explore.words(m)), np.uint64),
        np.full(table, -1, np.int64),
        np.zeros(regions, np.int64),
        np.zeros((regions, p)),
        np.zeros(unknown, np.int64),
        np.zeros(8, np.int64),
    )


def _larger(found: Found) -> Found:
    """Twice the room, the same content."""
    grown = [
        np.concatenate([array, np.zeros_like(array)])
        for array in (found.keys, found.region, found.point, found.unknown)
    ]
    table = np.full(2 * len(found.table), -1, np.int64)
    rehash(grown[0], int(found.count[_explore.NODES]), table)
    return Found(grown[0], table, grown[1], grown[2], grown[3], found.count)


def _megabytes(space: Space, found: Found) -> float:
    """Memory of the search and of the solution it will make."""
    rows, width = space.base.shape
    laws = rows * (width - len(space.multiplier)) * 8.0 * int(found.count[_explore.REGIONS])
    return float(laws + found.keys.nbytes + found.table.nbytes + found.point.nbytes) / 1e6


def add_start(space: Space, found: Found, w: Work, t: Array) -> bool:
    """Add the basis that is optimal at t as a region to search from; False when it has no interior."""
    key = np.zeros(found.keys.shape[1], np.uint64)
    state, _ = _regions.walk_to(space, t, key, 1e-11)
    if state != 1 or not _explore.tableau(space, key, len(space.multiplier), w):
        return False
    if _explore.admit(space, w, -1, -1, t, space.margin) != FEASIBLE:
        return False
    return _explore.add(found, key, w.point)


def _settle(space: Space, found: Found, w: Work, settled: int, counts: Counts) -> int:
    """Decide by a linear program about the bases that the search could not decide; returns how many are settled."""
    last = int(found.count[_explore.UNKNOWN])
    for number in found.unknown[settled:last]:
        counts.undecided += 1
        inside, point = region_centre(space, found.keys[number], w)
        if inside > space.margin:
            region = found.count[_explore.REGIONS]
            found.region[region], found.point[region] = number, point
            found.count[_explore.REGIONS] += 1
    return last


def region_centre(space: Space, key: KeyArray, w: Work) -> tuple[float, Array]:
    """Radius and centre of a ball in the region of a basis, by HiGHS."""
    m, p = len(space.multiplier), space.theta_G.shape[1]
    if not _explore.tableau(space, key, m, w):
        return -np.inf, np.zeros(p)
    rows = w.T[:m, m:]
    length = np.linalg.norm(rows[:, :p], axis=1)
    if (rows[length < 1e-9, p] < -1e-10).any():
        return -np.inf, np.zeros(p)
    rows = rows[length >= 1e-9] / length[length >= 1e-9, None]
    return centre(np.vstack([-rows[:, :p], space.theta_G]), np.concatenate([rows[:, p], space.theta_h]))


def _with_interior(space: Space, found: Found, counts: Counts) -> tuple[KeyArray, Array]:
    """Keys and points of the regions that have an interior in the unperturbed problem."""
    regions = int(found.count[_explore.REGIONS])
    state, w = np.zeros(regions, np.int64), _explore.work(space)
    _regions.check(space, found, w, 0, state)
    for region in np.flatnonzero((state != FEASIBLE) & (state != EMPTY)):
        counts.undecided += 1
        inside, point = region_centre(space, found.keys[found.region[region]], w)
        if inside > space.margin:
            state[region], found.point[region] = FEASIBLE, point
    kept = np.flatnonzero(state == FEASIBLE)
    counts.flat += regions - len(kept)
    return found.keys[found.region[kept]], found.point[kept]
