"""What the coordination needs of a communicator: a star of buffers between prosumers and the steps of the DSO."""

from __future__ import annotations

from typing import Protocol

from admmflex.horizon import Array, IntArray


class Comm(Protocol):
    """Ranks that own prosumers (split at bus boundaries) and steps (contiguous)."""

    rank: int
    size: int

    def over(self, n_steps: int) -> Comm:
        """The same ranks over another number of steps."""
        ...

    def scatter_steps(self, sums: Array) -> Array:
        """Sum ``(K, X)`` over the ranks and keep the rank's own steps ``(K_own, X)``."""
        ...

    def gather_steps(self, own: Array) -> Array:
        """Put the own steps ``(K_own, X)`` of all ranks together, ``(K, X)`` on every rank."""
        ...

    def sum(self, values: Array) -> Array:
        """Element-wise sum over the ranks, the same bits on every rank."""
        ...

    def largest(self, values: Array) -> Array:
        """Element-wise maximum over the ranks."""
        ...

    def stack(self, rows: Array) -> Array:
        """Rows ``(m_r, X)`` of all ranks in rank order, on every rank."""
        ...

    def agree(self) -> None:
        """Raise on all ranks alike if any was lost."""
        ...

    def broadcast(self, values: Array) -> Array:
        """The values of rank 0 on every rank; shapes must agree."""
        ...


def own_steps(n_steps: int, rank: int, size: int) -> slice:
    """The contiguous steps that a rank owns."""
    return slice(n_steps * rank // size, n_steps * (rank + 1) // size)


def own_prosumers(bus: IntArray, rank: int, size: int) -> slice:
    """The prosumers that a rank owns, of prosumers sorted by bus: even shares, cut where the bus changes.

    One bus belongs to one rank, so that sums over a bus have the same bits for any number of ranks.
    """
    starts = [i for i in range(len(bus)) if i == 0 or bus[i] != bus[i - 1]] + [len(bus)]

    def cut(share: int) -> int:
        wanted = len(bus) * share / size
        return min(starts, key=lambda start: (abs(start - wanted), start))

    return slice(cut(rank), cut(rank + 1))
