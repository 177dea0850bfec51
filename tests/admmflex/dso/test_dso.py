"""The DSO step: its projection against a conic solver with every limit, its prices, and its memory of rows."""

from __future__ import annotations

from collections.abc import Callable

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import grid
from admmflex.dso import Dso
from admmflex.dso.rows import ANGLE_BUCKETS, LOADING_TOLERANCE, VOLTAGE_TOLERANCE, row_keys
from admmflex.horizon import Array
from grid.limits import BRANCH, V_HIGH, V_LOW

DsoOf = Callable[..., Dso]
CUT = 1.0 - np.cos(2 * np.pi / ANGLE_BUCKETS) + LOADING_TOLERANCE  # excess that the cuts of a current leave at most
STEPS = 3
CASES = [("hand/day", 18.0, 3.0), ("rural1/check", 45.0, 10.0)]


def asked(dso: Dso, p_kw: float, q_kvar: float, seed: int = 0) -> tuple[Array, Array]:
    """A target beyond the limits, feeding in, balanced and drawing by steps; some buses cannot move."""
    rng = np.random.default_rng(seed)
    shape = (dso.n_steps, 2 * len(dso.buses))
    size = np.repeat([p_kw, q_kvar], len(dso.buses))
    sign = np.tile([1.0, 0.1, -1.0], dso.n_steps)[: dso.n_steps, None]
    target = size * (sign + 0.2 * rng.normal(size=shape))
    mobility = rng.uniform(20.0, 200.0, shape) * (rng.random(shape) > 0.1)
    return target, mobility


def direct(dso: Dso, target: Array, mobility: Array, t: int) -> tuple[Array, float]:
    """The projection of step t on all linearised voltages and the cones of all linearised currents: point, distance."""
    assert dso.lin is not None
    lin, limits, network = dso.lin, dso.limits, dso.network
    by_p, by_q = lin.dense(t)
    map_v = np.concatenate([by_p[:, dso.buses], by_q[:, dso.buses]], axis=1)
    z, free = cp.Variable(len(target[t])), mobility[t] > 0
    move = z - dso.origin[t]
    unit, size = np.conj(lin.v[:, t]) / np.abs(lin.v[:, t]), np.abs(lin.v[:, t])
    up = np.real(unit[:, None] * map_v)[1:]
    ends = limits.c_f[:, None] * map_v[limits.from_bus] + limits.c_t[:, None] * map_v[limits.to_bus]
    at = limits.loading(lin.v)[:, t]
    loading = cp.vstack([at.real + ends.real @ move, at.imag + ends.imag @ move])
    rows = [
        1e3 * (up @ move) <= 1e3 * (network.v_max - size)[1:],
        1e3 * (up @ move) >= 1e3 * (network.v_min - size)[1:],
        cp.norm(loading, axis=0) <= 1.0,
        *([] if free.all() else [z[~free] == target[t, ~free]]),
    ]
    away = cp.sum_squares((z - target[t])[free] / np.sqrt(2 * mobility[t, free]))
    problem = cp.Problem(cp.Minimize(away), rows)
    problem.solve(cp.CLARABEL, tol_gap_abs=1e-11, tol_gap_rel=1e-11, tol_feas=1e-11)
    return np.asarray(z.value), float(problem.value)


def distance(point: Array, target: Array, mobility: Array) -> Array:
    moved = np.divide((point - target) ** 2, 2 * mobility, out=np.zeros_like(point), where=mobility > 0)
    return np.asarray(moved.sum(axis=1))


