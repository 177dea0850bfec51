"""What a run tells while it runs: the observer protocol and its forms for a terminal, a log and a program."""

from __future__ import annotations

import json
import math
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from admmflex.results import plain

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from admmflex.results import Result

Record = Mapping[str, Any]


class Observer(Protocol):
    """Told by ``run`` on rank 0 what happens; must not change anything."""

    def start(self, info: Record) -> None:
        """Before the first round.

        ``info``: name, prosumers, buses, steps, method, ranks, max_iterations, and targets: by record key, the value
        that a stopping round must not exceed.
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
            self._say(HEADING)
        left = self._clock.tick(record)
        self._say(f"{line(record)}  {elapsed(self._clock.elapsed_s):>7}  {elapsed(left):>7}")

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
        self._display = Display(console=console, refresh_per_second=8, transient=True)
        self._left: float | None = None
        self._title = ""

    def start(self, info: Record) -> None:
        self._clock = Clock(info)
        self._title = opening(info)
        self._display.start()
        self._display.update(self._picture())

    def iteration(self, record: Record) -> None:
        self._left = self._clock.tick(record)
        self._recent.append(record)
        self._display.update(self._picture())

    def message(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False)

    def finish(self, result: Result) -> None:
        self.close()

    def close(self) -> None:
        self._display.stop()

    def _picture(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        shown = [Text(self._title, style="bold"), Text(HEADING, style="dim")]
        for record in self._recent:
            shown.append(Text(line(record), style="green" if self._clock.within(record) else ""))
        left = "" if self._left is None else f", about {elapsed(self._left)} left"
        return Group(*shown, Text(f"{elapsed(self._clock.elapsed_s)}{left}", style="cyan"))


HEADING = " round    primal      dual       rho    cost EUR  voltage pu  loading %"


def line(record: Record) -> str:
    """One round as a row under HEADING; excess over the limits, 0 when met."""
    voltage, loading = _excess(record, "voltage_excess_pu"), _excess(record, "loading_excess")
    cells = (
        f"{record.get('iteration', 0):6d}",
        *(_cell(record.get(key), 10, ".2e") for key in ("primal", "dual", "rho")),
        _cell(record.get("cost_eur"), 12, ".3f"),
        _cell(voltage, 12, "+.5f" if voltage else ".0f"),
        _cell(None if loading is None else 100.0 * loading, 11, "+.2f" if loading else ".0f"),
    )
    return "".join(cells)


def _excess(record: Record, key: str) -> float | None:
    value = record.get(key)
    return None if value is None else max(float(value), 0.0)


def _cell(value: Any, width: int, form: str) -> str:
    return ("-" if value is None or not math.isfinite(value) else format(value, form)).rjust(width)


def opening(info: Record) -> str:
    """What is about to be solved, in one line."""
    parts = [f"{info[key]} {key}" for key in ("prosumers", "buses", "steps") if key in info]
    if info.get("ranks", 1) > 1:
        parts.append(f"{info['ranks']} ranks")
    return f"{info.get('name', 'run')}: {', '.join(parts)}" + (f" ({info['method']})" if "method" in info else "")


def elapsed(seconds: float | None) -> str:
    """A duration for people: 3.2 s, 1:05 min, 2:10 h."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


class Clock:
    """Time since the start, and an estimate of what is left."""

    def __init__(self, info: Record | None = None) -> None:
        info = info or {}
        self.rounds = 0
        self._start = time.perf_counter()
        self._targets: Record = info.get("targets", {})
        self._most: int | None = info.get("max_iterations")
        self._ratios: deque[float] = deque(maxlen=8)

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._start

    def within(self, record: Record) -> bool:
        """Whether the round meets every target."""
        return bool(self._targets) and self._ratio(record) <= 1.0

    def tick(self, record: Record) -> float | None:
        """Count a round; seconds left, None when nothing can be said yet."""
        self.rounds += 1
        self._ratios.append(self._ratio(record))
        left = rounds_left(self._ratios)
        if self._most is not None:
            left = min(left, self._most - self.rounds) if left is not None else None
        return None if left is None else left * self.elapsed_s / self.rounds

    def _ratio(self, record: Record) -> float:
        return max(
            (float(record[key]) / target for key, target in self._targets.items() if key in record), default=math.nan
        )


def rounds_left(ratios: Sequence[float]) -> float | None:
    """Rounds until the worst ratio of value to target is 1, when it keeps falling by the same factor.

    Returns:
        None with fewer than three positive ratios, or when they do not fall.
    """
    points = [(n, math.log(ratio)) for n, ratio in enumerate(ratios) if ratio > 0.0]
    if len(points) < 3:
        return None
    if points[-1][1] <= 0.0:
        return 0.0
    mean_n = sum(n for n, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    slope = sum((n - mean_n) * (y - mean_y) for n, y in points) / sum((n - mean_n) ** 2 for n, _ in points)
    return None if slope >= -1e-6 else -points[-1][1] / slope
