"""What every home pays, before and after, and who bears what the limits of the grid cost.

    tariff_i  = sum_t dt (import [-p]+ - export [p]+)                      paid to the supplier
    own_i     = tariff_i + wear of batteries + cost of reactive energy     what home i minimises
    borne_i   = own_i after - own_i before                                 grid cost that home i bears; not negative
    grid_i    = sum_t dt (-lam_p p - lam_q q)                              paid to the grid at the prices of its bus

Powers are injections and prices are values of energy: where a limit makes injection welcome (lam_p > 0) consumers pay
and those who feed in are paid. The sum of grid_i is what the grid collects, its congestion rent. The sum of borne_i
is what the limits cost all homes together; comfort and the energy of the cars are promised and so cost nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.assets import Battery, Pv
from admmflex.coordination.schemes import Agreed
from admmflex.data.study import Study
from admmflex.horizon import Array
from experiments.homes.day import Day, all_assets, kinds, owners

NOTHING_EUR = 0.01
"""A grid cost of all homes below which shares of it mean nothing."""


@dataclass(frozen=True)
class Bills:
    """Of every home ``(n,)`` [EUR], as defined above."""

    tariff_before: Array
    tariff_after: Array
    own_before: Array
    own_after: Array
    grid: Array

    @property
    def borne(self) -> Array:
        return self.own_after - self.own_before

    @property
    def cost(self) -> float:
        """What the limits cost all homes together."""
        return float(self.borne.sum())

    @property
    def rent(self) -> float:
        """What the grid collects."""
        return float(self.grid.sum())

    @property
    def shares(self) -> Array:
        """Part of the grid cost that every home bears ``(n,)``; NaN when there is no cost to share."""
        return _shares(self.borne)

    @property
    def grid_shares(self) -> Array:
        """Part of what the grid collects that every home pays ``(n,)``; NaN when it collects nothing."""
        return _shares(self.grid)


def _shares(amounts: Array) -> Array:
    total = float(amounts.sum())
    return np.full_like(amounts, np.nan) if abs(total) < NOTHING_EUR else amounts / total


def bills(day: Day) -> Bills:
    """The bills of a day."""
    study, dt = day.study, day.study.horizon.dt_h
    before, after = tariff(study, day.before), tariff(study, day.after)
    grid: Array = -np.einsum("cit,cit,t->i", day.price, day.after.y, dt)
    own = (before + device_costs(study, day.before), after + device_costs(study, day.after))
    return Bills(before, after, *own, grid)


def tariff(study: Study, plan: Agreed) -> Array:
    """What the supplier asks of every home ``(n,)`` [EUR]."""
    p, homes = plan.y[0], study.prosumers
    bought, sold = np.array([one.import_price for one in homes]), np.array([one.export_price for one in homes])
    total: Array = (bought * np.maximum(-p, 0.0) - sold * np.maximum(p, 0.0)) @ study.horizon.dt_h
    return total


def device_costs(study: Study, plan: Agreed) -> Array:
    """Wear and reactive energy of every home ``(n,)`` [EUR]; what a battery did follows from its power and energy."""
    total, dt = np.zeros(len(study.prosumers)), study.horizon.dt_h
    for home, asset, p, q, energy in zip(owners(study), all_assets(study), *plan.assets, strict=True):
        if isinstance(asset, Pv | Battery):
            total[home] += asset.q_cost * float(dt @ np.abs(q))
        if isinstance(asset, Battery):
            moved = np.abs(p)
            loss = asset.eta_c - 1.0 / asset.eta_d
            if loss < 0.0:  # both at once within a step, as a mix of plans may have it
                charge = (np.diff(energy, prepend=asset.e_start_kwh) / dt + p / asset.eta_d) / loss
                moved = p + 2.0 * charge
            total[home] += asset.wear * float(dt @ moved)
    return total


@dataclass(frozen=True)
class Groups:
    """Names of groups that together are all homes, and the group of every home."""

    names: tuple[str, ...]
    of: list[str]


def roof(study: Study) -> Groups:
    """By what homes have on the roof and in the cellar."""
    nothing, plant, both = names = ("no PV", "PV", "PV and battery")
    own = map(kinds, study.prosumers)
    return Groups(names, [nothing if "pv" not in one else both if "battery" in one else plant for one in own])


def evening(study: Study) -> Groups:
    """By the large consumers."""
    names = ("no car, no heat pump", "car", "heat pump", "car and heat pump")
    return Groups(names, [names[("ev" in own) + 2 * ("heat_pump" in own)] for own in map(kinds, study.prosumers)])


def nearness(study: Study) -> Groups:
    """Thirds by the impedance of the lines between home and transformer."""
    names, far = ("nearest third", "middle third", "farthest third"), distance(study)
    rank = np.argsort(np.argsort(far, kind="stable"))
    return Groups(names, [names[3 * int(place) // len(far)] for place in rank])


def distance(study: Study) -> Array:
    """Impedance of the lines between the transformer and every home ``(n,)`` [ohm]; the grid must be radial."""
    network = study.network
    parent, own = network.parent, np.zeros(network.n)
    if parent is None:
        raise ValueError(f"{network.name!r} is not radial")
    for branch in np.flatnonzero(~network.is_transformer):
        ends = int(network.from_bus[branch]), int(network.to_bus[branch])
        base_ohm = network.base_kv[ends[0]] ** 2
        own[max(ends)] = base_ohm / abs(network.y_ft[branch])
    for bus in range(1, network.n):
        own[bus] += own[parent[bus]]
    return own[network.positions([one.bus for one in study.prosumers])]