@pytest.mark.parametrize(("name", "p", "q"), CASES)
def test_the_projection_is_the_nearest_point_within_every_linearised_limit(
    dso_of: DsoOf, name: str, p: float, q: float
) -> None:
    """Never farther than the conic optimum, and beyond no limit by more than rows are asked to see."""
    dso = dso_of(name, STEPS)
    target, mobility = asked(dso, p, q)
    dso.relinearise(0.5 * target)
    point, price = dso.project(target, mobility)
    away = distance(point, target, mobility)
    assert set(dso.rows.kind.tolist()) >= {V_HIGH, V_LOW}
    assert dso.lin is not None
    for t in range(STEPS):
        exact, least = direct(dso, target, mobility, t)
        assert away[t] <= least * (1 + 1e-7) + 1e-9
        of_step = dso.rows.nu[dso.rows.step == t]
        assert away[t] >= least - of_step.sum() * CUT - 1e-7
        assert_allclose(point[t, mobility[t] == 0], target[t, mobility[t] == 0])
        if not (dso.rows.nu[(dso.rows.step == t) & (dso.rows.kind == BRANCH)] > 0).any():
            assert_allclose(point[t], exact, atol=1e-6)
    v = dso.lin.v + dso.deviation(point)
    size = np.abs(dso.lin.v) + np.real(np.conj(dso.lin.v) * dso.deviation(point)) / np.abs(dso.lin.v)
    assert np.abs(dso.limits.loading(v)).max() <= 1.0 + CUT
    assert size[1:].max() <= 1.05 + 2 * VOLTAGE_TOLERANCE
    assert size[1:].min() >= 0.95 - 2 * VOLTAGE_TOLERANCE
    assert_allclose(point, target + mobility * price, atol=1e-9)


@pytest.mark.parametrize(("name", "p", "q"), CASES)
def test_prices_are_minus_the_multipliers_times_the_gradients(dso_of: DsoOf, name: str, p: float, q: float) -> None:
    """... and the gradients are those of the AC power flow, by finite differences."""
    dso = dso_of(name, STEPS)
    target, mobility = asked(dso, p, q)
    dso.relinearise(0.5 * target)
    _, price = dso.project(target, mobility)
    rows, expected = dso.rows, np.zeros_like(price)
    for r in range(len(rows)):
        expected[rows.step[r]] -= rows.nu[r] * rows.gradient[r]
    assert_allclose(price, expected, atol=1e-12)
    assert np.abs(price).max() > 0
    rng = np.random.default_rng(1)
    way = rng.normal(size=dso.origin.shape)
    values = []
    for h in (0.01, -0.01):
        v = grid.power_flow(dso.network, *dso.spread(dso.origin + h * way), tol=1e-13).v
        values.append(dso.limits.functional(v, rows.step, rows.kind, rows.index, rows.direction).value)
    slope = (values[0] - values[1]) / 0.02
    found = np.einsum("rj,rj->r", rows.gradient, way[rows.step])
    assert_allclose(found, slope, rtol=1e-5, atol=1e-6 * np.abs(slope).max())


def test_a_second_call_keeps_the_rows_and_changes_nothing(dso_of: DsoOf) -> None:
    dso = dso_of("rural1/check", STEPS)
    target, mobility = asked(dso, 45.0, 10.0)
    dso.relinearise(0.5 * target)
    first = dso.project(target, mobility)
    count = len(dso.rows)
    again = dso.project(target, mobility)
    assert len(dso.rows) == count
    assert_allclose(again[0], first[0], atol=1e-7)
    assert_allclose(again[1], first[1], atol=1e-9)


def test_within_the_limits_nothing_happens(dso_of: DsoOf) -> None:
    dso = dso_of("rural1/check", STEPS)
    target, mobility = asked(dso, 1.0, 0.1)
    dso.relinearise(target)
    point, price = dso.project(target, mobility)
    assert_allclose(point, target)
    assert not price.any()
    assert len(dso.rows) == 0


