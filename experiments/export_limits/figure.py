"""The limits over the day, their distribution, one customer's day, and voltages, as one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.export_limits.robust import convergence
from admmflex.horizon import Array
from experiments.export_limits.study import ROBUSTNESS, Study
from experiments.homes.page import AGREED, GREY, INK, PLANT, RISE, RULE, STORE, frame

if TYPE_CHECKING:
    import plotly.graph_objects as go

COLOURS = {1.0: AGREED, 0.95: STORE, 0.9: "#8a5fa8"}
DASHES = {1.0: None, 0.95: None, 0.9: "dot"}
TITLES = (
    "Export limit of each scenario, share of the rating",
    "Limits by robustness",
    "Distribution of the limit at {at}",
    "Mean and deviation at {at} over the number of scenarios",
    "Power of customer {name}, sunny scenario, kW",
    "Its voltage in this scenario, pu",
    "Its voltage in all held-out scenarios, daylight, share below",
)


def page(done: Study) -> go.Figure:
    """The figure of a study."""
    from plotly.subplots import make_subplots

    k = _shown_step(done)
    name = done.feeder.customers.name[done.worst_customer]
    titles = [title.format(at=done.clock[k], name=name) for title in TITLES]
    figure = make_subplots(
        rows=4, cols=2, subplot_titles=titles, vertical_spacing=0.075, horizontal_spacing=0.09,
        specs=[[{}, {}], [{}, {}], [{}, {}], [{"colspan": 2}, None]],
    )  # fmt: skip
    _fan(figure, done)
    _distribution(figure, done.found.xi[:, k])
    _customer(figure, done)
    _cumulative(figure, done)
    who, scenarios = done.feeder.customers, done.found.scenarios
    about = (
        f"{who.n} customers with {who.rating_kw.max():.0f} kW of PV each on {who.network.n} buses · "
        f"{scenarios.shape[0]} scenarios of a summer day · verified in OpenDSS on {done.held.shape[0]} others"
    )
    frame(figure, f"Export limits on the feeder {done.feeder.name}", about, 1400)
    legend = {"x": 0.0, "xanchor": "left", "y": 1.03, "traceorder": "normal"}
    figure.update_layout(hovermode="closest", legend=legend, margin={"t": 170})
    for title, axis in zip(figure.layout.annotations, figure.select_xaxes(), strict=False):
        if title.text in titles:
            title.update(x=axis.domain[0])
    figure.update_xaxes(gridcolor=RULE, showline=True, linecolor="#999999")
    hours = {"tickvals": list(range(0, 25, 3)), "range": [4, 22], "title": {"text": "hour of the day"}}
    for row, col in ((1, 1), (1, 2), (3, 1), (3, 2)):
        figure.update_xaxes(**hours, row=row, col=col)
    figure.update_xaxes(title_text="limit", row=2, col=1)
    figure.update_xaxes(title_text="scenarios", row=2, col=2)
    figure.update_xaxes(title_text="voltage, pu", row=4, col=1)
    figure.update_yaxes(range=[0, 1.04], row=1, col=1)
    figure.update_yaxes(range=[0, 1.04], row=1, col=2)
    return figure


def _shown_step(done: Study) -> int:
    return done.clock.index("12:30") if "12:30" in done.clock else done.held.shape[2] // 2


def _line(colour: str, name: str | None = None, **more: Any) -> dict[str, Any]:
    width, dash = more.pop("width", 1.8), more.pop("dash", None)
    line = {"color": colour, "width": width, "dash": dash} | more.pop("line", {})
    return {"mode": "lines", "line": line, "name": name, "showlegend": name is not None, **more}


def _hours(done: Study) -> Array:
    return done.held.dt_h * (np.arange(done.held.shape[2]) + 0.5)


def _fan(figure: go.Figure, done: Study) -> None:
    """Ranges of the scenarios' limits with their median, and the limits that come of them."""
    x, xi = _hours(done), done.found.xi
    for low, high, fill in (
        (0, 100, "rgba(0,114,178,0.12)"),
        (5, 95, "rgba(0,114,178,0.16)"),
        (25, 75, "rgba(0,114,178,0.25)"),
    ):
        for q, area in ((low, None), (high, "tonexty")):
            figure.add_scatter(x=x, y=np.percentile(xi, q, axis=0), fill=area, fillcolor=fill, hoverinfo="skip",
                               **_line(AGREED, width=0), row=1, col=1)  # fmt: skip
    figure.add_scatter(
        x=x, y=np.median(xi, axis=0), **_line(AGREED, hovertemplate="median %{y:.3f}<extra></extra>"), row=1, col=1
    )
    figure.add_annotation(x=4.3, y=0.08, text="ranges 0-100, 5-95, 25-75 % and median", showarrow=False, xanchor="left",
                          font={"size": 12, "color": GREY}, row=1, col=1)  # fmt: skip
    for r in ROBUSTNESS:
        shown = _line(COLOURS[r], f"robustness {100 * r:.0f} %", dash=DASHES[r])
        figure.add_scatter(x=x, y=done.robust[r].xi, **shown, row=1, col=2)


