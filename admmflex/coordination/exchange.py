"""What prosumers and grid tell each other: prices and shares out, powers by bus and costs back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from admmflex.comm import Comm, own_steps
from admmflex.coordination._consensus import take_share
from admmflex.coordination.community import Answer, Community
from admmflex.coordination.trust import TRIES, Trust
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
        trust: who is believed.
        answer: the last one.
        complete: whether the last question was answered by everybody who is not held, on all ranks.
        held: how many prosumers of all ranks are held.
        newly: how many of them are since it was last set to zero.
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
        self.trust = Trust(community, n_buses)
        self.answer: Answer | None = None
        self.complete, self.held, self.newly = True, 0, 0
        self._sums = np.empty((len(community.dt_h), 2 * n_buses))

    def ask(self, price: Array, rho: float) -> tuple[Array, float]:
        """A round's question at ``price (2, B, K)``: bus sums of the own steps, and the cost of all [EUR].

        What stands in for missing answers is what was told in earlier rounds.
        """
        own, cost = self._ask(price, rho, 1)
        self.trust.last = self.answer
        return own, cost

    def ask_all(self, price: Array, rho: float) -> tuple[Array, float]:
        """A question that is worth little until everybody has answered; ``complete`` tells."""
        return self._ask(price, rho, TRIES)

    def call(self, price: Array, rho: float) -> None:
        """A round's question that those who are held are asked again, too, until they answer or are given up."""
        self._ask(price, rho, TRIES, everybody=True)
        self.trust.last = self.answer

    def _ask(self, price: Array, rho: float, tries: int, *, everybody: bool = False) -> tuple[Array, float]:
        self.answer, counts = self.trust.ask(price, self.z, rho, self._sums, tries, everybody)
        self.answers += 1
        own = self.comm.scatter_steps(self._sums).copy()
        told = self.comm.sum(np.concatenate([self.community.by_bus(self.answer.cost, self.n_buses), counts]))
        bus_cost, (missing, newly, held) = told[:-3], told[-3:]
        self.complete, self.held = bool(missing == 0.0), int(held)
        self.newly += int(newly)
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
        squares, trust = np.zeros((4, self.n_buses)), self.trust
        assert trust.last is not None
        take_share(trust.last.y, self.z, trust.able, shares, relaxation, self.community.bus, squares)
        return everywhere, np.sqrt(self.comm.sum(squares).sum(axis=1))

    def by_bus(self, y: Array) -> Array:
        """Sums over the prosumers of every bus, of all ranks, in the own steps: ``(2, n, K)`` to ``(K_own, 2 B)``."""
        self.trust.sum(y, self._sums)
        return self.comm.scatter_steps(self._sums).copy()

    def everywhere(self, own: Array) -> Array:
        """``(K_own, 2 B)`` of all ranks as ``(2, B, K)``."""
        return self._to_prosumers(self.comm.gather_steps(own))

    def cost(self, y: Array, states: tuple[dict[str, Array], ...]) -> float:
        """Own costs of all prosumers [EUR] for powers and trajectories that are a combination of answers."""
        return float(self.cost_by_bus(self.community.population.evaluate_cost(y, states)).sum())

    def cost_by_bus(self, cost: Array) -> Array:
        """Sums ``(B,)`` of costs ``(n,)`` [EUR] over the prosumers of every bus, of all ranks."""
        return self.comm.sum(self.community.by_bus(cost, self.n_buses))

    def _to_prosumers(self, steps: Array) -> Array:
        return np.ascontiguousarray(steps.T.reshape(2, self.n_buses, -1))
