"""One block in the form the kernels want, and first parameters to search from."""

from __future__ import annotations

import numpy as np

from mpo import _explore
from mpo._explore import Space, Work
from mpo.arrays import Array, KeyArray
from mpo.lcp import perturbed, tableau
from mpo.linear import Polyhedron, centre
from mpo.presolve import Block, Verdict

MARGIN = 1e-7
_PIVOT = 1e-9


def space_of(block: Block) -> Space:
    """The block as it is: what has an interior is a region."""
    return _space(block, block.w, block.c, MARGIN, 1e-10)


def perturbed_space(block: Block, size: float, preference: Array, seed: int = 0) -> Space:
    """The perturbed block, in which no basis is degenerate; thin regions count, as they connect others."""
    return _space(block, *perturbed(block, size, preference, seed), size * 1e-2, 1e-13)


def _space(block: Block, w: Array, c: Array, margin: float, noise: float) -> Space:
    form, parameters = tableau(block, w, c), block.parameters
    A, b, first, p = parameters.A, parameters.b, parameters.cost_only, len(parameters.shift)
    columns, rows = np.array([0, p]), np.array([0, len(b)])
    if block.separated:
        in_cost = (A[:, :first] != 0.0).any(axis=1)
        order = np.concatenate([np.flatnonzero(in_cost), np.flatnonzero(~in_cost)])
        A, b = A[order], b[order]
        columns, rows = np.array([0, first, p]), np.array([0, int(in_cost.sum()), len(b)])
    return Space(
        form.rows, form.multiplier, np.ascontiguousarray(A), b, columns, rows, form.scale, margin, _PIVOT, noise
    )


def starts(block: Block) -> tuple[Verdict, Array]:
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
    return "", weights @ np.array(corners)


def region_centre(space: Space, key: KeyArray, w: Work) -> tuple[float, Array]:
    """Radius and centre of a ball in the region of a basis, by HiGHS; NaN when the basis is singular or HiGHS fails."""
    m, p = len(space.multiplier), space.theta_G.shape[1]
    if not _explore.tableau(space, key, m, w):
        return np.nan, np.zeros(p)
    rows = w.T[:m, m:]
    length = np.linalg.norm(rows[:, :p], axis=1)
    if (rows[length < 1e-9, p] < -1e-10).any():
        return -np.inf, np.zeros(p)
    rows = rows[length >= 1e-9] / length[length >= 1e-9, None]
    try:
        return centre(np.vstack([-rows[:, :p], space.theta_G]), np.concatenate([rows[:, p], space.theta_h]))
    except RuntimeError:
        return np.nan, np.zeros(p)
