"""The power flow equals pandapower on radial and meshed grids, and says so when there is no solution."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from numpy.testing import assert_allclose

import grid
from grid import powerflow

HAND = Path(__file__).parents[2] / "experiments" / "hand" / "network.json"


def pandapower_solution(net: Any, network: grid.Network, p: Any, q: Any) -> Any:
    net = copy.deepcopy(net)
    for i in range(1, network.n):
        if network.buses[i] >= 0:
            pp.create_sgen(net, int(network.buses[i]), p_mw=p[i] / 1000, q_mvar=q[i] / 1000)
    pp.runpp(net, calculate_voltage_angles=True, tolerance_mva=1e-9, init="dc", trafo_model="t")
    return net


@pytest.mark.parametrize("step", [0, 4])
def test_voltages_currents_and_slack_power_equal_pandapower(drawn: Any, step: int) -> None:
    net, network, p, q = drawn
    flow = grid.power_flow(network, p, q).require()
    net = pandapower_solution(net, network, p[:, step], q[:, step])
    seen = net.res_bus.loc[network.known_buses]
    reference = (seen.vm_pu * np.exp(1j * np.deg2rad(seen.va_degree))).to_numpy()
    assert_allclose(flow.v[network.positions(network.known_buses), step], reference, rtol=0, atol=1e-9)
    exported = -(net.res_ext_grid.p_mw + 1j * net.res_ext_grid.q_mvar).sum() * 1000
    assert_allclose(flow.pcc_kw[step], exported, rtol=0, atol=1e-5 * np.abs(p).max())
    assert_allclose(flow.loss_kw[step], p[1:, step].sum() - exported.real, atol=1e-4 * np.abs(p).max())
    loading = flow.loading()[:, step] * 100
    for table in ("line", "trafo"):
        rows = [row for row, kind in enumerate(network.branch_kinds) if kind == table]
        theirs = net[f"res_{table}"].loading_percent.loc[network.branch_index[rows]]
        assert_allclose(loading[rows], theirs, rtol=1e-6, atol=1e-5)


def test_powers_at_the_solution_are_those_given(drawn: Any) -> None:
    _, network, p, q = drawn
    flow = grid.power_flow(network, p, q, tol=1e-12)
    assert flow.mismatch_kva(p, q).max() <= 1e-8 * np.abs(p).max() + 1e-7


def test_steps_do_not_influence_each_other(drawn: Any) -> None:
    _, network, p, q = drawn
    many = np.arange(75) % p.shape[1]
    together = grid.power_flow(network, p[:, many], q[:, many]).v
    alone = grid.power_flow(network, p[:, [3]], q[:, [3]]).v[:, 0]
    assert_allclose(together[:, many == 3] - alone[:, None], 0, atol=2e-10)


def test_a_warm_start_takes_fewer_iterations_to_the_same_answer(drawn: Any) -> None:
    _, network, p, q = drawn
    cold = grid.power_flow(network, p, q)
    warm = grid.power_flow(network, p * 1.001, q, v_start=cold.v)
    assert warm.iterations < grid.power_flow(network, p * 1.001, q).iterations
    assert_allclose(warm.v, grid.power_flow(network, p * 1.001, q).v, atol=2e-10)


def test_the_tree_kernel_the_sparse_solver_and_newton_agree(drawn: Any) -> None:
    _, network, p, q = drawn
    v = grid.power_flow(network, p, q, tol=1e-12).v
    general = np.repeat(network.v_no_load[:, None], p.shape[1], axis=1)
    powerflow._fixed_point(network, p, q, general, 1e-12, 100)
    newton, found = powerflow._newton(network, (p[:, 0] + 1j * q[:, 0]) / 1000, 1e-12)
    assert found
    assert_allclose(general, v, rtol=0, atol=1e-11)
    assert_allclose(newton, v[:, 0], rtol=0, atol=1e-11)


@pytest.fixture
def two_buses() -> grid.Network:
    """Line of 0.16 ohm at 0.4 kV: 1 pu on 160 kVA, so that V = 1/2 + sqrt(1/4 + p/1000), p in kW."""
    net = pp.create_empty_network()
    a, b = pp.create_bus(net, 0.4), pp.create_bus(net, 0.4)
    pp.create_ext_grid(net, a)
    pp.create_line_from_parameters(net, a, b, 1.0, r_ohm_per_km=0.16, x_ohm_per_km=0.0, c_nf_per_km=0.0, max_i_ka=0.2)
    return grid.read(net)


def test_two_buses_by_hand(two_buses: grid.Network) -> None:
    p = np.array([[0.0] * 3, [-160.0, 0.0, 110.0]])
    flow = grid.power_flow(two_buses, p, 0 * p)
    assert_allclose(flow.v[1], 0.5 + np.sqrt(0.25 + p[1] / 1000), atol=1e-10)


def test_the_nose_is_found_and_what_lies_beyond_has_a_status(two_buses: grid.Network) -> None:
    p = np.array([[0.0] * 3, [-249.9, -250.1, -50.0]])
    flow = grid.power_flow(two_buses, p, 0 * p)
    assert flow.converged.tolist() == [True, False, True]
    assert_allclose(flow.v[1, 0], 0.5 + np.sqrt(0.0001), atol=1e-8)
    assert np.isnan(flow.v[1, 1])
    with pytest.raises(grid.InputError, match="step 1"):
        flow.require()


def test_bad_injections_are_named(two_buses: grid.Network) -> None:
    p = np.zeros((2, 4))
    with pytest.raises(grid.InputError, match=r"\(2, K\)"):
        grid.power_flow(two_buses, p[:1], p[:1])
    p[1, 2] = np.nan
    with pytest.raises(grid.InputError, match=r"bus 1.*nan kW.*step 2"):
        grid.power_flow(two_buses, p, 0 * p)
    p[0], p[1] = np.nan, 1.0
    assert grid.power_flow(two_buses, p, 0 * p + 1).converged.all(), "the row of the slack is ignored"


@pytest.mark.parametrize("factor", [3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e6, 1e9])
def test_beyond_collapse_no_step_counts_as_solved(drawn: Any, factor: float) -> None:
    """Whatever counts as solved carries the injections, at voltages that exist; a light step beside is not harmed."""
    _, network, p, q = drawn
    p, q = np.tile(p, (1, 2)), np.tile(q, (1, 2))  # five steps: each is light once, and heavy once
    light = grid.power_flow(network, p, q).converged
    p[:, 1::2] *= factor
    q[:, 1::2] *= factor
    flow = grid.power_flow(network, p, q)
    solved = flow.converged
    assert (solved[0::2] == light[0::2]).all()
    size = np.abs(p).max(axis=0)
    assert (flow.mismatch_kva(p, q)[solved] <= 1e-6 * size[solved] + 1e-5).all()
    assert (np.abs(flow.v[:, solved]) >= 0.5 * np.abs(network.v_no_load[:, None])).all()


def test_a_sweep_that_blew_up_and_fell_back_is_no_solution() -> None:
    """Far beyond collapse the moves of the sweeps overflow, then happen to be small."""
    network = grid.read(pp.from_json(str(HAND)))
    homes = np.flatnonzero(network.base_kv == 0.4)[-5:]
    for kw in np.append(np.geomspace(1e2, 1e6, 60), 1000.0):
        p = np.zeros((network.n, 3))
        p[homes] = -kw * np.array([0.997, 0.989, 1.0])
        flow = grid.power_flow(network, p, 0.0 * p)
        assert (np.abs(flow.v[:, flow.converged]) >= 0.5).all()


@pytest.mark.parametrize("path", ["as chosen", "sparse", "newton"])
def test_a_slack_voltage_for_every_step_is_that_of_so_many_networks(drawn: Any, path: str, monkeypatch: Any) -> None:
    """On a tree and in meshes, by every way of solving; the angle of the slack turns all voltages."""
    _, network, p, q = drawn
    v_slack = (
        network.v_slack * np.array([1.0, 1.02, 0.97, 0.99, 1.01]) * np.exp(1j * np.linspace(-0.4, 2.0, p.shape[1]))
    )
    own = [grid.power_flow(network.with_slack(v), p[:, [k]], q[:, [k]], tol=1e-12) for k, v in enumerate(v_slack)]
    if path == "sparse":
        monkeypatch.setattr(powerflow, "_sweeps", powerflow._fixed_point)
    flow = grid.power_flow(network, p, q, v_slack=v_slack, tol=1e-12, max_iterations=1 if path == "newton" else 60)
    assert flow.converged.all()
    assert_allclose(flow.v[0], v_slack, rtol=0, atol=1e-15)
    assert_allclose(flow.v, np.hstack([one.v for one in own]), rtol=0, atol=1e-10)
    turned = grid.power_flow(network, p, q, v_slack=network.v_slack * np.exp(0.3j) * np.ones(p.shape[1]))
    assert_allclose(turned.v, grid.power_flow(network, p, q).v * np.exp(0.3j), rtol=0, atol=1e-8)
