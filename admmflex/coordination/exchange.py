"""What prosumers and grid tell each other: prices and shares out, powers by bus and costs back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from admmflex.comm import Comm, own_steps
from admmflex.coordination._consensus import sum_by_bus, take_share
from admmflex.coordination.community import Community
from admmflex.horizon import Array

Listener = Callable[[Array, Array], None]


class Exchange:
    """Questions to the prosumers of all ranks; every rank gets the part of the answers that its own steps need.

    Args:
        community: the rank's prosumers.
        n_buses: B, of the grid.
        listen: told the bus sums ``(K_own, 2 B)`` and the cost by bus ``(B,)`` of every answer.

    Attributes:
        steps: the rank's own.
        z: (2, n, K) the shares of the rank's prosumers [kW, kvar].
        answers: how often every prosumer was asked.
    """

    def __init__(
        self,
        community: Community,
        comm: Comm,
        n_buses: int,
        listen: Listener = lambda own, bus_cost: None,
    ) -> None:
        self.community, self.comm, self.n_buses, self.listen = community, comm, n_buses, listen
        self.steps = own_steps(len(community.dt_h), comm.rank, comm.size)
        self.z = np.zeros_like(community.population.y)
        self.answers = 0
        self._sums = np.empty((len(community.dt_h), 2 * n_buses))

    def ask(self, price: Array, rho: float) -> tuple[Array, float]:
        """One answer of every prosumer at ``price (2, B, K)``: bus sums of the own steps, and the cost of all [EUR]."""
        population = self.community.population
        y = population.answer(price, self.z, rho)
        self.answers += 1
        own, bus_cost = self.by_bus(y), self._cost_by_bus(population.cost())
        self.listen(own, bus_cost)
        return own, float(bus_cost.sum())

    def share(self, shift: Array, price: Array, relaxation: float) -> tuple[Array, Array]:
        """Hand every prosumer its share of the grid's answer.

        Args:
            shift, price: (K_own, 2 B) of every prosumer that can move, and of every bus.

        Returns:
            The price ``(2, B, K)``, and the norms of ``y - z``, of the change of z, of y and of z over all prosumers.
        """
        message = self.comm.gather_steps(np.concatenate([shift, price], axis=1))
        shares, everywhere = (self._to_prosumers(part) for part in np.split(message, 2, axis=1))
        squares, one = np.zeros((4, self.n_buses)), self.community
        take_share(one.population.y, self.z, one.flexible, shares, relaxation, one.bus, squares)
        return everywhere, np.sqrt(self.comm.sum(squares).sum(axis=1))

    def by_bus(self, y: Array) -> Array:
        """Sums over the prosumers of every bus, of all ranks, in the own steps: ``(2, n, K)`` to ``(K_own, 2 B)``."""
        sum_by_bus(y, self.community.bus, self.n_buses, self._sums)
        return self.comm.scatter_steps(self._sums).copy()

    def everywhere(self, own: Array) -> Array:
        """``(K_own, 2 B)`` of all ranks as ``(2, B, K)``."""
        return self._to_prosumers(self.comm.gather_steps(own))

    def cost(self, y: Array, states: tuple[dict[str, Array], ...]) -> float:
        """Own costs of all prosumers [EUR] for powers and trajectories that are a combination of answers."""
        return float(self._cost_by_bus(self.community.population.evaluate_cost(y, states)).sum())

    def _cost_by_bus(self, cost: Array) -> Array:
        return self.comm.sum(self.community.by_bus(cost, self.n_buses))

    def _to_prosumers(self, steps: Array) -> Array:
        return np.ascontiguousarray(steps.T.reshape(2, self.n_buses, -1))
