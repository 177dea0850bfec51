"""Numbers that are possible, but suggest that a table counts in another unit than this package does."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from admmflex.assets import Asset
from admmflex.errors import Fault
from admmflex.prosumers.prosumer import Prosumer

LEAST_KW = 0.02
"""Rated power below which a device is hardly one: 20 W."""
COLDEST_C, HOTTEST_C = -60.0, 110.0


def unit_faults(prosumer: Prosumer, largest_kw: float) -> list[Fault]:
    """Powers, energies and temperatures that no customer has, each with the unit that may have been meant.

    Args:
        largest_kw: the largest power that a customer may have; its energy within a day is the largest energy.
    """
    return [fault for asset in prosumer.assets for fault in _asset_faults(asset, largest_kw)]


def _asset_faults(asset: Asset, largest_kw: float) -> list[Fault]:
    found = []
    for field in fields(asset):  # type: ignore[arg-type]
        fault = _number_fault(field.name, getattr(asset, field.name), largest_kw)
        if fault is not None:
            value, allowed, remedy = fault
            found.append(Fault(f"{asset.kind} {asset.name!r}", value, allowed, remedy))
    return found


def _number_fault(name: str, value: Any, largest_kw: float) -> tuple[str, str, str] | None:
    """Value, allowed range and remedy of a number, or of the extreme of a profile, that is out of proportion."""
    unit = name.rpartition("_")[2]
    if unit not in ("kw", "kwh", "kvar", "kva", "c") or name == "eta_c" or value is None:
        return None
    numbers = np.atleast_1d(np.asarray(value, dtype=float))
    if not len(numbers) or not np.isfinite(numbers).all():
        return None
    if unit == "c":
        extreme = float(numbers[np.abs(numbers).argmax()])
        if COLDEST_C <= extreme <= HOTTEST_C:
            return None
        return f"{name} = {extreme:g}", f"{COLDEST_C:g} to {HOTTEST_C:g} degC", "give degrees Celsius: is it kelvin?"
    size = float(np.abs(numbers).max())
    most = largest_kw * (24.0 if unit == "kwh" else 1.0)
    shown = {"kw": "kW", "kwh": "kWh", "kvar": "kvar", "kva": "kVA"}[unit]
    if size > most:
        allowed = f"at most {most:g} {shown} for one customer (tables.largest_kw = {largest_kw:g})"
        return f"{name} = {size:g}", allowed, f"give {shown}: is it {shown[1:]}? Or raise tables.largest_kw"
    if np.ndim(value) == 0 and unit == "kw" and 0.0 < size < LEAST_KW:
        return f"{name} = {size:g}", f"0, or at least {LEAST_KW:g} kW", "give kW: is it MW?"
    return None
