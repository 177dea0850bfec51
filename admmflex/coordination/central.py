"""The whole problem solved at once: the yardstick for every coordination scheme.

    min sum_i C_i(y_i)    s.t.  y_i in Y_i,   the AC power flow of the bus sums meets every limit

Sequential linear programming: linearise the limits at the AC power flow of the last plan, solve the whole program with
the rows that matter, repeat until the plan meets the limits in the AC power flow and its cost has settled. Rows are
accumulated: with one moving cut for each current the sequence cycles. A trust region shrinks when the excess over the
limits does not fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from admmflex.coordination.whole import Answer, Block, CvxpySolver, GridRows, HighsSolver, Solver
from admmflex.coordination.working_set import Point, WorkingSet, excess, operating_point
from admmflex.errors import require
from admmflex.horizon import Array, BoolArray, Horizon
from admmflex.prosumers.band import band_faults
from admmflex.prosumers.program import AssetPlan, program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.custom import CvxpyProsumer, cvxpy_models
from grid.limits import Limits
from grid.network import Network

Status = Literal["optimal", "infeasible", "not_converged"]
BINDING = 1e-6  # EUR per kW at the bus that moves the row most: below it a row does not bind
PATIENCE = 4  # relinearisations before the trust region or an early proof of infeasibility are tried
CLEARLY = 1e-3  # pu, fraction: excess that relinearising will not remove
FLAT = 1e-9  # 1/kW: a row that nobody moves


@dataclass(frozen=True)
class CentralSettings:
    """When to stop and how hard to insist.

    Args:
        violation: largest excess over a limit in the AC power flow [pu, or fraction of the rating].
        cost_change: relative change of the cost between two relinearisations.
        relinearisations, row_rounds: most relinearisations, and most rounds of adding rows in each.
        penalty: price of breaking a limit [EUR/kWh at the bus that moves it most].
        idle: relinearisations after which a row that does not bind is dropped.
        solver: "highs" (linear prosumers only) or a solver name of cvxpy; None chooses.
    """

    violation: float = 1e-6
    cost_change: float = 1e-6
    relinearisations: int = 40
    row_rounds: int = 30
    penalty: float = 1e3
    idle: int = 20
    solver: str | None = None


@dataclass(frozen=True)
class BindingRow:
    """A limit that costs money: ``multiplier`` in EUR per pu, ``excess`` in pu when no plan can meet it."""

    step: int
    kind: int
    index: int
    label: str
    multiplier: float
    excess: float


@dataclass(frozen=True)
class CentralResult:
    """The optimum and its prices.

    Attributes:
        cost, costs: total and of each prosumer ``(n,)`` [EUR].
        y: powers at the meters ``(2, n, K)`` [kW, kvar].
        price: ``(2, n_bus, K)`` [EUR/kWh, EUR/kvarh], ``lam = -A' mu / dt``; zero where no limit binds;
            those of an infeasible problem are the penalty's and mean nothing.
        plans: what the assets of each prosumer do; empty for cvxpy prosumers.
        rows: limits that bind; for an infeasible problem those that no plan can meet.
        violation: largest excess over each kind of limit in the AC power flow of ``y``, see ``AcCheck.worst``.
    """

    status: Status
    cost: float
    costs: Array
    y: Array
    price: Array
    plans: tuple[tuple[AssetPlan, ...], ...]
    rows: tuple[BindingRow, ...]
    violation: tuple[float, ...]
    relinearisations: int


def solve_central(
    network: Network,
    limits: Limits,
    prosumers: Sequence[Prosumer | CvxpyProsumer],
    horizon: Horizon,
    settings: CentralSettings | None = None,
) -> CentralResult:
    """Solve the whole problem.

    Args:
        network, limits: the grid.
        prosumers: behind buses of the network; those written in cvxpy take part with their own cost and constraints.
        horizon: K steps.

    Returns:
        The optimum (a local one: the limits are not convex) with status "optimal"; "infeasible" with the limits that no
        plan meets; "not_converged" with the last plan.

    Raises:
        InputError: unknown buses, stores that cannot stay within their band, cvxpy prosumers that are not convex.
        SolverError: the solver gave up.
    """
    case = _Case(network, limits, prosumers, horizon, settings or CentralSettings())
    return case.run()


class _Case:
    """The stacked programs, the rows that matter and the settings of one call."""

    def __init__(
        self,
        network: Network,
        limits: Limits,
        prosumers: Sequence[Prosumer | CvxpyProsumer],
        horizon: Horizon,
        settings: CentralSettings,
    ) -> None:
        position = network.positions([prosumer.bus for prosumer in prosumers])
        self.buses, self.bus = np.unique(position, return_inverse=True)
        self.network, self.limits, self.horizon, self.settings = network, limits, horizon, settings
        self.penalty = settings.penalty
        self.rows = WorkingSet(network, limits)
        self.before: Point | None = None
        self.programs = {i: program(one, horizon) for i, one in enumerate(prosumers) if isinstance(one, Prosumer)}
        require([fault for one in self.programs.values() for fault in band_faults(one, horizon)])
        custom = {i: one for i, one in enumerate(prosumers) if not isinstance(one, Prosumer)}
        self.models = cvxpy_models(custom, horizon)
        plain = self.bus[list(self.programs)]
        self.block = Block.of(list(self.programs.values()), plain, len(self.buses), horizon.steps)

    def solver(self, *, feasibility_only: bool = False) -> Solver:
        """HiGHS for linear prosumers unless another solver is asked for, cvxpy otherwise."""
        name, block, models = self.settings.solver, self.block, list(self.models.values())
        if feasibility_only:
            block = replace(block, cost=np.zeros_like(block.cost), constant=0.0)
            models = [replace(model, cost=0.0 * model.cost) for model in models]
        if not models and name in (None, "highs"):
            return HighsSolver(block)
        return CvxpySolver(block, models, self.bus[list(self.models)], name)

    def run(self) -> CentralResult:
        """Relinearise until the plan meets the limits in the AC power flow and its cost has settled."""
        solver, settings = self.solver(), self.settings
        answer = solver.solve(self._grid_rows(None), None, np.inf)
        status: Status = "not_converged"
        radius, worst, rounds = np.inf, np.inf, 0
        while status == "not_converged" and rounds < settings.relinearisations:
            rounds += 1
            point = operating_point(self.network, *self._injections(solver, answer))
            last, answer = answer, self._improve(solver, answer, point, radius)
            over = max(excess(self.network, self.limits, *self._injections(solver, answer)))
            settled = abs(answer.merit - last.merit) <= settings.cost_change * max(1.0, abs(answer.merit))
            if settled and over <= settings.violation:
                status = "optimal"
            elif (settled or rounds >= PATIENCE) and self._hopeless(answer, point, settled):
                status = "infeasible"
            elif rounds >= PATIENCE and over > max(0.5 * worst, settings.violation):
                radius = 0.5 * min(radius, float(np.abs(answer.moves - last.moves).max(initial=0.0)))
            worst = over
        return self._result(solver, answer, point, status, rounds)

    def _improve(self, solver: Solver, last: Answer, point: Point, radius: float) -> Answer:
        """The best plan of the linearised grid within ``radius`` of the last; rows are added until none is broken."""
        binding = last.mu > BINDING
        if self.before is not None:
            self.rows.keep_tangents(self.before, binding)
            binding = np.append(binding, np.ones(len(self.rows) - len(binding), np.bool_))
        self.before = point
        self.rows.retire(binding, self.settings.idle)
        answer = solver.solve(self._grid_rows(point), last, radius)
        for _ in range(self.settings.row_rounds):
            if not self.rows.add_violated(point, *self._injections(solver, answer)):
                break
            answer = solver.solve(self._grid_rows(point), last, radius)
        return answer

    def _hopeless(self, answer: Answer, point: Point, settled: bool) -> bool:
        """Whether no plan meets the linearised rows, whatever it costs; a higher penalty is tried when one does.

        Before the plan has settled only a clear excess counts: the rows may still move.
        """
        least = 10.0 * self.settings.violation if settled else CLEARLY
        if not (self._excess(answer, point) > least).any():
            return False
        best = self.solver(feasibility_only=True).solve(self._grid_rows(point), None, np.inf)
        if (self._excess(best, point) > least).any():
            return True
        if settled:
            self.penalty *= 100.0
        return False

    def _injections(self, solver: Solver, answer: Answer) -> tuple[Array, Array]:
        """Injections of an answer at all buses, ``(n_bus, K)`` [kW] and [kvar]."""
        sums = solver.bus_sums(answer).reshape(2, len(self.buses), self.horizon.steps)
        full = np.zeros((2, self.network.n, self.horizon.steps))
        full[:, self.buses] = sums
        return full[0], full[1]

    def _gradient(self, point: Point) -> tuple[Array, Array, Array]:
        """Value and gradient ``(M, 2 B)`` of the rows over the bus sums, and the steepest entry of each row."""
        value, gp, gq = self.rows.linearised(point)
        gradient = np.concatenate([gp[:, self.buses], gq[:, self.buses]], axis=1)
        return value, gradient, np.abs(gradient).max(axis=1, initial=FLAT)

    def _grid_rows(self, point: Point | None) -> GridRows:
        """The rows over the bus sums, each scaled to 1 at the bus that moves it most."""
        n_sums, n_steps = len(self.block.z0), self.horizon.steps
        if point is None or not len(self.rows):
            return GridRows((), sp.csr_matrix((0, n_sums)), np.zeros(0), np.zeros(0))
        value, gradient, scale = self._gradient(point)
        step, gradient = self.rows.step, gradient / scale[:, None]
        origin = np.concatenate([point.p[self.buses], point.q[self.buses]])
        column = np.arange(2 * len(self.buses)) * n_steps + step[:, None]
        entry = (np.repeat(np.arange(len(step)), gradient.shape[1]), column.ravel())
        return GridRows(
            keys=self.rows.keys(),
            G=sp.csr_matrix((gradient.ravel(), entry), shape=(len(step), n_sums)),
            h=np.einsum("rj,jr->r", gradient, origin[:, step]) - value / scale,
            penalty=self.penalty * self.horizon.dt_h[step],
        )

    def _excess(self, answer: Answer, point: Point) -> Array:
        """By how much the plan breaks each row [pu, or fraction of the rating]."""
        return answer.slack * self._gradient(point)[2]

    def _binding(self, answer: Answer, point: Point, picked: BoolArray) -> tuple[BindingRow, ...]:
        rows, scale = self.rows, self._gradient(point)[2]
        return tuple(
            BindingRow(
                step=int(rows.step[r]),
                kind=int(rows.kind[r]),
                index=int(rows.index[r]),
                label=self.limits.label(int(rows.kind[r]), int(rows.index[r])),
                multiplier=float(answer.mu[r] / scale[r]),
                excess=float(answer.slack[r] * scale[r]),
            )
            for r in np.flatnonzero(picked)
        )

    def _price(self, answer: Answer, point: Point) -> Array:
        """``lam = -A' mu / dt`` at every bus of the network, ``(2, n_bus, K)``."""
        price = np.zeros((2, self.network.n, self.horizon.steps))
        _, *gradients = self.rows.linearised(point)
        used = answer.mu > BINDING
        step = self.rows.step[used]
        weight = (answer.mu / self._gradient(point)[2])[used] / self.horizon.dt_h[step]
        for part, gradient in zip(price, gradients, strict=True):
            np.add.at(part.T, step, -weight[:, None] * gradient[used])
        return price

    def _result(self, solver: Solver, answer: Answer, point: Point, status: Status, rounds: int) -> CentralResult:
        y, costs = np.zeros((2, len(self.bus), self.horizon.steps)), np.zeros(len(self.bus))
        plans: list[tuple[AssetPlan, ...]] = [()] * len(self.bus)
        for (i, one), x in zip(self.programs.items(), self.block.parts(answer.x), strict=True):
            y[:, i], costs[i], plans[i] = one.power(x), one.own_cost(x), one.plans(x)
        custom = list(self.models)
        y[:, custom], costs[custom] = answer.custom, answer.custom_cost
        broken = self._excess(answer, point) > 10.0 * self.settings.violation
        picked = broken if status == "infeasible" else answer.mu > BINDING
        return CentralResult(
            status=status,
            cost=float(costs.sum()),
            costs=costs,
            y=y,
            price=self._price(answer, point),
            plans=tuple(plans),
            rows=self._binding(answer, point, picked),
            violation=excess(self.network, self.limits, *self._injections(solver, answer)),
            relinearisations=rounds,
        )
