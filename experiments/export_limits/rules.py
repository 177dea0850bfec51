"""What each rule gives and how evenly: ``python -m experiments.export_limits.rules``.

European feeder with 55 homes, two days of the benchmark of the search, voltages of 0.9 to 1.08 pu.
"""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.progress import track
from rich.table import Table

import grid
from admmflex.export_limits import EN_50549, RULES, Shares, export_limits, shares, uniform_limits
from experiments.benchmarks.export_limits_search import BAND, drawn, homes
from experiments.benchmarks.unbalanced import feeder


def gains(steps: int = 96) -> Iterator[tuple[str, Shares]]:
    """Rule and what it gives; limits of each scenario and step on its own."""
    customers = homes(grid.read_three_phase(feeder()))
    days = drawn(customers, 2, steps)
    limits = grid.UnbalancedLimits(customers.network, *BAND)
    rating = customers.rating_kw[:, None]
    for rule in RULES:
        yield rule, shares(customers, days, export_limits(customers, days, limits, rule))
    fixed = uniform_limits(customers, days, limits).xi.min() * rating
    yield "uniform, one number for all steps", shares(customers, days, fixed)
    answered = export_limits(customers, days, limits, inverter=EN_50549)
    yield "uniform, Volt-VAr inverters", shares(customers, days, answered)


def main() -> None:
    """Print the table."""
    table = Table("rule", "PV kWh", "curtailed", "Jain", "Gini of curtailment", "worst-off")
    for rule, one in track(gains(), "rules", total=6, console=Console(stderr=True), transient=True):
        curtailed = one.curtailed_kwh / (one.pv_kwh + one.curtailed_kwh)
        table.add_row(
            rule, f"{one.pv_kwh:.0f}", f"{curtailed:.1%}", f"{one.jain:.3f}", f"{one.gini:.2f}", f"{one.worst_off:.1%}"
        )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
