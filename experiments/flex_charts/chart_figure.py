"""The chart of one home over a day, as a page of its own.

python -m experiments.flex_charts.chart_figure --home "home 4" --out chart.html

The point the home would choose by itself is the cheapest of its chart; where the grid cannot carry what the homes would
choose, the point chosen by the grid is another one.
"""

from __future__ import annotations

import argparse
import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from admmflex.coordination.charts import ChartSettings
from admmflex.horizon import Array
from admmflex.report.chart_figure import FONT, INK, POWER, REACTIVE, SCENE, SHADES, STEEPEST, Picture, colour, marks
from admmflex.report.chart_figure import plane as plane_of
from admmflex.report.chart_figure import surface as surface_of
from experiments.compare import study
from experiments.flex_charts.chart_day import ChartDay, watch

PAGE = Path(__file__).with_name("chart_page.html")
SUN = "sun allows"
TRAIL_H, TRAIL_STEP_H = 2.0, 1 / 12
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#3a9d6e", "#a8a8a8"
SHORT_KVA = 0.05  # a home that is moved by less is where it would like to be


@dataclass(frozen=True, eq=False)
class Scene:
    """What is shown of a home at the beginning of a market period; ``t`` is its control step."""

    t: int
    picture: Picture
    chosen: Array
    own: Array

    @property
    def moved(self) -> float:
        """[kVA] by the grid."""
        return float(np.hypot(*(self.chosen - self.own)))


def scenes(day: ChartDay, home: int) -> list[Scene]:
    """A home at the beginning of every period."""
    found, start = [], day.start
    for k, charts in enumerate(day.charts):
        picture = Picture.of(charts.pieces[home] / day.control.settings.control_h, charts.sides[home])
        chosen = day.chosen[:, home, k * day.every]
        found.append(Scene(start + k * day.every, picture, chosen, picture.best(chosen)))
    return found


def first(shown: Sequence[Scene]) -> int:
    """The scene in which the grid moves the home most; the one with the largest power when it never does."""
    if max(one.moved for one in shown) > SHORT_KVA:
        return int(np.argmax([one.moved for one in shown]))
    return int(np.argmax([abs(one.chosen[0]) for one in shown]))


def page(day: ChartDay, home: int) -> str:
    """The page of a home."""
    from plotly.offline import get_plotlyjs

    shown = scenes(day, home)
    name, begin = day.control.homes[home].name, day.moment(day.start)
    data = {
        "first": first(shown),
        "frames": [frame(day, home, shown, k) for k in range(len(shown))],
        "plane": _plane_layout(shown),
        "surface": _surface_layout(shown),
        "strip": strip(day, home),
    }
    shares = [colour(number) for number in range(SHADES)]
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        title=html.escape(f"{name[:1].upper()}{name[1:]}: what every power at its connection costs"),
        about=html.escape(_about(day, begin.strftime("%A %d %B %Y"))),
        first=data["first"],
        trail=f"{TRAIL_H:g}",
        steepest=f"{STEEPEST:g}",
        scale=", ".join(shares),
        plotly=get_plotlyjs(),
        data=json.dumps(data, separators=(",", ":")).replace("</", "<\\/"),
    )


def _about(day: ChartDay, date: str) -> str:
    settings, homes = day.control.settings, len(day.control.homes)
    even = (
        ""
        if settings.even
        else " Unlike by default, nothing spreads the homes over equally good times here: they all sell at once."
    )
    return (
        f"{date}, one of {homes} homes. Every {3600 * settings.control_h:.0f} s it tells the grid what each active and "
        f"reactive power would cost it, now and later; the grid picks the cheapest powers of all homes that keep "
        f"voltages and currents within limits.{even}"
    )


def frame(day: ChartDay, home: int, shown: Sequence[Scene], k: int) -> dict[str, Any]:
    """Traces and words of a scene."""
    one, period = shown[k], max(round(TRAIL_STEP_H / day.control.settings.control_h), 1)
    now = one.t - day.start
    back = np.arange(now, max(now - round(TRAIL_H / day.control.settings.control_h), 0) - 1, -period)[::-1]
    below, above = marks(one.picture, one.chosen, day.chosen[:, home, back].T)
    return {
        "at": day.hour(one.t),
        "clock": day.moment(one.t).strftime("%H:%M"),
        "said": _said(day, home, one),
        "plane": plane_of(one.picture) + below,
        "surface": surface_of(one.picture) + above,
    }


