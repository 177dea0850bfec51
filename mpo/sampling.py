"""Parameters drawn from a polytope."""

from __future__ import annotations

import numpy as np

from mpo import _sample
from mpo.arrays import Array
from mpo.linear import centre


def draw(A: Array, b: Array, count: int, seed: int = 0, *, thin: int = 8) -> Array:
    """``count`` points of the bounded set ``A x <= b``, nearly uniform: a hit-and-run walk, coordinates and all ways.

    Source: R. L. Smith, Efficient Monte Carlo procedures for generating points uniformly distributed over bounded
    regions, Operations Research 32 (1984).
    """
    d = A.shape[1]
    if not d:
        return np.zeros((count, 0))
    generic = np.random.default_rng(seed)
    steps = count * thin
    directions = generic.standard_normal((steps, d))
    along = generic.random(steps) < 0.5
    axis = generic.integers(0, d, steps)
    directions[along] = np.eye(d)[axis[along]]
    out = np.empty((count, d))
    _sample.hit_and_run(A, b, centre(A, b)[1], directions, generic.random(steps), thin, out)
    return out
