"""What stored energy is worth within a plan: under the tariff and the plan's prices at the bus of each home."""

from __future__ import annotations

import numpy as np

from admmflex.horizon import Array, IntArray
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.groups import Measured
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.stored_value import STEEP, Function, Meter, Outlook, at_end, before, outlook, value
from admmflex.studies.known import KnownHomes, Margin

LEAST = 1e-6  # kWh that a control step moves at least, where a slope is asked for


class PlannedValue:
    """The stores of a rank, through the periods of a horizon.

    At a price lam a home pays import + lam for what it buys and earns export + lam for what it sells. The other stores
    of a home do what the plan says.

    Args:
        known: the homes.
        even: [EUR/kWh per kW] as in ``stored_value``.
    """

    def __init__(self, known: KnownHomes, even: float) -> None:
        self.devices = known.devices
        self.ahead = _outlook(known, even)
        self._now, self._end = self.ahead, at_end(self.ahead)
        self._after, self._sources = self._end, _sources_of_stores(self.devices, self.ahead)
        self.period = 0

    def begin(self, period: int, price: Array, storage_p: Array) -> None:
        """Take a plan for steps ``period``, ... : price (n, K - period) [EUR/kWh], storage_p (C, K - period) [kW]."""
        self.period, ahead, home = period, self.ahead, self.devices.storage_home
        total = np.zeros((self.devices.homes, storage_p.shape[1]))
        np.add.at(total, home, storage_p)
        fixed, bought, sold = ahead.fixed.copy(), ahead.bought.copy(), ahead.sold.copy()
        fixed[:, period:] += total[home] - storage_p
        bought[:, period:] += price[home]
        sold[:, period:] += price[home]
        steep = np.maximum(ahead.steep, STEEP * np.abs(bought).max(axis=1, initial=0.0))
        self._now = ahead._replace(fixed=fixed, bought=bought, sold=sold, steep=steep)
        self._after = before(self._now, period + 1, len(ahead.dt), self._end)

    def margin(self, seen: Measured, tau: float, dt_h: float, persistence: float) -> Margin:
        """Of a control step that ends tau before the end of the period: mean slopes over what full power moves."""
        devices, k, row = self.devices, self.period, np.arange(len(seen.energy))
        worth, share = self._worth(seen, tau, persistence), dt_h / float(devices.dt[k])
        eta_take, eta_give = self._now.flow[:, 4, k], self._now.flow[:, 5, k]
        idle = seen.energy * self._now.keep[:, k] ** share + self._now.gain[:, k] * share
        low, high = worth.ends[:, 0], worth.ends[row, worth.segments]
        down = np.minimum(dt_h * devices.give[:, k] / eta_give, idle - low).clip(LEAST)
        up = np.minimum(dt_h * devices.take[:, k] * eta_take, high - idle).clip(LEAST)
        here = value(worth, idle)
        return Margin((value(worth, idle - down) - here) / down, (here - value(worth, idle + up)) / up)

    def _worth(self, seen: Measured, tau: float, persistence: float) -> Function:
        """Value of energy tau before the end of the period; the rest is partly as it is now, partly as foreseen."""
        devices, ahead, k, w = self.devices, self._now, self.period, persistence
        if tau <= 0.0:
            return self._after
        share, now = tau / float(devices.dt[k]), slice(k, k + 1)
        surprise = np.append(w * (seen.give - devices.source_give[:, k]), 0.0)[self._sources]
        power = w * (seen.fixed_p - devices.fixed_p[:, k])
        rest = ahead._replace(
            dt=np.array([tau]),
            fixed=ahead.fixed[:, now] + power[devices.storage_home, None],
            bought=ahead.bought[:, now],
            sold=ahead.sold[:, now],
            give=ahead.give[:, :, now] + surprise[:, :, None],
            take=ahead.take[:, :, now],
            flow=np.ascontiguousarray(ahead.flow[:, :, now]),
            keep=ahead.keep[:, now] ** share,
            gain=ahead.gain[:, now] * share,
        )
        return before(rest, 0, 1, self._after)


def _outlook(known: KnownHomes, even: float) -> Outlook:
    """What the stores expect at no price, the other stores of their homes at rest."""
    devices, rows = known.devices, []
    first = np.cumsum(devices.assets) - devices.assets
    meters = [_meter(one, even) for one in known.homes]
    nothing = np.zeros(len(devices.dt))
    for home, asset in zip(devices.storage_home.tolist(), devices.storage_asset.tolist(), strict=True):
        rows.append((meters[home], known.flows[home], asset - int(first[home]), nothing))
    return outlook(devices.dt, rows)


def _meter(home: Prosumer, even: float) -> Meter:
    return Meter(home.import_price, home.export_price, home.import_limit_kw, home.export_limit_kw, even)


def _sources_of_stores(devices: Devices, ahead: Outlook) -> IntArray:
    """(C, S) numbers of the sources in ``ahead.give``; where there are fewer, the number after the last."""
    gives = devices.source_give.any(axis=1)
    found = np.full(ahead.give.shape[:2], len(devices.sources))
    for c, home in enumerate(devices.storage_home.tolist()):
        own = np.flatnonzero((devices.source_home == home) & gives)
        found[c, : len(own)] = own
    return found
