"""One area of a region: those who live there, its grid, and where its coordination stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm, Coordinated
from admmflex.coordination.community import Community, Plan
from admmflex.coordination.mixing import Mix
from admmflex.coordination.proof import bound, last_bound
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import meets_limits
from admmflex.dso import AreaDso, Outside
from admmflex.horizon import Array, IntArray
from grid import Limits, Network
from grid.arrays import ComplexArray


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
        v = np.full(len(hours), member.network.v_slack, np.complex128)
        self.outside = Outside(v, np.zeros((2, len(hours))), hours, np.zeros((2, len(hours))))
        self.dso = AreaDso(member.network, member.limits, member.buses, self.outside)
        self.admm = Admm(member.community, self.dso, SerialComm(), replace(settings, certify=False))
        self._rounds = self.admm.rounds()
        self.asked = next(self._rounds)
        self.resting = True
        self.found: Coordinated | None = None
        self._mix: Mix | None = None
        self.plan = Plan(np.zeros(0), (), self.asked.cost, np.zeros(2))
        self.own = self.asked.own

    @property
    def going(self) -> bool:
        return not self.resting and self.found is None

    def tell(self, v: ComplexArray, price: Array) -> None:
        """Voltage of the slack ``(K,)`` and price of what is given there ``(2, K)``."""
        self.outside.v, self.outside.price = v, price

    def go(self) -> None:
        """The grid's step and the prosumers' next answers."""
        self.resting = False
        try:
            self.asked = next(self._rounds)
        except StopIteration as end:
            self.found = end.value
            self.plan, self._mix = self.found.plan, self.found.mix
            self.own = self.admm.exchange.by_bus(self.plan.y)

    def again(self) -> None:
        """Mix past answers once more, for the voltage and the price of now."""
        self._mix, self.plan = self.admm.again()
        self.own = self._mix.x

    def given(self) -> tuple[Array, Array, Array]:
        """(2, K) each: what the area gives at its operating point, what is projected of it, how far that moves."""
        if self.found is not None:
            now = self.dso.given(self.own, self.dso.power_flow(self.own))
            return now, now, np.zeros_like(now)
        now = self.dso.linear_given(self.dso.origin)
        return now, self.dso.linear_given(self.asked.relaxed), self.dso.mobility(self.asked.mobility)

    def voltage_price(self) -> Array:
        """(K,) see ``AreaDso.voltage_price``."""
        return self.dso.voltage_price(self.dso.rows.nu)

    def excess(self) -> Array:
        """As ``AcCheck.worst``, of the plan or of the first answers, at the voltage of now."""
        return self.dso.check(self.own if not self.resting else self.asked.own).worst

    def keeps_limits(self) -> bool:
        return meets_limits(self.excess(), self.settings)

    def bound(self) -> float:
        """A lower bound of the cost [EUR] at the price of now; see ``proof.bound``. Overwrites the last answers."""
        return last_bound(self.admm.exchange, self.dso, self.own)

    def rest(self) -> None:
        """Take the first answers as the plan of an area that never had to do more."""
        population = self.member.community.population
        self.plan = Plan(population.y.copy(), population.state(), self.asked.cost, self.excess())
