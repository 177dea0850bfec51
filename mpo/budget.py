"""What a search may cost, and what it did."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["complete", "budget", "infeasible", "unbounded"]


@dataclass(frozen=True)
class Budget:
    """When to stop: number of regions, seconds, megabytes; None for no limit."""

    regions: int | None = None
    seconds: float | None = None
    megabytes: float | None = 2000.0


@dataclass
class Counts:
    """What was done: nothing is dropped without being counted.

    ``tested`` bases were examined, ``undecided`` of them settled by HiGHS, ``flat`` regions of the perturbed problem
    have no interior without perturbation, ``uncovered`` sampled parameters lay in a gap from which the search went on.
    """

    tested: int = 0
    undecided: int = 0
    flat: int = 0
    merged: int = 0
    uncovered: int = 0
    dropped_rows: int = 0
    seconds: float = 0.0


@dataclass
class Clock:
    """A budget being spent."""

    budget: Budget
    start: float = field(default_factory=time.perf_counter)

    def spent(self, regions: int, megabytes: float) -> bool:
        """Is any limit reached?"""
        b = self.budget
        return (
            (b.regions is not None and regions >= b.regions)
            or (b.seconds is not None and time.perf_counter() - self.start >= b.seconds)
            or (b.megabytes is not None and megabytes >= b.megabytes)
        )