def _said(day: ChartDay, home: int, one: Scene) -> str:
    p, q = one.chosen
    does = f"{'Gives' if p > 0.0 else 'Takes'} {abs(p):.2f} kW, {'gives' if q > 0.0 else 'takes'} {abs(q):.2f} kvar."
    if one.moved <= SHORT_KVA:
        return f"{does} The grid lets the home do what suits it best."
    lost = float(np.diff(one.picture.cost(np.stack([one.own, one.chosen])))[0])
    price = -100.0 * day.price[0, day.control.bus[home], one.t - day.start]
    own = f"By itself: {one.own[0]:.2f} kW, {one.own[1]:.2f} kvar"
    moved = f"the grid moves it by {one.moved:.2f} kVA, which costs it {100.0 * lost:.1f} ct/h"
    worth = f"would {'cost' if price > 0.0 else 'save'} all homes together {abs(price):.1f} ct"
    return f"{does} {own}; {moved}. One more kWh at its bus {worth}."


def _plane_layout(shown: Sequence[Scene]) -> dict[str, Any]:
    """As wide for all scenes as for the widest."""
    corners = np.concatenate([region for one in shown for region in one.picture.corners])
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = 0.05 * (high - low)
    sides = zip((POWER, REACTIVE), (low - room).tolist(), (high + room).tolist(), strict=True)
    axis = {"gridcolor": "#ececec", "zerolinecolor": "#888", "linecolor": "#999", "showline": True, "fixedrange": True}
    x, y = (
        {"title": {"text": text, "font": {"size": 13}}, "range": [least, most], **axis} for text, least, most in sides
    )
    return {
        "font": FONT, "showlegend": False, "margin": {"l": 54, "r": 8, "t": 8, "b": 46}, "hovermode": "closest",
        "plot_bgcolor": "white", "xaxis": x, "yaxis": y | {"scaleanchor": "x"}, "uirevision": "kept",
    }  # fmt: skip


def _surface_layout(shown: Sequence[Scene]) -> dict[str, Any]:
    corners = np.concatenate([region for one in shown for region in one.picture.corners])
    highest = max(one.picture.height for one in shown)
    low, high = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    scene = dict(SCENE)
    ranges = {"xaxis": [low[0], high[0]], "yaxis": [low[1], high[1]], "zaxis": [0.0, 1.05 * highest]}
    for axis, limits in ranges.items():
        scene[axis] = {**SCENE[axis], "range": limits, "backgroundcolor": "white", "gridcolor": "#dddddd", "nticks": 6}
    return {
        "font": FONT | {"size": 12}, "showlegend": False, "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "scene": scene | {"uirevision": "kept"}, "uirevision": "kept",
    }  # fmt: skip


