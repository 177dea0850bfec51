"""Prosumers whose answers get lost, come late, or are nonsense, drawn for each home by its own seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from admmflex.errors import Unanswered
from admmflex.horizon import Array, BoolArray
from admmflex.response.population import Population

Kind = Literal["lost", "late", "nan", "infinite", "huge", "cost", "raises"]


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the answers of a home.

    Args:
        kind: "lost" at random, "late": all but every so many, or nonsense or an exception from an answer on.
        share: of the answers lost.
        every: how many questions it takes to answer one.
        first: the question from which on answers are nonsense.
    """

    kind: Kind
    share: float = 0.0
    every: int = 1
    first: int = 2


class Unreliable(Population):
    """The answers of a population, some of which do not arrive as they were given.

    Args:
        of: what answers.
        troubles: by position.
        keys: (n,) a number for each home that does not depend on who else is there.

    Attributes:
        asked: (n,) how often each home was.
    """

    def __init__(self, of: Population, troubles: dict[int, Trouble], keys: Array, seed: int) -> None:
        super().__init__(of.responses, of.y.shape[1], of.y.shape[2])
        self.troubles, self.asked = troubles, np.zeros(of.y.shape[1], np.int64)
        self._draws = {i: np.random.default_rng([seed, int(keys[i])]) for i in troubles}
        self._wrong_cost = np.zeros(of.y.shape[1], np.bool_)

    def answer(self, price: Array, target: Array, rho: float) -> Array:
        return self.again(price, target, rho, np.ones(len(self.asked), np.bool_))

    def again(self, price: Array, target: Array, rho: float, who: BoolArray) -> Array:
        super().answer(price, target, rho)
        self._wrong_cost[:] = False
        self.asked += who
        why = {i: self._disturb(i) for i in self.troubles if who[i]}
        missing = {i: reason for i, reason in why.items() if reason}
        if missing:
            raise Unanswered(missing)
        return self.y

    def cost(self) -> Array:
        return np.where(self._wrong_cost, np.nan, super().cost())

    def _disturb(self, i: int) -> str:
        """Spoil an answer; the reason why there is none, if there is none."""
        one, question = self.troubles[i], int(self.asked[i])
        if one.kind == "lost":
            return "lost" if self._draws[i].random() < one.share else ""
        if one.kind == "late":
            return "late" if question % one.every else ""
        if question < one.first:
            return ""
        if one.kind == "raises":
            return "KeyError: 'soc'"
        if one.kind == "cost":
            self._wrong_cost[i] = True
        else:
            self.y[:, i] = {"nan": np.nan, "infinite": np.inf, "huge": 1e6}[one.kind]
        return ""
