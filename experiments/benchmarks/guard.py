"""Are the ratios still what they were? By hand or nightly: times of one run are no matter for every commit.

Ratios are compared row by row, since both sides of a ratio see the same machine in the same minute. In three runs on a
machine with 1.5 of 2 cores busy with other work, the smallest ratio of a row was 0.60 to 0.98 of its largest, with a
median of 0.76 over 27 rows; answers did not differ at all. So a row counts as slower when less than ``KEEP`` of its
stored ratio is left, and as worse when its answers are more than ``WORSE`` times as far from the peer's as before, and
not by rounding alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from experiments.benchmarks.common import Row
from experiments.benchmarks.runs import Run

KEEP, WORSE, ROUNDING = 0.5, 10.0, 1e-12

Key = tuple[str, ...]
"""Benchmark, what was done, peer."""


@dataclass(frozen=True)
class Finding:
    """A row that differs from the stored one, and how; ``fails`` when it is a regression."""

    row: Key
    what: str
    fails: bool

    def __str__(self) -> str:
        return f"{', '.join(self.row)}: {self.what}"


def compare(stored: Iterable[Run], new: Sequence[Run]) -> list[Finding]:
    """What differs, failures first; of the benchmarks that ran anew."""
    ran = {run.name for run in new}
    before, after = by_key(run for run in stored if run.name in ran), by_key(new)
    found = [Finding((run.name,), f"failed: {run.error}", True) for run in new if run.error]
    broken = {run.name for run in new if run.error}
    for key, row in before.items():
        if key in after:
            found += (Finding(key, what, True) for what in worse(row, after[key]))
        elif key[0] not in broken:
            found.append(Finding(key, "missing, was stored", False))
    found += (Finding(key, "new, not stored", False) for key in after if key not in before)
    return sorted(found, key=lambda one: not one.fails)


def by_key(runs: Iterable[Run]) -> dict[Key, Row]:
    """Rows by what identifies them."""
    return {(run.name, row.name, row.peer): row for run in runs for row in run.rows}


def worse(old: Row, new: Row) -> Iterator[str]:
    """In what a row has become worse."""
    if new.failed:
        if not old.failed:
            yield new.note
        return
    if new.ratio < KEEP * old.ratio:
        yield f"ratio {old.ratio:.3g} before, {new.ratio:.3g} now, at least {KEEP * old.ratio:.3g} wanted"
    if math.isnan(old.agreement):
        return
    most = WORSE * max(old.agreement, ROUNDING)
    if math.isnan(new.agreement) and not new.stopped:
        yield f"agreement {old.agreement:.1e} {old.unit} before, not compared now"
    elif new.agreement > most:
        yield f"agreement {old.agreement:.1e} {old.unit} before, {new.agreement:.1e} now, at most {most:.1e} wanted"
