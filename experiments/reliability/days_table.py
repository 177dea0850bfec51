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
    """Gaps and excess over the limits, as a page."""
    from plotly.subplots import make_subplots

    found = measures(days, optima)
    over = np.maximum(found["excess over a voltage limit, pu"] / 1e-4, found["excess over a rating"] / 1e-3)
    figure = make_subplots(1, 2, y_title="days")
    for name in ("gap to the own bound", "gap to the central optimum"):
        bins = {"start": -0.0025, "end": 0.2025, "size": 0.005}
        figure.add_histogram(
            x=np.clip(100.0 * found[name], 0.0, 0.2), xbins=bins, name=name, opacity=0.75, col=1, row=1
        )
    figure.add_histogram(x=over, xbins={"start": -0.025, "end": 1.225, "size": 0.05}, showlegend=False, col=2, row=1)
    figure.update_yaxes(type="log")
    figure.update_xaxes(title_text="cost above, % (0.2 and more in the last bar)", col=1)
    figure.update_xaxes(title_text="largest excess over a limit / what is allowed", col=2)
    figure.update_layout(barmode="overlay", template="plotly_white", legend={"orientation": "h", "y": 1.1})
    figure.write_html(path)
