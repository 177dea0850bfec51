"""Explicit solutions of fewer parameters: some of them fixed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mpo import _nearest, _slice
from mpo._nearest import EMPTY, FEASIBLE
from mpo.arrays import Array, IntArray
from mpo.errors import Fault, InputError
from mpo.linear import Polyhedron, centre
from mpo.part import Part
from mpo.problem import Program
from mpo.solution import Solution

_MARGIN = 1e-9


def slice_solution(solution: Solution, fixed: Mapping[int, float]) -> Solution:
    """The solution over the parameters that are not fixed, in their order.

    Regions are those of the whole solution that the slice meets; two remaining parameters are cut as polygons.

    Args:
        fixed: value of each parameter to be fixed, by number.

    Raises:
        InputError: a parameter that does not exist, none left, or values outside the parameter set.
    """
    problem, held = solution.problem, np.array(sorted(fixed), np.int64)
    _check(problem, held, fixed)
    values = np.array([fixed[number] for number in held], np.float64)
    free = np.array([number for number in range(problem.parameters) if number not in fixed], np.int64)
    theta_A, theta_b = _cut(solution.theta_A, solution.theta_b, free, held, values)
    outline, middle, half = _outline(theta_A, theta_b)
    parts = tuple(_part(part, free, held, values, outline, middle, half) for part in solution.parts)
    return Solution(
        _program(problem, free, held, values),
        solution.status,
        solution.report,
        solution.x0 + solution.X[:, held] @ values,
        solution.X[:, free],
        theta_A,
        theta_b,
        parts,
    )


def _check(problem: Program, held: IntArray, fixed: Mapping[int, float]) -> None:
    k = problem.parameters
    wrong = [int(number) for number in held if not 0 <= number < k]
    if wrong or len(held) >= k:
        allowed = f"numbers from 0 to {k - 1}, at least one of them left free"
        raise InputError([Fault("fixed parameters", f"{sorted(fixed)}", allowed, "fix fewer, or evaluate at a point")])
    if not np.isfinite(list(fixed.values())).all():
        raise InputError([Fault("fixed parameters", f"{dict(fixed)}", "finite values", "give numbers")])


def _cut(A: Array, b: Array, free: IntArray, held: IntArray, values: Array) -> tuple[Array, Array]:
    """Rows of the parameter set over the free parameters, of unit length."""
    b, A = b - A[:, held] @ values, A[:, free]
    length = np.sqrt(np.einsum("ij,ij->i", A, A))
    idle = length < 1e-12
    if (b[idle] < -1e-9).any():
        raise _outside()
    return A[~idle] / length[~idle, None], b[~idle] / length[~idle]


def _outside() -> InputError:
    value, remedy = "values for which the parameter set is empty or flat", "fix parameters inside the parameter set"
    return InputError([Fault("fixed parameters", value, "values inside it", remedy)])


def _outline(A: Array, b: Array) -> tuple[Array, Array, Array]:
    """Rows (or, of two parameters, vertices) of the set in [-1, 1]^k, and the box it was scaled from."""
    k = A.shape[1]
    if k == 2:
        corners = _slice.outline(A, b)
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
    fixed = part.L[:, held] @ values + part.shift + part.L[:, free] @ middle
    D = part.L[:, free] * half
    moving = np.flatnonzero(D.any(axis=1))
    met, point = _met(part, fixed, moving, D, outline)
    new = np.full(part.regions, -1, np.int64)
    new[met] = np.arange(len(met))
    most = int((part.start[met + 1] - part.start[met]).sum())
    start, links, gain = np.zeros(len(met) + 1, np.int64), np.zeros((most, 3), np.int64), np.zeros(most)
    count = _slice.sub_links(part.map, met, new, start, links, gain)
    m, one, plane = len(part.multiplier), np.zeros(1, np.int64), (fixed, moving, D)
    tail = _slice.move(np.ascontiguousarray(part.base[None, :, m:]), one, *plane, False)[0]
    return Part(
        L=np.diag(1.0 / half),
        shift=-middle / half,
        V=part.V,
        origin=part.origin,
        weight=part.weight,
        rows=_slice.move(part.rows, met, *plane, False),
        law=_slice.move(part.law, met, *plane, False),
        kind=part.kind[met],
        start=start,
        links=links[:count],
        gain=gain[:count],
        limits=_slice.move(part.limits[None], one, *plane, True)[0],
        point=point,
        keys=part.keys[met],
        base=np.concatenate([part.base[:, :m], tail], axis=1),
        multiplier=part.multiplier,
    )


def _met(part: Part, fixed: Array, moving: IntArray, D: Array, outline: Array) -> tuple[IntArray, Array]:
    """Numbers of the regions that are met in a set with an interior, and a point of each."""
    k, R = D.shape[1], part.regions
    point = np.empty((R + 1, k))
    if k == 2:
        numbers = np.empty(R, np.int64)
        count = _slice.met_plane(part.map, part.kind, fixed, moving, D, outline, part.cursor[0], numbers, point)
        numbers, point = numbers[:count], point[:count]
        order = np.argsort(numbers)
        return numbers[order], point[order]
    state, search = np.zeros(R, np.int64), _nearest.scratch(len(part.multiplier) + len(outline), k)
    A, b = np.ascontiguousarray(outline[:, :k]), outline[:, k].copy()
    _slice.met_space(part.map, part.kind, fixed, moving, D, A, b, _MARGIN, search, state, point)
    for r in np.flatnonzero((state != FEASIBLE) & (state != EMPTY)):
        rows = part.rows[r] * part.map.inverse[r][:, None]
        G, h = -rows[:, :-1] @ D, rows[:, :-1] @ fixed + rows[:, -1]
        depth, point[r] = centre(np.vstack([G, A]), np.concatenate([h, b]))
        state[r] = FEASIBLE if depth > _MARGIN else EMPTY
    numbers = np.flatnonzero(state == FEASIBLE)
    return numbers, point[numbers]
