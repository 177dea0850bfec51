"""The grid of an area against finite differences of AC power flows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex.dso import AreaDso, Outside
from grid.limits import Limits

STEPS = 3


@pytest.fixture
def area(two_levels: Any) -> tuple[AreaDso, Any]:
    """The longest area at some slack voltages and prices, and a point beyond its limits."""
    network = grid.read(two_levels())
    division = grid.divide(network)
    assert division is not None
    own = max(division.areas, key=lambda one: one.network.n).network.with_limits(v_min=0.97, v_max=1.03)
    rng = np.random.default_rng(5)
    buses = np.arange(2, own.n)
    v = own.v_slack * np.array([1.0, 0.995, 1.01]) * np.exp(1j * np.array([0.0, 0.1, -0.2]))
    outside = Outside(v, rng.normal(0.0, 0.02, (2, STEPS)), np.array([0.25, 1.0, 0.5]), np.zeros((2, STEPS)))
    dso = AreaDso(own, Limits.of(own), buses, outside)
    size = np.repeat([9.0, 2.0], len(buses)) * np.array([[1.0], [0.1], [-1.0]])
    x = size * rng.uniform(0.8, 1.2, (STEPS, 2 * len(buses)))
    dso.relinearise(x)
    dso.project(x, np.full_like(x, 50.0))
    return dso, x


def test_what_the_area_gives_and_how_it_depends_on_its_powers(area: Any) -> None:
    dso, x = area
    way = np.random.default_rng(1).normal(size=x.shape)
    ends = [dso.given(x + h * way, dso.power_flow(x + h * way)) for h in (0.05, -0.05)]
    assert_allclose(dso.linear_given(x), dso.given(x, dso.power_flow(x)), atol=1e-6)
    slope = (dso.linear_given(x + way) - dso.linear_given(x - way)) / 2
    assert_allclose(slope, (ends[0] - ends[1]) / 0.1, atol=2e-5)
    assert_allclose(np.sum(dso.offset() * way, axis=1), np.sum(dso.outside.price * slope, axis=0), atol=1e-9)


def test_what_the_voltage_of_the_slack_does_to_the_limits(area: Any) -> None:
    dso, x = area
    assert (dso.rows.nu > 0).any()
    ends, v = [], dso.outside.v
    for h in (1e-5, -1e-5):
        dso.outside.v = v * (1.0 + h / np.abs(v))
        ends.append(dso.exact(x, grid.power_flow(dso.network, *dso.spread(x), v_slack=dso.outside.v, tol=1e-13)))
    slope = np.bincount(dso.rows.step, dso.rows.nu * (ends[0] - ends[1]) / 2e-5, STEPS)
    assert_allclose(dso.voltage_price(dso.rows.nu), slope, rtol=1e-4, atol=1e-6 * np.abs(slope).max())


def test_no_point_within_the_limits_is_worth_less_than_the_least_value(area: Any) -> None:
    """Weak duality, what is given outside being paid for at the operating point; what was agreed uses the shares up."""
    dso, x = area
    hours, mobility = dso.outside.dt_h, np.full_like(x, 50.0)
    point, price = dso.project(x, mobility)
    least = dso.least_value(hours)
    own, paid = price - dso.offset(), hours @ np.sum(dso.offset() * dso.origin, axis=1)
    assert_allclose(hours @ np.sum(own * point, axis=1) + paid, least, rtol=1e-6)
    shares = dso.shares()
    assert_allclose(np.einsum("rj,rj->r", shares.gradient, point[shares.step]), shares.limit, atol=1e-9)
    for seed in range(5):
        far = x * np.random.default_rng(seed).uniform(-1.5, 1.5, x.shape)
        other, _ = elsewhere(dso, far, mobility)
        assert hours @ np.sum(own * other, axis=1) + paid >= least - 1e-6 * abs(least)


def elsewhere(dso: AreaDso, target: Any, mobility: Any) -> Any:
    twin = dso.twin()
    twin.relinearise(dso.origin)
    return twin.project(target, mobility)
