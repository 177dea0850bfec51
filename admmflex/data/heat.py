"""Heat pumps from the numbers of a scenario: of a building, or of a known profile."""

from __future__ import annotations

from datetime import datetime

import numpy as np

from admmflex.assets import HeatPump, cop
from admmflex.data.model_spec import AdoptedHeatPump, HeatModel
from admmflex.horizon import Array, Horizon

SPARE_K = 0.05
"""How far below the top of its band a room stays when the windows are open."""


def of_building(
    name: str,
    spec: AdoptedHeatPump,
    *,
    heat_kw: float,
    time_constant_h: float,
    start: float,
    shift_h: float,
    outdoor_c: Array,
    horizon: Horizon,
) -> HeatPump:
    """A heat pump that holds the rooms of a building within their band.

    UA = heat_kw / (t_min - design_c),   C = time_constant UA,   p_max = oversize heat_kw / COP(design_c)

    Where sun and people alone would lift the room above its band the windows are open: the gains are lowered to what
    keeps it there. On a day that is warmer than the heating limit the room need not end as warm as it starts.

    Args:
        start: place of the temperature at the beginning within the band, 0 to 1.
        shift_h: by how much the setback is earlier or later.
        outdoor_c: ``(K,)`` [degC].
    """
    loss = heat_kw / (spec.t_min_c - spec.design_c)
    low = spec.t_min_c - spec.setback_k * _setback(spec, shift_h, horizon)
    t_start = float(low[0]) + start * (spec.t_max_c - float(low[0]))
    warm = float(horizon.dt_h @ outdoor_c) / float(horizon.dt_h.sum()) >= spec.heating_limit_c
    at_design = cop(np.array([spec.design_c]), source=spec.source, sink=spec.sink)[0]
    return HeatPump(
        name=name,
        p_max_kw=spec.oversize * heat_kw / float(at_design),
        capacity_kwh_per_k=time_constant_h * loss,
        loss_kw_per_k=loss,
        outdoor_c=outdoor_c,
        cop=cop(outdoor_c, source=spec.source, sink=spec.sink),
        gains_kw=_gains(spec, t_start, loss, time_constant_h, outdoor_c, horizon),
        t_min_c=low,
        t_max_c=np.full(horizon.steps, spec.t_max_c),
        t_start_c=t_start,
        t_end_min_c=float(low[-1]) if warm else None,
        relax=spec.relax,
        shortfall_price=spec.shortfall_price,
    )


def _setback(spec: AdoptedHeatPump, shift_h: float, horizon: Horizon) -> Array:
    """1 in the steps that end within the setback, by the wall clock, otherwise 0; ``(K,)``."""
    begin, end = (int(clock[:2]) + int(clock[3:]) / 60.0 + shift_h for clock in (spec.setback_from, spec.setback_to))
    seconds = horizon.times_utc.astype(np.int64) + 3600.0 * horizon.dt_h
    local = [datetime.fromtimestamp(second, tz=horizon.start.tzinfo) for second in seconds]
    hour = np.array([time.hour + time.minute / 60.0 for time in local])
    inside: Array = ((hour - begin) % 24.0 < (end - begin) % 24.0).astype(float)
    return inside


def _gains(
    spec: AdoptedHeatPump, t_start: float, loss: float, time_constant_h: float, outdoor_c: Array, horizon: Horizon
) -> Array:
    """Gains ``(K,)`` [kW], lowered where the room without heating would leave its band at the top."""
    gains, room, top = np.full(horizon.steps, spec.gains_kw), t_start, spec.t_max_c - SPARE_K
    for t, dt in enumerate(horizon.dt_h):
        stay = float(np.exp(-dt / time_constant_h))
        free = stay * room + (1.0 - stay) * (outdoor_c[t] + gains[t] / loss)
        room = min(free, max(top, stay * room))
        gains[t] -= loss * (free - room) / (1.0 - stay)
    return gains


def of_profile(
    name: str, rated_kw: float, use_kw: Array, outdoor_c: Array, model: HeatModel, *, ground: bool
) -> HeatPump:
    """A heat pump whose consumption is known, with a store that lets it move.

    The heat of the profile, ``use_kw`` times the COP, is drawn from a store that full power fills in ``store_h`` hours.
    It is half full at the beginning; its losses count from its lower end, since those at that temperature are in the
    profile.

    Args:
        rated_kw: electric power limit [kW].
        use_kw: ``(K,)`` consumption of the profile [kW].
        outdoor_c: ``(K,)`` [degC].
    """
    performance = cop(outdoor_c, source="ground" if ground else "air", sink=model.sink)
    capacity = model.store_h * rated_kw * float(performance.mean()) / model.store_span_k
    low = np.full(len(use_kw), 35.0)
    return HeatPump(
        name=name,
        p_max_kw=max(rated_kw, float(use_kw.max())),
        capacity_kwh_per_k=capacity,
        loss_kw_per_k=capacity / model.loss_time_h,
        outdoor_c=low,
        cop=performance,
        gains_kw=-use_kw * performance,
        t_min_c=low,
        t_max_c=low + model.store_span_k,
        t_start_c=35.0 + 0.5 * model.store_span_k,
        relax=model.relax,
        shortfall_price=model.shortfall_price,
    )
