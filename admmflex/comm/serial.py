"""One rank: nothing to communicate."""

from __future__ import annotations

from admmflex.horizon import Array


class SerialComm:
    """The communicator of a run without MPI."""

    rank = 0
    size = 1

    def over(self, n_steps: int) -> SerialComm:
        return self

    def scatter_steps(self, sums: Array) -> Array:
        return sums

    def gather_steps(self, own: Array) -> Array:
        return own

    def sum(self, values: Array) -> Array:
        return values

    def largest(self, values: Array) -> Array:
        return values

    def stack(self, rows: Array) -> Array:
        return rows

    def agree(self) -> None: ...

    def broadcast(self, values: Array) -> Array:
        return values
