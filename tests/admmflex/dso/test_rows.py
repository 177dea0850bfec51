"""The working set of rows: what is added is what a search in plain Python finds worst, and order and numbers hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import grid
from admmflex.dso import Dso
from admmflex.dso.margins import Guard
from admmflex.dso.rows import (
    ANGLE_BUCKETS,
    CONNECTION_TOLERANCE,
    LOADING_TOLERANCE,
    VOLTAGE_TOLERANCE,
    Rows,
    feeder_groups,
    row_keys,
)
from admmflex.horizon import Array
from admmflex.prosumers.threat import Threat
from grid.limits import BRANCH, KINDS, SLACK, V_HIGH, V_LOW, Limits

STEPS = 4
BUSES = np.array([2, 3, 5, 6])
COLUMNS = ("step", "kind", "index", "direction", "key", "value", "margin", "nu", "idle", "gradient")
FEEDER = [None, None, "2-3", "2-3", "4-6", "4-6", "4-6"]  # of the buses


def with_cap(limits: Limits) -> Limits:
    """What is drawn must be 5 kW at most, with 4 kW typical."""
    free = np.full(STEPS, np.inf)
    return replace(limits, connection=grid.Connection(-free, np.full(STEPS, 5.0), -free, free, np.full(STEPS, 4.0)))


def suspects() -> Threat:
    """Two inverters, of which one may leave its plan."""
    size = np.ones((2, STEPS))
    return Threat(
        ("x", "y"), np.array([3, 6]), -30.0 * size, 30.0 * size, np.array([30.0, 30.0]), np.zeros((2, 2, STEPS)), 1
    )


def make(
    network: grid.Network, *, power: bool = False, cap: bool = False, threat: bool = False, buses: Any = BUSES
) -> Dso:
    limits = Limits.of(network, transformer="power" if power else "current")
    return Dso(network, with_cap(limits) if cap else limits, buses, STEPS, suspects() if threat else None)


def powers(seed: int, size_kw: float = 40.0) -> Array:
    """Feeding in, then drawing, then both."""
    way = np.array([1.0, -1.0, 0.2, -0.3])[:, None]
    return size_kw * (way + 0.4 * np.random.default_rng(seed).normal(size=(STEPS, 2 * len(BUSES))))


def place(limits: Limits, kind: int, index: int) -> Any:
    """The feeder or branch among whose limits only the worst is added."""
    network = limits.network
    if kind == SLACK:
        return kind, index
    if kind != BRANCH:
        return kind, FEEDER[index]
    ends = FEEDER[limits.from_bus[index]], FEEDER[limits.to_bus[index]]
    trunk = network.is_transformer[limits.branch[index]]
    return kind, int(limits.branch[index]) if trunk else next(one for one in ends if one)


def worst_by_hand(dso: Dso, x: Array, coarse: float = 1.0) -> dict[Any, tuple[int, complex]]:
    """Index and direction of the limit exceeded most at the linearised voltages, by step, kind and place."""
    assert dso.lin is not None
    limits, v0, dv, best = dso.limits, dso.lin.v, dso.deviation(x), {}
    v = v0 + dv
    high, low, _ = limits.excess(v0)
    rise = (np.conj(v0) * dv).real / np.abs(v0)
    load, beyond = dso.guard.loading(v), limits.connection_excess(v, dso.own(x))
    if dso.guard.margins is not None:
        high, low = high + dso.guard.margins.rise, low + dso.guard.margins.drop
    tables = [
        (V_HIGH, high + rise, VOLTAGE_TOLERANCE), (V_LOW, low - rise, VOLTAGE_TOLERANCE),
        (BRANCH, np.abs(load) - 1.0, LOADING_TOLERANCE), (SLACK, beyond, CONNECTION_TOLERANCE),
    ]  # fmt: skip
    for kind, table, tolerance in tables:
        for index, t in zip(*np.nonzero(table > coarse * tolerance), strict=True):
            at = (int(t), *place(limits, kind, index))
            if at not in best or table[index, t] > best[at][0]:
                u = load[index, t] / abs(load[index, t]) if kind == BRANCH else 1.0
                best[at] = table[index, t], int(index), u
    return {at: found[1:] for at, found in best.items()}


@pytest.mark.parametrize("options", [{}, {"power": True}, {"cap": True}, {"threat": True}])
def test_what_is_added_is_the_worst_of_every_step_and_feeder(two_feeders: Any, options: dict[str, bool]) -> None:
    dso = make(two_feeders, **options)
    dso.relinearise(0.6 * powers(0))
    wanted = worst_by_hand(dso, powers(1))
    assert dso.add_violated(powers(1)) == len(wanted) == len(dso.rows)
    rows = dso.rows
    found = {
        (int(t), *place(dso.limits, k, i)): (int(i), u)
        for t, k, i, u in zip(rows.step, rows.kind, rows.index, rows.direction, strict=True)
    }
    assert {at: one[0] for at, one in found.items()} == {at: one[0] for at, one in wanted.items()}
    assert_allclose([found[at][1] for at in wanted], [one[1] for one in wanted.values()], rtol=1e-9)
    assert {V_HIGH, V_LOW, BRANCH, *([SLACK] if options.get("cap") else [])} == set(rows.kind.tolist())
    assert (np.diff(rows.step) >= 0).all()
    assert not rows.nu.any()
    assert not rows.idle.any()


def test_far_within_the_limits_and_their_margins_nothing_is_added(two_feeders: Any) -> None:
    wide = two_feeders.with_limits(v_min=0.5, v_max=1.5)
    limits, x = Limits.of(wide, line_loading=9.0, transformer_loading=9.0), 0.1 * powers(0)
    for threat in (None, suspects()):
        dso = Dso(wide, limits, BUSES, STEPS, threat)
        dso.relinearise(x)
        assert dso.add_violated(x) == 0


@pytest.mark.parametrize(("v_slack", "kind"), [(0.9, V_LOW), (1.2, V_HIGH)])
def test_the_slack_is_given_and_no_row_asks_it_to_change(two_feeders: Any, v_slack: float, kind: int) -> None:
    """It is farther beyond its limit than the busbar behind it."""
    dso = make(two_feeders.with_slack(v_slack))
    x = np.zeros((STEPS, 2 * len(BUSES)))
    dso.relinearise(x)
    dso.add_violated(x)
    above = np.isin(dso.rows.index, [0, 1]) & (dso.rows.kind <= V_LOW)
    assert dso.rows.kind[above].tolist() == [kind] * STEPS
    assert dso.rows.index[above].tolist() == [1] * STEPS


def test_of_the_slack_row_the_bus_itself_counts(two_feeders: Any) -> None:
    """What is injected at the slack bus covers what would be drawn beyond the cap; that of the change, too."""
    dso = make(two_feeders, cap=True, buses=np.array([0, 3]))
    x = np.zeros((STEPS, 4))
    x[:, 1] = -8.0
    dso.relinearise(x)
    assert dso.add_violated(x) == (dso.rows.kind == SLACK).sum() == STEPS
    assert_allclose(dso.rows.gradient[:, [0, 2]], [[-0.25, 0.0]] * STEPS)
    excess = dso.rows.value.copy()
    fed = x.copy()
    fed[:, 0] = 4.0
    assert make_at(two_feeders, x).add_violated(fed) == 0
    dso.relinearise(fed)
    assert_allclose(dso.rows.value, excess - 1.0, atol=1e-9)


def make_at(network: grid.Network, x: Array) -> Dso:
    dso = make(network, cap=True, buses=np.array([0, 3]))
    dso.relinearise(x)
    return dso


@pytest.mark.parametrize("kind", [V_HIGH, V_LOW, BRANCH, SLACK])
def test_what_is_beyond_a_limit_by_less_than_the_tolerance_is_left(two_feeders: Any, kind: int) -> None:
    """One limit is moved to just within and just beyond its tolerance; ``coarse`` multiplies it."""
    x = np.zeros((STEPS, 2 * len(BUSES)))
    x[2, :4] = {V_HIGH: 12.0, V_LOW: -12.0, BRANCH: 12.0, SLACK: -12.0}[kind]
    wide = two_feeders.with_limits(v_min=0.5, v_max=1.5)
    for factor, coarse, count in ((0.5, 1.0, 0), (2.0, 1.0, 1), (2.0, 3.0, 0), (4.0, 3.0, 1)):
        network, limits = wide, Limits.of(wide, line_loading=99.0, transformer_loading=99.0)
        probe = Dso(network, limits, BUSES, STEPS)
        v = probe.power_flow(x).v
        if kind == V_HIGH:
            network = network.with_limits(v_max=np.abs(v[1:]).max() - factor * VOLTAGE_TOLERANCE)
        elif kind == V_LOW:
            network = network.with_limits(v_min=np.abs(v[1:]).min() + factor * VOLTAGE_TOLERANCE)
        elif kind == BRANCH:
            line = ~wide.is_transformer[limits.branch]
            most = 99.0 * np.abs(limits.loading(v)[line]).max()
            limits = Limits.of(wide, line_loading=most / (1.0 + factor * LOADING_TOLERANCE), transformer_loading=99.0)
        limits = replace(limits, network=network)
        if kind == SLACK:
            most, free = grid.drawn_kw(wide, v).real.max() - 4.0 * factor * CONNECTION_TOLERANCE, np.full(STEPS, np.inf)
            cap = grid.Connection(-free, np.full(STEPS, most), -free, free, np.full(STEPS, 4.0))
            limits = replace(limits, connection=cap)
        dso = Dso(network, limits, BUSES, STEPS)
        dso.relinearise(x)
        assert dso.add_violated(x, coarse) == count
        assert dso.rows.kind.tolist() == [kind] * count


def test_groups_are_feeders_and_the_branches_above_them(two_feeders: Any) -> None:
    limits = Limits.of(two_feeders)
    (bus_group, buses), (end_group, ends) = feeder_groups(limits)
    assert buses == 3
    assert bus_group.tolist() == [0, 0, *[bus_group[2]] * 2, *[bus_group[4]] * 3]
    assert set(bus_group.tolist()) == {0, 1, 2}
    named = {place(limits, BRANCH, i) for i in range(limits.ends)}
    assert ends == len(named) == len(set(end_group.tolist())) == end_group.max() + 1
    for i in range(limits.ends):
        for j in range(limits.ends):
            assert (end_group[i] == end_group[j]) == (place(limits, BRANCH, i) == place(limits, BRANCH, j))
    turned = replace(two_feeders, from_bus=two_feeders.to_bus, to_bus=two_feeders.from_bus)
    assert_array_equal(feeder_groups(Limits.of(turned))[1][0], end_group)


@pytest.mark.parametrize("branch", range(5))
def test_a_transformer_within_a_feeder_is_a_group_of_its_own(two_feeders: Any, branch: int) -> None:
    limits = Limits.of(replace(two_feeders, is_transformer=np.arange(6) == branch))
    group = feeder_groups(limits)[1][0]
    assert set(group[limits.branch == branch]).isdisjoint(group[limits.branch != branch])
    assert len(set(group[limits.branch == branch])) == 1


def test_no_two_rows_have_one_key(two_feeders: Any) -> None:
    """Step, limit and, for a branch, the direction to a part of a turn make the key; nothing else does."""
    limits = with_cap(Limits.of(two_feeders))
    assert sorted([V_HIGH, V_LOW, BRANCH, SLACK]) == list(range(KINDS))
    count = {V_HIGH: two_feeders.n, V_LOW: two_feeders.n, BRANCH: limits.ends, SLACK: 4}
    angles = np.exp(2j * np.pi * np.arange(ANGLE_BUCKETS) / ANGLE_BUCKETS)
    seen: set[int] = set()
    total = 0
    for t in range(3):
        for kind, size in count.items():
            for index in range(size):
                directions = angles if kind == BRANCH else angles[:5]
                whole = np.full(len(directions), 1)
                keys = row_keys(limits, t * whole, kind * whole, index * whole, directions)
                again = row_keys(
                    limits, t * whole, kind * whole, index * whole, directions * np.exp(0.4j / ANGLE_BUCKETS)
                )
                assert_array_equal(keys, again)
                assert len(set(keys.tolist())) == (ANGLE_BUCKETS if kind == BRANCH else 1)
                seen |= set(keys.tolist())
                total += len(set(keys.tolist()))
    assert len(seen) == total
    small = replace(limits, branch=limits.branch[:1])
    keys = row_keys(small, *np.array([[0, 0], [V_HIGH, V_LOW], [6, 0]]), np.ones(2, complex))
    assert len(set(keys.tolist())) == 2


def test_what_is_known_is_not_added_again(two_feeders: Any) -> None:
    """Rows of other answers come in among those of their steps, and nothing moves from its row."""
    dso = make(two_feeders)
    dso.relinearise(0.6 * powers(0))
    first = dso.add_violated(powers(1))
    rows = dso.rows
    assert dso.add_violated(powers(1)) == 0
    assert dso.add_violated(np.zeros_like(powers(1))) == 0
    rows.nu, rows.idle = 1.0 + np.arange(float(first)), 7 + np.arange(first)
    before = {int(key): tuple(getattr(rows, name)[r].tolist() for name in COLUMNS) for r, key in enumerate(rows.key)}
    more = dso.add_violated(1.5 * powers(2))
    assert more > 0
    assert len(rows) == first + more == len(set(rows.key.tolist()))
    assert (np.diff(rows.step) >= 0).all()
    after = {int(key): tuple(getattr(rows, name)[r].tolist() for name in COLUMNS) for r, key in enumerate(rows.key)}
    assert {key: after[key] for key in before} == before
    fresh = [after[key] for key in after if key not in before]
    assert all(one[COLUMNS.index("nu")] == one[COLUMNS.index("idle")] == 0 for one in fresh)
    assert_array_equal(rows.key, row_keys(rows.limits, rows.step, rows.kind, rows.index, rows.direction))
    assert_array_equal(rows.first(STEPS), [(rows.step < t).sum() for t in range(STEPS + 1)])


def test_values_and_gradients_are_those_of_the_limits(two_feeders: Any) -> None:
    """By differences of the AC power flow, after moving to another operating point."""
    dso = make(two_feeders, cap=True)
    dso.relinearise(0.6 * powers(0))
    dso.add_violated(powers(1))
    x, rows = 0.5 * powers(3), dso.rows
    dso.relinearise(x)

    def value(at: Array) -> Array:
        p, q = dso.spread(at)
        v = grid.power_flow(dso.network, p, q, tol=1e-13).require().v
        return dso.limits.functional(v, rows.step, rows.kind, rows.index, rows.direction).value

    assert_allclose(rows.value, value(x), atol=1e-9)
    h = 1e-3
    for j in range(x.shape[1]):
        move = np.zeros_like(x)
        move[:, j] = h
        slope = (value(x + move) - value(x - move)) / (2 * h)
        assert_allclose(rows.gradient[:, j], slope, atol=1e-6 * np.abs(rows.gradient).max())
    assert_allclose(rows.scale, np.abs(rows.gradient).max(axis=1))
    assert not rows.margin.any()
    none = Rows(dso.guard, BUSES)
    assert none.scale.shape == (0,)
    none.refresh(dso.lin)  # type: ignore[arg-type]
    assert len(none) == 0
    none.gradient = np.zeros((1, 8))
    assert_allclose(none.scale, 1e-12)


def test_rows_keep_their_margin(two_feeders: Any) -> None:
    dso = make(two_feeders, threat=True)
    dso.relinearise(0.3 * powers(0))
    dso.add_violated(powers(1))
    rows = dso.rows
    for _ in range(2):
        bare = dso.limits.functional(dso.lin.v, rows.step, rows.kind, rows.index, rows.direction)  # type: ignore[union-attr]
        gradients = dso.lin.gradients(rows.step, bare.bus_a, bare.h_a, bare.bus_b, bare.h_b)  # type: ignore[union-attr]
        assert_allclose(rows.margin, dso.guard.of_rows(rows.step, rows.kind, *gradients), rtol=1e-9)
        assert rows.margin.min() > 0.0
        assert_allclose(rows.value, bare.value + rows.margin, rtol=1e-9)
        dso.relinearise(0.2 * powers(3))


def test_rows_without_a_multiplier_are_idle_and_forgotten(two_feeders: Any) -> None:
    dso = make(two_feeders)
    dso.relinearise(0.6 * powers(0))
    dso.add_violated(powers(1))
    rows, count = dso.rows, len(dso.rows)
    rows.nu = np.where(np.arange(count) % 3 == 0, 0.5, 0.0)
    rows.idle = np.full(count, 4)
    rows.count_idle()
    assert_array_equal(rows.idle, np.where(rows.nu > 0, 0, 5))
    rows.drop_idle(5)
    assert len(rows) == count
    kept = rows.key[rows.nu > 0].copy()
    rows.drop_idle(4)
    assert_array_equal(rows.key, kept)
    assert all(len(getattr(rows, name)) == len(kept) for name in COLUMNS)
    rows.keep(np.arange(len(kept)) == 1)
    assert_array_equal(rows.key, kept[1:2])


def test_a_copy_has_no_multipliers_and_lives_on_its_own(two_feeders: Any) -> None:
    dso = make(two_feeders)
    dso.relinearise(0.6 * powers(0))
    dso.add_violated(powers(1))
    dso.rows.nu[:] = 2.0
    other = Rows(dso.guard, BUSES)
    other.adopt(dso.rows)
    for name in COLUMNS:
        one, same = getattr(other, name), getattr(dso.rows, name)
        assert not np.shares_memory(one, same)
        assert_array_equal(one, np.zeros_like(same) if name == "nu" else same)
    assert (dso.rows.nu == 2.0).all()


@pytest.mark.parametrize(("turn", "length"), [(1, 4), (3, 2), (0, 3)])
def test_rows_move_with_their_steps(two_feeders: Any, turn: int, length: int) -> None:
    """A row of step t is one of step t - turn, or the day after where that is past."""
    dso = make(two_feeders)
    dso.relinearise(0.6 * powers(0))
    dso.add_violated(powers(1))
    dso.rows.nu = 1.0 + np.arange(float(len(dso.rows)))
    later = dso.rows.later(turn, STEPS, length, Guard(dso.limits))
    assert (np.diff(later.step) >= 0).all()
    old = dso.rows
    moved = {
        ((t - turn) % STEPS, k, i, u): nu
        for t, k, i, u, nu in zip(old.step, old.kind, old.index, old.direction, old.nu, strict=True)
        if (t - turn) % STEPS < length
    }
    found = zip(later.step, later.kind, later.index, later.direction, strict=True)
    assert dict(zip(found, later.nu, strict=True)) == moved
    assert_array_equal(later.key, row_keys(later.limits, later.step, later.kind, later.index, later.direction))
