"""The prosumers that one rank owns, as the coordination sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from admmflex.horizon import Array, BoolArray, Horizon, IntArray
from admmflex.response.choose import AnyProsumer, flexible, populate
from admmflex.response.population import Population


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
    """

    population: Population
    bus: IntArray
    flexible: BoolArray
    dt_h: Array
    price_scale: float
    dearest: float = 0.0

    @classmethod
    def of(
        cls, prosumers: Sequence[AnyProsumer], bus: IntArray, horizon: Horizon, price_scale: float, dearest: float = 0.0
    ) -> Community:
        """Prosumers ready to answer, at buses ``bus (n,)``."""
        position = {one.bus: int(b) for one, b in zip(prosumers, bus, strict=True)}
        population = populate(prosumers, horizon, position)
        return cls(population, bus, flexible(prosumers, horizon), horizon.dt_h, price_scale, dearest)

    def by_bus(self, values: Array, n_buses: int) -> Array:
        """Sum ``values (n,)`` over the prosumers of every bus, ``(B,)``."""
        return np.bincount(self.bus, values, n_buses).astype(np.float64)


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

    answers: list[Array] = field(default_factory=list)
    states: list[tuple[dict[str, Array], ...]] = field(default_factory=list)

    def record(self, population: Population, leaving: int | None) -> None:
        """Keep the last answer; forget the one at position ``leaving``."""
        self.answers.append(population.y.copy())
        self.states.append(population.state())
        if leaving is not None:
            del self.answers[leaving], self.states[leaving]

    def combine(self, weights: Array, community: Community) -> tuple[Array, tuple[dict[str, Array], ...]]:
        """Powers and trajectories with the weights ``(L, B)`` of each prosumer's bus."""
        share = weights[:, community.bus]
        used = np.flatnonzero(weights.max(axis=1) > 0)
        y = sum(share[a][None, :, None] * self.answers[a] for a in used)
        states = []
        for position, response in enumerate(community.population.responses):
            own = share[:, response.rows]
            past = [(own[a], self.states[a][position]) for a in used]
            states.append({name: _weighted([(w, state[name]) for w, state in past]) for name in past[0][1]})
        return np.asarray(y), tuple(states)


def _weighted(parts: list[tuple[Array, Array]]) -> Array:
    return np.asarray(sum(weight.reshape(-1, *[1] * (value.ndim - 1)) * value for weight, value in parts))
