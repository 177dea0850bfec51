"""Planes: value, domain and minimiser against direct solves, and against slices of the whole solution."""

from __future__ import annotations

from itertools import combinations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose

import mpo
from experiments.benchmarks.parametric import box, current_period
from mpo.certify import direct_value
from mpo.sampling import draw as draw_from

MODEL = current_period(2)
NAMES = list(MODEL.parameters)
FREE = (NAMES.index("P"), NAMES.index("Q"))
HELD = [number for number in range(len(NAMES)) if number not in FREE]
BAND = 1e-8  # beside a side, where rounding may decide


@pytest.fixture(scope="module")
def planes():
    return mpo.Planes(MODEL.program(), free=FREE)


@pytest.fixture(scope="module")
def explicit():
    return mpo.solve(MODEL.program())


def fixed(theta, held=HELD):
    return {number: theta[:, number] for number in held}


def drawn(count, seed=0):
    problem = MODEL.program()
    return draw_from(problem.theta_A, problem.theta_b, count, seed)


def sides_of(slices, number):
    return slices.sides[slices.start_side[number] : slices.start_side[number + 1]]


def corners_of(sides):
    """Where two sides cross within all others."""
    found = []
    for one, two in combinations(sides, 2):
        if abs(np.linalg.det([one[:2], two[:2]])) > 1e-9:
            point = np.linalg.solve([one[:2], two[:2]], [one[2], two[2]])
            if (sides[:, :2] @ point <= sides[:, 2] + 1e-9).all():
                found.append(point)
    return np.array(found)


def value_at(slices, number, points):
    """The largest of all pieces."""
    pieces = slice(slices.start[number], slices.start[number + 1])
    return (points @ slices.slope[pieces].T + slices.constant[pieces]).max(axis=1)


def assert_right(problem, slices, theta, free=FREE, points=25, seed=0):
    """At points in and around the domain of each plane: finite inside the sides only, and with the right value."""
    generic, inner = np.random.default_rng(seed), 0
    for number, one in enumerate(theta):
        sides = sides_of(slices, number)
        around = corners_of(sides) if len(sides) else generic.uniform(-5.0, 5.0, (4, 2))
        weights = generic.dirichlet(np.full(len(around), 0.5), points)
        s = weights @ around + 0.2 * generic.choice([0.0, 1.0], (points, 1)) * generic.standard_normal((points, 2))
        beyond = (s @ sides[:, :2].T - sides[:, 2]).max(axis=1) if len(sides) else np.full(points, np.inf)
        full = np.repeat(one[None], points, axis=0)
        full[:, free] = s
        in_set = (full @ problem.theta_A.T <= problem.theta_b).all(axis=1)
        expected = np.array([direct_value(problem, t) if ok else np.nan for t, ok in zip(full, in_set, strict=True)])
        clear = np.abs(beyond) > BAND
        assert list(np.isfinite(expected)[clear]) == list((beyond < 0.0)[clear])
        if len(sides):
            known = np.isfinite(expected) & (beyond < BAND)
            inner += known.sum()
            assert_allclose(value_at(slices, number, s[known]), expected[known], rtol=1e-9, atol=1e-9)
    return inner


def assert_minimisers(problem, slices, theta, free=FREE, seed=0):
    """At a point inside the domain of each plane: feasible, and as cheap as the value says."""
    generic = np.random.default_rng(seed)
    number = np.flatnonzero(np.diff(slices.start_side))
    assert len(number)
    points = np.zeros((len(slices), 2))
    for one in number:
        around = corners_of(sides_of(slices, one))
        points[one] = generic.dirichlet(np.ones(len(around))) @ around
    x, beyond = slices.minimisers(points)
    full = theta.copy()
    full[:, free] = points
    x, full = x[number], full[number]
    assert beyond[number].max() < 1e-4
    size = 1e-9 + 1e-5 * beyond[number].clip(0.0)[:, None]
    assert (x @ problem.A.T <= problem.b + full @ problem.F.T + size).all()
    assert (np.abs(x @ problem.A_eq.T - problem.b_eq - full @ problem.F_eq.T) <= 1e-9).all()
    assert (x >= problem.x_min - size).all()
    assert (x <= problem.x_max + size).all()
    value = np.array([value_at(slices, one, points[one : one + 1])[0] for one in number])
    assert_allclose(problem.objective(x, full), value, rtol=1e-9, atol=1e-9)


def test_value_and_domain_are_those_of_direct_solves(planes):
    theta = drawn(40)
    slices = planes.slices(fixed(theta))
    assert assert_right(planes.problem, slices, theta) > 300
    assert_minimisers(planes.problem, slices, theta)


