"""Voltage over the distance from the feeding bus: highest and lowest of the day along every line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from admmflex.horizon import Array
from admmflex.report.style import LIMIT, plans, tidy
from admmflex.report.tree import Tree, segments

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr


MOST, BINS = 3000, 200
"""Lines that can be told apart, and parts of the distance for the envelope that stands for more."""


def profile(data: xr.Dataset) -> go.Figure | None:
    """The figure; None when the result does not tell how its grid hangs together or has no power flow."""
    import plotly.graph_objects as go

    tree = Tree.of(data)
    shown = [plan for plan in plans(data) if f"v_pu{plan[0]}" in data and np.isfinite(data[f"v_pu{plan[0]}"]).any()]
    if tree is None or not shown:
        return None
    figure = go.Figure()
    below = np.flatnonzero(tree.parent >= 0)
    edges = np.stack([tree.parent[below], below], axis=1)
    for suffix, name, colour, _ in shown:
        v = data[f"v_pu{suffix}"].to_numpy()
        for extreme, dash in ((np.nanmax(v, axis=1), "solid"), (np.nanmin(v, axis=1), "dot")):
            kind = "highest" if dash == "solid" else "lowest"
            if len(edges) > MOST:
                x, y = _envelope(tree.distance, extreme, np.fmax if dash == "solid" else np.fmin)
            else:
                x, y = segments(edges, tree.distance, extreme)
            line = {"color": colour, "width": 1.6, "dash": dash}
            figure.add_scatter(
                x=x, y=y, mode="lines", line=line, name=f"{name}, {kind}",
                hovertemplate=f"%{{y:.4f}} pu at %{{x:.3f}} {tree.unit}<extra>{name}, {kind}</extra>",
            )  # fmt: skip
    for limit in (float(data["v_min"].max()), float(data["v_max"].min())):
        figure.add_hline(y=limit, line={"color": LIMIT, "width": 1.2, "dash": "dash"})
    tidy(figure, 380, hovermode="closest")
    figure.update_xaxes(title_text=f"distance from the feeding bus, {tree.unit}")
    figure.update_yaxes(title_text="pu", tickformat=".3f")
    return figure


def _envelope(distance: Array, values: Array, extreme: np.ufunc) -> tuple[Array, Array]:
    """The most extreme value of all buses in each part of the distance (BINS,), NaN where there is none."""
    edges = np.linspace(0.0, float(distance[np.isfinite(distance)].max()), BINS + 1)
    at = np.clip(np.searchsorted(edges, distance, side="right") - 1, 0, BINS - 1)
    found = np.full(BINS, np.nan)
    extreme.at(found, at, values)
    return (edges[:-1] + edges[1:]) / 2.0, found
