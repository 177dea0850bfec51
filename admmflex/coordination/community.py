"""The prosumers that one rank owns, as the coordination sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from admmflex.horizon import Array, BoolArray, Horizon, IntArray
from admmflex.response.choose import AnyProsumer, abilities, populate
from admmflex.response.population import Population

if TYPE_CHECKING:
    from admmflex.coordination.exchange import Exchange
    from admmflex.coordination.trust import Trust


@dataclass(frozen=True)
class Community:
    """Prosumers sorted by bus.

    Args:
        population: answers for all n of them.
        bus: (n,) index into the B prosumer buses of the grid, ascending.
        flexible: (2, n, K) where p and q can move at all.
        dt_h: (K,) [h].
        price_scale: a typical tariff [EUR/kWh].
        dearest: highest cost of giving energy that any asset has, such as a value of lost load [EUR/kWh].
        reach: (2, 2, n) least and most p and q that the devices allow in any step, or None where that is not known.
        names: of the prosumers, for messages.
    """

    population: Population
    bus: IntArray
    flexible: BoolArray
    dt_h: Array
    price_scale: float
    dearest: float = 0.0
    reach: Array | None = None
    names: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, prosumers: Sequence[AnyProsumer], bus: IntArray, horizon: Horizon, price_scale: float, dearest: float = 0.0
    ) -> Community:
        """Prosumers ready to answer, at buses ``bus (n,)``."""
        position = {one.bus: int(b) for one, b in zip(prosumers, bus, strict=True)}
        population = populate(prosumers, horizon, position)
        able, names = abilities(prosumers, horizon), tuple(one.name for one in prosumers)
        return cls(population, bus, able.flexible, horizon.dt_h, price_scale, dearest, able.reach, names)

    def by_bus(self, values: Array, n_buses: int) -> Array:
        """Sum ``values (n,)`` over the prosumers of every bus, ``(B,)``."""
        return np.bincount(self.bus, values, n_buses).astype(np.float64)


@dataclass(frozen=True)
class Answer:
    """What a rank's prosumers said to one question: powers (2, n, K), trajectories by response, costs (n,) [EUR]."""

    y: Array
    states: tuple[dict[str, Array], ...]
    cost: Array

    def take(self, other: Answer, who: BoolArray, population: Population) -> None:
        """Put the answers of some prosumers ``(n,)`` in the place of their own ones."""
        self.y[:, who], self.cost[who] = other.y[:, who], other.cost[who]
        for response, state, new in zip(population.responses, self.states, other.states, strict=True):
            at = who[response.rows]
            for name, values in state.items():
                values[at] = new[name][at]


@dataclass(frozen=True)
class Plan:
    """What the prosumers of a rank will do, and what all of them cost.

    Args:
        y: (2, n, K) powers at the meters [kW, kvar].
        states: trajectories of the assets, by response.
        cost: of all ranks [EUR].
        excess: [pu, fraction] over the limits in the AC power flow.
    """

    y: Array
    states: tuple[dict[str, Array], ...]
    cost: float
    excess: Array


@dataclass
class Memory:
    """Past answers of the rank's prosumers, from which a mixed plan is made."""

    answers: list[Answer] = field(default_factory=list)

    def record(self, answer: Answer, leaving: int | None) -> None:
        """Keep an answer; forget the one at position ``leaving``."""
        self.answers.append(answer)
        if leaving is not None:
            del self.answers[leaving]

    def changed(self, exchange: Exchange) -> tuple[Array, Array]:
        """What it changes in the past answers ``(L, K_own, 2 B)``, ``(L, B)`` that some keep to their last plan."""
        trust, y, cost = exchange.trust, np.zeros_like(exchange.z), np.zeros(len(exchange.community.bus))
        powers, costs, held = [], [], trust.held
        for one in self.answers:
            if trust.last is not None:
                y[:, held], cost[held] = (trust.last.y - one.y)[:, held], (trust.last.cost - one.cost)[held]
            powers.append(exchange.by_bus(y))
            costs.append(exchange.cost_by_bus(cost))
        return np.array(powers), np.array(costs)

    def combine(self, weights: Array, trust: Trust) -> tuple[Array, tuple[dict[str, Array], ...]]:
        """Powers and trajectories with the weights ``(L, B)`` of each prosumer's bus; those held keep to their plan."""
        community = trust.community
        share = weights[:, community.bus]
        used = np.flatnonzero(weights.max(axis=1) > 0)
        y = sum(share[a][None, :, None] * self.answers[a].y for a in used)
        states = []
        for position, response in enumerate(community.population.responses):
            own = share[:, response.rows]
            past = [(own[a], self.answers[a].states[position]) for a in used]
            states.append({name: _weighted([(w, state[name]) for w, state in past]) for name in past[0][1]})
        mixed = Answer(np.asarray(y), tuple(states), np.zeros(len(community.bus)))
        if trust.held.any() and trust.last is not None:
            mixed.take(trust.last, trust.held, community.population)
        return mixed.y, mixed.states


def _weighted(parts: list[tuple[Array, Array]]) -> Array:
    return np.asarray(sum(weight.reshape(-1, *[1] * (value.ndim - 1)) * value for weight, value in parts))
