"""The same day by prices and by one central problem, side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

import grid
from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.coordination.central import CentralResult, solve_central
from admmflex.coordination.coordinated import Status
from admmflex.coordination.schemes import Agreed, Outcome, by_prices
from admmflex.coordination.settings import AdmmSettings
from admmflex.data.study import Study

ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Compared:
    """One day solved twice.

    Args:
        cost_eur, reference_eur: of the plan agreed by prices, and of the central optimum.
        voltage_pu, loading: largest excess over the limits in an AC power flow [pu, fraction of the rating].
        seconds, central_s: wall clock.
    """

    status: Status
    cost_eur: float
    reference_eur: float
    lower_bound_eur: float | None
    voltage_pu: float
    loading: float
    rounds: int
    answers: int
    seconds: float
    central_s: float

    @property
    def gap(self) -> float:
        return gap(self.cost_eur, self.reference_eur)

    @property
    def certified(self) -> float | None:
        return None if self.lower_bound_eur is None else gap(self.cost_eur, self.lower_bound_eur)


def gap(cost: float, reference: float) -> float:
    """How much dearer than the reference, relative to it."""
    return (cost - reference) / max(abs(reference), 1e-9)


def study(name: str) -> Study:
    """The study of ``experiments/<name>.yaml``."""
    return scenario.build(scenario.load(ROOT / f"{name}.yaml"))


def central(day: Study) -> tuple[CentralResult, float]:
    """The optimum, and the seconds it took."""
    started = time.perf_counter()
    found = solve_central(day.network, day.limits, day.prosumers, day.horizon, threat=day.threat)
    if found.status != "optimal":
        raise RuntimeError(f"the central problem is {found.status}: nothing to compare with")
    return found, time.perf_counter() - started


def by_price(day: Study, settings: AdmmSettings | None = None) -> tuple[Outcome, float]:
    """The day agreed by prices, and the seconds it took."""
    started = time.perf_counter()
    outcome = by_prices(day, SerialComm(), lambda record: None, settings)
    return outcome, time.perf_counter() - started


def excess(day: Study, plan: Agreed) -> tuple[float, float]:
    """Largest excess of a voltage [pu] and of a loading [fraction] in the AC power flow of a plan; at least 0."""
    high, low, loading = day.limits.excess(voltages(day, plan))
    return max(0.0, float(high.max()), float(low.max())), max(0.0, float(loading.max(initial=0.0)))


def voltages(day: Study, plan: Agreed) -> NDArray[np.complex128]:
    """Complex voltages ``(n_bus, K)`` [pu] of the AC power flow of a plan."""
    at = day.network.positions([one.bus for one in day.prosumers])
    injection = np.zeros((2, day.network.n, day.horizon.steps))
    for power, own in zip(injection, plan.y, strict=True):
        np.add.at(power, at, own)
    return grid.power_flow(day.network, *injection).require().v


def compared(day: Study, outcome: Outcome, seconds: float, best: tuple[CentralResult, float]) -> Compared:
    """An outcome beside the optimum of the same day; ``best`` as ``central`` returns it."""
    optimum, central_s = best
    bound, rounds, cost = outcome.lower_bound, len(outcome.history), outcome.plan.cost
    over = excess(day, outcome.plan)
    return Compared(outcome.status, cost, optimum.cost, bound, *over, rounds, outcome.answers, seconds, central_s)


def show(names: Sequence[str]) -> None:
    """Solve the days twice and print how they compare, and what binds in the optimum."""
    agreed = Table("by prices", "cost, EUR", "central", "gap", "certified", "answers")
    checked = Table("checked", "homes x steps", "over V, pu", "over I", "s", "central s")
    console, binding = Console(), []
    for name in track(names, "days", console=Console(stderr=True), transient=True):
        day = study(name)
        by_price(day)  # loads and compiles what the times should not count
        best = central(day)
        row = compared(day, *by_price(day), best)
        status = name if row.status == "optimal" else f"{name} ({row.status})"
        costs = f"{row.cost_eur:.4f}", f"{row.reference_eur:.4f}", percent(row.gap), percent(row.certified)
        agreed.add_row(status, *costs, str(row.answers))
        over = f"{row.voltage_pu:.1e}", percent(row.loading)
        size = f"{len(day.prosumers)} x {day.horizon.steps}"
        checked.add_row(name, size, *over, f"{row.seconds:.2f}", f"{row.central_s:.2f}")
        binding.append(f"{name}: {_binding(best[0])}")
    for table in (agreed, checked):
        console.print(table)
    for line in binding:
        console.print(line, highlight=False)


def percent(value: float | None) -> str:
    """A fraction as a percentage."""
    return "-" if value is None else f"{100 * value:.4f} %"


def _binding(optimum: CentralResult) -> str:
    """How many rows bind in how many steps, and which."""
    counts: dict[str, int] = {}
    for row in optimum.rows:
        counts[row.label] = counts.get(row.label, 0) + 1
    named = ", ".join(f"{label} ({count})" for label, count in sorted(counts.items(), key=lambda item: -item[1])[:4])
    steps = len({row.step for row in optimum.rows})
    return f"{len(optimum.rows)} rows bind in {steps} steps of the optimum; most often {named}"


def record(row: Compared) -> dict[str, Any]:
    """The row as it is written to JSON."""
    return {**vars(row), "gap": row.gap, "certified_gap": row.certified}
