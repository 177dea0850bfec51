"""From plain arrays to one labelled dataset."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from admmflex.horizon import Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer
from admmflex.variables import EXPORT, HISTORY, PROFILES, VARIABLES, Variable
from admmflex.versions import versions

if TYPE_CHECKING:
    import xarray as xr

    from admmflex.assets.flow import Asset

FORMAT = "admmflex result 1"
STATUSES = ("optimal", "infeasible", "not_converged")
_PROFILE_OF = {
    ("load", "p_kw"): "load_p_kw",
    ("load", "q_kvar"): "load_q_kvar",
    ("sheddable", "p_kw"): "load_p_kw",
    ("sheddable", "q_kvar"): "load_q_kvar",
    ("pv", "avail_kw"): "avail_kw",
}
_APPLIED = {"s_kva": "inverter_kva", "e_end_min_kwh": "end_bound_kwh", "t_end_min_c": "end_c"}
"""Fields with a default that depends on others, and the property that says what applied."""

_UNITS = (
    ("_kwh", "kWh"), ("_kw", "kW"), ("_kvar", "kvar"), ("_kva", "kVA"), ("_kwh_per_k", "kWh/K"), ("_kw_per_k", "kW/K"),
    ("_c", "degC"), ("_h", "h"), ("_l", "l"), ("_price", "EUR/kWh"), ("q_cost", "EUR/kvarh"), ("", "1"),
)  # fmt: skip
_UNIT_OF = {
    "wear": "EUR/kWh",
    "end_value": "EUR/kWh",
    "reactive": "",
    "priority": "",
    "cost": "EUR/kWh",
    "price": "EUR/kWh",
    "eta_c": "1",
}


def dataset(
    horizon: Horizon,
    prosumers: Sequence[Prosumer],
    buses: IntArray,
    branches: Sequence[str],
    variables: Mapping[str, Any],
    *,
    status: str,
    objective_eur: float,
    history: Sequence[Mapping[str, Any]] = (),
    scenario: str = "",
    **attributes: Any,
) -> xr.Dataset:
    """Put inputs and outputs together, labelled and with units.

    Args:
        prosumers: in the order of dimension ``prosumer``; their assets, one after another, make dimension ``asset``.
        buses: ``(n_bus,)`` pandapower indices in the order of dimension ``bus``.
        branches: ``(n_branch,)`` names.
        variables: arrays by name, with the dimensions of ``VARIABLES`` except those that the prosumers give:
            ``dt_h``, tariff, ``prosumer_bus``, asset profiles and parameters.
        history: one record per round; its numbers become ``history_<key> (iteration)``.
        scenario: the YAML text.
        attributes: ``seed``, ``baseline_eur``, ``gap``, ``message``, ``answers_per_prosumer``, ...; None is left out.

    Raises:
        ValueError: an unknown or missing variable, a wrong shape, or an optimal result that is not finite.
    """
    import xarray as xr

    arrays = {**_inputs(horizon, prosumers), **{name: np.asarray(value) for name, value in variables.items()}}
    _check_names(arrays, status)
    coordinates = _coordinates(horizon, prosumers, buses, branches, len(history))
    sizes = {name: len(values) for name, (dims, values) in coordinates.items() if dims == name}
    known = VARIABLES | PROFILES
    checked = status == "optimal" and attributes.get("method") != "none"  # left to itself a grid may collapse
    data = {name: _labelled(name, known[name], values, sizes, checked) for name, values in arrays.items()}
    data |= _parameters([asset for prosumer in prosumers for asset in prosumer.assets])
    data |= _history(history)
    kept = {name: value for name, value in attributes.items() if value is not None}
    about = {
        "format": FORMAT,
        "status": status,
        "objective_eur": float(objective_eur),
        "scenario": scenario,
        "versions": json.dumps(versions()),
        "timezone": str(horizon.start.tzinfo),
    }
    return xr.Dataset(data, coordinates, about | kept)


def misformed(data: xr.Dataset) -> list[str]:
    """What a dataset that was read lacks or has otherwise than ``dataset`` makes it; empty when nothing."""
    about = data.attrs
    found = [f"status = {about.get('status')!r}"] if about.get("status") not in STATUSES else []
    homes = "prosumer" in data.dims
    texts = ("timezone", "versions") if homes else ("versions",)
    found += [f"no text {key!r}" for key in texts if not isinstance(about.get(key), str)]
    if homes and not isinstance(about.get("objective_eur"), int | float | np.number):
        found.append("no number 'objective_eur'")
    known = VARIABLES | PROFILES if homes else EXPORT
    needed = {"input"} if about.get("status") == "infeasible" else {"input", "output"}
    if homes and any(f"{name}_baseline" in data for name in VARIABLES):
        needed.add("baseline")
    for name, one in known.items():
        if name not in data:
            found += [f"no variable {name!r}"] if one.role in needed else []
        elif data[name].dims != one.dims or (data[name].dtype.kind in "OSU") != (one.units == ""):
            kind = "text" if one.units == "" else "numbers"
            found.append(f"{name} holds {data[name].dtype} by {data[name].dims}, not {kind} by {one.dims}")
    return found or _misplaced(data, homes)


def _misplaced(data: xr.Dataset, homes: bool) -> list[str]:
    """Coordinates that are not there, times that are none, positions beyond the end of what they count."""
    kinds = {"time": "M"} | ({"prosumer": "OSU", "asset": "OSU", "asset_kind": "OSU", "branch": "OSU"} if homes else {})
    kinds |= {"bus": "iu", "asset_prosumer": "iu", "prosumer_bus": "iu"} if homes else {}
    found = [f"no {name}" for name, kind in kinds.items() if name not in data or data[name].dtype.kind not in kind]
    if found or not data.sizes["time"]:
        return found or ["no step"]
    time = data["time"].to_numpy().astype("datetime64[s]")
    if not ((time > np.datetime64("1800-01-01")) & (time < np.datetime64("2300-01-01"))).all():
        found.append("times outside of the years 1800 to 2300")
    positions = [("asset_prosumer", "prosumer"), ("branch_from_bus", "bus"), ("branch_to_bus", "bus")] * homes
    for name, along in positions:
        at = data[name].to_numpy() if name in data else np.zeros(0)
        if len(at) and not ((at >= 0) & (at < data.sizes[along])).all():
            found.append(f"{name} beyond the {data.sizes[along]} of {along}")
    if homes and not np.isin(data["prosumer_bus"].to_numpy(), data["bus"].to_numpy()).all():
        found.append("prosumer_bus that is no bus")
    return found


def _inputs(horizon: Horizon, prosumers: Sequence[Prosumer]) -> dict[str, Any]:
    """What the horizon and the prosumers say by themselves."""
    assets = [asset for prosumer in prosumers for asset in prosumer.assets]
    found: dict[str, Any] = {
        "dt_h": horizon.dt_h,
        "import_price": np.array([prosumer.import_price for prosumer in prosumers]),
        "export_price": np.array([prosumer.export_price for prosumer in prosumers]),
        "prosumer_bus": np.array([prosumer.bus for prosumer in prosumers], np.int64),
    }
    for name in ("import_limit_kw", "export_limit_kw"):
        limits = np.array([getattr(prosumer, name) for prosumer in prosumers])
        found |= {name: limits} if np.isfinite(limits).any() else {}
    for (kind, field), name in _PROFILE_OF.items():
        found.setdefault(name, np.zeros((len(assets), horizon.steps)))
        for row, asset in enumerate(assets):
            if asset.kind == kind:
                found[name][row] = getattr(asset, field)
    return found


def _check_names(arrays: Mapping[str, Any], status: str) -> None:
    if status not in STATUSES:
        raise ValueError(f"status is {status!r}; allowed: {', '.join(STATUSES)}")
    known = VARIABLES.keys() | PROFILES.keys()
    if unknown := arrays.keys() - known:
        raise ValueError(f"no such variable in a result: {', '.join(sorted(unknown))}")
    needed = {"input"} if status == "infeasible" else {"input", "output"}
    if any(VARIABLES[name].role == "baseline" for name in arrays if name in VARIABLES):
        needed.add("baseline")
    if missing := [name for name, one in VARIABLES.items() if one.role in needed and name not in arrays]:
        raise ValueError(f"the result lacks {', '.join(missing)}")


def _labelled(name: str, variable: Variable, values: Any, sizes: Mapping[str, int], checked: bool) -> Any:
    own = dict(zip(variable.dims, values.shape, strict=False))  # of dimensions without names
    wanted = tuple(sizes.get(dim, own.get(dim)) for dim in variable.dims)
    if values.shape != wanted:
        raise ValueError(f"{name} has shape {values.shape}; {variable.dims} is {wanted}")
    finite = values.dtype.kind not in "fc" or np.isfinite(values).all()
    if checked and variable.role == "output" and name != "energy_kwh" and not finite:
        raise ValueError(f"{name} of an optimal result is not finite everywhere")
    return variable.dims, values, {"units": variable.units, "long_name": variable.long_name}


def _coordinates(
    horizon: Horizon, prosumers: Sequence[Prosumer], buses: IntArray, branches: Sequence[str], rounds: int
) -> dict[str, tuple[str, Any]]:
    owners = [(row, prosumer, asset) for row, prosumer in enumerate(prosumers) for asset in prosumer.assets]
    return {
        "time": ("time", horizon.times_utc),
        "prosumer": ("prosumer", _texts(prosumer.name for prosumer in prosumers)),
        "bus": ("bus", np.asarray(buses, np.int64)),
        "branch": ("branch", _texts(branches)),
        "iteration": ("iteration", np.arange(1, rounds + 1)),
        "asset": ("asset", _texts(f"{prosumer.name}/{asset.name}" for _, prosumer, asset in owners)),
        "asset_kind": ("asset", _texts(asset.kind for _, _, asset in owners)),
        "asset_prosumer": ("asset", np.array([row for row, _, _ in owners], np.int64)),
    }


def _texts(names: Iterable[str]) -> Any:
    return np.array(list(names), dtype=object)


def _parameters(assets: Sequence[Asset]) -> dict[str, Any]:
    """Fields of the assets: ``(asset,)``, ``(asset, time)`` or, of their sessions and tasks, ``(asset, window)``.

    NaN, or empty, for assets without the field.
    """
    rows: dict[str, dict[int, Any]] = {}
    windows: dict[str, dict[int, Any]] = {}
    for row, asset in enumerate(assets):
        for field in fields(asset):  # type: ignore[arg-type]
            if field.name == "name" or (asset.kind, field.name) in _PROFILE_OF:
                continue
            value = getattr(asset, field.name)
            if value is None and field.name in _APPLIED:
                value = getattr(asset, _APPLIED[field.name], None)
            if isinstance(value, tuple):
                for name, column in _columns(field.name, value):
                    windows.setdefault(name, {})[row] = column
            elif value is not None:
                rows.setdefault(field.name, {})[row] = value
    most = max((len(column) for found in windows.values() for column in found.values()), default=0)
    for found in windows.values():
        for row, column in found.items():
            found[row] = np.pad(column, (0, most - len(column)), constant_values=np.nan)
    named = {name: _parameter(name, found, len(assets), "time") for name, found in rows.items()}
    return named | {name: _parameter(name, found, len(assets), "window") for name, found in windows.items()}


def _columns(name: str, records: tuple[Any, ...]) -> list[tuple[str, Any]]:
    """The fields of records such as sessions, one array each: ``sessions_arrive_h``, ..."""
    inner = [field.name for field in fields(records[0])] if records else []
    return [(f"{name}_{one}", np.array([getattr(record, one) for record in records], float)) for one in inner]


def _parameter(name: str, found: Mapping[int, Any], count: int, axis: str) -> Any:
    samples = [np.asarray(value) for value in found.values()]
    sample = max(samples, key=lambda one: one.ndim)
    values: Any = np.full(count, "", object) if sample.dtype.kind == "U" else np.full((count, *sample.shape), np.nan)
    for row, value in found.items():
        values[row] = value
    units = _UNIT_OF.get(name) or next(unit for ending, unit in _UNITS if name.endswith(ending))
    return ("asset", axis)[: values.ndim], values, {"units": units, "long_name": f"asset parameter {name}"}


def _history(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = [key for record in records for key, value in record.items() if isinstance(value, int | float | np.number)]
    found = {}
    for name in dict.fromkeys(name for name in names if name != "iteration"):
        values = np.array([float(record.get(name, math.nan)) for record in records])
        about = HISTORY.get(name, Variable(("iteration",), "1", name, "optional"))
        found[f"history_{name}"] = (about.dims, values, {"units": about.units, "long_name": about.long_name})
    return found
