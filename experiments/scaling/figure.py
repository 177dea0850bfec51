"""How long a region takes that grows with the ranks, by what the time is for, as a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from experiments.scaling.model import Prediction

if TYPE_CHECKING:
    import plotly.graph_objects as go

PARTS = (
    ("ideal", "work, shared evenly", "#3b528b"),
    ("waiting", "waiting for the slowest rank", "#21918c"),
    ("trunk", "trunk, on every rank", "#e0803a"),
    ("communication", "communication", "#b33a5b"),
)


def write_figure(predictions: Sequence[Prediction], homes_per_area: float, path: Path) -> None:
    """Draw the predictions into an HTML file."""
    drawn = draw(predictions, homes_per_area)
    path.write_text(drawn.to_html(include_plotlyjs=True, config={"displaylogo": False}), encoding="utf-8")


def draw(predictions: Sequence[Prediction], homes_per_area: float) -> go.Figure:
    """A bar for each number of ranks."""
    import plotly.graph_objects as go

    figure = go.Figure()
    named = [f"{one.ranks:,}<br>{round(homes_per_area * one.areas, -2):,.0f}" for one in predictions]
    for name, label, colour in PARTS:
        figure.add_bar(x=named, y=[getattr(one, name) for one in predictions], name=label, marker_color=colour)
    for place, one in zip(named, predictions, strict=True):
        share = f"{predictions[0].total / one.total:.0%}"
        figure.add_annotation(x=place, y=one.total, text=share, showarrow=False, yshift=12)
    note = "predicted from runs on one rank; above the bars: efficiency, the time of one rank over that of so many"
    figure.update_layout(
        template="plotly_white",
        barmode="stack",
        title={"text": f"A region that grows with the ranks<br><sup>{note}</sup>", "x": 0.02},
        legend={"orientation": "h", "y": 1.06, "traceorder": "normal"},
        font={"size": 14},
        xaxis={"title": "ranks, and homes in the region", "type": "category"},
        yaxis={"title": "seconds with a core for each rank"},
        margin={"l": 70, "r": 20, "t": 120, "b": 80},
    )
    return figure
