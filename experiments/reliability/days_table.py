"""What came of random days, as tables and a histogram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex.horizon import Array
from experiments.compare import gap

if TYPE_CHECKING:
    from experiments.reliability.days import Best, Day

SHARES = (50, 90, 99, 100)  # percent of the days
EMPTY = float("nan")


def show(days: Sequence[Day], optima: Mapping[int, Best], picture: Path) -> None:
    """Print everything; write the histogram."""
    console = Console()
    console.print(_statuses(days))
    console.print(_distribution(days, optima))
    for line in findings(days, optima):
        console.print(line, highlight=False)
    write_histogram(days, optima, picture)


def findings(days: Sequence[Day], optima: Mapping[int, Best]) -> list[str]:
    """Silent failures, and whether prices and the whole problem agree on what can be met."""
    silent = [day for day in days if day.silent]
    found = [f"{len(silent)} silent failures in {len(days)} days"]
    found += [f"  day {day.number}: {'; '.join(day.silent)}" for day in silent]
    for day in days:
        best = optima.get(day.number)
        if best is not None and (day.status == "infeasible") != (best.status == "infeasible"):
            found.append(f"  day {day.number} is {day.status} by prices, {best.status} as one problem")
    return found


def _statuses(days: Sequence[Day]) -> Table:
    shown = Table("grid", "days", "limits broken alone", "optimal", "infeasible", "not converged", "refused")
    for grid in (*dict.fromkeys(day.grid for day in days), "all"):
        own = [day for day in days if grid in (day.grid, "all")]
        counts = Counter(day.status for day in own)
        broken = sum(max(day.before_pu, day.before_loading) > 1e-3 for day in own)
        told = [counts[name] for name in ("optimal", "infeasible", "not_converged")]
        shown.add_row(grid, str(len(own)), str(broken), *map(str, told), str(counts["refused"] + counts["gave up"]))
    return shown


def measures(days: Sequence[Day], optima: Mapping[int, Best]) -> dict[str, Array]:
    """Numbers by day, of those with an optimal plan."""
    good = [day for day in days if day.status == "optimal"]
    pairs = [(day, optima[day.number]) for day in good if day.number in optima]
    solved = [(day, best) for day, best in pairs if best.status == "optimal"]
    return {
        "gap to the own bound": np.array([gap(day.cost_eur, day.bound_eur or EMPTY) for day in good]),
        "gap to the central optimum": np.array([gap(day.cost_eur, best.cost_eur) for day, best in solved]),
        "bound above the central optimum": np.array(
            [gap(day.bound_eur or EMPTY, best.cost_eur) for day, best in solved]
        ),
        "excess over a voltage limit, pu": np.array([day.voltage_pu for day in good]),
        "excess over a rating": np.array([day.loading for day in good]),
        "promises to devices missed, kWh or K": np.array([day.breach for day in good]),
        "answers of each home": np.array([float(day.answers) for day in good]),
    }


def _distribution(days: Sequence[Day], optima: Mapping[int, Best]) -> Table:
    shown = Table("of days with a plan", "days", *(f"{share} %" for share in SHARES))
    for name, values in measures(days, optima).items():
        if len(values):
            shown.add_row(name, str(len(values)), *(_number(x, name) for x in np.percentile(values, SHARES)))
    return shown


def _number(value: float, name: str) -> str:
    if name.startswith("answers"):
        return f"{value:.0f}"
    return f"{100 * value:.4f} %" if name.startswith(("gap", "bound")) else f"{value:.1e}"


def write_histogram(days: Sequence[Day], optima: Mapping[int, Best], path: Path) -> None:
    """Gaps and excess over the limits, as PNG."""
    import matplotlib.pyplot as plt

    found = measures(days, optima)
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2), layout="constrained")
    edges = np.concatenate([[-1e-3], np.linspace(0.0, 0.16, 33)])
    for name, colour in (("gap to the own bound", "#7a9cc6"), ("gap to the central optimum", "#c65d21")):
        if len(found[name]):
            left.hist(np.clip(100.0 * found[name], 0.0, 0.159), edges, label=name, color=colour, alpha=0.75)
    left.axvline(0.1, color="black", linewidth=0.8, linestyle="--")
    left.set(xlabel="cost above, % (0.16 and more in the last bar)", ylabel="days", yscale="log")
    left.legend()
    over = np.maximum(found["excess over a voltage limit, pu"] / 1e-4, found["excess over a rating"] / 1e-3)
    right.hist(over, np.linspace(0.0, 1.2, 25), color="#7a9cc6")
    right.axvline(1.0, color="black", linewidth=0.8, linestyle="--")
    right.set(xlabel="largest excess over a limit / what is allowed", ylabel="days", yscale="log")
    figure.savefig(path, dpi=130)
    plt.close(figure)
