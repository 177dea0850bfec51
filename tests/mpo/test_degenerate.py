"""Degenerate, singular, equality-constrained and rim problems against direct solvers."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mpo
from experiments.benchmarks.parametric import box


def lp(c, C, A, b, F, low, high, **more):
    """A ParametricLP over a box of parameters."""
    arrays = [np.array(part, np.float64) for part in (c, C, A, b, F)]
    return mpo.ParametricLP(*arrays, *box(np.array(low, float), np.array(high, float)), **more)


def check(problem, regions=None, samples=1500, **options):
    """Complete, without a hole, optimal in the original program and equal to a direct solver."""
    solution = mpo.solve(problem, **options)
    assert solution.status == "complete"
    certificate = solution.certify(samples, direct=60)
    assert certificate.samples == samples
    assert certificate.holes == 0
    assert certificate.error < 1e-7
    assert certificate.proven
    if regions is not None:
        assert len(solution) == regions
    return solution


def test_primal_degenerate_vertex():
    """Four rows meet in one vertex of the plane for every parameter."""
    A = [[1, 0], [0, 1], [1, 1], [1, 2], [-1, 0], [0, -1]]
    F = [[1, 0], [0, 1], [1, 1], [1, 2], [0, 0], [0, 0]]
    problem = lp([-1, -1], np.zeros((2, 2)), A, np.zeros(6), F, [0.1, 0.1], [1, 1])
    solution = check(problem)
    theta = np.array([0.3, 0.8])
    assert_allclose(solution.evaluate(theta).x, theta, atol=1e-12)
    assert solution.laws == 1


def pyramid(seed):
    """The top of a pyramid of five sides, somewhere for every theta; costs c + theta decide which sides bind there."""
    generic = np.random.default_rng(seed)
    angle = 2.0 * np.pi * (np.arange(5) + generic.uniform(-0.3, 0.3, 5)) / 5.0
    A = np.column_stack([np.cos(angle), np.sin(angle), np.ones(5)])
    C, F = np.hstack([np.eye(3, 2), np.zeros((3, 2))]), np.hstack([np.zeros((5, 2)), A[:, :2]])
    limits = {"x_min": np.full(3, -3.0), "x_max": np.full(3, 3.0)}
    return lp([0, 0, -1], C, A, np.zeros(5), F, [-0.9, -0.9, 0, 0], [0.9, 0.9, 1, 1], **limits)


@pytest.mark.parametrize("seed", range(3))
def test_regions_with_the_same_minimiser_have_a_convex_union(seed):
    """Other multipliers make other regions of the cone of costs for which the top is optimal."""
    solution = check(pyramid(seed))
    assert 1 <= solution.laws < len(solution)
    (part,) = solution.parts
    law = part.law.reshape(part.regions, -1)
    alike = np.abs(law[:, None] - law).max(axis=2) < 1e-9
    assert solution.laws == len(np.unique(alike, axis=0))
    generic, looked_at = np.random.default_rng(seed), 0
    for a, b in np.argwhere(np.triu(alike, 1)):
        t = part.point[a] + generic.uniform(0.0, 1.0, (20, 1)) * (part.point[b] - part.point[a])
        region, u, _ = part.evaluate(t)
        assert (region >= 0).all()
        assert_allclose(u, t @ part.law[a, :, :-1].T + part.law[a, :, -1], atol=1e-9)
        looked_at += len(set(region.tolist())) > 1
    assert looked_at > 0


def test_dual_degenerate_face_follows_the_order_of_variables():
    """x0 + x1 >= theta at equal cost: the first in the order is used up to its bound, then the second."""
    problem = lp([1, 1], np.zeros((2, 1)), [[-1, -1]], [0], [[-1]], [0.1], [1.9], x_min=np.zeros(2), x_max=np.ones(2))
    for order, small, large in (((0, 1), [0.5, 0.0], [1.0, 0.5]), ((1, 0), [0.0, 0.5], [0.5, 1.0])):
        solution = check(problem, 2, tie_break=order)
        assert_allclose(solution.evaluate(np.array([0.5])).x, small, atol=1e-12)
        assert_allclose(solution.evaluate(np.array([1.5])).x, large, atol=1e-12)


def test_primal_and_dual_degenerate():
    """An assignment problem with equal costs: every vertex is degenerate and every assignment optimal."""
    n = 3
    A_eq = np.vstack([np.kron(np.eye(n), np.ones(n)), np.kron(np.ones(n), np.eye(n))])
    F_eq = np.zeros((2 * n, 2))
    F_eq[[0, n], 0] = 1.0
    F_eq[[1, n + 1], 1] = 1.0
    low, high = np.full(2, 0.5), np.full(2, 1.5)
    problem = mpo.ParametricLP(
        np.ones(n * n), np.zeros((n * n, 2)), np.zeros((0, n * n)), np.zeros(0), np.zeros((0, 2)), *box(low, high),
        A_eq, np.concatenate([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]), F_eq, x_min=np.zeros(n * n),
    )  # fmt: skip
    check(problem)


def test_neighbours_need_not_share_whole_facets():
    """A strictly convex program in which a facet of a region has two regions beyond it: all regions are found.

    After J. Spjotvold, E. Kerrigan, C. Jones, P. Tondel, T. Johansen, On the facet-to-facet property of solutions to
    convex parametric quadratic programs, Automatica 42 (2006).
    """
    A = [[1, 0, -1], [-1, 0, -1], [0, 1, -1], [0, -1, -1], [0.75, 0.64, -1], [-0.75, -0.64, -1]]
    F = [[1, 0], [-1, 0], [0, -1], [0, 1], [1, 0], [-1, 0]]
    theta = box(np.full(2, -1.5), np.full(2, 1.5))
    problem = mpo.ParametricQP(np.eye(3), np.zeros(3), np.zeros((3, 2)), A, -np.ones(6), F, *theta)
    solution = check(problem, samples=4000)
    assert regions_beyond_one_facet(solution) > 1


def regions_beyond_one_facet(solution):
    """The most regions that are met just outside one row of one region, three times or more each."""
    part, directions = solution.parts[0], np.random.default_rng(0).standard_normal((400, 2))
    most = 0
    for r, rows in enumerate(part.rows):
        value, speed = rows[:, :2] @ part.point[r] + rows[:, 2], -directions @ rows[:, :2].T
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = np.where(speed > 1e-12, value / speed, np.inf)
        row, beyond = reach.argmin(axis=1), part.point[r] + (reach.min(axis=1) + 1e-5)[:, None] * directions
        inside = np.isfinite(beyond).all(axis=1) & (np.abs(beyond) < 1.0).all(axis=1)
        region = np.full(len(row), -1)
        region[inside] = part.evaluate(beyond[inside])[0]
        for i in range(len(rows)):
            _, times = np.unique(region[(row == i) & (region >= 0)], return_counts=True)
            most = max(most, int((times >= 3).sum()))
    return most


@pytest.mark.parametrize("seed", range(4))
def test_singular_hessian(seed):
    """Q of rank 2 in four variables, parameters in the cost and in the right-hand side."""
    generic = np.random.default_rng(seed)
    root = generic.standard_normal((2, 4))
    A, F = generic.standard_normal((8, 4)), 0.3 * generic.standard_normal((8, 2))
    C = generic.standard_normal((4, 2))
    limits = {"x_min": np.full(4, -2.0), "x_max": np.full(4, 2.0)}
    problem = mpo.ParametricQP(
        root.T @ root, generic.standard_normal(4), C, A, np.ones(8), F, *box(-np.ones(2), np.ones(2)), **limits
    )
    check(problem)


@pytest.mark.parametrize("seed", range(4))
def test_rim_linear_program(seed):
    """Parameters in costs, in right-hand sides, and one in both."""
    generic = np.random.default_rng(seed)
    n, m = 4, 9
    C, F = np.zeros((n, 4)), np.zeros((m, 4))
    C[:, :3], F[:, 1:] = generic.standard_normal((n, 3)), 0.3 * generic.standard_normal((m, 3))
    limits = {"x_min": np.full(n, -1.0), "x_max": np.full(n, 1.0)}
    problem = mpo.ParametricLP(
        generic.standard_normal(n), C, generic.standard_normal((m, n)), np.ones(m), F,
        *box(-np.ones(4), np.ones(4)), **limits,
    )  # fmt: skip
    check(problem)


@pytest.mark.parametrize("seed", range(3))
def test_equalities_and_infeasible_parameters(seed):
    """Equalities with parameters, one of them twice; part of the parameter set has no solution."""
    generic = np.random.default_rng(seed)
    A_eq = generic.standard_normal((2, 5))
    F_eq = generic.standard_normal((2, 3))
    A_eq, F_eq, b_eq = np.vstack([A_eq, A_eq[:1]]), np.vstack([F_eq, F_eq[:1]]), np.array([0.1, 0.2, 0.1])
    limits = {"x_min": np.full(5, -0.6), "x_max": np.full(5, 0.6)}
    problem = mpo.ParametricQP(
        np.eye(5), generic.standard_normal(5), np.zeros((5, 3)), generic.standard_normal((3, 5)), np.ones(3),
        generic.standard_normal((3, 3)), *box(-np.ones(3), np.ones(3)), A_eq, b_eq, F_eq, **limits,
    )  # fmt: skip
    solution = check(problem)
    assert solution.certify(500, direct=0).outside > 0


def test_a_row_and_its_opposite():
    """An equality written as two rows leaves no interior, and is no obstacle."""
    A, F = [[1, 1], [-1, -1]], [[1.0], [-1.0]]
    problem = lp([1, 2], [[0], [0]], A, [0, 0], F, [0.2], [1.8], x_min=np.zeros(2), x_max=np.ones(2))
    solution = check(problem, 2)
    assert_allclose(solution.evaluate(np.array([1.5])).x, [1.0, 0.5], atol=1e-9)


def test_infeasible_and_unbounded_are_statuses():
    nowhere = lp([1], [[0]], [[1], [-1]], [-1, 0], [[0], [0]], [0], [1])
    assert mpo.solve(nowhere).status == "infeasible"
    falling = lp([1], [[0]], [[1]], [0], [[1]], [0], [1])
    assert mpo.solve(falling).status == "unbounded"
    free = lp([1, 0], np.zeros((2, 1)), [[0, 1]], [0], [[1]], [0], [1])
    assert mpo.solve(free).status == "unbounded"
    for problem in (nowhere, falling, free):
        solution = mpo.solve(problem)
        assert len(solution) == 0
        assert not solution.evaluate(np.array([0.5])).inside
        with pytest.raises(mpo.SolveError):
            solution.require()


def test_unbounded_for_some_parameters_only():
    """min theta x, x <= 1: no solution for theta > 0."""
    problem = lp([0], [[1]], [[1]], [1], [[0]], [-1], [1])
    solution = mpo.solve(problem)
    answer = solution.evaluate(np.array([[-0.5], [0.5]]))
    assert list(answer.inside) == [True, False]
    assert_allclose(answer.value[0], -0.5)


def test_a_variable_that_matters_to_nothing():
    problem = lp([1, 0], np.zeros((2, 1)), [[-1, 0]], [0], [[-1]], [0], [1])
    assert_allclose(mpo.solve(problem).evaluate(np.array([0.25])).value, 0.25)


def test_no_rows_at_all():
    problem = mpo.ParametricQP(
        np.eye(2),
        np.zeros(2),
        np.eye(2),
        np.zeros((0, 2)),
        np.zeros(0),
        np.zeros((0, 2)),
        *box(-np.ones(2), np.ones(2)),
    )
    solution = check(problem, 1)
    assert_allclose(solution.evaluate(np.array([0.5, -0.5])).x, [-0.5, 0.5])
