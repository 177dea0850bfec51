"""Limits of what is drawn at the slack follow the AC power flow; an island is the same grid seen from another bus."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from grid.connection import ISLAND_LABELS, P_HIGH, P_LOW, Q_HIGH, Q_LOW

FIVE = Path(__file__).parents[2] / "experiments" / "flex_charts" / "five.json"
STEPS = 5


def limited(network: grid.Network) -> grid.Limits:
    """Limits of the slack at every side, other ones in every step."""
    step = np.arange(STEPS, dtype=float)
    slack = grid.Connection(-10 - step, 20 + step, -5 - step, 7 + step, np.full(STEPS, 40.0) + step)
    return replace(grid.Limits.of(network), connection=slack)


def test_rows_follow_finite_differences_of_the_power_flow(drawn: Any) -> None:
    _, network, p, q = drawn
    limits, rng = limited(network), np.random.default_rng(4)
    side, step = np.tile([P_HIGH, P_LOW, Q_HIGH, Q_LOW], STEPS), np.repeat(np.arange(STEPS), 4)
    kind = np.full(4 * STEPS, grid.SLACK)
    p, q, dp, dq = p.copy(), q.copy(), rng.normal(size=p.shape), rng.normal(size=p.shape)
    p[0], q[0] = rng.normal(size=(2, STEPS))

    def value(s: float) -> Any:
        p_s, q_s = p + s * dp, q + s * dq
        v = grid.power_flow(network, p_s, q_s, tol=1e-14).require().v
        return limits.functional(v, step, kind, side, own=p_s[0] + 1j * q_s[0])

    h = 1e-3 * np.abs(p).max()
    reference = (8 * (value(h).value - value(-h).value) - (value(2 * h).value - value(-2 * h).value)) / (12 * h)
    row, v = value(0.0), grid.power_flow(network, p, q, tol=1e-13).v
    linear = grid.linearise(network, v, p, q)
    gp, gq = linear.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b, root=row.root)
    ours = np.einsum("rn,nr->r", gp, dp[:, step]) + np.einsum("rn,nr->r", gq, dq[:, step])
    assert_allclose(ours, reference, rtol=0, atol=1e-7 * np.abs(reference).max())


def test_excess_is_what_is_drawn_beyond_the_limits(drawn: Any) -> None:
    _, network, p, q = drawn
    limits, flow = limited(network), grid.power_flow(network, p, q)
    own = np.full(STEPS, 3.0 - 2.0j)
    found, slack = -flow.pcc_kw - own, limits.connection
    assert slack is not None
    expected = [found.real - slack.p_max, slack.p_min - found.real, found.imag - slack.q_max, slack.q_min - found.imag]
    assert_allclose(limits.connection_excess(flow.v, own), np.array(expected) / slack.base_kw, atol=1e-9)
    assert_allclose(grid.drawn_kw(network, flow.v, own), found, atol=1e-9)
    assert np.isneginf(grid.Limits.of(network).connection_excess(flow.v)).all()
    later = limits.at(slice(2, None))
    assert_allclose(later.connection_excess(flow.v[:, 2:], own[2:]), limits.connection_excess(flow.v, own)[:, 2:])


def test_an_island_agrees_with_pandapower(tmp_path: Path) -> None:
    import pandapower as pp

    net = pp.from_json(str(FIVE))
    whole = grid.read(net)
    root = int(whole.positions([3])[0])
    part = grid.island(whole, root, grid.find_branches(whole, ("line 0",)), 1.01)
    rng = np.random.default_rng(0)
    p, q = 5 * rng.normal(size=(2, part.n, 3))
    flow = grid.power_flow(part, p, q, tol=1e-13).require()
    net.line.loc[0, "in_service"] = False
    net.ext_grid.loc[net.ext_grid.index[0], ["bus", "vm_pu"]] = 3, 1.01
    for table in ("load", "sgen", "storage"):
        net[table].drop(net[table].index, inplace=True)
    for k in range(3):
        net.load.drop(net.load.index, inplace=True)
        for i in range(1, part.n):
            pp.create_load(net, int(part.buses[i]), -p[i, k] / 1e3, -q[i, k] / 1e3)
        pp.runpp(net, calculate_voltage_angles=True, tolerance_mva=1e-12)
        assert_allclose(np.abs(flow.v[:, k]), net.res_bus.vm_pu[part.buses], atol=1e-9)
        assert_allclose(-flow.pcc_kw[k].real, 1e3 * net.res_ext_grid.p_mw.iloc[0], atol=1e-6)
    assert 0 not in part.buses
    assert part.is_tree


def test_faults_of_islands_are_named() -> None:
    whole = grid.read_case(str(FIVE)).network
    root = int(whole.positions([3])[0])
    with pytest.raises(grid.InputError, match="still connected to the upstream grid"):
        grid.island(whole, root, np.zeros(0, np.int64), 1.0)
    with pytest.raises(grid.InputError, match=r"'line 77'.*no such branch"):
        grid.find_branches(whole, ("line 0", "line 77"))


def test_limits_that_leave_no_room_are_a_fault() -> None:
    one = np.ones(2)
    with pytest.raises(grid.InputError, match="p_min above p_max at step 1"):
        grid.Connection(np.array([0.0, 2.0]), one, -one, one, one)
    with pytest.raises(grid.InputError, match="base_kw not positive"):
        grid.Connection(-one, one, -one, one, 0 * one)
    closed = grid.Connection.closed(one)
    assert not closed.bounds.any()
    assert closed.labels == ISLAND_LABELS
