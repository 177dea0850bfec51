"""The structured interior point for mixing against HiGHS on the same linear program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from admmflex.coordination.master import Effects, Master, solve_master
from admmflex.horizon import Array

GAP = 1e-6  # of the spread of the costs, summed over the buses; and of a unit of every row


def solve(cost: Array, rows: Array, limit: Array, price: float) -> Master:
    """Costs (B, L) and any rows (M, B, L), each as a step of its own with gradient one."""
    m, n_buses, _ = rows.shape
    answers = np.concatenate([rows, np.zeros_like(rows)], axis=1).transpose(0, 2, 1)
    effects = Effects(np.arange(m), np.ones((m, 2 * n_buses)), np.ascontiguousarray(answers))
    return solve_master(np.ascontiguousarray(cost.T), effects, limit, price)


def highs(cost: Array, rows: Array, limit: Array, price: float) -> tuple[float, Array, Array]:
    """Objective, multipliers of the rows (positive) and reduced costs of the weights."""
    m, n_buses, n_answers = len(limit), *cost.shape
    convex = np.kron(np.eye(n_buses), np.ones(n_answers))
    found = linprog(
        np.concatenate([cost.ravel(), np.full(m, price)]),
        A_ub=np.hstack([rows.reshape(m, -1), -np.eye(m)]),
        b_ub=limit,
        A_eq=np.hstack([convex, np.zeros((n_buses, m))]),
        b_eq=np.ones(n_buses),
        method="highs",
    )
    assert found.status == 0
    return float(found.fun or 0.0), -found.ineqlin.marginals, found.lower.marginals[: cost.size]


def draw(seed: int, m: int = 12, n_buses: int = 9, n_answers: int = 7) -> tuple[Array, Array, Array]:
    """Answers that cost the more the better they keep to the rows; odd seeds put every third row beyond them all."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(m, n_buses, n_answers))
    cost = rng.exponential(size=(n_buses, n_answers)) - 0.3 * rows.sum(axis=0) / m
    weights = rng.dirichlet(np.ones(n_answers), n_buses)
    limit = np.einsum("rbl,bl->r", rows, weights) + rng.exponential(0.2, m) * rng.integers(0, 2, m)
    if seed % 2:
        limit[::3] -= n_buses
    return cost, rows, limit


def assert_optimal(cost: Array, rows: Array, limit: Array, price: float) -> Array:
    """On the simplex, at the cost of HiGHS, with multipliers that prove it; returns the multipliers."""
    found = solve(cost, rows, limit, price)
    weights = found.weights.T
    least, _, _ = highs(cost, rows, limit, price)
    assert weights.min() >= -1e-12
    assert_allclose(weights.sum(axis=1), 1.0, atol=1e-9)
    excess = np.maximum(np.einsum("rbl,bl->r", rows, weights) - limit, 0.0)
    assert_allclose(found.slack, excess, atol=1e-9)
    value = float(np.sum(cost * weights)) + price * float(excess.sum())
    allowed = GAP * (float(np.ptp(cost, axis=1).sum()) + price * (1.0 + float(excess.sum())))
    assert abs(value - least) <= allowed
    # weak duality: the multipliers alone give a bound from below
    assert found.nu.min(initial=0.0) >= 0.0
    assert found.nu.max(initial=0.0) <= price * (1 + 1e-6)
    reduced = cost + np.tensordot(found.nu, rows, axes=1)
    bound = float(reduced.min(axis=1).sum() - found.nu @ limit)
    assert bound <= least + allowed
    assert bound >= least - allowed
    return found.nu


@pytest.mark.parametrize("seed", range(16))
def test_random_programs(seed: int) -> None:
    assert_optimal(*draw(seed), 100.0)


@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_multipliers_where_they_are_unique(seed: int) -> None:
    """The optimum of random data is a vertex without ties, so that its multipliers are unique."""
    cost, rows, limit = draw(seed, m=5, n_buses=12)
    nu = assert_optimal(cost, rows, limit + 0.1, 100.0)
    assert_allclose(nu, highs(cost, rows, limit + 0.1, 100.0)[1], atol=1e-4)


@pytest.mark.parametrize("difference", [0.0, 1e-12, 1e-9, 1e-6, 1e-3])
def test_nearly_equal_rows(difference: float) -> None:
    """Cuts of one current at neighbouring angles say nearly the same."""
    rng = np.random.default_rng(3)
    cost, rows, limit = draw(4, m=4)
    rows = np.concatenate([rows, rows * (1 + difference * rng.normal(size=rows.shape)), rows])
    assert_optimal(cost, rows, np.tile(limit, 3) + difference, 100.0)


def test_rows_that_no_combination_meets_are_broken_by_the_least() -> None:
    rows, limit = np.ones((1, 3, 4)), np.array([1.5])
    found = solve(np.zeros((3, 4)), rows, limit, 10.0)
    assert_allclose(found.slack, 1.5, atol=1e-9)
    assert_allclose(found.nu, 10.0, rtol=1e-6)


def test_rows_that_all_answers_meet_cost_nothing() -> None:
    cost, rows, _ = draw(2)
    found = solve(cost, rows, np.full(12, 1e3), 100.0)
    assert_allclose(np.sum(found.weights.T * cost), cost.min(axis=1).sum(), atol=1e-5)
    assert found.nu.max() < 1e-5


def test_without_rows_everybody_takes_its_cheapest_answer() -> None:
    cost, _, _ = draw(0)
    found = solve(cost, np.zeros((0, *cost.shape)), np.zeros(0), 100.0)
    assert_allclose(np.sum(found.weights.T * cost), cost.min(axis=1).sum())
    assert_allclose(found.weights.sum(axis=0), 1.0)


