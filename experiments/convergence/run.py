"""Answers and true gap of the price coordination against its settings.

Each trial changes one factor. A plan is what a run could implement: the mix of past answers, or the answers
themselves. The gap is the true one, to the central optimum of the same day.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from admmflex.coordination.central import CentralResult
from admmflex.coordination.coordinated import Coordinated
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import meets_limits
from admmflex.data.study import Study
from admmflex.errors import SolverError
from admmflex.horizon import Array
from experiments import compare
from experiments.benchmarks.common import versions
from experiments.compare import Compared, percent
from experiments.convergence.figure import write_figure
from experiments.convergence.trials import DEEP, QUICK, Trial, Variant, trials
from experiments.convergence.warm import warmed

TARGET = 1e-3  # of the gap
GOAL = 30  # answers of each home


@dataclass(frozen=True)
class Finding:
    """What one trial showed.

    Args:
        to_target: answers of each home up to the first plan within ``TARGET`` of the optimum that meets the limits in
            the AC power flow; None when the run stopped before.
        end: the plan at the stop; None when a solver failed.
    """

    trial: Trial
    homes: int
    to_target: int | None
    end: Compared | None

    @property
    def faults(self) -> str:
        """Which goal the run misses: the gap or the limits of the plan at its stop, the answers up to the target."""
        if self.end is None:
            return "solver failed"
        late = self.to_target is None or self.to_target > GOAL
        found = {self.end.status: self.end.status != "optimal", "gap": self.end.gap > TARGET, "answers": late}
        return ", ".join(name for name, missed in found.items() if missed)

    def record(self) -> dict[str, Any]:
        """The finding as it is written to JSON."""
        trial, end = self.trial, {} if self.end is None else compare.record(self.end)
        named = {"factor": trial.factor, "value": trial.value, "day": trial.variant.day, "homes": self.homes}
        return {**named, "answers_to_target": self.to_target, **end, "missed": self.faults}


@cache
def study(variant: Variant) -> Study:
    """The study of a variant."""
    return variant.apply(compare.study(variant.day))


@cache
def optimum(variant: Variant) -> tuple[CentralResult, float]:
    """Central optimum of a variant, once, and its seconds."""
    return compare.central(study(variant))


def find(trial: Trial) -> Finding:
    """Run a trial."""
    day, best = study(trial.variant), optimum(trial.variant.reference)
    settings = trial.settings(day)
    try:
        if trial.forecast is None:
            outcome, seconds = compare.by_price(day, settings)
            history, end = outcome.history, compare.compared(day, outcome, seconds, best)
        else:
            found, seconds = warmed(day, settings, trial.forecast)
            history, end = found.history, _warm_end(found, seconds, best)
    except SolverError:
        return Finding(trial, len(day.prosumers), None, None)
    return Finding(trial, len(day.prosumers), answers_to_target(history, best[0].cost, settings), end)


def _warm_end(found: Coordinated, seconds: float, best: tuple[CentralResult, float]) -> Compared:
    """The end of a warm run; the cost is the upper bound that mixing reports."""
    volts, loading = map(float, found.plan.excess)
    bound, rounds, cost = found.lower_bound, found.rounds, found.plan.cost
    return Compared(
        found.status, cost, best[0].cost, bound, volts, loading, rounds, found.answers, seconds, central_s=best[1]
    )


def answers_to_target(history: Sequence[Mapping[str, Any]], reference: float, settings: AdmmSettings) -> int | None:
    """Answers up to the first round with a plan, mixed or not, within ``TARGET`` and within the limits."""
    for record in history:
        for cost, over in plans(record):
            if compare.gap(cost, reference) <= TARGET and meets_limits(over, settings):
                return int(record["answers"])
    return None


def plans(record: Mapping[str, Any]) -> Iterator[tuple[float, Array]]:
    """Cost [EUR] and excess [pu, fraction] of the plans of a round: the answers, and the mix if there was one."""
    for kind in ("", "mix_"):
        if f"{kind}cost_eur" in record:
            over = [record[f"{kind}{name}"] for name in ("voltage_excess_pu", "loading_excess")]
            yield record[f"{kind}cost_eur"], np.array(over)


def table(findings: Sequence[Finding]) -> Table:
    """Everything that was found, by day and factor."""
    shown = Table(
        *("day", "factor", "value", "homes", "to 0.1 %", "at stop", "gap", "certified", "over V, pu", "over I, %", "s"),
        "misses",
    )
    for one, after in zip(findings, [*findings[1:], None], strict=True):
        trial, answers = one.trial, "-" if one.to_target is None else str(one.to_target)
        group = (trial.variant.day, trial.factor)
        last = after is None or (after.trial.variant.day, after.trial.factor) != group
        shown.add_row(*group, trial.value, str(one.homes), answers, *_cells(one.end), one.faults, end_section=last)
    return shown


def _cells(end: Compared | None) -> list[str]:
    if end is None:
        return ["-"] * 6
    numbers = [f"{end.voltage_pu:.1e}", f"{100 * end.loading:.4f}", f"{end.seconds:.2f}"]
    return [str(end.answers), percent(end.gap), percent(end.certified), *numbers]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all trials, print the table, write the figure and the JSON."""
    parser = argparse.ArgumentParser(prog="python -m experiments.convergence", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    parser.add_argument("--figure", type=Path, help="also draw the gap over the answers, into this HTML file")
    parser.add_argument("--quick", action="store_true", help="one small day only")
    chosen = parser.parse_args(arguments)
    started = time.perf_counter()
    console = Console()
    days = QUICK if chosen.quick else DEEP
    for day in days:
        compare.by_price(study(Variant(day)))  # loads and compiles what the times should not count
    findings = [find(trial) for trial in track(trials(quick=chosen.quick), "trials", console=Console(stderr=True))]
    console.print(table(findings))
    if chosen.figure is not None:
        write_figure({day: (study(Variant(day)), optimum(Variant(day))[0].cost) for day in days}, chosen.figure)
    seconds = time.perf_counter() - started
    console.print(f"{len(findings)} runs, {sum(bool(one.faults) for one in findings)} miss a goal; {seconds:.0f} s")
    if chosen.json is not None:
        about = {"target_gap": TARGET, "goal_answers": GOAL, "seconds": seconds, "versions": versions("numpy", "numba")}
        found = {**about, "runs": [one.record() for one in findings]}
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
