"""Cost charts: homes say what every power at their connection costs, the grid chooses, every few seconds.

Every market period the value of stored energy is worked out from the forecast; every control step homes draw charts
from what they measure, one central step finds the powers that cost least and that the grid can carry, and every home
shares its powers out among its devices. Ranks own homes; rank 0 solves the central step.

Source: sections 3.1-3.6 of the formulation, [M].
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.schemes import Sorted
from admmflex.coordination.set_points import CentralStep, SetPoints, StepSettings
from admmflex.data.study import Study
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.chart import Charts
from admmflex.prosumers.charting import Actions, Charting, HomeCharts, Measured, Rest
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.stored_value import Meter, Outlook, Values, outlook, stored_values
from mpo import PiecewiseLinear

Future = Literal["forecast", "none"]


@dataclass(frozen=True)
class ChartSettings:
    """How charts are drawn.

    Args:
        control_h: [h] length of a control step.
        segments: N, of the value of stored energy.
        future: where the value comes from; "none" is the future-agnostic chart: stored energy is worth nothing.
        persistence: weight of the measurement against the forecast for the rest of the period, in [0, 1].
        step: of the central step.
    """

    control_h: float = 10 / 3600
    segments: int = 8
    future: Future = "forecast"
    persistence: float = 0.5
    step: StepSettings = field(default_factory=StepSettings)


@dataclass(frozen=True, eq=False)
class Control:
    """One control step: what the grid chose, and what the devices of this rank's homes shall do."""

    set_points: SetPoints | None
    powers: Array
    price: Array
    cost: float
    status: str
    actions: Actions
    chart_s: float
    central_s: float
    drawn: HomeCharts


class ChartControl:
    """Homes and the central step, through the periods of a horizon.

    Args:
        study: a radial grid; steps of equal length are market periods.
        comm: ranks that own homes.
    """

    def __init__(self, study: Study, comm: Comm, settings: ChartSettings | None = None) -> None:
        self.settings = settings or ChartSettings()
        self.study, self.comm, self.ordered = study, comm, Sorted.of(study, comm)
        self.homes: list[Prosumer] = [
            one for one in self.ordered.prosumers[self.ordered.own] if isinstance(one, Prosumer)
        ]
        self.devices = Devices.of(self.homes, study.horizon)
        self.import_price = np.stack([one.import_price for one in self.homes])
        self.export_price = np.stack([one.export_price for one in self.homes])
        self.bus: IntArray = self.ordered.buses[self.ordered.bus]
        self.charting = Charting(
            self.devices,
            self.import_price,
            self.export_price,
            np.array([one.import_limit_kw for one in self.homes]),
            np.array([one.export_limit_kw for one in self.homes]),
            segments=self.settings.segments,
            dt_h=self.settings.control_h,
            period_h=float(study.horizon.dt_h[0]),
        )
        dear = float(np.mean([one.import_price.mean() for one in study.prosumers]))
        price_loss = dear * self.settings.control_h
        self.central = (
            CentralStep(study.network, study.limits, price_loss, self.settings.step) if comm.rank == 0 else None
        )
        self.outlook = self._outlook()
        self.period = -1
        self._values = np.zeros((len(self.devices.stores), self.settings.segments + 1)), np.zeros((0, 0))

    def _outlook(self) -> Outlook:
        """What the stores of this rank expect."""
        devices, rows = self.devices, []
        first = np.cumsum(devices.assets) - devices.assets
        flows = [[asset.flow(self.study.horizon) for asset in one.assets] for one in self.homes]
        nothing = np.zeros(self.study.horizon.steps)
        for home, asset in zip(devices.storage_home.tolist(), devices.storage_asset.tolist(), strict=True):
            one = self.homes[home]
            meter = Meter(one.import_price, one.export_price, one.import_limit_kw, one.export_limit_kw)
            rows.append((meter, flows[home], asset - int(first[home]), nothing))
        return outlook(devices.dt, rows)

    def begin(self, period: int) -> None:
        """Go on to a period: the value of what is stored at its end, and the devices that are there."""
        self.period = period
        self.charting.begin(period)
        if self.settings.future == "forecast":
            self._values = fitted(stored_values(self.outlook, period + 1), self.settings.segments)
        else:
            self._values = worthless(self.devices, self.settings.segments)

    def step(self, measured: Measured, tau: float) -> Control:
        """One control step, tau [h] before the end of the period without it."""
        started = time.perf_counter()
        drawn = self.charting.charts(measured, self._rest(measured, tau))
        pieces, sides = self._shared(drawn)
        drawn_s = time.perf_counter() - started
        powers, found = np.zeros((2, len(self.bus))), None
        if self.central is not None:
            found = self.central.solve(Charts.stacked(self.bus, pieces, sides))
            powers = np.stack([found.p, found.q])
        powers = self.comm.broadcast(powers)
        central_s = time.perf_counter() - started - drawn_s
        own = powers[:, self.ordered.own]
        actions = self.charting.actions(drawn, own[0], own[1])
        status = found.status if found else ""
        price = found.price if found else np.zeros((2, self.study.network.n))
        return Control(
            found, powers, price, found.cost if found else 0.0, status, actions,
            time.perf_counter() - started - central_s, central_s, drawn,
        )  # fmt: skip

    def _rest(self, measured: Measured, tau: float) -> Rest:
        """Forecast of the rest of the period: partly as it is now, partly as it was foreseen."""
        devices, k, w = self.devices, self.period, self.settings.persistence
        power = w * measured.fixed_p + (1.0 - w) * devices.fixed_p[:, k]
        free = np.array([one.give_cost == 0.0 for one in devices.sources], np.bool_)
        give = w * measured.give + (1.0 - w) * devices.source_give[:, k]
        np.add.at(power, devices.source_home[free], give[free])
        ends, slopes = self._values
        return Rest(tau, tau * power, self.import_price[:, k], self.export_price[:, k], ends, slopes)

    def _shared(self, drawn: HomeCharts) -> tuple[Array, Array]:
        """Charts of all ranks, as wide as the widest."""
        comm, parts = self.comm, []
        for rows in (drawn.pieces, drawn.sides):
            width = int(comm.largest(np.array([float(rows.shape[1])]))[0])
            spare = np.repeat(rows[:, :1], width - rows.shape[1], axis=1)
            wide = np.concatenate([rows, spare], axis=1)
            parts.append(comm.stack(wide.reshape(len(wide), -1)).reshape(-1, width, 3))
        return parts[0], parts[1]


def fitted(values: Values, segments: int) -> tuple[Array, Array]:
    """Ends (C, N + 1) and slopes (C, N) of the best functions from below with N segments."""
    n = len(values.count)
    ends, slopes = np.zeros((n, segments + 1)), np.zeros((n, segments))
    for c in range(n):
        x = values.ends[c, : values.count[c] + 1]
        y = np.concatenate([[0.0], np.cumsum(values.slopes[c, : values.count[c]] * np.diff(x))])
        fit = PiecewiseLinear(x, y).fitted(segments)
        ends[c], slopes[c] = fit.ends, fit.slopes
    return ends, slopes


def worthless(devices: Devices, segments: int) -> tuple[Array, Array]:
    """Stored energy is worth nothing."""
    share = np.linspace(0.0, 1.0, segments + 1)
    ends = devices.low[:, None] + share * (devices.high - devices.low)[:, None]
    return ends, np.zeros((len(devices.stores), segments))
