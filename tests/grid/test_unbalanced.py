"""The three-phase power flow equals a fixed point on the full admittance matrix, and its differential."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from grid.unbalanced_network import balanced

STEPS, SIZE = 37, 40
DELTA = np.array([[1, 0, -1], [-1, 1, 0], [0, -1, 1]]) / np.sqrt(3)  # Dyn1


def network(parent: Any, z: Any, *, w: int = 3, **given: Any) -> grid.UnbalancedNetwork:
    """A feeder of 0.4 kV with lines z [pu] and whatever else is given."""
    n = len(parent)
    none = np.zeros((n - 1, w, w), dtype=complex)
    parts: dict[str, Any] = {
        "k": np.tile(np.eye(w), (n - 1, 1, 1)), "y_from": none, "y_to": none,
        "shunt_y": np.zeros((n, w, w), dtype=complex), "wires": np.ones((n, w), dtype=bool),
        "v_slack": balanced(1.03, w),
    }  # fmt: skip
    index, names = np.arange(n), tuple(f"{i}" for i in range(n))
    return grid.UnbalancedNetwork(
        name="drawn", bus_names=names, buses=index, known_buses=index, known_positions=index,
        base_kv=np.full(n, 0.4), parent=np.array(parent), z=np.asarray(z, dtype=complex),
        branch_kinds=("line",) * (n - 1), branch_names=names[1:], i_max_a=np.full(n - 1, np.inf),
        s_max_kva=np.full(n - 1, np.inf), **(parts | given),
    )  # fmt: skip


def drawn(w: int, shunts: bool, trafo: bool, seed: int = 0) -> grid.UnbalancedNetwork:
    """A random tree with mutual coupling; at will line charging, earthing of the neutral, a Dyn transformer."""
    rng = np.random.default_rng(seed)
    parent = np.r_[-1, [rng.integers(max(0, i - 3), i) for i in range(1, SIZE)]]
    mixed = rng.normal(size=(SIZE - 1, w, w))
    z = (0.02 + 0.03j) * np.eye(w) + 0.01j + 0.002 * (mixed + mixed.transpose(0, 2, 1))
    given: dict[str, Any] = {}
    if shunts:
        y = np.tile(0.01j * np.eye(w) - 0.002j, (SIZE - 1, 1, 1))
        given |= {"y_from": y, "y_to": 1.3 * y}
    if w == 4:
        earth = np.zeros((SIZE, 4, 4), dtype=complex)
        earth[:, 3, 3] = rng.random(SIZE) * 2
        given["shunt_y"] = earth
    if trafo:
        k = np.tile(np.eye(w), (SIZE - 1, 1, 1))
        k[0], k[0, :3, :3] = 0.0, 1.02 * DELTA
        parent[2] = 1
        given["k"] = k
    return network(parent, z, w=w, **given)


def injections(seed: int = 1, share: float = 0.4, steps: int = STEPS) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    on = (rng.random(SIZE) < share)[:, None, None]
    return rng.normal(size=(SIZE, 3, steps)) * 5 * on, rng.normal(size=(SIZE, 3, steps)) * 2 * on


def full_matrix(net: grid.UnbalancedNetwork) -> Any:
    """(n w, n w) admittance matrix, each branch stamped with the inverse of its impedance."""
    n, w = net.n, net.w
    y = np.zeros((n, w, n, w), dtype=complex)
    for i in range(1, n):
        up, k, series = net.parent[i], net.k[i - 1], np.linalg.inv(net.z[i - 1])
        y[i, :, i] += series + net.y_to[i - 1]
        y[i, :, up] -= series @ k
        y[up, :, i] -= k.T @ series
        y[up, :, up] += k.T @ series @ k + net.y_from[i - 1]
    for i in range(n):
        y[i, :, i] += net.shunt_y[i]
    return y.reshape(n * w, n * w)


def reference(net: grid.UnbalancedNetwork, p: Any, q: Any) -> Any:
    """(n, w) voltages of one step by V <- Y^-1 I(V) with the whole matrix."""
    w, y = net.w, full_matrix(net)
    inverse = np.linalg.inv(y[w:, w:])
    no_load = -inverse @ y[w:, :w] @ net.v_slack
    v = np.concatenate([net.v_slack, no_load]).reshape(net.n, w)
    for _ in range(200):
        to_neutral = v[:, :3] - (v[:, 3:] if w == 4 else 0.0)
        current = np.zeros((net.n, w), dtype=complex)
        current[:, :3] = np.conj((p + 1j * q) * 3 / 1000 / to_neutral)
        if w == 4:
            current[:, 3] = -current.sum(axis=1)
        v[1:] = (no_load + inverse @ current[1:].ravel()).reshape(-1, w)
    return v


KINDS = pytest.mark.parametrize(
    ("w", "shunts", "trafo"), [(w, s, t) for w in (3, 4) for s in (False, True) for t in (False, True)]
)


@KINDS
def test_voltages_equal_the_full_matrix(w: int, shunts: bool, trafo: bool) -> None:
    net, (p, q) = drawn(w, shunts, trafo), injections()
    flow = grid.unbalanced_flow(net, p, q, tol=1e-13).require()
    assert len(flow.reduction.kept) < net.n, "buses without injections are merged"
    for step in (0, 33, STEPS - 1):
        assert_allclose(flow.v[..., step], reference(net, p[..., step], q[..., step]), rtol=0, atol=1e-12)
    assert_allclose(flow.v_at([7, 3]), flow.v[[7, 3]], rtol=0, atol=0)


@KINDS
def test_currents_and_losses_follow_from_the_voltages(w: int, shunts: bool, trafo: bool) -> None:
    """Branch by branch from its matrices; what leaves the branches and shunts of a bus is what is injected."""
    net, (p, q) = drawn(w, shunts, trafo), injections()
    flow = grid.unbalanced_flow(net, p, q, tol=1e-13)
    v, up, child = flow.v, net.parent[1:], np.arange(1, net.n)
    through = np.linalg.inv(net.z) @ (net.k @ v[up] - v[child])
    i_from = net.k.transpose(0, 2, 1) @ through + net.y_from @ v[up]
    i_to = through - net.y_to @ v[child]
    ampere = 1000 / (np.sqrt(3) * 0.4)
    assert_allclose(flow.i_from_a(), i_from * ampere, rtol=0, atol=1e-7)
    assert_allclose(flow.i_to_a(), i_to * ampere, rtol=0, atol=1e-7)
    assert_allclose(flow.i_to_a([5]), flow.i_to_a()[[5]])
    at_bus = net.shunt_y @ v
    np.add.at(at_bus, up, i_from)
    at_bus[1:] -= i_to
    assert_allclose(flow.pcc_kw, -(v[0] * np.conj(at_bus[0]))[:3] * 1000 / 3, rtol=0, atol=1e-8)
    lost = (v * np.conj(at_bus)).real.sum(axis=(0, 1)) * 1000 / 3
    assert_allclose(flow.loss_kw, lost, rtol=0, atol=1e-8)


@KINDS
def test_merging_changes_nothing(w: int, shunts: bool, trafo: bool) -> None:
    net, (p, q) = drawn(w, shunts, trafo), injections(share=0.1)
    every = np.arange(1, net.n)
    whole = grid.unbalanced_flow(net, p[1:], q[1:], at=every, tol=1e-13)
    merged = grid.unbalanced_flow(net, p, q, tol=1e-13)
    assert len(merged.reduction.kept) < len(whole.reduction.kept) == net.n
    assert_allclose(merged.v, whole.v, rtol=0, atol=1e-13)
    assert_allclose(merged.i_from_a(), whole.i_from_a(), rtol=0, atol=1e-8)


@KINDS
def test_the_differential_follows_finite_differences(w: int, shunts: bool, trafo: bool) -> None:
    net, (p, q), (dp, dq) = drawn(w, shunts, trafo), injections(steps=5), injections(seed=2, share=1.0, steps=5)
    at = np.flatnonzero(p.any(axis=(1, 2)))
    at = at[at > 0]

    def voltages(t: float) -> Any:
        return grid.unbalanced_flow(net, (p + t * dp)[at], (q + t * dq)[at], at=at, tol=1e-14).v

    h = 2e-3
    by_difference = (8 * (voltages(h) - voltages(-h)) - (voltages(2 * h) - voltages(-2 * h))) / (12 * h)
    linear = grid.linearise_unbalanced(grid.unbalanced_flow(net, p[at], q[at], at=at, tol=1e-13))
    dv = linear.dv(dp[at], dq[at])
    assert_allclose(dv, by_difference, rtol=0, atol=5e-9 * np.abs(by_difference).max())
    by_p, by_q = linear.dense(2, [5, 17, 1])
    by_column = np.einsum("iwlf,lf->iw", by_p, dp[at, :, 2]) + np.einsum("iwlf,lf->iw", by_q, dq[at, :, 2])
    assert_allclose(by_column, dv[[5, 17, 1], :, 2], rtol=0, atol=1e-13 * np.abs(dv).max())


def test_one_phase_on_one_line_has_a_closed_form() -> None:
    """V (1 - V) = P r at resistance r; the other phases see their mutual coupling only."""
    r, mutual = 0.1, 0.02
    z = np.full((1, 3, 3), mutual) + (r - mutual) * np.eye(3)
    net = network([-1, 0], z, v_slack=balanced(1.0))
    p = np.zeros((2, 3, 1))
    p[1, 0] = -200.0
    v = grid.unbalanced_flow(net, p, 0 * p, tol=1e-14).v[1, :, 0]
    current = (1 - np.sqrt(1 - 4 * 0.6 * r)) / (2 * r)
    assert_allclose(v, balanced(1.0) - current * np.array([r, mutual, mutual]), atol=1e-12)


def test_the_return_current_lifts_the_neutral() -> None:
    """Phase a and an unearthed neutral of equal resistance: half of the voltage drop shows on the neutral."""
    net = network([-1, 0], 0.05 * np.eye(4)[None], w=4, v_slack=balanced(1.0, 4))
    p = np.zeros((2, 3, 1))
    p[1, 0] = -200.0
    flow = grid.unbalanced_flow(net, p, 0 * p, tol=1e-14)
    current = (1 - np.sqrt(1 - 4 * 0.6 * 0.1)) / 0.2
    assert_allclose(flow.v[1, [0, 3], 0], [1 - 0.05 * current, 0.05 * current], atol=1e-12)
    assert_allclose(flow.neutral_v([1]), [[0.05 * current * 400 / np.sqrt(3)]], rtol=1e-12)
    assert_allclose(flow.i_to_a()[0, [0, 3], 0], np.array([1, -1]) * current * 1000 / (np.sqrt(3) * 0.4), rtol=1e-11)


def test_the_unbalance_factor_is_the_ratio_of_sequences() -> None:
    turn = np.exp(2j * np.pi / 3 * np.arange(3))
    v = 0.01 + 1.02 / turn + 0.03 * np.exp(0.4j) * turn
    net = network([-1, 0], 0.05 * np.eye(3)[None], v_slack=v)
    flow = grid.unbalanced_flow(net, np.zeros((2, 3, 2)), np.zeros((2, 3, 2)))
    assert_allclose(flow.unbalance(), np.full((2, 2), 0.03 / 1.02), rtol=1e-12)
    wires = np.array([[True] * 3, [True, True, False]])
    k = np.diag([1.0, 1.0, 0.0])[None]
    short = network([-1, 0], 0.05 * k, v_slack=v, wires=wires, k=k)
    flow = grid.unbalanced_flow(short, np.zeros((2, 3, 2)), np.zeros((2, 3, 2)))
    assert np.isnan(flow.unbalance([1])).all()
    assert (flow.v[1, 2] == 0).all()


def test_steps_do_not_influence_each_other() -> None:
    net, (p, q) = drawn(4, True, True), injections()
    together = grid.unbalanced_flow(net, p, q).v_swept
    alone = grid.unbalanced_flow(net, p[..., [5]], q[..., [5]]).v_swept[..., 0]
    assert_allclose(together[..., 5], alone, rtol=0, atol=0)


def test_a_warm_start_takes_fewer_sweeps_to_the_same_answer() -> None:
    net, (p, q) = drawn(3, True, True), injections()
    cold = grid.unbalanced_flow(net, p, q)
    warm = grid.unbalanced_flow(net, 1.0001 * p, q, start=cold)
    assert warm.iterations < cold.iterations
    assert_allclose(warm.v, grid.unbalanced_flow(net, 1.0001 * p, q).v, rtol=0, atol=2e-10)
    with pytest.raises(grid.InputError, match="start"):
        grid.unbalanced_flow(net, p[..., :3], q[..., :3], start=cold)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("factor", [3.0, 10.0, 30.0, 100.0, 1e3, 1e6, 1e9])
def test_beyond_collapse_no_step_counts_as_solved(factor: float) -> None:
    """Whatever counts as solved carries the injections; a light step beside is not harmed."""
    net, (p, q) = drawn(4, True, True), injections()
    light = grid.unbalanced_flow(net, p, q).v_swept
    p[..., 1::2] *= factor
    q[..., 1::2] *= factor
    flow = grid.unbalanced_flow(net, p, q)
    assert flow.converged[::2].all()
    assert_allclose(flow.v_swept[..., ::2], light[..., ::2], rtol=0, atol=0)
    for step in np.flatnonzero(flow.converged):
        assert_allclose(flow.v[..., step], reference(net, p[..., step], q[..., step]), rtol=0, atol=1e-8)
    lost = np.flatnonzero(~flow.converged)
    assert np.isnan(flow.v_swept[..., lost]).all()
    assert np.isnan(flow.loss_kw[lost]).all()
    if len(lost):
        assert np.isnan(grid.linearise_unbalanced(flow).dv(flow.p_kw, flow.q_kvar)[1:, :, lost]).any()
        with pytest.raises(grid.InputError, match=f"step {lost[0]} "):
            flow.require()


def test_no_injection_gives_the_voltages_without_load() -> None:
    net = drawn(4, True, True)
    flow = grid.unbalanced_flow(net, np.zeros((SIZE, 3, 2)), np.zeros((SIZE, 3, 2)))
    assert_allclose(flow.v[..., 1], net.v_no_load, rtol=0, atol=1e-14)
    assert_allclose(flow.v[..., 1], reference(net, np.zeros((SIZE, 3)), np.zeros((SIZE, 3))), rtol=0, atol=1e-12)


def test_bad_injections_are_named() -> None:
    wires = np.ones((SIZE, 3), dtype=bool)
    wires[9, 1] = False
    net, (p, q) = replace(drawn(3, False, False), wires=wires), injections(share=1.0)
    with pytest.raises(grid.InputError, match=r"bus 9 '9': injection on phase b; allowed: phases a, c"):
        grid.unbalanced_flow(net, p, q)
    p[9, 1] = q[9, 1] = 0
    p[4, 2, 3] = np.nan
    with pytest.raises(grid.InputError, match=r"bus 4.*nan kW.*phase c at step 3"):
        grid.unbalanced_flow(net, p, q)
    with pytest.raises(grid.InputError, match=r"\(40, 3, K\)"):
        grid.unbalanced_flow(net, p[:, :2], q[:, :2])
    with pytest.raises(grid.InputError, match="given twice"):
        grid.unbalanced_flow(net, q[:2], q[:2], at=[3, 3])
    with pytest.raises(grid.InputError, match="position 40"):
        grid.unbalanced_flow(net, q[:2], q[:2], at=[3, 40])


def test_a_network_out_of_order_is_refused() -> None:
    z = np.tile(0.1 * np.eye(3), (2, 1, 1))
    with pytest.raises(grid.InputError, match="bus 1 '1': parent 2"):
        network([-1, 2, 0], z)
    z[1, 0, 0] = np.nan
    with pytest.raises(grid.InputError, match="line '2': z is not finite"):
        network([-1, 0, 1], z)
    with pytest.raises(grid.InputError, match="wires"):
        network([-1, 0, 1], np.tile(np.eye(3), (2, 1, 1)), wires=np.ones((2, 3), dtype=bool))
