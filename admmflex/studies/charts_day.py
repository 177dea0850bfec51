"""``method: charts``: a horizon controlled by cost charts, as the outcome of a coordination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from admmflex.assets import Asset, FixedLoad, Pv
from admmflex.comm import Comm
from admmflex.coordination.charts import ChartControl, ChartSettings
from admmflex.coordination.schemes import Observe, Outcome, gathered
from admmflex.data.reality import Deviations, Reality, realise
from admmflex.data.spec import ChartsSpec
from admmflex.data.study import Study
from admmflex.errors import Fault, require
from admmflex.horizon import Array
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.chart_record import ChartRecord
from admmflex.studies.closed_loop import simulate
from admmflex.studies.day import Day

KEPT_PU, KEPT_LOADING = 1e-3, 1e-2  # excess in a single control step up to which limits count as kept


def chart_settings(spec: ChartsSpec) -> ChartSettings:
    """The settings that a scenario asks for."""
    return ChartSettings(
        control_h=spec.control_seconds / 3600,
        segments=spec.segments,
        future=spec.future,
        even=spec.even,
        loss_price=spec.loss_price,
    )


def by_charts(study: Study, comm: Comm, observe: Observe) -> Outcome:
    """Control the horizon and average what happened over its steps.

    Raises:
        InputError: a grid with meshes, steps of different lengths, control steps that do not divide them, prosumers
            that are written in cvxpy.
    """
    require(faults(study))
    spec = study.settings.charts
    deviations = Deviations(**{name: float(value) for name, value in spec.deviations.model_dump().items()})
    history: list[dict[str, Any]] = []

    def told(record: dict[str, Any]) -> None:
        history.append(record)
        observe(record)

    settings = chart_settings(spec)
    control = ChartControl(study, comm, settings)
    per_step = round(float(study.horizon.dt_h[0]) / settings.control_h)
    reality = realise(Devices.of(_prosumers(study), study.horizon), per_step, study.seed, deviations)
    kept = ChartRecord(control, per_step)
    day = simulate(study, control=control, reality=reality, observe=told, watch=kept.watch)
    return replace(_outcome(study, control, day, reality.means(per_step), history), variables=kept.variables())


def _outcome(study: Study, control: ChartControl, day: Day, means: Reality, history: list[dict[str, Any]]) -> Outcome:
    comm, steps = control.comm, study.horizon.steps

    def mean(x: Array) -> Array:
        return np.asarray(x.reshape(*x.shape[:-1], steps, x.shape[-1] // steps).mean(axis=-1))

    happened = _happened(study, means)
    homes = [happened.prosumers[i] for i in control.own]
    assets = _assets([one for one in homes if isinstance(one, Prosumer)], study, control, day, mean)
    cost = float(comm.sum(np.array([day.cost.sum()]))[0])
    plan = gathered(mean(day.powers), assets, control.devices.assets.tolist(), cost, control.ordered, comm)
    worst = day.excess.max(axis=1)
    unsettled = day.powers.shape[2] - day.statuses.get("optimal", 0) if comm.rank == 0 else 0
    unsettled = int(comm.broadcast(np.array([float(unsettled)]))[0])
    message = None
    if worst[0] > KEPT_PU or worst[1] > KEPT_LOADING:
        message = f"a control step exceeds the limits by {worst[0]:.2g} pu and {100 * worst[1]:.2g} %"
    chart_s, central_s = np.median(day.seconds, axis=1).tolist()
    told = {
        "steps": day.powers.shape[2],
        "seconds": 3600.0 * day.dt_h,
        "unsettled": unsettled,
        "voltage_excess_pu": float(worst[0]),
        "loading_excess": float(worst[1]),
        "chart_ms": 1e3 * chart_s,
        "central_ms": 1e3 * central_s,
        "losses_kwh": float(day.loss_kw.sum() * day.dt_h),
    }
    return Outcome(
        "not_converged" if message else "optimal",
        plan,
        None,
        comm.broadcast(mean(day.price)),
        None,
        message,
        day.powers.shape[2],
        history,
        {"control": told},
        happened,
    )


def _happened(study: Study, means: Reality) -> Study:
    """The study with the loads and the sun that were."""
    homes = _prosumers(study)
    devices = Devices.of(homes, study.horizon)
    give = {int(asset): means.give[k] for k, asset in enumerate(devices.source_asset)}
    extra = means.fixed_p - devices.fixed_p, means.fixed_q - devices.fixed_q
    first, found = 0, []
    for i, home in enumerate(homes):
        carries = next((j for j, one in enumerate(home.assets) if isinstance(one, FixedLoad)), -1)
        assets = [
            _as_it_was(asset, give.get(first + j), (extra[0][i], extra[1][i]) if j == carries else None)
            for j, asset in enumerate(home.assets)
        ]
        found.append(replace(home, assets=tuple(assets)))
        first += len(assets)
    return replace(study, prosumers=tuple(found))


def _as_it_was(asset: Asset, give: Array | None, extra: tuple[Array, Array] | None) -> Asset:
    if isinstance(asset, FixedLoad) and extra is not None:
        return replace(asset, p_kw=asset.p_kw - extra[0], q_kvar=asset.q_kvar - extra[1])
    if isinstance(asset, Pv) and give is not None and asset.curtailable:
        return replace(asset, avail_kw=give)
    return asset


def _assets(
    homes: list[Prosumer], study: Study, control: ChartControl, day: Day, mean: Callable[[Array], Array]
) -> Array:
    """(3, A, K) what every asset did."""
    devices = control.devices
    flows = [asset.flow(study.horizon) for one in homes for asset in one.assets]
    found = np.full((3, len(flows), study.horizon.steps), np.nan)
    for j, flow in enumerate(flows):
        found[0, j], found[1, j] = flow.fixed_p, flow.fixed_q
    found[:2, devices.source_asset] += mean(day.source)
    found[:2, devices.storage_asset] += mean(day.storage)
    every = day.energy.shape[1] // study.horizon.steps
    found[2, devices.storage_asset] = day.energy[:, every - 1 :: every]
    return found


def _prosumers(study: Study) -> list[Prosumer]:
    return [one for one in study.prosumers if isinstance(one, Prosumer)]


def faults(study: Study) -> list[Fault]:
    """Why a study cannot be controlled by charts."""
    found = []
    dt, seconds = study.horizon.dt_h * 3600.0, study.settings.charts.control_seconds
    if not study.network.is_tree:
        found.append(Fault("network", "has meshes", "a radial grid", "use method: admm, or open the loops"))
    if np.ptp(dt) > 1e-6:
        value = f"steps of {dt.min():g} to {dt.max():g} s"
        found.append(Fault("horizon", value, "steps of equal length", "use one step_minutes"))
    elif abs(dt[0] / seconds - round(dt[0] / seconds)) > 1e-9 or dt[0] < seconds:
        value, remedy = f"control_seconds = {seconds:g}", f"choose a divisor of {dt[0]:g}"
        found.append(Fault("coordination.charts", value, f"a divisor of the step, {dt[0]:g} s", remedy))
    others = [one.name for one in study.prosumers if not isinstance(one, Prosumer)]
    if others:
        remedy = "use method: admm for them"
        found.append(Fault("prosumers", f"{', '.join(others[:3])} written in cvxpy", "devices", remedy))
    return found
