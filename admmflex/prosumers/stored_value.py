"""What energy in a store will be worth: least cost of a home from some step to the end, by the energy it starts with.

    V(e) = min  sum_t dt[t] ( imp [-p]+ - exp [p]+ + give_cost give + take_cost take ) - end_value e[K]
    s.t.  p = fixed + give - take + the home's other flows,    e[t+1] = keep e[t] + dt (eta_take take - give / eta_give)
          + gain,    e_min <= e <= e_max,    e[first] = e

Convex and piecewise linear, and exact: from the last step to the first the segments of the step and of what follows
are put in the order of their slopes. Energy outside its band, or from where the band cannot be kept, costs ``steep``
for each kWh; so V is finite on the whole band. Where being paid to consume would make it worth while to give and take
at once, the step's cost is its convex envelope. Reactive power is left out.

Source: section 3.1 of the formulation, [M] (1)-(2); slopes by R. T. Rockafellar, Convex Analysis (1970), theorem 16.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets.flow import Flow, Store
from admmflex.horizon import Array, IntArray
from admmflex.prosumers import _stored_value
from admmflex.prosumers._stored_value import Outlook

__all__ = ["Meter", "Outlook", "Values", "outlook", "stored_values"]

STEEP = 3.0  # times the dearest import price of the horizon: slope outside the band


@dataclass(frozen=True, eq=False)
class Values:
    """Convex piecewise linear functions of the energy in n stores.

    Args:
        ends: (n, S + 1) [kWh], slopes (n, S) [EUR/kWh]; row i has ``count[i]`` segments, the rest is filled up.
        value: (n,) [EUR] at the left end.
    """

    ends: Array
    slopes: Array
    count: IntArray
    value: Array

    def __call__(self, energy: Array) -> Array:
        """V (n,) at energies (n,); continued with the outer slopes."""
        row = np.arange(len(self.count))
        segment = np.minimum((energy[:, None] >= self.ends[:, 1:]).sum(axis=1), self.count - 1)
        before = np.cumsum(self.slopes * np.diff(self.ends, axis=1), axis=1)
        at_end = self.value + np.where(segment > 0, before[row, segment - 1], 0.0)
        return np.asarray(at_end + self.slopes[row, segment] * (energy - self.ends[row, segment]))


def stored_values(outlook: Outlook, first: int) -> Values:
    """V before step ``first``, over the whole band of each store."""
    n = len(outlook.fixed)
    ends, slopes = np.zeros((n, _stored_value.MOST + 1)), np.zeros((n, _stored_value.MOST))
    value, count = np.zeros(n), np.zeros(n, np.int64)
    _stored_value.backward(outlook, first, ends, slopes, value, count)
    most = int(count.max(initial=1))
    ends, slopes = ends[:, : most + 1], slopes[:, :most]
    spare, row = np.arange(most) >= count[:, None], np.arange(n)
    slopes[spare] = np.broadcast_to(slopes[row, count - 1][:, None], slopes.shape)[spare]
    ends[:, 1:][spare] = np.broadcast_to(ends[row, count][:, None], slopes.shape)[spare]
    return Values(ends, slopes, count, value)


@dataclass(frozen=True)
class Meter:
    """Tariff (K,) [EUR/kWh] and limits [kW] of a connection."""

    import_price: Array
    export_price: Array
    import_limit_kw: float = np.inf
    export_limit_kw: float = np.inf


def outlook(dt: Array, homes: Sequence[tuple[Meter, Sequence[Flow], int, Array]]) -> Outlook:
    """Of n stores: the meter, the flows of the home, which of them has the store, and what the other stores do.

    Args:
        dt: (K,) [h].
        homes: meter, flows, position of the flow with the store, (K,) planned power of the home's other stores [kW].
    """
    rows = [_row(*home) for home in homes]
    segments = max((row[2].shape[1] for row in rows), default=1)
    stacked = [np.stack(part) for part in zip(*[_padded(row, segments) for row in rows], strict=True)]
    return Outlook(dt, *stacked)


def _row(meter: Meter, flows: Sequence[Flow], which: int, others_p: Array) -> tuple[Array, ...]:
    flow, store = flows[which], _store(flows[which])
    fixed = np.sum([one.fixed_p for one in flows], axis=0) + others_p
    rest = [one for one in flows if one.store is None]
    steep = STEEP * max(float(np.abs(meter.import_price).max()), 1e-3)
    data = [flow.give_max, flow.take_max, flow.give_cost, flow.take_cost, store.eta_give, store.eta_take]
    band = store.e_min, store.e_max, np.array(store.e_min.min()), np.array(store.e_max.max())
    return (
        *_merit(meter, fixed, rest, flow, steep), fixed, np.stack(data, axis=1), store.keep, store.gain, *band,
        np.array(steep), np.array(-store.end_value),
    )  # fmt: skip


def _store(flow: Flow) -> Store:
    assert flow.store is not None  # chosen by the caller
    return flow.store


def _merit(
    meter: Meter, fixed: Array, rest: Sequence[Flow], flow: Flow, steep: float
) -> tuple[Array, Array, Array, Array]:
    """psi: where it begins and its value there (K,), slopes and lengths (K, J) of its segments.

    psi(y) = min over give and take of  phi(y + sum (give - take)) + cost:  buying, selling and every flow are a segment
    each; beyond the limits of the connection a kWh costs ``steep``.
    """
    give, take = [one.give_max for one in rest], [one.take_max for one in rest]
    own = np.sum([np.zeros_like(fixed), *give], axis=0)
    most = np.abs(fixed) + flow.give_max + flow.take_max + own + np.sum([np.zeros_like(fixed), *take], axis=0) + 1.0
    bought, sold = np.minimum(most, meter.import_limit_kw), np.minimum(most, meter.export_limit_kw)
    dear = np.full_like(fixed, steep)
    slopes = [-dear, -meter.import_price, -meter.export_price, dear]
    slopes += [-one.give_cost for one in rest] + [one.take_cost for one in rest]
    slope, length = np.stack(slopes, axis=1), np.stack([most, bought, sold, most, *give, *take], axis=1)
    order = np.argsort(slope, axis=1, kind="stable")
    base = steep * most + meter.import_price * bought + np.sum([one.give_cost * one.give_max for one in rest], axis=0)
    return (
        -(most + bought + own),
        base,
        np.take_along_axis(slope, order, axis=1),
        np.take_along_axis(length, order, axis=1),
    )


def _padded(row: tuple[Array, ...], segments: int) -> tuple[Array, ...]:
    """Segments of length zero fill up."""
    left, base, slope, length, *others = row
    spare = ((0, 0), (0, segments - slope.shape[1]))
    return (left, base, np.pad(slope, spare, mode="edge"), np.pad(length, spare), *others)
