"""One page of all benchmarks, from the file of their runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from experiments.benchmarks.common import Row, seconds
from experiments.benchmarks.runs import Run

HEAD = """# Benchmarks

Every peer gets the same problem in the same run, with one thread, and the answers are compared: *agreement* is the
worst difference. Times are processor time, which other work on the machine hardly changes; a ratio is the peer's over
ours, of one run, > where the peer was stopped before it had finished. Goals: [experiments](../README.md#speed).
This page is made by `make bench`.

```sh
make bench                                        # every benchmark: writes results.json and this page
python -m experiments.benchmarks bench dso homes  # only these; what the others found stays
python -m experiments.benchmarks page             # this page from results.json, nothing is run
python -m experiments.benchmarks dso --json FILE  # one benchmark, its rows as JSON
make bench-guard                                  # runs all of them and compares the ratios with those in results.json
```
"""


def page(runs: Sequence[Run]) -> str:
    """The page in Markdown."""
    sections = [section(run) for run in runs]
    return (
        "\n".join([HEAD, *machines(runs), "", *(line for one in sections for line in ["", *one]), ""]).rstrip() + "\n"
    )


def machines(runs: Sequence[Run]) -> list[str]:
    """What they ran on, and the versions of everything compared."""
    used: dict[str, set[str]] = {}
    for run in runs:
        for row in run.rows:
            for package, version in row.versions.items():
                used.setdefault(package, set()).add(version)
    used.pop("machine", None)
    where = dict.fromkeys(run.machine for run in runs)
    total = sum(run.seconds for run in runs) / 60
    lines = [f"Machine: {'; '.join(where)}. All of it took {total:.0f} minutes by the clock; *others* is the mean"]
    lines += ["number of cores that other work on the machine kept busy meanwhile.", ""]
    lines += ["| benchmark | minutes | others | failed |", "|---|---|---|---|"]
    for run in runs:
        failed = run.error or "; ".join(dict.fromkeys(row.peer for row in run.rows if row.failed))
        others = "-" if math.isnan(run.others) else f"{run.others:.1f}"
        lines.append(f"| [{run.name}](#{run.name}) | {run.seconds / 60:.1f} | {others} | {_cell(failed)} |")
    lines += ["", "| version of | |", "|---|---|"]
    return [*lines, *(f"| {package} | {', '.join(sorted(found))} |" for package, found in sorted(used.items()))]


def section(run: Run) -> list[str]:
    """One benchmark: what it measures, and a table."""
    lines = [f"## {run.name}", "", f"{run.about} [How]({run.name}.py)", ""]
    if run.error:
        return [*lines, f"**Failed**: {_cell(run.error)}"]
    notes = [note for note in dict.fromkeys(row.note for row in run.rows) if note]
    lines += ["| what | ours | peer | its time | ratio | agreement | note |", "|---|---|---|---|---|---|---|"]
    for (name, ours), group in groupby(run.rows, key=lambda row: (row.name, row.ours_s)):
        first = f"{_cell(name)} | {seconds(ours)}"
        for row in group:
            lines.append(f"| {first} | {' | '.join(_peer(row, notes))} |")
            first = " | "
    return [*lines, *([""] if notes else []), *(f"{k}. {_cell(note)}" for k, note in enumerate(notes, 1))]


def _peer(row: Row, notes: Sequence[str]) -> Iterable[str]:
    more = "> " if row.stopped else ""
    yield _cell(row.peer)
    yield more + seconds(row.peer_s)
    yield more + ratio(row.ratio)
    yield "-" if math.isnan(row.agreement) else f"{row.agreement:.1e} {row.unit}".rstrip()
    yield str(notes.index(row.note) + 1) if row.note else ""


def ratio(value: float) -> str:
    """A ratio to two digits or to the unit."""
    return "-" if math.isnan(value) else f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _cell(text: str) -> str:
    """Text that does not end a cell."""
    return text.replace("|", "\\|")
