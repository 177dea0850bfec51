"""How far an answer of chain homes can be from the optimum, proven from the multipliers alone.

Weak duality: with any multipliers of the stored energy (mu), of the power balance (v) and of the reactive balance
(theta) the problem falls apart into blocks, each minimised over its box in closed form; the sum is below every
feasible objective. Nothing here is shared with the kernels that find the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from admmflex.horizon import Array
from admmflex.prosumers.chain_homes import ChainHomes, Edges, Field


@dataclass(frozen=True)
class Question:
    """What n homes were asked: prices and targets ``(2, n, K)`` of each, the penalty, the steps ``dt (K,)`` [h]."""

    homes: ChainHomes
    dt: Array
    price: Array
    target: Array
    rho: float

    def objective(self, y: Array, own_cost: Array) -> Array:
        """Objective ``(n,)`` [EUR] of answers y ``(2, n, K)`` with this own cost."""
        signal = -self.price * y + 0.5 * self.rho * (y - self.target) ** 2
        total: Array = own_cost + signal.sum(axis=0) @ self.dt
        return total


def lower_bound(asked: Question, mu: Array, y: Array) -> Array:
    """Bound ``(n,)`` [EUR] below the objective of every feasible answer.

    Args:
        mu: (n, K) value of stored energy at the end of each step [EUR/kWh]; any numbers give a bound, good ones a
        tight one. y: (2, n, K) answers, from which the other multipliers are guessed.
    """
    blocks = _Blocks(asked, mu, y)
    best = np.full(mu.shape, -np.inf)
    for v in blocks.guesses():
        best = np.maximum(best, blocks.power(v) + blocks.generator(v) + blocks.storage(v))
    total: Array = blocks.energy() + (best + blocks.reactive()) @ asked.dt
    return total


class _Blocks:
    """Minima of the blocks, ``(n, K)`` each."""

    def __init__(self, asked: Question, mu: Array, y: Array) -> None:
        self.asked, self.mu, self.y = asked, mu, y
        profile = asked.homes.profile
        self.load_p, self.load_q = profile(Field.LOAD_P), profile(Field.LOAD_Q)
        self.avail, self.import_ = profile(Field.AVAIL), profile(Field.IMPORT)
        self.export, self.take_max = profile(Field.EXPORT), profile(Field.TAKE_MAX)
        self.give_max, self.take_cost = profile(Field.GIVE_MAX), profile(Field.TAKE_COST)
        self.give_cost, self.eta_take = profile(Field.GIVE_COST), profile(Field.ETA_TAKE)
        self.eta_give, self.keep = profile(Field.ETA_GIVE), profile(Field.KEEP)
        self.gain, self.e_min = profile(Field.GAIN), profile(Field.E_MIN)
        self.e_max, self.gen_q_max = profile(Field.E_MAX), profile(Field.GEN_Q_MAX)
        self.store_q_max = profile(Field.STORE_Q_MAX)
        theta = asked.rho * (y[1] - asked.target[1]) - asked.price[1]
        self.theta = theta
        self.gen_pull = np.maximum(np.abs(theta) - asked.homes.gen_q_cost[:, None], 0.0)
        self.store_pull = np.maximum(np.abs(theta) - asked.homes.store_q_cost[:, None], 0.0)

    @cached_property
    def give_value(self) -> Array:
        """Cost of giving one kWh, without the meter."""
        return self.give_cost + self.mu / self.eta_give

    @cached_property
    def take_value(self) -> Array:
        """Cost of taking one kWh, without the meter."""
        return self.take_cost - self.mu * self.eta_take

    def energy(self) -> Array:
        """Minimum over the stored energies ``(n,)``."""
        homes = self.asked.homes
        after = np.concatenate([self.keep[:, 1:] * self.mu[:, 1:], homes.end_value[:, None]], axis=1)
        slope = self.mu - after
        held = np.minimum(slope * self.e_min, slope * self.e_max) - self.mu * self.gain
        total: Array = held.sum(axis=1) - self.mu[:, 0] * self.keep[:, 0] * homes.e_start
        return total

    def _tariff(self, p: Array) -> Array:
        paid: Array = np.maximum(-self.import_ * p, -self.export * p)
        paid += 0.5 * self.asked.rho * (p - self.asked.target[0]) ** 2 - self.asked.price[0] * p
        return paid

    def power(self, v: Array) -> Array:
        """Minimum over the power at the meter."""
        low, high = -self.load_p - self.take_max, self.avail + self.give_max - self.load_p
        stops = [low, high, np.clip(0.0, low, high)]
        if self.asked.rho > 0.0:
            for tariff in (self.import_, self.export):
                free = self.asked.target[0] + (v + self.asked.price[0] + tariff) / self.asked.rho
                stops.append(np.clip(free, low, high))
        least: Array = np.min([self._tariff(p) - v * p for p in stops], axis=0) - v * self.load_p
        return least

    def generator(self, v: Array) -> Array:
        """Minimum over the generation and its reactive power."""
        edges = self.asked.homes.gen_edges
        stops = [np.zeros_like(v), self.avail, *(np.clip(x, 0.0, self.avail) for x, _ in _sides(edges))]
        values = [v * y - self.gen_pull * _limit(edges, y, self.gen_q_max) for y in stops]
        least: Array = np.min(values, axis=0)
        return least

    def storage(self, v: Array) -> Array:
        """Minimum over charging, discharging and the reactive power of the storage."""
        edges, give_max, take_max = self.asked.homes.store_edges, self.give_max, self.take_max
        corners = [(0 * v, 0 * v), (give_max, 0 * v), (0 * v, take_max), (give_max, take_max)]
        for b, _ in _sides(edges):
            corners += [
                (np.clip(b, 0.0, give_max), np.clip(-b, 0.0, take_max)),
                (give_max, np.clip(give_max - b, 0.0, take_max)),
                (np.clip(b + take_max, 0.0, give_max), take_max),
            ]
        values = [
            (self.give_value + v) * give
            + (self.take_value - v) * take
            - self.store_pull * _limit(edges, give - take, self.store_q_max)
            for give, take in corners
        ]
        least: Array = np.min(values, axis=0)
        return least

    def reactive(self) -> Array:
        """Minimum over the reactive power at the meter; as theta is the slope there, the answer itself is best."""
        asked, q = self.asked, self.y[1]
        here = 0.5 * asked.rho * (q - asked.target[1]) ** 2 - asked.price[1] * q
        bound: Array = here - self.theta * q - self.theta * self.load_q
        return bound

    def guesses(self) -> Iterator[Array]:
        """Multipliers of the power balance worth trying: where some block is indifferent."""
        asked = self.asked
        lean = asked.rho * (self.y[0] - asked.target[0]) - asked.price[0]
        below, above = lean - self.import_, lean - self.export
        yield from (below, above, np.zeros_like(lean), self.take_value, -self.give_value)
        for _, slope in _sides(asked.homes.gen_edges):
            yield np.clip(self.gen_pull * slope, below, above)
        for _, slope in _sides(asked.homes.store_edges):
            pull = self.store_pull * slope
            yield np.clip(pull + self.take_value, below, above)
            yield np.clip(pull - self.give_value, below, above)


def _sides(edges: Edges) -> Iterator[tuple[Array, Array]]:
    """Every knot and the slope of the side on its right, ``(n, 1)`` each; zeros where there is none."""
    for j in range(edges.power.shape[1]):
        inside = j + 1 < edges.knots
        following = min(j + 1, edges.power.shape[1] - 1)
        run = np.where(inside, edges.power[:, following] - edges.power[:, j], 1.0)
        rise = np.where(inside, edges.value[:, following] - edges.value[:, j], 0.0)
        yield np.where(j < edges.knots, edges.power[:, j], 0.0)[:, None], (rise / run)[:, None]


def _limit(edges: Edges, power: Array, box: Array) -> Array:
    """Upper limit of the reactive power at these powers ``(n, K)``."""
    limit = box.copy()
    for i in np.flatnonzero(edges.knots):
        k = edges.knots[i]
        limit[i] = np.interp(power[i], edges.power[i, :k], edges.value[i, :k])
    return limit
