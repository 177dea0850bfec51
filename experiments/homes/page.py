"""What the pictures of the homes have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK, GREY, RULE = "#222222", "#666666", "#e8e8e8"
AGREED, RISE = "#0072b2", "#d1495b"
PLANT, STORE = "#f2b134", "#3a9d6e"


def frame(figure: go.Figure, title: str, about: str, height: int) -> None:
    """Title, a line about it, fonts, margins and grid."""
    heading = f"<b>{title}</b><br><span style='font-size:13px;color:#555'>{about}</span>"
    figure.update_layout(
        template="plotly_white",
        title={"text": heading, "x": 0.0, "xref": "paper", "y": 0.97, "yanchor": "top"},
        font={"family": "Helvetica Neue, Helvetica, Arial, sans-serif", "size": 13, "color": INK},
        height=height,
        margin={"l": 70, "r": 30, "t": 120, "b": 60},
        hovermode="x unified",
        legend={"orientation": "h", "x": 1.0, "xanchor": "right", "y": 1.02, "yanchor": "bottom"},
    )
    for panel in figure.layout.annotations:
        if panel.yref == "paper":
            panel.update(x=0.0, xanchor="left", font={"size": 13, "color": INK})
    figure.update_yaxes(gridcolor=RULE, showline=True, linecolor="#999999", title={"font": {"size": 13}})
    figure.update_xaxes(title={"font": {"size": 13}})
