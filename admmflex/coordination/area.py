"""One area of a region: those who live there, its grid, and where its coordination stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.community import Community, Plan
from admmflex.coordination.coordinated import Coordinated, Status
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
        self.stopped = False
        self.own = self.asked.own
        self._given = self._projected()
        self._looked, self._room = v, -np.inf
        self.plan = self._answers()
        self.baseline = self.plan

    @property
    def done(self) -> bool:
        return self.found is not None or self.stopped

    @property
    def going(self) -> bool:
        return not self.resting and not self.done

    @property
    def status(self) -> Status:
        return "optimal" if self.found is None else self.found.status

    @property
    def asked_of_all(self) -> int:
        """Answers of all its prosumers together."""
        return self.admm.exchange.answers * len(self.member.community.bus)

    @property
    def price(self) -> Array:
        """(2, B, K) that its prosumers were told last [EUR/kWh, EUR/kvarh]."""
        return self.admm.price

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

    def again(self) -> None:
        """Mix past answers once more, for the voltage and the price of now."""
        self.plan = self.admm.again()
        self.own = self.admm.exchange.by_bus(self.plan.y)

    @property
    def mixes(self) -> bool:
        """Whether its plan is a mix of answers; areas without limits of their own need none."""
        return self.admm.best is not None or len(self.dso.rows) > 0

    @property
    def known(self) -> tuple[float, float]:
        """Cost of the plan of now and a bound from below [EUR]; infinite as long as no mix meets the limits.

        The answers of areas that need no mix are their plans, and count as their bounds.
        """
        cost = self.asked.cost if self.found is None else self.plan.cost
        if not self.resting and self.mixes:
            bounds = [record["bound_eur"] for record in self.admm.history if "bound_eur" in record]
            cost = cost if self.found is not None else self.admm.best[0].cost if self.admm.best else np.inf
            return cost, min(cost, max(bounds, default=-np.inf))
        return cost, cost

    def stop(self) -> None:
        """Take the best plan so far."""
        if not self.done:
            self.stopped = not self.resting
            self.plan = self.admm.best[1] if self.admm.best is not None else self._answers()
            self.own = self.admm.exchange.by_bus(self.plan.y)

    def given(self) -> tuple[Array, Array, Array]:
        """(2, K) each: what the area gives at its operating point, what is projected of it, how far that moves."""
        if self.resting:
            return self._given
        if self.done:
            now = self.dso.given(self.own, self.dso.power_flow(self.own))
            self._given = now, now, np.zeros_like(now)
        else:
            self._given = self._projected()
        return self._given

    def _projected(self) -> tuple[Array, Array, Array]:
        now = self.dso.linear_given(self.dso.origin)
        return now, self.dso.linear_given(self.asked.relaxed), self.dso.mobility(self.asked.mobility)

    def breaks_limits(self) -> bool:
        """Whether the first answers break a limit at the voltage of now; looked at when it has moved enough to matter.

        Voltages and currents within an area move by about as much as the voltage of its slack, at most twice.
        """
        if float(np.abs(self.outside.v - self._looked).max()) > 0.5 * self._room:
            flow = self.dso.power_flow(self.own)
            limits, now = self.member.limits.excess(flow.v), self.dso.given(self.own, flow)
            self._looked, self._room = self.outside.v, -max(float(one.max(initial=-1.0)) for one in limits)
            self._given = now, now, self._given[2]
        return self._room < 0.0

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
        answer = self.admm.exchange.trust.last
        assert answer is not None
        return Plan(answer.y, answer.states, self.asked.cost, np.zeros(2))
