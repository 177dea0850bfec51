"""How good a plan is without knowing the best one: bounds from below, and means of answers that prove good enough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.coordination.averages import Averages
from admmflex.coordination.community import Plan
from admmflex.coordination.exchange import Exchange
from admmflex.coordination.mixing import Mix, Mixer
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import meets_limits, proves
from admmflex.dso import Dso
from admmflex.horizon import Array


@dataclass(frozen=True)
class Dual:
    """Prices (2, B, K) [EUR/kWh, EUR/kvarh], and the cost that no plan within the linearised limits undercuts [EUR]."""

    price: Array
    bound: float


def bound(exchange: Exchange, price: Array, least: float) -> Dual:
    """A bound from below by weak duality, at prices ``(K_own, 2 B)`` made of multipliers of the linearised limits.

    sum_i min_y ( C_i(y) - sum_t dt_t lam_t' y_t )  +  min over z within the limits of sum_t dt_t lam_t' z_t

    The second term is ``least``, of the own steps. Prosumers who are held can do nothing but what they told last;
    nothing is proven (-inf) where somebody else did not answer.
    """
    everywhere = exchange.everywhere(price)
    own, cost = exchange.ask_all(everywhere, 0.0)
    earned = np.einsum("k,kj,kj->", exchange.community.dt_h[exchange.steps], price, own)
    value = cost + float(exchange.comm.sum(np.array([least - earned]))[0])
    return Dual(everywhere, value if exchange.complete else -np.inf)


def last_bound(exchange: Exchange, dso: Dso, own: Array) -> float:
    """The bound that the grid's last multipliers give for its limits linearised at bus sums ``(K_own, 2 B)``."""
    before = dso.origin.copy()
    price = dso.reprice(own)
    found = bound(exchange, price, dso.least_value(exchange.community.dt_h[exchange.steps]))
    dso.relinearise(before)
    return found.bound


class Proving:
    """What prices prove of a mixed plan: those of the last round, or those of the mix itself."""

    def __init__(self, exchange: Exchange, dso: Dso, mixer: Mixer, settings: AdmmSettings) -> None:
        self.exchange, self.dso, self.mixer, self.settings = exchange, dso, mixer, settings

    def of_plan(self, mix: Mix, plan: Plan, price: Array, bound_eur: float) -> Dual:
        """The better one, of the grid linearised at the plan.

        Asked for only where ``bound_eur``, of the grid as linearised elsewhere, comes close.
        """
        if bound_eur < mix.cost and not proves(bound_eur, mix.cost, self.settings):
            return Dual(price, -np.inf)
        last = self.last(plan, price)
        return last if proves(last.bound, mix.cost, self.settings) else max(last, self.of_mix(mix), key=_bound)

    def last(self, plan: Plan, price: Array) -> Dual:
        """What the last prices prove of the grid linearised at a plan."""
        return Dual(price, last_bound(self.exchange, self.dso, self.exchange.by_bus(plan.y)))

    def of_mix(self, mix: Mix) -> Dual:
        """What the multipliers of the last mix prove."""
        price, least = self.mixer.dual(mix)
        return bound(self.exchange, price / self.exchange.community.dt_h[self.exchange.steps, None], least)


def _bound(dual: Dual) -> float:
    return dual.bound


class Averaging:
    """The mean of the last answers: feasible for every prosumer, and often good enough many rounds before they are.

    Answers to nearly linear costs swing about a limit; their mean meets it.
    """

    def __init__(self, exchange: Exchange, dso: Dso, settings: AdmmSettings) -> None:
        self.exchange, self.dso, self.settings = exchange, dso, settings
        self.averages = Averages()

    def proven(self, plan: Plan, own: Array, price: Array) -> tuple[Plan, Dual] | None:
        """The cheapest mean that meets the limits, if it is proven good enough.

        Args:
            plan, own: the answers of this round, and their bus sums ``(K_own, 2 B)``.
            price: (2, B, K) of this round.
        """
        self.averages.add(plan.y, plan.states, own)
        means = [mean for length in self.averages.lengths() if (mean := self._mean(length)) is not None]
        if not means:
            return None
        best = min(means, key=lambda mean: mean.cost)
        dual = Dual(price, last_bound(self.exchange, self.dso, self.exchange.by_bus(best.y)))
        return (best, dual) if proves(dual.bound, best.cost, self.settings) else None

    def _mean(self, length: int) -> Plan | None:
        """At what it costs, no more than the mean of the costs; None where it exceeds limits."""
        excess = self.exchange.comm.largest(self.dso.check(self.averages.own(length)).worst)
        if not meets_limits(excess, self.settings):
            return None
        y, states = self.averages.answer(length)
        return Plan(y, states, self.exchange.cost(y, states), excess)
