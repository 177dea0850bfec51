"""Price coordination of many areas behind one trunk, each with its own working set, penalty and mix.

An area is coordinated like a grid of its own (``Admm``), pausing in every round between the answers of its prosumers
and its own step. In these pauses the trunk sees what the areas would give and how far that moves, meets its own limits,
and returns to every area the voltage of its slack and a price of what it gives: dual block-coordinate ascent, first the
multipliers of the trunk, then those of all areas side by side.

Where a limit of the trunk binds, areas would have to share it out, and no mix of one area knows what the others need:
then the region is given up, to be coordinated as a whole.

Areas whose own answers break no limit rest: they are not asked again unless the price from outside concerns them. So
the work is where the congestion is. Ranks own areas, and what they exchange has the size of the trunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.area import Agent, Member
from admmflex.coordination.coordinated import Status
from admmflex.coordination.infeasible import Shortfall
from admmflex.coordination.settings import AdmmSettings, MixingSettings
from admmflex.coordination.stopping import EXCESS, meets_limits, proves
from admmflex.coordination.trunk import Exchanged, Trunk
from admmflex.horizon import Array
from grid.arrays import ComplexArray

CLOSINGS = 12  # times that areas which are done mix again, until the voltages between them stand still
NOTICED = 2e-3  # of a typical tariff: a price from outside that an area at rest wakes up for
FIRST_MIX, EVERY = 12, 3  # an answer costs an area less than a mix
SHRINK, LEAST = 0.5, 0.25  # of the penalty, see ``MixingSettings``: smaller ones set areas swinging against each other
SHOWN = ("rho", "primal", "dual", *EXCESS[:2])
Observe = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Agreement:
    """What came out; ``agents`` of this rank hold the plans.

    Args:
        excess: of all areas and the trunk, as ``AcCheck.worst``.
        cost, lower_bound: of all areas [EUR].
        shortfall: an area of this rank that cannot meet its limits.
        rounds: that the slowest area went.
        asked: answers of all prosumers together.
    """

    status: Status
    agents: tuple[Agent, ...]
    excess: Array
    cost: float
    lower_bound: float | None
    shortfall: tuple[Agent, Shortfall] | None
    rounds: int
    asked: int
    history: list[dict[str, Any]]


class Region:
    """One coordination; ``run`` does it all.

    Args:
        members: the rank's areas.
        trunk: the same on every rank.
        observe: told every round's record, on every rank.
    """

    def __init__(
        self, members: Sequence[Member], trunk: Trunk, comm: Comm, settings: AdmmSettings, observe: Observe
    ) -> None:
        self.trunk, self.comm, self.observe, self.settings = trunk, comm, observe, settings
        mixing = settings.mixing or MixingSettings()
        gentle = replace(mixing, first=max(mixing.first, FIRST_MIX), every=EVERY, shrink=SHRINK, least=LEAST)
        inner = replace(settings, mixing=gentle)
        self.agents = tuple(Agent(member, inner) for member in members)
        size, count = self._sum(2, ([abs(agent.asked.cost), 1.0] for agent in self.agents))
        for agent in self.agents:
            agent.admm.settings = replace(agent.admm.settings, cost_scale=float(size / count))
        self.history: list[dict[str, Any]] = []

    def run(self) -> Agreement | None:
        """Go round until every area rests or has its plan, or the plans of all are proven good enough together.

        None as soon as a limit of the trunk binds.
        """
        while True:
            self._tell(*self.trunk.step(self._exchanged()))
            if self.trunk.binds:
                return None
            going = [agent for agent in self.agents if agent.going or self._wakes(agent)]
            if not self._count(going):
                break
            for agent in going:
                agent.go()
            self._record(len(going))
            if self._count([agent for agent in self.agents if agent.status == "infeasible"]) or self._good():
                break
        for agent in self.agents:
            agent.stop()
        for _ in range(CLOSINGS):
            if not self._close():
                break
        return self._agreed()

    def _good(self) -> bool:
        """Whether the plans of now are proven good enough together."""
        cost, bound = self._sum(2, (agent.known for agent in self.agents))
        return bool(np.isfinite(cost)) and proves(float(bound), float(cost), self.settings)

    def _close(self) -> bool:
        """Areas whose plans break limits at the voltages of now mix again; whether there was any."""
        self._tell(self.trunk.settle(self._exchanged().now), self.trunk.price)
        late = [agent for agent in self.agents if agent.done and agent.mixes and not agent.keeps_limits()]
        for agent in late:
            agent.again()
        return self._count(late) > 0

    def _wakes(self, agent: Agent) -> bool:
        """Whether an area at rest has to go on, for its own limits or for the price from outside."""
        if not agent.resting:
            return False
        beyond = agent.breaks_limits()
        noticed = bool(np.abs(agent.outside.price).max() > NOTICED * agent.member.community.price_scale)
        if beyond or noticed:
            agent.wake(own_limits=beyond)
        return beyond or noticed

    def _exchanged(self) -> Exchanged:
        """What the areas of all ranks give, by node."""
        n_nodes, steps = len(self.trunk.nodes), len(self.trunk.price)
        sums = np.zeros((7, n_nodes, steps))
        for agent in self.agents:
            sums[:6, agent.member.node] += np.concatenate(agent.given())
            sums[6, agent.member.node] += agent.voltage_price()
        sums = self.comm.sum(sums.reshape(7 * n_nodes, steps)).reshape(sums.shape)
        now, relaxed, mobility = (np.concatenate(sums[c : c + 2]).T.copy() for c in (0, 2, 4))
        return Exchanged(now, relaxed, mobility, sums[6])

    def _tell(self, v: ComplexArray, price: Array) -> None:
        """Voltages of the nodes ``(N, K)`` and prices there ``(K, 2 N)``, to the areas."""
        for agent in self.agents:
            node = agent.member.node
            agent.tell(v[node], price[:, [node, len(v) + node]].T)

    def _agreed(self) -> Agreement:
        excess = self._excess()
        status = self._overall(excess)
        cost, asked = self._sum(2, ([one.plan.cost, float(one.asked_of_all)] for one in self.agents))
        bound = self._bound() if self.settings.certify and status == "optimal" else None
        rounds = int(self._most(float(len(agent.admm.history)) for agent in self.agents))
        short = [(one, one.found.shortfall) for one in self.agents if one.found is not None and one.found.shortfall]
        first = short[0] if short else None
        return Agreement(status, self.agents, excess, cost, bound, first, rounds, int(asked), self.history)

    def _overall(self, excess: Array) -> Status:
        found = [agent.status for agent in self.agents]
        infeasible, unfinished = self._sum(
            2, ([float(one == "infeasible"), float(one == "not_converged")] for one in found)
        )
        if infeasible:
            return "infeasible"
        return "optimal" if not unfinished and meets_limits(excess, self.settings) else "not_converged"

    def _bound(self) -> float:
        """A lower bound of the cost [EUR]: every area's at one price from outside, and what the trunk adds."""
        x = self._exchanged()
        v = self.trunk.settle(x.now)
        self._tell(v, self.trunk.own_price() + self.trunk.common_price(x.voltage_price))
        return float(self._sum(1, ([agent.bound()] for agent in self.agents))[0]) + self.trunk.proven()

    def _excess(self) -> Array:
        """Largest excess over the limits of trunk and areas in the AC power flow of the plans."""
        x = self._exchanged().now
        self._tell(self.trunk.settle(x), self.trunk.price)
        parts = [self.trunk.check(x), *(agent.excess() for agent in self.agents)]
        return self.comm.largest(np.max(parts, axis=0))

    def _record(self, going: int) -> None:
        """What is told of a round."""
        last = [one.admm.history[-1] if one.admm.history else {"cost_eur": one.asked.cost} for one in self.agents]
        cost, rows = self._sum(2, ([one["cost_eur"], float(one.get("rows", 0))] for one in last))
        most = [self._most(one.get(name, 0.0) for one in last) for name in SHOWN]
        record = {"iteration": len(self.history) + 1, "cost_eur": float(cost), **dict(zip(SHOWN, most, strict=True))}
        record |= {"rows": int(rows), "areas": int(self._sum(1, [[float(going)]])[0])}
        record["answers"] = int(self._most(float(agent.admm.exchange.answers) for agent in self.agents))
        self.history.append(record)
        self.observe(record)

    def _sum(self, width: int, rows: Iterable[Sequence[float]]) -> Array:
        """Sums of the columns over all ranks."""
        return self.comm.sum(np.array(list(rows), np.float64).reshape(-1, width).sum(axis=0))

    def _count(self, agents: Sequence[Agent]) -> int:
        return int(self._sum(1, [[float(len(agents))]])[0])

    def _most(self, values: Iterable[float]) -> float:
        return float(self.comm.largest(np.array([max(values, default=0.0)]))[0])
