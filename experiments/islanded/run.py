"""Both islands by prices and centrally, and what they serve: ``python -m experiments.islanded.run``."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from admmflex import load, run
from experiments.compare import ROOT, show

DAYS = ("islanded/five", "islanded/rural3")


def main() -> None:
    """Print the comparison, then served and shed energy and the residual of each island."""
    show(DAYS)
    table = Table("island", "load, kWh", "normal shed", "critical shed", "critical served, h", "residual of load")
    messages = []
    for name in DAYS:
        found = run(load(ROOT / f"{name}.yaml")).summary["island"]
        normal, critical = found["normal"], found["critical"]
        served = f"{critical['served_h']:g}" if "served_h" in critical else "all"
        shed = f"{normal['shed_kwh']:.1f}", f"{critical['shed_kwh']:.1f}"
        table.add_row(name, f"{found['load_kwh']:.1f}", *shed, served, f"{100 * found['residual_of_load']:.4f} %")
        messages.append(f"{name}: {found['message']}")
    console = Console()
    console.print(table)
    for message in messages:
        console.print(message, highlight=False)


if __name__ == "__main__":
    main()
