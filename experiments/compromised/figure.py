"""The price of robustness over the number of misbehaving devices, and what attacks do to plans with and without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import plotly.graph_objects as go

KEPT, BARE = "#08519c", "#d95f0e"


def draw(found: Mapping[str, Any]) -> go.Figure:
    """Left: cost above that without margins. Right: highest excess over a voltage limit in the AC power flow."""
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots

    rows = found["rows"]
    budget = [row["budget"] for row in rows]
    titles = ("price of robustness", "worst voltage under attack, over the limit")
    figure = make_subplots(rows=1, cols=2, subplot_titles=titles, horizontal_spacing=0.12)
    extra = [row["cost_eur"] - rows[0]["cost_eur"] for row in rows]
    both = {"mode": "lines+markers"}
    figure.add_trace(go.Scatter(x=budget, y=extra, line={"color": KEPT}, showlegend=False, **both), row=1, col=1)
    for key, name, colour in (("protected", "with margins", KEPT), ("bare", "without", BARE)):
        over = [1e3 * row[key]["voltage_pu"] for row in rows]
        figure.add_trace(go.Scatter(x=budget, y=over, line={"color": colour}, name=name, **both), row=1, col=2)
    figure.add_hline(0.0, line={"color": "#666666", "dash": "dash", "width": 1}, row=1, col=2)
    figure.update_xaxes(title_text="batteries that misbehave at once", rangemode="tozero")
    figure.update_yaxes(title_text="EUR a day", row=1, col=1)
    figure.update_yaxes(title_text="1e-3 pu", row=1, col=2)
    figure.update_layout(template="plotly_white", width=1100, height=420, legend={"orientation": "h", "y": -0.2})
    return figure
