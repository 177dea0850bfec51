"""One day of the same homes twice: every home for itself, and agreed by prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from admmflex.assets import Asset
from admmflex.coordination.schemes import Agreed, Outcome
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.choose import populate
from experiments import compare

SEASONS = ("winter", "spring", "summer")
HURRY = 2e-5
"""How much more a kWh is worth for every hour that it comes earlier [EUR/kWh per h]: it decides between equals only."""
PROXIMITY = 1e-7  # EUR/(kW^2 h): of powers that are worth the same, the smaller


@dataclass(frozen=True)
class Day:
    """Before and after.

    Args:
        before: every home for itself, see ``at_once``.
        outcome: what was agreed by prices.
    """

    study: Study
    before: Agreed
    outcome: Outcome

    @property
    def after(self) -> Agreed:
        return self.outcome.plan

    @cached_property
    def price(self) -> Array:
        """Grid prices at the bus of every home ``(2, n, K)`` [EUR/kWh, EUR/kvarh]."""
        at = self.study.network.positions([one.bus for one in self.study.prosumers])
        price: Array = self.outcome.price[:, at]
        return price


@dataclass(frozen=True)
class Strain:
    """What a plan does to the grid, by AC power flow.

    Args:
        v_max, v_min: highest and lowest voltage [pu].
        loading: ``(K,)`` of the most loaded branch, as a fraction of its rating.
        broken: steps with a voltage or a loading beyond its limit.
    """

    v_max: float
    v_min: float
    loading: Array
    broken: int


def solve(study: Study) -> tuple[Day, float]:
    """Both days, and the seconds that the agreement took."""
    outcome, seconds = compare.by_price(study)
    return Day(study, at_once(study), outcome), seconds


def at_once(study: Study) -> Agreed:
    """The own optimum of every home; of plans that cost the same, the one that takes energy earliest.

    After 22:00 every hour of the night is equally cheap, and a charger that knows nothing of the grid begins at 22:00.
    """
    buses = sorted({one.bus for one in study.prosumers})
    population = populate(study.prosumers, study.horizon, {bus: k for k, bus in enumerate(buses)})
    price = np.zeros((2, len(buses), study.horizon.steps))
    price[0] = HURRY * (np.cumsum(study.horizon.dt_h) - study.horizon.dt_h)
    y = population.answer(price, np.zeros_like(population.y), PROXIMITY).copy()
    return Agreed(y, stacked(population.plans(population.state())), float(population.cost().sum()))


def stacked(plans: Sequence[Sequence[AssetPlan]]) -> Array:
    """Plans of all assets in turn ``(3, A, K)``: active and reactive power, energy, NaN without a store."""
    flat = [one for own in plans for one in own]
    return np.array(
        [
            [one.p for one in flat],
            [one.q for one in flat],
            [np.full_like(one.p, np.nan) if one.energy is None else one.energy for one in flat],
        ]
    )


def owners(study: Study) -> list[int]:
    """Position of the home of every asset, in the order of ``Agreed.assets``."""
    return [k for k, home in enumerate(study.prosumers) for _ in home.assets]


def kinds(home: Prosumer) -> frozenset[str]:
    """What a home owns."""
    return frozenset(asset.kind for asset in home.assets)


def all_assets(study: Study) -> list[Asset]:
    """The assets of all homes in turn."""
    return [asset for home in study.prosumers for asset in home.assets]


def by_kind(study: Study, plan: Agreed, kind: str) -> Array:
    """Active power ``(n, K)`` of the devices of one kind at every home [kW]."""
    power: Array = np.zeros_like(plan.y[0])
    chosen = [a for a, asset in enumerate(all_assets(study)) if asset.kind == kind]
    np.add.at(power, np.array(owners(study))[chosen], plan.assets[0, chosen])
    return power


def strain(study: Study, plan: Agreed) -> Strain:
    """Voltages and loadings of a plan."""
    v = compare.voltages(study, plan)
    high, low, loading = study.limits.excess(v)
    settings = study.settings
    volts = np.maximum(high, low).max(axis=0) > settings.voltage_tolerance_pu
    over = loading.max(axis=0) > settings.loading_tolerance_percent / 100.0
    size: Array = np.abs(v)
    used: Array = 1.0 + loading.max(axis=0)
    return Strain(float(size.max()), float(size.min()), used, int((volts | over).sum()))