def _distribution(figure: go.Figure, xi: Array) -> None:
    """Cumulative distribution of the limit at one step, and how its mean and deviation settle."""
    figure.add_scatter(
        x=np.sort(xi), y=(np.arange(len(xi)) + 1) / len(xi), **_line(AGREED, line={"shape": "hv"}), row=2, col=1
    )
    mean, deviation = (x[:, 0] for x in convergence(xi[:, None]))
    number = np.arange(1, len(xi) + 1)
    for y, colour, text in ((mean, AGREED, "mean"), (deviation, RISE, "deviation")):
        figure.add_scatter(
            x=number, y=y, **_line(colour, hovertemplate=f"{text} %{{y:.4f}}<extra></extra>"), row=2, col=2
        )
        figure.add_annotation(x=len(xi), y=y[-1], text=text, showarrow=False, xanchor="right", yshift=10,
                              font={"color": colour, "size": 12}, row=2, col=2)  # fmt: skip


def _customer(figure: go.Figure, done: Study) -> None:
    """The customer with the highest voltages, in the scenario with the most sun."""
    i, x = done.worst_customer, _hours(done)
    s = int(done.held.avail.sum(axis=(1, 2)).argmax())
    limit = done.robust[1.0].xi * done.feeder.customers.rating_kw[i]
    load, avail = done.held.load_p[s, i], done.held.avail[s, i]
    pv = np.minimum(avail, load + limit)
    shown = np.where(done.robust[1.0].xi < 1.0, limit, np.nan)
    for y, colour, text, dash in (
        (avail, PLANT, "PV without limit", "dot"),
        (pv, PLANT, "PV under the limit", None),
        (load, GREY, "consumption", None),
        (pv - load, AGREED, "export", None),
        (shown, INK, "export limit, 100 %", "dash"),
    ):
        figure.add_scatter(x=x, y=y, **_line(colour, text, dash=dash, hovertemplate="%{y:.2f} kW"), row=3, col=1)
    for run, colour, dash in ((done.free, RISE, "dot"), (done.limited[1.0], AGREED, None)):
        figure.add_scatter(x=x, y=run.v[s, i], **_line(colour, dash=dash, hovertemplate="%{y:.4f} pu"), row=3, col=2)
    figure.add_hline(y=done.feeder.limits.v_max, line={"color": INK, "width": 1.2, "dash": "dash"}, row=3, col=2)


def _cumulative(figure: go.Figure, done: Study) -> None:
    """Voltage of this customer over all held-out scenarios and steps with sun."""
    i = done.worst_customer
    sun = done.held.avail[:, i] > 0.0
    runs = [(done.free, RISE, "no limit", None)]
    runs += [(done.limited[r], COLOURS[r], None, DASHES[r]) for r in ROBUSTNESS]
    for run, colour, name, dash in runs:
        v = np.sort(run.v[:, i][sun])
        picked = np.unique(np.linspace(0, len(v) - 1, 1500).astype(int))
        shown = _line(colour, name, dash=dash, hovertemplate="%{x:.4f} pu, %{y:.3f}")
        figure.add_scatter(x=v[picked], y=(picked + 1) / len(v), **shown, row=4, col=1)
    figure.add_vline(x=done.feeder.limits.v_max, line={"color": INK, "width": 1.2, "dash": "dash"}, row=4, col=1)


def write(done: Study, path: Path) -> None:
    """Write the page, which needs nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    html = page(done).to_html(include_plotlyjs=True, config={"displayModeBar": False, "responsive": True})
    path.write_text(html, encoding="utf-8")
