"""What a search may cost, what it did, and who may watch and stop it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

Status = Literal["complete", "budget", "infeasible", "unbounded"]
Reason = Literal["", "regions", "seconds", "megabytes", "interrupted"]


@dataclass(frozen=True)
class Budget:
    """When to stop: number of regions, seconds, megabytes; None for no limit."""

    regions: int | None = None
    seconds: float | None = None
    megabytes: float | None = 2000.0


@dataclass
class Counts:
    """What was done: nothing is dropped without being counted.

    ``tested`` bases were examined; ``referred`` of them were handed to HiGHS, as rounding errors left them open, and
    ``undecided`` are those that HiGHS could not settle either: a region may be missing there. ``flat`` regions of the
    perturbed problem have no interior without perturbation; ``merged`` ones repeat another; ``uncovered`` sampled
    parameters lay in a gap from which the search went on. ``stopped`` says which limit ended it early.
    """

    tested: int = 0
    referred: int = 0
    undecided: int = 0
    flat: int = 0
    merged: int = 0
    uncovered: int = 0
    dropped_rows: int = 0
    seconds: float = 0.0
    stopped: Reason = ""


@dataclass(frozen=True)
class Progress:
    """How far a search is: regions of the perturbed problem found, bases tested, seconds since its start."""

    regions: int
    tested: int
    seconds: float


@dataclass
class Clock:
    """A budget being spent; ``observe`` is told about it."""

    budget: Budget
    observe: Callable[[Progress], None] | None = None
    interrupted: bool = False
    start: float = field(default_factory=time.perf_counter)

    def spent(self, regions: int, tested: int, megabytes: float) -> Reason:
        """The limit that is reached, if any."""
        b, seconds = self.budget, time.perf_counter() - self.start
        if self.observe is not None:
            self.observe(Progress(regions, tested, seconds))
        if self.interrupted:
            return "interrupted"
        if b.regions is not None and regions >= b.regions:
            return "regions"
        if b.seconds is not None and seconds >= b.seconds:
            return "seconds"
        return "megabytes" if b.megabytes is not None and megabytes >= b.megabytes else ""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Ctrl-C stops the search instead of throwing it away; a second Ctrl-C raises KeyboardInterrupt as ever.

        Only in the main thread, and where nobody else handles the signal.
        """
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or handler is not signal.default_int_handler:
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            self.interrupted = True
            signal.signal(signal.SIGINT, handler)

        signal.signal(signal.SIGINT, stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
