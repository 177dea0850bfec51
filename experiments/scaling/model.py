"""A model of the time of a region on P ranks, fitted to runs on one rank and to sums over two, and extrapolated.

    T(P) = W(P) + S (N / N_1)^g + c (alpha log2 P) + b (N / N_1) beta

with W the work of the slowest ranks between calls, replayed from the trace of one rank; S seconds of the trunk with N_1
nodes and g how they grow; c calls of the communicator and b bytes put into them; alpha [s] and beta [s/byte].

Assumed of larger regions: areas like those measured, as many rounds, one trunk for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.horizon import IntArray
from experiments.scaling.trace import Trace


@dataclass(frozen=True)
class Link:
    """What a sum over all ranks takes: ``alpha`` [s] for each doubling of the ranks, ``beta`` [s/byte]."""

    alpha: float
    beta: float

    @classmethod
    def fitted(cls, measured: Mapping[str, Sequence[float]]) -> Link:
        """Of sums over two ranks, with relative errors of all sizes alike."""
        sizes, seconds = np.array(measured["bytes"]), np.array(measured["seconds"])
        columns = np.stack([np.ones(len(sizes)), sizes], axis=1) / seconds[:, None]
        (alpha, beta), *_ = np.linalg.lstsq(columns, np.ones(len(sizes)), rcond=None)
        return cls(float(alpha), float(beta))

    def seconds(self, ranks: int, calls: float, size: float) -> float:
        """Of so many calls with so many bytes in all."""
        return 0.0 if ranks == 1 else calls * self.alpha * float(np.log2(ranks)) + size * self.beta


CLUSTER = Link(5e-6, 4e-10)  # assumed: 5 us a hop, 5 GB/s there and back


DRAWN = 500  # ranks of which areas are drawn, at least: of few, several times


@dataclass(frozen=True)
class Prediction:
    """Seconds of a region on so many ranks, by what they are for."""

    ranks: int
    areas: int
    ideal: float
    waiting: float
    trunk: float
    communication: float

    @property
    def total(self) -> float:
        return self.ideal + self.waiting + self.trunk + self.communication


@dataclass(frozen=True)
class Model:
    """The model.

    Args:
        trace, calls, size: of the largest region on one rank; ``size`` in bytes.
        growth: g.
    """

    trace: Trace
    calls: int
    size: float
    growth: float

    @property
    def areas(self) -> int:
        return int(self.trace.work.shape[1])

    def strong(self, owner: IntArray, link: Link) -> Prediction:
        """The region itself, with rank ``owner (A,)`` for each area."""
        ranks = int(owner.max()) + 1
        ideal, trunk = float(self.trace.work.sum()) / ranks, float(self.trace.serial.sum())
        waiting = self.trace.parallel(owner) - trunk - ideal
        return Prediction(ranks, self.areas, ideal, waiting, trunk, link.seconds(ranks, self.calls, self.size))

    def weak(self, ranks: int, each: int, link: Link, rng: np.random.Generator) -> Prediction:
        """A region with ``each`` areas on every rank, drawn from those of the region measured."""
        areas = ranks * each
        share = areas / self.areas
        ideal = float(self.trace.work.sum()) * share / ranks
        trunk = float(self.trace.serial.sum()) * share**self.growth
        drawn = [self.trace.drawn(ranks, each, rng) for _ in range(max(1, DRAWN // ranks))]
        waiting = float(np.mean(drawn)) - ideal if ranks > 1 else 0.0
        return Prediction(ranks, areas, ideal, waiting, trunk, link.seconds(ranks, self.calls, self.size * share))


def growth(areas: Sequence[int], seconds: Sequence[float]) -> float:
    """Exponent of the seconds that a call costs the trunk, over its nodes."""
    return float(np.polyfit(np.log(areas), np.log(seconds), 1)[0])
