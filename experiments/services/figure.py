"""The reserve by hour for every price, and the cost curve of the day, as one page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from admmflex.horizon import Array
from admmflex.studies.reserve import Reserve

if TYPE_CHECKING:
    import plotly.graph_objects as go

FIRST, LAST = np.array([222.0, 235.0, 247.0]), np.array([8.0, 48.0, 107.0])


def draw(found: Sequence[Reserve], dt_h: Array) -> go.Figure:
    """Left: R over the hours, darker with the price. Right: what the day's reserve costs the prosumers."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    titles = ("held ready, up and down", "cost of the day's reserve")
    figure = make_subplots(rows=1, cols=2, column_widths=[0.62, 0.38], horizontal_spacing=0.1, subplot_titles=titles)
    hour = np.concatenate([[0.0], np.cumsum(dt_h)])
    shown = [one for one in found if one.power_kw.any()]
    for place, one in enumerate(shown):
        share = (place + 1) / len(shown)
        red, green, blue = (FIRST + share * (LAST - FIRST)).astype(int)
        held = np.append(one.power_kw, one.power_kw[-1])
        line = {"color": f"rgb({red},{green},{blue})", "shape": "hv", "width": 2}
        figure.add_trace(go.Scatter(x=hour, y=held, line=line, name=f"{one.price:g}"), row=1, col=1)
    total = [float(one.power_kw @ dt_h) for one in found]
    extra = [one.cost - found[0].cost for one in found]
    curve = {"mode": "lines+markers", "line": {"color": "#08306b", "width": 2}, "showlegend": False}
    figure.add_trace(go.Scatter(x=total, y=extra, **curve), row=1, col=2)
    figure.update_xaxes(title_text="hour of the day", dtick=3, row=1, col=1)
    figure.update_yaxes(title_text="kW", rangemode="tozero", row=1, col=1)
    figure.update_xaxes(title_text="kW h held ready", rangemode="tozero", row=1, col=2)
    figure.update_yaxes(title_text="EUR above the day without", rangemode="tozero", row=1, col=2)
    legend = {"title": "EUR/(kW h)", "orientation": "h", "y": -0.2}
    figure.update_layout(template="plotly_white", width=1100, height=460, legend=legend, margin={"t": 50})
    return figure
