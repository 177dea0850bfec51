"""What the day costs every prosumer, before and after, and who gives way."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from admmflex.money import bills, curtailed_shares, gini
from admmflex.report.style import AFTER, BEFORE, INK, plans, tidy

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

MOST = 400
GRID_PAYMENT = "#cc79a7"


def changes(data: xr.Dataset) -> go.Figure | None:
    """Change of every bill by tariff and by grid prices, largest first; None without a plan before and after."""
    import plotly.graph_objects as go

    found = bills(data)
    if found is None or found.before is None or plans(data)[-1][0]:
        return None
    change = found.change
    assert change is not None  # there is a plan before
    order = np.argsort(-change, kind="stable")
    if len(order) > MOST:  # evenly spaced ranks keep the shape
        order = order[np.unique(np.linspace(0, len(order) - 1, MOST).round().astype(int))]
    rank = np.arange(1, len(order) + 1)
    names = [escape(str(name)) for name in data["prosumer"].to_numpy()[order]]
    texts = [
        f"{name}<br>bill before {before:.2f} EUR<br>after {after:.2f} EUR<br>to the grid {grid:.2f} EUR"
        for name, before, after, grid in zip(
            names, found.before[order], found.after[order], found.grid[order], strict=True
        )
    ]
    figure = go.Figure()
    for y, title, colour in (
        ((found.after - found.before)[order], "tariff bill", AFTER[0]),
        (found.grid[order], "payment at grid prices", GRID_PAYMENT),
    ):
        figure.add_bar(x=rank, y=y, name=title, marker={"color": colour, "line": {"width": 0}}, text=texts,
                       textposition="none", hovertemplate="%{text}<extra></extra>")  # fmt: skip
    line = {"color": INK, "width": 1.6, "shape": "hvh"}
    figure.add_scatter(x=rank, y=change[order], mode="lines", name="both", line=line, hoverinfo="skip")
    tidy(figure, 360, barmode="relative", bargap=0.0 if len(rank) > 60 else 0.15, hovermode="closest")
    figure.update_yaxes(title_text="more to pay, EUR", zeroline=True, zerolinecolor="#bbb")
    figure.update_xaxes(title_text="homes, the one that pays most more first")
    return figure


def curtailment(data: xr.Dataset) -> go.Figure | None:
    """Part of its sun that each prosumer does not give, largest first; None when all give all."""
    import plotly.graph_objects as go

    shares = curtailed_shares(data)
    if shares is None or not (np.nan_to_num(shares) > 1e-3).any():
        return None
    rows = np.flatnonzero(np.isfinite(shares))
    rows = rows[np.argsort(-shares[rows], kind="stable")]
    figure = go.Figure()
    figure.add_bar(x=np.arange(1, len(rows) + 1), y=100.0 * shares[rows], marker={"color": BEFORE[0]},
                   text=data["prosumer"].to_numpy()[rows].astype(str), textposition="none",
                   hovertemplate="%{text}: %{y:.1f} %<extra></extra>")  # fmt: skip
    tidy(figure, 280, hovermode="closest")
    figure.update_yaxes(title_text="of the sun curtailed, %")
    figure.update_xaxes(title_text="homes with PV")
    return figure


def told(data: xr.Dataset) -> str:
    """Fairness in words."""
    found, shares = bills(data), curtailed_shares(data)
    texts = []
    if found is not None and found.change is not None:
        worst = int(np.argmax(found.change))
        name = data["prosumer"].to_numpy()[worst]
        texts.append(
            f"{int((found.change > 0.005).sum())} of {len(found.change)} homes pay more than they would alone, "
            f"{name} most: {found.change[worst]:+.2f} EUR. At grid prices {found.grid.sum():+.2f} EUR are collected."
        )
    if shares is not None and (even := gini(shares)) is not None and np.nanmax(shares) > 1e-3:
        name = data["prosumer"].to_numpy()[int(np.nanargmax(shares))]
        texts.append(
            f"Curtailment falls with a Gini coefficient of {even:.2f}; {name} gives up {100 * np.nanmax(shares):.1f} %."
        )
    return " ".join(texts)
