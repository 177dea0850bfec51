"""What stored energy is worth within a plan: under the tariff and the plan's prices at the bus of each home."""

from __future__ import annotations

import numpy as np

from admmflex.coordination.foresight import expected
from admmflex.horizon import Array
from admmflex.prosumers.groups import Measured
from admmflex.prosumers.stored_value import (
    STEEP,
    Function,
    at_end,
    before,
    rest_of_step,
    segment_of,
    value,
)
from admmflex.studies.known import KnownHomes, Margin

LEAST = 1e-5  # kWh that a control step can move at least, where a slope is asked for
CHANGE = 0.005  # EUR/kWh


class PlannedValue:
    """The stores of a rank, through the periods of a horizon.

    At a price lam a home pays import + lam for what it buys and earns export + lam for what it sells. The other stores
    of a home do what the plan says.

    Args:
        known: the homes.
        even: [EUR/kWh per kW] as in ``stored_value``.
        hold: [EUR/kWh per kWh] by which stored energy is worth less, or more, above or below the plan. At the plan's
            prices many plans are nearly equally good; it decides for the one that all have agreed on.
    """

    def __init__(self, known: KnownHomes, even: float, hold: float) -> None:
        self.devices, self.hold = known.devices, hold
        self.ahead = expected(known.devices, known.homes, known.flows, even)
        self._now, self._after = self.ahead, at_end(self.ahead, len(self.ahead.dt))
        self._sources = self.devices.sources_of_stores(self.ahead.give.shape[1])
        self.period = 0
        self._planned: Array = np.zeros((2, len(self.devices.stores)))

    def begin(self, period: int, price: Array, storage_p: Array, energy: Array) -> None:
        """Take a plan for L steps from ``period`` on.

        Args:
            price: (n, L) [EUR/kWh].
            storage_p: (C, L) [kW].
            energy: (2, C) [kWh] at the beginning and the end of the period.
        """
        self._planned = energy
        self.period, ahead, home = period, self.ahead, self.devices.storage_home
        total = np.zeros((self.devices.homes, storage_p.shape[1]))
        np.add.at(total, home, storage_p)
        fixed, bought, sold = ahead.fixed.copy(), ahead.bought.copy(), ahead.sold.copy()
        last = period + storage_p.shape[1]
        fixed[:, period:last] += total[home] - storage_p
        bought[:, period:last] += price[home]
        sold[:, period:last] += price[home]
        steep = np.maximum(ahead.steep, STEEP * np.abs(bought).max(axis=1, initial=0.0))
        self._now = ahead._replace(fixed=fixed, bought=bought, sold=sold, steep=steep)
        self._after = before(self._now, period + 1, last, at_end(ahead, last))

    def margin(self, seen: Measured, tau: float, dt_h: float, persistence: float) -> Margin:
        """Of a control step that ends tau before the end of the period: mean slopes over what it can move.

        It moves energy as planned, and beyond that up to where the slope has changed by ``CHANGE``; what lies further
        is for the next step.
        """
        devices, k = self.devices, self.period
        worth, share = self._worth(seen, tau, persistence), dt_h / float(devices.dt[k])
        eta_take, eta_give = self._now.flow[:, 4, k], self._now.flow[:, 5, k]
        idle = seen.energy * self._now.keep[:, k] ** share + self._now.gain[:, k] * share
        start, end = self._planned
        planned = end - (end - start) * tau / float(devices.dt[k])
        below, above = _alike(worth, idle)
        near = CHANGE / self.hold if self.hold > 0.0 else np.inf
        below = np.maximum(np.minimum(below, planned), np.minimum(idle, planned) - near)
        above = np.minimum(np.maximum(above, planned), np.maximum(idle, planned) + near)
        down = np.minimum(dt_h * devices.give[:, k] / eta_give, idle - below).clip(LEAST)
        up = np.minimum(dt_h * devices.take[:, k] * eta_take, above - idle).clip(LEAST)
        here, off = value(worth, idle), idle - planned
        given = (value(worth, idle - down) - here) / down - self.hold * (off - 0.5 * down)
        taken = (here - value(worth, idle + up)) / up - self.hold * (off + 0.5 * up)
        return Margin(given, taken, down, up)

    def _worth(self, seen: Measured, tau: float, persistence: float) -> Function:
        """Value of energy tau before the end of the period; the rest is partly as it is now, partly as foreseen."""
        devices, ahead, k, w = self.devices, self._now, self.period, persistence
        if tau <= 0.0:
            return self._after
        surprise = np.append(w * (seen.give - devices.source_give[:, k]), 0.0)[self._sources]
        power = w * (seen.fixed_p - devices.fixed_p[:, k])
        rest = ahead.fixed[:, k] + power[devices.storage_home], ahead.give[:, :, k] + surprise
        return before(rest_of_step(ahead, k, tau, *rest), 0, 1, self._after)


def _alike(worth: Function, energy: Array) -> tuple[Array, Array]:
    """The range around energies (n,) [kWh] in which the slopes differ by less than ``CHANGE``."""
    row, last = np.arange(len(energy)), worth.segments - 1
    used = np.arange(worth.slopes.shape[1]) <= last[:, None]
    left, right = (worth.slopes[row, segment_of(worth, energy + shift)] for shift in (-LEAST, LEAST))
    first = (used & (worth.slopes < left[:, None] - CHANGE)).sum(axis=1)
    after = (used & (worth.slopes <= right[:, None] + CHANGE)).sum(axis=1)
    return worth.ends[row, first], worth.ends[row, after]
