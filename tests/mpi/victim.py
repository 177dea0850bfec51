"""A rank that something happens to: ``victim.py ACTION RANK [FOLDER SCENARIO]``.

Without a folder it happens while the others wait for it; with one after round 4 of a day, whose results go there.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np

from admmflex import launch
from admmflex.comm import default_comm

ROUND = 4
BUSY_S = 3.0


def happens(action: str) -> None:
    """What the second word of the command line says."""
    if action == "raise":
        raise RuntimeError("this rank fails on purpose")
    if action == "exit":
        os._exit(3)
    if action == "compute":
        begun = time.monotonic()
        while time.monotonic() - begun < BUSY_S:
            pow(7, 200_000)
    if action in ("kill", "stop"):
        os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)


def coordinate(action: str, rank: int, folder: Path, scenario: str) -> int:
    """Agree on the day, keeping every round; ranks that are left go on where MPI can."""
    import admmflex
    from admmflex.coordination.keeper import Keeper, Keeping
    from admmflex.progress import Lines

    end_round = Keeper.end_round

    def end(keeper: Keeper, admm: object, iteration: int) -> None:
        end_round(keeper, admm, iteration)
        if iteration == ROUND and launch.own_rank() == rank:
            happens(action)

    Keeper.end_round = end
    keeping = Keeping(every_s=0.0, survive=True)  # of no effect where MPI ends all ranks
    admmflex.run(admmflex.load(scenario), out=folder, observer=Lines(), keeping=keeping)
    return 0


def main(action: str, rank: str, *rest: str) -> int:
    launch.enrol()
    if rest:
        return launch.leave(coordinate(action, int(rank), Path(rest[0]), rest[1]))
    comm = default_comm(1)
    comm.sum(np.zeros(1))
    if comm.rank == int(rank):
        happens(action)
    comm.sum(np.zeros(1))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
