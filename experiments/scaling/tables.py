"""The tables of the study."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.table import Table

from admmflex.horizon import IntArray
from experiments.scaling import region
from experiments.scaling.findings import Findings
from experiments.scaling.model import CLUSTER, Prediction
from experiments.scaling.trace import Trace, heaviest_first, in_turn
from experiments.scaling.watch import COMMUNICATION

RANKS = (1, 2, 4, 16, 64, 250, 1000)
SHARED = (2, 4, 8, 16)  # ranks of the table of how areas are shared out
PHASES = ("answers", "area steps", "mixing", "trunk", "other")


def all_tables(found: Findings) -> Iterator[Table]:
    """Every table."""
    yield runs(found)
    yield phases(found)
    yield volumes(found)
    yield predicted(found)
    yield shares(found.largest.trace)
    yield extrapolated(found)


def runs(found: Findings) -> Table:
    """What was measured."""
    table = Table("homes", "ranks", "rounds", "wall", "load", "busy", "slowest", "eff.", "apart", title="runs, s")
    for run in found.runs:
        busy = sum(record["busy_s"] for record in run.ranks) / run.case.ranks
        numbers = f"{run.wall:.1f}", f"{run.load:.1f}", f"{busy:.1f}", f"{run.parallel:.1f}"
        share, apart = f"{run.trace.efficiency(run.owner):.0%}", f"{run.difference(found.alone(run)):.0e}"
        table.add_row(str(run.homes), str(run.case.ranks), str(run.ranks[0]["rounds"]), *numbers, share, apart)
    return table


def volumes(found: Findings) -> Table:
    """What a rank puts into the communicator."""
    table = Table("homes", "ranks", "sums", "maxima", "MB", "waited, s", title="communication of a rank")
    for run in found.runs:
        calls = run.ranks[0]["calls"]
        waited = np.mean([record["wall_s"].get(COMMUNICATION, 0.0) for record in run.ranks])
        sizes = str(calls["sum"]), str(calls["largest"]), f"{run.size / 1e6:.2f}"
        table.add_row(str(run.homes), str(run.case.ranks), *sizes, f"{waited:.2f}")
    return table


def phases(found: Findings) -> Table:
    """Processor seconds of all ranks together."""
    table = Table("homes", "ranks", *PHASES, title="processor seconds of all ranks")
    for run in found.runs:
        table.add_row(str(run.homes), str(run.case.ranks), *(f"{run.phase(name):.2f}" for name in PHASES))
    return table


def predicted(found: Findings) -> Table:
    """The model, from the run on one rank, beside the runs on several."""
    table = Table("homes", "ranks", "model, s", "measured, s", title="without waiting for a core")
    for run in found.runs:
        if run.case.ranks > 1:
            link = found.link.seconds(run.case.ranks, run.calls, run.size)
            guess = found.alone(run).trace.parallel(run.owner) + link
            table.add_row(str(run.homes), str(run.case.ranks), f"{guess:.2f}", f"{run.parallel + link:.2f}")
    return table


def shares(trace: Trace) -> Table:
    """Efficiency of the largest region by how its areas are shared out."""
    areas = trace.work.shape[1]
    table = Table("ranks", "neighbours", "in turn", "by their work", title=f"efficiency, {areas} areas")
    for ranks in SHARED:
        if ranks <= areas:
            ways = neighbours(areas, ranks), in_turn(areas, ranks), heaviest_first(trace.work.sum(axis=0), ranks)
            table.add_row(str(ranks), *(f"{trace.efficiency(owner):.0%}" for owner in ways))
    return table


def neighbours(areas: int, ranks: int) -> IntArray:
    """(A,) the owner of every area, as the package shares them out."""
    found = np.zeros(areas, dtype=np.int64)
    for rank in range(ranks):
        found[region.owned(areas, rank, ranks)] = rank
    return found


def extrapolated(found: Findings) -> Table:
    """Regions that grow with the ranks."""
    parts = ("ideal", "waiting", "trunk", "communication")
    table = Table("ranks", "homes", *parts, "total", "eff.", title="predicted, s: as much on every rank")
    every = predictions(found)
    homes = found.largest.homes / found.largest.case.areas
    for one in every:
        numbers = [f"{getattr(one, part):.2f}" for part in (*parts, "total")]
        table.add_row(str(one.ranks), f"{homes * one.areas:.0f}", *numbers, f"{every[0].total / one.total:.0%}")
    return table


def predictions(found: Findings) -> list[Prediction]:
    """Half of the largest region on every rank, over the link of a cluster."""
    model, rng = found.model, np.random.default_rng(0)
    return [model.weak(ranks, model.areas // 2, CLUSTER, rng) for ranks in RANKS]
