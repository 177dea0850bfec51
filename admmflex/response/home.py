"""Answers of homes with several storages, a priced generator or a limited connection, by a batched interior point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from admmflex.horizon import Array, BoolArray
from admmflex.prosumers.program import AssetPlan, program
from admmflex.prosumers.storages import StorageHomes, home_plans
from admmflex.prosumers.stores import moves, shortfall
from admmflex.response import _answer, _sources, pack
from admmflex.response.home_bound import lower_bound, objective
from admmflex.response.qp import OPTIMALITY, QpAnswer

STATES = ("take", "give", "energy", "gen", "shed", "reactive")
LOOSE = 1e-4  # of the objective: the roughest answer
CONNECTION = 1e-7  # kW: largest excess over a limit of the connection


class HomeResponse:
    """Answers for all homes of a rank that have storages but are no chain (see ``signal.Response``).

    A primal-dual interior point, L homes per instruction, warm-started from the last point. The point is then made
    exactly feasible: energies are rolled along the flows, which give way where the band could not be held; generation
    is chosen anew. Giving and taking at once is allowed, as in the common form of a flow, and undone where it does not
    pay; ``burn()`` tells how much is left, which is where consumption is paid for.

    Tolerance: 1e-9 of the objective in a first answer and without a penalty, when the objective serves as a bound;
    otherwise 1e-3 of what the movement of the signal is worth, at most ``loosest``: early answers are rough, late ones
    exact.

    Reactive power follows in the order of costs. Where an inverter polygon raises its cost, p and q are not optimal
    together; such a home is answered by the quadratic program, as is one that does not converge from a cold start.

    Attributes:
        fallbacks: answers of homes that did not converge; restarts: of those that did from a cold start only.
        coupled: (n,) homes whose inverter rating bound active and reactive power together in the last answer.
    """

    way: ClassVar[str] = "interior point"

    def __init__(self, homes: StorageHomes, loosest: float = LOOSE) -> None:
        self.homes, self.rows, self.loosest = homes, homes.rows, loosest
        self.fallbacks, self.restarts = 0, 0
        self.coupled: BoolArray = np.zeros(len(homes), np.bool_)
        self._held = homes.held()
        self._data = pack.natural(self._held)
        self._batches = [(chains, batch, pack.scratch(batch, chains)) for chains, batch in pack.batches(self._held)]
        self._answers = pack.no_answers(homes)
        self._source_q = np.zeros(homes.sources.q_max.shape)
        self._excess = np.zeros(len(homes))
        self._exact: dict[int, QpAnswer] = {}
        self._by_program: BoolArray = np.zeros(len(homes), np.bool_)
        self._y = np.zeros((2, len(homes), homes.horizon.steps))
        self._last_rho = np.array([-1.0])
        self._signal: tuple[Array, Array] | None = None

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """See ``Response.answer``; the arrays must be C-contiguous."""
        data, answers, rho = self._data, self._answers, float(rho)
        for chains, batch, scratch in self._batches:
            numbers = tuple(range(chains))
            _answer.answer(numbers, price, target, rho, self._last_rho[0], data, batch, answers, scratch, self.loosest)
        _sources.react(
            price, target, rho, data, self.homes.fixed_q, self.homes.sources, answers, self._source_q, out, self._excess
        )
        out[0, self.rows] = answers.p
        self._last_rho[0], self._signal = rho, (price, target)
        self.coupled = self._excess > OPTIMALITY * np.maximum(1.0, np.abs(answers.objective))
        beyond = np.maximum(answers.p - self.homes.export_limit[:, None], -self.homes.import_limit[:, None] - answers.p)
        failed = answers.failed | ~(beyond.max(axis=1) <= CONNECTION)
        self.fallbacks += int(failed.sum())
        self.restarts += int((answers.restarted & ~failed).sum())
        self._by_program = self.coupled | failed
        for i in np.flatnonzero(self._by_program):
            self._solve(int(i), price[:, self.homes.bus[i]], target[:, self.rows[i]], rho, out)
        np.take(out, self.rows, axis=1, out=self._y)

    def _solve(self, i: int, price: Array, target: Array, rho: float, out: Array) -> None:
        """Answer of home i by its quadratic program."""
        homes, answers = self.homes, self._answers
        if i not in self._exact:
            self._exact[i] = QpAnswer(program(homes.prosumers[i], homes.horizon), interior_first=True)
        exact = self._exact[i]
        out[:, self.rows[i]] = exact.solve(price, target, rho)
        one, roles, sources = exact.program, homes.roles[i], homes.sources
        values, steps = one.full(exact.x), homes.horizon.steps

        def at(start: int) -> Array:
            return values[start : start + steps]

        for c, j in enumerate(roles.storages):
            columns = one.columns[j]
            assert columns.energy is not None
            answers.take[i, c], answers.give[i, c] = at(columns.take), at(columns.give)
            answers.energy[i, c] = at(columns.energy)
        answers.gen[i] = sum((at(one.columns[j].give) for j in roles.free), start=np.zeros(steps))
        answers.shed[i] = 0.0 if roles.priced is None else at(one.columns[roles.priced].give)
        for k, j in enumerate(sources.flow[i]):
            if j >= 0:
                self._source_q[i, k] = at(one.columns[j].q_up) - at(one.columns[j].q_down)

    def cost(self) -> Array:
        """Own cost of the last answer ``(n,)`` [EUR]."""
        return self.evaluate_cost(self._y[0], self.state())

    def state(self) -> dict[str, Array]:
        """Trajectories of the last answer; valid until the next.

        take, give [kW] and energy [kWh] of the storages ``(n, C, K)``; gen, shed ``(n, K)`` [kW]; reactive of the
        sources ``(n, S, K)`` [kvar].
        """
        answers = self._answers
        parts = (answers.take, answers.give, answers.energy, answers.gen, answers.shed, self._source_q)
        return dict(zip(STATES, parts, strict=True))

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost ``(n,)`` [EUR] of powers p ``(n, K)`` with these trajectories."""
        homes, stores = self.homes, self.homes.stores
        rate = np.where(p < 0.0, -homes.import_price * p, -homes.export_price * p) + homes.shed_cost * state["shed"]
        rate += np.einsum("nck,nck->nk", stores.take_cost, state["take"])
        rate += np.einsum("nck,nck->nk", stores.give_cost, state["give"])
        rate += np.einsum("ns,nsk->nk", homes.sources.cost, np.abs(state["reactive"]))
        total: Array = rate @ homes.horizon.dt_h - np.einsum("nc,nc->n", stores.end_value, state["energy"][:, :, -1])
        return total

    def plans(self, state: Mapping[str, Array]) -> list[tuple[AssetPlan, ...]]:
        """What the assets of every home do in a (combination of) earlier state, in the order of ``homes.prosumers``."""
        return [home_plans(self.homes, i, state) for i in range(len(self.homes))]

    def certificate(self) -> Array:
        """Objective of the last answer minus a proven bound, ``(n,)`` [EUR]; the signal's arrays must be unchanged.

        NaN for homes that the quadratic program answered, which proves its answers itself.
        """
        if self._signal is None:
            return np.zeros(len(self.homes))
        price, target = self._signal[0][:, self.homes.bus], self._signal[1][:, self.rows]
        value = objective(self.homes, price, target, self._last_rho[0], self._y, self.cost())
        bound = lower_bound(self._held, price, target, self._last_rho[0], self._answers.nu, self._answers.mu)
        return np.where(self._by_program, np.nan, value - bound)

    def burn(self) -> Array:
        """Energy taken and given at the same time by one storage in the last answer ``(n,)`` [kWh]."""
        both = np.minimum(self._answers.give, self._answers.take).sum(axis=1)
        burnt: Array = both @ self.homes.horizon.dt_h
        return burnt

    def warm(self) -> dict[str, NDArray[Any]]:
        """The last answers and iterates, and the penalty they belong to."""
        found: dict[str, NDArray[Any]] = {"rho": self._last_rho, **self._answers._asdict()}
        for number, (_, batch, _) in enumerate(self._batches):
            found |= {f"box{number}": batch.box, f"step{number}": batch.step}
        return found

    def counts(self) -> dict[str, float]:
        """See ``Response.counts``."""
        return {"fallbacks": self.fallbacks, "coupled_homes": self.coupled.sum(), "burnt_kwh": self.burn().sum()}

    @property
    def shortfall(self) -> Array:
        """Energy by which a home cannot keep some storage within its band, ``(n,)`` [kWh]; prices do not matter."""
        stores = self.homes.stores
        limits = moves(stores, self.homes.horizon.dt_h)
        by_store = shortfall(stores.e_start, (stores.e_min, stores.e_max), limits, stores.keep, stores.gain)
        worst: Array = by_store.max(axis=1)
        return worst
