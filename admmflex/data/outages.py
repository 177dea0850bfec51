"""Outages: an announced window in a grid-connected day, or an island of which nobody knows how long it lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import gamma

import numpy as np
from scipy.special import gammainc

from admmflex.assets import Asset, Battery, FixedLoad, Generator
from admmflex.data import islands
from admmflex.data.clock import local_time
from admmflex.data.trouble_spec import DurationSpec, IslandSpec, OutageSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, BoolArray, Horizon
from admmflex.prosumers.prosumer import Prosumer
from grid import Connection

_WHERE = "outage"


def window(spec: OutageSpec, horizon: Horizon) -> BoolArray:
    """(K,) the steps without the upstream grid.

    Raises:
        InputError: no date-times; a window that is empty, ends within a step, or is outside of the horizon.
    """
    assert spec.begin is not None
    assert spec.end is not None
    edges = np.concatenate([[0.0], np.cumsum(horizon.dt_h)])
    found = []
    for key, text in (("from", spec.begin), ("to", spec.end)):
        time = local_time(text, horizon.start.tzinfo, _WHERE, key)
        hours = (time.timestamp() - horizon.start.timestamp()) / 3600.0
        nearest = int(np.abs(edges - hours).argmin())
        if abs(edges[nearest] - hours) > 1e-6:
            allowed = f"beginning or end of a step, such as {horizon.clock(float(edges[nearest]))}"
            raise InputError(Fault(_WHERE, f"{key} = {text}", allowed, "move it, or choose other steps"))
        found.append(nearest)
    begin, end = found
    if begin >= end:
        raise InputError(Fault(_WHERE, f"from {spec.begin} to {spec.end}", "from before to", "correct the window"))
    steps = np.arange(horizon.steps)
    return np.asarray((begin <= steps) & (steps < end))


def closed(out: BoolArray, around: Connection | None, base_kw: Array) -> Connection:
    """Nothing is exchanged during the window ``out (K,)``; other limits hold around it."""
    free = np.full(len(out), np.inf)
    limits = Connection(-free, free, -free, free, base_kw) if around is None else around
    p_min, p_max, q_max = (np.where(out, 0.0, bound) for bound in (limits.p_min, limits.p_max, limits.q_max))
    return replace(limits, p_min=p_min, p_max=p_max, q_min=np.where(out, 0.0, limits.q_min), q_max=q_max)


def prepared(prosumers: Sequence[Prosumer], spec: IslandSpec, out: BoolArray) -> list[Prosumer]:
    """The prosumers of a day with an announced outage.

    During the window there is no tariff and loads may be shed; the unit that holds the voltage then keeps its reserve
    all day. Loads of the window stand beside the rest of their home, which they have nothing in common with while there
    is no tariff, unless the connection of the home is limited.

    Raises:
        InputError: no such unit; a reserve that leaves nothing.
    """
    islands.leader(prosumers, spec.grid_forming)
    return [part for one in prosumers for part in _prepared(one, spec, out)]


def _prepared(one: Prosumer, spec: IslandSpec, out: BoolArray) -> list[Prosumer]:
    home: list[Asset] = []
    loads: list[Asset] = []
    for asset in one.assets:
        if isinstance(asset, FixedLoad) and spec.shedding is not None:
            inside = replace(asset, p_kw=np.where(out, asset.p_kw, 0.0), q_kvar=np.where(out, asset.q_kvar, 0.0))
            home.append(replace(asset, p_kw=asset.p_kw - inside.p_kw, q_kvar=asset.q_kvar - inside.q_kvar))
            loads += islands.sheddable(inside, spec.shedding)
        elif isinstance(asset, Battery | Generator) and one.name == spec.grid_forming:
            home.append(islands.with_reserve(asset, spec.reserve))
        else:
            home.append(asset)
    buys, sells = (np.where(out, 0.0, price) for price in (one.import_price, one.export_price))
    paid = replace(one, import_price=buys, export_price=sells)
    if not loads or min(one.import_limit_kw, one.export_limit_kw) < np.inf:
        return [replace(paid, assets=(*home, *loads))]
    nothing = np.zeros_like(buys)
    beside = Prosumer(f"{one.name}{islands.LOADS}", one.bus, tuple(loads), nothing, nothing)
    return [replace(paid, assets=tuple(home)), beside]


def lasting(duration: float | DurationSpec, horizon: Horizon) -> Array:
    """(K,) mean probability over each step that an outage from the start of the horizon still lasts.

    w[t] = (E min(D, b) - E min(D, a)) / (b - a) for the step from a to b, D the length of the outage; for lengths of
    whole steps this is Pr(D >= t).

    Raises:
        InputError: the horizon goes on when the outage has certainly ended.
    """
    edges = np.concatenate([[0.0], np.cumsum(horizon.dt_h)])
    weight = np.asarray(np.diff(_mean_up_to(duration, edges)) / horizon.dt_h)
    if (weight <= 0.0).any():
        after = horizon.label(int(np.argmax(weight <= 0.0)))
        value = f"certainly over by {after}, before the horizon ends"
        raise InputError(Fault(f"{_WHERE}.duration", value, "a horizon no longer than the outage", "shorten horizon"))
    return weight


def _mean_up_to(duration: float | DurationSpec, hours: Array) -> Array:
    """E min(D, x) for every x of ``hours``."""
    if not isinstance(duration, DurationSpec):
        return np.minimum(hours, duration)
    if duration.mean_h is not None:
        part = 1.0 / duration.shape
        scale = duration.mean_h / gamma(1.0 + part)
        return np.asarray(duration.mean_h * gammainc(part, (hours / scale) ** duration.shape))
    assert duration.hours is not None
    assert duration.probability is not None
    return np.asarray(np.minimum(hours[:, None], np.array(duration.hours)) @ np.array(duration.probability))
