"""The DSO of a scenario of the repository, and bus powers that break its limits."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from admmflex import scenario
from admmflex.data.study import Study
from admmflex.dso import Dso

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


@cache
def _study(name: str) -> Study:
    return scenario.build(scenario.load(EXPERIMENTS / f"{name}.yaml"))


@pytest.fixture(scope="session")
def dso_of() -> Callable[..., Dso]:
    """``dso_of(name, steps, **limits)``: voltage band of the day's network, or another one."""

    def make(name: str, steps: int, v_min: float = 0.95, v_max: float = 1.05) -> Dso:
        if not name.startswith("hand") and importlib.util.find_spec("simbench") is None:
            pytest.skip("simbench is not installed")
        study = _study(name)
        network = study.network.with_limits(v_min=v_min, v_max=v_max)
        limits = type(study.limits).of(network)
        buses = np.unique(network.positions([one.bus for one in study.prosumers]))
        return Dso(network, limits, buses, steps)

    return make
