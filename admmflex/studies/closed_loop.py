"""A day as it happens: charts control homes whose loads and sun differ from the forecast, checked by AC power flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from admmflex.comm import Comm, SerialComm
from admmflex.coordination.charts import ChartControl, ChartSettings, Control
from admmflex.data.reality import Deviations, Reality, realise
from admmflex.data.study import Study
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.day import Day, Homes, Record, Step
from admmflex.studies.plant import Done, Plant

__all__ = ["Day", "simulate"]


def simulate(
    study: Study,
    comm: Comm | None = None,
    settings: ChartSettings | None = None,
    *,
    control: ChartControl | None = None,
    seed: int = 0,
    deviations: Deviations | None = None,
    reality: Reality | None = None,
    periods: range | None = None,
    observe: Callable[[dict[str, Any]], None] | None = None,
    watch: Callable[[int, Control, Done], None] | None = None,
) -> Day:
    """Control a horizon by charts.

    Args:
        study: its profiles are the forecast; steps of equal length are market periods.
        control: instead of one that is made from the settings.
        seed, deviations: of what happens instead.
        reality: what happens to the prosumers in the order of the study, where it is not to be drawn.
        periods: steps of the horizon to go through, from the energies at its start; all of them by default.
        observe: told after every period.
        watch: shown every control step: its number, what was chosen and what was done.
    """
    control = control or ChartControl(study, comm or SerialComm(), settings)
    dt_h = control.settings.control_h
    per_step = round(float(study.horizon.dt_h[0]) / dt_h)
    everybody = Devices.of([one for one in study.prosumers if isinstance(one, Prosumer)], study.horizon)
    happens = reality or realise(everybody, per_step, seed, deviations)
    plant = Plant(control.devices, happens.of(everybody, control.own), dt_h)
    record = Record(_homes(control), dt_h, study.horizon.steps * per_step)
    for step in range(study.horizon.steps) if periods is None else periods:
        control.begin(step)
        for s in range(per_step):
            t = step * per_step + s
            seen = plant.measured(t)
            chosen = control.step(seen, (per_step - 1 - s) * dt_h)
            done = plant.follow(t, step, seen, chosen.actions)
            record.add(t, step, _told(chosen, dt_h), done)
            record.meter(t, chosen.actions, seen, plant.measured(t + 1))
            if watch is not None:
                watch(t, chosen, done)
        told = record.check(slice(step * per_step, (step + 1) * per_step))
        if observe is not None:
            observe({"iteration": step + 1} | told)
    return record.day


def _homes(control: ChartControl) -> Homes:
    tariff = control.import_price, control.export_price
    names = tuple(control.study.prosumers[i].name for i in control.own)
    return Homes(control.study, control.comm, control.devices, names, control.bus, *tariff)


def _told(chosen: Control, dt_h: float) -> Step:
    seconds, beyond = (chosen.chart_s, chosen.central_s), float(chosen.actions.beyond.max(initial=0.0))
    return Step(chosen.price / dt_h, chosen.status, seconds, beyond)
