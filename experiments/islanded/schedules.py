"""The schedules of both objectives for one island: ``python -m experiments.islanded.schedules``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex.data.study import Study
from admmflex.studies.objectives import Objectives, Schedule, both
from experiments.homes.page import AGREED, GREY, RISE, frame
from experiments.islanded.cases import Case, study

if TYPE_CHECKING:
    import plotly.graph_objects as go

CASE = Case("five", "winter", 18, 1.0, 0.3)
NAMES = {"longest": "longest survival", "expected": "least expected cost"}
PALE = "#d9d9d9"


def table(found: Objectives) -> Table:
    """Both schedules by both measures."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    view.add_column("", no_wrap=True)
    for name in ("all critical for", "normal lost", "critical lost", "expected cost"):
        view.add_column(name, justify="right", no_wrap=True)
    for key, name in NAMES.items():
        one: Schedule = getattr(found, key)
        normal, critical = (f"{value:.2f} kWh" for value in one.expected_kwh)
        view.add_row(name, f"{one.survival_h:g} h", normal, critical, f"{one.expected_eur:.2f} EUR")
    return view


def picture(island: Study, found: Objectives) -> go.Figure:
    """What each schedule serves hour by hour, and how probable it is that the outage still lasts."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    assert island.lasting is not None
    hours = np.cumsum(island.horizon.dt_h) - 0.5 * island.horizon.dt_h
    titles = [*NAMES.values(), "probability that the outage still lasts"]
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.08, subplot_titles=titles)
    for row, key in enumerate(NAMES, start=1):
        one: Schedule = getattr(found, key)
        served = one.load - one.shed
        parts = (
            ("critical, served", served[1], AGREED),
            ("normal, served", served[0], "#8fc1e3"),
            ("critical, not served", one.shed[1], RISE),
            ("normal, not served", one.shed[0], PALE),
        )
        for name, value, colour in parts:
            bar = go.Bar(
                x=hours, y=np.maximum(value, 0.0), name=name, marker_color=colour, legendgroup=name,
                showlegend=row == 1, hovertemplate="%{y:.2f} kW",
            )  # fmt: skip
            figure.add_trace(bar, row=row, col=1)
        figure.update_yaxes(title="kW", row=row, col=1)
    lasting = go.Bar(x=hours, y=100.0 * island.lasting, marker_color=GREY, showlegend=False, hovertemplate="%{y:.0f} %")
    figure.add_trace(lasting, row=3, col=1)
    figure.update_yaxes(title="%", row=3, col=1)
    figure.update_xaxes(title="hours since the outage began", row=3, col=1)
    figure.update_layout(barmode="stack", bargap=0.08)
    frame(figure, "One island, two objectives", "loads that are served, and those that are not", 760)
    return figure


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results") / "resilience", help="folder of the picture")
    chosen = parser.parse_args(arguments)
    island = study(CASE)
    console = Console()
    with console.status("both schedules, a few seconds"):
        found = both(island)
    console.print(table(found))
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "schedules.html"
    picture(island, found).write_html(path, include_plotlyjs=True)
    console.print(f"\npicture  {path}")


if __name__ == "__main__":
    main()
