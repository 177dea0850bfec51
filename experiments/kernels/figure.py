"""The roofline of the machine and where the kernels stand under it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from experiments.kernels.machine import Machine
from experiments.kernels.work import Measured

COLORS = {"L1": "#1f77b4", "L2": "#2ca02c", "L3": "#d9822b", "DRAM": "#a83232"}
LOW, HIGH = 0.1, 8.0  # operations per byte that are shown


def roofline(machine: Machine, found: Sequence[Measured]) -> go.Figure:
    """A roof per level of memory; a kernel has the colour of the level that holds its data."""
    figure, x = go.Figure(), np.geomspace(LOW, HIGH, 100)
    for level, bandwidth in machine.bandwidth.items():
        roof = np.minimum(machine.peak, bandwidth * x) / 1e9
        name = f"{level}, {bandwidth / 1e9:.0f} GB/s"
        figure.add_scatter(x=x, y=roof, mode="lines", line={"color": COLORS[level]}, name=name)
    for number, one in enumerate(found, 1):
        figure.add_scatter(
            x=[one.intensity],
            y=[one.rate / 1e9],
            mode="markers+text",
            text=[str(number)],
            textposition="middle center",
            textfont={"color": "white", "size": 11},
            marker={"color": COLORS[one.level], "size": 19},
            name=f"{number}  {one.name}, {one.share:.0%}",
        )
    figure.update_layout(
        template="plotly_white",
        title={"text": f"Kernels under the roof of one core, {machine.peak / 1e9:.0f} GFlop/s", "x": 0.02},
        legend={"title": "memory; kernels and their share of the roof"},
        font={"size": 13},
        width=1100,
        height=560,
        margin={"l": 70, "r": 20, "t": 60, "b": 60},
    )
    figure.update_xaxes(type="log", title_text="operations per byte", dtick="D2")
    figure.update_yaxes(type="log", title_text="GFlop/s", dtick=1)
    return figure
