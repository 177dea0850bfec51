"""Slices of two parameters: polygons that fill the set with a solution once, with the values of the solution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial import ConvexHull

import mpo
from experiments.benchmarks.parametric import box, current_period
from mpo.figures import polygons
from mpo.sampling import draw

FREE = ("P", "Q")


def inside(solution, count, seed=0):
    """Parameters that have a solution."""
    theta = draw(solution.theta_A, solution.theta_b, 20 * count, seed)
    return theta[solution.evaluate(theta).inside][:count]


def held(names, theta):
    """Columns of all parameters but P and Q."""
    return {number: theta[:, number] for number, name in enumerate(names) if name not in FREE}


def polygon(slices, piece):
    return slices.corners[slices.begin[piece] : slices.begin[piece + 1]]


def area(corners):
    x, y = corners.T
    return 0.5 * (x @ np.roll(y, -1) - y @ np.roll(x, -1))


def pieces_of(slices, number):
    return range(slices.start[number], slices.start[number + 1])


def assert_fills_once(slices, number, rtol=1e-9):
    """The areas add up to that of the convex hull: there is no hole, and nothing is covered twice."""
    corners = [polygon(slices, piece) for piece in pieces_of(slices, number)]
    assert_allclose(sum(area(one) for one in corners), ConvexHull(np.vstack(corners)).volume, rtol=rtol)


def assert_values(solution, slices, number, theta, names):
    """Value and minimiser near each corner are those of the solution, if the first is unique."""
    free = [names.index(name) for name in FREE]
    for piece in pieces_of(slices, number):
        corners = polygon(slices, piece)
        s = corners + 1e-3 * (corners.mean(axis=0) - corners)
        full = np.repeat(theta[None], len(s), axis=0)
        full[:, free] = s
        expected = solution.evaluate(full)
        assert expected.inside.all()
        value = 0.5 * np.einsum("si,ij,sj->s", s, slices.hessian[piece], s)
        value += s @ slices.slope[piece] + slices.constant[piece]
        assert_allclose(value, expected.value, rtol=1e-9, atol=1e-12)
        x = s @ slices.x[piece, :, :2].T + slices.x[piece, :, 2]
        assert_allclose(solution.problem.objective(x, full), value, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def period():
    model = current_period(2)
    return list(model.parameters), mpo.solve(model.program())


def test_pieces_fill_each_slice_once_with_the_values_of_the_solution(period):
    names, solution = period
    theta = inside(solution, 30)
    slices = solution.slices(held(names, theta))
    assert len(slices) == 30
    for number, one in enumerate(theta):
        assert_fills_once(slices, number)
        assert_values(solution, slices, number, one, names)


def test_pieces_are_the_regions_that_are_met(period):
    """By looking up parameters all over the slice, without the polygons."""
    names, solution = period
    theta = inside(solution, 10, seed=1)
    slices, free = solution.slices(held(names, theta)), [names.index(name) for name in FREE]
    generic = np.random.default_rng(0)
    for number, one in enumerate(theta):
        full = np.repeat(one[None], 4000, axis=0)
        full[:, free] = generic.uniform([-9.0, -5.0], [9.0, 5.0], (4000, 2))
        met = set(solution.evaluate(full).region.tolist()) - {-1}
        assert met
        assert met <= set(slices.region[list(pieces_of(slices, number))].tolist())


def test_one_slice_is_as_good_as_many(period):
    """The same slice as a solution has a region of each part for every piece."""
    names, solution = period
    theta = inside(solution, 10, seed=2)
    slices = solution.slices(held(names, theta))
    for number, one in enumerate(theta):
        sliced = solution.slice({key: float(value[number]) for key, value in held(names, theta).items()})
        found = {solution_region(solution, sliced, polygon(slices, piece)) for piece in pieces_of(slices, number)}
        assert -1 not in found
        assert len(found) == len(list(pieces_of(slices, number)))
        assert_allclose(sliced.evaluate(one[[names.index(name) for name in FREE]]).value, solution.evaluate(one).value)


def solution_region(solution, sliced, corners):
    """Number of the region of the slice around the middle of a piece."""
    return int(sliced.evaluate(corners.mean(axis=0)).region)


def without_neighbours(solution):
    """The same solution; every search in it has to look at all regions."""
    parts = [
        replace(part, start=np.zeros(part.regions + 1, np.int64), links=part.links[:0], gain=part.gain[:0])
        for part in solution.parts
    ]
    return replace(solution, parts=tuple(parts))


def test_walking_finds_what_looking_everywhere_finds(period):
    names, solution = period
    fixed = held(names, inside(solution, 30, seed=4))
    walked, looked = solution.slices(fixed), without_neighbours(solution).slices(fixed)
    assert list(walked.start) == list(looked.start)
    for number in range(len(walked)):
        mine, other = (slice(one.start[number], one.start[number + 1]) for one in (walked, looked))
        assert sorted(walked.region[mine]) == sorted(looked.region[other])


@pytest.mark.parametrize("walking", [True, False])
@pytest.mark.parametrize(
    "equal", [{"imp": "exp"}, {"T0": "T1"}, {"imp": "exp", "T0": "T1"}, {"S1": 1.0}, {"tau": 0.0}, {"e0": 9.0}]
)
def test_slices_in_the_boundary_of_regions_are_filled_once(period, equal, walking):
    """Equal prices, empty segments, no time left, a full battery."""
    names, solution = period
    solution = solution if walking else without_neighbours(solution)
    theta = inside(solution, 10, seed=3)
    for name, value in equal.items():
        theta[:, names.index(name)] = theta[:, names.index(value)] if isinstance(value, str) else value
    slices = solution.slices(held(names, theta))
    filled = [number for number in range(len(theta)) if len(pieces_of(slices, number))]
    assert filled
    for number in filled:
        assert_fills_once(slices, number, rtol=1e-6)
        assert_values(solution, slices, number, theta[number], names)


@pytest.mark.parametrize("walking", [True, False])
def test_slices_in_the_wall_between_regions_are_filled_once(period, walking):
    """Prices at which one minimiser takes over from another: both are optimal all over the slice, and one counts."""
    names, solution = period
    theta = np.array([at_the_wall(solution, one) for one in inside(solution, 20, seed=5)])
    solution = solution if walking else without_neighbours(solution)
    slices = solution.slices(held(names, theta))
    assert (np.diff(slices.start) > 0).sum() > 15
    for number in range(len(theta)):
        if len(pieces_of(slices, number)):
            assert_fills_once(slices, number, rtol=1e-6)
            assert_values(solution, slices, number, theta[number], names)


def at_the_wall(solution, theta):
    """Moved to the nearest place where a multiplier of the region of theta is zero."""
    part = max(solution.parts, key=lambda one: one.regions)
    t = part.parameters(theta[None])
    region = part.evaluate(t)[0][0]
    rows = part.rows[region, part.kind[region] & (part.map.inverse[region] > 0.0)]
    gradient, value = rows[:, :-1] @ part.L, rows[:, :-1] @ t[0] + rows[:, -1]
    steps = -gradient * (value / (gradient**2).sum(axis=1))[:, None]
    return theta + steps[np.abs(value / np.linalg.norm(rows[:, :-1], axis=1)).argmin()]


def test_slices_of_a_quadratic_program():
    """Pieces may lie over each other where multipliers are not unique; they cover all, with the right values."""
    model = current_period(1, reduced=True)
    solution, names = mpo.solve(model.program(1e-3)), list(model.parameters)
    theta = inside(solution, 5)
    slices = solution.slices(held(names, theta))
    assert np.abs(slices.hessian).max() > 1e-4
    for number, one in enumerate(theta):
        assert_values(solution, slices, number, one, names)
        total = sum(area(polygon(slices, piece)) for piece in pieces_of(slices, number))
        corners = np.vstack([polygon(slices, piece) for piece in pieces_of(slices, number)])
        assert total >= ConvexHull(corners).volume * (1.0 - 1e-6)


def test_parts_without_parameters_or_regions():
    """x0 >= |theta0| + |theta1| / 2 + theta2 and x1 >= 1 apart from it; nothing to cut where nothing is feasible."""
    signs = np.array([[a, b] for a in (1.0, -1.0) for b in (0.5, -0.5)])
    A, F = np.zeros((4, 2)), np.hstack([-signs, -np.ones((4, 1))])
    A[:, 0] = -1.0
    x_min = np.array([-np.inf, 1.0])
    theta = box(-np.ones(3), np.ones(3))
    problem = mpo.ParametricLP(np.ones(2), np.zeros((2, 3)), A, np.zeros(4), F, *theta, x_min=x_min)
    slices = mpo.solve(problem).slices({2: [0.0, 0.5]})
    assert list(np.diff(slices.start)) == [4, 4]
    assert_allclose(slices.constant, [1.0] * 4 + [1.5] * 4, atol=1e-12)
    assert_fills_once(slices, 0)
    nowhere = replace(problem, x_max=np.array([np.inf, 0.5]), x_min=np.array([-np.inf, -np.inf]), A=-A, b=-np.ones(4))
    solution = mpo.solve(nowhere)
    assert (len(solution), solution.laws) == (0, 0)
    assert list(solution.slices({2: [0.0, 0.5]}).start) == [0, 0, 0]


def test_slices_outside_have_no_pieces(period):
    names, solution = period
    theta = inside(solution, 3)
    theta[1, names.index("e0")] = 100.0
    slices = solution.slices(held(names, theta))
    assert [len(pieces_of(slices, number)) > 0 for number in range(3)] == [True, False, True]


def test_wrong_slices(period):
    names, solution = period
    fixed = held(names, inside(solution, 3))
    few = dict(list(fixed.items())[:-1])
    for wrong, said in (
        (few, "two left"),
        (fixed | {99: np.zeros(3)}, "99"),
        (fixed | {min(fixed): np.zeros(2)}, "one value for each slice"),
        (fixed | {min(fixed): np.full(3, np.nan)}, "finite"),
    ):
        with pytest.raises(mpo.InputError, match=said):
            solution.slices(wrong)


def test_a_parameter_set_with_very_many_corners():
    angle = np.linspace(0.0, 2.0 * np.pi, 401)[:-1]
    circle = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(400)])
    theta_A, theta_b = np.vstack([circle, box(*np.array([[-1.0] * 3, [1.0] * 3]))[0]]), np.ones(406)
    problem = mpo.ParametricLP([1.0], np.zeros((1, 3)), [[-1.0], [-1.0]], np.zeros(2), [[-1, 0, -1], [1, 0, -1]],
                               theta_A, theta_b)  # fmt: skip
    solution = mpo.solve(problem)
    slices = solution.slices({2: np.zeros(2)})
    assert_fills_once(slices, 0)
    assert_allclose(sum(area(polygon(slices, piece)) for piece in pieces_of(slices, 1)), np.pi, rtol=1e-3)
    assert sum(len(corners) for corners in polygons(solution.slice({2: 0.0})).values()) > 400
