"""Means of the last answers: feasible for every prosumer, since its set is convex, and calmer than any one of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from admmflex.horizon import Array

States = tuple[dict[str, Array], ...]
BLOCK = 4  # rounds whose answers are kept as one sum
LENGTHS = (8, 16, 24, 32)  # rounds that a mean is taken over


@dataclass
class Kept:
    """Sums over rounds: powers (2, n, K), trajectories by response, bus sums (K_own, 2 B)."""

    y: Array
    states: States
    own: Array

    def copy(self) -> Kept:
        states = tuple({name: value.copy() for name, value in state.items()} for state in self.states)
        return Kept(self.y.copy(), states, self.own.copy())

    def add(self, other: Kept) -> None:
        self.y += other.y
        self.own += other.own
        for total, state in zip(self.states, other.states, strict=True):
            for name, value in state.items():
                total[name] += value


class Averages:
    """Sums of the answers of every few rounds.

    How many rounds it takes until swings about a limit cancel out differs, and the first rounds are far from any plan:
    so there are means over several lengths, none longer than the later half of all rounds but the shortest.

    Attributes:
        rounds: taken in so far.
        blocks: sums of the last of them.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self.blocks: deque[Kept] = deque(maxlen=LENGTHS[-1] // BLOCK)

    def add(self, y: Array, states: States, own: Array) -> None:
        """Take in the answers ``(2, n, K)`` of a round, their trajectories and bus sums ``(K_own, 2 B)``."""
        answer = Kept(y, states, own)
        if self.rounds % BLOCK == 0:
            self.blocks.append(answer.copy())
        else:
            self.blocks[-1].add(answer)
        self.rounds += 1

    def restore(self, rounds: int, blocks: Iterable[Kept]) -> None:
        """Go on where other averages were."""
        self.rounds, self.blocks = rounds, deque(blocks, maxlen=self.blocks.maxlen)

    def lengths(self) -> list[int]:
        """The lengths of the means that can be had now; none while a block is incomplete."""
        if self.rounds % BLOCK or self.rounds < LENGTHS[0]:
            return []
        return [length for length in LENGTHS if length <= max(LENGTHS[0], self.rounds // 2)]

    def own(self, length: int) -> Array:
        """Mean bus sums ``(K_own, 2 B)`` of the last ``length`` rounds."""
        first, *others = self._last(length)
        total = first.own.copy()
        for block in others:
            total += block.own
        return total / length

    def answer(self, length: int) -> tuple[Array, States]:
        """Mean powers ``(2, n, K)`` and trajectories of the last ``length`` rounds."""
        first, *others = self._last(length)
        total = first.copy()
        for block in others:
            total.add(block)
        return total.y / length, tuple(
            {name: value / length for name, value in state.items()} for state in total.states
        )

    def _last(self, length: int) -> list[Kept]:
        return list(self.blocks)[-(length // BLOCK) :]
