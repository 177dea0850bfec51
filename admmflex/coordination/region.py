"""Price coordination of many areas behind one trunk, each with its own working set, penalty and mix.

An area is coordinated like a grid of its own (``Admm``), pausing in every round between the answers of its prosumers and
its own step. In these pauses the trunk sees what the areas would give and how far that moves, meets its own limits, and
returns to every area the voltage of its slack and a price of what it gives: dual block-coordinate ascent, first the
multipliers of the trunk, then those of all areas side by side.

Areas whose own answers break no limit rest: they are not asked again unless the price from outside concerns them. So the
work is where the congestion is. Ranks own areas, and what they exchange has the size of the trunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.admm import Status
from admmflex.coordination.area import Agent, Member
from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import EXCESS, meets_limits
from admmflex.coordination.trunk import Exchanged, Trunk
from admmflex.horizon import Array
from grid.arrays import ComplexArray

CLOSINGS = 12  # times that areas which are done mix again, until the voltages between them stand still
NOTICED = 2e-3  # of a typical tariff: a price from outside that an area at rest wakes up for
Observe = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Agreement:
    """What came out; ``agents`` of this rank hold the plans.

    Args:
        excess: of all areas and the trunk, as ``AcCheck.worst``.
        cost, lower_bound: of all areas [EUR].
        rounds: that the slowest area went.
        asked: answers of all prosumers together.
    """

    status: Status
    agents: tuple[Agent, ...]
    excess: Array
    cost: float
    lower_bound: float | None
    rounds: int
    asked: int
    history: list[dict[str, Any]]


class Region:
    """One coordination; ``run`` does it all.

    Args:
        members: the rank's areas.
        trunk: the same on every rank.
    """

    def __init__(
        self, members: Sequence[Member], trunk: Trunk, comm: Comm, settings: AdmmSettings, observe: Observe
    ) -> None:
        self.trunk, self.comm, self.observe = trunk, comm, observe
        self.agents = tuple(Agent(member, settings) for member in members)
        size, count = self._sum([abs(agent.asked.cost) for agent in self.agents]), self._sum([1.0] * len(self.agents))
        self.settings = replace(settings, cost_scale=max(size / count, settings.cost_scale))
        for agent in self.agents:
            agent.admm.settings = replace(agent.admm.settings, cost_scale=self.settings.cost_scale)
        self.history: list[dict[str, Any]] = []

    def run(self) -> Agreement:
        """Go round until every area rests or has its plan, and all plans together meet the limits."""
        closings, rounds = 0, 0
        while True:
            v, price = self.trunk.step(self._exchanged())
            self._tell(v, price)
            going = [agent for agent in self.agents if self._wakes(agent)]
            if self._sum([float(len(going))]):
                rounds += 1
                for agent in going:
                    agent.go()
                self._record(rounds, len(going))
                continue
            late = [agent for agent in self.agents if agent.found is not None and not agent.keeps_limits()]
            if not self._sum([float(len(late))]) or closings == CLOSINGS:
                return self._agreed(rounds)
            closings += 1
            for agent in late:
                agent.again()

    def _wakes(self, agent: Agent) -> bool:
        """Whether an area goes on: it is under way, or the trunk's price or its own limits end its rest."""
        if not agent.resting:
            return agent.found is None

        noticed = NOTICED * agent.member.community.price_scale
        return bool(np.abs(agent.outside.price).max() > noticed) or bool((agent.excess() > 0.0).any())

    def _exchanged(self) -> Exchanged:
        """What the areas of all ranks give, by node."""
        n_nodes, steps = len(self.trunk.nodes), len(self.trunk.price)
        sums = np.zeros((7, n_nodes, steps))
        for agent in self.agents:
            now, relaxed, mobility = agent.given()
            sums[:6, agent.member.node] += np.concatenate([now, relaxed, mobility])
            sums[6, agent.member.node] += agent.voltage_price()
        sums = self.comm.sum(sums)
        now, relaxed, mobility = (np.concatenate(sums[c : c + 2]).T.copy() for c in (0, 2, 4))
        return Exchanged(now, relaxed, mobility, sums[6])

    def _tell(self, v: ComplexArray, price: Array) -> None:
        """Voltages of the nodes ``(N, K)`` and prices there ``(K, 2 N)``, to the areas."""
        n_nodes = len(v)
        for agent in self.agents:
            node = agent.member.node
            agent.tell(v[node], price[:, [node, n_nodes + node]].T)

    def _agreed(self, rounds: int) -> Agreement:
        for agent in self.agents:
            if agent.resting:
                agent.rest()
        excess = self._excess()
        found = [agent.found.status for agent in self.agents if agent.found is not None]
        infeasible, unfinished = (self._sum([float(found.count(status))]) for status in ("infeasible", "not_converged"))
        good = not unfinished and meets_limits(excess, self.settings)
        status: Status = "infeasible" if infeasible else "optimal" if good else "not_converged"
        cost = self._sum([agent.plan.cost for agent in self.agents])
        certify = self.settings.certify and status == "optimal"
        bound = self._bound() if certify else None
        asked = int(self._sum([float(agent.admm.exchange.answers * len(agent.member.community.bus)) for agent in self.agents]))
        return Agreement(status, self.agents, excess, cost, bound, rounds, asked, self.history)

    def _bound(self) -> float:
        """A lower bound of the cost [EUR]: every area's at one price from outside, and what the trunk adds."""
        x = self._exchanged()
        v = self.trunk.settle(x.now)
        self._tell(v, self.trunk.own_price() + self.trunk.common_price(x.voltage_price))
        return self._sum([agent.bound() for agent in self.agents]) + self.trunk.proven(self.agents[0].outside.dt_h)

    def _excess(self) -> Array:
        """Largest excess over the limits of trunk and areas in the AC power flow of the plans."""
        parts = [agent.excess() for agent in self.agents]
        parts.append(self.trunk.check(self._exchanged().now).worst)
        return self.comm.largest(np.max(parts, axis=0))

    def _record(self, iteration: int, going: int) -> None:
        """What is told of a round."""
        last = [agent.admm.history[-1] for agent in self.agents if not agent.resting]
        totals = self.comm.sum(
            np.array(
                [
                    sum(record["cost_eur"] for record in last) + sum(a.asked.cost for a in self.agents if a.resting),
                    float(sum(record["rows"] for record in last)),
                    float(going),
                ]
            )
        )
        names = ("rho", "primal", "dual", *EXCESS[:2])
        most = self.comm.largest(np.array([max((record[name] for record in last), default=0.0) for name in names]))
        record = {"iteration": iteration, "cost_eur": float(totals[0]), "rows": int(totals[1]), "areas": int(totals[2])}
        record |= dict(zip(names, most.tolist(), strict=True))
        record["answers"] = int(self.comm.largest(np.array([float(max(a.admm.exchange.answers for a in self.agents))]))[0])
        self.history.append(record)
        self.observe(record)

    def _sum(self, values: Sequence[float]) -> float:
        return float(self.comm.sum(np.array([sum(values)]))[0])
