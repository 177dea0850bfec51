"""Kernels beside the roofline of this machine: ``python -m experiments.kernels.run``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from experiments.benchmarks.common import versions
from experiments.kernels import homes, machine, network, regions
from experiments.kernels.machine import Machine
from experiments.kernels.work import Measured, measure


def show(limits: Machine, found: Sequence[Measured], console: Console) -> None:
    """Print the machine, then a line for every kernel, then what was counted."""
    speeds = ", ".join(f"{name} {value / 1e9:.0f}" for name, value in limits.bandwidth.items())
    console.print(f"one core: {limits.peak / 1e9:.0f} GFlop/s; GB/s: {speeds}; {limits.hertz / 1e9:.2f} GHz")
    table = Table("", "kernel", "us", "GFlop/s", "GB/s", "in", "bound", "share", box=SIMPLE)
    for number, one in enumerate(found, 1):
        rates = [f"{value / 1e9:.2g}" for value in (one.rate, one.rate / one.intensity)]
        last = one.level, f"{one.bound / 1e9:.2g}", f"{one.share:.0%}"
        table.add_row(str(number), one.name, f"{one.seconds * 1e6:.3g}", *rates, *last)
    console.print(table)
    for number, one in enumerate(found, 1):
        point = f", {one.cycles_per_point:.0f} per {one.point}" if one.point else ""
        text = f"{number}: {one.cycles:.0f} cycles per {one.unit}{point}; {one.formula}"
        console.print(text, style="dim", highlight=False)


def write(limits: Machine, found: Sequence[Measured], path: Path) -> None:
    """Write machine and kernels as JSON."""
    kernels = [{**asdict(one), "rate": one.rate, "share": one.share} for one in found]
    content = {"machine": asdict(limits), "kernels": kernels, "versions": versions("numba", "numpy")}
    path.write_text(json.dumps(content, indent=2, default=float) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(prog="python -m experiments.kernels.run", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    parser.add_argument("--figure", type=Path, help="also draw the roofline to this HTML file")
    chosen, console = parser.parse_args(arguments), Console()
    with console.status("measuring"):
        works = [work for part in (homes, network, regions) for work in part.works()]
        limits = machine.measure()
        found = [measure(work, limits) for work in works]
    show(limits, found, console)
    if chosen.json is not None:
        write(limits, found, chosen.json)
    if chosen.figure is not None:
        from experiments.kernels.figure import roofline

        roofline(limits, found).write_html(chosen.figure)


if __name__ == "__main__":
    main()
