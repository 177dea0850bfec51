"""Sensitivities equal finite differences and a dense inverse; the adjoint equals the forward product."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid


@pytest.fixture(scope="module")
def at(drawn: Any) -> tuple[grid.Network, Any, Any, Any, grid.Linearisation]:
    _, network, p, q = drawn
    v = grid.power_flow(network, p, q, tol=1e-13).require().v
    return network, p, q, v, grid.linearise(network, v, p, q)


def change(network: grid.Network, seed: int, steps: int = 5) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(network.n, steps)), rng.normal(size=(network.n, steps))


def central(network: grid.Network, p: Any, q: Any, dp: Any, dq: Any, what: Any) -> Any:
    """Fourth-order finite difference of a result of the power flow."""
    h = 1e-3 * np.abs(p).max()
    value = {s: what(grid.power_flow(network, p + s * h * dp, q + s * h * dq, tol=1e-14)) for s in (-2, -1, 1, 2)}
    return (8 * (value[1] - value[-1]) - (value[2] - value[-2])) / (12 * h)


def test_voltages_follow_finite_differences(at: Any) -> None:
    network, p, q, _, linear = at
    dp, dq = change(network, 0)
    reference = central(network, p, q, dp, dq, lambda flow: flow.v)
    assert_allclose(linear.dv(dp, dq), reference, rtol=0, atol=1e-8 * np.abs(reference).max())


def test_slack_power_follows_finite_differences(at: Any) -> None:
    network, p, q, _, linear = at
    dp, dq = change(network, 1)
    pp, pq, qp, qq = linear.pcc_gradients(np.arange(5))
    ours = (pp * dp.T + pq * dq.T).sum(axis=1) + 1j * (qp * dp.T + qq * dq.T).sum(axis=1)
    reference = central(network, p, q, dp, dq, lambda flow: flow.pcc_kw)
    assert_allclose(ours, reference, rtol=0, atol=1e-7 * np.abs(reference).max())


def test_gradients_are_the_adjoint_of_the_forward_product(at: Any) -> None:
    network, _, _, _, linear = at
    dp, dq = change(network, 2)
    rng = np.random.default_rng(3)
    size = 43
    step, a, b = (rng.integers(0, top, size) for top in (5, network.n, network.n))
    h_a, h_b = rng.normal(size=(2, size)) + 1j * rng.normal(size=(2, size))
    b[:5] = a[:5]
    gp, gq = linear.gradients(step, a, h_a, b, h_b)
    dv = linear.dv(dp, dq)
    forward = (h_a * dv[a, step] + h_b * dv[b, step]).real
    assert_allclose(
        (gp * dp[:, step].T + gq * dq[:, step].T).sum(axis=1), forward, rtol=0, atol=1e-12 * np.abs(forward).max()
    )
    assert (gp[:, 0] == 0).all()
    again = linear.gradients(step, a, h_a, b, h_b, out=(gp.copy() + 7, gq.copy() - 7))
    assert_allclose(again, (gp, gq), rtol=0, atol=0)


def star(parent: list[int]) -> grid.Network:
    """Lines of equal admittance from every bus to its parent, which has a smaller number; bus 0 is the slack."""
    n, y = len(parent), np.full(len(parent) - 1, 4.0 - 2.0j)
    nothing = np.full(n - 1, np.inf)
    return grid.Network(
        name="star", buses=np.arange(n), bus_names=("",) * n, base_kv=np.full(n, 0.4), v_slack=1.02 + 0j,
        v_min=np.full(n, 0.9), v_max=np.full(n, 1.1), shunt_y=np.zeros(n, dtype=complex), known_buses=np.arange(n),
        known_positions=np.arange(n), from_bus=np.array(parent[1:]), to_bus=np.arange(1, n), y_ff=y, y_ft=-y, y_tf=-y,
        y_tt=y, branch_kinds=("line",) * (n - 1), branch_index=np.arange(n - 1), branch_names=("",) * (n - 1),
        is_transformer=np.zeros(n - 1, dtype=bool), i_max_from=nothing, i_max_to=nothing, s_max=nothing,
    )  # fmt: skip


@pytest.mark.parametrize("in_turn", [False, True])
def test_gradients_of_several_feeders_at_the_slack(in_turn: bool) -> None:
    """Four feeders of six buses, one after the other or numbered in turn: a bus affects no feeder but its own."""
    feeder = np.r_[-1, np.arange(24) % 4 if in_turn else np.arange(24) // 6]
    above: list[int] = [-1]
    for i in range(1, 25):
        line = np.flatnonzero(feeder[:i] == feeder[i])
        above.append(int(line[-2 if i % 3 == 0 and len(line) > 1 else -1]) if len(line) else 0)
    network = star(above)
    rng = np.random.default_rng(5)
    p, q, dp, dq = rng.normal(size=(4, 25, 3)) * 5
    linear = grid.linearise(network, grid.power_flow(network, p, q, tol=1e-13).require().v, p, q)
    step, bus_a, bus_b = np.repeat(np.arange(3), 21), rng.integers(0, 25, 63), rng.integers(0, 25, 63)
    bus_b[::2] = bus_a[::2]
    bus_a[::7] = 0
    h_a, h_b = rng.normal(size=(2, 63)) + 1j * rng.normal(size=(2, 63))
    gp, gq = linear.gradients(step, bus_a, h_a, bus_b, h_b)
    dv = linear.dv(dp, dq)
    forward = (h_a * dv[bus_a, step] + h_b * dv[bus_b, step]).real
    by_gradient = (gp * dp[:, step].T + gq * dq[:, step].T).sum(axis=1)
    assert_allclose(by_gradient, forward, rtol=0, atol=1e-12 * np.abs(forward).max())
    elsewhere = (feeder[bus_a][:, None] != feeder) & (feeder[bus_b][:, None] != feeder)
    assert not gp[elsewhere].any()
    assert not gq[elsewhere].any()


def test_dense_equals_the_inverse_of_the_power_equations(at: Any) -> None:
    """d conj(S) = conj(dV) * (Y V) + conj(V) * (Y dV), assembled column by column and inverted."""
    network, _, _, v, linear = at
    y, v = network.y_bus.toarray(), v[:, 2]
    n = network.n - 1
    jacobian = np.empty((2 * n, 2 * n))
    for column in range(2 * n):
        dv = np.zeros(n + 1, dtype=complex)
        dv[1 + column % n] = 1.0 if column < n else 1j
        ds = (np.conj(dv) * (y @ v) + np.conj(v) * (y @ dv))[1:] * 1000
        jacobian[:, column] = np.concatenate([ds.real, -ds.imag])
    inverse = np.linalg.inv(jacobian)
    by_p, by_q = linear.dense(2)
    reference = inverse[:n] + 1j * inverse[n:]
    assert_allclose(by_p[1:, 1:], reference[:, :n], rtol=0, atol=1e-10 * np.abs(reference).max())
    assert_allclose(by_q[1:, 1:], reference[:, n:], rtol=0, atol=1e-10 * np.abs(reference).max())


@pytest.mark.parametrize("transformer", ["current", "power"])
def test_rows_of_the_limits_follow_finite_differences(at: Any, transformer: Any) -> None:
    network, p, q, v, linear = at
    limits = grid.Limits.of(network, transformer=transformer)
    dp, dq = change(network, 4)
    kind = np.concatenate([np.zeros(network.n - 1), np.ones(network.n - 1), np.full(limits.ends, grid.BRANCH)]).astype(
        int
    )
    index = np.concatenate([np.arange(1, network.n), np.arange(1, network.n), np.arange(limits.ends)])
    step = np.full(len(kind), 1)
    rows = limits.functional(v, step, kind, index)
    load = limits.loading(v)[index * (kind == grid.BRANCH), 1]
    direction = load / np.abs(load)
    gp, gq = linear.gradients(step, rows.bus_a, rows.h_a, rows.bus_b, rows.h_b)
    ours = gp @ dp[:, 1] + gq @ dq[:, 1]
    reference = central(
        network, p, q, dp, dq, lambda flow: limits.functional(flow.v, step, kind, index, direction).value
    )
    assert_allclose(ours, reference, rtol=0, atol=1e-7 * np.abs(reference).max())


def test_values_of_the_rows_are_the_excess_over_the_limit(at: Any) -> None:
    network, _, _, v, _ = at
    limits = grid.Limits.of(network)
    high, low, branch = limits.excess(v)
    everywhere = [np.full(network.n, 3), np.full(network.n, grid.V_HIGH), np.arange(network.n)]
    assert_allclose(limits.functional(v, *everywhere).value[1:], high[1:, 3])
    everywhere[1] = np.full(network.n, grid.V_LOW)
    assert_allclose(limits.functional(v, *everywhere).value[1:], low[1:, 3])
    ends = np.arange(limits.ends)
    assert_allclose(limits.functional(v, 0 * ends + 3, 0 * ends + grid.BRANCH, ends).value, branch[:, 3])
    worst = limits.worst(v)
    assert worst[grid.V_HIGH].value == np.abs(v[1:]).max()
    assert worst[grid.BRANCH].value == pytest.approx(branch.max() + 1, rel=1e-12)
    assert limits.label(grid.BRANCH, worst[grid.BRANCH].index) == worst[grid.BRANCH].label


def test_loading_equals_the_power_flow(at: Any) -> None:
    network, p, q, v, _ = at
    limits = grid.Limits.of(network)
    flow = grid.power_flow(network, p, q, v_start=v)
    largest = np.zeros((network.m, 5))
    np.maximum.at(largest, limits.branch, np.abs(limits.loading(flow.v)))
    assert_allclose(largest, flow.loading(), atol=1e-12)


@pytest.mark.filterwarnings("error")
def test_steps_without_a_solution_stay_nan_in_silence(drawn: Any) -> None:
    """Beyond voltage collapse nothing warns, and the other steps are as they were."""
    _, network, p, q = drawn
    limits = grid.Limits.of(network)
    lost, steps = 2, np.arange(5)
    far = p.copy()
    far[1:, lost] = -1e9
    flow = grid.power_flow(network, far, q)
    assert flow.converged.tolist() == [True, True, False, True, True]
    linear = grid.linearise(network, flow.v, far, q)
    dv = linear.dv(p, q)
    whole = grid.linearise(network, grid.power_flow(network, p, q).v, p, q)
    kept = np.flatnonzero(flow.converged)
    assert_allclose(dv[:, kept], whole.dv(p, q)[:, kept], rtol=1e-9)
    assert np.isnan(dv[1:, lost]).all()
    for kind, index in ((grid.V_HIGH, 1), (grid.V_LOW, network.n - 1), (grid.BRANCH, 0)):
        row = limits.functional(flow.v, steps, np.full(5, kind), np.full(5, index))
        gp, _ = linear.gradients(steps, row.bus_a, row.h_a, row.bus_b, row.h_b)
        for found in (row.value, gp[:, 1:].sum(axis=1)):
            assert np.isnan(found).tolist() == [False, False, True, False, False]
    for table in limits.excess(flow.v):
        assert np.isnan(table[1:, lost]).all()
    assert all(worst.step != lost for worst in limits.worst(flow.v).values())
    assert limits.worst(np.full_like(flow.v, np.nan)) == {}
