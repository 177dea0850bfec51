"""Strong and weak scaling of a region over ranks: ``python -m experiments.scaling.run``.

Every case is started anew under mpirun, one after the other; a folder keeps what each rank measured, so that tables and
model can be made again without running (``--keep``).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from admmflex import launch
from experiments.scaling import region

HOMES = 10_000
FEW_AREAS = 20
OVERSUBSCRIBED = (1, 2, 4, 8)
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}


@dataclass(frozen=True)
class Case:
    """A region on so many ranks."""

    areas: int
    ranks: int

    @property
    def name(self) -> str:
        return f"{self.areas}x{self.ranks}"


def cases(homes: int, few: int) -> list[Case]:
    """Strong scaling over 1 and 2 ranks, half the region on one for weak scaling, few areas on up to 8 ranks."""
    areas = region.areas_for(homes)
    big = [Case(areas, 1), Case(areas, 2), Case(areas // 2, 1)]
    return [*(Case(few, ranks) for ranks in OVERSUBSCRIBED), *big]


def measure(case: Case, folder: Path) -> None:
    """Run a case unless the folder has it."""
    own = folder / case.name
    if (own / "rank0.json").exists():
        return
    own.mkdir(parents=True, exist_ok=True)
    if launch.start(case.ranks, "experiments.scaling.work", [str(case.areas), str(own)], ONE_THREAD) != 0:
        raise RuntimeError(f"{case.areas} areas on {case.ranks} ranks failed")


def ping(folder: Path) -> dict[str, list[float]]:
    """What a sum over two ranks takes."""
    path = folder / "ping.json"
    if not path.exists() and launch.start(2, "experiments.scaling.ping", [str(folder)], ONE_THREAD) != 0:
        raise RuntimeError("the sums over two ranks failed")
    found: dict[str, list[float]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def records(case: Case, folder: Path) -> list[dict[str, Any]]:
    """What every rank of a case measured."""
    paths = [folder / case.name / f"rank{rank}.json" for rank in range(case.ranks)]
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def difference(one: Case, other: Case, folder: Path) -> float:
    """The largest difference of a price [EUR/kWh] or a power [kW] between two runs of the same region."""
    first, second = (_arrays(case, folder) for case in (one, other))
    assert first.keys() == second.keys()
    return max(float(np.abs(first[name] - second[name]).max()) for name in first)


def _arrays(case: Case, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for rank in range(case.ranks):
        found |= dict(np.load(folder / case.name / f"rank{rank}.npz"))
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scaling.run", description=__doc__)
    parser.add_argument("--homes", type=int, default=HOMES, help="of the large region")
    parser.add_argument("--few", type=int, default=FEW_AREAS, help="areas of the small region")
    parser.add_argument("--keep", type=Path, help="folder of what the ranks measured; runs found there are not repeated")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        ping(folder)
        for case in cases(chosen.homes, chosen.few):
            measure(case, folder)


if __name__ == "__main__":
    main()
