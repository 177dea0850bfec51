"""Piecewise linear functions against brute force, values of energy against linear programs."""

from __future__ import annotations

import itertools

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose
from scipy.optimize import linprog

import mpo
from experiments.benchmarks.parametric import box

E_MIN, E_MAX, P_MAX, ETA, WEAR = 1.0, 9.0, 4.0, 0.95, 0.01


def convex(seed, pieces=6):
    """A random convex function."""
    generic = np.random.default_rng(seed)
    x = np.concatenate([[0.0], np.cumsum(generic.uniform(0.1, 1.0, pieces))]) + generic.normal()
    slopes = np.sort(generic.normal(size=pieces))
    return mpo.PiecewiseLinear(x, np.concatenate([[0.0], np.cumsum(slopes * np.diff(x))]) + generic.normal())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_infimal_convolution_is_the_least_sum(first, second):
    f, g = convex(first), convex(second)
    both = f.infimal_convolution(g)
    for x in np.linspace(both.x[0] + 1e-9, both.x[-1] - 1e-9, 17):
        w = np.clip(np.concatenate([f.x, x - g.x]), max(f.x[0], x - g.x[-1]), min(f.x[-1], x - g.x[0]))
        assert both(x) == pytest.approx(np.min(f(w) + g(np.clip(x - w, g.x[0], g.x[-1]))), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 5))
def test_the_fit_is_below_and_the_best_choice_of_pieces(seed, segments):
    f = convex(seed)
    fit = f.fitted(segments)
    x = np.union1d(np.linspace(f.x[0], f.x[-1], 2001), fit.ends)
    gap = f(x) - fit.function(x)
    assert gap.min() > -1e-9
    assert gap.max() == pytest.approx(fit.error, abs=1e-9)
    level = f.y[:-1] - f.slopes * f.x[:-1]
    grid = np.linspace(f.x[0], f.x[-1], 4001)
    best = min(
        (f(grid) - (f.slopes[list(some)][:, None] * grid + level[list(some)][:, None]).max(axis=0)).max()
        for some in itertools.combinations(range(f.segments), segments)
    )
    assert fit.error >= best - 1e-9
    assert fit.error <= best + 5e-3


def test_few_segments_are_padded():
    f = mpo.PiecewiseLinear([0.0, 1.0, 2.0], [0.0, -1.0, 0.0])
    fit = f.fitted(4)
    assert fit.error == 0.0
    assert_allclose(fit.ends, [0.0, 1.0, 2.0, 2.0, 2.0])
    assert_allclose(fit.slopes, [-1.0, 1.0, 1.0, 1.0])


def day(steps, seed=0):
    """Hours, net power without the store (kW), import and export prices (EUR/kWh)."""
    generic = np.random.default_rng(seed)
    dt = np.full(steps, 23.75 / steps)
    t = np.cumsum(dt)
    net = 5.0 * np.maximum(0.0, np.sin((t - 6.0) / 12.0 * np.pi)) - 0.4 - 1.2 * generic.random(steps)
    buy = 0.25 + 0.1 * np.sin(t / 6.0 * np.pi) + 0.03 * generic.standard_normal(steps)
    return dt, net, buy, 0.4 * buy - 0.02


def stage(dt, net, buy, sell):
    """Cost of adding w to the store in one step: losses, wear, import and export."""
    power = np.unique(np.clip([-P_MAX, 0.0, P_MAX, -net], -P_MAX, P_MAX))[::-1]
    w = np.where(power > 0.0, -power * dt / ETA, -power * dt * ETA)
    meter = net + power
    cost = (np.where(meter > 0.0, -sell * meter, -buy * meter) + WEAR * np.abs(power)) * dt
    return mpo.PiecewiseLinear(w, cost)


def whole(dt, net, buy, sell):
    """The same as one linear program over imports, exports and both flows; theta is the first energy."""
    n, one, none = len(dt), np.eye(len(dt)), np.zeros((len(dt), len(dt)))
    balance = np.hstack([one, -one, -one, one])  # import - export - charge + discharge = -net
    stored = np.tril(np.ones((n, n))) * dt
    energy = np.hstack([none, none, ETA * stored, -stored / ETA])
    return mpo.ParametricLP(
        np.concatenate([buy * dt, -sell * dt, WEAR * dt, WEAR * dt]), np.zeros((4 * n, 1)),
        np.vstack([energy, -energy]), np.concatenate([np.full(n, E_MAX), np.full(n, -E_MIN)]),
        np.concatenate([-np.ones((n, 1)), np.ones((n, 1))]), *box(np.array([E_MIN]), np.array([E_MAX])),
        balance, -net, np.zeros((n, 1)), np.zeros(4 * n), np.concatenate([np.full(2 * n, 50.0), np.full(2 * n, P_MAX)]),
    )  # fmt: skip


def test_the_value_of_energy_is_that_of_the_linear_program():
    data = day(36)
    value = mpo.storage_value([stage(*step) for step in zip(*data, strict=True)], flat(), E_MIN, E_MAX)
    program = whole(*data)
    for energy in np.linspace(E_MIN, E_MAX, 9):
        bounds = np.column_stack([program.x_min, program.x_max])
        answer = linprog(program.c, program.A, program.b + program.F[:, 0] * energy, program.A_eq, program.b_eq, bounds)
        assert value(energy) == pytest.approx(answer.fun, abs=1e-9)
    assert (np.diff(value.slopes) > 0.0).all()


def flat():
    return mpo.PiecewiseLinear([E_MIN, E_MAX], [0.0, 0.0])


def test_the_explicit_solution_has_the_same_value_function():
    data = day(8)
    value = mpo.storage_value([stage(*step) for step in zip(*data, strict=True)], flat(), E_MIN, E_MAX)
    explicit = mpo.value_function(mpo.solve(whole(*data)).require())
    assert_allclose(explicit.x, value.x, atol=1e-8)
    assert_allclose(explicit.y, value.y, atol=1e-8)


def test_what_is_not_convex_or_not_possible_is_refused():
    with pytest.raises(mpo.InputError, match="slope decreases"):
        mpo.PiecewiseLinear([0.0, 1.0, 2.0], [0.0, 1.0, 0.0])
    with pytest.raises(mpo.InputError, match="decrease"):
        mpo.PiecewiseLinear([1.0, 0.0], [0.0, 1.0])
    with pytest.raises(mpo.InputError, match="limits"):
        flat().between(10.0, 11.0)
    with pytest.raises(mpo.InputError, match="at least one"):
        flat().fitted(0)
    two = mpo.ParametricLP([1.0], np.zeros((1, 2)), [[-1.0]], [0.0], [[1.0, 1.0]], *box(-np.ones(2), np.ones(2)))
    solution = mpo.solve(two)
    with pytest.raises(mpo.InputError, match="one parameter"):
        mpo.value_function(solution)
