"""How long a run has taken and what is left, from how fast its plans come closer to stopping."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]


def elapsed(seconds: float | None) -> str:
    """A duration for people: 3.2 s, 1:05 min, 2:10 h."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"


class Clock:
    """Time since the start, and an estimate of what is left; where the number of ``rounds`` is known, from that.

    A plan is the mixed one of a round, or what the prosumers answered as long as nothing was mixed.
    """

    def __init__(self, info: Record | None = None) -> None:
        info = info or {}
        self.rounds = 0
        self._start = time.perf_counter()
        self._first = self._start
        self._targets: Record = info.get("targets", {})
        self._most: int | None = info.get("max_iterations")
        self._known: int | None = info.get("rounds")
        self._mixed = False
        self._cost: float | None = None
        self._points: deque[tuple[int, float]] = deque(maxlen=6)

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self._start

    def within(self, record: Record) -> bool:
        """Whether the plan of the round meets the limits."""
        return bool(self._targets) and self._excess(record) <= 1.0

    def tick(self, record: Record) -> float | None:
        """Count a round; seconds left, None when nothing can be said yet."""
        self.rounds += 1
        if self.rounds == 1:
            self._first = time.perf_counter()
        self._look(record)
        left = rounds_left(self._points, self.rounds) if self._known is None else float(self._known - self.rounds)
        if left is None or self.rounds == 1:
            return None
        if self._most is not None and self._known is None:
            left = min(left, self._most - self.rounds)
        return left * (time.perf_counter() - self._first) / (self.rounds - 1)

    def _look(self, record: Record) -> None:
        """Note how far the plan of the round is from stopping, as the worst ratio of value to target."""
        mixed = "mix_cost_eur" in record
        if mixed and not self._mixed:
            self._mixed, self._cost = True, None
            self._points.clear()
        cost = record.get("mix_cost_eur" if mixed else "cost_eur")
        if mixed != self._mixed or cost is None:
            return
        if self._cost is not None:
            change = abs(cost - self._cost) / max(abs(cost), 1e-9) / self._targets.get("cost_change", math.inf)
            self._points.append((self.rounds, max(change, self._excess(record))))
        self._cost = cost

    def _excess(self, record: Record) -> float:
        kind = "mix_" if "mix_cost_eur" in record else ""
        known = ((key, record.get(f"{kind}{key}")) for key in self._targets)
        return max((value / self._targets[key] for key, value in known if value is not None), default=0.0)


def rounds_left(points: Sequence[tuple[int, float]], now: int) -> float | None:
    """Rounds from ``now`` until the ratio of value to target is 1, when it keeps falling by the same factor.

    Args:
        points: round and ratio; those that are not positive say nothing about the factor.

    Returns:
        None with fewer than two of them, or when they do not fall.
    """
    if points and points[-1][1] <= 1.0:
        return 0.0
    logs = [(n, math.log(ratio)) for n, ratio in points if ratio > 0.0]
    if len(logs) < 2:
        return None
    mean_n = sum(n for n, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    slope = sum((n - mean_n) * (y - mean_y) for n, y in logs) / sum((n - mean_n) ** 2 for n, _ in logs)
    if slope >= -1e-6:
        return None
    last, ratio = logs[-1]
    return max(last - ratio / slope - now, 0.0)
