"""What a user waits for at the command line before anything is solved, in fresh processes with warm caches.

``admmflex --help`` stands beside the interpreter itself, ``admmflex validate`` of the demo beside SimBench opening the
same grid, which is the first thing that a script with pandapower does. There are no answers to compare.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import numpy as np

from experiments.benchmarks.common import Peer, Row, attempt, median_time, versions
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
        note = theirs._replace(note=f"processor time: ours {ours.note}, peer {theirs.note}")
        found.append(Row.against(name, ours.seconds, peer, note, "", versions(*packages)))
    return found


def fresh(arguments: tuple[str, ...], repeats: int) -> Peer:
    """Median of a fresh interpreter with these arguments, from start to exit; the note is its mean processor time."""
    command = [sys.executable, *arguments]
    work = partial(subprocess.run, command, check=True, capture_output=True, timeout=120.0)
    before = os.times()
    wall = median_time(work, repeats)
    after = os.times()
    worked = after.children_user + after.children_system - before.children_user - before.children_system
    return Peer(wall, np.nan, f"{worked / (repeats + 1):.2f} s")
