"""Slices, files and locating."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mpo
from experiments.benchmarks.parametric import current_period, double_integrator
from mpo.sampling import draw


@pytest.fixture(scope="module")
def period():
    model = current_period(2)
    problem = model.program()
    return list(model.parameters), problem, mpo.solve(problem)


def inside(solution, count, seed=0):
    """Parameters that have a solution."""
    theta = draw(solution.theta_A, solution.theta_b, 8 * count, seed)
    return theta[solution.evaluate(theta).inside][:count]


def test_a_slice_is_the_solution_of_the_sliced_problem(period):
    names, problem, solution = period
    theta = inside(solution, 1)[0]
    free = [names.index(name) for name in ("P", "Q")]
    fixed = {number: value for number, value in enumerate(theta) if number not in free}
    sliced, direct = solution.slice(fixed), mpo.solve(_fixed(problem, free, theta))
    points = draw(direct.theta_A, direct.theta_b, 2000, 1)
    ours, theirs = sliced.evaluate(points), direct.evaluate(points)
    assert (ours.inside == theirs.inside).all()
    assert ours.inside.any()
    assert_allclose(ours.value, theirs.value, rtol=1e-9, atol=1e-12)
    assert_allclose(ours.x[ours.inside] @ problem.A.T, theirs.x[ours.inside] @ problem.A.T, atol=1e-7)


def _fixed(problem, free, theta):
    held = [number for number in range(len(theta)) if number not in free]
    return mpo.ParametricLP(
        problem.c + problem.C[:, held] @ theta[held], problem.C[:, free], problem.A,
        problem.b + problem.F[:, held] @ theta[held], problem.F[:, free], problem.theta_A[:, free],
        problem.theta_b - problem.theta_A[:, held] @ theta[held], problem.A_eq,
        problem.b_eq + problem.F_eq[:, held] @ theta[held], problem.F_eq[:, free], problem.x_min, problem.x_max,
    )  # fmt: skip


@pytest.mark.parametrize("free", [("e0",), ("P", "Q"), ("P", "Q", "e0"), ("P", "Q", "imp", "e_load")])
def test_slices_of_any_dimension_have_no_hole(period, free):
    names, _, solution = period
    for theta in inside(solution, 5):
        sliced = solution.slice({number: value for number, value in enumerate(theta) if names[number] not in free})
        assert 0 < len(sliced) < len(solution)
        certificate = sliced.certify(300, direct=10)
        assert certificate.proven
        here = theta[[names.index(name) for name in free]] if free != ("P", "Q", "imp", "e_load") else None
        if here is not None:
            assert_allclose(sliced.evaluate(here).value, solution.evaluate(theta).value, rtol=1e-9, atol=1e-12)


def test_a_slice_of_a_slice(period):
    _, _, solution = period
    theta = inside(solution, 1)[0]
    once = solution.slice(dict(enumerate(theta[2:], 2)))
    twice = solution.slice(dict(enumerate(theta[4:], 4))).slice({2: theta[2], 3: theta[3]})
    points = draw(once.theta_A, once.theta_b, 200)
    assert_allclose(twice.evaluate(points).value, once.evaluate(points).value, rtol=1e-9, atol=1e-12)


def test_wrong_slices(period):
    _, problem, solution = period
    for fixed, said in (({99: 0.0}, "99"), (dict.fromkeys(range(problem.parameters), 0.0), "left free")):
        with pytest.raises(mpo.InputError, match=said):
            solution.slice(fixed)
    with pytest.raises(mpo.InputError, match="inside"):
        solution.slice({0: 1e3})


def test_saved_and_loaded(period, tmp_path):
    _, _, solution = period
    path = tmp_path / "period.npz"
    solution.save(path)
    again = mpo.load(path)
    assert (again.status, len(again), again.report) == (solution.status, len(solution), solution.report)
    theta = draw(solution.theta_A, solution.theta_b, 500)
    first, second = solution.evaluate(theta), again.evaluate(theta)
    for name in ("value", "x", "region", "inside"):
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=name in ("value", "x")), name
    assert again.certify(200, direct=5).proven
    assert sorted(file.name for file in tmp_path.iterdir()) == ["period.npz"]


def test_files_of_another_kind_are_refused(tmp_path):
    text, arrays = tmp_path / "text", tmp_path / "arrays.npz"
    text.write_text("no solution", encoding="utf-8")
    np.savez(arrays, x=np.ones(3))
    for path in (text, arrays, tmp_path / "missing"):
        with pytest.raises(mpo.InputError, match="solution saved"):
            mpo.load(path)


def test_walking_finds_what_looking_everywhere_finds():
    """From any region to any other; few walks get lost."""
    solution = mpo.solve(double_integrator(10))
    part = solution.parts[0]
    generic = np.random.default_rng(0)
    t = generic.uniform(-1.0, 1.0, (3000, 2))
    region, _, _ = part.evaluate(t)
    assert part.searched <= 30
    value = np.einsum("rmp,sp->srm", part.rows, np.column_stack([t, np.ones(len(t))]))
    inside = (value * part.map.inverse >= -1e-9).all(axis=2)
    assert (inside.any(axis=1) == (region >= 0)).all()
    assert inside[np.arange(len(t)), region][region >= 0].all()
