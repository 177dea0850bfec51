"""Margins: the worst of all attacks, by brute force and in the AC power flow."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex.dso.margins import Guard, strongest
from admmflex.errors import InputError
from admmflex.horizon import Array
from admmflex.prosumers.threat import Threat
from grid import Connection
from grid.limits import BRANCH, V_HIGH, V_LOW, Limits
from grid.network import Network

STEPS = 3


def feeder(rating: float = 0.05) -> Network:
    """Six buses in a row with one side branch; lines with R and X, ``rating`` [pu of 1 MVA]."""
    from_bus, to_bus = np.array([0, 1, 2, 3, 2]), np.array([1, 2, 3, 4, 5])
    y = 1.0 / np.array([0.02 + 0.05j, 0.2 + 0.08j, 0.3 + 0.1j, 0.3 + 0.1j, 0.25 + 0.1j])
    n, m = 6, 5
    return Network(
        name="feeder", buses=np.arange(n), bus_names=tuple("abcdef"), base_kv=np.full(n, 0.4), v_slack=1.0 + 0j,
        v_min=np.full(n, 0.95), v_max=np.full(n, 1.05), shunt_y=np.zeros(n, complex), known_buses=np.arange(n),
        known_positions=np.arange(n), from_bus=from_bus, to_bus=to_bus, y_ff=y, y_ft=-y, y_tf=-y, y_tt=y,
        branch_kinds=("line",) * m, branch_index=np.arange(m), branch_names=tuple("vwxyz"),
        is_transformer=np.zeros(m, bool), i_max_from=np.full(m, rating), i_max_to=np.full(m, rating),
        s_max=np.full(m, np.inf),
    )  # fmt: skip


def threat(budget: int) -> Threat:
    """Four devices: two inverters of which one cannot take, a plain load, and an inverter that is at its edge."""
    low = np.array([[-8.0], [0.0], [-6.0], [-5.0]]) * np.ones((4, STEPS))
    high = np.array([[8.0], [9.0], [0.0], [5.0]]) * np.array([1.0, 0.6, 0.2])
    plan = np.zeros((2, 4, STEPS))
    plan[0] = [[-3.0, 0.0, 1.0], [9.0, 5.0, 0.0], [-1.0, -6.0, 0.0], [4.0, 2.0, 1.0]]
    plan[1, 3] = 3.0
    return Threat(tuple("wxyz"), np.array([4, 5, 3, 4]), low, high, np.array([8.0, 10.0, 0.0, 5.0]), plan, budget)


def injections(one: Threat) -> Array:
    """Loads everywhere, and the plan."""
    found = np.stack([np.full((6, STEPS), -2.0), np.full((6, STEPS), -0.5)])
    for part, plan in zip(found, one.plan, strict=True):
        np.add.at(part, one.bus, plan)
    return found


def edge(one: Threat, a: int, k: int, count: int = 4001) -> Array:
    """(2, points) deviations along the boundary of what a device can do, and of staying with the plan."""
    low, high, s = one.low[a, k], one.high[a, k], one.s_kva[a]
    if s:
        angle = np.linspace(0.0, np.pi, count)
        p = np.clip(s * np.cos(angle), low, high)
        q = np.sqrt(np.maximum(s * s - p * p, 0.0))
        points = np.stack([np.concatenate([p, p]), np.concatenate([q, -q])])
    else:
        points = np.stack([np.linspace(low, high, count), np.full(count, one.plan[1, a, k])])
    return np.concatenate([points - one.plan[:, a, k, None], np.zeros((2, 1))], axis=1)


def test_a_guard_against_a_threat_knows_no_limits_of_the_slack() -> None:
    limits = replace(Limits.of(feeder()), connection=Connection.closed(np.ones(STEPS)))
    with pytest.raises(InputError, match="limits of what is drawn at the slack"):
        Guard(limits, threat(1))
    assert Guard(limits).connection is limits.connection


@pytest.mark.parametrize("budget", [0, 1, 2, 4])
def test_a_margin_is_the_worst_of_all_groups_of_devices(budget: int) -> None:
    one, rng = threat(budget), np.random.default_rng(1)
    guard = Guard(Limits.of(feeder()), one)
    total = injections(one)
    flow = grid.power_flow(guard.limits.network, *total).require()
    guard.renew(grid.linearise(guard.limits.network, flow.v, *total))
    step, g = rng.integers(0, STEPS, 30), rng.normal(size=(2, 30, 6))
    found = guard.of_rows(step, np.full(30, V_HIGH), *g)
    for r, k in enumerate(step):
        gains = [(g[:, r, one.bus[a]] @ edge(one, a, k)).max() for a in range(4)]
        worst = max(sum(group) for group in combinations(gains, budget))
        assert_allclose(found[r], worst, rtol=1e-6)


def test_what_is_kept_is_just_enough_in_the_ac_power_flow() -> None:
    one, network = threat(2), feeder(0.02)
    limits = Limits.of(network)
    guard, total = Guard(limits, one), injections(one)
    v = grid.power_flow(network, *total).require().v
    guard.renew(grid.linearise(network, v, *total))
    kept, bare = guard.excess(v), limits.excess(v)
    rng, count, worst = np.random.default_rng(2), 3000, [np.full(table.shape, -np.inf) for table in kept]
    for group in combinations(range(4), 2):
        moved = np.repeat(total[..., None], count, axis=3)
        for a in group:
            for k in range(STEPS):
                points = edge(one, a, k, 60)
                moved[:, one.bus[a], k] += points[:, rng.integers(0, points.shape[1], count)]
        flow = grid.power_flow(network, *moved.reshape(2, 6, -1)).require()
        for most, table in zip(worst, limits.excess(flow.v), strict=True):
            np.maximum(most, table.reshape(*most.shape, count).max(axis=2), out=most)
    for attacked, table, start in zip(worst[:2], kept[:2], bare[:2], strict=True):
        attacked, table, start = attacked[1:], table[1:], start[1:]
        assert (attacked <= table + 1e-9).all()
        assert (attacked >= table - 0.04 * (table - start).max()).all()
    could = kept[2] > 0.0  # of loadings that cannot reach the limit only the direction they have is looked at
    assert could.any()
    assert (worst[2][could] <= kept[2][could] + 1e-9).all()
    assert (worst[2][could] >= kept[2][could] - 0.04).all()
    assert (worst[2][~could] <= 0.0).all()


def test_without_the_second_order_low_voltages_would_fall_too_far() -> None:
    one, network = threat(3), feeder()
    guard, total = Guard(Limits.of(network), one), injections(one)
    v = grid.power_flow(network, *total).require().v
    lin = grid.linearise(network, v, *total)
    guard.renew(lin)
    assert guard.margins is not None
    for bus in range(1, 6):
        at = np.full(STEPS, bus)
        row = guard.limits.functional(v, np.arange(STEPS), np.full(STEPS, V_LOW), at)
        gradient = np.stack(lin.gradients(np.arange(STEPS), row.bus_a, row.h_a, row.bus_b, row.h_b))
        moved = total.copy()
        for part, move in zip(moved, strongest(one, gradient[:, :, one.bus].transpose(0, 2, 1)), strict=True):
            np.add.at(part, one.bus, move)
        fallen = np.abs(v) - np.abs(grid.power_flow(network, *moved).require().v)
        assert (fallen[bus] > guard.margins.drop[bus] / guard.margins.factor).all()
        assert (fallen[1:] <= guard.margins.drop[1:]).all()


def test_the_worst_change_of_a_loading_is_found_among_all_directions() -> None:
    one, network = threat(2), feeder(0.01)
    guard, total = Guard(Limits.of(network), one), injections(one)
    v = grid.power_flow(network, *total).require().v
    lin = grid.linearise(network, v, *total)
    guard.renew(lin)
    end, step = np.nonzero(np.abs(guard.loading(v)) > 1.0)
    kind, most = np.full(len(end), BRANCH), np.full(len(end), -np.inf)
    for angle in np.linspace(0.0, 2.0 * np.pi, 361):
        row = guard.limits.functional(v, step, kind, end, np.full(len(end), np.exp(1j * angle)))
        gradients = lin.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b)
        most = np.maximum(most, row.value + guard.of_rows(step, kind, *gradients))
    assert len(end) > 3
    assert_allclose(np.abs(guard.loading(v)[end, step]), 1.0 + most, rtol=2e-4)


def test_no_threat_no_margin() -> None:
    limits = Limits.of(feeder())
    v = grid.power_flow(limits.network, *injections(threat(0))).require().v
    for one in (None, threat(0)):
        guard = Guard(limits, one)
        guard.renew(grid.linearise(limits.network, v, *injections(threat(0))))
        for kept, bare in zip(guard.excess(v), limits.excess(v), strict=True):
            assert_allclose(kept[1:], bare[1:], atol=1e-12)
        assert not guard.of_rows(np.zeros(2, int), np.array([V_LOW, BRANCH]), np.ones((2, 6)), np.ones((2, 6))).any()
