"""What homes expect: the value of stored energy from their forecasts.

Homes with several stores value each of them while the others do what they would do without any coordination.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from admmflex.assets.flow import Flow
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.stored_value import Function, Meter, Outlook, at_end, before, near, outlook, rest_of_step
from admmflex.response.choose import populate


class Foresight:
    """Homes of a rank, through the periods of a horizon.

    Args:
        devices, homes: in the same order.
        even: [EUR/kWh per kW] as in ``stored_value``.
        lookahead_h: [h] how far the forecast is used; steps are of equal length.
    """

    def __init__(
        self, devices: Devices, homes: Sequence[Prosumer], horizon: Horizon, even: float, lookahead_h: float
    ) -> None:
        self.steps, self.lookahead = horizon.steps, max(1, round(lookahead_h / float(horizon.dt_h[0])))
        alone = expected(devices, homes, [[asset.flow(horizon) for asset in one.assets] for one in homes], even)
        self.ahead = alone._replace(fixed=alone.fixed + _others(devices, homes, horizon))
        self._after, self.period = at_end(self.ahead, self.steps), -1

    def begin(self, period: int) -> None:
        """Go on to a period: the value of what is stored at its end."""
        self.period = period
        last = min(period + self.lookahead, self.steps)
        self._after = before(self.ahead, period + 1, last, at_end(self.ahead, last))

    def around(self, energy: Array, tau: float, segments: int) -> tuple[Array, Array]:
        """Ends (C, N + 1), slopes (C, N) of the value of energy around ``energy``, tau before the end of the period."""
        return near(self._worth(tau), energy, segments)

    def _worth(self, tau: float) -> Function:
        """The rest of the period is one more step."""
        if tau <= 0.0:
            return self._after
        ahead, k = self.ahead, self.period
        rest = rest_of_step(ahead, k, tau, ahead.fixed[:, k], ahead.give[:, :, k])
        return before(rest, 0, 1, self._after)


def expected(devices: Devices, homes: Sequence[Prosumer], flows: Sequence[Sequence[Flow]], even: float) -> Outlook:
    """Of the stores of homes, the others in their homes at rest.

    Args:
        devices, homes, flows: in the same order; ``flows`` of the assets of each home.
        even: [EUR/kWh per kW] as in ``stored_value``.
    """
    first = np.cumsum(devices.assets) - devices.assets
    meters = [
        Meter(one.import_price, one.export_price, one.import_limit_kw, one.export_limit_kw, even) for one in homes
    ]
    pairs = zip(devices.storage_home.tolist(), devices.storage_asset.tolist(), strict=True)
    return outlook(devices.dt, [(meters[home], flows[home], asset - int(first[home])) for home, asset in pairs])


def _others(devices: Devices, homes: Sequence[Prosumer], horizon: Horizon) -> Array:
    """(C, K) [kW] what the other storages of each storage's home do when nobody coordinates."""
    several = np.flatnonzero(np.bincount(devices.storage_home, minlength=len(homes)) > 1)
    own = np.zeros((int(devices.assets.sum()), horizon.steps))
    begin = np.cumsum(devices.assets) - devices.assets
    for i, plans in zip(several.tolist(), _alone([homes[i] for i in several.tolist()], horizon), strict=True):
        own[begin[i] : begin[i] + len(plans)] = plans
    moved, total = own[devices.storage_asset], np.zeros((len(homes), horizon.steps))
    np.add.at(total, devices.storage_home, moved)
    return np.asarray(total[devices.storage_home] - moved)


def _alone(homes: Sequence[Prosumer], horizon: Horizon) -> list[list[Array]]:
    """What the assets of each home do [kW] when nobody coordinates."""
    if not homes:
        return []
    population = populate(list(homes), horizon, {one.bus: 0 for one in homes})
    population.answer(np.zeros((2, 1, horizon.steps)), np.zeros_like(population.y), 1e-4)
    return [[plan.p for plan in plans] for plans in population.plans(population.state())]
