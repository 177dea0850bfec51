"""What can be told of devices from the exchanged profiles alone, and what is true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.assets.battery import Battery
from admmflex.assets.ev import ElectricVehicle
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.coordination.schemes import Sorted
from admmflex.horizon import Array, BoolArray, Horizon
from experiments.reliability.seen import Seen, homes

DARK = 1e-3  # of the rating: less sun is none
WEAR, Q_COST, ETA, TAN_PHI = 0.02, 0.002, 0.95, float(np.tan(np.arccos(0.95)))  # of usual devices
CAR_KW = 9.0  # what nothing but a car draws


@dataclass(frozen=True)
class Public:
    """What an operator knows besides: tariff (K,), sun (K,) per kWp, and what a bus consumes without its plants.

    The load of a day is taken from the meters' yearly energy: here the true mean of the day, in the shape of the homes
    that can move nothing.
    """

    dt_h: Array
    bought: Array
    sold: Array
    sun: Array
    load: Array


@dataclass(frozen=True)
class Devices:
    """Of every bus (B,): homes, and what their devices add up to. True, or guessed.

    Args:
        storage: whether anything can move active power in the dark.
        power_kw, capacity_kwh: of the batteries.
        moved_kwh: charged plus discharged, mean over the answers.
        inverter_kwp: of the plants, from reactive power; ``sun_kwp`` from active power.
        car: whether there is one.
    """

    storage: BoolArray
    power_kw: Array
    capacity_kwh: Array
    moved_kwh: Array
    inverter_kwp: Array
    sun_kwp: Array
    car: BoolArray


def truth(ordered: Sorted, moved_kwh: Array) -> Devices:
    """The devices of every bus; ``moved_kwh (n,)`` through the batteries of each prosumer."""
    buses = len(ordered.buses)
    power, capacity, kwp, moved, cars = (np.zeros(buses) for _ in range(5))
    np.add.at(moved, ordered.bus, moved_kwh)
    for home, b in zip(homes(ordered), ordered.bus, strict=True):
        for asset in home.assets:
            if isinstance(asset, Battery):
                power[b] += 0.5 * (asset.p_charge_kw + asset.p_discharge_kw)
                capacity[b] += asset.e_max_kwh
            elif isinstance(asset, Pv):
                kwp[b] += asset.rating_kw
            elif isinstance(asset, ElectricVehicle):
                cars[b] += 1.0
    return Devices(capacity + cars > 0.0, power, capacity, moved, kwp, kwp, cars > 0.0)


def public(ordered: Sorted, horizon: Horizon) -> Public:
    """See ``Public``."""
    sun, plants = np.zeros(horizon.steps), 0
    load, still = np.zeros((len(ordered.buses), horizon.steps)), np.zeros(horizon.steps)
    for home, b in zip(homes(ordered), ordered.bus, strict=True):
        for asset in home.assets:
            if isinstance(asset, Pv):
                sun, plants = sun + asset.avail_kw / asset.rating_kw, plants + 1
            elif isinstance(asset, FixedLoad):
                load[b] += asset.p_kw
                still += asset.p_kw * (len(home.assets) == 1)
    shape = still / max(float(still.mean()), 1e-9)
    bought, sold = (
        np.mean([getattr(one, f"{side}_price") for one in ordered.prosumers], axis=0) for side in ("import", "export")
    )
    return Public(horizon.dt_h, bought, sold, sun / max(plants, 1), load.mean(axis=1)[:, None] * shape)


def guess(seen: Seen, known: Public, *, both_ways: tuple[bool, bool] = (False, False)) -> Devices:
    """Devices from what was exchanged.

    Differences between the answers cancel what cannot move. The largest one in a step is what a battery can give or
    take, and that from the first answer, at no price, the limit of an inverter for reactive power. Where prices drive
    them from one end to the other (``both_ways``, of p and q, which the operator knows) half of it is. What is left of
    a profile without load and sun moves a store, whose largest range is taken for its capacity. What the costs of a bus
    exceed the tariff by is wear. Where homes that can move nothing seem to move, it is noise, and subtracted.
    """
    p, q = np.array([one[0] for one in seen.power]), np.array([one[1] for one in seen.power])
    dark = known.sun < DARK
    free = dark | (known.sold + np.array(seen.value) > 1e-6)  # nobody curtails what earns money
    still = ~(seen.count > 0.0).any(axis=(0, 2))

    def swing(x: Array) -> Array:
        found = x.max(axis=1, initial=0.0)
        return np.asarray(np.maximum(found - (found[still].mean() if still.any() else 0.0), 0.0))

    most, least = np.where(free, p, -np.inf).max(axis=0), np.where(free, p, np.inf).min(axis=0)
    reactive = 0.5 * np.ptp(q, axis=0) if both_ways[1] else np.abs(q - q[0]).max(axis=0)
    inverter = swing(reactive) / TAN_PHI
    storage = (seen.count[0][:, dark] > 0.0).any(axis=1)
    return Devices(
        storage=storage,
        power_kw=swing(np.where(np.isfinite(most), most - least, 0.0) / (1.0 + both_ways[0])) * storage,
        capacity_kwh=_stored(np.where(free, p - inverter[:, None] * known.sun + known.load, 0.0), known.dt_h) * storage,
        moved_kwh=_moved(seen, p, q, known) * storage,
        inverter_kwp=inverter,
        sun_kwp=_sun(np.where(np.isfinite(most), most, 0.0), known.sun) * (seen.count > 0.0).any(axis=(0, 2)),
        car=(-p).max(axis=(0, 2)) > CAR_KW,
    )


def _stored(battery: Array, dt_h: Array) -> Array:
    """(B,) largest range of the stored energy [kWh] in any of the answers ``(R, B, K)`` [kW]."""
    energy = -np.cumsum(np.where(battery < 0.0, ETA * battery, battery / ETA) * dt_h, axis=2)
    return np.asarray(np.ptp(energy, axis=2).max(axis=0))


def _moved(seen: Seen, p: Array, q: Array, known: Public) -> Array:
    """(B,) energy through the batteries [kWh], mean over the answers; NaN where no costs were told."""
    if not seen.cost:
        return np.full(p.shape[1], np.nan)
    paid = np.where(p < 0.0, -known.bought * p, -known.sold * p) + Q_COST * np.abs(q - q[0])
    return np.asarray((np.array(seen.cost) - paid @ known.dt_h).mean(axis=0) / WEAR)


def _sun(most: Array, sun: Array) -> Array:
    """(B,) size of a plant [kWp]: how the largest power of each step follows the sun."""
    shape = np.column_stack([sun, np.ones_like(sun)])
    fitted: Array = np.linalg.lstsq(shape, most.T, rcond=None)[0][0]
    return np.asarray(np.maximum(fitted, 0.0))
