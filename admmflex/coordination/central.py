"""The whole problem solved at once: the yardstick for every coordination scheme.

    min sum_i C_i(y_i)    s.t.  y_i in Y_i,   the AC power flow of the bus sums meets every limit

Sequential linear programming: linearise the limits at the AC power flow of the last plan, solve the whole program with the
rows that matter, repeat until the plan meets the limits in the AC power flow and its cost has settled. Rows are accumulated
and dropped when idle: with one moving cut for each current the sequence cycles. A trust region shrinks when a plan is no
better than the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from admmflex.coordination.whole import Answer, Block, CvxpySolver, GridRows, HighsSolver, Solver
from admmflex.dso.dso import Dso
from admmflex.dso.rows import Rows
from admmflex.errors import SolverError
from admmflex.horizon import Array, BoolArray, Horizon
from admmflex.prosumers.program import AssetPlan, Program, program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.custom import CvxpyProsumer, cvxpy_models
from grid.limits import Limits
from grid.network import Network

Status = Literal["optimal", "infeasible", "not_converged"]
ACTIVE = 1e-6  # EUR per kW of the steepest bus: below it a row does not bind


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
    cost_change: float = 1e-7
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
        price: ``(2, n_bus, K)`` [EUR/kWh, EUR/kvarh], ``lam = -A' mu / dt``; zero where no limit binds.
        plans: what the assets of each prosumer do; empty for cvxpy prosumers.
        rows: limits that bind; for an infeasible problem those that no plan can meet.
        violation: largest excess of the voltage [pu] and of the loading in the AC power flow of ``y``.
    """

    status: Status
    cost: float
    costs: Array
    y: Array
    price: Array
    plans: tuple[tuple[AssetPlan, ...], ...]
    rows: tuple[BindingRow, ...]
    violation: tuple[float, float]
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
        The optimum (locally: the limits are not convex) with status "optimal"; "infeasible" with the limits that no plan
        meets; "not_converged" with the last plan.

    Raises:
        InputError: unknown buses, or a cvxpy prosumer that is not convex.
    """
    case = _Case(network, limits, prosumers, horizon, settings or CentralSettings())
    return case.run()


class _Case:
    """The stacked programs, the grid's working set and the settings of one call."""

    def __init__(
        self,
        network: Network,
        limits: Limits,
        prosumers: Sequence[Prosumer | CvxpyProsumer],
        horizon: Horizon,
        settings: CentralSettings,
    ) -> None:
        position = network.positions([prosumer.bus for prosumer in prosumers])
        buses, self.bus = np.unique(position, return_inverse=True)
        self.network, self.limits, self.horizon, self.settings = network, limits, horizon, settings
        self.penalty, self.n_buses = settings.penalty, len(buses)
        self.dso = Dso(network, limits, buses, horizon.steps)
        self.programs = {i: program(one, horizon) for i, one in enumerate(prosumers) if isinstance(one, Prosumer)}
        custom = {i: one for i, one in enumerate(prosumers) if not isinstance(one, Prosumer)}
        self.models = cvxpy_models(custom, horizon)
        self.block = Block.of(
            list(self.programs.values()), self.bus[list(self.programs)], self.n_buses, horizon.steps
        )

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
        answer = self._solved(solver, None, np.inf)
        status: Status = "not_converged"
        radius, worst, rounds = np.inf, np.inf, 0
        while status == "not_converged" and rounds < settings.relinearisations:
            rounds += 1
            self.dso.relinearise(self._steps(solver, answer))
            last, answer = answer, self._improve(solver, answer, radius)
            excess = float(self.dso.check(self._steps(solver, answer)).worst.max())
            settled = abs(answer.merit - last.merit) <= settings.cost_change * max(1.0, abs(answer.merit))
            if settled and excess <= settings.violation:
                status = "optimal"
            elif settled and self._breaks(answer).any() and self._hopeless():
                status = "infeasible"
            elif rounds > 3 and excess > max(0.5 * worst, settings.violation):
                radius = 0.5 * min(radius, float(np.abs(answer.moves - last.moves).max(initial=0.0)))
            worst = excess
        return self._result(solver, answer, status, rounds)

    def _solved(self, solver: Solver, near: Answer | None, radius: float) -> Answer:
        answer = solver.solve(self._grid_rows(), near, radius)
        if answer is None:
            raise SolverError(f"the whole problem with {len(self.dso.rows)} grid rows was not solved; try another solver")
        return answer

    def _improve(self, solver: Solver, last: Answer, radius: float) -> Answer:
        """The best plan of the linearised grid, within ``radius`` of the last one; rows are added until none is broken."""
        rows = self.dso.rows
        answer = self._solved(solver, last, radius)
        for _ in range(self.settings.row_rounds):
            if not self.dso.add_violated(self._steps(solver, answer)):
                break
            answer = self._solved(solver, last, radius)
        rows.nu = np.where(answer.mu > ACTIVE, answer.mu, 0.0)
        rows.count_idle()
        return answer

    def _hopeless(self) -> bool:
        """Whether no plan meets the linearised rows, whatever it costs; a higher penalty is tried otherwise."""
        answer = self._solved(self.solver(feasibility_only=True), None, np.inf)
        if self._breaks(answer).any():
            return True
        self.penalty *= 100.0
        return False

    def _steps(self, solver: Solver, answer: Answer) -> Array:
        """Bus sums of an answer step by step, ``(K, 2 B)``."""
        z = solver.bus_sums(answer).reshape(2 * self.n_buses, self.horizon.steps)
        return np.ascontiguousarray(z.T)

    def _grid_rows(self) -> GridRows:
        """The working set over the bus sums, every row scaled to 1 at the bus that moves it most."""
        rows, n_steps = self.dso.rows, self.horizon.steps
        if not len(rows):
            return GridRows((), sp.csr_matrix((0, len(self.block.z0))), np.zeros(0), np.zeros(0))
        scale = self._scale()[:, None]
        column = np.arange(2 * self.n_buses)[None, :] * n_steps + rows.step[:, None]
        place = (np.repeat(np.arange(len(rows)), 2 * self.n_buses), column.ravel())
        right = np.einsum("rj,rj->r", rows.gradient, self.dso.origin[rows.step]) - rows.value
        return GridRows(
            keys=_keys(rows),
            G=sp.csr_matrix(((rows.gradient / scale).ravel(), place), shape=(len(rows), len(self.block.z0))),
            h=right / scale[:, 0],
            penalty=self.penalty * self.horizon.dt_h[rows.step],
        )

    def _scale(self) -> Array:
        return np.abs(self.dso.rows.gradient).max(axis=1, initial=0.0)

    def _breaks(self, answer: Answer) -> BoolArray:
        """Rows that the plan breaks by more than the tolerance."""
        broken: BoolArray = answer.slack * self._scale() > 10.0 * self.settings.violation
        return broken

    def _binding(self, answer: Answer, picked: BoolArray) -> tuple[BindingRow, ...]:
        rows, scale = self.dso.rows, self._scale()
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

    def _price(self, answer: Answer) -> Array:
        """``lam = -A' mu / dt`` at every bus of the network, ``(2, n_bus, K)``."""
        rows, dso = self.dso.rows, self.dso
        price = np.zeros((2, len(self.network.buses), self.horizon.steps))
        used = answer.mu > ACTIVE
        if used.any() and dso.lin is not None:
            step = rows.step[used]
            row = self.limits.functional(dso.lin.v, step, rows.kind[used], rows.index[used], rows.direction[used])
            weight = answer.mu[used] / self._scale()[used] / self.horizon.dt_h[step]
            for part, gradient in enumerate(dso.lin.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b)):
                np.add.at(price[part].T, step, -weight[:, None] * gradient)
        return price

    def _result(self, solver: Solver, answer: Answer, status: Status, rounds: int) -> CentralResult:
        n, n_steps = len(self.bus), self.horizon.steps
        y, costs = np.zeros((2, n, n_steps)), np.zeros(n)
        plans: list[tuple[AssetPlan, ...]] = [()] * n
        for (i, one), x in zip(self.programs.items(), self.block.parts(answer.x), strict=True):
            y[:, i], costs[i], plans[i] = one.power(x), one.own_cost(x), one.plans(x)
        custom = list(self.models)
        y[:, custom], costs[custom] = answer.custom, answer.custom_cost
        check = self.dso.check(self._steps(solver, answer)).worst
        return CentralResult(
            status=status,
            cost=float(costs.sum()),
            costs=costs,
            y=y,
            price=self._price(answer),
            plans=tuple(plans),
            rows=self._binding(answer, self._breaks(answer) if status == "infeasible" else answer.mu > ACTIVE),
            violation=(float(check[0]), float(check[1])),
            relinearisations=rounds,
        )


def _keys(rows: Rows) -> tuple[tuple[int, ...], ...]:
    """What a row is about, to find it again in the next round; the angle tells cuts of one branch apart."""
    angle = np.round(np.angle(rows.direction) * 1e4).astype(int)
    return tuple(zip(rows.step.tolist(), rows.kind.tolist(), rows.index.tolist(), angle.tolist(), strict=True))
