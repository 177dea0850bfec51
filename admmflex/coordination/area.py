"""One area of a region: those who live there, its grid, and where its coordination stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm, Coordinated
from admmflex.coordination.community import Community, Plan
from admmflex.coordination.proof import last_bound
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import meets_limits
from admmflex.dso import AreaDso, Outside
from admmflex.horizon import Array, IntArray
from grid import Limits, Network
from grid.arrays import ComplexArray

EASY = 0.2  # of the penalty: in areas without limits of their own, whose prices are small


@dataclass(frozen=True)
class Member:
    """An area as it enters a region.

    Args:
        network, limits: its grid; the slack is a bus of the trunk.
        node: which of the trunk's nodes that is.
        buses: (B,) positions of the prosumer buses in its network.
        community: its prosumers.
    """

    network: Network
    limits: Limits
    node: int
    buses: IntArray
    community: Community


class Agent:
    """An area under way: at rest after its first answers as long as they break no limit, then going, then found."""

    def __init__(self, member: Member, settings: AdmmSettings) -> None:
        hours = member.community.dt_h
        self.member, self.settings = member, settings
        v, nothing = np.full(len(hours), member.network.v_slack, np.complex128), np.zeros((2, len(hours)))
        self.outside = Outside(v, nothing, hours, nothing)
        self.dso = AreaDso(member.network, member.limits, member.buses, self.outside)
        self.admm = Admm(member.community, self.dso, SerialComm(), replace(settings, certify=False))
        self._rounds = self.admm.rounds()
        self.asked = next(self._rounds)
        self.resting = True
        self.found: Coordinated | None = None
        self.own = self.asked.own
        self.plan = self._answers()
        self.baseline = self.plan
        self._given, self._mobility = nothing, nothing

    @property
    def going(self) -> bool:
        return not self.resting and self.found is None

    @property
    def asked_of_all(self) -> int:
        """Answers of all its prosumers together."""
        return self.admm.exchange.answers * len(self.member.community.bus)

    @property
    def price(self) -> Array:
        """(2, B, K) that its prosumers were told last [EUR/kWh, EUR/kvarh]."""
        return self.admm.price

    @property
    def mixed_cost(self) -> tuple[float, float]:
        """Cost of its last plan [EUR], and whether it has none yet."""
        if self.resting or self.found is not None:
            return self.plan.cost, 0.0
        costs = [record["mix_cost_eur"] for record in self.admm.history if "mix_cost_eur" in record]
        return (costs[-1], 0.0) if costs else (0.0, 1.0)

    def tell(self, v: ComplexArray, price: Array) -> None:
        """Voltage of the slack ``(K,)`` and price of what is given there ``(2, K)``."""
        self.outside.v, self.outside.price = v, price

    def wake(self, *, own_limits: bool) -> None:
        """End the rest, for its own limits or only for the price from outside."""
        self.resting = False
        self.admm.rho *= 1.0 if own_limits else EASY

    def go(self) -> None:
        """The grid's step and the prosumers' next answers."""
        try:
            self.asked = next(self._rounds)
        except StopIteration as end:
            self.found = end.value
            self.plan = end.value.plan
            self.own = self.admm.exchange.by_bus(self.plan.y)

    def again(self, price: Array) -> None:
        """Mix past answers once more, for the voltage of now and a ``price (2, K)`` on top of the one from outside."""
        self.outside.price = self.outside.price + price
        self.outside.share = self._given + self._mobility * price
        self.plan = self.admm.again()
        self.own = self.admm.exchange.by_bus(self.plan.y)

    def stop(self) -> None:
        """Take the last answers as the plan."""
        if self.found is None:
            self.own, self.plan = self.asked.own, self._answers()

    def given(self) -> tuple[Array, Array, Array]:
        """(2, K) each: what the area gives at its operating point, what is projected of it, how far that moves."""
        self._mobility = self.dso.mobility(self.asked.mobility)
        if self.found is not None:
            self._given = self.dso.given(self.own, self.dso.power_flow(self.own))
            return self._given, self._given, self._mobility
        self._given = self.dso.linear_given(self.dso.origin)
        return self._given, self.dso.linear_given(self.asked.relaxed), self._mobility

    def voltage_price(self) -> Array:
        """(K,) what one pu more at the slack costs by the multipliers of the last projection [EUR/(kWh pu)]."""
        return self.dso.voltage_price(self.dso.rows.nu)

    def excess(self) -> Array:
        """As ``AcCheck.worst``, of the plan, or of the first answers of an area at rest, at the voltage of now."""
        return self.dso.check(self.own).worst

    def keeps_limits(self) -> bool:
        return meets_limits(self.excess(), self.settings)

    def bound(self) -> float:
        """A lower bound of the cost [EUR] at the price of now; see ``proof.bound``. Overwrites the last answers."""
        return last_bound(self.admm.exchange, self.dso, self.own)

    def _answers(self) -> Plan:
        population = self.member.community.population
        return Plan(population.y.copy(), population.state(), self.asked.cost, np.zeros(2))
