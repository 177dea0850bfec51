"""Whether a plan keeps what the devices were promised, from their own data and the plan alone.

The powers of a plan are put into the equations of each device once more; nothing here comes from a response or from the
common form that all of them solve.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from admmflex.assets import Battery, ElectricVehicle, HeatPump
from admmflex.assets.flow import Asset
from admmflex.coordination.schemes import Agreed
from admmflex.data.study import Study
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.prosumer import Prosumer


@dataclass(frozen=True)
class Kept:
    """The worst breach of all devices, zero where everything is kept.

    Args:
        cars_kwh: energy missing on departure, above the capacity, or charged faster than the charger can while there.
        rooms_k: temperature outside the comfort band, or below what the end asks for.
        batteries_kwh: energy outside the band, or moved by another power than the plan says.
    """

    cars_kwh: float
    rooms_k: float
    batteries_kwh: float


def kept(study: Study, plan: Agreed) -> Kept:
    """The worst breaches of a plan."""
    worst = {ElectricVehicle: 0.0, HeatPump: 0.0, Battery: 0.0}
    for _, asset, p, energy in devices(study, plan):
        if isinstance(asset, ElectricVehicle):
            worst[ElectricVehicle] = max(worst[ElectricVehicle], car_breach(asset, p, study.horizon))
        elif isinstance(asset, HeatPump):
            worst[HeatPump] = max(worst[HeatPump], room_breach(asset, p, study.horizon))
        elif isinstance(asset, Battery):
            worst[Battery] = max(worst[Battery], battery_breach(asset, p, energy, study.horizon))
    return Kept(*worst.values())


def devices(study: Study, plan: Agreed) -> Iterator[tuple[Prosumer, Asset, Array, Array]]:
    """Every device with its home, its power ``(K,)`` [kW] and its energy ``(K,)`` [kWh]."""
    rows = iter(zip(plan.assets[0], plan.assets[2], strict=True))
    for home in study.prosumers:
        for asset in home.assets:
            yield home, asset, *next(rows)


def car_breach(car: ElectricVehicle, p: Array, horizon: Horizon) -> float:
    """Largest breach [kWh] of the sessions of a car that only charges.

    e = arrival + surplus of the session before + eta_c * what is charged,   due <= e <= capacity on departure

    The surplus is what the car held beyond its due, or beyond what it already had on arrival.

    Raises:
        ValueError: a car that can give back: its energy does not follow from its power alone.
    """
    if car.v2g_kw > 0.0:
        raise ValueError(f"car {car.name!r} gives back")
    end = np.cumsum(horizon.dt_h)
    charged, room = -p * horizon.dt_h, np.zeros_like(p)
    worst, surplus = float(np.max(p, initial=0.0)), 0.0
    for one in car.sessions:
        there = np.clip(np.minimum(end, one.depart_h) - np.maximum(end - horizon.dt_h, one.arrive_h), 0.0, None)
        room += car.charger_kw * there
        energy = one.arrival_kwh + surplus + car.eta_c * float(charged[there > 0.0].sum())
        worst = max(worst, one.due_kwh - energy, energy - car.capacity_kwh)
        surplus = max(energy - max(one.due_kwh, one.arrival_kwh), 0.0)
    return max(worst, float(np.max(charged - room)))


def temperatures(pump: HeatPump, p: Array, horizon: Horizon) -> Array:
    """Room temperature at the end of each step ``(K,)`` [degC].

    T[t+1] = T_rest + (T[t] - T_rest) exp(-dt UA / C),   T_rest = T_outdoor + (gains + cop p) / UA
    """
    rest = pump.outdoor_c + (pump.gains_kw - pump.cop * p) / pump.loss_kw_per_k
    decay = np.exp(-horizon.dt_h * pump.loss_kw_per_k / pump.capacity_kwh_per_k)
    room, found = pump.t_start_c, np.empty_like(p)
    for t in range(horizon.steps):
        room = rest[t] + (room - rest[t]) * decay[t]
        found[t] = room
    return found


def room_breach(pump: HeatPump, p: Array, horizon: Horizon) -> float:
    """Largest distance [K] of the temperature from its band, and at the end from what is asked there."""
    room = temperatures(pump, p, horizon)
    outside = max(float(np.max(pump.t_min_c - room)), float(np.max(room - pump.t_max_c)))
    return max(0.0, outside, pump.end_c - float(room[-1]))


def battery_breach(battery: Battery, p: Array, energy: Array, horizon: Horizon) -> float:
    """Largest breach [kWh] of the band, of the end, and of the power that the change of the energy needs.

    Power and change of energy leave one way to charge and discharge within a step: dis - ch = p and
    eta_c ch - dis / eta_d = change / dt.
    """
    change = np.diff(energy, prepend=battery.e_start_kwh) / horizon.dt_h
    charge = (change + p / battery.eta_d) / (battery.eta_c - 1.0 / battery.eta_d)
    give = p + charge
    limits = ((-charge, 0.0), (charge, battery.p_charge_kw), (-give, 0.0), (give, battery.p_discharge_kw))
    power = max(float(np.max((value - most) * horizon.dt_h)) for value, most in limits)
    band = max(float(np.max(battery.e_min_kwh - energy)), float(np.max(energy - battery.e_max_kwh)))
    return max(0.0, power, band, battery.end_bound_kwh - float(energy[-1]))
