"""What cannot be solved is refused with the reason; what is too large is stopped and still usable."""

from __future__ import annotations

import numpy as np
import pytest

import mpo
from experiments.benchmarks.parametric import box, current_period, double_integrator


def data(**changes):
    """A small program, parts replaced."""
    theta_A, theta_b = box(-np.ones(1), np.ones(1))
    good = {"Q": np.eye(2), "c": np.zeros(2), "C": np.ones((2, 1)), "A": np.ones((1, 2)), "b": np.ones(1)}
    return good | {"F": np.ones((1, 1)), "theta_A": theta_A, "theta_b": theta_b} | changes


@pytest.mark.parametrize(
    ("changes", "element"),
    [
        ({"C": np.ones((3, 1))}, "C"),
        ({"A": np.ones((1, 3))}, "A"),
        ({"F": np.ones((2, 1))}, "F"),
        ({"b": [np.nan]}, "b"),
        ({"c": [np.inf, 0.0]}, "c"),
        ({"c": "text"}, "c"),
        ({"Q": [[1.0, 2.0], [0.0, 1.0]]}, "Q"),
        ({"Q": [[1.0, 0.0], [0.0, -1.0]]}, "Q"),
        ({"theta_A": [[1.0], [-1.0]], "theta_b": [0.0, -1.0]}, "theta_A, theta_b"),
        ({"theta_A": [[1.0], [-1.0]], "theta_b": [0.0, 0.0]}, "theta_A, theta_b"),
        ({"theta_A": [[1.0]], "theta_b": [1.0]}, "parameter 0"),
        ({"x_min": [1.0, 0.0], "x_max": [0.0, 1.0]}, "variable 0"),
        ({"A_eq": np.ones((1, 2))}, "equalities"),
    ],
)
def test_bad_input_names_the_element(changes, element):
    with pytest.raises(mpo.InputError) as caught:
        mpo.ParametricQP(**data(**changes))
    assert element in [fault.element for fault in caught.value.faults]
    assert all(fault.remedy and fault.allowed for fault in caught.value.faults)


def test_all_faults_at_once():
    with pytest.raises(mpo.InputError) as caught:
        mpo.ParametricQP(**data(b=[np.nan], c=[np.inf, 0.0], x_min=[np.inf, 0.0]))
    assert {fault.element for fault in caught.value.faults} == {"b", "c", "variable 0"}


NAMES = ["Q", "c", "C", "A", "b", "F", "theta_A", "theta_b", "A_eq", "b_eq", "F_eq", "x_min", "x_max"]


@pytest.mark.parametrize(("kind", "names"), [(mpo.ParametricQP, NAMES), (mpo.ParametricLP, NAMES[1:])])
def test_data_are_given_by_position_or_by_name(kind, names):
    more = {"A_eq": [[1.0, -1.0]], "b_eq": [0.5], "F_eq": [[0.25]], "x_min": [-3.0, -4.0], "x_max": [5.0, 6.0]}
    given = data(c=[7.0, 8.0], **more)
    by_place, by_name = kind(*(given[name] for name in names)), kind(**{name: given[name] for name in names})
    for name in names:
        assert np.array_equal(getattr(by_place, name), given[name]), name
        assert np.array_equal(getattr(by_name, name), given[name]), name
    assert np.array_equal(by_name.hessian, given["Q"] if "Q" in names else np.zeros((2, 2)))


def test_too_many_parameters():
    k = 65
    with pytest.raises(mpo.InputError, match="parameters: 65; allowed: 1 to 64"):
        mpo.ParametricLP(
            np.zeros(1),
            np.zeros((1, k)),
            np.zeros((0, 1)),
            np.zeros(0),
            np.zeros((0, k)),
            *box(-np.ones(k), np.ones(k)),
        )


def test_equalities_that_bind_the_parameters():
    problem = mpo.ParametricQP(
        **data(A_eq=[[1.0, 1.0], [1.0, 1.0]], b_eq=[0.0, 0.0], F_eq=[[1.0], [2.0]])
    )  # theta = 2 theta
    with pytest.raises(mpo.InputError, match="A_eq, b_eq, F_eq"):
        mpo.solve(problem)


@pytest.mark.parametrize("order", [(0, 0), (5,), (-1,)])
def test_a_wrong_tie_break(order):
    with pytest.raises(mpo.InputError, match="tie_break"):
        mpo.solve(mpo.ParametricQP(**data()), tie_break=order)


def test_evaluating_outside_says_so():
    problem = double_integrator(2)
    solution = mpo.solve(problem)
    answer = solution.evaluate(np.array([[0.0, 0.0], [10.1, 0.0]]))
    assert list(answer.inside) == [True, False]
    assert answer.region[1] == -1
    assert np.isnan(answer.value[1])
    assert np.isnan(answer.x[1]).all()
    for wrong in (np.zeros(3), np.array([np.nan, 0.0]), np.zeros((1, 1, 2))):
        with pytest.raises(mpo.InputError, match="theta"):
            solution.evaluate(wrong)


def test_data_are_frozen():
    solution = mpo.solve(double_integrator(2))
    with pytest.raises(ValueError, match="read-only"):
        solution.problem.c[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        solution.parts[0].rows[0] = 1.0


@pytest.mark.parametrize("budget", [mpo.Budget(regions=300), mpo.Budget(seconds=0.05), mpo.Budget(megabytes=3.0)])
def test_out_of_budget_is_usable(budget):
    problem = current_period(4, reduced=True).program()
    solution = mpo.solve(problem, budget=budget)
    assert solution.status == "budget"
    assert len(solution) > 0
    certificate = solution.certify(300, direct=5)
    assert certificate.holes > 0
    assert max(certificate.infeasibility, certificate.stationarity, certificate.gap, certificate.error) < 1e-9
