"""Answers of prosumers of any composition: one sparse program each, solved by OSQP and checked by us.

    min  C(x) - (dt lam)'y(x) + rho/2 |y(x) - z|^2_dt    s.t.  low <= A x <= high,   x_min <= x <= x_max

A solver's status is not trusted. A point is accepted when it is feasible and when the bound on the optimum that follows
from its multipliers is close; what OSQP does not bring that far goes to Clarabel, and is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from admmflex.errors import SolverError, require
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.band import band_faults
from admmflex.prosumers.program import AssetPlan, Program, program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.signal import answer_each
from admmflex.response.solvers import Clarabel, Osqp, Point, QpSolver, Simplex, optimality_gap

FEASIBILITY = 1e-7  # kW, kvar, kWh: largest violation of a row that an answer may have
OPTIMALITY = 1e-9  # of what is paid and earned, and EUR where that is below 1 EUR: largest gap of an answer


class QpAnswer:
    """One prosumer's program and the solvers set up for it.

    Args:
        interior_first: ask Clarabel before OSQP, for programs that are hard or seldom solved.

    Attributes:
        x: the last answer.
        fallbacks: how many answers the first solver did not bring within the tolerance.
    """

    def __init__(self, one: Program, *, interior_first: bool = False) -> None:
        dt = sp.diags(one.dt_h)
        self.program, self.fallbacks, self.x = one, 0, np.zeros(len(one.cost))
        self.unit = (one.P.T @ dt @ one.P + one.Q.T @ dt @ one.Q).tocsc()
        self.quadratic: list[QpSolver] = [Osqp(one, self.unit), Clarabel(one, self.unit)]
        if interior_first:
            self.quadratic.reverse()
        self.linear: tuple[QpSolver, ...] = (Simplex(one), Clarabel(one, self.unit))

    def solve(self, price: Array, target: Array, rho: float) -> Array:
        """Powers ``(2, K)`` that are best for a price and a target ``(2, K)``."""
        one = self.program
        if not (np.isfinite(price).all() and np.isfinite(target).all() and np.isfinite(rho) and rho >= 0):
            raise SolverError(f"prosumer {one.prosumer.name!r}: price, target or rho is not finite, or rho is negative")
        if len(one.cost):
            pull = one.dt_h * (rho * (np.stack([one.p0, one.q0]) - target) - price)
            linear = one.cost + one.P.T @ pull[0] + one.Q.T @ pull[1]
            constant = one.cost_constant + float(one.dt_h @ _at_rest(one, price, target, rho))
            self.x = self._best(linear, constant, rho)
        return one.power(self.x)

    def _best(self, linear: Array, constant: float, rho: float) -> Array:
        for attempt, solver in enumerate(self.quadratic if rho > 0 else self.linear):
            point = solver.solve(linear, rho)
            if point is not None and self._accepted(point, linear, constant, rho):
                self.fallbacks += attempt
                return point.x
        raise SolverError(f"prosumer {self.program.prosumer.name!r}: no solver brought its answer within the tolerance")

    def _accepted(self, point: Point, linear: Array, constant: float, rho: float) -> bool:
        """Our own check of feasibility and optimality; false for NaN. Where earnings pay for costs both count."""
        curved = rho * (self.unit @ point.x)
        turnover = float(np.abs(point.x) @ np.abs(0.5 * curved + linear)) + abs(constant)
        gap = optimality_gap(self.program, curved + linear, point)
        return self.program.violation(point.x) <= FEASIBILITY and gap <= OPTIMALITY * max(1.0, turnover)


def _at_rest(one: Program, price: Array, target: Array, rho: float) -> Array:
    """Price and penalty terms of ``x = 0``, ``(K,)`` [EUR/h]."""
    power = np.stack([one.p0, one.q0])
    rest: Array = (0.5 * rho * (power - target) ** 2 - price * power).sum(axis=0)
    return rest


class QpResponse:
    """Answers of any built-in prosumers; a member of the response protocol.

    Args:
        prosumers: with assets whose data have no faults.
        rows: (n,) their positions in the rank's list.
        buses: (n,) positions of their buses in the network.
        horizon: K steps.

    Raises:
        InputError: prosumers whose stored energy cannot stay within its band, all of them.
    """

    way: ClassVar[str] = "quadratic program"

    def __init__(self, prosumers: Sequence[Prosumer], rows: IntArray, buses: IntArray, horizon: Horizon) -> None:
        self.rows, self.buses = np.asarray(rows, np.int64), np.asarray(buses, np.int64)
        self.answers = [QpAnswer(program(prosumer, horizon)) for prosumer in prosumers]
        require([fault for answer in self.answers for fault in band_faults(answer.program, horizon)])

    @property
    def fallbacks(self) -> int:
        """How many answers OSQP did not bring within the tolerance."""
        return sum(answer.fallbacks for answer in self.answers)

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """Answer ``price (2, n_bus, K)`` and ``target (2, n, K)``; writes its own rows of ``out (2, n, K)``."""
        answer_each([one.solve for one in self.answers], self.rows, self.buses, price, target, rho, out)

    def warm(self) -> dict[str, Array]:
        """Nothing: what OSQP goes on from changes answers by less than their tolerance."""
        return {}

    def counts(self) -> dict[str, float]:
        """See ``Response.counts``."""
        return {"fallbacks": self.fallbacks}

    def cost(self) -> Array:
        """Own cost of the last answers [EUR]."""
        return np.array([answer.program.own_cost(answer.x) for answer in self.answers])

    def plans(self, state: Mapping[str, Array]) -> list[tuple[AssetPlan, ...]]:
        """What the assets do in (combinations of) earlier states."""
        return [answer.program.plans(x[: len(answer.x)]) for answer, x in zip(self.answers, state["x"], strict=True)]

    def state(self) -> dict[str, Array]:
        """The variables of the programs, ``(n, most variables)``, zeros where a program has fewer."""
        x = np.zeros((len(self.answers), max((len(answer.x) for answer in self.answers), default=0)))
        for row, answer in zip(x, self.answers, strict=True):
            row[: len(answer.x)] = answer.x
        return {"x": x}

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost [EUR] at (combinations of) earlier states; the powers ``p`` follow from them."""
        programs = [answer.program for answer in self.answers]
        return np.array([one.own_cost(x[: len(one.cost)]) for one, x in zip(programs, state["x"], strict=True)])
