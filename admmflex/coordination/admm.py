"""Price coordination: consensus ADMM between prosumers and the linearised grid, relinearised in every round.

    prosumer i : y_i <- argmin C_i(y) + sum_t dt_t ( -lam_b,t' y_t + rho/2 |y_t - z_i,t|^2 )
    DSO        : Z   <- argmin sum_b rho / (2 n_b) |Z_b - (Yr_b - n_b lam_b / rho)|^2   s.t. linearised limits
    price      : lam <- -A' nu                        ( = lam + rho (Z_b - Yr_b) / n_b, by the optimality of the DSO step)
    share      : z_i <- yr_i + (Z_b - Yr_b) / n_b

with yr = relaxation y + (1 - relaxation) z, capital letters sums over the prosumers of a bus, nu the multipliers of the grid
rows and A their gradient. n_b counts the prosumers of a bus that can move p (or q) in the step, so that the DSO never asks for
what nobody can do. There is one price per bus and step for p and one for q.

Source: Grammatikos et al., price-based control with ADMM; over-relaxation after Boyd et al., 2011, section 3.4.3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination._consensus import sum_by_bus, take_share
from admmflex.coordination.mixing import Mix, Mixer
from admmflex.coordination.penalty import Balancing
from admmflex.dso import Dso
from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.response.population import Population

FIRST_RHO = 1e-4  # of the first answer, at no price: identical devices spread instead of moving together


@dataclass(frozen=True)
class MixingSettings:
    """When past answers are mixed: from answer ``first`` on, every ``every`` answers, over the last ``window``."""

    first: int = 10
    every: int = 4
    window: int = 15


@dataclass(frozen=True)
class AdmmSettings:
    """Settings of the coordination; the defaults suit low-voltage grids and need no tuning.

    ``rho`` [EUR/kW^2h] is where the balancing starts. The run stops when the plan meets the limits in an AC power flow within
    ``voltage_tolerance`` [pu] and ``loading_tolerance`` [fraction] and its cost moves less than ``cost_tolerance`` (relative).
    """

    rho: float = 0.01
    relaxation: float = 1.6
    balancing: Balancing | None = field(default_factory=Balancing)
    mixing: MixingSettings | None = field(default_factory=MixingSettings)
    max_iterations: int = 200
    cost_tolerance: float = 2e-4
    voltage_tolerance: float = 1e-4
    loading_tolerance: float = 1e-3
    refresh_every: int = 1


@dataclass(frozen=True)
class Community:
    """The prosumers that a rank owns.

    ``bus (n,)`` is ascending and indexes the B prosumer buses; ``flexible (2, n, K)`` says where p and q can move; ``dt_h (K,)``;
    ``price_scale`` [EUR/kWh] is a typical tariff.
    """

    population: Population
    bus: IntArray
    flexible: BoolArray
    dt_h: Array
    price_scale: float


@dataclass(frozen=True)
class Coordinated:
    """What came out: ``status`` is "optimal", "infeasible" or "not_converged".

    ``y (2, n, K)`` the plans of the rank's prosumers, ``states`` their assets' trajectories by response, ``price (2, B, K)``;
    ``baseline (2, n, K)`` the answers at no price; costs in EUR for all ranks; ``excess`` [pu, fraction] over the limits in AC.
    """

    status: str
    y: Array
    states: tuple[dict[str, Array], ...]
    price: Array
    cost: float
    excess: Array
    baseline: Array
    baseline_cost: float
    iterations: int
    answers: int
    history: list[dict[str, Any]]


@dataclass
class _Memory:
    """The last answers of the rank's prosumers, for a mixed plan."""

    answers: deque[Array]
    states: deque[tuple[dict[str, Array], ...]]

    def combine(self, weights: Array, bus: IntArray, population: Population) -> tuple[Array, tuple[dict[str, Array], ...]]:
        """The combination with the weights ``(L, B)`` of each prosumer's bus."""
        share = weights[:, bus]
        y = np.einsum("li,lcik->cik", share, np.array(self.answers))
        states = []
        for position, response in enumerate(population.responses):
            own = share[:, response.rows]
            past = [states[position] for states in self.states]
            states.append({name: _weighted(own, [state[name] for state in past]) for name in past[0]})
        return y, tuple(states)


def _weighted(weights: Array, values: list[Array]) -> Array:
    return np.asarray(sum(w.reshape(-1, *[1] * (v.ndim - 1)) * v for w, v in zip(weights, values, strict=True)))


