"""How long an island lasts, and the load it is expected not to serve: ``python -m experiments.islanded.resilience``.

Every case is appended to ``cases.jsonl`` as soon as it is solved; what is there already is not solved again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from admmflex.horizon import Array
from admmflex.studies.objectives import Schedule, both
from experiments.islanded.cases import HOURS, Case, cases, study

OUT = Path("results") / "resilience"
SHOWN = 8
Record = dict[str, Any]


def solve(case: Case) -> Record:
    """Both schedules of a case, as it is written to the file."""
    started = time.perf_counter()
    island = study(case)
    assert island.lasting is not None
    found = both(island)
    lack = None if found.survival.missing is None else found.survival.missing.lack
    record = {"key": case.key, **asdict(case), "survival_h": found.survival.hours, "lack": lack}
    record |= {name: _measured(getattr(found, name), island.lasting) for name in ("longest", "expected")}
    record["why"] = None if found.survival.missing is None else found.survival.missing.describe(island.horizon)
    return record | {"seconds": round(time.perf_counter() - started, 2)}


def _measured(one: Schedule, lasting: Array) -> Record:
    normal, critical = one.expected_kwh.tolist()
    load = float((one.load @ lasting).sum())  # steps of an hour
    found = {"status": one.status, "survival_h": one.survival_h, "expected_eur": one.expected_eur}
    return found | {
        "load_kwh": load, "normal_kwh": normal, "critical_kwh": critical, "expected_kwh": normal + critical
    }  # fmt: skip


def known(path: Path) -> dict[str, Record]:
    """Cases that the file holds; a last line that was cut off is left out."""
    found: dict[str, Record] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[record["key"]] = record
    return found


def sweep(wanted: Sequence[Case], path: Path, console: Console) -> list[Record]:
    """Solve what the file does not hold, and show how far it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = known(path)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress, path.open("a", encoding="utf-8") as file:
        if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
            file.write("\n")
        missing = [case for case in wanted if case.key not in found]
        task = progress.add_task("islands", total=len(missing))
        for case in missing:
            progress.update(task, description=case.key)
            found[case.key] = solve(case)
            file.write(json.dumps(found[case.key]) + "\n")
            file.flush()
            progress.advance(task)
    return [found[case.key] for case in wanted]


def map_table(records: Sequence[Record]) -> Table:
    """Hours served, and after the stroke the load [kWh] that is expected not to be served at least expected cost."""
    starts = sorted({one["start"] for one in records})
    view = Table(box=None, pad_edge=False, header_style="bold", title="hours served / kWh expected not served")
    for name in ("season", "critical", "storage"):
        view.add_column(name)
    for start in starts:
        view.add_column(f"from {start:02d}:00", justify="right", no_wrap=True)
    rows: dict[tuple[str, float, float], dict[int, str]] = {}
    for one in records:
        text = f"{_hours(one['survival_h'])} / {one['expected']['expected_kwh']:.1f}"
        rows.setdefault((one["season"], one["critical"], one["storage"]), {})[one["start"]] = text
    for (season, critical, storage), cells in rows.items():
        view.add_row(season, f"{100 * critical:.0f} %", f"x{storage:g}", *(cells.get(start, "") for start in starts))
    return view


def objectives_table(records: Sequence[Record]) -> Table:
    """Both schedules where they differ most in expected cost."""
    view = Table(
        box=None,
        pad_edge=False,
        header_style="bold",
        title="longest | least expected cost: load not served and cost that are expected",
    )
    view.add_column("from", no_wrap=True)
    for name in ("critical", "size", "hours", "kWh", "critical kWh", "EUR"):
        view.add_column(name, justify="right", no_wrap=True)

    def apart(one: Record) -> float:
        return float(one["longest"]["expected_eur"] - one["expected"]["expected_eur"])

    for one in sorted(records, key=apart, reverse=True)[:SHOWN]:
        pair = one["longest"], one["expected"]
        measures = ("expected_kwh", "critical_kwh", "expected_eur")
        view.add_row(
            f"{one['season']} {one['start']:02d}:00",
            f"{100 * one['critical']:.0f} %",
            f"x{one['storage']:g}",
            " | ".join(_hours(each["survival_h"]) for each in pair),
            *(" | ".join(_three_digits(each[name]) for each in pair) for name in measures),
        )
    return view


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}"


def _hours(value: float) -> str:
    return f"{value:g}+" if value >= HOURS else f"{value:g}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("grid", choices=("five", "rural3"), nargs="?", default="five")
    parser.add_argument("--full", action="store_true", help="all starts, seasons and sizes: 192 cases")
    parser.add_argument("--out", type=Path, default=OUT, help=f"folder [{OUT}]")
    chosen = parser.parse_args(arguments)
    console = Console()
    records = sweep(cases(chosen.grid, full=chosen.full), chosen.out / "cases.jsonl", Console(stderr=True))
    console.print(map_table(records))
    console.print()
    console.print(objectives_table(records))
    from admmflex.report.document import save
    from experiments.islanded.resilience_figure import page

    target = save(page(records), chosen.out / f"{chosen.grid}.html")
    console.print(f"\ncases    {chosen.out / 'cases.jsonl'}\npage     {target}")


if __name__ == "__main__":
    main()
