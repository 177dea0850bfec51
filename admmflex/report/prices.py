"""Grid prices of all buses over the day."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from admmflex.report.style import DIVERGING, plans, tidy, time_axis
from admmflex.report.tree import Tree
from admmflex.supply import prosumer_buses

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

MOST = 300
NOTHING = 0.01  # ct/kWh


def heat_maps(data: xr.Dataset) -> list[tuple[str, go.Figure]]:
    """A title and a figure for active and reactive energy; none for prices that are zero all day."""
    found = []
    for name, what, unit in (("price_p", "active", "ct/kWh"), ("price_q", "reactive", "ct/kvarh")):
        if name not in data or plans(data)[-1][0]:
            continue
        price = 100.0 * data[name].to_numpy()
        rows = prosumer_buses(data)
        if len(rows) and np.abs(price[rows]).max() >= NOTHING:
            found.append((f"Price of {what} energy, {unit}", _heat_map(data, price, rows, unit)))
    return found


def _heat_map(data: xr.Dataset, price: np.ndarray, rows: np.ndarray, unit: str) -> go.Figure:
    import plotly.graph_objects as go

    if len(rows) > MOST:  # those with the strongest prices
        rows = np.sort(rows[np.argsort(-np.abs(price[rows]).max(axis=1), kind="stable")[:MOST]])
    tree = Tree.of(data)
    if tree is not None:
        rows = rows[np.argsort(tree.distance[rows], kind="stable")]
    x, axis = time_axis(data, most=7)
    labels = [f"bus {bus}" for bus in data["bus"].to_numpy()[rows]]
    end = float(np.abs(price[rows]).max())
    figure = go.Figure(
        go.Heatmap(
            x=x, y=labels, z=price[rows].round(3).astype(np.float32), zmin=-end, zmax=end, colorscale=DIVERGING,
            colorbar={"thickness": 12, "title": {"text": unit, "side": "top"}},
            hovertemplate=f"%{{y}} %{{x|%H:%M}}: %{{z:.2f}} {unit}<extra></extra>",
        )
    )  # fmt: skip
    tidy(figure, int(np.clip(120 + 6 * len(rows), 260, 400)))
    figure.update_yaxes(type="category", tickvals=labels[:: max(1, len(rows) // 12)], showgrid=False)
    figure.update_xaxes(showgrid=False, tickangle=0, **axis)
    return figure
