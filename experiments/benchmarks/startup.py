"""What a user waits for at the command line before anything is solved, in fresh processes with warm caches.

``admmflex --help`` stands beside the interpreter itself, ``admmflex validate`` of the demo beside SimBench opening the
same grid, which is the first thing that a script with pandapower does. There are no answers to compare.
"""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

import numpy as np

from experiments.benchmarks.common import Peer, Row, attempt, versions
from experiments.benchmarks.runs import children_s
from experiments.compare import ROOT

SCENARIO = ROOT / "rural1" / "check.yaml"
GRID = "import simbench; simbench.get_simbench_net('1-LV-rural1--2-sw')"


def rows() -> list[Row]:
    """Both commands."""
    cases = (
        ("admmflex --help", ("-m", "admmflex", "--help"), "python -c pass", "pass", 11, ("typer", "rich")),
        ("admmflex validate, demo", ("-m", "admmflex", "validate", str(SCENARIO)), "simbench opens the grid", GRID, 3,
         ("simbench", "pandapower")),
    )  # fmt: skip
    found = []
    for name, command, peer, code, repeats, packages in cases:
        ours = fresh(command, repeats)
        theirs = attempt(partial(fresh, ("-c", code), repeats))
        note = theirs._replace(note=f"by the clock: ours {ours.note}, peer {theirs.note}")
        found.append(Row.against(name, ours.seconds, peer, note, "", versions(*packages)))
    return found


def fresh(arguments: tuple[str, ...], repeats: int) -> Peer:
    """Medians of a fresh interpreter with these arguments, from start to exit; the note has those of the wall clock."""
    worked, waited = np.zeros((2, repeats + 1))
    for k in range(repeats + 1):
        before, started = children_s(), time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=120.0)
        worked[k], waited[k] = children_s() - before, time.perf_counter() - started
    return Peer(float(np.median(worked[1:])), np.nan, f"{np.median(waited[1:]):.2f} s")
