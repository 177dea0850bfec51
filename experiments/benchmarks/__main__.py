"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
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


def show(rows: Sequence[Row]) -> None:
    """Print the rows as a table."""
    table = Table("what", "ours", "peer", "its time", "ratio", "agreement", "note")
    for row in rows:
        times = _seconds(row.ours_s), row.peer, _seconds(row.peer_s), f"{row.ratio:.1f}"
        table.add_row(row.name, *times, f"{row.agreement:.1e}", row.note)
    Console().print(table)


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1.0 else f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one benchmark or all of them."""
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*names(), "all"], help="which benchmark")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    chosen = parser.parse_args(arguments)
    rows = [row for name in (names() if chosen.name == "all" else [chosen.name]) for row in run(name)]
    show(rows)
    if chosen.json is not None:
        write(rows, chosen.json)


if __name__ == "__main__":
    main()
