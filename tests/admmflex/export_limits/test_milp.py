"""The program against AC power flow, brute force, other solvers and its own counterparts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex.errors import InputError
from admmflex.export_limits import uniform_limits
from admmflex.export_limits.convex import solve_cone, solve_nonlinear
from admmflex.export_limits.cuts import Cuts
from admmflex.export_limits.milp import program
from admmflex.export_limits.powers import Day

SETTINGS = [(3, np.inf, 1.03), (4, np.inf, 1.03), (3, 30.0, 1.2), (4, 30.0, 1.2)]


def case(drawn, seed, w, i_max_a, v_max):
    """A scenario, its limits, and the steps in which the exact limit binds."""
    customers, scenarios = drawn(seed, w, i_max_a)
    limits = grid.UnbalancedLimits(customers.network, v_min=0.8, v_max=v_max)
    exact = uniform_limits(customers, scenarios, limits).xi[0]
    steps = np.flatnonzero((exact > 0.0) & (exact < 1.0))
    assert len(steps)
    part = Day.of(customers, scenarios, 0, slice(steps[0], steps[0] + 1))
    return part, limits, exact[steps[:1]]


@pytest.mark.parametrize(("w", "i_max_a", "v_max"), SETTINGS)
def test_rows_are_the_differential_of_the_power_flow(drawn, w, i_max_a, v_max):
    day, limits, xi = case(drawn, 0, w, i_max_a, v_max)
    pv = day.pv(xi)
    model = program(day, limits, pv)
    f, own = model.feeder, model.feeder.owners
    rng, step = np.random.default_rng(1), 1e-3
    change = np.zeros_like(pv)
    change[own] = rng.normal(size=(len(own), 1)) * step
    plus, minus = (f.limited_at(day.flow(pv + sign * change)) for sign in (1, -1))
    x = np.zeros(f.width)
    for name, flow, power in (("at", model.point, pv), ("by", day.flow(pv + change), pv + change)):
        x[f.p_column] = power[own, 0]
        for what, first in ((flow.v_swept, 0), (flow.b_swept, 1)):
            columns = 1 + 2 * len(own) + 2 * what[..., 0].size * first + np.arange(2 * what[..., 0].size)
            x[columns] = np.ascontiguousarray(what[..., 0]).view(np.float64).ravel()
        equations, right = f.equations(0)
        error = np.abs(equations @ x - right).max()
        assert error < (1e-9 if name == "at" else 1e-8)
    size, unit = len(f.back), np.ones(len(f.back), dtype=complex)
    values = f.limit_rows(unit) @ x + 1j * (f.limit_rows(-1j * unit) @ x)
    assert values.shape == (size,)
    assert_allclose(values, plus[:, 0], atol=1e-9)
    assert np.abs(plus - minus).max() > 1e-6


@pytest.mark.parametrize(("w", "i_max_a", "v_max"), SETTINGS)
@pytest.mark.parametrize("seed", range(3))
def test_nonlinear_program_with_its_binaries_is_the_exact_search(drawn, seed, w, i_max_a, v_max):
    day, limits, exact = case(drawn, seed, w, i_max_a, v_max)
    limited = day.avail[:, 0] > day.load_p[:, 0] + exact[0] * day.customers.rating_kw
    found = solve_nonlinear(day, limits, 0, limited)
    assert found.converged
    assert found.excess < 1e-8
    assert_allclose(found.xi, exact[0], atol=2e-5 if np.isfinite(i_max_a) else 2e-6)


@pytest.mark.parametrize(("w", "i_max_a", "v_max"), SETTINGS)
@pytest.mark.parametrize("seed", range(2))
def test_program_differs_from_the_exact_limit_by_its_cuts_only(drawn, seed, w, i_max_a, v_max):
    """Around the exact limit the first order is exact there: the cone program returns it; cuts move it both ways."""
    day, limits, exact = case(drawn, seed, w, i_max_a, v_max)
    model = program(day, limits, day.pv(exact))
    answer = model.solve()
    assert_allclose(answer.pv_kw, day.pv(answer.xi), atol=1e-5)
    cone = solve_cone(model, 0, day.avail[:, 0] > day.load_p[:, 0] + exact[0] * day.customers.rating_kw)
    assert_allclose(cone.xi, exact[0], atol=1e-4)
    safe = program(day, limits, day.pv(exact), Cuts(safe=True)).solve()
    assert safe.xi[0] <= exact[0] + 1e-5
    assert safe.xi[0] <= answer.xi[0] + 1e-5


def test_safe_cuts_keep_the_limits_in_the_power_flow(drawn):
    for seed, (w, i_max_a, v_max) in product(range(2), SETTINGS):
        day, limits, exact = case(drawn, seed, w, i_max_a, v_max)
        answer = program(day, limits, day.pv(exact), Cuts(safe=True)).solve()
        again = program(day, limits, answer.pv_kw, Cuts(safe=True)).solve()
        assert limits.worst(day.flow(again.pv_kw)).excess[0] < 2e-4


def test_steps_together_are_steps_one_by_one(drawn):
    customers, scenarios = drawn(0)
    limits = grid.UnbalancedLimits(customers.network, v_min=0.8, v_max=1.03)
    day = Day.of(customers, scenarios, 0, slice(2, 5))
    model = program(day, limits, day.pv(0.2))
    one, all_ = model.solve(), model.solve(together=True)
    assert_allclose(one.xi, all_.xi, atol=1e-5)
    assert one.status == all_.status == ("optimal",) * 3


def test_largest_limit_where_nothing_binds(drawn):
    customers, scenarios = drawn(0)
    day = Day.of(customers, scenarios, 0, slice(0, 1))
    limits = grid.UnbalancedLimits(customers.network, v_min=0.5, v_max=1.5)
    answer = program(day, limits, day.pv(1.0)).solve()
    assert_allclose(answer.xi, 1.0)
    assert_allclose(answer.pv_kw, day.avail, atol=1e-9)


def test_passive_feeder_beyond_its_limits_is_infeasible(drawn):
    customers, scenarios = drawn(0)
    day = Day.of(customers, scenarios, 0, slice(0, 1))
    answer = program(day, grid.UnbalancedLimits(customers.network, v_min=0.99999, v_max=1.00001), day.pv(0.0)).solve()
    assert answer.status == ("infeasible",)
    assert np.isnan(answer.xi).all()


@pytest.mark.parametrize("d", [3.0, 5.0, 10.0])
def test_published_cuts_err_by_the_tangent_of_a_quarter(d):
    angle = np.deg2rad(np.linspace(-d, d, 2001))
    rows = [c for c, _, _ in Cuts().voltage(d, 0.9, 1.1)]
    largest = np.max([(c * np.exp(1j * angle)).real for c in rows], axis=0)
    assert_allclose(np.abs(largest - 1.0).max(), np.tan(np.deg2rad(d) / 4) ** 2, rtol=1e-4)
    alpha, beta = rows[1].real, rows[1].imag
    published = {3.0: (0.999829, 0.026181), 5.0: (0.999524, 0.043640), 10.0: (0.998094, 0.087322)}
    assert_allclose((alpha, beta), published[d], atol=5e-7)


def test_safe_cuts_lie_inside_and_published_octagon_errs_by_four_percent():
    angle = np.deg2rad(np.linspace(0, 360, 3601))
    for safe, least, most in ((True, 1.0, 1.083), (False, 0.9604, 1.0397)):
        reach = np.max([(c * np.exp(1j * angle)).real for c in Cuts(safe=safe).current], axis=0)
        assert_allclose((reach.min(), reach.max()), (least, most), atol=1e-3)


def test_deviation_out_of_range():
    with pytest.raises(InputError, match="deviation_deg = 50"):
        Cuts(deviation_deg=50)
