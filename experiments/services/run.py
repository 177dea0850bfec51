"""How much reserve a feeder holds ready at which price, hour by hour: ``python -m experiments.services.run``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from admmflex.progress import bar
from admmflex.studies.reserve import Reserve, sweep
from experiments.compare import study
from experiments.services.figure import draw

DAY = "services/reserve"
OUT = Path("results/services")
PRICES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
HOLD_H = 0.25


def main() -> None:
    """Print the curve (prices in EUR/(kW h), powers in kW); write JSON and page to ``results/services``."""
    day = study(DAY)
    with bar("reserve by price") as told:
        found = sweep(day, PRICES, HOLD_H, observe=told)
    Console().print(_table(found, day.horizon.dt_h))
    OUT.mkdir(parents=True, exist_ok=True)
    record = [
        {"price": one.price, "power_kw": one.power_kw.tolist(), "cost_eur": one.cost, "violation": one.violation}
        for one in found
    ]
    (OUT / "reserve.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    page = draw(found, day.horizon.dt_h).to_html(include_plotlyjs=True, config={"displaylogo": False})
    (OUT / "reserve.html").write_text(page, encoding="utf-8")


def _table(found: list[Reserve], dt_h: np.ndarray) -> Table:
    table = Table("price", "kW h", "least", "most", "12:00", "cost, EUR", "over V, pu", "over I", box=box.SIMPLE_HEAD)
    noon = int(np.searchsorted(np.cumsum(dt_h), 12.0 - 1e-9)) + 1
    for one in found:
        held = one.power_kw
        table.add_row(
            f"{one.price:g}" if one.status == "optimal" else f"{one.price:g} ({one.status})",
            f"{held @ dt_h:.0f}",
            f"{held.min():.1f}",
            f"{held.max():.1f}",
            f"{held[noon]:.1f}",
            f"{one.cost:.3f}",
            f"{one.violation[0]:.0e}",
            f"{one.violation[1]:.0e}",
        )
    return table


if __name__ == "__main__":
    main()