def test_parameters_at_the_ends_of_their_ranges(planes):
    problem, generic = planes.problem, np.random.default_rng(1)
    low, high = np.array(list(MODEL.parameters.values())).T
    theta = np.where(generic.random((200, len(low))) < 0.5, low, high)
    rows = problem.theta_A[:, HELD]
    idle = np.abs(problem.theta_A[:, list(FREE)]).max(axis=1) == 0.0
    theta = theta[(theta[:, HELD] @ rows[idle].T <= problem.theta_b[idle]).all(axis=1)][:40]
    slices = planes.slices(fixed(theta))
    assert assert_right(problem, slices, theta) > 100
    assert_minimisers(problem, slices, theta)


@pytest.mark.parametrize("equal", [{"imp": "exp"}, {"T0": "T1"}, {"T0": -0.2, "T1": -0.2, "imp": 0.2, "exp": 0.2}])
@pytest.mark.parametrize("state", [{}, {"S1": 1.0}, {"tau": 0.0}, {"e0": 9.0}, {"pv": 0.0, "e0": 1.0}])
def test_ties(planes, equal, state):
    theta = drawn(8, seed=3)
    for name, value in (equal | state).items():
        theta[:, NAMES.index(name)] = theta[:, NAMES.index(value)] if isinstance(value, str) else value
    slices = planes.slices(fixed(theta))
    assert_right(planes.problem, slices, theta, points=10)
    assert_minimisers(planes.problem, slices, theta)


def test_the_same_as_slices_of_the_whole_solution(planes, explicit):
    theta = drawn(30, seed=4)
    mine, other = planes.slices(fixed(theta)), explicit.slices(fixed(theta))
    generic = np.random.default_rng(0)
    for number in range(len(theta)):
        here, there = corners_of(sides_of(mine, number)), corners_of(sides_of(other, number))
        assert (here @ sides_of(other, number)[:, :2].T <= sides_of(other, number)[:, 2] + 1e-8).all()
        assert (there @ sides_of(mine, number)[:, :2].T <= sides_of(mine, number)[:, 2] + 1e-8).all()
        points = generic.dirichlet(np.ones(len(here)), 50) @ here
        assert_allclose(value_at(mine, number, points), value_at(other, number, points), rtol=1e-9, atol=1e-9)
    assert_minimisers(planes.problem, other, theta)


def test_planes_without_a_solution_have_no_pieces(planes):
    theta = drawn(3, seed=5)
    theta[1, NAMES.index("e0")] = 100.0
    slices = planes.slices(fixed(theta))
    assert list(np.diff(slices.start) > 0) == [True, False, True]
    assert list(np.diff(slices.start_side) > 0) == [True, False, True]
    x, beyond = slices.minimisers(np.zeros((3, 2)))
    assert list(np.isnan(x).all(axis=1)) == [False, True, False]
    assert beyond[1] == np.inf
    nothing = planes.slices(fixed(theta[1:2]))
    assert np.isnan(nothing.minimisers(np.zeros((1, 2)))[0]).all()


def sized(reach=4.0, cost=(1.0, 2.0)):
    """min |x| costs over |x_i| <= theta_{2 + i}, x = (theta_0, theta_1): falls apart into two variables."""
    theta_A, theta_b = box(np.array([-reach, -reach, 0.0, 0.0]), np.full(4, reach))
    eye = np.eye(2)
    A = np.vstack([np.hstack([eye, -eye]), np.hstack([-eye, eye])])
    F = np.zeros((4, 4))
    F[:2, 2:] = F[2:, 2:] = eye
    A_eq, F_eq = np.hstack([eye, -eye]), np.hstack([eye, 0 * eye])
    return mpo.ParametricLP(
        np.repeat([cost], 2, axis=0).ravel(), np.zeros((4, 4)), A, np.zeros(4), F, theta_A, theta_b, A_eq, np.zeros(2),
        F_eq, x_min=np.zeros(4),
    )  # fmt: skip


def test_a_program_that_falls_apart():
    """Boxes: cost 1 * |s_0| + 2 |s_1|, sides at the limits."""
    slices = mpo.Planes(sized()).slices({2: [1.0, 3.0], 3: [2.0, 0.5]})
    for number, (p, q) in enumerate([(1.0, 2.0), (3.0, 0.5)]):
        assert_allclose(np.sort(corners_of(sides_of(slices, number)), axis=0), np.sort(
            [[-p, -q], [-p, q], [p, -q], [p, q]], axis=0), atol=1e-12)  # fmt: skip
        points = np.random.default_rng(0).uniform([-p, -q], [p, q], (50, 2))
        assert_allclose(value_at(slices, number, points), np.abs(points) @ [1.0, 2.0], atol=1e-12)
    assert_minimisers(sized(), slices, np.array([[0.0, 0.0, 1.0, 2.0], [0.0, 0.0, 3.0, 0.5]]), free=(0, 1))


