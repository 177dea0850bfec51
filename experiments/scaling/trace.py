"""What a run would take on other ranks: its trace, replayed.

Ranks wait for each other at every call of the communicator, so that between two calls the slowest rank counts:

    T = sum_i max_r sum_{a owned by r} t[i, a] + serial,    serial = what every rank does for the trunk
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from admmflex.horizon import Array, IntArray
from experiments.scaling.watch import FOR_OWN, FOR_TRUNK


@dataclass(frozen=True)
class Trace:
    """Processor seconds of one coordination.

    Args:
        work: (I, A) between two calls, for each area; what a rank does for all of them is shared out evenly.
        serial: (I,) for the trunk.
    """

    work: Array
    serial: Array

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Trace:
        """All ranks of a run together; what all of them do for the trunk counts once, where it takes longest."""
        calls = max(row[0] for record in records for row in record["trace"]) + 1
        work, serial = np.zeros((calls, records[0]["areas"])), np.zeros((len(records), calls))
        for own, record in zip(serial, records, strict=True):
            for interval, area, seconds in record["trace"]:
                if area == FOR_TRUNK:
                    own[interval] += seconds
                elif area == FOR_OWN:
                    work[interval, record["own"]] += seconds / len(record["own"])
                else:
                    work[interval, area] += seconds
        return cls(work, serial.max(axis=0))

    @property
    def total(self) -> float:
        """Of one rank [s]."""
        return float(self.work.sum() + self.serial.sum())

    def parallel(self, owner: IntArray) -> float:
        """Seconds without communication when rank ``owner (A,)`` has each area."""
        count = np.zeros((self.work.shape[1], int(owner.max()) + 1))
        count[np.arange(len(owner)), owner] = 1.0
        return float((self.work @ count).max(axis=1).sum() + self.serial.sum())

    def efficiency(self, owner: IntArray) -> float:
        """The time of one rank over that of all ranks, waiting and trunk included, communication not."""
        return self.total / self.parallel(owner) / float(owner.max() + 1)

    def drawn(self, ranks: int, areas: int, rng: np.random.Generator) -> float:
        """Seconds of the work when each of many ranks has so many areas, drawn from these with replacement."""
        found = np.zeros(len(self.work))
        chance = np.full(self.work.shape[1], 1.0 / self.work.shape[1])
        for first in range(0, ranks, 64):
            count = rng.multinomial(areas, chance, min(64, ranks - first)).astype(np.float64)
            np.maximum(found, (self.work @ count.T).max(axis=1), out=found)
        return float(found.sum())


def in_turn(areas: int, ranks: int) -> IntArray:
    """Areas dealt out like cards."""
    return np.arange(areas, dtype=np.int64) % ranks


def heaviest_first(weight: Array, ranks: int) -> IntArray:
    """Every area to the rank with the least so far, the heaviest areas first."""
    owner, load = np.zeros(len(weight), dtype=np.int64), np.zeros(ranks)
    for area in np.argsort(-weight, kind="stable"):
        owner[area] = np.argmin(load)
        load[owner[area]] += weight[area]
    return owner