class Admm:
    """One coordination run; ``run()`` does it all."""

    def __init__(
        self,
        community: Community,
        dso: Dso,
        comm: Comm,
        settings: AdmmSettings,
        observe: Callable[[dict[str, Any]], None] = lambda record: None,
    ) -> None:
        self.community, self.dso, self.comm, self.settings, self.observe = community, dso, comm, settings, observe
        n_steps, n_buses = len(community.dt_h), len(dso.buses)
        self.n_buses = n_buses
        self.rho = settings.rho
        self.z = np.zeros_like(community.population.y)
        self.price = np.zeros((2, n_buses, n_steps))
        self.sums = np.empty((n_steps, 2 * n_buses))
        self.count = self._sum_by_bus(community.flexible.astype(float))
        self.bus_z = np.zeros_like(self.count)
        self.bus_price = np.zeros_like(self.count)
        self.history: list[dict[str, Any]] = []
        self.answers = 0
        mixing = settings.mixing
        price = 100.0 * community.price_scale * float(community.dt_h.max())
        self.mixer = Mixer(dso.twin(), comm, mixing.window, price) if mixing else None
        self.memory = _Memory(deque(maxlen=mixing.window), deque(maxlen=mixing.window)) if mixing else None

    def run(self) -> Coordinated:
        settings = self.settings
        last_mix: Mix | None = None
        for iteration in range(1, settings.max_iterations + 1):
            y, own, bus_cost = self._answer(iteration)
            if iteration == 1:
                baseline, baseline_cost = y.copy(), float(bus_cost.sum())
            residual = self._dso_step(y, own, iteration)
            excess = self.comm.largest(self.dso.check(own).worst)
            record = {
                "iteration": iteration,
                "rho": self.rho,
                "primal": residual[0],
                "dual": residual[1],
                "cost_eur": float(bus_cost.sum()),
                "voltage_excess_pu": float(excess[0]),
                "loading_excess": float(excess[1]),
                "rows": len(self.dso.rows),
            }
            mix = self._mix(iteration)
            if mix is not None:
                record |= {
                    "mix_cost_eur": mix.cost,
                    "mix_voltage_excess_pu": float(mix.excess[0]),
                    "mix_loading_excess": float(mix.excess[1]),
                    "mix_slack_kw": mix.slack,
                }
            self.history.append(record)
            self.observe(record)
            if mix is not None:
                if last_mix is not None and self._good(mix.excess) and self._settled(last_mix.cost, mix.cost):
                    y, states = self.memory.combine(mix.weights, self.community.bus, self.community.population)
                    return self._result("optimal", y, states, mix.cost, mix.excess, baseline, baseline_cost, iteration)
                last_mix = mix
            if self._steady():
                states = self.community.population.state()
                return self._result("optimal", y, states, record["cost_eur"], excess, baseline, baseline_cost, iteration)
            if settings.balancing:
                self.rho = settings.balancing.update(self.rho, iteration, residual[0], residual[1])
        states = self.community.population.state()
        return self._result("not_converged", y, states, record["cost_eur"], excess, baseline, baseline_cost, iteration)

    def _good(self, excess: Array) -> bool:
        return bool(excess[0] <= self.settings.voltage_tolerance and excess[1] <= self.settings.loading_tolerance)

    def _settled(self, before: float, after: float) -> bool:
        return abs(after - before) <= self.settings.cost_tolerance * max(abs(after), 1e-9)

    def _steady(self, rounds: int = 4) -> bool:
        """The answers themselves met the limits, and the cost stood still, in the last rounds."""
        recent = self.history[-rounds:]
        if len(recent) < rounds:
            return False
        good = all(self._good(np.array([r["voltage_excess_pu"], r["loading_excess"]])) for r in recent)
        costs = [r["cost_eur"] for r in recent]
        return good and self._settled(min(costs), max(costs)) and recent[-1]["primal"] < 1e-2

    def _answer(self, iteration: int) -> tuple[Array, Array, Array]:
        """Ask the prosumers: their plans, the own steps of the bus sums ``(K_own, 2 B)``, and the cost at every bus."""
        community = self.community
        rho = FIRST_RHO if iteration == 1 else self.rho
        y = community.population.answer(self.price, self.z, rho)
        self.answers += 1
        own = self._sum_by_bus(y)
        cost = np.bincount(community.bus, community.population.cost(), self.n_buses)
        bus_cost = self.comm.sum(cost)
        if self.mixer is not None and self.memory is not None:
            self.mixer.record(own, bus_cost)
            self.memory.answers.append(y.copy())
            self.memory.states.append(community.population.state())
        return y, own, bus_cost

    def _sum_by_bus(self, y: Array) -> Array:
        sum_by_bus(y, self.community.bus, self.n_buses, self.sums)
        return self.comm.scatter_steps(self.sums).copy()

    def _dso_step(self, y: Array, own: Array, iteration: int) -> tuple[float, float]:
        """Project the bus sums, move the prices, hand every prosumer its share; relative primal and dual residual."""
        relaxation = self.settings.relaxation if iteration > 1 else 1.0
        if iteration == 1:
            self.bus_z, self.z[:] = own.copy(), y
        relaxed = relaxation * own + (1.0 - relaxation) * self.bus_z
        if iteration <= 2 or iteration % self.settings.refresh_every == 0:
            self.dso.relinearise(self.bus_z)
        mobility = self.count / self.rho
        self.bus_z, self.bus_price = self.dso.project(relaxed - mobility * self.bus_price, mobility)
        shift = np.where(self.count > 0, (self.bus_z - relaxed) / np.maximum(self.count, 1.0), 0.0)
        message = self.comm.gather_steps(np.concatenate([shift, self.bus_price], axis=1))
        message = message.T.reshape(2, 2, self.n_buses, -1)
        self.price = np.ascontiguousarray(message[1])
        squares = np.zeros((4, self.n_buses))
        take_share(
            y, self.z, self.community.flexible, np.ascontiguousarray(message[0]), relaxation, self.community.bus, squares
        )
        primal, dual, size_y, size_z = np.sqrt(self.comm.sum(squares).sum(axis=1))
        price = max(float(np.linalg.norm(self.price)), self.community.price_scale * np.sqrt(self.price.size / 2))
        return primal / max(size_y, size_z, 1e-9), self.rho * dual / price

    def _mix(self, iteration: int) -> Mix | None:
        mixing = self.settings.mixing
        if mixing is None or self.mixer is None or iteration < mixing.first or (iteration - mixing.first) % mixing.every:
            return None
        return self.mixer.mix()

    def _result(
        self,
        status: str,
        y: Array,
        states: tuple[dict[str, Array], ...],
        cost: float,
        excess: Array,
        baseline: Array,
        baseline_cost: float,
        iteration: int,
    ) -> Coordinated:
        return Coordinated(
            status=status, y=y.copy(), states=states, price=self.price, cost=cost, excess=excess, baseline=baseline,
            baseline_cost=baseline_cost, iterations=iteration, answers=self.answers, history=self.history,
        )  # fmt: skip
