"""The step of the trunk against a quadratic program, and its prices against differences of the AC power flow."""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex.coordination.trunk import Exchanged, Trunk
from admmflex.horizon import Array

HOURS = np.array([0.25, 0.5, 1.0])
LOW, HIGH = 0.988, 1.004
NODES = np.array([3, 5, 6])
GIVEN_KW = np.array([40.0, 36.0, -32.0, 6.0, -4.0, -8.0])


@pytest.fixture
def trunk(two_feeders: Any) -> Trunk:
    """Voltages bind, loadings do not."""
    network = two_feeders.with_limits(v_min=LOW, v_max=HIGH)
    return Trunk(network, grid.Limits.of(network, line_loading=9.0, transformer_loading=9.0), NODES, HOURS)


def given(seed: int = 0, scale: float = 1.0) -> Exchanged:
    rng = np.random.default_rng(seed)
    now = scale * GIVEN_KW * rng.uniform(0.5, 1.0, (3, 6))
    relaxed = now + scale * rng.normal(size=(3, 6))
    return Exchanged(now, relaxed, rng.uniform(50.0, 300.0, (3, 6)), scale * rng.uniform(0.0, 2.0, (3, 3)))


def flow(trunk: Trunk, x: Array) -> Array:
    """Voltages of all buses ``(n, K)`` for powers of the nodes ``(K, 2 N)``."""
    p, q = np.zeros((2, trunk.dso.network.n, len(x)))
    p[NODES], q[NODES] = x[:, :3].T, x[:, 3:].T
    return grid.power_flow(trunk.dso.network, p, q, tol=1e-13).require().v


def slopes(trunk: Trunk, x: Array, what: Any) -> Array:
    """Differences of ``what(v)``, ``(..., K)``, in each of the 2 N powers of a step: ``(2 N, ..., K)``."""
    h, found = 1e-3, []
    for j in range(6):
        step = np.zeros_like(x)
        step[:, j] = h
        found.append((what(flow(trunk, x + step)) - what(flow(trunk, x - step))) / (2 * h))
    return np.array(found)


def test_it_settles_where_the_power_flow_does(trunk: Trunk) -> None:
    x = given().now
    assert_allclose(trunk.settle(x), flow(trunk, x)[NODES], atol=1e-9)


def test_the_common_price_is_what_power_does_to_the_voltages_of_all_nodes(trunk: Trunk) -> None:
    """- sum_a kappa_a d|V_a| / dS, in the AC power flow."""
    one = given()
    kappa = one.voltage_price.copy()
    kappa[1, 0] = kappa[2, 2] = 0.0
    trunk.settle(one.now)
    found = trunk.common_price(kappa)
    wanted = -slopes(trunk, one.now, lambda v: (kappa * np.abs(v[NODES])).sum(axis=0)).T
    assert_allclose(found, wanted, atol=1e-6 * np.abs(wanted).max())
    assert np.abs(found).min() > 0.0


def test_areas_without_binding_limits_have_no_common_price(trunk: Trunk) -> None:
    trunk.settle(given().now)
    kappa = np.zeros((3, 3))
    assert not trunk.common_price(kappa).any()
    kappa[1, 2] = 1.5
    found = trunk.common_price(kappa)
    assert not found[[0, 1]].any()
    assert found[2].all()


def projected(trunk: Trunk, one: Exchanged, common: Array, before: Array) -> tuple[Array, Array]:
    """What is given and its price by Clarabel, on voltages linearised by differences: ``(K, 2 N)`` each.

    min sum_j (z_j - relaxed_j)^2 / (2 mobility_j) - (common - before)_j z_j
    """
    size = np.abs(flow(trunk, one.now))[1:]
    slope = slopes(trunk, one.now, lambda v: np.abs(v[1:]))
    points, prices = [], []
    for k in range(len(HOURS)):
        z = cp.Variable(6)
        away = cp.sum(cp.multiply(cp.square(z - one.relaxed[k]), 0.5 / one.mobility[k]))
        at = size[:, k] + slope[:, :, k].T @ (z - one.now[k])
        problem = cp.Problem(cp.Minimize(away - (common[k] - before[k]) @ z), [at <= HIGH, at >= LOW])
        problem.solve(cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        points.append(z.value)
        prices.append((z.value - one.relaxed[k]) / one.mobility[k] - (common[k] - before[k]))
    return np.array(points), np.array(prices)


def test_its_step_is_a_projection_and_its_price_the_multipliers(trunk: Trunk) -> None:
    """Twice: the second step begins at the price of the first."""
    before = np.zeros((3, 6))
    for seed in (0, 1):
        one = given(seed)
        v, price = trunk.step(one)
        assert_allclose(v, flow(trunk, one.now)[NODES], atol=1e-9)
        common = trunk.common_price(one.voltage_price)
        _, own = projected(trunk, one, common, before)
        assert_allclose(price, own + common, atol=2e-5 * np.abs(price).max())
        assert np.abs(own).max() > 0.1 * np.abs(common).max() > 0.0
        assert_allclose(trunk.own_price(), own, atol=2e-5 * np.abs(own).max())
        assert trunk.price is price
        before = price


def test_its_limits_have_no_price_until_they_bind(trunk: Trunk) -> None:
    easy = given(scale=0.02)
    _, price = trunk.step(easy)
    assert not trunk.binds
    assert not trunk.own_price().any()
    assert trunk.proven() == 0.0
    assert_allclose(price, trunk.common_price(easy.voltage_price))
    assert not trunk.check(easy.now).any()
    assert trunk.dso.add_violated(given().now) > 0
    assert not trunk.binds
    trunk.dso.rows.nu[0] = 1e-6
    assert trunk.binds


def test_own_prices_follow_differences_of_what_the_multipliers_weigh(trunk: Trunk) -> None:
    """``own_price`` is minus the slope of sum nu_r F_r, and ``proven`` its value over the hours, in AC."""
    one = given()
    trunk.step(one)
    rows, x = trunk.dso.rows, given(2).now
    trunk.settle(x)

    def weighed(v: Array) -> Array:
        value = trunk.dso.limits.functional(v, rows.step, rows.kind, rows.index, rows.direction).value
        return np.bincount(rows.step, rows.nu * value, len(HOURS))

    wanted = -slopes(trunk, x, weighed).T
    assert_allclose(trunk.own_price(), wanted, atol=1e-6 * np.abs(wanted).max())
    assert_allclose(trunk.proven(), HOURS @ weighed(flow(trunk, x)), rtol=1e-7)


def test_its_check_is_that_of_the_power_flow(trunk: Trunk) -> None:
    x = given().now
    high, low, over = trunk.dso.limits.excess(flow(trunk, x))
    assert_allclose(trunk.check(x), [max(high.max(), low.max()), max(over.max(), 0.0)], atol=1e-8)
    assert trunk.check(x)[0] > 1e-3
