"""A day of control by charts, with what the charts looked like at the beginning of every market period."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

import grid
from admmflex.comm import SerialComm
from admmflex.coordination.charts import ChartControl, ChartSettings, Control
from admmflex.data.reality import realise
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.charting import HomeCharts
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.closed_loop import simulate
from admmflex.studies.plant import Done


@dataclass(frozen=True, eq=False)
class ChartDay:
    """T control steps of n homes.

    Args:
        control: homes, devices and settings.
        start: number of the first control step in the horizon.
        every: control steps in a market period.
        charts: at the first control step of every period.
        chosen, done: (2, n, T) [kW, kvar] at the connections: what the grid chose, what the homes did.
        give, source: (S, T) [kW] what sources could give, what they gave.
        energy: (C, T) [kWh] at the beginning of the control step.
        price: (2, n_bus, T) [EUR/kWh, EUR/kvarh] worth of one more kW and kvar.
        v_pu: (n_bus, T) in the AC power flow of what was done.
    """

    control: ChartControl
    start: int
    every: int
    charts: list[HomeCharts]
    chosen: Array
    done: Array
    give: Array
    source: Array
    energy: Array
    price: Array
    v_pu: Array

    def moment(self, t: int) -> datetime:
        """Local time at the beginning of a control step of the horizon."""
        start = self.control.study.horizon.start
        passed = timedelta(hours=t * self.control.settings.control_h)
        return (start.astimezone(UTC) + passed).astimezone(start.tzinfo)

    def hour(self, t: int) -> float:
        """[h] from local midnight of the first day to the beginning of a control step of the horizon."""
        start = self.control.study.horizon.start
        return round(start.hour + start.minute / 60 + t * self.control.settings.control_h, 4)


def watch(study: Study, settings: ChartSettings, *, seed: int = 0, periods: range | None = None) -> ChartDay:
    """Control homes by charts and keep the charts.

    Args:
        study: its profiles are the forecast.
        seed: of what happens instead.
        periods: steps of the horizon to go through, from the energies at its start; all of them by default.
    """
    control = ChartControl(study, SerialComm(), settings)
    dt_h = settings.control_h
    every = round(float(study.horizon.dt_h[0]) / dt_h)
    everybody = Devices.of([one for one in study.prosumers if isinstance(one, Prosumer)], study.horizon)
    reality = realise(everybody, every, seed)
    happens = reality.of(everybody, control.own)
    charts, rows = list[HomeCharts](), list[tuple[Array, ...]]()
    span = range(study.horizon.steps) if periods is None else periods

    def keep(t: int, found: Control, done: Done) -> None:
        if t % every == 0:
            charts.append(found.drawn)
        energy = found.drawn.measured.energy
        rows.append((found.powers, done.powers, happens.give[:, t], done.source[0], energy, found.price))

    simulate(study, control=control, reality=reality, periods=span, watch=keep)
    chosen, powers, give, source, energy, price = (np.stack(row, axis=-1) for row in zip(*rows, strict=True))
    injected = np.zeros((2, study.network.n, powers.shape[-1]))
    for c in range(2):
        np.add.at(injected[c], control.bus, powers[c])
    v_pu = np.abs(grid.power_flow(study.network, *injected).v)
    return ChartDay(
        control, span.start * every, every, charts, chosen, powers, give, source, energy, price / dt_h, v_pu
    )
