"""The search itself: slices of the kernel, more room, undecided bases, and what has an interior in the end."""

from __future__ import annotations

import numpy as np

from mpo import _explore, _regions
from mpo._explore import DONE, FULL, Found, Space, Work
from mpo._nearest import EMPTY, FEASIBLE
from mpo._tableau import rehash
from mpo.arrays import Array, KeyArray
from mpo.budget import Clock, Counts, Status
from mpo.spaces import region_centre

_SLICE = 200


def room(space: Space, nodes: int = 1 << 14, regions: int = 1 << 12) -> Found:
    """An empty record with room for so many bases and regions."""
    m, p = len(space.multiplier), space.theta_G.shape[1]
    most = m * (m + 1) + 1
    nodes, regions = max(nodes, 2 * most), max(regions, 2 * most)
    return Found(
        np.zeros((nodes, _explore.words(m)), np.uint64),
        np.full(1 << (2 * nodes - 1).bit_length(), -1, np.int64),
        np.zeros(regions, np.int64),
        np.zeros((regions, p)),
        np.zeros(regions, np.int64),
        np.zeros(8, np.int64),
    )


def search(space: Space, found: Found, clock: Clock, counts: Counts, held: int = 0) -> tuple[Found, Status]:
    """Explore from the regions in ``found`` until done or out of budget; ``held`` regions are known besides."""
    w, settled = _explore.work(space), 0
    known = int(found.counts[_explore.NODES])
    status: Status = "complete"
    while True:
        code = _explore.explore(space, found, w, _SLICE)
        if found.counts[_explore.UNKNOWN] > settled:
            settled = _settle(space, found, w, settled, counts)
        elif code == DONE:
            break
        if code == FULL:
            found = _larger(found)
        regions, tested = held + int(found.counts[_explore.REGIONS]), int(found.counts[_explore.NODES]) - known
        stopped = clock.spent(regions, counts.tested + tested, _megabytes(space, found, regions))
        if stopped:
            counts.stopped, status = stopped, "budget"
            break
    counts.tested += int(found.counts[_explore.NODES]) - known
    return found, status


def _larger(found: Found) -> Found:
    """Twice the room, the same content."""
    grown = [
        np.concatenate([array, np.zeros_like(array)])
        for array in (found.keys, found.region, found.point, found.unknown)
    ]
    table = np.full(2 * len(found.table), -1, np.int64)
    rehash(grown[0], int(found.counts[_explore.NODES]), table)
    return Found(grown[0], table, grown[1], grown[2], grown[3], found.counts)


def _megabytes(space: Space, found: Found, regions: int) -> float:
    """Memory of the search and of the solution it will make."""
    rows, width = space.base.shape
    laws = rows * (width - len(space.multiplier)) * 8.0 * regions
    return float(laws + found.keys.nbytes + found.table.nbytes + found.point.nbytes) / 1e6


def add_start(space: Space, found: Found, w: Work, t: Array) -> bool:
    """Add the basis that is optimal at t as a region to search from; False when it has no interior."""
    key = np.zeros(found.keys.shape[1], np.uint64)
    state, _ = _regions.walk_to(space.base, len(space.multiplier), t, key, 1e-11)
    if state != 1 or not _explore.tableau(space, key, len(space.multiplier), w):
        return False
    if _explore.admit(space, w, -1, -1, t, space.margin) != FEASIBLE:
        return False
    return bool(_explore.add(found, key, w.point, True))


def _settle(space: Space, found: Found, w: Work, settled: int, counts: Counts) -> int:
    """Refer the bases that the search could not decide to a linear program; returns how many were referred so far."""
    last = int(found.counts[_explore.UNKNOWN])
    for number in found.unknown[settled:last]:
        inside, point = _refer(space, found.keys[number], w, counts)
        if inside > space.margin:
            region = found.counts[_explore.REGIONS]
            found.region[region], found.point[region] = number, point
            found.counts[_explore.REGIONS] += 1
    return last


def _refer(space: Space, key: KeyArray, w: Work, counts: Counts) -> tuple[float, Array]:
    """Radius and centre of a ball in a region, by HiGHS; counted as undecided, and no region, if it cannot tell."""
    inside, point = region_centre(space, key, w)
    counts.referred += 1
    counts.undecided += bool(np.isnan(inside))
    return inside, point


def with_interior(space: Space, found: Found, counts: Counts) -> tuple[KeyArray, Array]:
    """Keys and points of the regions that have an interior in the unperturbed problem."""
    regions = int(found.counts[_explore.REGIONS])
    state, w = np.zeros(regions, np.int64), _explore.work(space)
    _regions.check(space, found, w, state)
    for region in np.flatnonzero((state != FEASIBLE) & (state != EMPTY)):
        inside, point = _refer(space, found.keys[found.region[region]], w, counts)
        if inside > space.margin:
            state[region], found.point[region] = FEASIBLE, point
    kept = np.flatnonzero(state == FEASIBLE)
    counts.flat += regions - len(kept)
    return found.keys[found.region[kept]], found.point[kept]
