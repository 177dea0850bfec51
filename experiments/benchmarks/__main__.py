"""Command line of the benchmarks: one of them, all of them, the page about them, the guard of their ratios."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.benchmarks import guard, runs
from experiments.benchmarks.common import Row, seconds, write
from experiments.benchmarks.page import page, ratio
from grid.errors import InputError

RESULTS, PAGE = runs.HERE / "results.json", runs.HERE / "README.md"


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the rows: what was done and our time, then a line for every peer."""
    for (name, ours), group in groupby(rows, key=lambda row: (row.name, row.ours_s)):
        table = Table("peer", "its time", "ratio", "agreement", title=f"{name}: {seconds(ours)}", title_justify="left")
        peers = list(group)
        for row in peers:
            agreement = "-" if row.agreement != row.agreement else f"{row.agreement:.1e} {row.unit}"
            more = "> " if row.stopped else ""
            table.add_row(row.peer, more + seconds(row.peer_s), more + ratio(row.ratio), agreement)
        console.print(table)
        for note in dict.fromkeys(row.note for row in peers if row.note):
            console.print(note, style="dim", highlight=False, markup=False)


def run(names: Sequence[str], console: Console) -> Iterator[runs.Run]:
    """Run benchmarks, each in a process of its own, and print what each finds."""
    for name in names:
        with console.status(f"{name}: running"):
            found = runs.apart(name)
        show(found.rows, console)
        if found.error:
            console.print(f"{name}: failed: {found.error}", style="red", highlight=False, markup=False)
        yield found


def one(name: str, file: Path | None, console: Console) -> int:
    """Run one benchmark here."""
    with console.status(f"{name}: running"):
        rows: list[Row] = import_module(f"experiments.benchmarks.{name}").rows()
    show(rows, console)
    if file is not None:
        write(rows, file)
    return 0


def every(file: Path | None, console: Console) -> int:
    """Run all benchmarks; the file is written after each, so that nothing is lost when a long run is stopped."""
    rows, failed = list[Row](), False
    for found in run(runs.names(), console):
        rows, failed = [*rows, *found.rows], failed or bool(found.error)
        if file is not None:
            write(rows, file)
    return int(failed)


def bench(names: Sequence[str], console: Console) -> int:
    """Run benchmarks and put what they find into the stored results and the page."""
    known = {found.name: found for found in (runs.load(RESULTS) if RESULTS.is_file() else [])}
    known, failed = {name: found for name, found in known.items() if name in runs.names()}, False
    for found in run(names or runs.names(), console):
        known[found.name], failed = found, failed or bool(found.error)
        runs.save(known.values(), RESULTS)
        render()
    return int(failed)


def render() -> int:
    """The page from the stored results."""
    PAGE.write_text(page(runs.load(RESULTS)), encoding="utf-8")
    return 0


def check(names: Sequence[str], file: Path | None, console: Console) -> int:
    """Compare new runs, or those in a file, with the stored ones; 1 when something has become worse."""
    stored = runs.load(RESULTS)
    new = list(run(names or runs.names(), console)) if file is None else runs.load(file)
    new = [found for found in new if not names or found.name in names]
    found = guard.compare(stored, new)
    for one in found:
        console.print(str(one), style="red" if one.fails else "yellow", highlight=False, markup=False, soft_wrap=True)
    fails, rows = sum(one.fails for one in found), sum(len(one.rows) for one in new)
    console.print(f"{rows} rows compared with the stored ones, {fails or 'none'} worse", highlight=False)
    return int(fails > 0)


def parser() -> argparse.ArgumentParser:
    """Names of benchmarks, and what can be done with all of them."""
    made = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description=__doc__)
    parts = made.add_subparsers(dest="name", required=True, metavar="NAME | all | bench | page | guard")
    for name in [*runs.names(), "all"]:
        about = "every benchmark, each in a process of its own" if name == "all" else runs.about(name)
        part = parts.add_parser(name, help=about)
        part.add_argument("--json", type=Path, help="also write the rows to this file")
    parts.add_parser("page", help="write README.md from results.json")
    for name, about in (
        ("bench", "run all, or some, into results.json and README.md"),
        ("guard", "compare ratios with those in results.json; exit code 1 when one is lost"),
    ):
        part = parts.add_parser(name, help=about)
        part.add_argument("names", nargs="*", type=known, metavar="NAME")
        if name == "guard":
            part.add_argument("--json", type=Path, help="runs in a file like results.json, instead of running")
    return made


def known(name: str) -> str:
    """The name, when there is such a benchmark."""
    if name not in runs.names():
        raise argparse.ArgumentTypeError(f"there is no benchmark {name!r}; there are {', '.join(runs.names())}")
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; returns the exit code, 2 for a file that cannot be used."""
    chosen, console = parser().parse_args(arguments), Console()
    try:
        if chosen.name == "all":
            return every(chosen.json, console)
        if chosen.name == "bench":
            return bench(chosen.names, console)
        if chosen.name == "page":
            return render()
        if chosen.name == "guard":
            return check(chosen.names, chosen.json, console)
        return one(chosen.name, chosen.json, console)
    except InputError as error:
        console.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        return 2


if __name__ == "__main__":
    sys.exit(main())
