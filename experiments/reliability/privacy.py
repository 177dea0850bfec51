"""What an operator learns of devices from the messages of one day: ``python -m experiments.reliability.privacy``.

rural3/day with batteries, inverters and plants of drawn sizes, and the same with cars in half of the homes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from admmflex import scenario
from admmflex.coordination.community import Community
from admmflex.coordination.schemes import Sorted
from admmflex.data.study import Study
from admmflex.horizon import Array, BoolArray
from experiments.compare import ROOT, central, excess, gap
from experiments.reliability.guesses import Devices, guess, public, truth
from experiments.reliability.seen import Noise, agreed, watched, with_sizes

DAY = "rural3/day"
CARS = {"share": 0.5, "charger_kw": 11, "capacity_kwh": [40, 80]}


@dataclass(frozen=True)
class Way:
    """A way of exchanging messages; ``probe`` [EUR/kWh] is asked twice more, for the price of nothing."""

    name: str
    noise: Noise = field(default_factory=Noise)
    mixing: bool = True
    probe: float = 0.0
    cars: bool = False


WAYS = (
    Way("as agreed"),
    Way("without mixing", mixing=False),
    Way("two questions more", probe=0.5),
    Way("prices + 0.005 EUR/kWh", Noise(price=0.005)),
    Way("prices + 0.02 EUR/kWh", Noise(price=0.02)),
    Way("powers + 0.1 kW", Noise(power=0.1)),
    Way("powers + 0.5 kW", Noise(power=0.5)),
    Way("with cars", cars=True),
)


@dataclass(frozen=True)
class Row:
    """What was learned in one way, of the buses with one home and of those with several.

    Args:
        buses: with a battery.
        storage_right: share of all buses where it is known whether anything is stored.
        power, inverter, sun: median of the errors, and the share of buses within 5 %.
        capacity, moved: median relative error; capacity also of guessing the mean.
        cars_found, cars_wrong: of the buses with a car, and of those without.
        gap, rounds, answers, voltage_pu, loading: of the plan.
    """

    way: str
    homes: str
    buses: int
    storage_right: float
    power: tuple[float, float]
    inverter: tuple[float, float]
    sun: tuple[float, float]
    capacity: tuple[float, float]
    capacity_by_mean: tuple[float, float]
    moved: tuple[float, float]
    cars_found: float
    cars_wrong: float
    status: str
    gap: float
    rounds: int
    answers: int
    voltage_pu: float
    loading: float


def day(*, cars: bool, seed: int = 0) -> Study:
    """The day, with drawn sizes."""
    document: dict[str, Any] = yaml.safe_load((ROOT / f"{DAY}.yaml").read_text(encoding="utf-8"))
    if cars:
        document["prosumers"]["adoption"]["ev"] = CARS
    spec = scenario.ScenarioSpec.model_validate(document)
    return with_sizes(scenario.build(scenario.Scenario(ROOT / f"{DAY}.yaml", "", spec)), seed)


def measure(study: Study, way: Way, reference_eur: float) -> list[Row]:
    """Coordinate in one way, guess, compare."""
    half = np.repeat([way.probe, -way.probe], [study.horizon.steps // 2, study.horizon.steps - study.horizon.steps // 2])
    probes = [half, -half] if way.probe else []
    found, seen, ordered = watched(study, way.noise, mixing=way.mixing, questions=probes)
    plan = agreed(found, ordered, study)
    right = truth(ordered, seen.moved_kwh)
    guessed = guess(seen, public(ordered, study.horizon))
    homes = np.bincount(ordered.bus, minlength=len(ordered.buses))
    over = excess(study, plan)
    told = {
        "status": found.status, "gap": gap(plan.cost, reference_eur), "rounds": found.rounds,
        "answers": found.answers, "voltage_pu": over[0], "loading": over[1],
    }  # fmt: skip
    groups = {"one": homes == 1, "several": homes > 1}
    return [_row(way.name, name, right, guessed, which, told) for name, which in groups.items()]


def _row(way: str, homes: str, right: Devices, guessed: Devices, which: BoolArray, told: dict[str, Any]) -> Row:
    stores, plants = which & (right.capacity_kwh > 0.0), which & (right.inverter_kwp > 0.0)
    mean = np.full(len(which), right.capacity_kwh[stores].mean())

    def error(of: Array, true: Array, where: BoolArray) -> tuple[float, float]:
        relative = np.abs(of[where] / true[where] - 1.0)
        return float(np.median(relative)), float((relative <= 0.05).mean())

    return Row(
        way,
        homes,
        int(stores.sum()),
        float((guessed.storage == right.storage)[which].mean()),
        power=error(guessed.power_kw, right.power_kw, stores),
        inverter=error(guessed.inverter_kwp, right.inverter_kwp, plants),
        sun=error(guessed.sun_kwp, right.inverter_kwp, plants),
        capacity=error(guessed.capacity_kwh, right.capacity_kwh, stores),
        capacity_by_mean=error(mean, right.capacity_kwh, stores),
        moved=error(guessed.moved_kwh, right.moved_kwh, stores),
        cars_found=_share(guessed.car, which & right.car),
        cars_wrong=_share(guessed.car, which & ~right.car),
        **told,
    )


def _share(found: BoolArray, where: BoolArray) -> float:
    return float(found[where].mean()) if where.any() else float("nan")
