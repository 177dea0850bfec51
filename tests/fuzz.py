"""What random tests draw from: numbers of every size, damaged cells, and small grids, trees or meshed."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pandapower as pp
from hypothesis import HealthCheck, Phase, settings

HEAVY = os.environ.get("ADMMFLEX_FUZZ")
"""How many examples of everything; without it few, and always the same."""
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e-300, 1e300, -1e300, 1e15, float("nan"), float("inf"), float("-inf"), 10**30, -(10**9),
    "", " ", "x", "nan", "1e9", "../x", "/dev/zero", "x" * 10_000, "\u202e\u00e9", "a\nb", "<script>", "[/red]", "=1+1",
    [], [0.0], [1.0, "x"], [[1.0]], [None], {}, {"a": 1}, {"p_kw": {"p_kw": 1}}, [1.0] * 10_000,
)  # fmt: skip


def examples(few: int) -> settings:
    """Settings of a random test: ``few`` examples, or as many as the environment says."""
    return settings(
        max_examples=int(HEAVY or few),
        derandomize=HEAVY is None,
        database=None,
        deadline=None,
        suppress_health_check=SLOW,
        phases=(Phase.explicit, Phase.generate) if HEAVY else tuple(Phase),
    )


def random_net(seed: int, buses: int = 12) -> Any:
    """A grid of 0.4 kV, often behind a transformer, with cables from centimetres to kilometres and r/x of 0.01 to 100.

    Loads are drawn so that some grids carry them easily and some hardly; loops, parallel cables, open ends and
    switches between buses as they come.
    """
    rng = np.random.default_rng(seed)
    net = pp.create_empty_network(name=f"random {seed}")
    for i in range(int(rng.integers(2, buses + 1))):
        pp.create_bus(net, 0.4, name=f"bus {i}")
    n = len(net.bus)
    for i in range(1, n):
        _cable(net, rng, int(rng.integers(max(0, i - 3), i)), i)
    for _ in range(int(rng.integers(0, 3)) * int(n > 3)):
        a, b = rng.choice(n, 2, replace=False).tolist()
        _cable(net, rng, a, b)
        if rng.random() < 0.5:
            pp.create_switch(net, b, len(net.line) - 1, et="l", closed=False)
    if rng.random() < 0.2:
        pp.create_switch(net, n - 1, pp.create_bus(net, 0.4), et="b", closed=bool(rng.random() < 0.8))
    start = 0
    if rng.random() < 0.6:
        start = pp.create_bus(net, 20.0)
        vk = rng.uniform(2.0, 8.0)
        pp.create_transformer_from_parameters(
            net, start, 0, 10 ** rng.uniform(-1.3, 0.0), 20.0, 0.4, rng.uniform(0.05, 0.9) * vk, vk,
            pfe_kw=rng.uniform(0.0, 0.3), i0_percent=rng.uniform(0.0, 1.0), shift_degree=int(rng.choice([0, 150])),
            tap_side="hv", tap_neutral=0, tap_min=-2, tap_max=2, tap_step_percent=2.5, tap_pos=int(rng.integers(-2, 3)),
            tap_changer_type="Ratio",
        )  # fmt: skip
    pp.create_ext_grid(net, start, vm_pu=rng.uniform(0.97, 1.03), va_degree=rng.uniform(-180.0, 180.0))
    for bus in range(n):
        if rng.random() < 0.7:
            p = 1e-3 * 10 ** rng.uniform(-3.0, 1.5) * rng.choice([-1.0, 1.0])
            pp.create_load(net, bus, p, rng.uniform(-0.5, 0.5) * p, name=f"load {bus}")
    return net


def _cable(net: Any, rng: np.random.Generator, a: int, b: int) -> None:
    z, ratio = 10 ** rng.uniform(-2.0, 0.3), 10 ** rng.uniform(-2.0, 2.0)
    r, x = z * ratio / np.hypot(1.0, ratio), z / np.hypot(1.0, ratio)
    length, parallel = 10 ** rng.uniform(-3.5, -0.2), int(rng.integers(1, 3))
    pp.create_line_from_parameters(net, a, b, length, r, x, rng.uniform(0.0, 500.0), 0.25, parallel=parallel)


def odd(rng: np.random.Generator) -> Any:
    """A value that hardly fits anywhere."""
    return ODD[int(rng.integers(len(ODD)))]
