"""Strong and weak scaling of a region over ranks: ``python -m experiments.scaling.run``.

Every case is started anew under mpirun, one after the other. What each rank measured can be kept in a folder, from
which tables and model are then made again without running.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from admmflex import launch
from experiments.benchmarks.common import versions
from experiments.scaling import region, tables
from experiments.scaling.figure import write_figure
from experiments.scaling.findings import Case, Findings, Run
from experiments.scaling.model import Link

HOMES = 10_000
FEW_AREAS = 20
OVERSUBSCRIBED = (1, 2, 4, 8)
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


def cases(homes: int, few: int) -> list[Case]:
    """Few areas on up to 8 ranks; a large region on 1 and 2 ranks, and half of it on one."""
    areas = region.areas_for(homes)
    return [*(Case(few, ranks) for ranks in OVERSUBSCRIBED), Case(areas // 2, 1), Case(areas, 1), Case(areas, 2)]


def measure(case: Case, folder: Path) -> Run:
    """Run a case unless the folder has it."""
    own = folder / case.name
    own.mkdir(parents=True, exist_ok=True)
    if not (own / "rank0.json").exists():
        _start(case.ranks, "work", str(case.areas), str(own))
    return Run(case, folder)


def link(folder: Path) -> Link:
    """What sums over two ranks take, measured unless the folder has it."""
    path = folder / "ping.json"
    if not path.exists():
        _start(2, "ping", str(folder))
    return Link.fitted(json.loads(path.read_text(encoding="utf-8")))


def _start(ranks: int, module: str, *arguments: str) -> None:
    if launch.start(ranks, f"experiments.scaling.{module}", arguments, ONE_THREAD) != 0:
        raise RuntimeError(f"{module} {' '.join(arguments)} failed on {ranks} ranks")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing, print the tables, write the figure and the JSON."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scaling.run", description=__doc__)
    parser.add_argument("--homes", type=int, default=HOMES, help="of the large region")
    parser.add_argument("--few", type=int, default=FEW_AREAS, help="areas of the small region")
    parser.add_argument("--keep", type=Path, help="folder of what the ranks measured; what is there is not run again")
    parser.add_argument("--json", type=Path, help="also write what was found to this file")
    parser.add_argument("--figure", type=Path, help="also draw the predictions, into this HTML file")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        between = link(folder)
        found = Findings([measure(case, folder) for case in cases(chosen.homes, chosen.few)], between)
        report(found, chosen.json, chosen.figure)


def report(found: Findings, json_file: Path | None, figure: Path | None) -> None:
    """Print the tables, write the figure and the JSON."""
    console = Console()
    for table in tables.all_tables(found):
        console.print(table)
    console.print(f"two ranks: {found.link}; trunk grows with nodes^{found.model.growth:.2f}", highlight=False)
    predictions = tables.predictions(found)
    if figure is not None:
        write_figure(predictions, found.largest.homes / found.largest.case.areas, figure)
    if json_file is not None:
        told = {
            "link": vars(found.link),
            "growth": found.model.growth,
            "versions": versions("numpy", "numba", "mpi4py"),
        }
        told["runs"] = [run.record(found.alone(run)) for run in found.runs]
        told["predicted"] = [vars(one) | {"total": one.total} for one in predictions]
        json_file.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
