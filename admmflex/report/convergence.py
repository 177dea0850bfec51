"""How a coordination got to its plan, round by round, or how a controlled day went, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from admmflex.report.style import AFTER, BEFORE, LIMIT, tidy
from admmflex.summary import MET_PU

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

GREEN = "#3a9d6e"


def rounds(data: xr.Dataset) -> go.Figure | None:
    """Residuals, cost and excess over the rounds; None for methods without rounds."""
    from plotly.subplots import make_subplots

    if data.sizes.get("iteration", 0) < 2 or "history_primal" not in data:
        return None
    titles = ("Disagreement", "Cost, EUR", "Voltage beyond limits, pu")
    figure = make_subplots(rows=3, shared_xaxes=True, vertical_spacing=0.09, subplot_titles=titles)
    x = data["iteration"].to_numpy()
    lines = (
        (1, "history_primal", "homes and grid (primal)", AFTER[0], "lines"),
        (1, "history_dual", "movement of prices (dual)", BEFORE[0], "lines"),
        (2, "history_cost_eur", "answers", AFTER[0], "lines"),
        (2, "history_mix_cost_eur", "mixed plan", GREEN, "markers"),
        (3, "history_voltage_excess_pu", "answers", AFTER[0], "lines"),
        (3, "history_mix_voltage_excess_pu", "mixed plan", GREEN, "markers"),
    )
    named: set[str] = set()
    for row, name, title, colour, mode in lines:
        if name in data:
            y = data[name].to_numpy()
            y = np.maximum(y, 0.0) if row == 3 else y
            figure.add_scatter(
                x=x, y=y, mode=mode, name=title, line={"color": colour, "width": 1.8}, marker={"color": colour},
                legendgroup=title, showlegend=title not in named, row=row, col=1,
            )  # fmt: skip
            named.add(title)
    if (bound := data.attrs.get("lower_bound_eur")) is not None:
        dashed = {"color": LIMIT, "width": 1.2, "dash": "dash"}
        figure.add_hline(
            y=bound, line=dashed, row=2, col=1, annotation_text="lower bound", annotation_position="bottom left"
        )
    figure.add_hline(y=MET_PU, line={"color": LIMIT, "width": 1.0, "dash": "dot"}, row=3, col=1)
    tidy(figure, 620, legend={"y": 1.06})
    for title in figure.layout.annotations[:3]:
        title.update(x=0.0, xanchor="left", font={"size": 13})
    figure.update_yaxes(type="log", dtick=1, exponentformat="power", row=1, col=1)
    figure.update_yaxes(tickformat=".4f", row=3, col=1)
    figure.update_xaxes(title_text="round", row=3, col=1)
    return figure


def control(data: xr.Dataset) -> go.Figure | None:
    """Time and excess of the control steps of a day under cost charts, as means and extremes of each step."""
    from plotly.subplots import make_subplots

    if "history_chart_ms" not in data:
        return None
    titles = ("Computing, ms", "Voltage beyond limits, pu")
    figure = make_subplots(rows=2, shared_xaxes=True, vertical_spacing=0.12, subplot_titles=titles)
    x = data["iteration"].to_numpy()
    lines = (
        (1, "history_chart_ms", "charts of all homes", AFTER[0]),
        (1, "history_central_ms", "choice of the grid", BEFORE[0]),
        (2, "history_voltage_excess_pu", "worst control step", AFTER[0]),
    )
    for row, name, title, colour in lines:
        if name in data:
            y = data[name].to_numpy()
            y = np.maximum(y, 0.0) if row == 2 else y
            figure.add_scatter(x=x, y=y, mode="lines", name=title, line={"color": colour, "width": 1.8}, row=row, col=1)
    tidy(figure, 420, legend={"y": 1.08})
    for title in figure.layout.annotations:
        title.update(x=0.0, xanchor="left", font={"size": 13})
    figure.update_yaxes(type="log", dtick=1, row=1, col=1)
    figure.update_yaxes(tickformat=".4f", row=2, col=1)
    figure.update_xaxes(title_text="step", row=2, col=1)
    return figure
