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
from admmflex.data.spec import ScenarioSpec
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
    spec = ScenarioSpec.model_validate(document)
    return with_sizes(scenario.build(scenario.Scenario(ROOT / f"{DAY}.yaml", "", spec)), seed)


def measure(study: Study, way: Way, reference_eur: float) -> list[Row]:
    """Coordinate in one way, guess, compare."""
    half = np.where(np.arange(study.horizon.steps) < study.horizon.steps // 2, way.probe, -way.probe)
    probes = [half, -half] if way.probe else []
    found, seen, ordered = watched(study, way.noise, mixing=way.mixing, questions=probes)
    plan = agreed(found, ordered, study)
    right = truth(ordered, np.mean(seen.moved_kwh, axis=0))
    pushed = way.noise.price > 0.0
    guessed = guess(seen, public(ordered, study.horizon), both_ways=(pushed or way.probe > 0.0, pushed))
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


def table(rows: Sequence[Row]) -> Table:
    """Errors as median, and share within 5 % where that says more."""
    shown = Table("messages", "homes", "power", "inverter", "PV by sun", "capacity", "moved", "gap", "answers", "over")
    for one in rows:
        error = [f"{_percent(median)} ({_percent(close)})" for median, close in (one.power, one.inverter, one.sun)]
        error += [_percent(one.capacity[0]), _percent(one.moved[0])]
        over = f"{one.voltage_pu:.0e}, {_percent(one.loading, 1)}"
        shown.add_row(one.way, one.homes, *error, _percent(one.gap, 2), str(one.answers), over)
    return shown


def _percent(share: float, digits: int = 0) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.{digits}f} %"


def summary(rows: Sequence[Row]) -> list[str]:
    """What the table has no room for."""
    found = []
    for one in (row for row in rows if row.way in (WAYS[0].name, WAYS[-1].name)):
        found.append(
            f"{one.way}, {one.homes} home(s) at a bus, {one.buses} buses with a battery: whether anything stores "
            f"energy is right at {_percent(one.storage_right)}; guessing the mean capacity errs by "
            f"{_percent(one.capacity_by_mean[0])}; cars found {_percent(one.cars_found)}, wrongly "
            f"{_percent(one.cars_wrong)}"
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Every way, one after the other."""
    parser = argparse.ArgumentParser(prog="python -m experiments.reliability.privacy", description=__doc__)
    parser.add_argument("--ways", nargs="+", choices=[way.name for way in WAYS], default=[way.name for way in WAYS])
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    given = parser.parse_args(arguments)
    rows: list[Row] = []
    plain, with_cars = day(cars=False), day(cars=True)
    best: dict[bool, float] = {}
    for way in (one for one in WAYS if one.name in given.ways):
        study = with_cars if way.cars else plain
        if way.cars not in best:  # with cars the whole problem takes minutes
            best[way.cars] = np.nan if way.cars else central(study)[0].cost
        rows += measure(study, way, best[way.cars])
        if given.json is not None:
            given.json.write_text(json.dumps([vars(one) for one in rows], indent=2) + "\n", encoding="utf-8")
    console = Console(width=140)
    console.print(table(rows))
    for line in summary(rows):
        console.print(line, highlight=False)


if __name__ == "__main__":
    main()