def strip(day: ChartDay, home: int) -> dict[str, Any]:
    """State of the day: sun, stored energy, voltage, and prices."""
    devices, bus = day.control.devices, int(day.control.bus[home])
    every = max(round(TRAIL_STEP_H / day.control.settings.control_h), 1)
    at = np.arange(0, day.chosen.shape[-1], every)
    hours = [day.hour(day.start + int(t)) for t in at]
    own, stores = devices.source_home == home, devices.storage_home == home
    periods = (day.start + at) // day.every
    sold = 100.0 * day.control.export_price[home, periods]
    rows = (
        ("Power, kW", [(SUN, day.give[own].sum(axis=0)[at], GREY),
                       ("PV gives", day.source[own].sum(axis=0)[at], ORANGE),
                       ("connection", day.done[0, home, at], BLUE)]),
        ("Stored, kWh", [("stored", day.energy[stores].sum(axis=0)[at], GREEN)]),
        ("Voltage, pu", [("highest anywhere", day.v_pu.max(axis=0)[at], GREY), ("here", day.v_pu[bus, at], BLUE)]),
        ("ct/kWh", [("price for what is sold", sold, GREY),
                    ("grid price", 100.0 * day.price[0, bus, at], BLUE)]),
    )  # fmt: skip
    data, layout = [], _strip_layout(len(rows), hours)
    for number, (title, lines) in enumerate(rows):
        axis = f"y{number + 1 if number else ''}"
        for name, values, shade in lines:
            data.append({
                "type": "scatter", "x": hours, "y": values.round(4).tolist(), "yaxis": axis, "name": name,
                "mode": "lines", "line": {"color": shade, "width": 4.5 if name == SUN else 1.7, "shape": "hv"},
                "hovertemplate": "%{y:.3~f}",
            })  # fmt: skip
        words = " · ".join(f"<span style='color:{shade}'>{name}</span>" for name, _, shade in lines)
        text = f"<b>{title}</b>" + (f"  {words}" if len(lines) > 1 else "")
        layout["annotations"].append({
            "text": text, "x": 0, "xref": "paper", "xanchor": "left", "y": 1.0, "yref": f"{axis} domain",
            "yanchor": "bottom", "showarrow": False, "font": {"size": 12},
        })  # fmt: skip
    limit = float(day.control.study.network.v_max[bus])
    dashed = {"color": INK, "width": 1.2, "dash": "dash"}
    layout["shapes"].insert(0, {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": "y3", "y0": limit, "y1": limit, "line": dashed,
    })  # fmt: skip
    return {"data": data, "layout": layout}


def _strip_layout(rows: int, hours: Sequence[float]) -> dict[str, Any]:
    """Panels one above another over the hours of the day; the last shape is the cursor."""
    ticks = [hour for hour in range(0, 24 * 8, 3) if hours[0] <= hour <= hours[-1] + 0.1]
    layout: dict[str, Any] = {
        "font": FONT | {"size": 12}, "showlegend": False, "margin": {"l": 54, "r": 8, "t": 22, "b": 34},
        "hovermode": "x", "plot_bgcolor": "white", "annotations": [],
        "xaxis": {
            "range": [hours[0], hours[-1]], "anchor": f"y{rows}", "gridcolor": "#ececec", "fixedrange": True,
            "tickvals": ticks, "ticktext": [f"{hour % 24}:00" for hour in ticks], "hoverformat": ".2f", "tickangle": 0,
        },
        "shapes": [{
            "type": "line", "xref": "x", "x0": hours[0], "x1": hours[0], "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": INK, "width": 1.5},
        }],
    }  # fmt: skip
    gap = 0.09
    height = (1.0 - gap * (rows - 1)) / rows
    for number in range(rows):
        top = 1.0 - number * (height + gap)
        layout[f"yaxis{number + 1 if number else ''}"] = {
            "domain": [max(top - height, 0.0), top], "gridcolor": "#ececec", "zerolinecolor": "#bbb", "nticks": 4,
            "fixedrange": True, "linecolor": "#999", "showline": True,
        }  # fmt: skip
    return layout


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", default="home 4", help="its name")
    parser.add_argument("--out", type=Path, default=Path("chart.html"), metavar="FILE")
    parser.add_argument("--control-s", type=float, default=60.0, help="length of a control step")
    parser.add_argument("--even", type=float, default=0.0, help="EUR/kWh per kW, spreads homes over equally good times")
    parser.add_argument("--seed", type=int, default=0, help="of what happens instead of the forecast")
    chosen = parser.parse_args(arguments)
    whole = study("flex_charts/five")
    names = [one.name for one in whole.prosumers]
    if chosen.home not in names:
        parser.error(f"no home {chosen.home!r}; there are {', '.join(names)}")
    settings = ChartSettings(control_h=chosen.control_s / 3600, even=chosen.even)
    day = watch(whole, settings, seed=chosen.seed)
    position = [one.name for one in day.control.homes].index(chosen.home)
    chosen.out.write_text(page(day, position), encoding="utf-8")


if __name__ == "__main__":
    main()
