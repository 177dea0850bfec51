"""Cost charts of homes at a few moments, packed for a chooser that draws one at a time."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.money import positions
from admmflex.report.chart_figure import SHADES, STEEPEST, colour
from admmflex.report.document import safe
from admmflex.summary import local_times

if TYPE_CHECKING:
    import xarray as xr


def section(data: xr.Dataset) -> str:
    """What every power would cost a home, with regions, surface and what the grid chose; empty without charts."""
    packed = chooser(data)
    if packed is None:
        return ""
    shades = [colour(number) for number in range(SHADES)]
    home, step = packed["first"]
    shown, count = len(packed["homes"]), data.sizes["prosumer"]
    many = f" {shown} of {count} homes." if shown < count else ""
    template = files("admmflex.report").joinpath("charts.html").read_text(encoding="utf-8")
    return Template(template).substitute(
        many=many,
        homes=_options(packed["homes"], home),
        steps=_options(packed["steps"], step),
        scale=", ".join(shades),
        steepest=f"{STEEPEST:g}",
        data=safe(json.dumps(packed | {"shades": shades, "steepest": STEEPEST}, separators=(",", ":"))),
    )


def _options(names: list[str], chosen: int) -> str:
    return "".join(
        f'<option value="{row}"{" selected" if row == chosen else ""}>{html.escape(name)}</option>'
        for row, name in enumerate(names)
    )


def chooser(data: xr.Dataset) -> dict[str, Any] | None:
    """Names, moments, and ``charts[home][step]``; None when the result holds none.

    Of a chart: ``pieces`` a, b, d and ``sides`` a, b, h as in the result, each once, and the point ``chosen``. The page
    cuts them into regions. First is the home whose bus had the strongest price, at that moment.
    """
    if "chart_pieces" not in data:
        return None
    pieces, sides = data["chart_pieces"].to_numpy(), data["chart_sides"].to_numpy()
    chosen = np.stack([data["chart_p_kw"].to_numpy(), data["chart_q_kvar"].to_numpy()], axis=-1)
    homes, steps = data["chart_prosumer"].to_numpy(), data["chart_step"].to_numpy()
    asked = np.abs(data["price_p"].to_numpy()) + np.abs(data["price_q"].to_numpy())
    strongest = asked[positions(data)[homes]][:, steps]
    times = local_times(data)
    return {
        "homes": data["prosumer"].to_numpy()[homes].astype(str).tolist(),
        "steps": [times[k].strftime("%d %b %H:%M") for k in steps],
        "first": [int(one) for one in np.unravel_index(int(strongest.argmax()), strongest.shape)],
        "charts": [
            [
                {"pieces": _once(pieces[i, k]), "sides": _once(sides[i, k]), "chosen": chosen[i, k].round(4).tolist()}
                for k in range(len(steps))
            ]
            for i in range(len(homes))
        ],
    }


def _once(rows: Any) -> list[list[float]]:
    return np.unique(rows.round(7), axis=0).tolist()  # type: ignore[no-any-return]