def test_one_answer_leaves_no_choice() -> None:
    cost, rows, limit = draw(1, n_answers=1)
    found = solve(cost, rows, limit, 100.0)
    assert_allclose(found.weights, 1.0)


def test_answers_that_have_settled_differ_by_next_to_nothing() -> None:
    """One home still moves, by millionths; the price of a row is a hundred million times what its answers differ by."""
    rng = np.random.default_rng(0)
    cost, rows = np.zeros((5, 15)), np.full((1, 5, 15), 8.0)
    rows[0, 4] += 3e-6 * rng.random(15)
    cost[4] = -0.08 * (rows[0, 4] - 8.0)
    limit = np.array([40.0 + 1e-6])
    found = solve(cost, rows, limit, 30.0)
    assert_allclose(found.weights.sum(axis=0), 1.0, atol=1e-9)
    assert found.slack[0] < 1e-9
    assert_allclose(np.sum(found.weights.T * cost), -0.08e-6, rtol=1e-2)


@pytest.mark.parametrize("size", [1e-6, 1e-3, 1e3, 1e6])
def test_units_of_money_do_not_matter(size: float) -> None:
    cost, rows, limit = draw(6)
    small, plain = (solve(cost * s, rows, limit, 100.0 * s) for s in (size, 1.0))
    assert_allclose(np.sum(small.weights.T * cost), np.sum(plain.weights.T * cost), rtol=1e-6)
    assert_allclose(small.nu / size, plain.nu, atol=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_costs_and_effects_of_very_different_size(seed: int) -> None:
    """A town hall beside cottages: one bus costs and moves a thousand times as much as another."""
    cost, rows, limit = draw(2 * seed)
    size = 10.0 ** np.linspace(-2, 1, 9)
    inside = np.einsum("rbl,b->r", rows, size) / rows.shape[2]
    assert_optimal(cost * size[:, None], rows * size[None, :, None], inside + 0.1 * limit**2, 100.0)


def test_equal_costs_are_shared_evenly() -> None:
    """Without crossover the answer is the centre of what is equally cheap, not a corner of it."""
    cost, rows = np.zeros((3, 4)), np.zeros((1, 3, 4))
    found = solve(cost, rows, np.ones(1), 100.0)
    assert_allclose(found.weights, 0.25, atol=1e-3)


def draw_steps(
    seed: int, n_steps: int = 4, n_buses: int = 9, n_answers: int = 7
) -> tuple[Array, Effects, Array, Array]:
    """Costs (L, B), rows of which none to five belong to a step, their limits, and the same rows (M, B, L)."""
    rng = np.random.default_rng(seed)
    at = np.sort(rng.integers(0, n_steps, 3 * n_steps))
    gradient, answers = rng.normal(size=(len(at), 2 * n_buses)), rng.normal(size=(n_steps, n_answers, 2 * n_buses))
    product = gradient[:, None] * answers[at]
    dense = (product[:, :, :n_buses] + product[:, :, n_buses:]).transpose(0, 2, 1)
    limit = dense.mean(axis=2).sum(axis=1) + rng.exponential(0.2, len(at))
    cost = rng.exponential(size=(n_answers, n_buses)) - 0.3 * dense.sum(axis=0).T / len(at)
    return cost, Effects(at, gradient, answers), limit, dense


@pytest.mark.parametrize("seed", range(6))
def test_rows_of_a_step_share_its_answers(seed: int) -> None:
    """Products, multipliers and the optimum are those of the same rows written out."""
    cost, rows, limit, dense = draw_steps(seed)
    rng = np.random.default_rng(seed)
    weights, y = rng.random(cost.shape), rng.normal(size=len(limit))
    assert_allclose(rows.of(weights), np.einsum("rbl,lb->r", dense, weights), atol=1e-12)
    assert_allclose(rows.transposed(y), np.einsum("rbl,r->lb", dense, y), atol=1e-12)
    found = solve_master(cost, rows, limit, 100.0)
    least, _, _ = highs(cost.T, dense, limit, 100.0)
    value = float(np.sum(cost * found.weights)) + 100.0 * float(found.slack.sum())
    assert_allclose(value, least, atol=GAP * (float(np.ptp(cost, axis=0).sum()) + 100.0))


@pytest.mark.parametrize("seed", range(6))
def test_the_path_of_a_smaller_program_leads_to_the_same_optimum(seed: int) -> None:
    """Two thirds of the rows first, then all of them, a little different."""
    cost, rows, limit, _ = draw_steps(seed)
    kept = np.arange(len(limit)) % 3 > 0
    first = solve_master(cost, Effects(rows.at[kept], rows.gradient[kept], rows.answers), limit[kept], 100.0, 1e-3)
    nu = np.zeros(len(limit))
    nu[kept] = first.path.nu
    changed = Effects(
        rows.at, rows.gradient * (1 + 1e-3 * np.sin(np.arange(rows.gradient.size))).reshape(len(nu), -1), rows.answers
    )
    went_on = solve_master(cost, changed, limit, 100.0, start=replace(first.path, nu=nu))
    anew = solve_master(cost, changed, limit, 100.0)
    for found in (went_on, anew):
        assert found.gap < 1e-7
    spread = GAP * (float(np.ptp(cost, axis=0).sum()) + 100.0)
    assert_allclose(*(np.sum(cost * one.weights) + 100.0 * one.slack.sum() for one in (went_on, anew)), atol=spread)
