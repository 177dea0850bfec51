"""Each prosumer's day, packed for a chooser that draws one at a time."""

from __future__ import annotations

import base64
import html
import json
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array, IntArray
from admmflex.report.document import safe
from admmflex.report.style import AFTER, BEFORE, plans, time_axis

if TYPE_CHECKING:
    import xarray as xr

BYTES = 1_200_000
"""What the chooser may add to the page; of more homes those are shown that coordination moved most."""
NAMES = {
    "load": ("load", "#777777"),
    "sheddable": ("load that can be shed", "#a6761d"),
    "pv": ("PV", "#e6ab02"),
    "battery": ("battery", "#1b9e77"),
    "ev": ("car", "#7570b3"),
    "heat_pump": ("heat pump", "#a63603"),
    "boiler": ("boiler", "#e7298a"),
    "deferrable": ("deferrable load", "#66a61e"),
}
SAME = 1e-3  # kW, kWh
ALONE = " What devices would do without coordination: energy dotted, powers after a tap on the legend."
CAPACITY = {"battery": ("e_min_kwh", "e_max_kwh"), "ev": (None, "capacity_kwh")}
"""Fields that bound the stored energy, by kind."""


def section(data: xr.Dataset) -> str:
    """Each home's day, drawn by the page."""
    packed = chooser(data)
    if packed is None:
        return ""
    names, count = packed["names"], packed["all"]
    some = f" {len(names)} of {count}: those that coordination moved most." if len(names) < count else ""
    texts = [html.escape(_named(name, bus)) for name, bus in zip(names, packed["buses"], strict=True)]
    chosen = "".join(
        f'<option value="{row}"{" selected" if row == packed["first"] else ""}>{text}</option>'
        for row, text in enumerate(texts)
    )
    template = files("admmflex.report").joinpath("homes.html").read_text(encoding="utf-8")
    alone = ALONE if any(one["form"] == "before" for one in packed["energy"] + packed["series"]) else ""
    return Template(template).substitute(some=some, alone=alone, options=chosen, data=safe(json.dumps(packed)))


def _named(name: str, bus: int) -> str:
    """A home and its bus, which may be all that its name says."""
    return name if name == f"bus {bus}" else f"{name}, bus {bus}"


def chooser(data: xr.Dataset) -> dict[str, Any] | None:
    """What the page needs to draw any home; None without a plan.

    ``series``: one for every line, with ``scale (n,)`` and ``bytes``, base64 of little-endian int16 ``(n, K)``: the
    value is int * scale. ``energy``: the same for stored energy, with ``low`` and ``high (n,)``.
    """
    if "p_kw" not in data:
        return None
    series = _powers(data)
    energy = _energies(data)
    shown = _shown(data, len(series) + len(energy))
    x, axis = time_axis(data)
    first = int(np.argmax(_moved(data)[shown]))
    return {
        "names": [str(name) for name in data["prosumer"].to_numpy()[shown]],
        "buses": data["prosumer_bus"].to_numpy()[shown].tolist(),
        "all": int(data.sizes["prosumer"]),
        "first": first,
        "x": [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in x],
        "axis": {**axis, "tickvals": [tick.strftime("%Y-%m-%d %H:%M:%S") for tick in axis["tickvals"]]},
        "series": [about | _packed(values[shown]) for about, values in series],
        "energy": [
            about | _packed(values[shown]) | {"low": _plain(low[shown]), "high": _plain(high[shown])}
            for about, values, low, high in energy
        ],
    }


def _powers(data: xr.Dataset) -> list[tuple[dict[str, Any], Array]]:
    """Label and powers (n, K) of each kind of device, of the sun, and at the meter."""
    kinds, found = data["asset_kind"].to_numpy(), []
    alone = "asset_p_kw_baseline" in data and plans(data)[-1][0] == ""
    for kind in dict.fromkeys(kinds.tolist()):
        name, colour = NAMES.get(kind, (str(kind).replace("_", " "), "#555555"))
        found.append(({"name": name, "color": colour, "form": "line"}, _summed(data, kinds == kind, "asset_p_kw")))
        before = _summed(data, kinds == kind, "asset_p_kw_baseline") if alone else found[-1][1]
        if np.abs(before - found[-1][1]).max(initial=0.0) > SAME:
            found.append(({"name": f"{name}, uncoordinated", "color": colour, "form": "before"}, before))
        if kind == "pv":
            about = {"name": "sun on offer", "color": colour, "form": "dot"}
            found.append((about, _summed(data, kinds == kind, "avail_kw")))
    if "p_kw_baseline" in data:
        about = {"name": "meter, uncoordinated", "color": BEFORE[0], "form": "meter"}
        found.append((about, data["p_kw_baseline"].to_numpy()))
    if plans(data)[-1][0] == "":
        about = {"name": f"meter, {plans(data)[-1][1]}", "color": AFTER[0], "form": "meter"}
        found.append((about, data["p_kw"].to_numpy()))
    return found


