"""A thousand random days by prices, held against AC limits, devices and the optimum.

``python -m experiments.reliability.days --days 1000 --optima 240``

Every day is one line of ``days.jsonl``, every optimum one of ``optima.jsonl``; a run that was interrupted goes on where
it stopped.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import admmflex
from admmflex.coordination.central import solve_central
from admmflex.coordination.schemes import Agreed, admm_settings
from admmflex.coordination.stopping import PROVEN, meets_limits, refuted
from admmflex.errors import InputError, SolverError
from admmflex.scenario import Study, build
from experiments.compare import excess
from experiments.homes.promises import kept
from experiments.reliability import draws
from experiments.reliability.days_table import show

KEPT = 1e-6  # kWh, K: what a device may miss of what it was promised


@dataclass(frozen=True)
class Day:
    """What prices made of a day.

    Args:
        status: of the run; "refused" for bad input and "gave up" for a solver that did, with their ``message``.
        bound_eur: what no plan within the linearised limits undercuts; None where the run says that it has none.
        voltage_pu, loading: excess over the limits in an AC power flow of the plan as written.
        before_pu, before_loading: the same without coordination.
        breach: of what devices were promised [kWh, K].
        silent: why a plan called optimal is wrong; empty where nothing is.
    """

    number: int
    grid: str
    homes: int
    status: str
    message: str = ""
    cost_eur: float = 0.0
    bound_eur: float | None = None
    voltage_pu: float = 0.0
    loading: float = 0.0
    before_pu: float = 0.0
    before_loading: float = 0.0
    breach: float = 0.0
    answers: int = 0
    seconds: float = 0.0
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Best:
    """The central problem of a day."""

    number: int
    status: str
    cost_eur: float
    seconds: float


def coordinate(number: int) -> Day:
    """One day, by prices."""
    drawn, started = draws.scenario(number), time.perf_counter()
    grid = list(draws.GRIDS)[number % len(draws.GRIDS)]
    try:
        study = build(drawn)
        result = admmflex.run(study)
    except InputError as error:
        return Day(number, grid, 0, "refused", str(error))
    except SolverError as error:
        return Day(number, grid, 0, "gave up", str(error))
    seconds = time.perf_counter() - started
    told, plan = result.summary, _plan(result.dataset)
    voltage, loading = excess(study, plan)
    before = told["baseline"]
    day = Day(
        number=number,
        grid=grid,
        homes=len(study.prosumers),
        status=told["status"],
        message=told.get("message") or "",
        cost_eur=told["objective_eur"],
        bound_eur=told.get("lower_bound_eur"),
        voltage_pu=voltage,
        loading=loading,
        before_pu=max(0.0, before["worst_voltage"]["excess"]),
        before_loading=max(0.0, before["worst_loading"]["excess"]),
        breach=max(asdict(kept(study, plan)).values()),
        answers=told["answers_per_prosumer"],
        seconds=seconds,
    )
    return Day(**{**asdict(day), "silent": silent_failures(study, day)})


def silent_failures(study: Study, day: Day) -> tuple[str, ...]:
    """What is wrong with a plan that is called optimal, and what is wrong with any plan."""
    settings, found = admm_settings(study.settings), []
    if not day.breach <= KEPT:
        found.append(f"devices by {day.breach:.1e}")
    if day.status != "optimal":
        return tuple(found)
    if not meets_limits(np.array([day.voltage_pu, day.loading]), settings):
        found.append(f"limits by {day.voltage_pu:.1e} pu, {day.loading:.1e}")
    bound = day.bound_eur
    if bound is not None and not (np.isfinite(bound) and not refuted(bound, day.cost_eur, settings)):
        found.append(f"bound {bound - day.cost_eur:.2g} EUR above the cost, {PROVEN:g} cost tolerances allowed")
    return tuple(found)


def optimum(number: int) -> Best:
    """The whole problem of a day at once."""
    study, started = build(draws.scenario(number)), time.perf_counter()
    found = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    return Best(number, found.status, found.cost, time.perf_counter() - started)


def _plan(data: Any) -> Agreed:
    """The plan as it stands in a result."""
    powers = np.stack([data["p_kw"].to_numpy(), data["q_kvar"].to_numpy()])
    assets = np.stack([data[name].to_numpy() for name in ("asset_p_kw", "asset_q_kvar", "energy_kwh")])
    return Agreed(powers, assets, float(data.attrs["objective_eur"]))


def _finished(file: Path) -> dict[int, dict[str, Any]]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return {row["number"]: row for row in map(json.loads, lines)}


def _compared(rows: Iterable[dict[str, Any]], first: int) -> list[int]:
    """Numbers of the days to solve at once, small grids first: the first ones, and all without an optimal plan."""
    solved = [row for row in rows if row["status"] not in ("refused", "gave up")]
    chosen = [row for row in solved if row["number"] < first or row["status"] != "optimal"]
    return [row["number"] for row in sorted(chosen, key=lambda row: (row["homes"], row["number"]))]


def _continued(file: Path, numbers: Sequence[int], one: Callable[[int], Day | Best], until: float) -> None:
    """Every number that is not yet in the file, as long as there is time."""
    known = _finished(file)
    left = [number for number in numbers if number not in known]
    for number in track(left, file.stem, console=Console(stderr=True)):
        if time.monotonic() > until:
            return
        row = json.dumps(asdict(one(number)))
        with file.open("a", encoding="utf-8") as lines:
            lines.write(row + "\n")


def main(arguments: Sequence[str] | None = None) -> None:
    """Coordinate, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m experiments.reliability.days", description=__doc__)
    parser.add_argument("--days", type=int, default=1000)
    parser.add_argument("--optima", type=int, default=240, help="of the first days, and of all without an optimal plan")
    parser.add_argument("--minutes", type=float, default=np.inf, help="after which no further one is begun")
    parser.add_argument("--out", type=Path, default=Path("results/reliability"), help="folder of what is finished")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    until = time.monotonic() + 60.0 * given.minutes
    days, optima = given.out / "days.jsonl", given.out / "optima.jsonl"
    _continued(days, range(given.days), coordinate, until)
    _continued(optima, _compared(_finished(days).values(), given.optima), optimum, until)
    rows = [Day(**{**row, "silent": tuple(row["silent"])}) for row in _finished(days).values()]
    show(rows, {number: Best(**row) for number, row in _finished(optima).items()}, given.out / "days.html")


if __name__ == "__main__":
    main()
