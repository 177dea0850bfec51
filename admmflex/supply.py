"""How the slack's limits went: what an island serves and what it lacks, how far a request at the connection was met.

Reads the dataset of a result only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray

if TYPE_CHECKING:
    import xarray as xr

CLASSES = ("normal", "critical")
SERVED = 1e-3  # of the load: what may be shed before a step counts as not served
UNUSED = 1e-2  # of the load: power that units hold back while load is shed
APART = 0.1  # of the highest price: prices that differ more than by losses tell of a limit in the grid


def island(data: xr.Dataset, times: list[str]) -> dict[str, Any]:
    """Served and shed energy by class, the residual at the unit that holds the voltage, and what is missing.

    Args:
        times: local beginning of each step.
    """
    dt = data["dt_h"].to_numpy()
    load = np.maximum(data["load_p_kw"].to_numpy(), 0.0).sum(axis=0)
    residual = np.hypot(data["grid_p_kw"].to_numpy(), data["grid_q_kvar"].to_numpy())
    found: dict[str, Any] = {
        "grid_forming": data.attrs["grid_forming"],
        "load_kwh": float(load @ dt),
        "residual_kva": float(residual.max()),
        "residual_of_load": float((residual / np.maximum(load, 1e-9)).max()),
    }
    for name in CLASSES:
        wanted, shed = shed_kw(data, name)
        beyond = shed > SERVED * np.maximum(wanted, 1e-9)
        found[name] = {"load_kwh": float(wanted @ dt), "shed_kwh": float(shed @ dt), "shed_kw": float(shed.max())}
        if beyond.any():
            step = int(beyond.argmax())
            found[name] |= {
                "first_shed": times[step],
                "served_h": float(dt[:step].sum()),
                "steps_shed": int(beyond.sum()),
                "missing": _missing(data, beyond, load),
            }
        if "lasting" in data:
            found[name]["expected_shed_kwh"] = float(shed @ (dt * data["lasting"].to_numpy()))
    found["message"] = _message(found)
    return found


def outage(data: xr.Dataset, times: list[str]) -> dict[str, Any]:
    """The same of the steps of an announced outage, and the energy stored when it begins."""
    out = np.flatnonzero(data["out"].to_numpy() > 0.0)
    found = island(data.isel(time=out), [times[step] for step in out])
    batteries = np.flatnonzero(data["asset_kind"].to_numpy() == "battery")
    if out[0] > 0 and len(batteries):
        found["stored_kwh"] = float(data["energy_kwh"].to_numpy()[batteries, out[0] - 1].sum())
    return {"from": times[out[0]], "hours": float(data["dt_h"].to_numpy()[out].sum()), **found}


def shed_kw(data: xr.Dataset, priority: str) -> tuple[Array, Array]:
    """(K,) load and shed load of a class [kW]."""
    rows = np.flatnonzero(data["asset_kind"].to_numpy() == "sheddable")
    if len(rows):
        rows = rows[data["priority"].to_numpy()[rows] == priority]
    wanted = data["load_p_kw"].to_numpy()[rows].sum(axis=0)
    return wanted, np.maximum(wanted + data["asset_p_kw"].to_numpy()[rows].sum(axis=0), 0.0)


def prosumer_buses(data: xr.Dataset) -> IntArray:
    """Positions along dimension ``bus`` of the buses that have prosumers: nobody is asked the price of the others."""
    return np.flatnonzero(np.isin(data["bus"].to_numpy(), data["prosumer_bus"].to_numpy()))


def _missing(data: xr.Dataset, steps: BoolArray, load: Array) -> str:
    """What binds while load is shed: power, energy (units hold power back for later), or the grid between them."""
    unused = _unused(data)[steps]
    price = data["price_p"].to_numpy()[prosumer_buses(data)][:, steps]
    apart = np.ptp(price, axis=0) > APART * np.abs(price).max(axis=0)
    idle = unused > UNUSED * load[steps]
    if not idle.any():
        return "power"
    return "grid" if bool((apart & idle).sum() > 0.5 * idle.sum()) else "energy"


def _unused(data: xr.Dataset) -> Array:
    """(K,) power that batteries, generators and plants could give beyond their plan, stored energy aside [kW]."""
    kind, p = data["asset_kind"].to_numpy(), data["asset_p_kw"].to_numpy()
    most = np.array(p)
    for name, field in (("battery", "p_discharge_kw"), ("generator", "p_max_kw"), ("pv", "avail_kw")):
        rows = np.flatnonzero(kind == name)
        if len(rows):
            value = data[field].to_numpy()[rows]
            most[rows] = value if value.ndim == 2 else value[:, None]
    return np.asarray(np.maximum(most - p, 0.0)[np.isin(kind, ["battery", "generator", "pv"])].sum(axis=0))


def _message(found: dict[str, Any]) -> str:
    """One line for people."""
    critical, normal = found["critical"], found["normal"]
    if "first_shed" in critical:
        return (
            f"critical load is served for {critical['served_h']:g} h, until {critical['first_shed']}; then "
            f"{critical['shed_kwh']:.1f} kWh of it, up to {critical['shed_kw']:.1f} kW, are missing: too little "
            f"{_WORDS[critical['missing']]}"
        )
    if "first_shed" in normal:
        return (
            f"all critical load is served; {normal['shed_kwh']:.1f} kWh of normal load are shed, from "
            f"{normal['first_shed']} on: too little {_WORDS[normal['missing']]}"
        )
    return "all load is served"


_WORDS = {
    "power": "power of batteries, generators and sun",
    "energy": "energy in batteries, fuel and sun",
    "grid": "room in the grid between the units and the loads",
}


def connection(data: xr.Dataset, times: list[str]) -> dict[str, Any]:
    """Whether the limits of the connection were met, and the gap where they were not."""
    dt, drawn = data["dt_h"].to_numpy(), data["grid_p_kw"].to_numpy()
    low, high = data["grid_p_min_kw"].to_numpy(), data["grid_p_max_kw"].to_numpy()
    gap = np.maximum(np.maximum(drawn - high, low - drawn), 0.0)
    load = np.maximum(data["load_p_kw"].to_numpy(), 0.0).sum(axis=0)
    missed = gap > SERVED * np.maximum(load, 1e-9)
    found: dict[str, Any] = {"status": "nearest" if missed.any() else "met", "steps": int(missed.sum())}
    if not missed.any():
        return found | {"message": "the connection keeps its limits"}
    worst = int(gap.argmax())
    found |= {"unmet_kwh": float((gap * dt)[missed].sum()), "unmet_kw": float(gap[worst]), "worst": times[worst]}
    found["message"] = (
        f"the connection cannot keep its limits in {found['steps']} steps: the nearest plan misses them by "
        f"{found['unmet_kwh']:.1f} kWh, at most {found['unmet_kw']:.1f} kW at {times[worst]}"
    )
    return found
