"""All prosumers of one rank, answered by whichever response suits each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from admmflex.errors import Unanswered
from admmflex.horizon import Array, BoolArray
from admmflex.prosumers.program import AssetPlan
from admmflex.response.signal import COUNTS, WAYS, Response


class Population:
    """Responses that together answer for ``n`` prosumers.

    One answer minimises, for every prosumer i at bus b,

        C_i(y) + sum_t dt_t ( -price_b,t' y_t + rho/2 |y_t - target_i,t|^2 ),      y = (p, q)
    """

    def __init__(self, responses: Sequence[Response], n_prosumers: int, n_steps: int) -> None:
        self.responses = tuple(responses)
        self.y = np.zeros((2, n_prosumers, n_steps))
        self._cost = np.zeros(n_prosumers)

    def ways(self) -> dict[str, int]:
        """How many prosumers each of ``WAYS`` answers for; ways that answer for nobody are left out."""
        found = {way: sum(len(one.rows) for one in self.responses if one.way == way) for way in WAYS}
        return {way: count for way, count in found.items() if count}

    def counts(self) -> dict[str, float]:
        """What the responses tell of their answers, all of ``COUNTS``."""
        told = [one.counts() for one in self.responses]
        return {name: float(sum(counts.get(name, 0.0) for counts in told)) for name in COUNTS}

    def answer(self, price: Array, target: Array, rho: float) -> Array:
        """Answer ``price (2, n_bus, K)`` and ``target (2, n, K)``; the next call overwrites what is returned.

        Raises:
            Unanswered: by some; ``y``, ``cost`` and ``state`` hold the answers of the others.
        """
        why: dict[int, str] = {}
        for response in self.responses:
            try:
                response.answer(price, target, rho, self.y)
            except Unanswered as error:
                why |= error.why
        if why:
            raise Unanswered(why)
        return self.y

    def again(self, price: Array, target: Array, rho: float, who: BoolArray) -> Array:
        """The same question to some ``(n,)`` who gave no answer; the others are not looked at."""
        return self.answer(price, target, rho)

    def cost(self) -> Array:
        """Own cost of the last answer: tariff, wear, reactive power, less the end value of energy; ``(n,)`` EUR."""
        for response in self.responses:
            self._cost[response.rows] = response.cost()
        return self._cost

    def state(self) -> tuple[dict[str, Array], ...]:
        """Copies of the internal trajectories of the last answer, by response; all of them enter linearly."""
        return tuple({name: values.copy() for name, values in response.state().items()} for response in self.responses)

    def evaluate_cost(self, y: Array, states: Sequence[Mapping[str, Array]]) -> Array:
        """Own cost ``(n,)`` [EUR] of powers ``(2, n, K)`` with these trajectories: what a mixed plan costs."""
        cost = np.zeros(y.shape[1])
        for response, state in zip(self.responses, states, strict=True):
            cost[response.rows] = response.evaluate_cost(y[0, response.rows], state)
        return cost

    def plans(self, states: Sequence[Mapping[str, Array]]) -> list[tuple[AssetPlan, ...]]:
        """What the assets of every prosumer do, in the order of the prosumers."""
        plans: list[tuple[AssetPlan, ...]] = [()] * self.y.shape[1]
        for response, state in zip(self.responses, states, strict=True):
            for row, plan in zip(response.rows, response.plans(state), strict=True):
                plans[row] = plan
        return plans
