"""Slices of two parameters of a program that is not explored as a whole: each is explored when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mpo import _plane
from mpo._plane import STUCK
from mpo.arrays import Array, IntArray, KeyArray
from mpo.errors import Fault, InputError, SolveError, require
from mpo.explore import PERTURBATION
from mpo.lcp import tableau, tolls
from mpo.linear import Polyhedron
from mpo.presolve import Block, presolve
from mpo.problem import Program
from mpo.spaces import perturbed_space

SLIVER = 1e-9  # of the area of the parameter set: what is smaller is there because of the perturbation only


@dataclass(frozen=True, eq=False)
class Tiles:
    """Polygons of m planes, one behind another; on each value and minimiser are affine in the two free parameters.

    Args:
        first: (m + 1,) polygons ``first[i]`` ... ``first[i + 1] - 1`` belong to plane i; none where it has no solution.
        begin: (T + 1,) likewise for the corners of a polygon.
        corners: (., 2) counter-clockwise; exact to 1e-5 of the range.
        value: (T, 3) a, b, d of a theta_0 + b theta_1 + d. For linear programs the value on a plane is their maximum.
        law: (T, n, 3) the same for each variable.
        first_side, sides: (m + 1,), (., 3): a theta_0 + b theta_1 <= h, exactly where a plane has a solution.
    """

    first: IntArray
    begin: IntArray
    corners: Array
    value: Array
    law: Array
    first_side: IntArray
    sides: Array

    def locate(self, points: Array) -> tuple[IntArray, Array]:
        """The tile in which the point (m, 2) of each plane lies, or that is nearest, -1 where there is none; and how
        far beyond that tile the point is, negative inside.
        """
        tile, beyond = np.empty(len(points), np.int64), np.empty(len(points))
        _plane.locate(np.asarray(points, np.float64), self.first, self.begin, self.corners, tile, beyond)
        return tile, beyond

    def minimisers(self, points: Array) -> tuple[Array, Array]:
        """The variables (m, n) at one point (m, 2) of each plane, by the law of the tile it is in or next to; and how
        far beyond that tile it is. NaN where there is no tile.
        """
        tile, beyond = self.locate(points)
        law = np.where((tile >= 0)[:, None, None], self.law[tile], np.nan)
        return law[:, :, 0] * points[:, :1] + law[:, :, 1] * points[:, 1:] + law[:, :, 2], beyond


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
        if form.verdict:
            raise InputError([Fault("problem", form.verdict, "a solution for some parameters", "check its rows")])
        self.problem = problem
        self.free, self.held = np.array(free), np.setdiff1d(np.arange(problem.parameters), free)
        self._form, self._block = form, form.blocks[0]
        box = Polyhedron(form.theta_A, form.theta_b)
        ends = np.array([[-box.maximise(-e).value, box.maximise(e).value] for e in np.eye(problem.parameters)])
        self._middle, self._half = ends[self.free].mean(axis=1), 0.5 * np.diff(ends[self.free], axis=1)[:, 0]
        reduced = self._block.parameters
        base = _base(self._block, tolls(problem.variables, tie_break))
        self._program = _plane.Program(
            base, reduced.L, reduced.shift, form.theta_A, form.theta_b, self.free, self.held, self._middle, self._half
        )
        self._m = len(self._block.w)
        self._room, self._one = (
            _plane.room(self._m, len(base) - self._m, len(form.theta_b)),
            _plane.plane(len(base) - self._m),
        )
        self._key: KeyArray = np.zeros(self._room.keys.shape[1], np.uint64)

    def tiles(self, held: Array) -> Tiles:
        """Explore planes.

        Args:
            held: (m, k - 2) the other parameters of each plane, in their order.

        Raises:
            InputError: wrong shape or NaN.
            SolveError: a plane that could not be explored; use ``solve``.
        """
        values = np.ascontiguousarray(np.atleast_2d(held), np.float64)
        if values.ndim != 2 or values.shape[1] != len(self.held) or not np.isfinite(values).all():
            found = f"shape {np.shape(held)}" if values.shape[-1:] != self.held.shape else "NaN or infinite values"
            raise InputError([Fault("held", found, f"finite (m, {len(self.held)})", "one column per held parameter")])
        planes, n = len(values), len(self._program.base) - self._m
        state, count = np.zeros(planes, np.int64), np.zeros((planes + 1, 3), np.int64)
        size, at = np.array([32, 200, 16]) * max(planes, 16), 0
        begin, corners, law, sides = _room_for(size, n)
        while True:
            at = _plane.explore_all(
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
        value, laws = self._laws(values, law[:tiles], np.diff(count[:, 0]))
        return Tiles(
            count[:, 0],
            begin[: tiles + 1],
            self._middle + corners[:points] * self._half,
            value,
            laws,
            count[:, 2],
            _sides(sides[:walls], self._middle, self._half),
        )

    def _laws(self, values: Array, law: Array, tiles: IntArray) -> tuple[Array, Array]:
        """Value and variables of the program over the free parameters."""
        form, problem = self._form, self.problem
        over = law.copy()
        over[:, :, :2] /= self._half
        over[:, :, 2] -= over[:, :, :2] @ self._middle
        x = self._block.V @ over
        x[:, :, :2] += form.X[:, self.free]
        plane = np.repeat(np.arange(len(values)), tiles)
        x[:, :, 2] += (form.x0 + values @ form.X[:, self.held].T)[plane]
        cost = problem.c + values @ problem.C[:, self.held].T
        return np.einsum("tn,tnc->tc", cost[plane], x), x


def _faults(problem: Program, free: tuple[int, int]) -> list[Fault]:
    k = problem.parameters
    if len(set(free)) != 2 or not all(0 <= one < k for one in free):
        return [Fault("free", f"{free}", f"two different numbers from 0 to {k - 1}", "name the plane's parameters")]
    if problem.hessian.any() or problem.C[:, list(free)].any():
        value = "a quadratic program" if problem.hessian.any() else "costs with a free parameter"
        return [Fault("problem", value, "a linear program with costs that stand still", "use solve and slice")]
    return []


def _base(block: Block, toll: Array) -> Array:
    """Tableau of the block with the constants of the perturbed and of the true problem."""
    perturbed = perturbed_space(block, PERTURBATION, toll).base
    return np.column_stack([perturbed, tableau(block, block.w, block.c).rows[:, -1]])


def _room_for(size: IntArray, n: int) -> tuple[IntArray, Array, Array, Array]:
    return np.zeros(size[0] + 1, np.int64), np.empty((size[1], 2)), np.empty((size[0], n, 3)), np.empty((size[2], 3))


def _sides(sides: Array, middle: Array, half: Array) -> Array:
    """Half-planes over the free parameters, of unit length."""
    out = sides.copy()
    out[:, :2] /= half
    out[:, 2] += out[:, :2] @ middle
    return np.asarray(out / np.linalg.norm(out[:, :2], axis=1)[:, None])
