"""Low-voltage grids and homes drawn at random, of any size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

import grid
from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset
from admmflex.assets.pv import Pv
from admmflex.data.spec import CoordinationSpec
from admmflex.data.study import Study
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer
from grid import topology

FEEDER_BUSES = 15
PV_SHARE, BATTERY_SHARE = 0.8, 0.5
PV_KW = (3.0, 9.0)
TRANSFORMER_KVA_PER_HOME = 3.0
TRANSFORMER_UK, TRANSFORMER_UR = 0.06, 0.012


@dataclass(frozen=True)
class Level:
    """Cables of a voltage level, the lengths they are drawn from, and the band of the voltage [pu]."""

    kv: float
    above_kv: float
    ohm_per_km: complex
    ka: float
    km: tuple[float, float]
    band: tuple[float, float]


LOW = Level(0.4, 20.0, 0.2067 + 0.0804j, 0.27, (0.015, 0.04), (0.95, 1.05))  # NAYY 4x150
MEDIUM = Level(20.0, 110.0, 0.206 + 0.122j, 0.319, (0.3, 1.0), (0.9, 1.1))  # NA2XS2Y 1x150


def town(homes: int, buses: int, steps: int = 96, seed: int = 0) -> Study:
    """A sunny day: ``homes`` spread evenly over the buses of a radial grid that cannot carry all of their PV.

    Every home has a load behind an import/export tariff; most have PV with reactive power in a box, half a battery with
    losses and wear.

    Args:
        homes: number of prosumers.
        buses: of the grid, the two of the transformer included.
        steps: of equal length, together 24 hours from midnight.
    """
    rng = np.random.default_rng(seed)
    network = radial(buses, homes * TRANSFORMER_KVA_PER_HOME, rng)
    horizon = Horizon(datetime(2016, 6, 1, tzinfo=UTC), np.full(steps, 24.0 / steps))
    hour = (np.arange(steps) + 0.5) * 24.0 / steps
    sky = rng.uniform(0.85, 1.0, steps)
    place = 2 + np.arange(homes) % (buses - 2)
    prosumers = tuple(_home(rng, f"home {i}", int(bus), hour, sky) for i, bus in enumerate(np.sort(place)))
    return Study(network, grid.Limits.of(network), horizon, prosumers, CoordinationSpec(), seed, ())


def radial(buses: int, transformer_kva: float, rng: np.random.Generator, level: Level = LOW) -> grid.Network:
    """A transformer (position 0 to 1) and feeders of about ``FEEDER_BUSES`` buses that branch at random.

    Voltages have to stay within the band of the level and currents within the ratings.
    """
    parent = _tree(buses, rng)
    z_base = level.kv**2  # ohm at 1 MVA
    z = rng.uniform(*level.km, buses - 1) * level.ohm_per_km / z_base
    share = transformer_kva / grid.network.S_BASE_KVA
    z[0] = (TRANSFORMER_UR + 1j * np.sqrt(TRANSFORMER_UK**2 - TRANSFORMER_UR**2)) / share
    y: NDArray[np.complex128] = np.asarray(1.0 / z, dtype=np.complex128)
    base_kv = np.where(np.arange(buses) == 0, level.above_kv, level.kv)
    i_max = np.full(buses - 1, level.ka * np.sqrt(3.0) * level.kv)
    i_max[0] = share
    kinds = ("trafo", *["line"] * (buses - 2))
    return grid.Network(
        name=f"radial grid of {buses} buses",
        buses=np.arange(buses),
        bus_names=("",) * buses,
        base_kv=base_kv,
        v_slack=1.02 + 0j,
        v_min=np.full(buses, level.band[0]),
        v_max=np.full(buses, level.band[1]),
        shunt_y=np.zeros(buses, dtype=np.complex128),
        known_buses=np.arange(buses),
        known_positions=np.arange(buses),
        from_bus=parent[1:],
        to_bus=np.arange(1, buses),
        y_ff=y,
        y_ft=-y,
        y_tf=-y,
        y_tt=y,
        branch_kinds=kinds,
        branch_index=np.arange(buses - 1),
        branch_names=("",) * (buses - 1),
        is_transformer=np.array([kind == "trafo" for kind in kinds]),
        i_max_from=i_max,
        i_max_to=i_max,
        s_max=np.where(np.arange(buses - 1) == 0, share, np.inf),
    )


def _tree(buses: int, rng: np.random.Generator) -> IntArray:
    """Parent of every bus in preorder; feeders hang on bus 1, most buses at the end of theirs."""
    feeders: list[list[int]] = [[1] for _ in range(max(2, buses // FEEDER_BUSES))]
    parent = np.zeros(buses, dtype=np.int64)
    for bus in range(2, buses):
        line = feeders[(bus - 2) % len(feeders)]
        parent[bus] = line[-1] if rng.random() > 0.25 else line[rng.integers(len(line))]
        line.append(bus)
    order = topology.preorder(buses, parent[1:], np.arange(1, buses), 0)
    place = np.argsort(order)
    parent[1:] = place[parent[order[1:]]]
    parent[0] = -1
    return parent


def _home(rng: np.random.Generator, name: str, bus: int, hour: Array, sky: Array) -> Prosumer:
    steps = len(hour)
    evening = np.exp(-((hour - 19) ** 2) / 4)
    load = rng.uniform(0.2, 0.8) * (0.6 + 0.8 * evening) * rng.uniform(0.5, 1.5, steps)
    assets: list[Asset] = [FixedLoad("load", load, 0.2 * load)]
    if rng.random() < PV_SHARE:
        rating = rng.uniform(*PV_KW)
        sun = rating * sky * np.maximum(0.0, np.sin((hour - 6) / 12 * np.pi))
        assets.append(Pv("pv", sun, rating, reactive="box", q_cost=0.002))
    if rng.random() < BATTERY_SHARE:
        size, power = rng.uniform(5.0, 12.0), rng.uniform(2.0, 5.0)
        assets.append(Battery("battery", size, power, power, 0.2 * size, wear=0.02, eta_c=0.95, eta_d=0.95))
    price = np.where((hour >= 17) & (hour < 21), 0.38, np.where(hour < 6, 0.22, 0.30))
    return Prosumer(name, bus, tuple(assets), price, np.full(steps, 0.08))
