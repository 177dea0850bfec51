"""Cost charts: homes say what every power at their connection costs, the grid chooses, every few seconds.

Every market period the value of stored energy at its end is worked out from the forecast. In every control step that is
carried back over the rest of the period, homes draw charts from what they measure, one central step finds the powers
that cost least and that the grid can carry, and every home shares its powers out among its devices. Ranks own homes;
rank 0 solves the central step.

The rest of the period is one more step of the recursion for the value of energy, exact for a home with one store; of
that value only the segments around the energy in store matter within a control step. The program in which the rest of
the period has variables of its own [M] (3)-(27) gives the same charts and is what an explicit solution is made of.

Source: sections 3.1-3.6 of the formulation, [M].
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.foresight import Foresight
from admmflex.coordination.schemes import Sorted
from admmflex.coordination.set_points import CentralStep, SetPoints, StepSettings
from admmflex.data.study import Study
from admmflex.errors import SolverError
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.chart import Charts
from admmflex.prosumers.charting import Actions, Charting, HomeCharts, Measured, Rest
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer

Future = Literal["forecast", "none"]
FIRM = 1e-3  # EUR/kWh by which injecting is unwelcome where a limit binds
LOSSES = 0.2  # of an injection at most: what losses alone make of their price


@dataclass(frozen=True)
class ChartSettings:
    """How charts are drawn.

    Args:
        control_h: [h] length of a control step.
        segments: of the value of stored energy around its present state.
        future: where the value comes from; "none" is the future-agnostic chart: stored energy is worth nothing.
        even: [EUR/kWh per kW] how much less a kWh earns, or more it costs, with the power at the connection: it decides
            between times that are nearly equal, so that homes do not all choose the same one.
        loss_price: [EUR/kWh] of the losses in the grid. Homes do not foresee it, so that with it they wait.
        lookahead_h: [h] how far the forecast is used.
        explicit: folder of explicit solutions of types of homes, from which charts are sliced; without it the program
            of every home is explored where it is.
        step: of the central step.
    """

    control_h: float = 10 / 3600
    segments: int = 3
    future: Future = "forecast"
    even: float = 2e-4
    loss_price: float = 0.0
    lookahead_h: float = 24.0
    explicit: str | None = None
    step: StepSettings = field(default_factory=StepSettings)


@dataclass(frozen=True, eq=False)
class Control:
    """One control step: what the grid chose, and what the devices of this rank's homes shall do."""

    set_points: SetPoints | None
    powers: Array
    price: Array
    status: str
    actions: Actions
    chart_s: float
    central_s: float
    drawn: HomeCharts


class ChartControl:
    """Homes and the central step, through the periods of a horizon.

    ``homes`` are those of this rank, sorted by bus; ``own`` are their positions in the study.

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
        self.own: IntArray = self.ordered.order[self.ordered.own]
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
            even=self.settings.even,
            names=[one.name for one in self.homes],
            rest=self.settings.explicit is not None,
            explicit=self.settings.explicit,
        )
        price_loss = self.settings.loss_price * self.settings.control_h
        self.central = (
            CentralStep(study.network, study.limits, price_loss, self.settings.step) if comm.rank == 0 else None
        )
        self.foresight = Foresight(
            self.devices, self.homes, study.horizon, self.settings.even, self.settings.lookahead_h
        )
        self.period = -1

    def begin(self, period: int) -> None:
        """Go on to a period: the value of what is stored at its end, and the devices that are there."""
        self.period = period
        self.charting.begin(period)
        self.foresight.begin(period)

    def step(self, measured: Measured, tau: float) -> Control:
        """One control step, tau [h] before the end of the period without it."""
        started = time.perf_counter()
        drawn = self.charting.charts(measured, self._rest(measured, tau))
        pieces, sides = self._shared(drawn)
        drawn_s = time.perf_counter() - started
        found, status = self._central(pieces, sides)
        neutral, free = np.zeros((2, len(self.bus))), np.zeros((3, self.study.network.n))
        usable = found is not None and found.status != "infeasible"
        powers = self.comm.broadcast(np.stack([found.p, found.q]) if found is not None and usable else neutral)
        told = self.comm.broadcast(np.vstack([found.price, found.full]) if found is not None and usable else free)
        price, full = told[:2], told[2] > 0.0
        central_s = time.perf_counter() - started - drawn_s
        own = powers[:, self.ordered.own]
        actions = self.charting.actions(drawn, own[0], own[1])
        unwelcome = (FIRM + LOSSES * self.settings.loss_price) * self.settings.control_h
        at = self.bus[self.ordered.own]
        actions = replace(actions, firm=full[at] | (price[0, at] < -unwelcome))
        return Control(
            found, powers, price, status, actions,
            time.perf_counter() - started - central_s, central_s, drawn,
        )  # fmt: skip

    def _central(self, pieces: Array, sides: Array) -> tuple[SetPoints | None, str]:
        """What the grid chooses, on rank 0; where it finds nothing, homes are asked to exchange little."""
        if self.central is None:
            return None, ""
        try:
            found = self.central.solve(Charts.stacked(self.bus, pieces, sides))
        except SolverError:
            return None, "failed"
        return found, found.status

    def _rest(self, measured: Measured, tau: float) -> Rest:
        """Tariff, and what energy is worth after the control step: the rest of the period is part of that."""
        devices, k, n = self.devices, self.period, self.settings.segments
        if self.settings.future == "none":
            ends, slopes = worthless(devices, n)
        else:
            ends, slopes = self.foresight.around(measured.energy, tau, n)
        nothing = np.zeros(devices.homes)
        return Rest(0.0, nothing, self.import_price[:, k], self.export_price[:, k], ends, slopes)

    def _shared(self, drawn: HomeCharts) -> tuple[Array, Array]:
        """Charts of all ranks, as wide as the widest."""
        comm, parts = self.comm, []
        for rows in (drawn.pieces, drawn.sides):
            width = int(comm.largest(np.array([float(rows.shape[1])]))[0])
            spare = np.repeat(rows[:, :1], width - rows.shape[1], axis=1)
            wide = np.concatenate([rows, spare], axis=1)
            parts.append(comm.stack(wide.reshape(len(wide), -1)).reshape(-1, width, 3))
        return parts[0], parts[1]


def worthless(devices: Devices, segments: int) -> tuple[Array, Array]:
    """Stored energy is worth nothing."""
    share = np.linspace(0.0, 1.0, segments + 1)
    ends = devices.low[:, None] + share * (devices.high - devices.low)[:, None]
    return ends, np.zeros((len(devices.stores), segments))
