"""The branches that carry most, before and after."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from admmflex.report.style import LIMIT, plans, tidy

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

SHOWN = 15


def peaks(data: xr.Dataset) -> go.Figure | None:
    """Highest loading of the day of the fullest branches; None without ratings or a power flow."""
    import plotly.graph_objects as go

    shown = [plan for plan in plans(data) if f"loading{plan[0]}" in data]
    if not shown:
        return None
    peak = {plan[0]: 100.0 * data[f"loading{plan[0]}"].to_numpy().max(axis=1) for plan in shown}
    highest = np.max(list(peak.values()), axis=0)
    rows = np.argsort(np.where(np.isfinite(highest), -highest, np.inf), kind="stable")[:SHOWN]
    rows = rows[highest[rows] > 0.0][::-1]
    if not len(rows):
        return None
    names = [_short(name) for name in data["branch"].to_numpy()[rows]]
    figure = go.Figure()
    for suffix, name, colour, _ in shown:
        figure.add_scatter(
            x=peak[suffix][rows], y=names, mode="markers", name=name, marker={"color": colour, "size": 10},
            hovertemplate="%{y}: %{x:.1f} %<extra>" + name + "</extra>",
        )  # fmt: skip
    limit = 100.0 * float(data["loading_max"].min()) if "loading_max" in data else 100.0
    figure.add_vline(x=limit, line={"color": LIMIT, "width": 1.2, "dash": "dash"})
    tidy(figure, 110 + 22 * len(rows), hovermode="closest")
    figure.update_xaxes(title_text="highest loading of the day, %", rangemode="tozero")
    return figure


def _short(name: str) -> str:
    """Kind and number; the rest of the name on the map."""
    return escape(str(name).split(" '")[0])
