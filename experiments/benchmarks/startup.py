"""What a user waits for at the command line before anything is solved, in fresh processes with warm caches.

``admmflex --help`` stands beside the interpreter itself, ``admmflex validate`` of the demo beside SimBench opening the
same grid, which is the first thing that a script with pandapower does. There are no answers to compare.
"""

from __future__ import annotations

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
        ours_s = seconds(command, repeats).seconds
        theirs = attempt(partial(seconds, ("-c", code), repeats))
        found.append(Row.against(name, ours_s, peer, theirs, "", versions(*packages)))
    return found


def seconds(arguments: tuple[str, ...], repeats: int) -> Peer:
    """Median of a fresh interpreter with these arguments, import and exit included."""
    command = [sys.executable, *arguments]
    work = partial(subprocess.run, command, check=True, capture_output=True, timeout=120.0)
    return Peer(median_time(work, repeats), np.nan)
