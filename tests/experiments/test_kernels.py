"""The roofline: formulas of operations against operations that are counted, and the limits of the machine."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.kernels import machine, network, work
from experiments.kernels.count import Number, operations
from grid import _tree, _tree_gradients, _tree_linear
from grid._tree import LANES
from mpo import _tableau

N = 5


@pytest.fixture
def tree(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A line of N buses, and numbers for every array of the sweeps."""
    return {
        "order": np.arange(N),
        "parent": np.arange(N) - 1,
        "coefficients": rng.uniform(1.0, 2.0, (N, 6)),
        "block": rng.uniform(1.0, 2.0, (N, 6 * LANES)),
        "right": rng.uniform(1.0, 2.0, (N, 2 * LANES)),
    }


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def per_bus_and_step(kernel: str, module: object, *arguments: np.ndarray) -> float:
    return operations((module,), kernel, *arguments) / ((N - 1) * LANES)


def test_what_is_said_of_the_sweeps_is_what_is_counted(tree: dict[str, np.ndarray]) -> None:
    order, parent, factors, block, right = tree.values()
    assert per_bus_and_step("_to_root", _tree, block, order, parent, factors) == network.TO_ROOT[0]
    assert per_bus_and_step("_to_leaves", _tree, block, order, parent, factors, np.zeros(LANES)) == network.TO_LEAVES[0]
    own = operations((_tree_linear,), "factor", order, parent, factors, block) / (N - 1)
    assert own == network.FACTOR[0] * LANES + 12, "besides two products of admittances per bus"
    given = order, parent, factors, block, right
    both = sum(per_bus_and_step(name, _tree_linear, *given) for name in ("_eliminate", "_substitute"))
    assert both + 6 == network.SOLVE[0], "besides the right-hand side"
    table, p, q = np.ones((N, 8)), np.ones((4, N)), np.ones((4, N))
    assert (
        operations((_tree_gradients,), "_descend4", parent, table, np.arange(4), p, q)
        == 4 * (N - 1) * network.DESCENT[0]
    )


def test_counting_does_what_the_kernel_does(rng: np.random.Generator) -> None:
    base, flips = rng.normal(size=(4, 7)), np.array([1, 2])
    compiled, interpreted = np.zeros((4, 7)), np.zeros((4, 7), object)
    assert _tableau.transform(base, 4, flips, 2, compiled, np.zeros((2, 2)))
    assert operations((_tableau,), "transform", base, 4, flips, 2, interpreted, np.zeros((2, 2))) > 0
    np.testing.assert_allclose(np.vectorize(float)(interpreted), compiled, rtol=1e-14)
    assert isinstance(interpreted[0, 0], Number)


def test_no_kernel_can_be_above_its_roof() -> None:
    limits = machine.measure()
    assert limits.peak > 1e8
    assert limits.level(1e3) == "L1"
    assert limits.level(1e12) == "DRAM"
    assert limits.bound(1e6, 1e3) == limits.peak
    assert limits.bound(0.1, 1e12) == pytest.approx(0.1 * limits.bandwidth["DRAM"])
    values = np.zeros(100)
    one = work.Work("copy", "number", 100.0, lambda: values.copy(), 1.0, 16.0, 1600.0, "")
    assert 0.0 < work.measure(one, limits).share < 1.0
