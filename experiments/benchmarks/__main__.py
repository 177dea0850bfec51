"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from pkgutil import iter_modules

from rich.console import Console
from rich.table import Table

from experiments.benchmarks.common import Row, write

_SHARED = ("common", "parametric", "synthetic", "__main__")


def names() -> list[str]:
    """Benchmarks found beside this file."""
    folder = str(Path(__file__).parent)
    return sorted(module.name for module in iter_modules([folder]) if module.name not in _SHARED)


def run(name: str) -> list[Row]:
    """All rows of one benchmark."""
    rows: list[Row] = import_module(f"experiments.benchmarks.{name}").rows()
    return rows


def show(rows: Sequence[Row], console: Console) -> None:
    """Print the rows: what was done and our time, then a line for every peer."""
    for (name, ours), group in groupby(rows, key=lambda row: (row.name, row.ours_s)):
        table = Table("peer", "its time", "ratio", "agreement", title=f"{name}: {_seconds(ours)}", title_justify="left")
        peers = list(group)
        for row in peers:
            table.add_row(row.peer, _seconds(row.peer_s), f"{row.ratio:.1f}", f"{row.agreement:.1e}")
        console.print(table)
        for note in dict.fromkeys(row.note for row in peers if row.note):
            console.print(note, style="dim", highlight=False)


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1.0 else f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one benchmark or all of them."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*names(), "all"], help="which benchmark")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    chosen = parser.parse_args(arguments)
    console, rows = Console(), list[Row]()
    for name in names() if chosen.name == "all" else [chosen.name]:
        with console.status(f"{name}: running"):
            found = run(name)
        show(found, console)
        rows += found
        if chosen.json is not None:
            write(rows, chosen.json)  # after each: nothing is lost when a long run is stopped


if __name__ == "__main__":
    main()
