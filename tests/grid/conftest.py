"""Grids that the tests of the package share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks as nw
import pytest

import grid

INJECTIONS = ("load", "sgen", "storage", "gen", "ward", "xward", "motor")


def bare(net: Any) -> Any:
    """The grid without anything that injects power."""
    for table in INJECTIONS:
        net[table] = net[table].iloc[:0]
    return net


def village() -> Any:
    """Seven buses: 20 kV slack, transformers off nominal with a tap, parallel cables, a fused busbar, an open end."""
    net = pp.create_empty_network(name="village")
    mv, lv, spare, a, b, c, d = (
        pp.create_bus(net, vn_kv=kv, name=f"Bus {i}") for i, kv in enumerate([20.0] + [0.4] * 6)
    )
    pp.create_ext_grid(net, mv, vm_pu=1.02)
    pp.create_transformer_from_parameters(
        net, mv, lv, sn_mva=0.25, vn_hv_kv=20.5, vn_lv_kv=0.41, vk_percent=6.0, vkr_percent=1.2, pfe_kw=1.2,
        i0_percent=0.4, shift_degree=150, tap_side="hv", tap_neutral=0, tap_min=-2, tap_max=2, tap_step_percent=2.5,
        tap_pos=-1, tap_changer_type="Ratio", parallel=2, name="Trafo",
    )  # fmt: skip
    pp.create_switch(net, lv, spare, et="b", closed=True)
    cables = ((lv, a, 1), (a, b, 2), (spare, c, 1), (c, d, 1))
    for n, (start, end, parallel) in enumerate(cables):
        pp.create_line(net, start, end, 0.1 + 0.05 * n, "NAYY 4x150 SE", name=f"Line {n}", parallel=parallel)
    pp.create_line(net, b, d, 0.2, "NAYY 4x150 SE", name="Tie")
    pp.create_switch(net, d, 4, et="l", closed=False)
    return net


def ring() -> Any:
    """The village with its tie closed."""
    net = village()
    net.switch.loc[net.switch.et == "l", "closed"] = True
    return net


def multivoltage() -> Any:
    """110/20/10/0.4 kV with a three-winding transformer, meshes, impedances and many switches."""
    return bare(nw.example_multivoltage())


def matrix_case() -> Any:
    """Thirty buses with loops, from a transmission test case."""
    return bare(nw.case30())


NETS: dict[str, Callable[[], Any]] = {
    "village": village,
    "ring": ring,
    "cigre_lv": lambda: bare(nw.create_cigre_network_lv()),
    "multivoltage": multivoltage,
    "case30": matrix_case,
}
SCALE_KW = {"village": 15.0, "ring": 15.0, "cigre_lv": 4.0, "multivoltage": 25.0, "case30": 2000.0}


@pytest.fixture(scope="session", params=list(NETS))
def drawn(request: pytest.FixtureRequest) -> tuple[Any, grid.Network, Any, Any]:
    """A pandapower grid, the same grid read, and random injections p, q (n, 5)."""
    net = NETS[request.param]()
    network = grid.read(net)
    rng = np.random.default_rng(len(request.param))
    real = (network.buses >= 0)[:, None] * SCALE_KW[request.param]
    p, q = rng.uniform(-1.0, 0.8, (network.n, 5)) * real, rng.uniform(-0.4, 0.3, (network.n, 5)) * real
    return net, network, p, q
