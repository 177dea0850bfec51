"""What is measured: a kernel, its data, its operations and the bytes that it cannot avoid to move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from experiments.kernels.machine import Machine, best_time

F = 8  # bytes of a number


@dataclass(frozen=True)
class Work:
    """One call of a kernel.

    Args:
        units: how many of ``unit`` a call handles.
        operations, bytes: per unit; least that the algorithm needs, each array read and written once.
        working_set: bytes of all arrays that a call touches again and again.
        formula: of operations and bytes.
        points: breakpoints, pivots or what else the time is spent on, per unit; 0 where operations tell.
    """

    name: str
    unit: str
    units: float
    run: Callable[[], object]
    operations: float
    bytes: float
    working_set: float
    formula: str
    point: str = ""
    points: float = 0.0


@dataclass(frozen=True)
class Measured:
    """A kernel beside the roofline; seconds and cycles are per unit."""

    name: str
    unit: str
    seconds: float
    cycles: float
    operations: float
    bytes: float
    level: str
    bound: float
    formula: str
    point: str
    cycles_per_point: float

    @property
    def rate(self) -> float:
        """Operations per second."""
        return self.operations / self.seconds

    @property
    def share(self) -> float:
        """Of the bound."""
        return self.rate / self.bound

    @property
    def intensity(self) -> float:
        """Operations per byte."""
        return self.operations / self.bytes


def measure(work: Work, machine: Machine) -> Measured:
    """Time one kernel."""
    seconds = best_time(work.run) / work.units
    intensity = work.operations / work.bytes
    bound, cycles = machine.bound(intensity, work.working_set), seconds * machine.hertz
    return Measured(
        work.name, work.unit, seconds, cycles, work.operations, work.bytes, machine.level(work.working_set), bound,
        work.formula, work.point, cycles / work.points if work.points else 0.0,
    )  # fmt: skip
