"""Explicit solutions against direct solvers, and numbers of regions known from the literature."""

from __future__ import annotations

from dataclasses import replace

import clarabel
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from scipy.optimize import linprog

import mpo
from experiments.benchmarks.parametric import box, current_period, double_integrator


def rows_of(problem, theta):
    """A x <= b with finite bounds as rows, at one parameter."""
    low, high = np.isfinite(problem.x_min), np.isfinite(problem.x_max)
    eye = np.eye(problem.variables)
    A = np.vstack([problem.A, -eye[low], eye[high]])
    return A, np.concatenate([problem.b + problem.F @ theta, -problem.x_min[low], problem.x_max[high]])


def direct(problem, theta):
    """Optimal value at one parameter by Clarabel (quadratic) or HiGHS; None when infeasible."""
    A, b = rows_of(problem, theta)
    c, b_eq = problem.c + problem.C @ theta, problem.b_eq + problem.F_eq @ theta
    if not problem.hessian.any():
        answer = linprog(c, A, b, problem.A_eq, b_eq, bounds=(None, None))
        assert answer.status in (0, 2, 3), answer.message
        return answer.fun if answer.status == 0 else None
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-10
    cones = [clarabel.ZeroConeT(len(b_eq)), clarabel.NonnegativeConeT(len(b))]
    rows = sp.csc_matrix(np.vstack([problem.A_eq, A]))
    upper = sp.csc_matrix(np.triu(problem.hessian))
    answer = clarabel.DefaultSolver(upper, c, rows, np.concatenate([b_eq, b]), cones, settings).solve()
    if "Infeasible" in str(answer.status):
        return None
    assert "Solved" in str(answer.status)
    return answer.obj_val


def sample(problem, count, seed=0):
    """Parameters in the parameter set."""
    generic = np.random.default_rng(seed)
    ends = []
    for e in np.eye(problem.parameters):
        ends.append([linprog(sign * e, problem.theta_A, problem.theta_b, bounds=(None, None)).fun for sign in (1, -1)])
    low, high = np.array(ends).T * [[1.0], [-1.0]]
    theta = generic.uniform(low, high, (200 * count, problem.parameters))
    return theta[(theta @ problem.theta_A.T <= problem.theta_b).all(axis=1)][:count]


def assert_agrees(problem, solution, count=100, rtol=1e-7, seed=0):
    """Values, feasibility and optimality conditions at sampled parameters."""
    theta = sample(problem, count, seed)
    answer = solution.evaluate(theta)
    known = [direct(problem, t) for t in theta]
    assert list(answer.inside) == [value is not None for value in known]
    expected = np.array([value for value in known if value is not None])
    assert_allclose(answer.value[answer.inside], expected, rtol=rtol, atol=rtol)
    for t, x, inside in zip(theta, answer.x, answer.inside, strict=True):
        if inside:
            A, b = rows_of(problem, t)
            assert (A @ x <= b + 1e-8).all()
            assert_allclose(problem.A_eq @ x, problem.b_eq + problem.F_eq @ t, atol=1e-8)
    assert_stationary(problem, theta, answer)


def assert_stationary(problem, theta, answer):
    """Multipliers are >= 0 and balance the gradient."""
    m, inside = answer.multipliers, answer.inside
    gradient = answer.x @ problem.hessian + problem.c + theta @ problem.C.T
    gradient += m.rows @ problem.A + m.equalities @ problem.A_eq - m.lower + m.upper
    scale = 1.0 + np.abs(m.rows[inside]).max(initial=0.0)
    assert_allclose(gradient[inside], 0.0, atol=1e-8 * scale)
    for part in (m.rows, m.lower, m.upper):
        assert (part[inside] >= 0.0).all()


@pytest.mark.parametrize(("steps", "regions"), [(2, 9), (3, 19), (5, 47), (10, 117)])
def test_double_integrator_has_the_known_number_of_regions(steps, regions):
    problem = double_integrator(steps)
    solution = mpo.solve(problem)
    assert solution.status == "complete"
    assert len(solution) == solution.laws == regions
    assert_agrees(problem, solution, 40)


def test_the_example_of_bemporad_and_others():
    """A. Bemporad et al., The explicit linear quadratic regulator, Automatica 38 (2002), section 7.1: 9 regions."""
    Q = np.array([[1.5064, 0.4838], [0.4838, 1.5258]])
    C = np.array([[9.6652, 5.2115], [7.0732, -7.0879]])
    A, b = box(np.full(2, -2.0), np.full(2, 2.0))
    problem = mpo.ParametricQP(Q, np.zeros(2), C, A, b, np.zeros((4, 2)), *box(np.full(2, -1.5), np.full(2, 1.5)))
    solution = mpo.solve(problem)
    assert len(solution) == 9
    assert_agrees(problem, solution)
    gain = -np.linalg.solve(Q, C)
    assert_allclose(solution.evaluate(np.array([0.01, -0.01])).x, gain @ [0.01, -0.01], atol=1e-12)


@pytest.fixture(scope="module")
def period():
    problem = current_period(3).program()
    return problem, mpo.solve(problem)


def test_the_current_period_is_complete_and_agrees_with_direct_solves(period):
    problem, solution = period
    assert problem.parameters == 16
    assert solution.status == "complete"
    assert solution.report.undecided == 0
    assert_agrees(problem, solution, 200, rtol=1e-9)


def test_parameters_that_only_matter_together_are_merged(period):
    """P + p_load, Q + q_load, e_pv - e_load; and P with imp - exp for the cost of the first 10 s alone."""
    _, solution = period
    assert sorted(len(part.shift) for part in solution.parts) == [2, 13]


def test_the_certificate_finds_no_hole(period):
    _, solution = period
    certificate = solution.certify(5000, direct=50)
    assert certificate.samples == 5000
    assert certificate.holes == 0
    assert certificate.overlaps == 0
    assert certificate.outside > 0
    assert max(certificate.infeasibility, certificate.stationarity, certificate.gap, certificate.error) < 1e-9
    assert certificate.proven


def test_the_certificate_finds_a_hole(period):
    """Regions taken out of a part are missed."""
    _, solution = period
    main = max(range(len(solution.parts)), key=lambda number: solution.parts[number].regions)
    part = solution.parts[main]
    half = part.regions // 2
    cut = {name: getattr(part, name)[:half] for name in ("rows", "law", "kind", "point", "keys")}
    links = part.links[: part.start[half]]
    known = links[:, 2] < half
    start = np.concatenate([[0], np.cumsum(known)])[part.start[: half + 1]]
    cut |= {"links": links[known], "gain": part.gain[: len(links)][known], "start": start}
    parts = list(solution.parts)
    parts[main] = replace(part, **cut)
    certificate = replace(solution, parts=tuple(parts)).certify(1000, direct=1)
    assert certificate.holes > 0
    assert not certificate.proven


def test_regularised_the_current_period_has_no_undecided_basis():
    problem = current_period(1, reduced=True).program(1e-3)
    solution = mpo.solve(problem)
    assert solution.status == "complete"
    assert solution.report.undecided == 0
    assert solution.certify(2000, direct=50).proven
