"""What every benchmark shares: one row of results, how it is timed, how it is written."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """One comparison: both solve the same problem in the same run.

    Args:
        name: what was done, with its size.
        ours_s, peer_s: median seconds of the same work.
        peer: the tool compared with, and its settings.
        agreement: worst difference of the answers; the benchmark says in which unit.
        note: how the numbers were taken, when that is not plain.
    """

    name: str
    ours_s: float
    peer: str
    peer_s: float
    agreement: float
    versions: dict[str, str]
    note: str = ""

    @property
    def ratio(self) -> float:
        return self.peer_s / self.ours_s

    def record(self) -> dict[str, object]:
        """The row as it is written to JSON."""
        return {**asdict(self), "ratio": self.ratio}


def median_time(work: Callable[[], object], repeats: int = 5, warm_up: int = 1) -> float:
    """Median wall-clock seconds of ``work()``, after ``warm_up`` calls that do not count."""
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return sorted(seconds)[len(seconds) // 2]


def versions(*packages: str) -> dict[str, str]:
    """Versions of Python, the machine and these packages."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def write(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as a JSON list."""
    path.write_text(json.dumps([row.record() for row in rows], indent=2) + "\n", encoding="utf-8")
