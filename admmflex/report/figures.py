"""Figures of a result, from its dataset alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array
from admmflex.report.style import BEFORE, LIMIT, closed, plans, time_axis
from admmflex.results import read
from admmflex.summary import local_times, summarise
from admmflex.supply import prosumer_buses

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

PANELS = (
    "Voltage: highest and lowest of all buses, pu",
    "{device} loading, %",
    "Grid price of active power, range over the prosumers' buses, ct/kWh",
    "Grid price of reactive power, range over the prosumers' buses, ct/kvarh",
)


def day(source: xr.Dataset | Path | str) -> go.Figure:
    """The day before and after coordination: voltage, transformer loading and grid prices over local time.

    Args:
        source: the dataset of a result, or the folder it was written to. Parts that it lacks stay empty.
    """
    from plotly.subplots import make_subplots

    data = read(source).dataset if isinstance(source, str | Path) else source
    device, rows = _devices(data)
    figure = make_subplots(
        rows=4,
        shared_xaxes=True,
        vertical_spacing=0.065,
        row_heights=[0.34, 0.26, 0.22, 0.18],
        subplot_titles=[title.format(device=device) for title in PANELS],
    )
    x, axis = time_axis(data)
    shown = plans(data)
    for suffix, name, line, fill in shown:
        if f"v_pu{suffix}" in data:
            v = data[f"v_pu{suffix}"].to_numpy()
            _band(figure, 1, x, v.min(axis=0), v.max(axis=0), name, line, fill, ".4f")
        if f"loading{suffix}" in data:
            worst = 100.0 * data[f"loading{suffix}"].to_numpy()[rows].max(axis=0)
            figure.add_scatter(x=x, y=closed(worst), **_line(name, line, ".1f"), row=2, col=1)
    for row, name in ((3, "price_p"), (4, "price_q")):
        if name in data:
            price = 100.0 * data[name].to_numpy()[prosumer_buses(data)]
            _band(figure, row, x, price.min(axis=0), price.max(axis=0), *shown[-1][1:], ".2f")
    _limits(figure, data, rows, x)
    _mark_worst(figure, data, x)
    _style(figure, data, axis)
    return figure


def _devices(data: xr.Dataset) -> tuple[str, Any]:
    """The transformers, or all branches when there is none."""
    if "branch_kind" in data:
        rows = np.flatnonzero(data["branch_kind"].to_numpy() == "transformer")
        if len(rows):
            return "Transformer" if len(rows) == 1 else "Highest transformer", rows
    return "Highest branch", slice(None)


def _line(name: str, colour: str, form: str, legend: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "mode": "lines",
        "line": {"color": colour, "width": 1.8, "shape": "hv"},
        "legendgroup": name,
        "showlegend": legend,
        "hovertemplate": f"%{{y:{form}}}",
    }


def _band(
    figure: go.Figure, row: int, x: list[datetime], low: Array, high: Array, name: str, line: str, fill: str, form: str
) -> None:
    """Lowest and highest with the range between them shaded."""
    bottom = _line(f"{name}, lowest", line, form) | {"legendgroup": name}
    top = _line(f"{name}, highest", line, form) | {"legendgroup": name, "fill": "tonexty", "fillcolor": fill}
    figure.add_scatter(x=x, y=closed(low), **bottom, row=row, col=1)
    figure.add_scatter(x=x, y=closed(high), **top, row=row, col=1)
    if row == 1:
        figure.add_scatter(x=[None], y=[None], **_line(name, line, form, legend=True), row=row, col=1)


def _limits(figure: go.Figure, data: xr.Dataset, rows: Any, x: list[datetime]) -> None:
    dashed = {"color": LIMIT, "width": 1.2, "dash": "dash"}
    loading = 100.0 * float(data["loading_max"].to_numpy()[rows].min()) if "loading_max" in data else 100.0
    lines = [(1, float(data["v_max"].min())), (1, float(data["v_min"].max())), (2, loading)]
    for number, (row, value) in enumerate(lines):
        figure.add_scatter(
            x=[x[0], x[-1]], y=[value, value], mode="lines", line=dashed, name="limit", legendgroup="limit",
            showlegend=number == 0, hoverinfo="skip", row=row, col=1,
        )  # fmt: skip


def _mark_worst(figure: go.Figure, data: xr.Dataset, x: list[datetime]) -> None:
    """Name the bus where the uncoordinated day breaks a voltage limit most."""
    if "v_pu_baseline" not in data:
        return
    v = data["v_pu_baseline"].to_numpy()
    excess = np.maximum(v - data["v_max"].to_numpy()[:, None], data["v_min"].to_numpy()[:, None] - v)
    if not (excess > 0.0).any():
        return
    bus, step = np.unravel_index(np.nanargmax(excess), excess.shape)
    high = v[bus, step] > data["v_max"].to_numpy()[bus]
    figure.add_annotation(
        x=x[step], y=v[bus, step], text=f"{v[bus, step]:.4f} pu at bus {int(data['bus'][bus])}", showarrow=False,
        font={"color": BEFORE[0], "size": 12}, yshift=11 if high else -11, row=1, col=1,
    )  # fmt: skip


def _outcome(data: xr.Dataset) -> str:
    """What the plans cost, and how often the uncoordinated one breaks a limit."""
    texts = []
    if data.attrs.get("method") != "none":
        texts.append(f"cost {data.attrs['objective_eur']:.2f} EUR")
    if "baseline_eur" in data.attrs:
        steps = summarise(data).get("baseline", {}).get("steps_beyond_limits")
        broken = f", limits broken in {steps} step{'s' * (steps > 1)}" if steps else ""
        texts.append(f"uncoordinated {data.attrs['baseline_eur']:.2f} EUR{broken}")
    return " · ".join(texts)


def _style(figure: go.Figure, data: xr.Dataset, axis: dict[str, Any]) -> None:
    start = local_times(data)[0]
    name = data.attrs.get("name") or "Coordination"
    about = f"{start.strftime('%A %d %B %Y')} · {data.sizes['prosumer']} prosumers · {_outcome(data)}"
    if data.attrs["status"] != "optimal":
        about += f" · <b>{data.attrs['status'].replace('_', ' ')}</b>"
    heading = f"<b>{name}</b><br><span style='font-size:13px;color:#555'>{about}</span>"
    figure.update_layout(
        template="plotly_white",
        title={"text": heading, "x": 0.0, "xref": "paper"},
        font={"family": "Helvetica Neue, Helvetica, Arial, sans-serif", "size": 13, "color": "#222"},
        height=980,
        margin={"l": 64, "r": 28, "t": 128, "b": 56},
        hovermode="x unified",
        legend={
            "orientation": "h",
            "x": 1.0,
            "xanchor": "right",
            "y": 1.065,
            "yanchor": "bottom",
            "font": {"size": 13},
        },
    )
    for panel in figure.layout.annotations[: len(PANELS)]:
        panel.update(x=0.0, xanchor="left", font={"size": 13, "color": "#222"})
    figure.update_xaxes(showgrid=True, gridcolor="#ececec", ticks="outside", tickcolor="#999", showline=True,
                        linecolor="#999", **axis)  # fmt: skip
    figure.update_yaxes(gridcolor="#ececec", zeroline=False, showline=True, linecolor="#999")
    figure.update_yaxes(zeroline=True, zerolinecolor="#bbb", row=3, col=1)
    figure.update_yaxes(zeroline=True, zerolinecolor="#bbb", row=4, col=1)
    figure.update_yaxes(rangemode="tozero", row=2, col=1)
    figure.update_yaxes(tickformat=".2f", row=1, col=1)
    zone, offset = data.attrs["timezone"], f"UTC{start.isoformat()[-6:]}"
    title = {"text": f"local time ({offset if zone.startswith('Etc/') else zone})", "font": {"size": 13}}
    figure.update_xaxes(title=title, row=4, col=1)
