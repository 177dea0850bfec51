"""Names, order and units of rows, variables and parameters do not matter."""

from __future__ import annotations

from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings
from numpy.testing import assert_allclose

import mpo
from experiments.benchmarks.parametric import box, double_integrator

FEW = settings(max_examples=12, deadline=None)


def rim(seed):
    """A linear program with parameters in costs and right-hand sides."""
    generic = np.random.default_rng(seed)
    n, m, k = 3, 7, 3
    C, F = np.zeros((n, k)), np.zeros((m, k))
    C[:, :1], F[:, 1:] = generic.standard_normal((n, 1)), 0.3 * generic.standard_normal((m, 2))
    return mpo.ParametricLP(
        generic.standard_normal(n), C, generic.standard_normal((m, n)), np.ones(m), F, *box(-np.ones(k), np.ones(k)),
        x_min=np.full(n, -1.5), x_max=np.full(n, 1.5),
    )  # fmt: skip


def changed(problem, rows, columns, parameters, row_size, column_size, parameter_size):
    """The same program with permuted and scaled rows, variables (x = column_size x') and parameters."""
    r, c, k = row_size[:, None], column_size, parameter_size
    new = {
        "c": (problem.c * c)[columns],
        "C": (problem.C * c[:, None] * k)[np.ix_(columns, parameters)],
        "A": (problem.A * r * c)[np.ix_(rows, columns)],
        "b": (problem.b * row_size)[rows],
        "F": (problem.F * r * k)[np.ix_(rows, parameters)],
        "theta_A": (problem.theta_A * k)[:, parameters],
        "x_min": (problem.x_min / c)[columns],
        "x_max": (problem.x_max / c)[columns],
        "A_eq": np.zeros((0, len(c))),
        "F_eq": np.zeros((0, len(k))),
    }
    if isinstance(problem, mpo.ParametricQP):
        new["Q"] = (problem.Q * c[:, None] * c)[np.ix_(columns, columns)]
    return replace(problem, **new)


PROBLEMS = {name: (problem, mpo.solve(problem)) for name, problem in (("lp", rim(3)), ("qp", double_integrator(3)))}


@FEW
@given(st.sampled_from(sorted(PROBLEMS)), st.randoms(use_true_random=False), st.integers(0, 2**32 - 1))
def test_values_and_minimisers_do_not_depend_on_order_or_units(name, random, seed):
    problem, solution = PROBLEMS[name]
    generic = np.random.default_rng(seed)
    sizes = len(problem.b), problem.variables, problem.parameters
    order = [np.array(random.sample(range(size), size), np.int64) for size in sizes]
    scale = [10.0 ** generic.uniform(-3.0, 3.0, size) for size in sizes]
    other = mpo.solve(changed(problem, *order, *scale))
    assert other.status == "complete"
    theta = generic.uniform(-1.0, 1.0, (200, sizes[2]))
    first, second = solution.evaluate(theta), other.evaluate((theta / scale[2])[:, order[2]])
    assert_allclose(second.inside, first.inside)
    assert_allclose(second.value, first.value, rtol=1e-9, atol=1e-9)
    back = np.empty_like(second.x)
    back[:, order[1]] = second.x
    assert_allclose(back * scale[1], first.x, rtol=1e-7, atol=1e-7)
    assert len(other) == len(solution)


@FEW
@given(st.integers(0, 2**32 - 1))
def test_random_quadratic_programs_agree_with_direct_solves(seed):
    generic = np.random.default_rng(seed)
    n, m, k = (int(size) for size in generic.integers([1, 0, 1], [5, 9, 4]))
    rank = int(generic.integers(0, n + 1))
    root = generic.standard_normal((rank, n))
    problem = mpo.ParametricQP(
        root.T @ root, generic.standard_normal(n), generic.standard_normal((n, k)), generic.standard_normal((m, n)),
        generic.uniform(-0.2, 1.0, m), generic.standard_normal((m, k)), *box(-np.ones(k), np.ones(k)),
        x_min=np.full(n, -1.0), x_max=np.full(n, 1.0),
    )  # fmt: skip
    solution = mpo.solve(problem)
    if solution.status == "infeasible":
        return
    certificate = solution.certify(300, direct=30)
    assert certificate.holes == 0
    assert max(certificate.infeasibility, certificate.stationarity, certificate.gap) < 1e-8
    assert certificate.error < 1e-6
