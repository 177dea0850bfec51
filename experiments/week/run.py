"""A week in closed loop, against perfect foresight: ``python -m experiments.week.run``.

Every quarter of an hour a plan for the next day, warm from the one before, and in every control step an agreement on
what is measured; the same with plans that begin anew; and charts. Every way that is finished is a line of a file; a run
that was interrupted goes on with the next one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from admmflex.coordination.charts import ChartSettings
from admmflex.studies.closed_loop import simulate
from admmflex.studies.day import Day
from admmflex.studies.receding import RecedingSettings, simulate_prices
from experiments.compare import gap, study
from experiments.flex_charts.run import NONE, Case, foresight

Observe = Callable[[dict[str, Any]], None]
BEST, WARM, COLD, CHARTS = "perfect foresight", "prices", "prices, plans begun anew", "charts"
WAYS = (BEST, WARM, COLD, CHARTS)
TOO_FAR = 1e-3  # pu, or fraction of a rating


@dataclass(frozen=True)
class Row:
    """One way of going through the week.

    Args:
        cost_eur: of all homes.
        excess_pu, excess_loading: largest over a limit in the AC power flow of any control step.
        beyond: control steps with more than ``TOO_FAR`` over a limit.
        rounds, answers: of a plan, on average.
    """

    way: str
    cost_eur: float
    excess_pu: float
    excess_loading: float
    beyond: int
    rounds: float
    answers: float
    seconds: float


def follow(case: Case, way: str, observe: Observe) -> Row:
    """Go through the week in one way."""
    started = time.perf_counter()
    if way == BEST:
        row, found = foresight(case, case.per_step)
        return Row(way, row.cost_eur, np.nan, np.nan, 0, np.nan, found.answers, row.seconds)
    control_h = case.control_s / 3600.0
    if way == CHARTS:
        settings = ChartSettings(control_h=control_h)
        day = simulate(case.study, settings=settings, reality=case.reality, observe=observe)
    else:
        receding = RecedingSettings(control_h=control_h, warm=way == WARM)
        day = simulate_prices(case.study, settings=receding, reality=case.reality, observe=observe)
    return _row(way, day, time.perf_counter() - started)


def _row(way: str, day: Day, seconds: float) -> Row:
    later, names = day.plans[1:], ("rounds", "answers")
    rounds, answers = (float(np.mean([plan[name] for plan in later])) if later else np.nan for name in names)
    beyond = int((day.excess > TOO_FAR).any(axis=0).sum())
    worst = day.excess.max(axis=1)
    return Row(way, float(day.cost.sum()), float(worst[0]), float(worst[1]), beyond, rounds, answers, seconds)


def table(rows: list[Row], title: str) -> Table:
    """For a terminal of 100 columns."""
    best = next((row.cost_eur for row in rows if row.way == BEST), np.nan)
    shown = Table(title=title)
    for name in ("", "EUR", "gap %", "excess pu", "excess %", "steps beyond", "rounds", "answers", "s"):
        shown.add_column(name, justify="right" if name else "left")
    for row in rows:
        numbers = [
            f"{row.cost_eur:.2f}", f"{100 * gap(row.cost_eur, best):.2f}", f"{row.excess_pu:.1e}",
            f"{100 * row.excess_loading:.2f}", str(row.beyond), f"{row.rounds:.1f}", f"{row.answers:.1f}",
            f"{row.seconds:.0f}",
        ]  # fmt: skip
        shown.add_row(row.way, *("-" if number == "nan" else number for number in numbers))
    return shown


def main() -> None:
    """All ways, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", default="week/rural1", help="below experiments/, without .yaml")
    parser.add_argument("--control", type=float, default=60.0, help="seconds of a control step")
    parser.add_argument("--exact", action="store_true", help="what happens is what was foreseen, changing gradually")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("results/week"), help="folder of what is finished")
    given = parser.parse_args()
    case = Case.of(study(given.scenario), given.control, NONE if given.exact else None)
    given.out.mkdir(parents=True, exist_ok=True)
    forecast = "exact" if given.exact else "wrong"
    file = given.out / f"{given.scenario.replace('/', '-')}-{given.control:g}-{forecast}.jsonl"
    done = {row.way: row for row in _finished(file)}
    console = Console(width=100)
    for way in given.ways:
        if way not in done:
            done[way] = _followed(case, way, console)
            with file.open("a") as lines:
                lines.write(json.dumps(asdict(done[way])) + "\n")
    rows = [done[way] for way in WAYS if way in done]
    console.print(table(rows, f"{given.scenario}, {given.control:g} s, {forecast} forecast"))


def _finished(file: Path) -> list[Row]:
    return [Row(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def _followed(case: Case, way: str, console: Console) -> Row:
    """With progress while it goes on."""
    with Progress(console=console) as progress:
        task = progress.add_task(way, total=None if way == BEST else case.study.horizon.steps)
        return follow(case, way, lambda told: progress.update(task, completed=told["iteration"]))


if __name__ == "__main__":
    main()