def _energies(data: xr.Dataset) -> list[tuple[dict[str, Any], Array, Array, Array]]:
    """Label, energies at the ends of the steps (n, K) and band (n,) of each kind of storage."""
    kinds, energy = data["asset_kind"].to_numpy(), data["energy_kwh"].to_numpy()
    stores = np.isfinite(energy).any(axis=1) if len(energy) else np.zeros(0, bool)
    found = []
    for kind in dict.fromkeys(kinds[stores].tolist()):
        rows = stores & (kinds == kind)
        name, colour = NAMES.get(kind, (str(kind), "#555555"))
        low, high = (_summed_parameter(data, rows, field) for field in CAPACITY.get(kind, (None, None)))
        about = {"name": name, "color": colour, "form": "line"}
        found.append((about, _summed(data, rows, "energy_kwh"), low, high))
        alone = "energy_kwh_baseline" in data and plans(data)[-1][0] == ""
        before = _summed(data, rows, "energy_kwh_baseline") if alone else found[-1][1]
        if np.abs(before - found[-1][1]).max(initial=0.0) > SAME:
            about, unbounded = about | {"name": f"{name}, uncoordinated", "form": "before"}, np.full_like(low, np.nan)
            found.append((about, before, unbounded, unbounded))
    return found


def _summed(data: xr.Dataset, rows: Any, name: str) -> Array:
    """Sum over chosen assets of each prosumer (n, K)."""
    total = np.zeros((data.sizes["prosumer"], data.sizes["time"]))
    np.add.at(total, data["asset_prosumer"].to_numpy()[rows], np.nan_to_num(data[name].to_numpy()[rows]))
    return total


def _summed_parameter(data: xr.Dataset, rows: Any, name: str | None) -> Array:
    """Sum of a parameter over chosen assets of each prosumer (n,), NaN without them."""
    total = np.full(data.sizes["prosumer"], np.nan)
    if name is None or name not in data or data[name].ndim != 1:
        return total
    owner = data["asset_prosumer"].to_numpy()[rows]
    total[owner] = 0.0
    np.add.at(total, owner, data[name].to_numpy()[rows])
    return total


def _shown(data: xr.Dataset, count: int) -> IntArray:
    """Positions of the homes that the chooser offers."""
    room = int(BYTES / (max(count, 1) * data.sizes["time"] * 2 * 4 / 3))
    if data.sizes["prosumer"] <= room:
        return np.arange(data.sizes["prosumer"])
    return np.sort(np.argsort(-_moved(data), kind="stable")[: max(room, 1)])


def _moved(data: xr.Dataset) -> Array:
    """How much each home does that it would not do by itself (n,), or does at all where that is not known."""
    other = data["p_kw_baseline"].to_numpy() if "p_kw_baseline" in data else 0.0
    moved: Array = np.abs(data["p_kw"].to_numpy() - other) @ data["dt_h"].to_numpy()
    return moved


def _packed(values: Array) -> dict[str, Any]:
    most = np.abs(values).max(axis=1)
    scale = np.where(most > 1e-6, most, 0.0) / 32000.0
    whole = np.rint(values / np.where(scale > 0.0, scale, np.inf)[:, None]).astype("<i2")
    # a scale of zero says that there is nothing to draw
    return {"scale": [float(f"{one:.4g}") for one in scale], "bytes": base64.b64encode(whole.tobytes()).decode("ascii")}


def _plain(values: Array) -> list[float | None]:
    return [None if not np.isfinite(one) else round(float(one), 3) for one in values]