@pytest.mark.parametrize("wide", [0.0, 1e-12, 1e-9, 1e-7, 1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize("long", [0.0, 1e-6, 2.0])
def test_thin_and_flat_planes(wide, long):
    """Down to a line and to a point: the domain is as narrow, and the value is right on it."""
    slices = mpo.Planes(sized()).slices({2: [long], 3: [wide]})
    p, q = np.abs(corners_of(sides_of(slices, 0))).max(axis=0)
    assert_allclose([p, q], [long, wide], atol=2e-9)
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 2)) * [long, wide]
    assert_allclose(value_at(slices, 0, points), np.abs(points) @ [1.0, 2.0], atol=1e-9)
    x, beyond = slices.minimisers(points[:1])
    assert_allclose(x[0, :2] - x[0, 2:], points[0], atol=1e-9)
    assert beyond[0] < 1e-4


@st.composite
def programs(draw):
    """Small programs over rows with few different numbers, which are often degenerate; bounded."""
    n, m, k = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(3, 5))
    seed = draw(st.integers(0, 2**32 - 1))
    generic, few = np.random.default_rng(seed), np.array([-1.0, -0.5, 0.0, 0.0, 0.0, 1.0, 2.0])
    C = generic.choice(few, (n, k))
    C[:, :2] = 0.0
    one = np.ones(k)
    problem = mpo.ParametricLP(
        generic.choice(few, n), C, generic.choice(few, (m, n)), generic.choice([0.0, 1.0, 2.0], m),
        generic.choice(few, (m, k)), *box(-one, one), x_min=np.zeros(n), x_max=np.full(n, 3.0),
    )  # fmt: skip
    return problem, generic.choice([-1.0, -0.5, 0.0, 0.25, 1.0], (4, k)), seed


@given(programs())
@settings(max_examples=60, deadline=None)
def test_small_degenerate_programs(case):
    problem, theta, seed = case
    try:
        planes = mpo.Planes(problem)
    except mpo.InputError:
        inside = draw_from(problem.theta_A, problem.theta_b, 20)
        assert np.isnan([direct_value(problem, one) for one in inside]).all()
        return
    slices = planes.slices(fixed(theta, range(2, problem.parameters)))
    assert_right(problem, slices, theta, free=(0, 1), points=12, seed=seed)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda good: dict(list(good.items())[:-1]), "two left"),
        (lambda good: good | {99: np.zeros(3)}, "99"),
        (lambda good: dict(list(good.items())[1:]) | {FREE[0]: np.zeros(3)}, r"none of \[0, 1\]"),
        (lambda good: good | {HELD[0]: np.zeros(2)}, "one value for each slice"),
        (lambda good: good | {HELD[0]: np.full(3, np.nan)}, "finite"),
    ],
)
def test_wrong_planes(planes, wrong, said):
    with pytest.raises(mpo.InputError, match=said):
        planes.slices(wrong(fixed(drawn(3))))


@pytest.mark.parametrize("free", [(0, 0), (0, 99), (-1, 0)])
def test_wrong_free_parameters(free):
    with pytest.raises(mpo.InputError, match="two different numbers from 0 to"):
        mpo.Planes(MODEL.program(), free=free)


def test_programs_without_planes():
    with pytest.raises(mpo.InputError, match="quadratic program"):
        mpo.Planes(MODEL.program(1e-3), free=FREE)
    with pytest.raises(mpo.InputError, match="costs that stand still"):
        mpo.Planes(MODEL.program(), free=(NAMES.index("imp"), NAMES.index("P")))
    rows = np.array([[1.0], [-1.0]])
    with pytest.raises(mpo.InputError, match="infeasible"):
        mpo.Planes(mpo.ParametricLP([1.0], np.zeros((1, 3)), rows, [-1.0, -1.0], np.zeros((2, 3)),
                                    *box(-np.ones(3), np.ones(3))))  # fmt: skip
    with pytest.raises(mpo.InputError, match="unbounded"):
        mpo.Planes(mpo.ParametricLP([1.0], np.zeros((1, 3)), rows[:1], [1.0], np.zeros((1, 3)),
                                    *box(-np.ones(3), np.ones(3))))  # fmt: skip
