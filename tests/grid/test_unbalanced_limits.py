"""The worst limit of a three-phase feeder is the one that a look at every voltage and current finds."""

from __future__ import annotations

import numpy as np
import pandapower.networks as nw
import pytest

import grid
from grid.unbalanced_limits import CURRENT_FROM, CURRENT_TO, POWER, UNBALANCE, VOLTAGE


@pytest.fixture(name="flow", scope="module")
def _flow():
    """The European feeder, loads and PV of 40 steps by chance."""
    case = grid.read_three_phase(nw.ieee_european_lv_asymmetric())
    at = np.unique(case.bus)
    rng = np.random.default_rng(0)
    p = rng.normal(1.0, 4.0, (len(at), 3, 40)) * (rng.random((len(at), 3, 1)) < 0.5)
    return grid.unbalanced_flow(case.network, p, 0.2 * p, at=at).require()


def tables(flow, limits):
    """Excess of every limit by kind, each (K,)."""
    net = flow.network
    u = np.abs(flow.v[1:])
    found = {VOLTAGE: np.maximum(u - limits.v_max, limits.v_min - u).max(axis=(0, 1))}
    line = np.isfinite(net.i_max_a)

    def of(amps, rated):
        return (np.abs(amps) / rated[:, None, None]).max(axis=(0, 1)) - 1.0

    ends = {CURRENT_TO: (flow.i_to_a(), net.base_kv[1:]), CURRENT_FROM: (flow.i_from_a(), net.base_kv[net.parent[1:]])}
    for kind, (amps, base) in ends.items():
        found[kind] = of(amps[line], net.i_max_a[line] * limits.line_loading)
        if limits.transformer == "current":
            rated = net.s_max_kva / (np.sqrt(3) * base) * limits.transformer_loading
            found[kind] = np.maximum(found[kind], of(amps[~line], rated[~line]))
    if limits.transformer == "power":
        i = int(np.flatnonzero(~line)[0])
        volts = flow.v_at([i + 1])[0] * net.base_kv[i + 1] / np.sqrt(3)
        kva = np.abs((volts * flow.i_to_a([i])[0].conj()).sum(axis=0))
        found[POWER] = kva / (net.s_max_kva[i] * limits.transformer_loading) - 1.0
    if limits.unbalance is not None:
        found[UNBALANCE] = np.nanmax(flow.unbalance()[1:], axis=0) - limits.unbalance
    return found


CASES = [
    ({"v_max": 1.06}, {VOLTAGE}),
    ({"v_max": 1.3, "v_min": 0.5, "line_loading": 0.3}, {CURRENT_TO, CURRENT_FROM}),
    ({"v_max": 1.3, "v_min": 0.5, "transformer_loading": 0.05}, {CURRENT_TO, CURRENT_FROM}),
    ({"v_max": 1.3, "v_min": 0.5, "transformer_loading": 0.02, "transformer": "power"}, {POWER}),
    ({"v_max": 1.3, "v_min": 0.5, "unbalance": 0.001}, {UNBALANCE}),
]


@pytest.mark.parametrize(("given", "kinds"), CASES)
def test_worst_limit(flow, given, kinds):
    limits = grid.UnbalancedLimits(flow.network, **given)
    found, expected = limits.worst(flow), tables(flow, limits)
    np.testing.assert_allclose(found.excess, np.max(list(expected.values()), axis=0), atol=2e-9)
    assert kinds & set(found.kind.tolist())
    for k, kind in enumerate(found.kind):
        assert expected[kind][k] == pytest.approx(found.excess[k], abs=2e-9)
    again = limits.worst(flow, np.unique(found.row))  # a row number stands for its limit
    np.testing.assert_array_equal(again.excess, found.excess)
    assert limits.label(int(found.kind[0]), int(found.element[0]), int(found.conductor[0]))


def test_rows_watched_first_are_never_above_all(flow):
    limits = grid.UnbalancedLimits(flow.network, v_max=1.06, line_loading=0.3)
    some = limits.worst(flow, limits.first_rows(flow.reduction)).excess
    assert (some <= limits.worst(flow).excess + 1e-15).all()


def test_limits_without_sense_are_refused(flow):
    with pytest.raises(grid.InputError) as caught:
        grid.UnbalancedLimits(flow.network, 1.1, 0.9, line_loading=-1.0, unbalance=np.nan, transformer="both")
    assert len(caught.value.faults) == 4
