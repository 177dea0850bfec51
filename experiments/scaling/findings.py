"""What the runs showed, read from the folder that they left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from admmflex.horizon import IntArray
from experiments.scaling.model import Link, Model, growth
from experiments.scaling.trace import Trace


@dataclass(frozen=True)
class Case:
    """A region on so many ranks."""

    areas: int
    ranks: int

    @property
    def name(self) -> str:
        return f"{self.areas}x{self.ranks}"


@dataclass(frozen=True)
class Run:
    """A case and what every rank of it measured."""

    case: Case
    folder: Path

    @cached_property
    def ranks(self) -> list[dict[str, Any]]:
        """The records of the ranks, see ``work.coordinate``."""
        paths = [self.folder / self.case.name / f"rank{rank}.json" for rank in range(self.case.ranks)]
        return [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    @cached_property
    def trace(self) -> Trace:
        return Trace.of(self.ranks)

    @property
    def owner(self) -> IntArray:
        """(A,) the rank of every area."""
        found = np.zeros(self.case.areas, dtype=np.int64)
        for record in self.ranks:
            found[record["own"]] = record["rank"]
        return found

    @property
    def homes(self) -> int:
        return sum(record["homes"] for record in self.ranks)

    @property
    def wall(self) -> float:
        """Wall clock of the slowest rank [s]."""
        return max(float(sum(record["wall_s"].values())) for record in self.ranks)

    @property
    def load(self) -> float:
        """Of the machine at the end, in processes that want a core."""
        return max(float(record["load"]) for record in self.ranks)

    @property
    def parallel(self) -> float:
        """Processor seconds of the slowest rank between any two calls, in all: the time with a core for each rank."""
        return self.trace.parallel(self.owner)

    @property
    def size(self) -> int:
        """Bytes that a rank puts into the communicator."""
        return sum(self.ranks[0]["bytes"].values())

    @property
    def calls(self) -> int:
        return sum(self.ranks[0]["calls"].values())

    def phase(self, name: str) -> float:
        """Processor seconds of a phase, of all ranks together."""
        return float(sum(record["cpu_s"].get(name, 0.0) for record in self.ranks))

    def difference(self, other: Run) -> float:
        """The largest difference of a price [EUR/kWh] or a power [kW] to another run of the same region."""
        first, second = self._arrays(), other._arrays()
        if first.keys() != second.keys():
            raise ValueError(f"{self.case.name} and {other.case.name} are different regions")
        return max(float(np.abs(first[name] - second[name]).max()) for name in first)

    def _arrays(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for rank in range(self.case.ranks):
            found |= dict(np.load(self.folder / self.case.name / f"rank{rank}.npz"))
        return found

    def record(self, alone: Run) -> dict[str, Any]:
        """The run for JSON, without its trace, beside the one on one rank."""
        told = {name: self.ranks[0][name] for name in ("status", "rounds", "cost", "bound", "excess", "asked", "calls")}
        seen = {"homes": self.homes, "wall_s": self.wall, "load": self.load}
        work = {"busy_s": [record["busy_s"] for record in self.ranks], "parallel_s": self.parallel}
        work |= {"efficiency": self.trace.efficiency(self.owner), "bytes": self.size}
        work |= {"difference": self.difference(alone)}
        return vars(self.case) | seen | work | told


@dataclass(frozen=True)
class Findings:
    """All runs of a folder, and the link between two ranks."""

    runs: Sequence[Run]
    link: Link

    def alone(self, run: Run) -> Run:
        """The run of the same region on one rank."""
        return next(one for one in self.runs if one.case == Case(run.case.areas, 1))

    @property
    def largest(self) -> Run:
        """On one rank."""
        return max((one for one in self.runs if one.case.ranks == 1), key=lambda one: one.case.areas)

    @property
    def model(self) -> Model:
        """Fitted to the runs on one rank."""
        single = {one.case.areas: one.phase("trunk") / one.calls for one in self.runs if one.case.ranks == 1}
        exponent = growth(list(single), list(single.values()))
        return Model(self.largest.trace, self.largest.calls, self.largest.size, exponent)
