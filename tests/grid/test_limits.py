"""Rows of the limits against the formulas of their page, one by one in plain Python, and against differences in V."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import grid
from grid.limits import BRANCH, KINDS, SLACK, V_HIGH, V_LOW

STEPS = 4
SHARES = {"line_loading": 0.8, "transformer_loading": 0.9}
KIND = Literal["current", "power"]
BOTH: list[KIND] = ["current", "power"]


def voltages(network: grid.Network) -> Any:
    rng = np.random.default_rng(0)
    shape = (network.n, STEPS)
    return rng.uniform(0.9, 1.1, shape) * np.exp(1j * rng.uniform(-0.1, 0.1, shape))


def by_hand(network: grid.Network, v: Any, k: int, transformer: str) -> list[tuple[int, bool, bool, complex]]:
    """Branch, from end, apparent power, loading over what may be used, of every end that has a rating."""
    found = []
    for b in range(network.m):
        f, t = network.from_bus[b], network.to_bus[b]
        share = SHARES["transformer_loading" if network.is_transformer[b] else "line_loading"]
        power = bool(network.is_transformer[b]) and transformer == "power"
        for at_from in (True, False):
            if at_from:
                current, end, most = network.y_ff[b] * v[f, k] + network.y_ft[b] * v[t, k], f, network.i_max_from[b]
            else:
                current, end, most = network.y_tf[b] * v[f, k] + network.y_tt[b] * v[t, k], t, network.i_max_to[b]
            most, load = (network.s_max[b], v[end, k] * np.conj(current)) if power else (most, current)
            if np.isfinite(most):
                found.append((b, at_from, power, complex(load / (share * most))))
    return found


def test_kinds_are_numbered_without_a_gap() -> None:
    assert sorted([V_HIGH, V_LOW, BRANCH, SLACK]) == list(range(KINDS))


@pytest.mark.parametrize("transformer", BOTH)
def test_loadings_are_those_of_the_formulas(two_feeders: Any, transformer: KIND) -> None:
    limits, v = grid.Limits.of(two_feeders, transformer=transformer, **SHARES), voltages(two_feeders)
    for k in range(STEPS):
        wanted = by_hand(two_feeders, v, k, transformer)
        assert limits.ends == len(wanted) == 10
        assert [*zip(limits.branch, limits.at_from, limits.as_power, strict=True)] == [one[:3] for one in wanted]
        assert_allclose(limits.loading(v)[:, k], [one[3] for one in wanted], rtol=1e-12)
    high, low, over = limits.excess(v)
    assert_allclose(high[1:], (np.abs(v) - two_feeders.v_max[:, None])[1:], rtol=1e-12)
    assert_allclose(low[1:], (two_feeders.v_min[:, None] - np.abs(v))[1:], rtol=1e-12)
    assert np.isneginf(high[0]).all()
    assert np.isneginf(low[0]).all()
    assert_allclose(over, np.abs(limits.loading(v)) - 1.0, rtol=1e-12)


def test_all_of_the_rating_may_be_used_by_default(two_feeders: Any) -> None:
    v, k = voltages(two_feeders), 1
    plain = grid.Limits.of(two_feeders)
    assert not plain.as_power.any()
    whole = grid.Limits.of(two_feeders, line_loading=1.0, transformer_loading=1.0, transformer="current")
    assert_array_equal(plain.loading(v), whole.loading(v))
    shares = np.where(two_feeders.is_transformer[plain.branch], 0.9, 0.8)
    assert_allclose(plain.loading(v)[:, k] / shares, [one[3] for one in by_hand(two_feeders, v, k, "current")])


def every_row(limits: grid.Limits) -> tuple[Any, Any]:
    """Kind and index of all voltage and branch rows, kinds in no order."""
    bus, end = np.arange(limits.network.n), np.arange(limits.ends)
    kind = np.concatenate([np.full(limits.ends, BRANCH), np.full(len(bus), V_LOW), np.full(len(bus), V_HIGH)])
    return kind, np.concatenate([end, bus, bus])


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("transformer", BOTH)
def test_differentials_are_differences_in_the_voltages(two_feeders: Any, transformer: KIND, given: bool) -> None:
    """Re(h_a dV_a + h_b dV_b); a row in a given direction is another one than the row in its own."""
    limits, v, k = grid.Limits.of(two_feeders, transformer=transformer, **SHARES), voltages(two_feeders), 2
    (kind, index), rng = every_row(limits), np.random.default_rng(1)
    step, load = np.full(len(kind), k), limits.loading(v)[:, k]
    own = np.ones(len(kind), complex)
    own[kind == BRANCH] = load / np.abs(load)
    direction = own * np.exp(1j * rng.uniform(-1.0, 1.0, len(kind))) if given else own
    row = limits.functional(v, step, kind, index, direction if given else None)
    wanted = np.concatenate(
        [
            (np.conj(direction[: limits.ends]) * [one[3] for one in by_hand(two_feeders, v, k, transformer)]).real
            - 1.0,
            two_feeders.v_min - np.abs(v[:, k]),
            np.abs(v[:, k]) - two_feeders.v_max,
        ]
    )
    assert_allclose(row.value, wanted, rtol=1e-10)
    dv, h = rng.normal(size=v.shape) + 1j * rng.normal(size=v.shape), 1e-6
    up, down = (limits.functional(v + s * h * dv, step, kind, index, direction).value for s in (1, -1))
    both = row.bus_a != row.bus_b
    assert_array_equal(both, kind == BRANCH)
    found = (row.h_a * dv[row.bus_a, k] + row.h_b * dv[row.bus_b, k]).real
    assert_allclose(found, (up - down) / (2 * h), atol=1e-6 * np.abs(found).max())
    assert not row.root.any()


@pytest.mark.parametrize("transformer", BOTH)
def test_an_idle_branch_has_a_row_all_the_same(two_feeders: Any, transformer: KIND) -> None:
    """Without current its direction is that of the real axis."""
    bare = replace(two_feeders, y_ff=-two_feeders.y_ft, y_tt=-two_feeders.y_ft, y_tf=two_feeders.y_ft)
    limits, v = grid.Limits.of(bare, transformer=transformer), np.ones((bare.n, 1), complex)
    end, zero = np.arange(limits.ends), np.zeros(limits.ends, int)
    row = limits.functional(v, zero, zero + BRANCH, end)
    assert_allclose(row.value, -1.0)
    same = limits.functional(v, zero, zero + BRANCH, end, np.ones(limits.ends))
    assert_allclose([row.h_a, row.h_b], [same.h_a, same.h_b])
    assert np.abs(row.h_a).min() > 0.0


def slack_limits(network: grid.Network) -> grid.Limits:
    step = np.arange(STEPS, dtype=float)
    cap = grid.Connection(-10 - step, 20 + step, -5 - step, 7 + step, 40.0 + step)
    return replace(grid.Limits.of(network), connection=cap)


def test_rows_of_the_slack_stand_beside_the_others(two_feeders: Any) -> None:
    limits, v = slack_limits(two_feeders), voltages(two_feeders)
    cap, own = limits.connection, np.arange(STEPS) * (1.0 - 2.0j)
    assert cap is not None
    kind, index, step = np.array([SLACK, BRANCH, SLACK]), np.array([3, 4, 0]), np.array([1, 2, 3])
    row = limits.functional(v, step, kind, index, own=own)
    drawn = grid.drawn_kw(two_feeders, v, own)
    low = (cap.q_min[1] - drawn[1].imag) / cap.base_kw[1]
    high = (drawn[3].real - cap.p_max[3]) / cap.base_kw[3]
    assert_allclose(row.value[[0, 2]], [low, high], rtol=1e-12)
    assert_allclose(row.root, [-1j / cap.base_kw[1], 0.0, -1.0 / cap.base_kw[3]])
    assert_allclose(row.value[1], limits.functional(v, [2], [BRANCH], [4]).value[0])
    assert not np.concatenate([row.h_a, row.h_b])[[0, 2, 3, 5]].any()
    unlimited = grid.Limits.of(two_feeders).functional(v, step, kind, index, own=own)
    assert not unlimited.value[[0, 2]].any()
    assert_allclose(limits.functional(v, [1], [SLACK], [3]).value, (cap.q_min[1] - drawn[1].imag - own[1].imag) / 41.0)


def test_what_the_slack_exceeds_counts_from_nothing_injected_there(two_feeders: Any) -> None:
    limits, v = slack_limits(two_feeders), voltages(two_feeders)
    none = limits.connection_excess(v, np.zeros(STEPS, complex))
    assert_allclose(limits.connection_excess(v), none)
    moved = limits.connection_excess(v, np.ones(STEPS, complex)) - none
    assert_allclose(moved * limits.connection.base_kw, np.array([[-1.0], [1.0], [0.0], [0.0]]) * np.ones(STEPS))
    assert_array_equal(grid.Limits.of(two_feeders).connection_excess(v), np.full((4, STEPS), -np.inf))
    assert grid.Limits.of(two_feeders).closed is None
    assert grid.Limits.of(two_feeders).at(slice(1)).connection is None
    closed = replace(limits, connection=grid.Connection.closed(np.ones(STEPS)))
    assert closed.closed is not None
    assert closed.closed.all()
    one_open = grid.Connection(np.zeros(2), np.array([0.0, 1.0]), np.zeros(2), np.zeros(2), np.ones(2))
    assert_array_equal(replace(limits, connection=one_open).closed, [True, False])


def test_the_worst_is_named(two_feeders: Any) -> None:
    """The slack does not count, nor do steps without a solution."""
    limits, v = grid.Limits.of(two_feeders, transformer="power"), np.ones((7, STEPS), complex)
    v[0], v[3, 1], v[5, 2], v[:, 0] = 1.3, 1.08, -0.91j, np.nan
    found = limits.worst(v)
    assert (found[V_HIGH].value, found[V_HIGH].step, found[V_HIGH].index) == (1.08, 1, 3)
    assert found[V_HIGH].label == "voltage at bus 13 'b'"
    assert (found[V_LOW].value, found[V_LOW].step, found[V_LOW].index) == (0.91, 2, 5)
    assert found[V_LOW].label == "voltage at bus 15 'd'"
    load = np.abs(limits.loading(v))
    end, step = np.unravel_index(int(np.nanargmax(load)), load.shape)
    assert (found[BRANCH].value, found[BRANCH].step, found[BRANCH].index) == (load[end, step], step, end)
    assert limits.worst(v[:, :1]) == {}
    assert [found[kind].kind for kind in (V_HIGH, V_LOW, BRANCH)] == [V_HIGH, V_LOW, BRANCH]


def test_every_end_is_named(two_feeders: Any) -> None:
    limits = grid.Limits.of(two_feeders, transformer="power")
    assert [limits.label(BRANCH, i) for i in range(4)] == [
        "apparent power of trafo 0 'station' at its hv side",
        "apparent power of trafo 0 'station' at its lv side",
        "current of line 1 'v' at its from end",
        "current of line 1 'v' at its to end",
    ]
    assert slack_limits(two_feeders).label(SLACK, 1) == "active power given to the upstream grid"
    assert slack_limits(two_feeders).label(V_LOW, 2) == "voltage at bus 12 'a'"


def test_all_faults_of_the_options_are_named(two_feeders: Any) -> None:
    with pytest.raises(grid.InputError) as caught:
        grid.Limits.of(two_feeders, transformer="heat", line_loading=0.0, transformer_loading=-1.0)  # type: ignore[arg-type]
    for part in ("transformer = 'heat'", "line_loading = 0.0", "transformer_loading = -1.0"):
        assert part in str(caught.value)
    assert grid.Limits.of(two_feeders, line_loading=0.01).ends == 10
