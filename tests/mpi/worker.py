"""What every rank does: ``python worker.py <folder> <scenario>...``; without arguments the last rank fails.

With ``region`` for the first scenario the others are regions; with ``unreliable`` answers of their homes get lost.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from admmflex.comm import default_comm, own_steps

KINDS: dict[str, dict[str, Any]] = {"mixing": {"max_iterations": 30}, "plain": {"mixing": None, "max_iterations": 20}}
UNRELIABLE: dict[str, dict[str, Any]] = {"unreliable": {}}
KINDS |= {"random": KINDS["plain"]}
CUTS = {"random": 1}
"""Kinds in which prosumers are assigned to ranks at random, cut where the bus changes; the seed."""
KINDS_OF_REGIONS: dict[str, dict[str, Any]] = {"region": {}}


def coordinate(path: str, kind: str) -> dict[str, Any]:
    """Agree on the day; ``differ`` says how far the outcomes of the ranks are apart."""
    from admmflex import scenario  # not needed by ranks that only fail
    from admmflex.coordination.schemes import by_prices
    from admmflex.coordination.settings import AdmmSettings

    study, settings = scenario.build(scenario.load(path)), AdmmSettings(**(KINDS | KINDS_OF_REGIONS | UNRELIABLE)[kind])
    comm = default_comm(study.horizon.steps)
    with cut_at_random(CUTS.get(kind)), losing_answers() if kind in UNRELIABLE else nullcontext():
        found = by_prices(study, comm, lambda record: None, settings)
    assert found.baseline is not None
    result = {
        "y": found.plan.y,
        "price": found.price,
        "cost": np.array([found.plan.cost]),
        "baseline": found.baseline.y,
        "ways": np.array(list(found.responses["ways"].values()), float),
        "bound": np.array([np.nan if found.lower_bound is None else found.lower_bound]),
    }
    apart = max(float(np.nanmax(np.abs(comm.broadcast(a.copy()) - a))) for a in result.values())
    worst = float(comm.largest(np.array([apart]))[0])
    told = {"status": found.status, "message": found.message or "", "answers": found.answers}
    told |= {"silent": str(found.responses.get("silent")), "missed": found.responses.get("missed_answers", 0)}
    return result | told | {"size": comm.size, "differ": worst}


def losing_answers() -> Any:
    """Three of ten answers get lost, and the fourth home dies."""
    from admmflex.coordination.community import Community
    from admmflex.coordination.schemes import Sorted
    from experiments.reliability.unreliable import Trouble, Unreliable

    whole = Sorted.community

    def community(self: Sorted, horizon: Any) -> Community:
        plain, homes = whole(self, horizon), self.order[self.own]
        troubles = {i: Trouble("lost", share=0.3) for i in range(len(homes))}
        troubles |= {i: Trouble("raises", first=5) for i in np.flatnonzero(homes == 3).tolist()}
        return replace(plain, population=Unreliable(plain.population, troubles, homes, seed=4))

    return mock.patch.object(Sorted, "community", community)


@contextmanager
def cut_at_random(seed: int | None) -> Iterator[None]:
    """Assign prosumers to ranks by sorted random cuts between buses; a rank may own nobody."""
    from admmflex.coordination import schemes

    usual = schemes.own_prosumers

    def own(bus: Any, rank: int, size: int) -> slice:
        starts = np.flatnonzero(np.diff(bus, prepend=-1, append=bus.max() + 1))
        inner = np.sort(np.random.default_rng(seed).choice(starts, size - 1))
        cuts = [0, *inner.tolist(), len(bus)]
        return slice(cuts[rank], cuts[rank + 1])

    schemes.own_prosumers = usual if seed is None else own
    try:
        yield
    finally:
        schemes.own_prosumers = usual


def control(path: str) -> dict[str, Any]:
    """An hour under charts, at a control step of five minutes."""
    from admmflex import scenario
    from admmflex.data.spec import ChartsSpec
    from admmflex.studies.charts_day import by_charts

    loaded = scenario.load(path)
    hour = loaded.spec.horizon.model_dump() | {"start": "2016-05-26 11:00", "duration": "1h"}
    spec = loaded.spec.model_copy(update={"horizon": type(loaded.spec.horizon).model_validate(hour)})
    study = scenario.build(replace(loaded, spec=spec))
    settings = study.settings.model_copy(update={"charts": ChartsSpec(control_seconds=300.0)})
    comm = default_comm(study.horizon.steps)
    found = by_charts(replace(study, settings=settings), comm, lambda record: None)
    result = {"y": found.plan.y, "assets": np.nan_to_num(found.plan.assets), "price": found.price}
    apart = max(float(np.abs(comm.broadcast(a.copy()) - a).max()) for a in result.values())
    worst = float(comm.largest(np.array([apart]))[0])
    return result | {"cost": np.array([found.plan.cost]), "size": comm.size, "differ": worst}


def exchange(n_steps: int) -> None:
    """Every call of the communicator against what one process would compute from the data of all ranks."""
    comm = default_comm(n_steps)
    rng = np.random.default_rng(0)
    everybody = rng.normal(size=(comm.size, n_steps, 3))
    mine, own = everybody[comm.rank], own_steps(n_steps, comm.rank, comm.size)
    total = everybody.sum(axis=0)
    np.testing.assert_allclose(comm.scatter_steps(mine.copy()), total[own], atol=1e-14)
    np.testing.assert_array_equal(comm.gather_steps(total[own].copy()), total)
    np.testing.assert_allclose(comm.sum(mine.copy()), total, atol=1e-14)
    np.testing.assert_array_equal(comm.largest(mine.copy()), everybody.max(axis=0))
    parts = [everybody[rank][:rank] for rank in range(comm.size)]
    np.testing.assert_array_equal(comm.stack(parts[comm.rank].copy()), np.concatenate(parts))
    np.testing.assert_array_equal(comm.broadcast(mine.copy()), everybody[0])


def fail() -> None:
    """The last rank fails while the others wait for it."""
    comm = default_comm(1)
    if comm.rank == comm.size - 1:
        raise RuntimeError("this rank fails on purpose")
    comm.sum(np.zeros(1))


def work(folder: Path, paths: list[str]) -> None:
    """Everything that one start of the ranks is good for; the first path is of a day under charts."""
    for n_steps in (2, 7):
        exchange(n_steps)
    kinds = {"region": KINDS_OF_REGIONS, "unreliable": UNRELIABLE}.get(paths[0], KINDS)
    charts = control(paths[0]) if kinds is KINDS else {}
    if default_comm(1).rank == 0:
        np.savez(folder / "charts.npz", **charts)
    for path in paths[1:]:
        for kind in kinds:
            result = coordinate(path, kind)
            if default_comm(1).rank == 0:
                np.savez(folder / f"{Path(path).parent.name}-{kind}.npz", **result)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        work(Path(sys.argv[1]), sys.argv[2:])
    else:
        fail()
