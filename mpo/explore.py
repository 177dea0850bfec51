"""All critical regions of one block."""

from __future__ import annotations

import numpy as np

from mpo import _explore
from mpo._explore import Found, Space
from mpo.arrays import Array, KeyArray
from mpo.budget import Clock, Counts, Status
from mpo.cover import sampled_gaps
from mpo.part import Part, make_part
from mpo.presolve import Block
from mpo.search import add_start, room, search, with_interior
from mpo.spaces import perturbed_space, space_of, starts

# solve 1e-10 << interior of a perturbed region (a hundredth of the perturbation) << interior 1e-7 << perturbation
PERTURBATION, FINE = 2e-6, 5e-7
_ROUNDS = 4


def explore(block: Block, preference: Array, clock: Clock, counts: Counts) -> tuple[Part | None, Status]:
    """Regions, laws and neighbours; None when there is no solution for any parameter.

    Found in the perturbed problem, where no basis is degenerate and the graph of bases is connected; kept when they
    have an interior without the perturbation. Sampled parameters that are left without a region start the search anew,
    with a smaller perturbation.
    """
    verdict, first = starts(block)
    if verdict:
        return None, verdict
    true = space_of(block)
    space = perturbed_space(block, PERTURBATION, preference)
    found, w = room(space), _explore.work(space)
    for t in first:
        if add_start(space, found, w, t):
            break
    found, status = search(space, found, clock, counts)
    part = make_part(block, true, *with_interior(true, found, counts), counts)
    for seed in range(_ROUNDS):
        if status != "complete":
            break
        t, keys, part = sampled_gaps(part, true, seed)
        if not len(keys):
            break
        space = perturbed_space(block, FINE, preference, seed + 1)
        found, status = search(space, _from_gaps(space, part, t, keys), clock, counts, part.regions)
        new_keys, new_points = with_interior(true, found, counts)
        if not len(new_keys):
            break
        counts.uncovered += len(new_keys)
        part = make_part(block, true, np.vstack([part.keys, new_keys]), np.vstack([part.point, new_points]), counts)
    return part, status


def _from_gaps(space: Space, part: Part, t: Array, keys: KeyArray) -> Found:
    """A record in which the regions of ``part`` are known and those of the gaps are to be expanded."""
    found = room(space, 4 * (len(part.keys) + len(keys)), 2 * len(keys))
    for key, point in zip(part.keys, part.point, strict=True):
        _explore.add(found, key, point, False)
    for key, point in zip(keys, t, strict=True):
        _explore.add(found, key, point, True)
    return found
