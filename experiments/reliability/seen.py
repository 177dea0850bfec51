"""What an operator sees of a coordination, written down as it goes by; with noise on it, where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from admmflex.assets.battery import Battery
from admmflex.assets.flow import Asset
from admmflex.assets.pv import Pv
from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.community import Answer
from admmflex.coordination.coordinated import Coordinated
from admmflex.coordination.schemes import Agreed, Sorted, admm_settings
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.horizon import Array
from admmflex.prosumers.prosumer import Prosumer
from experiments.convergence.trials import SCALED


@dataclass(frozen=True)
class Noise:
    """Standard deviations, new in every answer and step: of the prices a home is told, of the powers a bus sends."""

    price: float = 0.0
    power: float = 0.0


@dataclass
class Seen:
    """Everything that was exchanged, answer by answer.

    Args:
        count: (2, B, K) homes of a bus that can move p, or q.
        power: (2, B, K) of each answer [kW, kvar].
        cost: (B,) of each answer [EUR]; kept only where past answers are mixed.
        value: (B, K) of each answer [EUR/kWh]: what one more kWh was worth to a home there, beyond the tariff.
        moved_kwh: (n,) of each answer, charged and discharged: not told to the operator, but to those who check.
    """

    count: Array
    power: list[Array] = field(default_factory=list)
    cost: list[Array] = field(default_factory=list)
    value: list[Array] = field(default_factory=list)
    moved_kwh: list[Array] = field(default_factory=list)


def watched(
    study: Study, noise: Noise, *, mixing: bool = True, questions: Sequence[Array] = (), seed: int = 0
) -> tuple[Coordinated, Seen, Sorted]:
    """Coordinate a day and note what the operator sees; ``questions (K,)`` [EUR/kWh] are asked of all at the end."""
    comm, ordered = SerialComm(), Sorted.of(study, SerialComm())
    community = ordered.community(study.horizon)
    dso = Dso(study.network, study.limits, ordered.buses, study.horizon.steps)
    settings = admm_settings(study.settings)
    if not mixing:
        settings = replace(settings, mixing=None)
    admm = Admm(community, dso, comm, settings)
    by_step = admm.count.reshape(study.horizon.steps, 2, -1)
    seen = Seen(by_step.transpose(1, 2, 0).copy())
    _listen(admm, ordered, seen, noise, np.random.default_rng(seed), mixing=mixing)
    found = admm.run()
    for price in questions:
        every = np.zeros_like(admm.price)
        every[0] = price
        admm.exchange.ask(every, 0.0)
    return found, seen, ordered


def _listen(admm: Admm, ordered: Sorted, seen: Seen, noise: Noise, rng: np.random.Generator, *, mixing: bool) -> None:
    """Stand between operator and homes: note what passes, and add noise to it."""
    exchange, community = admm.exchange, admm.community
    trust, listen = exchange.trust, exchange.listen
    ask, count = trust.ask, np.bincount(community.bus, minlength=exchange.n_buses)
    question: tuple[Array, float]

    def asked(price: Array, target: Array, rho: float, sums: Array, *how: Any) -> tuple[Answer, Array]:
        nonlocal question
        question = price, rho
        found = ask(price + rng.normal(0.0, noise.price, price.shape), target, rho, sums, *how)
        sums += rng.normal(0.0, noise.power, sums.shape)
        return found

    def told(own: Array, bus_cost: Array) -> None:
        price, rho = question
        target = _by_bus(exchange.by_bus(exchange.z))[0]
        seen.power.append(_by_bus(own))
        seen.value.append(price[0] - rho * (seen.power[-1][0] - target) / count[:, None])
        seen.moved_kwh.append(_moved(admm, ordered))
        if mixing:
            seen.cost.append(bus_cost.copy())
        listen(own, bus_cost)

    trust.ask, exchange.listen = asked, told  # type: ignore[method-assign]


def _moved(admm: Admm, ordered: Sorted) -> Array:
    """(n,) what batteries charged and discharged in the last answer [kWh]."""
    population, dt_h = admm.community.population, admm.community.dt_h
    found = np.zeros(len(ordered.prosumers))
    for i, (home, plans) in enumerate(zip(homes(ordered), population.plans(population.state()), strict=True)):
        for asset, plan in zip(home.assets, plans, strict=True):
            found[i] += float(np.abs(plan.p) @ dt_h) * isinstance(asset, Battery)
    return found


def homes(ordered: Sorted) -> list[Prosumer]:
    """The prosumers, none of them written in cvxpy."""
    return [one for one in ordered.prosumers if isinstance(one, Prosumer)]


def agreed(found: Coordinated, ordered: Sorted, study: Study) -> Agreed:
    """The plan in the order of the study."""
    y = np.empty_like(found.plan.y)
    y[:, ordered.order] = found.plan.y
    return Agreed(y, np.zeros((3, 0, study.horizon.steps)), found.plan.cost)


def _by_bus(own: Array) -> Array:
    """``(K, 2 B)`` as ``(2, B, K)``."""
    return np.ascontiguousarray(own.T.reshape(2, -1, len(own)))


def with_sizes(study: Study, seed: int = 0) -> Study:
    """Plants, batteries and their inverters of drawn sizes: 40 to 160 %, 50 to 200 %, 40 to 160 % of those given."""
    rng = np.random.default_rng(seed)

    def sized(asset: Asset) -> Asset:
        share, capacity, power = rng.uniform(0.4, 1.6), rng.uniform(0.5, 2.0), rng.uniform(0.4, 1.6)
        if isinstance(asset, Pv):
            return SCALED[Pv](asset, share)
        if isinstance(asset, Battery):
            energies = ("e_max_kwh", "e_min_kwh", "e_start_kwh")
            powers = ("p_charge_kw", "p_discharge_kw")
            changes: dict[str, Any] = {name: capacity * getattr(asset, name) for name in energies}
            changes |= {name: power * getattr(asset, name) for name in powers}
            end = asset.e_end_min_kwh
            return replace(asset, **changes, e_end_min_kwh=None if end is None else capacity * end)
        return asset

    sized_ones = (replace(one, assets=tuple(sized(asset) for asset in one.assets)) for one in study.prosumers)
    return replace(study, prosumers=tuple(sized_ones))
