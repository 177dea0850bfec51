"""Export limits over the day: the fan of all scenarios, and the one limit that holds in most of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.report.style import AFTER, tidy
from admmflex.summary import local_times

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

FAN = ((5.0, 95.0), (25.0, 75.0))
COLOURS = ("#d55e00", "#009e73", "#cc79a7", "#e69f00")


def fan(data: xr.Dataset) -> go.Figure | None:
    """Limits as shares of the ratings; None for results of other methods."""
    import plotly.graph_objects as go

    if "xi" not in data:
        return None
    x = [moment.replace(tzinfo=None) for moment in local_times(data)]
    each = 100.0 * data["xi"].to_numpy()
    figure = go.Figure()
    for low, high in FAN:
        bottom, top = np.percentile(each, [low, high], axis=0)
        line: dict[str, Any] = {"mode": "lines", "line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip"}
        figure.add_scatter(x=x, y=bottom, showlegend=False, **line)
        name = f"{high - low:.0f} % of the scenarios"
        figure.add_scatter(x=x, y=top, fill="tonexty", fillcolor=AFTER[1], name=name, **line)
    for row, share in enumerate(data["robustness"].to_numpy()):
        style = {"color": COLOURS[row % len(COLOURS)], "width": 2.0, "shape": "hv"}
        y = 100.0 * data["xi_robust"].to_numpy()[row]
        figure.add_scatter(x=x, y=y, mode="lines", line=style, name=f"holds in {share:g} %", hovertemplate="%{y:.1f} %")
    tidy(figure, 420, hovermode="x unified")
    figure.update_yaxes(title_text="of the rating, %", rangemode="tozero")
    return figure


def told(summary: Mapping[str, Any]) -> list[str]:
    """The limits in words, one sentence for each share of scenarios in which they hold."""
    found = summary["export_limits"]
    texts = [f"{found['customers']} customers may export up to a common share of their ratings."]
    texts += [
        f"The limit that holds in {one['robustness_percent']:g} % of {found['scenarios']} scenarios is at its lowest "
        f"{100.0 * one['lowest_limit']:.1f} %, and {one['curtailed_kwh']:.1f} kWh of sun are curtailed on average."
        for one in found["limits"]
    ]
    first = found["limits"][0]
    if "broken" in first:
        texts.append(
            f"By AC power flow, limits of the feeder are broken in {100.0 * found['broken_free']:.1f} % of all "
            f"scenarios and steps without a limit, and in {100.0 * first['broken']:.2f} % with the strictest."
        )
    message = str(summary.get("message") or "")
    return texts + ([f"{message[:1].upper()}{message[1:]}."] if message else [])