def test_idle_rows_are_forgotten_and_found_again(dso_of: DsoOf) -> None:
    """What is known is what is there: a forgotten row comes back as soon as it is violated."""
    dso = dso_of("rural1/check", STEPS)
    target, mobility = asked(dso, 45.0, 10.0)
    dso.relinearise(0.5 * target)
    wanted, _ = dso.project(target, mobility)
    rows = dso.rows
    for longest in (3, 3, 3, 3, 3):
        dso.project(0.01 * target, mobility)
        rows.drop_idle(longest)
        bucket = np.round(np.angle(rows.direction) * ANGLE_BUCKETS / (2 * np.pi)) * (rows.kind == BRANCH)
        there = zip(
            rows.step.tolist(), rows.kind.tolist(), rows.index.tolist(), bucket.astype(int).tolist(), strict=True
        )
        assert len(set(there)) == len(set(rows.key.tolist())) == len(rows)
        assert_array_equal(rows.key, row_keys(rows.limits, rows.step, rows.kind, rows.index, rows.direction))
        assert (np.diff(rows.step) >= 0).all()
        assert len({len(getattr(rows, name)) for name in ("step", "value", "gradient", "nu", "idle", "direction")}) == 1
    assert len(rows) == 0
    again, _ = dso.project(target, mobility)
    assert_allclose(again, wanted, atol=2e-2)
    assert len(rows) > 0


def test_a_row_in_use_is_never_idle(dso_of: DsoOf) -> None:
    dso = dso_of("hand/day", STEPS)
    target, mobility = asked(dso, 18.0, 3.0)
    dso.relinearise(0.5 * target)
    for _ in range(3):
        dso.project(target, mobility)
    assert (dso.rows.idle[dso.rows.nu > 0] == 0).all()
    assert (dso.rows.idle[dso.rows.nu == 0] > 0).all()


@pytest.mark.parametrize("name", ["hand/day", "rural1/check"])
def test_beyond_voltage_collapse_there_is_still_an_operating_point(dso_of: DsoOf, name: str) -> None:
    dso = dso_of(name, STEPS)
    target, mobility = asked(dso, 18.0, 3.0)
    far = 50.0 * target
    assert np.isinf(dso.check(far).worst).all()
    dso.relinearise(far)
    assert dso.lin is not None
    assert np.isfinite(dso.lin.v).all()
    flow = grid.power_flow(dso.network, *dso.spread(dso.origin))
    assert flow.converged.all()
    assert_allclose(dso.lin.v, flow.v, atol=1e-7)
    halvings = np.log2((far / dso.origin)[:, 0])
    assert_allclose(halvings, np.round(halvings))
    point, price = dso.project(far, mobility)
    assert np.isfinite(point).all()
    assert np.isfinite(price).all()


def test_the_check_says_what_an_ac_power_flow_says(dso_of: DsoOf) -> None:
    dso = dso_of("rural1/check", STEPS)
    x, _ = asked(dso, 30.0, 5.0)
    flow = grid.power_flow(dso.network, *dso.spread(x))
    size = np.abs(flow.v[1:])
    volts = np.maximum(size - 1.05, 0.95 - size).max(axis=0)
    load = np.zeros(STEPS)
    for end in range(dso.limits.ends):
        branch = dso.limits.branch[end]
        rated = dso.network.i_max_from if dso.limits.at_from[end] else dso.network.i_max_to
        current = flow.i_from if dso.limits.at_from[end] else flow.i_to
        load = np.maximum(load, np.abs(current[branch]) / rated[branch] - 1.0)
    found = dso.check(x)
    assert_allclose(found.voltage_pu, np.maximum(volts, 0), atol=1e-9)
    assert_allclose(found.loading, np.maximum(load, 0), atol=1e-9)
    assert_allclose(found.worst, [found.voltage_pu.max(), found.loading.max()])


def test_the_least_value_of_the_prices_is_attained_by_the_projected_point(dso_of: DsoOf) -> None:
    """min price' z over the linearised limits: by complementarity z is the projection, and no other point has less."""
    dso = dso_of("rural1/check", STEPS)
    target, mobility = asked(dso, 45.0, 10.0)
    mobility[mobility == 0] = 50.0
    dso.relinearise(0.5 * target)
    weight = np.array([0.25, 0.5, 1.0])
    point, price = dso.project(target, mobility)
    least = dso.least_value(weight)
    assert_allclose(least, float(weight @ np.sum(price * point, axis=1)), rtol=1e-8)
    for seed in range(5):
        other, _ = dso.project(asked(dso, 80.0, 20.0, seed)[0], mobility)
        assert weight @ np.sum(price * other, axis=1) >= least - 1e-6 * abs(least)
