"""Small feeders with customers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grid
from admmflex.export_limits import Customers, Scenarios
from grid.unbalanced_network import balanced


def feeder(parent: Any, z: Any, *, w: int = 3, i_max_a: float = np.inf, v: float = 1.0) -> grid.UnbalancedNetwork:
    """Lines z [pu] of 0.4 kV on a tree."""
    n = len(parent)
    none = np.zeros((n - 1, w, w), dtype=complex)
    shunt = np.zeros((n, w, w), dtype=complex)
    shunt[:, 3:, 3:] = 2.0  # the neutral is earthed everywhere
    index, names = np.arange(n), tuple(f"{i}" for i in range(n))
    return grid.UnbalancedNetwork(
        name="drawn", bus_names=names, buses=index, known_buses=index, known_positions=index,
        base_kv=np.full(n, 0.4), wires=np.ones((n, w), dtype=bool), v_slack=balanced(v, w), parent=np.array(parent),
        k=np.tile(np.eye(w), (n - 1, 1, 1)), z=np.asarray(z, dtype=complex), y_from=none, y_to=none, shunt_y=shunt,
        branch_kinds=("line",) * (n - 1), branch_names=names[1:], i_max_a=np.full(n - 1, i_max_a),
        s_max_kva=np.full(n - 1, np.inf),
    )  # fmt: skip


def tree(seed: int, w: int = 3, size: int = 12, i_max_a: float = np.inf) -> grid.UnbalancedNetwork:
    """A random tree whose conductors couple."""
    rng = np.random.default_rng(seed)
    parent = np.r_[-1, [rng.integers(max(0, i - 3), i) for i in range(1, size)]]
    length = rng.uniform(0.5, 2.0, size - 1)[:, None, None]
    return feeder(parent, ((0.25 + 0.1j) * np.eye(w) + 0.08 + 0.09j) * length, w=w, i_max_a=i_max_a)


def drawn_customers(network: grid.UnbalancedNetwork, seed: int, n: int = 9) -> Customers:
    """Customers of one phase, and a few of three."""
    rng = np.random.default_rng(seed)
    share = np.eye(3)[rng.integers(0, 3, n)]
    share[rng.random(n) < 0.2] = 1 / 3
    bus, rating = rng.integers(1, network.n, n), rng.choice([4.0, 6.0, 10.0], n)
    return Customers(network, tuple(f"home {i}" for i in range(n)), bus, share, rating)


def drawn_scenarios(customers: Customers, seed: int, count: int = 3, steps: int = 8) -> Scenarios:
    """A morning, a sunny noon, an evening."""
    rng = np.random.default_rng(seed)
    load = rng.lognormal(-0.7, 0.8, (count, customers.n, steps))
    sun = np.maximum(np.sin(np.linspace(-0.5, np.pi + 0.5, steps)), 0.0)
    sky = rng.uniform(0.5, 1.1, (count, 1, 1))
    return Scenarios(load, 0.3 * load, customers.rating_kw[:, None] * sun * sky, 0.25, "2016-06-01")


@pytest.fixture(name="drawn", scope="session")
def _drawn() -> Callable[..., tuple[Customers, Scenarios]]:
    def make(seed: int, w: int = 3, i_max_a: float = np.inf) -> tuple[Customers, Scenarios]:
        customers = drawn_customers(tree(seed, w, i_max_a=i_max_a), seed)
        return customers, drawn_scenarios(customers, seed)

    return make


@pytest.fixture(name="line", scope="session")
def _line() -> Callable[..., grid.UnbalancedNetwork]:
    return feeder
