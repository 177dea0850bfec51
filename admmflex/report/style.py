"""Colours, type and axes that all figures share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array
from admmflex.summary import TITLES, local_times

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

# Told apart with any colour vision: orange before, blue after (Okabe and Ito), grey limits.
BEFORE, AFTER = ("#d55e00", "rgba(213,94,0,0.16)"), ("#0072b2", "rgba(0,114,178,0.20)")
LIMIT, GRID, EDGE, INK = "#444444", "#ececec", "#999999", "#222222"
FONT = {"family": "Helvetica Neue, Helvetica, Arial, sans-serif", "size": 13, "color": INK}
DIVERGING = [[0.0, "#d55e00"], [0.25, "#f0b27a"], [0.5, "#fafafa"], [0.75, "#7fb8d8"], [1.0, "#0072b2"]]


def plans(data: xr.Dataset) -> list[tuple[str, str, str, str]]:
    """Suffix of the variables, title and colours of the plans to show; one when nothing was coordinated."""
    before = ("_baseline", "uncoordinated", *BEFORE)
    method = data.attrs.get("method", "")
    return [before] + [("", TITLES.get(method, "coordinated"), *AFTER)] * (method != "none")


def tidy(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """Give a figure the common look."""
    margin = {"l": 56, "r": 16, "t": 36, "b": 44}
    legend = {"orientation": "h", "x": 0.0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    figure.update_layout(template="plotly_white", font=FONT, height=height, margin=margin, legend=legend)
    figure.update_layout(**layout)
    figure.update_xaxes(
        gridcolor=GRID, zeroline=False, showline=True, linecolor=EDGE, automargin=True, title_font_size=13
    )
    figure.update_yaxes(
        gridcolor=GRID, zeroline=False, showline=True, linecolor=EDGE, automargin=True, title_font_size=13
    )
    return figure


def time_axis(data: xr.Dataset, most: int = 13) -> tuple[list[datetime], dict[str, Any]]:
    """Ends of the steps for a step plot, and an axis with at most so many labels, in local time."""
    local = local_times(data)
    ends = [*local, (local[-1].astimezone(UTC) + timedelta(hours=float(data["dt_h"][-1]))).astimezone(local[-1].tzinfo)]
    steady = len({moment.utcoffset() for moment in ends}) == 1
    shown = [moment if steady else moment.astimezone(UTC) for moment in ends]
    hours = (ends[-1] - ends[0]).total_seconds() / 3600.0
    every = next((n for n in (1, 2, 3, 6, 12) if hours / n <= most), 24)
    ticks = _ticks(ends[0], ends[-1], every)
    axis = {
        "tickvals": [(tick if steady else tick.astimezone(UTC)).replace(tzinfo=None) for tick in ticks],
        "ticktext": [tick.strftime("%H:%M<br>%d %b") if tick.hour == 0 else tick.strftime("%H:%M") for tick in ticks],
        "hoverformat": "%d %b %H:%M" if steady else "%d %b %H:%M UTC",
    }
    return [moment.replace(tzinfo=None) for moment in shown], axis


def _ticks(first: datetime, last: datetime, every: int) -> list[datetime]:
    """Local full hours that are multiples of ``every``, walked in UTC so that none is lost or doubled."""
    moment = first.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    found = []
    while moment <= last:
        here = moment.astimezone(first.tzinfo)
        if moment >= first and here.hour % every == 0 and here.minute == 0:
            found.append(here)
        moment += timedelta(hours=1)
    return found


def closed(values: Array) -> Array:
    """Values of the steps with the last one repeated at the end of its step."""
    return np.append(values, values[-1])
