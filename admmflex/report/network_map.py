"""The grid on a map, or as a tree where it has no coordinates: worst voltage of buses, highest loading of branches."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array, IntArray
from admmflex.report.style import GRID, plans, tidy
from admmflex.report.tree import Tree, segments
from admmflex.summary import MET_PU

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

BINS = (
    (0.0, 0.25, "#c9d3da", 1.5, "below 25 %"),
    (0.25, 0.5, "#9fb6c4", 2.0, "25 to 50 %"),
    (0.5, 0.75, "#6f8fa6", 2.8, "50 to 75 %"),
    (0.75, 1.001, "#37566e", 3.6, "75 to 100 %"),
    (1.001, np.inf, "#c2185b", 5.0, "above 100 %"),
)
MOST = 1000
"""Buses, and branches, that can be pointed at: of more those nearest to a limit."""
MANY = 500
"""Buses beyond which they are drawn smaller."""
VOLTAGE = [[0.0, "#3b4cc0"], [0.25, "#8fb0fe"], [0.5, "#f2f2f2"], [0.75, "#f6a283"], [1.0, "#b40426"]]


def maps(data: xr.Dataset) -> list[tuple[str, go.Figure]]:
    """A title and a figure for every plan whose power flow is known."""
    tree = Tree.of(data)
    if tree is None:
        return []
    place, where = _places(data, tree)
    return [
        (title, _map(data, tree, place, where, suffix))
        for suffix, title, *_ in plans(data)
        if f"v_pu{suffix}" in data and np.isfinite(data[f"v_pu{suffix}"].to_numpy()).any()
    ]


def _places(data: xr.Dataset, tree: Tree) -> tuple[Array, bool]:
    """Where to draw the buses, and whether that is on the ground."""
    if "bus_x" in data:
        ground = np.stack([data["bus_x"].to_numpy(), data["bus_y"].to_numpy()], axis=1)
        named = data["bus"].to_numpy() >= 0
        if np.isfinite(ground[named]).all() and len(np.unique(ground[named], axis=0)) > 0.5 * named.sum():
            for bus in np.flatnonzero(~np.isfinite(ground).all(axis=1)):
                ground[bus] = ground[max(int(tree.parent[bus]), 0)]
            return ground, True
    return tree.places(), False


def _map(data: xr.Dataset, tree: Tree, place: Array, on_ground: bool, suffix: str) -> go.Figure:
    import plotly.graph_objects as go

    figure = go.Figure()
    x, y = place.T
    loading = data[f"loading{suffix}"].to_numpy().max(axis=1)
    for low, high, colour, width, name in BINS:
        rows = (loading >= low) & (loading < high)
        if rows.any():
            sx, sy = segments(tree.ends[rows], x, y)
            line = {"color": colour, "width": width}
            figure.add_scatter(x=sx, y=sy, mode="lines", line=line, name=name, hoverinfo="skip")
    fullest = _top(loading)
    middle = place[tree.ends[fullest]].mean(axis=1).astype(np.float32)
    names = [escape(str(name)) for name in data["branch"].to_numpy()[fullest]]
    labels = [f"{name}: at most {100 * value:.0f} %" for name, value in zip(names, loading[fullest], strict=True)]
    unseen = {"size": 12, "opacity": 0}
    figure.add_scatter(
        x=middle[:, 0], y=middle[:, 1], mode="markers", marker=unseen, text=labels, hoverinfo="text", showlegend=False
    )
    figure.add_scatter(**_buses(data, suffix, place))
    axis: dict[str, Any] = {"showgrid": False, "showticklabels": False, "showline": False, "zeroline": False}
    tidy(figure, 420, legend={"y": -0.08, "yanchor": "top", "font": {"size": 11}}, hovermode="closest")
    figure.update_layout(margin={"l": 8, "r": 8, "t": 8, "b": 8})
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    if on_ground:
        inside = np.isfinite(y)
        degrees = np.abs(y[inside]).max(initial=0.0) <= 90.0 and np.abs(x[inside]).max(initial=0.0) <= 180.0
        ratio = 1.0 / np.cos(np.deg2rad(float(y[inside].mean()))) if degrees else 1.0
        figure.update_yaxes(scaleanchor="x", scaleratio=ratio)
    else:
        figure.update_layout(legend={"y": -0.18}, margin={"b": 24})
        figure.update_xaxes(showticklabels=True, showgrid=True, gridcolor=GRID, title_text=f"distance, {tree.unit}")
    return figure


def _top(values: Array) -> IntArray:
    """Positions of the highest, as many as can be pointed at."""
    return np.argsort(-values, kind="stable")[:MOST]


def _buses(data: xr.Dataset, suffix: str, place: Array) -> dict[str, Any]:
    """Each bus in the colour of its worst voltage: where it is furthest beyond, or nearest to, a limit."""
    v = data[f"v_pu{suffix}"].to_numpy()
    low, high = data["v_min"].to_numpy(), data["v_max"].to_numpy()
    excess = np.where(np.isfinite(v), np.maximum(v - high[:, None], low[:, None] - v), -np.inf)
    shown = np.sort(_top(excess.max(axis=1)))
    worst = v[shown, excess[shown].argmax(axis=1)]
    beyond = excess[shown].max(axis=1) > MET_PU
    names = data["bus_name"].to_numpy()[shown] if "bus_name" in data else np.full(len(shown), "")
    texts = [
        f"bus {bus} {escape(str(name))}<br>worst {value:.4f} pu{', beyond its limit' if out else ''}"
        for bus, name, value, out in zip(data["bus"].to_numpy()[shown], names, worst, beyond, strict=True)
    ]
    size = 7 if len(v) <= MANY else 4
    marker = {
        "color": worst.astype(np.float32), "colorscale": VOLTAGE, "cmin": float(low.min()), "cmax": float(high.max()),
        "size": np.where(beyond, size + 2, size), "line": {"color": "#000000", "width": np.where(beyond, 1.6, 0.3)},
        "colorbar": {"title": {"text": "pu", "side": "top"}, "thickness": 12, "len": 0.8, "tickformat": ".2f"},
    }  # fmt: skip
    x, y = place[shown].T.astype(np.float32)
    return {
        "x": x,
        "y": y,
        "mode": "markers",
        "marker": marker,
        "text": texts,
        "hoverinfo": "text",
        "showlegend": False,
    }
