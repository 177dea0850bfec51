"""Where the time of a rank goes: by phase, and by area between any two calls of the communicator.

Processor time is of this thread; waiting for other ranks counts for the communication alone.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from admmflex.comm import Comm
from admmflex.coordination.area import Agent, Member
from admmflex.coordination.community import Memory
from admmflex.coordination.mixing import Mixer
from admmflex.coordination.trunk import Trunk
from admmflex.horizon import Array
from admmflex.response.population import Population

OTHER, AREA, TRUNK, COMMUNICATION = "other", "area steps", "trunk", "communication"
PHASES: tuple[tuple[type, str, str], ...] = (
    *((Population, name, "answers") for name in ("answer", "cost", "state", "evaluate_cost")),
    *((Mixer, name, "mixing") for name in ("mix", "record", "dual")),
    (Memory, "combine", "mixing"),
    *((Agent, name, AREA) for name in ("__init__", "go", "again", "stop", "bound")),
    *((Agent, name, AREA) for name in ("given", "voltage_price", "excess", "breaks_limits")),
)
FOR_TRUNK, FOR_OWN = -1, -2  # in place of an area: what every rank does for the trunk, or for all its own areas


class Clock:
    """Seconds by phase and trace; a phase within another one is not counted twice.

    Attributes:
        cpu, wall: seconds by phase.
        trace: processor seconds by (interval between two calls of the communicator, area).
        calls, bytes: of the communicator, by kind.
    """

    def __init__(self) -> None:
        self.cpu: defaultdict[str, float] = defaultdict(float)
        self.wall: defaultdict[str, float] = defaultdict(float)
        self.trace: defaultdict[tuple[int, int], float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        self.bytes: defaultdict[str, int] = defaultdict(int)
        self._stack = [(OTHER, FOR_OWN)]
        self.start()

    def start(self) -> None:
        """Count from now on."""
        self._last = time.thread_time(), time.perf_counter()

    @contextmanager
    def within(self, phase: str, area: int | None = None) -> Iterator[None]:
        """Count what happens here for a phase, and for an area, which is that of the phase around if None."""
        self._charge()
        self._stack.append((phase, self._stack[-1][1] if area is None else area))
        try:
            yield
        finally:
            self._charge()
            self._stack.pop()

    def stop(self) -> None:
        """Count what happened until now."""
        self._charge()

    def record(self) -> dict[str, Any]:
        """Everything that was counted, ready for JSON; ``busy_s``: processor time but for the communication."""
        busy = sum(seconds for phase, seconds in self.cpu.items() if phase != COMMUNICATION)
        phases = {"cpu_s": dict(self.cpu), "wall_s": dict(self.wall)}
        trace = [[*key, round(seconds, 7)] for key, seconds in self.trace.items()]
        return {"busy_s": busy, **phases, "calls": dict(self.calls), "bytes": dict(self.bytes), "trace": trace}

    def _charge(self) -> None:
        now = time.thread_time(), time.perf_counter()
        phase, area = self._stack[-1]
        self.cpu[phase] += now[0] - self._last[0]
        self.wall[phase] += now[1] - self._last[1]
        if phase != COMMUNICATION:
            self.trace[sum(self.calls.values()), area] += now[0] - self._last[0]
        self._last = now


class Counting:
    """A communicator that counts calls, bytes that a rank puts in, and the time until the others have done so too."""

    def __init__(self, comm: Comm, clock: Clock) -> None:
        self._comm, self._clock = comm, clock
        self.rank, self.size = comm.rank, comm.size

    def over(self, n_steps: int) -> Counting:
        return Counting(self._comm.over(n_steps), self._clock)

    def scatter_steps(self, sums: Array) -> Array:
        return self._counted("scatter_steps", self._comm.scatter_steps, sums)

    def gather_steps(self, own: Array) -> Array:
        return self._counted("gather_steps", self._comm.gather_steps, own)

    def sum(self, values: Array) -> Array:
        return self._counted("sum", self._comm.sum, values)

    def largest(self, values: Array) -> Array:
        return self._counted("largest", self._comm.largest, values)

    def stack(self, rows: Array) -> Array:
        return self._counted("stack", self._comm.stack, rows)

    def broadcast(self, values: Array) -> Array:
        return self._counted("broadcast", self._comm.broadcast, values)

    def _counted(self, kind: str, call: Callable[[Array], Array], values: Array) -> Array:
        with self._clock.within(COMMUNICATION):
            found = call(values)
        self._clock.calls[kind] += 1
        self._clock.bytes[kind] += values.nbytes
        return found


@contextmanager
def watched(clock: Clock) -> Iterator[None]:
    """Have the clock count the phases of all regions that are coordinated here."""
    with ExitStack() as stack:
        for owner, name, phase in PHASES:
            stack.enter_context(mock.patch.object(owner, name, _counted(clock, getattr(owner, name), phase)))
        yield


def _counted(clock: Clock, function: Callable[..., Any], phase: str) -> Callable[..., Any]:
    def counted(*arguments: Any, **named: Any) -> Any:
        with clock.within(phase, _area(arguments)):
            return function(*arguments, **named)

    return counted


def _area(arguments: tuple[Any, ...]) -> int | None:
    """The number of the area that a method of an agent works for; in these regions it is that of its node."""
    if isinstance(arguments[0], Trunk):
        return FOR_TRUNK
    if not isinstance(arguments[0], Agent):
        return None
    member = arguments[1] if len(arguments) > 1 and isinstance(arguments[1], Member) else arguments[0].member
    return int(member.node)
