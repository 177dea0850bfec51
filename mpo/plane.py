"""Slices of two parameters of a program that is not explored as a whole: each is explored when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mpo import _plane, _planes
from mpo._plane import STUCK
from mpo.arrays import Array, IntArray, KeyArray
from mpo.errors import Fault, InputError, SolveError, require
from mpo.explore import PERTURBATION
from mpo.lcp import perturbed, tableau, tolls
from mpo.linear import Polyhedron
from mpo.pieces import Slices
from mpo.presolve import Block, presolve
from mpo.problem import Program
from mpo.slices import columns
from mpo.spaces import starts

SLIVER = 1e-9  # of the area of the parameter set: what is smaller is there because of the perturbation only


class Planes:
    """Planes of one linear program.

    Args:
        problem: costs do not depend on the free parameters.
        free: the two parameters that stay free.
        tie_break: as in ``solve``.

    Raises:
        InputError: a program with a Hessian or with costs of the free parameters, one that is infeasible or unbounded
            for all parameters, or ``free`` that is not two parameters.
    """

    def __init__(
        self, problem: Program, *, free: tuple[int, int] = (0, 1), tie_break: Sequence[int] | None = None
    ) -> None:
        require(_faults(problem, free))
        form = presolve(problem, apart=False)
        verdict = form.verdict or starts(form.blocks[0])[0]
        if verdict:
            raise InputError([Fault("problem", verdict, "a solution for some parameters", "check its rows")])
        self.problem = problem
        self.free, self.held = np.array(free), np.setdiff1d(np.arange(problem.parameters), free)
        self._form, self._block = form, form.blocks[0]
        box = Polyhedron(form.theta_A, form.theta_b)
        ends = np.array([[-box.maximise(-e).value, box.maximise(e).value] for e in np.eye(problem.parameters)])
        self._middle, self._half = ends[self.free].mean(axis=1), 0.5 * np.diff(ends[self.free], axis=1)[:, 0]
        reduced = self._block.parameters
        base = _base(self._block, tolls(problem.variables, tie_break))
        self._program = _planes.Program(
            base, reduced.L, reduced.shift, form.theta_A, form.theta_b, self.free, self.held, self._middle, self._half
        )
        self._m = len(self._block.w)
        self._room, self._one = (
            _plane.room(self._m, len(base) - self._m, len(form.theta_b)),
            _plane.plane(len(base) - self._m),
        )
        self._key: KeyArray = np.zeros(self._room.keys.shape[1], np.uint64)

    def slices(self, fixed: Mapping[int, ArrayLike]) -> Slices:
        """Explore planes; flat ones have pieces, too.

        Corners are exact to 1e-5 of the range. Values and sides are exact; only where pieces are narrower than that,
        a value may be off by what its slope makes of such a distance.

        Args:
            fixed: values (m,) of each parameter that is not free, by number.

        Raises:
            InputError: a parameter that does not exist or is free, one that is missing, NaN, or arrays of different
                lengths.
            SolveError: a plane that could not be explored; use ``solve``.
        """
        require(_free_faults(self.free, fixed))
        values = columns(self.problem, fixed)[2]
        planes, n = len(values), len(self._program.base) - self._m
        state, count = np.zeros(planes, np.int64), np.zeros((planes + 1, 3), np.int64)
        size, at = np.array([32, 200, 16]) * max(planes, 16), 0
        begin, corners, law, sides = _room_for(size, n)
        while True:
            at = _planes.explore_all(
                self._m, self._program, values, SLIVER, self._key, self._room, self._one, state, count, begin, corners,
                law, sides, at,
            )  # fmt: skip
            if at == planes:
                break
            size *= 2
            larger = _room_for(size, n)
            for old, new in zip((begin, corners, law, sides), larger, strict=True):
                new[: len(old)] = old
            begin, corners, law, sides = larger
        stuck = np.flatnonzero(state == STUCK)
        if len(stuck):
            raise SolveError(f"plane {stuck[0]} of {planes} could not be explored; {len(stuck)} in all")
        tiles, points, walls = count[-1]
        begin[tiles] = points
        x, value = self._laws(values, law[:tiles], np.diff(count[:, 0]))
        return Slices(
            start=count[:, 0],
            begin=begin[: tiles + 1],
            corners=self._middle + corners[:points] * self._half,
            region=np.full(tiles, -1),
            x=x,
            hessian=np.zeros((tiles, 2, 2)),
            slope=value[:, :2],
            constant=value[:, 2],
            start_side=count[:, 2],
            sides=_sides(sides[:walls], self._middle, self._half),
        )

    def _laws(self, values: Array, law: Array, tiles: IntArray) -> tuple[Array, Array]:
        """Variables and value of the program over the free parameters."""
        form, problem = self._form, self.problem
        over = law.copy()
        over[:, :, :2] /= self._half
        over[:, :, 2] -= over[:, :, :2] @ self._middle
        x = self._block.V @ over
        x[:, :, :2] += form.X[:, self.free]
        plane = np.repeat(np.arange(len(values)), tiles)
        x[:, :, 2] += (form.x0 + values @ form.X[:, self.held].T)[plane]
        cost = problem.c + values @ problem.C[:, self.held].T
        return x, np.einsum("tn,tnc->tc", cost[plane], x)


def _faults(problem: Program, free: tuple[int, int]) -> list[Fault]:
    k = problem.parameters
    if len(set(free)) != 2 or not all(0 <= one < k for one in free):
        return [Fault("free", f"{free}", f"two different numbers from 0 to {k - 1}", "name the plane's parameters")]
    if problem.hessian.any() or problem.C[:, list(free)].any():
        value = "a quadratic program" if problem.hessian.any() else "costs with a free parameter"
        return [Fault("problem", value, "a linear program with costs that stand still", "use solve and slice")]
    return []


def _free_faults(free: IntArray, fixed: Mapping[int, ArrayLike]) -> list[Fault]:
    both = [number for number in free.tolist() if number in fixed]
    remedy = "fix the others, or make other planes"
    return [Fault("fixed parameters", f"{both}", f"none of {free.tolist()}", remedy)] if both else []


def _base(block: Block, toll: Array) -> Array:
    """Tableau of the block with the constants of the perturbed and of the true problem."""
    w, _ = perturbed(block, PERTURBATION, toll)
    moved = tableau(block, w, block.c + _tolls(block, toll)).rows
    return np.column_stack([moved, tableau(block, block.w, block.c).rows[:, -1]])


def _tolls(block: Block, preference: Array) -> Array:
    """What costs grow by, so that no basis is degenerate: as in ``lcp.perturbed``, but -G' lam with generic lam > 0 for
    generic numbers. No direction in which a minimiser could go for ever becomes a gain by that, and a plane on which
    such directions cost nothing, as with equal prices to buy and to sell, keeps its solution.
    """
    worth = np.abs(block.c) + np.abs(block.C).sum(axis=1)
    least = max(float(worth[worth > 1e-9].min(initial=1.0)), 1e-6)
    preferred = block.V.T @ preference
    generic = -block.G.T @ np.random.default_rng(0).uniform(0.5, 1.0, len(block.w))
    parts = (part / max(np.abs(part).max(initial=0.0), 1e-300) for part in (preferred, generic))
    return np.asarray(10.0 * PERTURBATION * least * (next(parts) + 0.05 * next(parts)))


def _room_for(size: IntArray, n: int) -> tuple[IntArray, Array, Array, Array]:
    return np.zeros(size[0] + 1, np.int64), np.empty((size[1], 2)), np.empty((size[0], n, 3)), np.empty((size[2], 3))


def _sides(sides: Array, middle: Array, half: Array) -> Array:
    """Half-planes over the free parameters, of unit length."""
    out = sides.copy()
    out[:, :2] /= half
    out[:, 2] += out[:, :2] @ middle
    return np.asarray(out / np.linalg.norm(out[:, :2], axis=1)[:, None])
