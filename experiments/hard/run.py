"""How soon prices lead to a plan within 0.1 % of the optimum and within the limits, where that is hard."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from admmflex.coordination.schemes import admm_settings
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import meets_limits
from admmflex.data.study import Study
from experiments import compare
from experiments.convergence.run import TARGET, plans
from experiments.hard.cases import CASES, Case

OPTIMA = Path(tempfile.gettempdir()) / "admmflex-hard.json"


@dataclass(frozen=True)
class Row:
    """What prices made of a case.

    Args:
        good_answers, good_s: answers of each prosumer and seconds up to the first plan within ``TARGET`` of the optimum
            that meets the limits in the AC power flow; None when the run stopped before.
        answers, seconds: up to the stop.
        gap: true gap of the plan at the stop; ``certified`` against the run's own lower bound.
        met: whether that plan meets the limits.
    """

    case: str
    homes: int
    status: str
    good_answers: int | None
    good_s: float | None
    answers: int
    seconds: float
    gap: float
    certified: float | None
    met: bool

    @property
    def good(self) -> bool:
        """Whether what comes out is within the target and the limits."""
        return self.met and self.gap <= TARGET


def optimum(case: Case, cache: Path) -> float:
    """Cost of the central optimum [EUR]; solved once and kept in a file."""
    known: dict[str, float] = json.loads(cache.read_text(encoding="utf-8")) if cache.exists() else {}
    if case.name not in known:
        known[case.name] = compare.central(case.whole())[0].cost
        cache.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")
    return known[case.name]


def measure(case: Case, day: Study, reference: float, settings: AdmmSettings | None = None, repeats: int = 1) -> Row:
    """Coordinate a case by prices; seconds are the least of the repeats."""
    settings = settings or admm_settings(day.settings)
    runs = [compare.by_price(day, settings) for _ in range(repeats)]
    outcome, seconds = min(runs, key=lambda run: run[1])
    over = np.array(compare.excess(day, outcome.plan))
    gap = compare.gap(outcome.plan.cost, reference)
    met = meets_limits(over, settings)
    bound = outcome.lower_bound
    first: tuple[int, float] | None = None
    for record in outcome.history:
        if any(compare.gap(cost, reference) <= TARGET and meets_limits(e, settings) for cost, e in plans(record)):
            first = int(record["answers"]), float(record["elapsed_s"])
            break
    if first is None and met and gap <= TARGET:
        first = outcome.answers, seconds
    certified = None if bound is None else compare.gap(outcome.plan.cost, bound)
    answers, good_s = first or (None, None)
    homes = len(day.prosumers)
    return Row(case.name, homes, outcome.status, answers, good_s, outcome.answers, seconds, gap, certified, met)


def table(rows: Sequence[Row]) -> Table:
    """Everything that was found."""
    shown = Table("case", "homes", "to 0.1 %", "s", "stop", "s", "gap, %", "certified, %", "")
    for one in rows:
        good = ("-", "-") if one.good_s is None else (str(one.good_answers), f"{one.good_s:.2f}")
        gaps = f"{100 * one.gap:.3f}", "-" if one.certified is None else f"{100 * one.certified:.3f}"
        wrong = "" if one.status == "optimal" else one.status
        wrong += "" if one.met else " limits" if one.gap <= TARGET else " limits, gap"
        wrong += " gap" if one.met and one.gap > TARGET else ""
        shown.add_row(one.case, str(one.homes), *good, str(one.answers), f"{one.seconds:.2f}", *gaps, wrong.strip())
    return shown


def total(rows: Sequence[Row]) -> str:
    """Sums and geometric means."""
    stop = np.array([one.seconds for one in rows])
    good = np.array([one.good_s for one in rows if one.good_s is not None])
    answers = sum(one.answers for one in rows)
    return (
        f"{sum(one.good for one in rows)} of {len(rows)} within 0.1 % and the limits; "
        f"to 0.1 %: {good.sum():.2f} s, geometric mean {np.exp(np.log(good).mean()):.3f} s ({len(good)} cases); "
        f"to the stop: {stop.sum():.2f} s, {np.exp(np.log(stop).mean()):.3f} s, {answers} answers"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the cases, print the table."""
    parser = argparse.ArgumentParser(prog="python -m experiments.hard.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="CASE", help="all when none is given")
    parser.add_argument("--optima", type=Path, default=OPTIMA, help="file that keeps the central optima")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    chosen = parser.parse_args(arguments)
    cases = [case for case in CASES if not chosen.names or case.name in chosen.names]
    rows, console = [], Console()
    for case in track(cases, "cases", console=Console(stderr=True)):
        day, reference = case.study(), optimum(case, chosen.optima)
        rows.append(measure(case, day, reference, repeats=chosen.repeats))
    console.print(table(rows))
    console.print(total(rows), highlight=False)
    if chosen.json is not None:
        found: list[dict[str, Any]] = [vars(one) for one in rows]
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
