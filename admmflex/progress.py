"""What a run tells while it runs: the observer protocol and its forms for a terminal, a log and a program."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from admmflex.results import plain
from admmflex.time_left import Clock, Record, elapsed

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from admmflex.results import Result


class Observer(Protocol):
    """Told by ``run`` on rank 0 what happens; must not change anything."""

    def start(self, info: Record) -> None:
        """Before the first round.

        ``info``: name, prosumers, buses, steps, method, ranks, max_iterations, or rounds where they are known, and
        targets: what the plan of a stopping round must not exceed, by record key, and ``cost_change``, relative to the
        plan before.
        """
        ...

    def iteration(self, record: Record) -> None:
        """After each round: iteration, primal, dual, rho, cost_eur, voltage_excess_pu, loading_excess, ..."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line."""
        ...

    def finish(self, result: Result) -> None:
        """After the last round, whatever the status; not called when the run raises."""
        ...


class Display(Observer, Protocol):
    """An observer that holds a terminal or a stream."""

    def close(self) -> None:
        """Let go, in any case, also after an error."""
        ...


class Silent:
    """Says nothing."""

    def start(self, info: Record) -> None: ...

    def iteration(self, record: Record) -> None: ...

    def message(self, text: str) -> None: ...

    def finish(self, result: Result) -> None: ...

    def close(self) -> None: ...


class JsonLines:
    """One JSON object per event, for programs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def _say(self, event: str, **content: Any) -> None:
        self._stream.write(json.dumps({"event": event} | plain(content), allow_nan=False) + "\n")
        self._stream.flush()

    def start(self, info: Record) -> None:
        self._say("start", **info)

    def iteration(self, record: Record) -> None:
        self._say("iteration", **record)

    def message(self, text: str) -> None:
        self._say("message", text=text)

    def finish(self, result: Result) -> None:
        self._say("finish", **result.summary)

    def close(self) -> None: ...


class Lines:
    """Plain lines of a log."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._clock = Clock()

    def _say(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def start(self, info: Record) -> None:
        self._clock = Clock(info)
        self._say(opening(info))

    def iteration(self, record: Record) -> None:
        if self._clock.rounds == 0:
            self._say(f"{heading(record)}    time    left")
        left = self._clock.tick(record)
        times = (elapsed(seconds).removesuffix(" min") for seconds in (self._clock.elapsed_s, left))
        self._say(line(record) + "".join(f"{text:>8}" for text in times))
        if mixed := mix_line(record):
            self._say(mixed)

    def message(self, text: str) -> None:
        self._say(text)

    def finish(self, result: Result) -> None:
        self._say(f"{result.status.replace('_', ' ')} after {elapsed(self._clock.elapsed_s)}")

    def close(self) -> None: ...


class Live:
    """A display that stays in place: the last rounds and the time left."""

    def __init__(self, console: Console, rows: int = 8) -> None:
        from rich.live import Live as Display

        self._console = console
        self._clock = Clock()
        self._recent: deque[Record] = deque(maxlen=rows)
        self._left: float | None = None
        self._title = ""
        self._display = Display(
            get_renderable=self._picture, console=console, refresh_per_second=4, transient=True, redirect_stdout=False
        )

    def start(self, info: Record) -> None:
        self._clock = Clock(info)
        self._title = opening(info)
        self._display.start()

    def iteration(self, record: Record) -> None:
        self._left = self._clock.tick(record)
        self._recent.append(record)

    def message(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False)

    def finish(self, result: Result) -> None:
        self.close()

    def close(self) -> None:
        self._display.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        shown = [Text(self._title, style="bold"), Text(heading(self._recent[-1] if self._recent else {}), style="dim")]
        for record in self._recent:
            shown.append(Text(line(record)))
            if mixed := mix_line(record):
                shown.append(Text(mixed, style="green" if self._clock.within(record) else ""))
        left = "" if self._left is None else f", about {elapsed(self._left)} left"
        last = Text()  # mpirun passes on complete lines only
        return Group(*shown, Text(f"{elapsed(self._clock.elapsed_s)}{left}", style="cyan"), last)


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left, for work that is no run; on standard error, and only where that is a terminal.

    Yields:
        To be told how many parts are done, and of how many.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as display:
        task = display.add_task(what, total=None)
        yield lambda done, total: display.update(task, completed=done, total=total)


SAID_EVERY_S = 2.0


def now_and_then(say: Callable[[str], None]) -> Callable[[float], None]:
    """Say, every two seconds at most, which share of some work is done and about how long the rest takes."""
    started = said = time.perf_counter()

    def tell(share: float) -> None:
        nonlocal said
        now = time.perf_counter()
        if now - said >= SAID_EVERY_S and 0.0 < share < 1.0:
            said = now
            say(f"{share:.0%}, about {elapsed((now - started) * (1.0 - share) / share)} left")

    return tell


HEADING = "round   primal     dual      rho   cost EUR voltage pu loading %"
CHARTS = " step       chart ms   central ms   cost EUR voltage pu loading %"


EXPORT = " part scenario-steps done          of"


def heading(record: Record) -> str:
    """What stands above the rows of a run."""
    if "of_pairs" in record:
        return EXPORT
    return CHARTS if "chart_ms" in record else HEADING


def line(record: Record) -> str:
    """One round, or one step of the horizon under charts, as a row; excess over the limits, 0 when met."""
    if "of_pairs" in record:
        return f"{record['iteration']:5d}{record['pairs']:20d}{record['of_pairs']:12d}"
    if "chart_ms" in record:
        first = "".join(_cell(record.get(key), width, ".1f") for key, width in (("chart_ms", 15), ("central_ms", 12)))
    else:
        first = "".join(_cell(record.get(key), 9, ".2e") for key in ("primal", "dual", "rho"))
    return f"{record.get('iteration', 0):5d}{first}{_plan(record, '')}"


def mix_line(record: Record) -> str:
    """The mixed plan of a round as a row under HEADING, empty in rounds without one."""
    return f"{'  mixed plan':<32}{_plan(record, 'mix_')}" if "mix_cost_eur" in record else ""


def _plan(record: Record, kind: str) -> str:
    voltage, loading = _excess(record, f"{kind}voltage_excess_pu"), _excess(record, f"{kind}loading_excess")
    cost = _cell(record.get(f"{kind}cost_eur"), 11, ".3f")
    return f"{cost}{_shown(voltage, 11, 5)}{_shown(None if loading is None else 100.0 * loading, 10, 2)}"


def _excess(record: Record, key: str) -> float | None:
    value = record.get(key)
    return None if value is None else max(float(value), 0.0)


def _shown(excess: float | None, width: int, digits: int) -> str:
    """An excess with its sign, or 0 when the limits are met."""
    visible = excess is not None and round(excess, digits) > 0.0
    return _cell(excess, width, f"+.{digits}f" if visible else ".0f")


def _cell(value: Any, width: int, form: str) -> str:
    return ("-" if value is None or not math.isfinite(value) else format(value, form)).rjust(width)


def opening(info: Record) -> str:
    """What is about to be solved, in one line."""
    parts = [f"{info[key]} {key}" for key in ("customers", "prosumers", "buses", "scenarios", "steps") if key in info]
    if info.get("ranks", 1) > 1:
        parts.append(f"{info['ranks']} ranks")
    return f"{info.get('name', 'run')}: {', '.join(parts)}" + (f" ({info['method']})" if "method" in info else "")
