"""What homes expect: the value of stored energy from a forecast that learns from what is measured.

A forecast is the profile, corrected by how far the measurements of late were off: loads by the difference, sources by
the factor, both forgotten with the time ahead. Homes with several stores value each of them while the others do what
they would do without any coordination.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from admmflex.horizon import Array, Horizon
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.groups import Measured
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.stored_value import Function, Meter, Outlook, at_end, before, near, outlook, rest_of_step
from admmflex.response.choose import populate

LARGEST = 2.0  # factor by which sources may be corrected
DUSK = 0.02  # of the largest forecast of a source: below that its factor says nothing


class Foresight:
    """Homes of a rank, through the periods of a horizon.

    Args:
        devices, homes: in the same order.
        even: [EUR/kWh per kW] as in ``stored_value``.
        memory_h: [h] how far ahead a deviation from the forecast is expected to last; 0 trusts the forecast.
    """

    def __init__(
        self,
        devices: Devices,
        homes: Sequence[Prosumer],
        horizon: Horizon,
        *,
        even: float,
        memory_h: float,
    ) -> None:
        self.devices, self.horizon, self.memory_h = devices, horizon, memory_h
        self.ahead = _outlook(devices, homes, horizon, even)
        self._end = at_end(self.ahead)
        self._after, self.period = self._end, -1
        self._sources = devices.sources_of_stores(self.ahead.give.shape[1])
        self._power, self._factor = np.zeros(devices.homes), np.ones(len(devices.sources))
        self._begin = np.concatenate([[0.0], np.cumsum(horizon.dt_h)[:-1]])

    def learn(self, measured: Measured, dt_h: float) -> None:
        """Take a measurement into the corrections, which remember one period."""
        devices, k = self.devices, self.period
        weight = 1.0 - np.exp(-dt_h / float(devices.dt[k]))
        error = measured.fixed_p - devices.fixed_p[:, k]
        self._power += weight * np.where(np.isfinite(error), error - self._power, 0.0)
        foreseen = devices.source_give[:, k]
        bright = foreseen > DUSK * devices.source_give.max(axis=1, initial=0.0)
        factor = np.divide(measured.give, foreseen, out=np.ones_like(foreseen), where=bright)
        known = bright & np.isfinite(factor)
        self._factor += weight * np.where(known, np.clip(factor, 0.0, LARGEST) - self._factor, 0.0)

    def begin(self, period: int) -> None:
        """Go on to a period: the value of what is stored at its end."""
        self.period = period
        ahead, later = self.ahead, slice(period + 1, None)
        if self.memory_h > 0.0:
            hours = self._begin[later] + 0.5 * self.horizon.dt_h[later] - self._begin[period]
            fade = np.exp(-hours / self.memory_h)
            fixed, give = ahead.fixed.copy(), ahead.give.copy()
            fixed[:, later] += self._power[self.devices.storage_home, None] * fade
            give[:, :, later] *= 1.0 + (self._factors() - 1.0)[:, :, None] * fade
            ahead = ahead._replace(fixed=fixed, give=give)
        self._after = before(ahead, period + 1, self.horizon.steps, self._end)

    def around(self, energy: Array, tau: float, segments: int) -> tuple[Array, Array]:
        """Ends (C, N + 1), slopes (C, N) of the value of energy around ``energy``, tau before the end of the period."""
        return near(self._worth(tau), energy, segments)

    def _worth(self, tau: float) -> Function:
        """The rest of the period is one more step."""
        ahead, k = self.ahead, self.period
        if tau <= 0.0:
            return self._after
        learns = float(self.memory_h > 0.0)
        fixed = ahead.fixed[:, k] + learns * self._power[self.devices.storage_home]
        give = ahead.give[:, :, k] * (1.0 + learns * (self._factors() - 1.0))
        return before(rest_of_step(ahead, k, tau, fixed, give), 0, 1, self._after)

    def _factors(self) -> Array:
        """(C, S) corrections of ``ahead.give``."""
        return np.asarray(np.append(self._factor, 1.0)[self._sources])


def _outlook(devices: Devices, homes: Sequence[Prosumer], horizon: Horizon, even: float) -> Outlook:
    first = np.cumsum(devices.assets) - devices.assets
    flows = [[asset.flow(horizon) for asset in one.assets] for one in homes]
    several = np.flatnonzero(np.bincount(devices.storage_home, minlength=len(homes)) > 1)
    planned = dict(zip(several.tolist(), _alone([homes[int(i)] for i in several], horizon), strict=True))
    rows = []
    for home, asset in zip(devices.storage_home.tolist(), devices.storage_asset.tolist(), strict=True):
        one, which = homes[home], asset - int(first[home])
        meter = Meter(one.import_price, one.export_price, one.import_limit_kw, one.export_limit_kw, even)
        others = [p for j, p in enumerate(planned.get(home, [])) if j != which and flows[home][j].store is not None]
        rows.append((meter, flows[home], which, np.sum([np.zeros(horizon.steps), *others], axis=0)))
    return outlook(devices.dt, rows)


def _alone(homes: Sequence[Prosumer], horizon: Horizon) -> list[list[Array]]:
    """What the assets of each home do [kW] when nobody coordinates."""
    if not homes:
        return []
    population = populate(list(homes), horizon, {one.bus: 0 for one in homes})
    population.answer(np.zeros((2, 1, horizon.steps)), np.zeros_like(population.y), 1e-4)
    return [[plan.p for plan in plans] for plans in population.plans(population.state())]
