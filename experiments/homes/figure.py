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
from experiments.homes.bills import bills
from experiments.homes.bills_figure import bills_figure
from experiments.homes.day import SEASONS, Day, by_kind, kinds, solve
from experiments.homes.effects import clock
from experiments.homes.page import AGREED, GREY, INK, PLANT, RULE, STORE, frame
from grid.network import S_BASE_KVA

if TYPE_CHECKING:
    import plotly.graph_objects as go


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
    "ev": Device("car", "cars", AGREED, "white"),
    "battery": Device("battery", "batteries", STORE, "white"),
    "pv": Device("PV", "PV", PLANT, INK),
}
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
    frame(figure, title, about, 1000)
    figure.update_xaxes(tickformat="%H:%M", dtick=2 * 3600e3, ticks="outside", showline=True, linecolor="#999999",
                        gridcolor=RULE, showticklabels=False)  # fmt: skip
    figure.update_xaxes(showticklabels=True, title_text="local time", row=4, col=1)
    figure.update_yaxes(zeroline=True, zerolinecolor="#999999", zerolinewidth=1)


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
