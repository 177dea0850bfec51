"""The few numbers that tell how a day went, from the dataset of a result."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from admmflex import supply

if TYPE_CHECKING:
    import xarray as xr

_COPIED = (
    "status", "name", "method", "objective_eur", "baseline_eur", "lower_bound_eur", "gap", "answers_per_prosumer",
    "message", "seed", "timezone",
)  # fmt: skip
TITLES = {"central": "solved as one problem", "none": "uncoordinated"}
"""What to call the plan of a method; the others coordinate."""
MET_PU, MET_LOADING = 1e-4, 1e-3
"""Excess over a limit up to which a step counts as within it: pu, fraction of the rating."""


def summarise(data: xr.Dataset) -> dict[str, Any]:
    """Costs, worst voltage and loading with place and time, curtailed energy, prices.

    Excess is what goes beyond a limit: positive means violated. Parts whose variables are absent are left out.
    """
    found: dict[str, Any] = {name: data.attrs[name] for name in _COPIED if name in data.attrs}
    found["versions"] = json.loads(data.attrs.get("versions", "{}"))
    found["iterations"] = int(data.sizes.get("iteration", 0))
    found |= _last_round(data)
    found |= _limits(data, "")
    if "v_pu_baseline" in data:
        found["baseline"] = _limits(data, "_baseline")
    if "asset_p_kw" in data:
        found["curtailed_kwh"] = curtailed_kwh(data)
    for name in ("price_p", "price_q"):
        if name in data:
            price = data[name].to_numpy()[supply.prosumer_buses(data)]
            found[name] = {"min": float(price.min()), "max": float(price.max())}
    if "grid_p_max_kw" in data and data.attrs["status"] != "infeasible":
        about = "outage" if "out" in data else "island" if "grid_forming" in data.attrs else "connection"
        times = [time.strftime("%Y-%m-%d %H:%M") for time in local_times(data)]
        found[about] = getattr(supply, about)(data, times)
    return found


def curtailed_kwh(data: xr.Dataset) -> float:
    """PV energy that was on offer and not given: sum over plants and steps of dt (avail - p)."""
    plants = (data["asset_kind"] == "pv").to_numpy()
    unused = (data["avail_kw"] - data["asset_p_kw"]).to_numpy()[plants]
    return float((unused * data["dt_h"].to_numpy()).sum())


def local_times(data: xr.Dataset) -> list[datetime]:
    """Beginning of each step in the time zone of the study."""
    name = data.attrs.get("timezone", "UTC")
    zone = datetime.strptime(name[3:], "%z").tzinfo if name.startswith(("UTC+", "UTC-")) else ZoneInfo(name)
    seconds = data["time"].to_numpy().astype("datetime64[s]").astype(np.int64)
    return [datetime.fromtimestamp(int(one), UTC).astimezone(zone) for one in seconds]


def _last_round(data: xr.Dataset) -> dict[str, Any]:
    names = [name for name in ("history_primal", "history_dual", "history_rho") if name in data]
    if not names or not data.sizes["iteration"]:
        return {}
    return {"residuals": {name.removeprefix("history_"): float(data[name][-1]) for name in names}}


def _limits(data: xr.Dataset, suffix: str) -> dict[str, Any]:
    """Worst voltage and loading of the plan (suffix empty) or of the baseline."""
    found: dict[str, Any] = {}
    beyond = np.zeros(data.sizes["time"], dtype=bool)
    if f"v_pu{suffix}" in data:
        v = data[f"v_pu{suffix}"].to_numpy()
        high, low = v - data["v_max"].to_numpy()[:, None], data["v_min"].to_numpy()[:, None] - v
        found["highest_voltage"] = _at(data, "bus", v, v, high)
        found["lowest_voltage"] = _at(data, "bus", -v, v, low)
        found["worst_voltage"] = _at(data, "bus", np.maximum(high, low), v, np.maximum(high, low))
        found["steps_without_power_flow"] = int((~np.isfinite(v)).any(axis=0).sum())
        beyond |= (~(np.maximum(high, low) <= MET_PU)).any(axis=0)
    if f"loading{suffix}" in data:
        loading = data[f"loading{suffix}"].to_numpy()
        limit = data["loading_max"].to_numpy()[:, None] if "loading_max" in data else 1.0
        found["worst_loading"] = _at(data, "branch", loading - limit, loading, loading - limit)
        beyond |= (~(loading - limit <= MET_LOADING)).any(axis=0)
    return found | ({"steps_beyond_limits": int(beyond.sum())} if found else {})


def _at(data: xr.Dataset, dim: str, rank: Any, values: Any, excess: Any) -> dict[str, Any] | None:
    """Value, place and time where ``rank`` is largest; None when nothing is finite."""
    if not np.isfinite(rank).any():
        return None
    row, step = (int(i) for i in np.unravel_index(np.nanargmax(rank), rank.shape))
    place = data[dim].to_numpy()[row]
    found: dict[str, Any] = {"value": float(values[row, step]), "excess": float(excess[row, step])}
    found[dim] = place.item() if isinstance(place, np.generic) else place
    if f"{dim}_name" in data:
        found["name"] = str(data[f"{dim}_name"].to_numpy()[row])
    return found | {"time": local_times(data)[step].isoformat(), "step": step}
