"""Schemes side by side on one page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from admmflex.comparison import FIXED, Comparison
from admmflex.measures import lines
from admmflex.money import bills, curtailed_shares
from admmflex.report.document import about, document, section
from admmflex.report.style import LIMIT, closed, tidy, time_axis
from admmflex.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # uncoordinated, prices, ...
FIRST = ("uncoordinated", "prices", "central", "charts", FIXED)


def page(found: Comparison, results: Sequence[Result]) -> str:
    """The whole page: the table, and figures of all schemes together."""
    datasets = [one.dataset for one in results]
    names = [row.scheme for row in found.rows]
    folders = "<br>".join(f"{html.escape(row.scheme)}: {html.escape(row.folder)}" for row in found.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in found.notes)
    return document(
        title=f"{found.name}: schemes compared",
        about=about(datasets[0]),
        opening=f'<div class="scroll">{_table(found)}</div><p>{_words()}</p>{notes}',
        sections=[
            section("voltage", "Highest voltage", "", [("", _over_time(names, datasets, "v_pu", "pu", 1.0))]),
            section("loading", "Highest loading", "", [("", _over_time(names, datasets, "loading", "%", 100.0))]),
            section(
                "fairness",
                "Who gives way",
                "Each scheme's homes in the order of what they bear.",
                [("Sun curtailed, %", _curtailment(names, datasets)), ("More to pay, EUR", _bills(names, datasets))],
            ),
        ],
        ending=f"<p>{folders}</p>",
    )


def _colour(names: Sequence[str], name: str) -> str:
    """The same colour for the same scheme on every page, as far as there is one of it."""
    order = [*FIRST, *(other for other in names if other not in FIRST)]
    return COLOURS[order.index(name) % len(COLOURS)]


def _table(found: Comparison) -> str:
    head = "".join(f"<th>{html.escape(row.scheme)}</th>" for row in found.rows)
    body = ""
    for name, texts, bad in lines(found.rows):
        cells = "".join(
            f"<td{' class=bad' if wrong else ''}>{html.escape(text)}</td>"
            for text, wrong in zip(texts, bad, strict=True)
        )
        body += f"<tr><td>{html.escape(name.strip())}</td>{cells}</tr>"
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>"


def _words() -> str:
    return (
        "Excess is by AC power flow. Curtailment is relative to what the sun offered each home; "
        "a Gini coefficient of 0 is even, of 1 falls on one. "
        "A bill is the tariff and what is paid at grid prices, against the uncoordinated day."
    )


def _over_time(
    names: Sequence[str], datasets: Sequence[xr.Dataset], variable: str, unit: str, factor: float
) -> go.Figure | None:
    import plotly.graph_objects as go

    figure = go.Figure()
    x, axis = time_axis(datasets[0])
    for name, data in zip(names, datasets, strict=True):
        if variable in data:
            worst = factor * data[variable].max({"v_pu": "bus", "loading": "branch"}[variable]).to_numpy()
            line = {"color": _colour(names, name), "width": 1.8, "shape": "hv"}
            figure.add_scatter(x=x, y=closed(worst), mode="lines", name=name, line=line)
    limit = float(datasets[0]["v_max"].min()) if variable == "v_pu" else 100.0
    figure.add_hline(y=limit, line={"color": LIMIT, "width": 1.2, "dash": "dash"})
    tidy(figure, 320, hovermode="x unified")
    figure.update_xaxes(**axis)
    figure.update_yaxes(title_text=unit)
    return figure if figure.data else None


def _curtailment(names: Sequence[str], datasets: Sequence[xr.Dataset]) -> go.Figure | None:
    shares = [curtailed_shares(data) for data in datasets]
    known = [None if one is None else 100.0 * one[np.isfinite(one)] for one in shares]
    if not any(one is not None and (one > 0.1).any() for one in known):
        return None
    return _ranked(names, known, "%")


def _bills(names: Sequence[str], datasets: Sequence[xr.Dataset]) -> go.Figure | None:
    found = [bills(data) if data.attrs.get("method") != "none" else None for data in datasets]
    known = [None if one is None else one.change for one in found]
    return _ranked(names, known, "EUR") if any(one is not None for one in known) else None


def _ranked(names: Sequence[str], values: Sequence[np.ndarray | None], unit: str) -> go.Figure:
    """Amounts of all homes, largest first, over the share of the homes."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for name, one in zip(names, values, strict=True):
        if one is not None and len(one):
            rank = 100.0 * (np.arange(len(one)) + 0.5) / len(one)
            line = {"color": _colour(names, name), "width": 1.8}
            figure.add_scatter(x=rank, y=-np.sort(-one), mode="lines", name=name, line=line)
    tidy(figure, 320, hovermode="closest")
    figure.update_xaxes(title_text="homes, %")
    figure.update_yaxes(title_text=unit)
    return figure
