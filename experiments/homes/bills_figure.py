"""Bills of all homes as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from experiments.homes.bills import NOTHING_EUR, Bills, roof
from experiments.homes.day import Day
from experiments.homes.effects import clock
from experiments.homes.page import AGREED, GREY, INK, PLANT, RISE, STORE, frame

if TYPE_CHECKING:
    import plotly.graph_objects as go

ROOFS = {"no PV": "#9a9a9a", "PV": PLANT, "PV and battery": STORE}


def bills_figure(day: Day, own: Bills) -> go.Figure:
    """Bills by home, sorted: what the supplier asks, what coordination adds, and the share of the grid cost."""
    from plotly.subplots import make_subplots

    groups = np.array(roof(day.study).of)
    order = np.argsort(own.tariff_before, kind="stable")[::-1]
    titles = [
        "Bill for the day, EUR: bars before, dashes after",
        "What coordination adds, EUR",
        "Share of the grid cost that the home bears, %",
    ]
    figure = make_subplots(
        rows=3, shared_xaxes=True, vertical_spacing=0.075, row_heights=[0.36, 0.36, 0.28], subplot_titles=titles
    )
    x, names = np.arange(1, len(order) + 1), [day.study.prosumers[k].name for k in order]
    shares = np.nan_to_num(100.0 * own.shares)
    for name, colour in ROOFS.items():
        part = groups[order] == name
        for row, values in ((1, own.tariff_before), (3, shares)):
            figure.add_bar(x=x[part], y=values[order][part], name=name, marker={"color": colour, "line": {"width": 0}},
                           legendgroup=name, showlegend=row == 1, customdata=np.array(names)[part],
                           hovertemplate="%{customdata}: %{y:.2f}<extra></extra>", row=row, col=1)  # fmt: skip
    for name, colour, values in (("to the grid", AGREED, own.grid), ("own cost", RISE, own.borne)):
        figure.add_bar(x=x, y=values[order], name=name, marker={"color": colour, "line": {"width": 0}},
                       showlegend=False, customdata=names, row=2, col=1,
                       hovertemplate=f"%{{customdata}}: {name} %{{y:.3f}} EUR<extra></extra>")  # fmt: skip
    paid = (own.tariff_after + own.grid)[order]
    figure.add_scatter(x=x, y=paid, name="after, with what goes to the grid", mode="markers", row=1, col=1,
                       marker={"symbol": "line-ew", "size": 8, "line": {"color": INK, "width": 1.6}},
                       customdata=names, hovertemplate="%{customdata}: after %{y:.2f} EUR<extra></extra>")  # fmt: skip
    _words(figure, own)
    title = f"Who pays, who bears: {len(order)} homes, {clock(day.study)[0].strftime('%-d %B %Y')}"
    about = (
        f"the limits cost all homes {own.cost:.2f} EUR; the grid collects {own.rent:.2f} EUR; "
        "homes sorted by their bill before, colours say what is on the roof"
    )
    frame(figure, title, about, 900)
    figure.update_layout(barmode="relative", bargap=0.12, hovermode="closest")
    figure.update_yaxes(zeroline=True, zerolinecolor="#999999")
    figure.update_xaxes(range=[0, len(order) + 1], showgrid=False)
    figure.update_xaxes(title_text="homes, from the highest bill to the lowest", row=3, col=1)
    return figure


def _words(figure: go.Figure, own: Bills) -> None:
    """What the colours of the middle panel mean; and that there is nothing to see where no limit costs anything."""
    words = ((AGREED, "to the grid", own.rent), (RISE, "rise of the own cost", own.cost))
    parts = [f"<span style='color:{colour}'>■</span> {what}, {eur:.2f} EUR in all" for colour, what, eur in words]
    figure.add_annotation(x=1.0, y=1.0, xref="x2 domain", yref="y2 domain", text="     ".join(parts), showarrow=False,
                          xanchor="right", yanchor="bottom", font={"size": 13})  # fmt: skip
    if max(abs(own.cost), abs(own.rent)) < NOTHING_EUR:
        for row, axis in ((2, {"range": [0, 1]}), (3, {"range": [0, 10]})):
            figure.update_yaxes(row=row, col=1, **axis)
            figure.add_annotation(x=0.5, y=0.5, xref=f"x{row} domain", yref=f"y{row} domain", showarrow=False,
                                  text="no limit costs anything on this day", font={"color": GREY})  # fmt: skip
