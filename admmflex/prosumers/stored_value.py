"""What energy in a store will be worth: least cost of a home from some step to the end, by the energy it starts with.

    V(e) = min  sum_t dt[t] ( imp [-p]+ - exp [p]+ + give_cost give + take_cost take ) - end_value e[K]
    s.t.  p = fixed + give - take + the home's other flows,    e[t+1] = keep e[t] + dt (eta_take take - give / eta_give)
          + gain,    e_min <= e <= e_max,    e[first] = e

Convex and piecewise linear, and exact: from the last step to the first the segments of the step and of what follows
are put in the order of their slopes. Energy outside its band, or from where the band cannot be kept, costs ``steep``
for each kWh; so V is finite everywhere. Where being paid to consume would make it worth while to give and take at once,
the step's cost is its convex envelope. Reactive power is left out.

With ``even`` > 0 a kWh bought costs, and a kWh sold earns, that much more or less for every kW at the connection, in
``PIECES`` equal parts: of equally good times homes then use all, rather than one where everybody meets.

Source: section 3.1 of the formulation, [M] (1)-(2); slopes by R. T. Rockafellar, Convex Analysis (1970), theorem 16.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets.flow import Flow, Store
from admmflex.horizon import Array, IntArray
from admmflex.prosumers import _stored_value
from admmflex.prosumers._stored_value import MOST, Function, Outlook

__all__ = ["Function", "Meter", "Outlook", "at_end", "before", "near", "outlook", "rest_of_step", "segment_of", "value"]

STEEP = 3.0  # times the dearest import price of the horizon: slope outside the band
PIECES = 8  # into which what is bought and what is sold are divided when prices depend on the power


@dataclass(frozen=True)
class Meter:
    """Tariff (K,) [EUR/kWh] and limits [kW] of a connection; ``even`` [EUR/kWh per kW]."""

    import_price: Array
    export_price: Array
    import_limit_kw: float = np.inf
    export_limit_kw: float = np.inf
    even: float = 0.0


def outlook(dt: Array, homes: Sequence[tuple[Meter, Sequence[Flow], int]]) -> Outlook:
    """Of n stores: the meter, the flows of the home, and which of them has the store; its other stores are at rest.

    Args:
        dt: (K,) [h].
        homes: meter, flows, position of the flow with the store.
    """
    rows = [_row(*home) for home in homes]
    width = max((len(row["give"]) for row in rows), default=0)
    for row in rows:
        for name in ("give", "take", "give_cost", "take_cost"):
            spare = ((0, width - len(row[name])), *((0, 0),) * (row[name].ndim - 1))
            row[name] = np.pad(row[name], spare)
    shapes = {"give": (width, len(dt)), "take": (width, len(dt)), "give_cost": (width,), "take_cost": (width,)}
    shapes |= {"flow": (6, len(dt))} | dict.fromkeys(_SCALARS, ())
    stacked = {
        name: np.stack([row[name] for row in rows]) if rows else np.zeros((0, *shapes.get(name, (len(dt),))))
        for name in Outlook._fields[1:]
    }
    return Outlook(dt=dt, **stacked)


_SCALARS = ("import_limit", "export_limit", "even", "low", "high", "steep", "end_slope")


def _row(meter: Meter, flows: Sequence[Flow], which: int) -> dict[str, Array]:
    flow, store = flows[which], _store(flows[which])
    rest = [one for one in flows if one.store is None and (one.give_max.any() or one.take_max.any())]
    data = [flow.give_max, flow.take_max, flow.give_cost, flow.take_cost, store.eta_give, store.eta_take]
    steps = len(flow.fixed_p)
    scalars = {
        "import_limit": meter.import_limit_kw,
        "export_limit": meter.export_limit_kw,
        "even": meter.even,
        "low": store.e_min.min(),
        "high": store.e_max.max(),
        "steep": STEEP * max(float(np.abs(meter.import_price).max()), 1e-3),
        "end_slope": -store.end_value,
    }
    return {
        "fixed": np.sum([one.fixed_p for one in flows], axis=0),
        "bought": meter.import_price,
        "sold": meter.export_price,
        "give": np.array([one.give_max for one in rest]).reshape(-1, steps),
        "take": np.array([one.take_max for one in rest]).reshape(-1, steps),
        "give_cost": np.array([one.give_cost.mean() for one in rest]),
        "take_cost": np.array([one.take_cost.mean() for one in rest]),
        "flow": np.stack(data),
        "keep": store.keep,
        "gain": store.gain,
        "e_min": store.e_min,
        "e_max": store.e_max,
    } | {name: np.array(value) for name, value in scalars.items()}


def _store(flow: Flow) -> Store:
    assert flow.store is not None  # chosen by the caller
    return flow.store


def at_end(outlook: Outlook, last: int) -> Function:
    """The value before step ``last``, nothing beyond foreseen: no less may be stored than after the last of all."""
    n, high = len(outlook.fixed), outlook.e_max[:, last - 1]
    low = np.minimum(np.maximum(outlook.e_min[:, last - 1], outlook.e_min[:, -1]), high)
    slope = outlook.end_slope
    return Function(np.stack([low, high], axis=1), slope[:, None].copy(), slope * low, np.ones(n, np.int64))


def before(outlook: Outlook, first: int, last: int, end: Function) -> Function:
    """V before step ``first``, over the whole band of each store, when it is ``end`` before step ``last``."""
    n = len(outlook.fixed)
    found = Function(np.zeros((n, MOST + 1)), np.zeros((n, MOST)), np.zeros(n), np.zeros(n, np.int64))
    _stored_value.backward(outlook, first, last, PIECES, end, found)
    most = int(found.segments.max(initial=1))
    return Function(found.ends[:, : most + 1].copy(), found.slopes[:, :most].copy(), found.value, found.segments)


def rest_of_step(outlook: Outlook, step: int, hours: float, fixed: Array, give: Array) -> Outlook:
    """The last hours of a step as the only one, where fixed powers (n,) and the sources (n, S) [kW] are others."""
    now, share = slice(step, step + 1), hours / float(outlook.dt[step])
    return outlook._replace(
        dt=np.array([hours]),
        fixed=fixed[:, None],
        bought=outlook.bought[:, now],
        sold=outlook.sold[:, now],
        give=give[:, :, None],
        take=outlook.take[:, :, now],
        flow=np.ascontiguousarray(outlook.flow[:, :, now]),
        keep=outlook.keep[:, now] ** share,
        gain=outlook.gain[:, now] * share,
    )


def value(function: Function, energy: Array) -> Array:
    """V (n,) at energies (n,) [kWh]; continued with the outer slopes."""
    row = np.arange(len(energy))
    segment = segment_of(function, energy)
    lengths = np.diff(function.ends, axis=1)
    lengths[np.arange(lengths.shape[1]) >= function.segments[:, None]] = 0.0
    reached = np.cumsum(function.slopes * lengths, axis=1) - function.slopes * lengths
    beyond = energy - function.ends[row, segment]
    return np.asarray(function.value + reached[row, segment] + function.slopes[row, segment] * beyond)


def segment_of(function: Function, energy: Array) -> IntArray:
    """(n,) the segment that an energy is in; the outer ones beyond the ends."""
    inner = np.arange(function.slopes.shape[1]) < function.segments[:, None] - 1
    passed = (energy[:, None] >= function.ends[:, 1:]) & inner
    return np.asarray(passed.sum(axis=1))


def near(function: Function, energy: Array, segments: int) -> tuple[Array, Array]:
    """The function around energies (n,) in so many segments: ends (n, N + 1) and slopes (n, N).

    The segment of the energy and its neighbours; outside them the outer slopes go on to the ends of the band.
    """
    row = np.arange(len(energy))[:, None]
    first = np.clip(segment_of(function, energy) - segments // 2, 0, None)
    at = np.minimum(first[:, None] + np.arange(segments), function.segments[:, None] - 1)
    inner = np.minimum(function.ends[row, at[:, :-1] + 1], function.ends[row, function.segments[:, None]])
    low, high = function.ends[:, :1], function.ends[row, function.segments[:, None]]
    return np.concatenate([low, inner, high], axis=1), function.slopes[row, at]
