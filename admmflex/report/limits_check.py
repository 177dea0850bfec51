"""What export limits do to the feeder, by AC power flow: voltages, broken limits, what binds, and who gives way."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from admmflex.report.style import AFTER, BEFORE, LIMIT, tidy
from admmflex.summary import local_times

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

PHASES = {"a": "#0072b2", "b": "#e69f00", "c": "#009e73"}
OTHER = ("#cc79a7", "#999999", "#56b4e9", "#d55e00")
KIND = re.compile(r"(voltage of phase \w|current of conductor \w|power|unbalance)")


def voltages(data: xr.Dataset) -> go.Figure | None:
    """Highest voltage of the customers of each phase over the day, without a limit and with the strictest one."""
    from plotly.subplots import make_subplots

    if "phase_v_pu" not in data:
        return None
    x = [moment.replace(tzinfo=None) for moment in local_times(data)]
    with_customers = np.isfinite(data["phase_v_pu_free"].to_numpy()).any(axis=(0, 2))
    data = data.isel(phase=np.flatnonzero(with_customers))
    phases = data["phase"].to_numpy()
    if not len(phases):
        return None
    titles = [f"phase {phase}" for phase in phases]
    figure = make_subplots(rows=len(phases), shared_xaxes=True, vertical_spacing=0.05, subplot_titles=titles)
    strict = f"limit that holds in {data['robustness'].to_numpy()[0]:g} %"
    plans = (("without a limit", data["phase_v_pu_free"], BEFORE), (strict, data["phase_v_pu"][0], AFTER))
    for row in range(len(phases)):
        for name, each, (colour, pale) in plans:
            about = {"legendgroup": name, "showlegend": row == 0, "mode": "lines"}
            band = {"line": {"width": 0, "shape": "hv"}, "hoverinfo": "skip"}
            values = {q: each[i, row].to_numpy() for i, q in enumerate(data["quantile"].to_numpy())}
            figure.add_scatter(x=x, y=values[5.0], **(about | band | {"showlegend": False}), row=row + 1, col=1)
            figure.add_scatter(
                x=x, y=values[95.0], fill="tonexty", fillcolor=pale, name=f"{name}: 90 % of the scenarios",
                **about, **band, row=row + 1, col=1,
            )  # fmt: skip
            line = {"color": colour, "width": 1.4, "shape": "hv"}
            told = {"name": f"{name}: highest", "hovertemplate": "%{y:.4f} pu", "line": line}
            figure.add_scatter(x=x, y=values[100.0], **about, **told, row=row + 1, col=1)
        bound = {"color": LIMIT, "width": 1.2, "dash": "dash"}
        figure.add_hline(y=float(data.attrs["v_max_pu"]), line=bound, row=row + 1, col=1)
    tidy(figure, 130 + 200 * len(phases), hovermode="x unified", margin={"l": 56, "r": 16, "t": 96, "b": 44})
    figure.update_yaxes(title_text="pu", tickformat=".2f", matches="y")
    return figure


def broken(data: xr.Dataset) -> go.Figure | None:
    """Share of the scenarios that break a limit of the feeder at each step."""
    import plotly.graph_objects as go

    if "broken" not in data:
        return None
    x = [moment.replace(tzinfo=None) for moment in local_times(data)]
    figure = go.Figure()
    rows = [("without a limit", data["broken_free"], BEFORE[0])]
    for row, share in enumerate(data["robustness"].to_numpy()):
        shade = (AFTER[0], "#009e73", "#cc79a7", "#e69f00")[row % 4]
        rows.append((f"limit that holds in {share:g} %", data["broken"][row], shade))
    for name, values, colour in rows:
        line = {"color": colour, "width": 1.8, "shape": "hv"}
        y = 100.0 * values.to_numpy()
        figure.add_scatter(x=x, y=y, mode="lines", name=name, line=line, hovertemplate="%{y:.1f} %")
    tidy(figure, 340, hovermode="x unified", margin={"l": 56, "r": 16, "t": 64, "b": 44})
    figure.update_yaxes(title_text="of the scenarios, %", rangemode="tozero")
    return figure


def binding(data: xr.Dataset) -> go.Figure | None:
    """Share of the scenarios in which each kind of limit binds, by step; None where nothing ever does."""
    import plotly.graph_objects as go

    if "binding" not in data:
        return None
    labels = data["binding"].to_numpy().astype(str)
    names, number = np.unique(labels, return_inverse=True)
    found = [KIND.match(name) for name in names]
    kinds = np.array([one[1] if one else name for one, name in zip(found, names, strict=True)])[number]
    kinds = kinds.reshape(labels.shape)
    x = [moment.replace(tzinfo=None) for moment in local_times(data)]
    figure, others = go.Figure(), iter(OTHER * len(names))
    for kind in (one for one in np.unique(kinds) if one):
        colour = PHASES.get(kind[-1]) if kind.startswith("voltage") else next(others)
        figure.add_scatter(
            x=x, y=100.0 * (kinds == kind).mean(axis=0), mode="lines", stackgroup="all", name=kind,
            line={"width": 0.5, "color": colour, "shape": "hv"}, hovertemplate="%{y:.0f} %",
        )  # fmt: skip
    if not figure.data:
        return None
    tidy(figure, 340, hovermode="x unified", margin={"l": 56, "r": 16, "t": 64, "b": 44})
    figure.update_yaxes(title_text="of the scenarios, %", rangemode="tozero")
    return figure


def customers(data: xr.Dataset) -> go.Figure | None:
    """Highest voltage of every customer with the strictest limit, over the part of its sun that this takes."""
    import plotly.graph_objects as go

    if "curtailed_share" not in data:
        return None
    share, v = 100.0 * data["curtailed_share"][0].to_numpy(), data["customer_v_pu"][0].to_numpy()
    free, phase = data["customer_v_pu_free"].to_numpy(), data["phase_share"].to_numpy()
    has = data["rating_kw"].to_numpy() > 0.0
    single = np.where((phase > 0.0).sum(axis=1) == 1, phase.argmax(axis=1), len(PHASES))
    figure = go.Figure()
    for number, name in enumerate([*(f"phase {one}" for one in PHASES), "three phases"]):
        rows = np.flatnonzero(has & (single == number))
        if not len(rows):
            continue
        texts = [
            f"{data['customer'].to_numpy()[i]}, bus {data['customer_bus'].to_numpy()[i]}<br>{share[i]:.1f} % of the "
            f"sun curtailed<br>highest {v[i]:.4f} pu, without a limit {free[i]:.4f} pu"
            for i in rows
        ]
        marker = {"size": 9, "color": [*PHASES.values(), "#777777"][number], "line": {"width": 0.5, "color": "#fff"}}
        figure.add_scatter(x=share[rows], y=v[rows], mode="markers", name=name, marker=marker, text=texts,
                           hovertemplate="%{text}<extra></extra>")  # fmt: skip
    if not figure.data:
        return None
    figure.add_hline(y=float(data.attrs["v_max_pu"]), line={"color": LIMIT, "width": 1.2, "dash": "dash"})
    tidy(figure, 380, hovermode="closest")
    figure.update_xaxes(title_text="of the sun curtailed, %", rangemode="tozero")
    figure.update_yaxes(title_text="highest voltage, pu", tickformat=".3f")
    return figure
