"""What every benchmark shares: one row of results, how it is timed, how it is written."""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

clock = time.process_time
"""Seconds that this process has worked: with one thread each, what other work on the machine takes does not count."""


@dataclass(frozen=True)
class Row:
    """One comparison: both solve the same problem in the same run.

    Args:
        name: what was done, with its size; with the peer it identifies the row from run to run.
        ours_s, peer_s: median processor seconds of the same work; NaN where the peer failed.
        peer: the tool compared with, and its settings.
        agreement: worst difference of the answers; NaN where there was nothing to compare.
        unit: of the agreement.
        note: how the numbers were taken, when that is not plain, or why the peer failed.
        stopped: the peer had not finished when it was stopped: its time and the ratio are lower bounds.
    """

    name: str
    ours_s: float
    peer: str
    peer_s: float
    agreement: float
    unit: str
    versions: dict[str, str]
    note: str = ""
    stopped: bool = False

    @classmethod
    def against(cls, name: str, ours_s: float, peer: str, found: Peer, unit: str, versions: dict[str, str]) -> Row:
        """The row of a peer as it was measured."""
        return cls(name, ours_s, peer, found.seconds, found.agreement, unit, versions, found.note, found.stopped)

    @property
    def ratio(self) -> float:
        return self.peer_s / self.ours_s

    @property
    def failed(self) -> bool:
        return math.isnan(self.peer_s)

    def record(self) -> dict[str, Any]:
        """The row as it is written to JSON, null for NaN."""
        values = {**asdict(self), "ratio": self.ratio}
        return {key: None if value != value else value for key, value in values.items()}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Row:
        """The row that was written as ``record``."""
        values: dict[str, Any] = {key: math.nan if value is None else value for key, value in record.items()}
        del values["ratio"]
        return cls(**values)


class Peer(NamedTuple):
    """Seconds of a peer, how far its answers are from ours, and what else its row says."""

    seconds: float
    agreement: float
    note: str = ""
    stopped: bool = False


def attempt(measure: Callable[[], Peer]) -> Peer:
    """What ``measure`` finds; a peer that is missing or fails leaves the reason, and the other rows are not lost."""
    try:
        return measure()
    except Exception as error:  # peers raise whatever they like
        return Peer(math.nan, math.nan, f"failed: {type(error).__name__}: {error}")


def median_time(work: Callable[[], object], repeats: int = 5, warm_up: int = 1) -> float:
    """Median processor seconds of ``work()``, after ``warm_up`` calls that do not count."""
    for _ in range(warm_up):
        work()
    seconds = []
    for _ in range(repeats):
        start = clock()
        work()
        seconds.append(clock() - start)
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
    path.write_text(json.dumps([row.record() for row in rows], indent=2, allow_nan=False) + "\n", encoding="utf-8")


def read(path: Path) -> list[Row]:
    """Rows that ``write`` wrote."""
    return [Row.of(record) for record in json.loads(path.read_text(encoding="utf-8"))]


def seconds(value: float) -> str:
    """A time to three digits or to the second."""
    if math.isnan(value):
        return "-"
    if value >= 1.0:
        return f"{value:.3g} s" if value < 1e3 else f"{value:,.0f} s"
    return f"{value * 1e3:.3g} ms" if value >= 1e-3 else f"{value * 1e6:.3g} us"
