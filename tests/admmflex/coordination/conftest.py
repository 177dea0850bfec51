"""Days from the scenarios of the repository, ready to be coordinated, and their central optimum."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.central import CentralResult, solve_central
from admmflex.coordination.community import Community
from admmflex.coordination.coordinated import Coordinated
from admmflex.coordination.schemes import Sorted
from admmflex.coordination.settings import AdmmSettings
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.horizon import Array
from admmflex.prosumers.prosumer import Prosumer
from grid.limits import Limits

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


@dataclass(frozen=True)
class Setting:
    """One study; every call of ``parts`` and ``admm`` starts anew."""

    study: Study

    @cached_property
    def ordered(self) -> Sorted:
        return Sorted.of(self.study, SerialComm())

    @cached_property
    def central(self) -> CentralResult:
        return solve_central(self.study.network, self.study.limits, self.study.prosumers, self.study.horizon)

    def parts(self) -> tuple[Community, Dso]:
        study = self.study
        dso = Dso(study.network, study.limits, self.ordered.buses, study.horizon.steps)
        return self.ordered.community(study.horizon), dso

    def admm(self, **settings: Any) -> Admm:
        return Admm(*self.parts(), SerialComm(), AdmmSettings(**settings))

    def run(self, **settings: Any) -> Coordinated:
        return self.admm(**settings).run()

    def bus_sums(self, y: Array) -> Array:
        """(K, 2 B) of powers ``(2, n, K)`` sorted by bus."""
        sums = np.zeros((2, len(self.ordered.buses), y.shape[2]))
        for part, own in zip(sums, y, strict=True):
            np.add.at(part, self.ordered.bus, own)
        return sums.reshape(-1, y.shape[2]).T

    def with_limits(self, v_min: float = 0.95, v_max: float = 1.05, loading: float = 1.0) -> Setting:
        network = self.study.network.with_limits(v_min=v_min, v_max=v_max)
        limits = Limits.of(network, line_loading=loading, transformer_loading=loading)
        return Setting(replace(self.study, network=network, limits=limits))

    def with_prosumers(self, change: Callable[[Prosumer], Prosumer | None]) -> Setting:
        changed = [change(one) for one in self.study.prosumers]
        return Setting(replace(self.study, prosumers=tuple(one for one in changed if one is not None)))


@cache
def _setting(name: str) -> Setting:
    return Setting(scenario.build(scenario.load(EXPERIMENTS / f"{name}.yaml")))


@pytest.fixture(scope="session")
def setting() -> Callable[[str], Setting]:
    """The day of ``experiments/<name>.yaml``; one that needs SimBench is skipped without it."""

    def find(name: str) -> Setting:
        if not name.startswith("hand") and importlib.util.find_spec("simbench") is None:
            pytest.skip("simbench is not installed")
        return _setting(name)

    return find
