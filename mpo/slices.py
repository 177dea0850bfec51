"""Explicit solutions of fewer parameters: some of them fixed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from mpo import _nearest, _pieces, _polygon, _slice, _tiles
from mpo._nearest import EMPTY, FEASIBLE
from mpo._slice import Plane
from mpo.arrays import Array, IntArray
from mpo.errors import Fault, InputError, require
from mpo.linear import Polyhedron, centre
from mpo.part import Part
from mpo.pieces import Slices
from mpo.problem import Program
from mpo.solution import Solution

_MARGIN = 1e-9


def slice_solution(solution: Solution, fixed: Mapping[int, float]) -> Solution:
    """The solution over the parameters that are not fixed, in their order.

    Regions are those of the whole solution that the slice meets; two remaining parameters are cut as polygons. Where
    the slice lies in the boundary of regions, those count that it would meet if it moved inwards a little.

    Args:
        fixed: value of each parameter to be fixed, by number.

    Raises:
        InputError: a parameter that does not exist, none left, or values outside the parameter set.
    """
    free, held = _split(solution.problem, fixed)
    values = np.array([fixed[number] for number in held.tolist()], np.float64)
    _require_finite(values)
    theta_A, theta_b = _cut(solution.theta_A, solution.theta_b, free, held, values)
    outline, middle, half = _outline(theta_A, theta_b)
    parts = tuple(_part(part, free, held, values, outline, middle, half) for part in solution.parts)
    return Solution(
        _program(solution.problem, free, held, values),
        solution.status,
        solution.report,
        solution.x0 + solution.X[:, held] @ values,
        solution.X[:, free],
        theta_A,
        theta_b,
        parts,
    )


def slice_many(solution: Solution, fixed: Mapping[int, ArrayLike]) -> Slices:
    """Many slices at once, of the two parameters that are not fixed.

    Args:
        fixed: values (m,) of each parameter to be fixed, by number.

    Raises:
        InputError: a parameter that does not exist, not two of them left, NaN, or arrays of different lengths.
    """
    problem = solution.problem
    free, held, values = columns(problem, fixed)
    x, cost = np.empty((2, len(values), problem.variables, 3))
    x[:, :, :2], x[:, :, 2] = solution.X[:, free], solution.x0 + values @ solution.X[:, held].T
    cost[:, :, :2], cost[:, :, 2] = problem.C[:, free], problem.c + values @ problem.C[:, held].T
    pieces = _tiles.nothing(x)
    if len(solution):
        rest = solution.theta_b - values @ solution.theta_A[:, held].T
        pieces = _tiles.outlines(np.ascontiguousarray(solution.theta_A[:, free]), rest, x)
    stride = np.cumprod([1, *(part.regions for part in solution.parts[:0:-1])])[::-1]
    for number in np.argsort([-part.regions for part in solution.parts]):  # the largest part first: cut once a slice
        part = solution.parts[number]
        T, t = np.ascontiguousarray(part.L[:, free]), values @ part.L[:, held].T + part.shift
        pieces = _tiles.refined(part.map, part.table, part.law, part.V, T, t, int(stride[number]), pieces)
    x, cost = pieces.x, np.repeat(cost, np.diff(pieces.start), axis=0)
    half = x.transpose(0, 2, 1) @ (0.5 * problem.hessian @ x + cost)
    value = half + half.transpose(0, 2, 1)
    terms = value[:, :2, :2], value[:, :2, 2], 0.5 * value[:, 2, 2]
    sides = _pieces.sides(pieces.start, pieces.begin, pieces.corners)
    return Slices(pieces.start, pieces.begin, pieces.corners, pieces.region, x, *terms, *sides)


def columns(problem: Program, fixed: Mapping[int, ArrayLike]) -> tuple[IntArray, IntArray, Array]:
    """Numbers of the two free parameters and of those held, and the values (m, k - 2) of these, one slice in each row.

    Raises:
        InputError: see ``slice_many``.
    """
    free, held = _split(problem, fixed)
    given = [np.atleast_1d(np.asarray(fixed[number], np.float64)) for number in held.tolist()]
    shapes = {column.shape for column in given}
    faults = []
    if len(free) != 2:
        remedy = "use slice for other numbers"
        faults.append(Fault("fixed parameters", f"{len(free)} of {problem.parameters} left", "two left", remedy))
    if len(shapes) != 1 or any(column.ndim != 1 for column in given):
        value, remedy = f"shapes {sorted(shapes)}", "give one value for each slice"
        faults.append(Fault("fixed parameters", value, "(m,) for all", remedy))
    require(faults)
    values = np.column_stack(given)
    _require_finite(values)
    return free, held, values


def _split(problem: Program, fixed: Mapping[int, object]) -> tuple[IntArray, IntArray]:
    """Numbers of the parameters that are left free, and of those held."""
    k = problem.parameters
    if len(fixed) >= k or not all(0 <= number < k for number in fixed):
        allowed = f"numbers from 0 to {k - 1}, at least one of them left free"
        raise InputError([Fault("fixed parameters", f"{sorted(fixed)}", allowed, "fix fewer, or evaluate at a point")])
    free = [number for number in range(k) if number not in fixed]
    return np.array(free, np.int64), np.array(sorted(fixed), np.int64)


def _require_finite(values: Array) -> None:
    if not np.isfinite(values).all():
        raise InputError([Fault("fixed parameters", "NaN or infinite", "finite values", "give numbers")])


def _cut(A: Array, b: Array, free: IntArray, held: IntArray, values: Array) -> tuple[Array, Array]:
    """Rows of the parameter set over the free parameters, of unit length."""
    b, A = b - A[:, held] @ values, A[:, free]
    length = np.sqrt(np.einsum("ij,ij->i", A, A))
    turning = length >= 1e-12
    if (b[~turning] < -1e-9).any():
        raise _outside()
    length = length[turning]
    return A[turning] / length[:, None], b[turning] / length


def _outside() -> InputError:
    value, remedy = "values for which the parameter set is empty or flat", "fix parameters inside the parameter set"
    return InputError([Fault("fixed parameters", value, "values inside it", remedy)])


def _outline(A: Array, b: Array) -> tuple[Array, Array, Array]:
    """Rows (or, of two parameters, corners) of the set in [-1, 1]^k, and the box it was scaled from."""
    k = A.shape[1]
    if k == 2:
        corners = _polygon.outline(A, b)
        low, high = (corners.min(axis=0), corners.max(axis=0)) if len(corners) else (np.zeros(2), np.zeros(2))
    else:
        polyhedron = Polyhedron(A, b)
        high = np.array([polyhedron.maximise(e).value for e in np.eye(k)])
        low = np.array([-polyhedron.maximise(-e).value for e in np.eye(k)])
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    if not (half > _MARGIN).all():
        raise _outside()
    if k == 2:
        return (corners - middle) / half, middle, half
    rows, rest = A * half, b - A @ middle
    length = np.linalg.norm(rows, axis=1)
    return np.column_stack([rows / length[:, None], rest / length]), middle, half


def _program(problem: Program, free: IntArray, held: IntArray, values: Array) -> Program:
    """The program with some parameters fixed; its parts have been checked already."""
    new = {
        "c": problem.c + problem.C[:, held] @ values,
        "C": problem.C[:, free],
        "b": problem.b + problem.F[:, held] @ values,
        "F": problem.F[:, free],
        "theta_A": problem.theta_A[:, free],
        "theta_b": problem.theta_b - problem.theta_A[:, held] @ values,
        "b_eq": problem.b_eq + problem.F_eq[:, held] @ values,
        "F_eq": problem.F_eq[:, free],
    }
    return problem.unchecked(new)


def _part(
    part: Part, free: IntArray, held: IntArray, values: Array, outline: Array, middle: Array, half: Array
) -> Part:
    """Regions of one part that the slice meets, over s = (theta_free - middle) / half."""
    left = part.L[:, free]
    D = left * half
    plane = Plane(part.L[:, held] @ values + part.shift + left @ middle, np.flatnonzero(D.any(axis=1)), D)
    met, point = _met(part, plane, outline)
    m = len(part.multiplier)
    rows, law, limits, tail, start, links, gain = _slice.restricted(part.map, part.law, part.base[:, m:], plane, met)
    return Part(
        L=np.diag(1.0 / half),
        shift=-middle / half,
        V=part.V,
        origin=part.origin,
        weight=part.weight,
        rows=rows,
        law=law,
        kind=part.kind[met],
        start=start,
        links=links,
        gain=gain,
        limits=limits,
        point=point,
        keys=part.keys[met],
        base=np.concatenate([part.base[:, :m], tail], axis=1),
        multiplier=part.multiplier,
    )


def _met(part: Part, plane: Plane, outline: Array) -> tuple[IntArray, Array]:
    """Numbers of the regions that are met in a set with an interior, and a point of each."""
    k, R = plane.D.shape[1], part.regions
    if k == 2:
        met, point = _tiles.met_plane(part.map, part.table, plane, outline, int(part.cursor[0]))
        return met, point
    state, search, point = (
        np.zeros(R, np.int64),
        _nearest.scratch(len(part.multiplier) + len(outline), k),
        np.empty((R, k)),
    )
    A, b = np.ascontiguousarray(outline[:, :k]), outline[:, k].copy()
    _slice.met_space(part.table, plane, A, b, _MARGIN, search, state, point)
    for r in np.flatnonzero((state != FEASIBLE) & (state != EMPTY)):
        rows = part.rows[r] * part.map.inverse[r][:, None]
        G, h = -rows[:, :-1] @ plane.D, rows[:, :-1] @ plane.fixed + rows[:, -1]
        depth, point[r] = centre(np.vstack([G, A]), np.concatenate([h, b]))
        state[r] = FEASIBLE if depth > _MARGIN else EMPTY
    numbers = np.flatnonzero(state == FEASIBLE)
    return numbers, point[numbers]
