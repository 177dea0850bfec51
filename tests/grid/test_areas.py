"""A grid taken apart at its substations is the same grid: power flow, limits, and what cannot be divided."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import grid

STEPS = 4


@pytest.fixture(scope="module")
def region(two_levels: Any) -> grid.Network:
    """The region with shunts on the trunk, where areas hang on, and inside an area."""
    network = grid.read(two_levels())
    shunt = network.shunt_y.copy()
    shunt[network.positions([3, 9])] = 0.002 + 0.01j, 0.001 - 0.002j
    return replace(network, shunt_y=shunt)


def injections(network: grid.Network) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    low = np.where(network.base_kv < 1.0, 1.0, 10.0)[:, None]
    return low * rng.uniform(-6.0, 6.0, (network.n, STEPS)), low * rng.uniform(-2.0, 2.0, (network.n, STEPS))


def by_parts(network: grid.Network, division: grid.Division, p: Any, q: Any) -> Any:
    """(n, K) voltages: the trunk carries what the areas give at the voltages that the trunk has, until these stand."""
    trunk, v = division.trunk, np.empty((network.n, STEPS), complex)
    above = np.repeat(trunk.network.v_no_load[:, None], STEPS, axis=1)
    for _ in range(40):
        own_p, own_q = p[trunk.buses].copy(), q[trunk.buses].copy()
        for area in division.areas:
            flow = grid.power_flow(area.network, p[area.buses], q[area.buses], v_slack=above[area.at], tol=1e-13)
            drawn = grid.drawn_kw(area.network, flow.v)
            own_p[area.at] -= drawn.real
            own_q[area.at] -= drawn.imag
            v[area.buses[1:]] = flow.v[1:]
        above = grid.power_flow(trunk.network, own_p, own_q, tol=1e-13).require().v
    v[trunk.buses] = above
    return v


def test_the_power_flow_of_the_parts_is_that_of_the_whole(region: grid.Network) -> None:
    p, q = injections(region)
    division = grid.divide(region)
    assert division is not None
    whole = grid.power_flow(region, p, q, tol=1e-13).require().v
    assert np.ptp(np.abs(whole[division.trunk.buses]), axis=1).max() > 2e-3, "areas do something to the trunk"
    assert_allclose(by_parts(region, division, p, q), whole, rtol=0, atol=1e-10)


def test_every_bus_and_branch_belongs_to_one_part(region: grid.Network) -> None:
    division = grid.divide(region)
    assert division is not None
    assert sorted(len(area.buses) - 1 for area in division.areas) == [6, 6, 7, 8]
    parts = [division.trunk.buses, *(area.buses[1:] for area in division.areas)]
    assert_array_equal(np.sort(np.concatenate(parts)), np.arange(region.n))
    branches = [division.trunk.branches, *(area.branches for area in division.areas)]
    assert_array_equal(np.sort(np.concatenate(branches)), np.arange(region.m))
    for number, area in enumerate(division.areas):
        assert_array_equal(division.area_of[area.buses[1:]], number)
        assert division.trunk.buses[area.at] == area.buses[0]
        first = area.network.branch_kinds[int(np.flatnonzero(area.network.is_transformer)[0])]
        assert first == "trafo"
        assert area.network.is_transformer.sum() == 1
    assert (division.area_of[division.trunk.buses] == -1).all()


@pytest.mark.parametrize("transformer", ["current", "power"])
def test_the_limits_of_the_parts_are_those_of_the_whole(region: grid.Network, transformer: Any) -> None:
    """The same rows, by name, with the same values, each once."""
    network = region.with_limits(v_min=0.97, v_max=np.where(region.base_kv < 1.0, 1.03, 1.02))
    division = grid.divide(network)
    assert division is not None
    limits = grid.Limits.of(network, transformer=transformer, line_loading=0.8, transformer_loading=0.9)
    v = grid.power_flow(network, *injections(network)).v

    def values(own: grid.Limits, v: Any) -> list[tuple[str, Any]]:
        high, low, load = own.excess(v)
        rows = [(grid.V_HIGH, row) for row in high[1:]] + [(grid.V_LOW, row) for row in low[1:]]
        found = [(f"{kind} {own.label(kind, i % (own.network.n - 1) + 1)}", row) for i, (kind, row) in enumerate(rows)]
        return found + [(own.label(grid.BRANCH, end), row) for end, row in enumerate(load)]

    whole = values(limits, v)
    parts = [one for part in (division.trunk, *division.areas) for one in values(part.limits(limits), v[part.buses])]
    assert Counter(name for name, _ in parts) == Counter(name for name, _ in whole)
    known = dict(whole)
    for name, row in parts:
        assert_allclose(row, known[name], rtol=0, atol=1e-12, err_msg=name)


def test_a_customer_of_the_trunk_is_an_area_of_one_bus(region: grid.Network) -> None:
    division = grid.divide(region)
    assert division is not None
    position = int(region.positions([2])[0])
    own = division.busbar(region, position)
    assert (own.network.n, own.network.m) == (1, 0)
    assert division.trunk.buses[own.at] == position
    limits = own.limits(grid.Limits.of(region))
    assert limits.ends == 0
    v = np.array([1.01 + 0.02j, 0.98j])
    flow = grid.power_flow(own.network, np.ones((1, 2)), np.ones((1, 2)), v_slack=v)
    assert flow.converged.all()
    assert_allclose(flow.v[0], v)
    power = np.array([3.0 + 1.0j, -2.0 + 0.5j])
    assert_allclose(grid.drawn_kw(own.network, flow.v, power), -power, atol=1e-12)


def test_what_cannot_be_divided(two_levels: Any, region: grid.Network) -> None:
    """A meshed grid, one area behind one transformer, and low voltage alone."""
    division = grid.divide(region)
    assert division is not None
    assert grid.divide(grid.read(two_levels(tie=True))) is None
    assert grid.divide(grid.read(two_levels([(2, 5)]))) is None
    assert grid.divide(division.areas[0].network) is None
    assert grid.divide(replace(region, base_kv=np.full(region.n, 0.4))) is None
