"""What every rank does: ``python -m experiments.scaling.work <areas> <folder>``, under mpirun or alone."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

from admmflex.comm import Comm, SerialComm, default_comm
from admmflex.coordination.region import Agreement, Region
from admmflex.coordination.settings import AdmmSettings
from experiments.scaling import region
from experiments.scaling.watch import Clock, Counting, watched

WARM_UP = 1  # area; it is congested


def coordinate(areas: int, comm: Comm) -> tuple[dict[str, Any], Agreement]:
    """Agree on the day of a region; the rank's record, and what came out.

    The record has wall clock and processor time of the coordination by phase, without reading the grids; the trace as
    rows of interval, area and processor seconds; calls and bytes of the communicator by kind.
    """
    members, trunk = region.parts(areas, comm)
    clock = Clock()
    comm.sum(np.zeros(1))  # nobody starts before all are ready
    clock.start()
    with watched(clock):
        found = Region(members, trunk, Counting(comm, clock), AdmmSettings(), lambda record: None).run()
    clock.stop()
    about = {"rank": comm.rank, "ranks": comm.size, "areas": areas, "load": os.getloadavg()[0]}
    own = {"own": [one.node for one in members], "homes": sum(len(one.community.bus) for one in members)}
    came = {"status": found.status, "rounds": found.rounds, "cost": found.cost, "bound": found.lower_bound}
    seen = {"excess": found.excess.tolist(), "asked": found.asked}
    return about | own | came | seen | clock.record(), found


def write(folder: Path, record: dict[str, Any], found: Agreement) -> None:
    """The rank's record as JSON, prices and plans of its areas as arrays."""
    name = f"rank{record['rank']}"
    (folder / f"{name}.json").write_text(json.dumps(record), encoding="utf-8")
    arrays: dict[str, Any] = {f"price{one.member.node}": one.price for one in found.agents}
    arrays |= {f"y{one.member.node}": one.plan.y for one in found.agents}
    np.savez(folder / f"{name}.npz", **arrays)


def main(areas: int, folder: Path) -> None:
    """Coordinate a small region, which loads and compiles what should not count, then this one."""
    coordinate(WARM_UP, SerialComm())
    comm = default_comm(1)
    record, found = coordinate(areas, comm)
    write(folder, record, found)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
