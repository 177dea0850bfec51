"""Pictures of a season: ``python -m experiments.homes.figure winter --html DIR``.

``home.html`` one home's day, ``homes.html`` all homes together, ``bills.html`` who pays and who bears what.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.coordination.schemes import Agreed
from admmflex.horizon import Array, BoolArray
from experiments import compare
from experiments.homes.bills import NOTHING_EUR, Bills, bills, roof
from experiments.homes.day import SEASONS, Day, by_kind, kinds, solve
from experiments.homes.effects import clock
from grid.network import S_BASE_KVA

if TYPE_CHECKING:
    import plotly.graph_objects as go

INK, GREY, RULE = "#222222", "#666666", "#e8e8e8"
AGREED, RISE = "#0072b2", "#d1495b"


@dataclass(frozen=True)
class Device:
    """How the devices of one kind are shown."""

    one: str
    many: str
    colour: str
    text: str


DEVICES = {
    "load": Device("household", "households", "#b8b8b8", INK),
    "heat_pump": Device("heat pump", "heat pumps", "#cc5a5a", "white"),
    "ev": Device("car", "cars", "#0072b2", "white"),
    "battery": Device("battery", "batteries", "#3a9d6e", "white"),
    "pv": Device("PV", "PV", "#f2b134", INK),
}
ROOFS = {"no PV": "#9a9a9a", "PV": "#f2b134", "PV and battery": "#3a9d6e"}
PAGE_PX, LETTER_PX = 1060.0, 8.0  # widths of all steps and of a letter on a page of the usual width
THICK = 0.075  # least height of an area with a label, as a part of the axis


def home_day(day: Day) -> go.Figure:
    """The day of the middle one, by the need of its household, of the homes that own the most kinds of devices."""
    homes = day.study.prosumers
    most = max(len(kinds(home)) for home in homes)
    able = np.array([k for k, home in enumerate(homes) if len(kinds(home)) == most])
    need = -by_kind(day.study, day.before, "load").sum(axis=1)[able]
    home = int(able[np.argsort(need, kind="stable")[len(able) // 2]])
    return _stacks(day, np.arange(len(homes)) == home, f"A home with {_listed(kinds(homes[home]))}", None)


def homes_day(day: Day) -> go.Figure:
    """All homes together, against the rating of the transformer."""
    network = day.study.network
    rating = float(network.s_max[network.is_transformer].sum()) * S_BASE_KVA
    everyone = np.ones(len(day.study.prosumers), np.bool_)
    return _stacks(day, everyone, f"{len(everyone)} homes behind one transformer", rating)


def _listed(own: frozenset[str]) -> str:
    names = [DEVICES[kind].one for kind in ("pv", "battery", "ev", "heat_pump") if kind in own]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _stacks(day: Day, chosen: BoolArray, title: str, rating: float | None) -> go.Figure:
    """Power of the chosen homes by device, before above after, with tariff and grid price below."""
    from plotly.subplots import make_subplots

    figure = make_subplots(
        rows=4,
        shared_xaxes=True,
        vertical_spacing=0.055,
        row_heights=[0.37, 0.37, 0.13, 0.13],
        subplot_titles=["", "", "Tariff for energy bought, ct/kWh", "Grid price on top, ct/kWh"],
    )
    plans = {1: ("Every home for itself", day.before), 2: ("Agreed by prices", day.after)}
    spans = [_extent(day, plan, chosen) for _, plan in plans.values()]
    low, high = min(span[0] for span in spans), max(*(span[1] for span in spans), rating or 0.0)
    pad = 0.06 * (high - low)
    for row, (name, plan) in plans.items():
        _devices(figure, row, day, plan, chosen, high - low)
        place = {"x": 0.0, "y": 1.0, "xref": "x domain", "yref": f"y{row if row > 1 else ''} domain", "yshift": 4}
        text = f"<b>{name}</b>: {_most(plan, chosen)}"
        figure.add_annotation(text=text, showarrow=False, xanchor="left", yanchor="bottom", font={"size": 14}, **place)
        figure.update_yaxes(range=[low - pad, high + pad], title_text="kW", row=row, col=1)
        if rating is not None:
            _rating(figure, row, rating, low)
    _prices(figure, day, chosen, _hours(day))
    _style(figure, day, title)
    return figure


def _most(plan: Agreed, chosen: BoolArray) -> str:
    """The largest powers at the meters, in words."""
    meter, digits = plan.y[0][chosen].sum(axis=0), 0 if chosen.sum() > 1 else 1
    taken, given = (f"{max(float(one.max()), 0.0):,.{digits}f} kW" for one in (-meter, meter))
    return f"at most {taken} taken from the grid, {given} given to it"


def _hours(day: Day) -> list[Any]:
    """Edges of the steps in local time."""
    begin = clock(day.study)
    last = begin[-1] + (begin[-1] - begin[-2])
    return [moment.replace(tzinfo=None) for moment in (*begin, last)]


def _closed(values: Array) -> Array:
    return np.append(values, values[-1])


def _layers(day: Day, plan: Agreed, chosen: BoolArray) -> dict[str, Array]:
    """Power taken by the devices of each kind of the chosen homes ``(K,)`` [kW]; PV is negative."""
    return {kind: -by_kind(day.study, plan, kind)[chosen].sum(axis=0) for kind in DEVICES}


def _extent(day: Day, plan: Agreed, chosen: BoolArray) -> tuple[float, float]:
    """Lowest and highest point of the stacks."""
    layers = list(_layers(day, plan, chosen).values())
    take, give = np.maximum(layers, 0.0).sum(axis=0), np.minimum(layers, 0.0).sum(axis=0)
    return float(give.min()), float(take.max())


def _devices(figure: go.Figure, row: int, day: Day, plan: Agreed, chosen: BoolArray, height: float) -> None:
    """What is taken, stacked upwards from zero, what is given downwards, and the power at the meters."""
    x, layers, together = _hours(day), _layers(day, plan, chosen), chosen.sum() > 1
    meter = -plan.y[0][chosen].sum(axis=0)
    for sign in (1.0, -1.0):
        base = np.zeros(day.study.horizon.steps)
        for kind, power in layers.items():
            device, part = DEVICES[kind], sign * np.maximum(sign * power, 0.0)
            name = device.many if together else device.one
            if np.abs(part).max() > 1e-6:
                figure.add_scatter(
                    x=x, y=_closed(part), name=name, mode="lines", line={"width": 0, "shape": "hv"},
                    fillcolor=device.colour, stackgroup=f"{row}{sign}", showlegend=False,
                    hovertemplate=f"{name} %{{y:.1f}} kW<extra></extra>", row=row, col=1,
                )  # fmt: skip
                _label(figure, row, x, (base, part, meter), height, name, device)
            base = base + part
    figure.add_scatter(
        x=x, y=_closed(meter), name="at the meters" if together else "at the meter", mode="lines",
        line={"color": INK, "width": 1.6, "shape": "hv"}, showlegend=row == 1,
        hovertemplate="%{y:.1f} kW", row=row, col=1,
    )  # fmt: skip
    if row == 1:
        _key(figure, [kind for kind, power in layers.items() if np.abs(power).max() > 1e-6], together)


def _key(figure: go.Figure, shown: Sequence[str], together: bool) -> None:
    """A legend entry for every kind of device, for those too small for a label."""
    for kind in shown:
        device = DEVICES[kind]
        marker = {"color": device.colour, "symbol": "square", "size": 11}
        figure.add_scatter(x=[None], y=[None], name=device.many if together else device.one, mode="markers",
                           marker=marker, row=1, col=1)  # fmt: skip


def _label(
    figure: go.Figure,
    row: int,
    x: list[Any],
    area: tuple[Array, Array, Array],
    height: float,
    name: str,
    device: Device,
) -> None:
    """The name of a device in its area, above or below the power at the meter; none where it fits nowhere.

    Args:
        area: where the device begins, what it adds, and the power at the meter, ``(K,)`` each [kW].
    """
    begin, own, meter = area
    width = min(math.ceil(LETTER_PX * len(name) * (len(x) - 1) / PAGE_PX), len(x) - 1)
    lowest, highest = np.minimum(begin, begin + own), np.maximum(begin, begin + own)
    floor, ceiling = _windows(lowest, width).max(axis=1), _windows(highest, width).min(axis=1)
    line = _windows(meter, width)
    rooms = [(floor, np.minimum(ceiling, line.min(axis=1))), (np.maximum(floor, line.max(axis=1)), ceiling)]
    above = int(np.argmax([np.max(top - bottom) for bottom, top in rooms]))
    bottom, top = rooms[above]
    best = int(np.argmax(top - bottom))
    if top[best] - bottom[best] < THICK * height:
        return
    middle = x[best] + (x[best + width] - x[best]) / 2
    font = {"color": device.text, "size": 12}
    figure.add_annotation(
        x=middle, y=(bottom[best] + top[best]) / 2, text=name, showarrow=False, font=font, row=row, col=1
    )


def _windows(values: Array, width: int) -> Array:
    """All runs of ``width`` steps, ``(K - width + 1, width)``."""
    return np.lib.stride_tricks.sliding_window_view(values, width)


def _rating(figure: go.Figure, row: int, rating: float, low: float) -> None:
    """The rating of the transformer in both directions, as far as the axis goes."""
    for sign in (1.0, -1.0):
        if sign * rating < low:
            continue
        line = {"color": INK, "width": 1.3, "dash": "dash"}
        figure.add_hline(y=sign * rating, line=line, row=row, col=1)
    figure.add_annotation(x=0.0, y=rating, xref="x domain", text=f"transformer {rating:.0f} kVA", showarrow=False,
                          xanchor="left", yanchor="bottom", font={"size": 12}, row=row, col=1)  # fmt: skip


def _prices(figure: go.Figure, day: Day, chosen: BoolArray, x: list[Any]) -> None:
    """Tariff, and the range of the grid price over the chosen homes."""
    bought = 100.0 * np.array([home.import_price for home in day.study.prosumers])[chosen].mean(axis=0)
    figure.add_scatter(x=x, y=_closed(bought), mode="lines", line={"color": GREY, "width": 1.8, "shape": "hv"},
                       showlegend=False, hovertemplate="%{y:.1f} ct/kWh<extra></extra>", row=3, col=1)  # fmt: skip
    price = 100.0 * day.price[0][chosen]
    for values, fill in ((price.min(axis=0), None), (price.max(axis=0), "tonexty")):
        figure.add_scatter(x=x, y=_closed(values), mode="lines", line={"color": AGREED, "width": 1.6, "shape": "hv"},
                           fill=fill, fillcolor="rgba(0,114,178,0.25)", showlegend=False,
                           hovertemplate="%{y:.2f} ct/kWh<extra></extra>", row=4, col=1)  # fmt: skip
    figure.update_yaxes(range=[0, 1.2 * float(bought.max())], row=3, col=1)
    least, most = min(float(price.min()), 0.0), max(float(price.max()), 0.0)
    room = max(0.15 * (most - least), 0.1)
    figure.update_yaxes(range=[least - room, most + room], row=4, col=1)


def _style(figure: go.Figure, day: Day, title: str) -> None:
    start = clock(day.study)[0]
    hours = f"{start.strftime('%-d %B %Y, %H:%M')} to {start.strftime('%H:%M')}"
    about = f"{hours} · power taken upwards, power given downwards"
    _frame(figure, title, about, 1000)
    figure.update_xaxes(tickformat="%H:%M", dtick=2 * 3600e3, ticks="outside", showline=True, linecolor="#999999",
                        gridcolor=RULE, showticklabels=False)  # fmt: skip
    figure.update_xaxes(showticklabels=True, title_text="local time", row=4, col=1)
    figure.update_yaxes(zeroline=True, zerolinecolor="#999999", zerolinewidth=1)


def _frame(figure: go.Figure, title: str, about: str, height: int) -> None:
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
    _frame(figure, title, about, 900)
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


def write(day: Day, folder: Path) -> list[Path]:
    """Write the three pages."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = {"home": home_day(day), "homes": homes_day(day), "bills": bills_figure(day, bills(day))}
    for name, figure in pages.items():
        page = figure.to_html(include_plotlyjs=True, config={"displayModeBar": False, "responsive": True})
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return [folder / f"{name}.html" for name in pages]


def main(arguments: Sequence[str] | None = None) -> None:
    """Solve and write."""
    parser = argparse.ArgumentParser(prog="python -m experiments.homes.figure", description=__doc__)
    parser.add_argument("season", choices=SEASONS)
    parser.add_argument("--html", type=Path, help="folder; results/homes/SEASON unless given")
    chosen = parser.parse_args(arguments)
    day, _ = solve(compare.study(f"homes/{chosen.season}"))
    for path in write(day, chosen.html or Path("results/homes") / chosen.season):
        print(path)


if __name__ == "__main__":
    main()
