"""A day as it happens: charts control homes whose loads and sun differ from the forecast, checked by AC power flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import grid
from admmflex.comm import Comm, SerialComm
from admmflex.coordination.charts import ChartControl, ChartSettings, Control
from admmflex.data.reality import Deviations, Reality, realise
from admmflex.data.study import Study
from admmflex.dso import AcCheck
from admmflex.horizon import Array
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.plant import Done, Plant


@dataclass(frozen=True, eq=False)
class Day:
    """What happened in T control steps to the homes and devices of a rank, in the order of ``ChartControl``.

    Args:
        dt_h: [h] length of a control step.
        powers: (2, n, T) at the connections [kW, kvar].
        source, storage: (2, S, T), (2, C, T) [kW, kvar].
        energy: (C, T) [kWh] at the end of each step.
        cost: (n, T) [EUR] tariff, wear, shed load and reactive energy.
        v_pu: (2, T) least and largest voltage anywhere.
        excess: (2, T) over the limits [pu, fraction of the rating], in the AC power flow of what was done.
        loss_kw: (T,).
        seconds: (2, T) to draw charts and act on set-points, and of the central step.
        price: (2, n_bus, T) [EUR/kWh, EUR/kvarh], on rank 0.
        beyond: (T,) [kVA] largest distance of a set-point from its chart.
        statuses: how many central steps ended how.
    """

    dt_h: float
    powers: Array
    source: Array
    storage: Array
    energy: Array
    cost: Array
    v_pu: Array
    excess: Array
    loss_kw: Array
    seconds: Array
    price: Array
    beyond: Array
    statuses: dict[str, int] = field(default_factory=dict)


def simulate(
    study: Study,
    comm: Comm | None = None,
    settings: ChartSettings | None = None,
    *,
    control: ChartControl | None = None,
    seed: int = 0,
    deviations: Deviations | None = None,
    reality: Reality | None = None,
    expected_price: Array | None = None,
    observe: Callable[[dict[str, Any]], None] | None = None,
) -> Day:
    """Control a horizon by charts.

    Args:
        study: its profiles are the forecast; steps of equal length are market periods.
        control: instead of one that is made from the settings and the expected prices.
        seed, deviations: of what happens instead.
        reality: what happens to the prosumers in the order of the study, where it is not to be drawn.
        expected_price: see ``ChartControl``.
        observe: told after every period.
    """
    control = control or ChartControl(study, comm or SerialComm(), settings, expected_price)
    dt_h = control.settings.control_h
    per_step = round(float(study.horizon.dt_h[0]) / dt_h)
    everybody = Devices.of([one for one in study.prosumers if isinstance(one, Prosumer)], study.horizon)
    happens = reality or realise(everybody, per_step, seed, deviations)
    plant = Plant(control.devices, happens.of(everybody, control.own), dt_h)
    record = _Record(control, study.horizon.steps * per_step)
    for step in range(study.horizon.steps):
        control.begin(step)
        for s in range(per_step):
            t = step * per_step + s
            seen = plant.measured(t)
            chosen = control.step(seen, (per_step - 1 - s) * dt_h)
            record.add(t, step, chosen, plant.follow(t, step, seen, chosen.actions))
        told = record.check(slice(step * per_step, (step + 1) * per_step))
        if observe is not None:
            observe({"iteration": step + 1} | told)
    return record.day


class _Record:
    """The day as it is written."""

    def __init__(self, control: ChartControl, steps: int) -> None:
        devices, buses = control.devices, control.study.network.n
        n, sources, storages = devices.homes, len(devices.sources), len(devices.stores)

        def room(*size: int) -> Array:
            return np.zeros((*size, steps))

        self.control = control
        self.day = Day(
            dt_h=control.settings.control_h,
            powers=room(2, n),
            source=room(2, sources),
            storage=room(2, storages),
            energy=room(storages),
            cost=room(n),
            v_pu=room(2),
            excess=room(2),
            loss_kw=room(),
            seconds=room(2),
            price=room(2, buses),
            beyond=room(),
        )

    def add(self, t: int, step: int, chosen: Control, done: Done) -> None:
        """One control step."""
        day, p = self.day, done.powers[0]
        day.powers[:, :, t], day.source[:, :, t], day.storage[:, :, t] = done.powers, done.source, done.storage
        day.energy[:, t] = done.energy
        bought, sold = self.control.import_price[:, step], self.control.export_price[:, step]
        day.cost[:, t] = day.dt_h * np.where(p < 0.0, -bought * p, -sold * p) + done.wear
        day.seconds[:, t] = chosen.chart_s, chosen.central_s
        day.price[:, :, t] = chosen.price / day.dt_h
        day.statuses[chosen.status] = day.statuses.get(chosen.status, 0) + 1
        day.beyond[t] = chosen.actions.beyond.max(initial=0.0)

    def check(self, span: slice) -> dict[str, Any]:
        """The AC power flow of a period, and what to tell of it."""
        day, control, study = self.day, self.control, self.control.study
        injected = np.zeros((2, study.network.n, span.stop - span.start))
        for c in range(2):
            np.add.at(injected[c], control.bus, control.comm.stack(np.ascontiguousarray(day.powers[c, :, span])))
        flow = grid.power_flow(study.network, injected[0], injected[1])
        found = AcCheck.of(study.limits, flow)
        magnitude = np.abs(flow.v)
        day.v_pu[:, span] = magnitude.min(axis=0), magnitude.max(axis=0)
        day.excess[:, span] = found.voltage_pu, found.loading
        day.loss_kw[span] = flow.loss_kw
        cost = control.comm.sum(np.array([day.cost[:, : span.stop].sum()]))[0]
        chart_s, central_s = day.seconds[:, span].mean(axis=1)
        return {
            "cost_eur": float(cost),
            "voltage_excess_pu": float(found.voltage_pu.max()),
            "loading_excess": float(found.loading.max()),
            "chart_ms": 1e3 * float(chart_s),
            "central_ms": 1e3 * float(central_s),
        }
