"""The three seasons by prices and centrally: ``python -m experiments.homes.run``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from admmflex import scenario
from admmflex.data import study as data
from experiments import compare
from experiments.benchmarks.common import versions
from experiments.compare import Compared, percent
from experiments.homes.day import SEASONS, Strain, solve, strain
from experiments.homes.promises import Kept, kept

GAP = 1e-3
ANSWERS = 40
PROMISE = 1e-6  # kWh, K
VOLTAGE, LOADING = 1e-4, 1e-3  # pu, fraction: within the limits


@dataclass(frozen=True)
class Season:
    """What was found of one season.

    Args:
        alone_eur, alone: cost and strain of the homes for themselves.
        row: by prices beside the central optimum.
        promises: of the plan agreed by prices.
        responses: who answered for the homes, and how often one fell back on the quadratic program.
    """

    name: str
    homes: int
    alone_eur: float
    alone: Strain
    row: Compared
    promises: Kept
    responses: dict[str, Any]

    @property
    def missed(self) -> list[str]:
        """The goals that are missed."""
        row = self.row
        tests = {
            row.status: row.status != "optimal",
            "gap": row.gap > GAP,
            "limits": row.voltage_pu > VOLTAGE or row.loading > LOADING,
            "answers": row.answers > ANSWERS,
            "promises": max(asdict(self.promises).values()) > PROMISE,
        }
        return [name for name, miss in tests.items() if miss]

    def record(self) -> dict[str, Any]:
        """The season as it is written to JSON."""
        alone = {"cost_eur": self.alone_eur, "v_max": self.alone.v_max, "v_min": self.alone.v_min}
        alone |= {"loading": float(self.alone.loading.max()), "broken_steps": self.alone.broken}
        found = {"season": self.name, "homes": self.homes, "alone": alone, **compare.record(self.row)}
        return {**found, "promises": asdict(self.promises), "responses": self.responses, "missed": self.missed}


def find(name: str, seed: int | None = None) -> Season:
    """Solve the day of a season, by prices twice so that the times do not count compiling, and centrally.

    Args:
        seed: of what the homes own, instead of the one in the file.
    """
    source = scenario.load(compare.ROOT / "homes" / f"{name}.yaml")
    chosen = source.spec if seed is None else source.spec.model_copy(update={"seed": seed})
    study = data.build(chosen, source.folder)
    compare.by_price(study)
    day, seconds = solve(study)
    row = compare.compared(study, day.outcome, seconds, compare.central(study))
    title = name if seed is None else f"{name}, seed {seed}"
    alone, promises = strain(study, day.before), kept(study, day.after)
    return Season(title, len(study.prosumers), day.before.cost, alone, row, promises, day.outcome.responses)


def tables(seasons: Sequence[Season]) -> list[Table]:
    """By themselves; by prices and centrally; limits and promises."""
    alone = Table("by themselves", "homes", "cost, EUR", "limits broken", "voltage, pu", "loading")
    agreed = Table("by prices", "cost, EUR", "central", "gap", "certified", "answers", "s", "central s")
    checked = Table("checked", "over V, pu", "over I", "cars, kWh", "rooms, K", "batteries, kWh", "fallbacks", "missed")
    for one in seasons:
        row, bad, own = one.row, one.alone, one.promises
        voltage, loading = f"{bad.v_min:.4f} to {bad.v_max:.4f}", f"{100 * bad.loading.max():.0f} %"
        alone.add_row(one.name, str(one.homes), f"{one.alone_eur:.2f}", f"{bad.broken} steps", voltage, loading)
        costs = [f"{row.cost_eur:.4f}", f"{row.reference_eur:.4f}", percent(row.gap), percent(row.certified)]
        agreed.add_row(one.name, *costs, str(row.answers), f"{row.seconds:.1f}", f"{row.central_s:.0f}")
        breaches = [f"{value:.0e}" for value in (own.cars_kwh, own.rooms_k, own.batteries_kwh)]
        over = [f"{row.voltage_pu:.0e}", f"{100 * row.loading:.4f} %"]
        fallbacks = str(one.responses.get("fallbacks", 0))
        checked.add_row(one.name, *over, *breaches, fallbacks, ", ".join(one.missed) or "none")
    return [alone, agreed, checked]


def main(arguments: Sequence[str] | None = None) -> None:
    """Solve, print and write."""
    parser = argparse.ArgumentParser(prog="python -m experiments.homes.run", description=__doc__)
    parser.add_argument("season", nargs="*", default=SEASONS, help="names of files in experiments/homes")
    parser.add_argument("--seeds", type=int, nargs="+", default=[None], help="homes drawn with these seeds")
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    chosen = parser.parse_args(arguments)
    console = Console()
    seasons = []
    for name, seed in product(chosen.season, chosen.seeds):
        with console.status(f"{name}: by prices and centrally"):
            seasons.append(find(name, seed))
    for table in tables(seasons):
        console.print(table)
    if chosen.json is not None:
        about = {
            "goal_gap": GAP,
            "goal_answers": ANSWERS,
            "goal_promises": PROMISE,
            "versions": versions("numpy", "highspy"),
        }
        found = {**about, "seasons": [one.record() for one in seasons]}
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
