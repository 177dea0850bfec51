"""Gaps between regions: sampled parameters that no region holds, and the search from there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mpo import _cross, _regions
from mpo._explore import Space
from mpo._locate import INSIDE
from mpo.arrays import Array, IntArray, KeyArray, freeze
from mpo.part import Part
from mpo.sampling import draw

_SAMPLES = 1000
_STEPS = 8
_MOST = 1000


def gaps(part: Part, t: Array) -> tuple[IntArray, KeyArray, Part]:
    """Which of some parameters outside all regions have a solution, and the bases that are optimal there.

    The part returned knows more rows that prove that there is none.
    """
    keys: list[KeyArray] = []
    numbers: list[int] = []
    limits = part.limits
    for number, point in enumerate(t):
        if len(limits) and (limits[:, :-1] @ point + limits[:, -1] < -INSIDE).any():
            continue
        key = np.zeros(part.keys.shape[1], np.uint64)
        state, proof = _regions.walk_to(part.base, len(part.multiplier), point, key, 1e-11)
        length = float(np.linalg.norm(proof[:-1]))
        if state == 0 and length > 0.0:
            limits = np.vstack([limits, proof / length])
        elif state != 0:
            numbers.append(number)
            keys.append(key)
    stacked = np.array(keys, np.uint64).reshape(len(keys), part.keys.shape[1])
    return np.array(numbers, np.int64), stacked, replace(part, limits=freeze(limits))


def sampled_gaps(part: Part, space: Space, seed: int) -> tuple[Array, KeyArray, Part]:
    """Gaps among parameters drawn from the whole parameter set, and just outside every region.

    The latter are the ends of the chords of a random walk in each region, whose mean becomes its point; they also tell
    which regions touch although no pivot leads from one to the other, as in degenerate problems.
    """
    generic = np.random.default_rng(seed)
    p = space.theta_G.shape[1]
    if not p:
        return np.zeros((0, 0)), part.keys[:0], part
    directions = generic.standard_normal((_STEPS, p))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    inner, missing = np.empty_like(part.point), np.empty((_MOST, p))
    choice = generic.random(_STEPS)
    rows = space.theta_G, space.theta_h
    beyond = np.empty((2 * _STEPS * part.regions, 3), np.int64)
    found, linked = _cross.cross(part.map, *rows, part.point, directions, choice, inner, missing, beyond)
    part = part.linked(beyond[:linked])
    t = draw(*rows, _SAMPLES, seed)
    away = t[part.evaluate(t)[0] < 0]
    missing = np.vstack([missing[:found], away])
    numbers, keys, part = gaps(replace(part, point=freeze(inner)), missing)
    keys, first = np.unique(keys, axis=0, return_index=True)
    return missing[numbers[first]], keys, part
