"""The branch-flow model against the AC power flow: every row holds at its solutions, exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from grid.branchflow import BranchFlow
from grid.limits import Limits
from tests.grid.conftest import NETS

RADIAL = ("village", "cigre_lv")


@pytest.fixture
def case(drawn: tuple[Any, grid.Network, Any, Any]) -> tuple[grid.Network, grid.PowerFlow]:
    _, network, p, q = drawn
    return network, grid.power_flow(network, p, q).require()


@pytest.mark.parametrize("drawn", RADIAL, indirect=True)
def test_equations_hold_at_ac_solutions(case: tuple[grid.Network, grid.PowerFlow]) -> None:
    network, flow = case
    model = BranchFlow.of(network)
    for k in range(flow.v.shape[1]):
        y = model.at(flow.v[:, k])
        power = model.bus_power(y) * model.base_kva
        assert_allclose(model.drop(y), 0.0, atol=1e-11)
        assert_allclose(model.gap(y), 0.0, atol=1e-11)
        assert_allclose(power[: network.n] + 1j * power[network.n :], flow.s_bus[:, k], atol=1e-7)
        assert_allclose(model.losses(y)[0] * model.base_kva, flow.loss_kw[k], atol=1e-7)


@pytest.mark.parametrize("drawn", RADIAL, indirect=True)
@pytest.mark.parametrize("transformer", ["current", "power"])
def test_loadings_are_those_of_the_limits(case: tuple[grid.Network, grid.PowerFlow], transformer: Any) -> None:
    network, flow = case
    limits, model = Limits.of(network, transformer=transformer), BranchFlow.of(network, base_kva=20.0)
    expected = limits.loading(flow.v)
    end, squared = model.squared_loading(limits)
    powered, real, imag = model.power_loading(limits)
    assert sorted([*end, *powered]) == list(range(limits.ends))
    for k in range(flow.v.shape[1]):
        y = model.at(flow.v[:, k])
        assert_allclose(squared(y), np.abs(expected[end, k]) ** 2, rtol=1e-8, atol=1e-12)
        assert_allclose(real(y) + 1j * imag(y), expected[powered, k], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("drawn", RADIAL, indirect=True)
def test_a_fictitious_current_is_seen(case: tuple[grid.Network, grid.PowerFlow]) -> None:
    network, flow = case
    model = BranchFlow.of(network)
    y = model.at(flow.v[:, 0])
    y[3 * model.branches] += 0.1
    assert model.gap(y)[0] == pytest.approx(0.1 * model.inner(y)[0])
    assert model.surplus_kw(y) == pytest.approx(0.1 * abs(model.z[0].real) * model.base_kva, rel=1e-6)


@pytest.mark.parametrize("drawn", [name for name in NETS if name not in RADIAL], indirect=True)
def test_meshed_grids_are_refused(drawn: tuple[Any, grid.Network, Any, Any]) -> None:
    _, network, _, _ = drawn
    with pytest.raises(grid.InputError, match="meshed"):
        BranchFlow.of(network)
