"""All prosumers and the linearised grid as one convex program, with two ways of solving it.

    min  sum_i C_i(x_i) + penalty sum_r dt_r s_r    s.t.  x_i in X_i,   (G z(x) - h) / scale <= s,   s >= 0

z(x) are the bus sums of the powers at the meters. The slack ``s`` keeps the program solvable at any operating point;
its price is so high that it is zero unless no plan meets the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import scipy.sparse as sp

from admmflex.errors import Fault, InputError, SolverError
from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.linear_program import (
    BASIC,
    LOWER,
    MODEL_STATUS,
    BasisStatus,
    new_highs,
    pass_lp,
    set_basis,
    suboptimality,
)
from admmflex.prosumers.program import Program

if TYPE_CHECKING:
    from admmflex.response.custom import CvxpyModel

Key = tuple[int, ...]
FEASIBLE = 1e-6  # kW, kvar, kWh: largest violation of a row that an answer may have
OPTIMAL = 1e-7  # of what is paid and earned: largest gap of an answer


@dataclass(frozen=True)
class Block:
    """Prosumers' programs side by side, with the fields of a program, and bus sums ``z = z0 + Z x``: first p, then q.

    ``moves`` marks the variables that reach a meter; ``first`` is where the variables of each prosumer begin.
    """

    cost: Array
    constant: float
    A: sp.csr_matrix
    low: Array
    high: Array
    x_min: Array
    x_max: Array
    Z: sp.csr_matrix
    z0: Array
    moves: BoolArray
    first: IntArray
    n_steps: int

    @staticmethod
    def of(programs: Sequence[Program], bus: IntArray, n_buses: int, n_steps: int) -> Block:
        """Stack programs; ``bus`` is the position of each among the ``n_buses`` bus sums."""
        first = np.concatenate([[0], np.cumsum([len(program.cost) for program in programs])]).astype(np.int64)
        z0 = np.zeros((2, n_buses, n_steps))
        shape = (2 * n_buses * n_steps, int(first[-1]))
        parts: list[sp.coo_matrix] = []
        for i, program in enumerate(programs):
            z0[:, bus[i]] += (program.p0, program.q0)
            for offset, meter in ((bus[i], program.P.tocoo()), (n_buses + bus[i], program.Q.tocoo())):
                place = (meter.row + offset * n_steps, meter.col + first[i])
                parts.append(sp.coo_matrix((meter.data, place), shape=shape))
        Z = sum((part.tocsr() for part in parts), start=sp.csr_matrix(shape))
        return Block(
            cost=_joined([program.cost for program in programs]),
            constant=float(sum(program.cost_constant for program in programs)),
            A=sp.csr_matrix(sp.block_diag([sp.csr_matrix((0, 0)), *(program.A for program in programs)])),
            low=_joined([program.low for program in programs]),
            high=_joined([program.high for program in programs]),
            x_min=_joined([program.x_min for program in programs]),
            x_max=_joined([program.x_max for program in programs]),
            Z=Z,
            z0=z0.ravel(),
            moves=np.asarray(abs(Z).sum(axis=0)).ravel() > 0,
            first=first,
            n_steps=n_steps,
        )

    def sides(self) -> tuple[BoolArray, BoolArray, BoolArray]:
        """Which rows are equations, which have an upper and which a lower limit."""
        equal = self.low == self.high
        return equal, np.isfinite(self.high) & ~equal, np.isfinite(self.low) & ~equal

    def parts(self, x: Array) -> list[Array]:
        """``x`` prosumer by prosumer."""
        return [x[a:b] for a, b in zip(self.first[:-1], self.first[1:], strict=True)]


@dataclass(frozen=True)
class GridRows:
    """Rows ``(G z - h) / scale <= s`` over the bus sums; ``keys`` tell them apart from one round to the next.

    ``penalty (M,)`` is the price of the slack in EUR per unit of the scaled row.
    """

    keys: tuple[Key, ...]
    G: sp.csr_matrix
    h: Array
    penalty: Array


@dataclass(frozen=True)
class Answer:
    """A plan: ``x`` of the block, powers ``(2, C, K)`` and costs ``(C,)`` of the cvxpy prosumers.

    ``slack`` and multipliers ``mu`` belong to the grid rows; ``merit`` is the cost with the penalty; ``moves`` are the
    variables that reach a meter, for the trust region.
    """

    x: Array
    custom: Array
    custom_cost: Array
    slack: Array
    mu: Array
    merit: float
    moves: Array


class Solver(Protocol):
    """A way of solving the whole program."""

    def solve(self, rows: GridRows, near: Answer | None, radius: float) -> Answer:
        """The optimum, with powers within ``radius`` [kW, kvar] of ``near``.

        Raises:
            InputError: prosumers that have no feasible plan, whatever the grid says.
            SolverError: the solver gave up.
        """
        ...

    def bus_sums(self, answer: Answer) -> Array:
        """``z`` of an answer, ``(2 B K,)``."""
        ...


class HighsSolver:
    """The dual simplex method of HiGHS, from the basis of the last solve; linear programs only."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.status: dict[Key, tuple[BasisStatus, BasisStatus]] = {}
        self.own: tuple[list[BasisStatus], list[BasisStatus]] | None = None
        self.highs = new_highs()

    def bus_sums(self, answer: Answer) -> Array:
        z: Array = self.block.z0 + self.block.Z @ answer.x
        return z

    def solve(self, rows: GridRows, near: Answer | None, radius: float) -> Answer:
        block, n_rows = self.block, len(rows.keys)
        x_min, x_max = block.x_min, block.x_max
        if near is not None and np.isfinite(radius):
            x_min = np.where(block.moves, np.maximum(x_min, near.x - radius), x_min)
            x_max = np.where(block.moves, np.minimum(x_max, near.x + radius), x_max)
        grid = sp.hstack([rows.G @ block.Z, -sp.identity(n_rows)])
        prosumers = sp.hstack([block.A, sp.csr_matrix((block.A.shape[0], n_rows))])
        pass_lp(
            self.highs,
            np.concatenate([block.cost, rows.penalty]),
            sp.vstack([prosumers, grid]),
            np.concatenate([block.low, np.full(n_rows, -np.inf)]),
            np.concatenate([block.high, rows.h - rows.G @ block.z0]),
            np.concatenate([x_min, np.zeros(n_rows)]),
            np.concatenate([x_max, np.full(n_rows, np.inf)]),
        )
        self._begin(rows)
        for attempt in range(2):
            self.highs.run()
            if self.highs.getModelStatus() == MODEL_STATUS.kModelEmpty:  # nobody has a choice, and no limit is watched
                none = np.zeros(0)
                return Answer(none, np.zeros((2, 0, block.n_steps)), none, none, none, block.constant, none)
            answer = self._answer(rows, (x_min, x_max))
            if answer is not None:
                self._remember(rows)
                return answer
            if attempt == 0:  # lost near the optimum on a long warm path
                self.highs.clearSolver()
        self.own = None
        if self.highs.getModelStatus() == MODEL_STATUS.kOptimal:
            raise SolverError("whole problem: HiGHS calls an answer optimal that is not; try another solver")
        raise _refused(self.highs.modelStatusToString(self.highs.getModelStatus()))

    def _answer(self, rows: GridRows, box: tuple[Array, Array]) -> Answer | None:
        """The last solution, unless it is none or fails our own check of feasibility and optimality."""
        if self.highs.getModelStatus() != MODEL_STATUS.kOptimal:
            return None
        block, n_x, n_own, solution = self.block, len(self.block.cost), self.block.A.shape[0], self.highs.getSolution()
        values, multipliers = np.array(solution.col_value), -np.array(solution.row_dual)
        x, slack = np.clip(values[:n_x], *box), np.maximum(values[n_x:], 0.0)
        mu = np.clip(multipliers[n_own:], 0.0, rows.penalty)
        lifted = block.Z.T @ (rows.G.T @ mu)
        over = rows.G @ (block.z0 + block.Z @ x) - rows.h - slack
        own = block.A @ x
        broken = max(*(float(one.max(initial=0.0)) for one in (block.low - own, own - block.high, over)), 0.0)
        gap = suboptimality(block.cost + lifted, (block.A, block.low, block.high), box, x, multipliers[:n_own])
        gap += float((rows.penalty - mu) @ slack - mu @ over)
        turnover = float(np.abs(block.cost) @ np.abs(x) + rows.penalty @ slack) + 1.0
        if not (np.isfinite(values).all() and broken <= FEASIBLE and gap <= OPTIMAL * turnover):
            return None
        merit = float(block.cost @ x + rows.penalty @ slack) + block.constant
        return Answer(x, np.zeros((2, 0, block.n_steps)), np.zeros(0), slack, mu, merit, x[block.moves])

    def _begin(self, rows: GridRows) -> None:
        """Begin at the last basis; grid rows that are new are basic."""
        if self.own is not None:
            known = [self.status.get(key, (LOWER, BASIC)) for key in rows.keys]
            columns, own = self.own
            set_basis(self.highs, columns + [column for column, _ in known], own + [row for _, row in known])

    def _remember(self, rows: GridRows) -> None:
        n_x, n_own, basis = len(self.block.cost), self.block.A.shape[0], self.highs.getBasis()
        columns, own = basis.col_status, basis.row_status
        self.own = columns[:n_x], own[:n_own]
        self.status = dict(zip(rows.keys, zip(columns[n_x:], own[n_own:], strict=True), strict=True))


class CvxpySolver:
    """The readable form, for any convex prosumer; ``name`` is a solver that cvxpy knows, Clarabel when it is None."""

    def __init__(self, block: Block, custom: Sequence[CvxpyModel], bus: IntArray, name: str | None = None) -> None:
        import cvxpy as cp

        self.block, self.models, self.name = block, tuple(custom), name or cp.CLARABEL
        self.C = _bus_map(bus, len(block.z0), block.n_steps)
        self.x = cp.Variable(len(block.cost))
        equal, below, above = block.sides()
        self.own = [
            block.x_min <= self.x,
            self.x <= block.x_max,
            block.A[equal] @ self.x == block.low[equal],
            block.A[below] @ self.x <= block.high[below],
            block.A[above] @ self.x >= block.low[above],
        ]
        self.own += [constraint for model in custom for constraint in model.constraints]
        self.z, self.moves = block.z0 + block.Z @ self.x, self.x[np.flatnonzero(block.moves)]
        if custom:
            self.powers = cp.hstack([model.p for model in custom] + [model.q for model in custom])
            self.z, self.moves = self.z + self.C @ self.powers, cp.hstack([self.moves, self.powers])
        self.cost = block.cost @ self.x + block.constant + sum(model.cost for model in custom)

    def bus_sums(self, answer: Answer) -> Array:
        z: Array = self.block.z0 + self.block.Z @ answer.x + self.C @ answer.custom.ravel()
        return z

    def solve(self, rows: GridRows, near: Answer | None, radius: float) -> Answer:
        import cvxpy as cp

        slack = cp.Variable(len(rows.keys), nonneg=True)
        limits = rows.G @ self.z - slack <= rows.h
        trust = [cp.abs(self.moves - near.moves) <= radius] if near is not None and np.isfinite(radius) else []
        problem = cp.Problem(cp.Minimize(self.cost + rows.penalty @ slack), [*self.own, limits, *trust])
        try:
            problem.solve(solver=self.name)
        except cp.SolverError as error:
            raise SolverError(f"whole problem: {self.name} gave up") from error
        if problem.status != cp.OPTIMAL:
            raise _refused(problem.status)
        x = np.clip(self.x.value, self.block.x_min, self.block.x_max)
        shape = (2, len(self.models), self.block.n_steps)
        return Answer(
            x=x,
            custom=self.powers.value.reshape(shape) if self.models else np.zeros(shape),
            custom_cost=np.array([float(model.cost.value) for model in self.models]),
            slack=slack.value,
            mu=np.maximum(limits.dual_value, 0.0),
            merit=float(problem.value),
            moves=self.moves.value,
        )


def _refused(status: str) -> Exception:
    """What a status other than optimal means: the grid has its slack, so that only prosumers can be infeasible."""
    if "infeasible" not in status.lower():
        return SolverError(f"whole problem: {status}; try another solver")
    allowed, remedy = "a feasible plan for every prosumer", "check the constraints of the prosumers one by one"
    return InputError(Fault("prosumers", "no plan meets their own constraints", allowed, remedy))


def _joined(parts: list[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0)


def _bus_map(bus: IntArray, n_sums: int, n_steps: int) -> sp.csr_matrix:
    """The map from the powers ``(2, C, K)`` of cvxpy prosumers to the bus sums."""
    if not len(bus):
        return sp.csr_matrix((n_sums, 0))
    n_buses, step = n_sums // (2 * n_steps), np.arange(n_steps)
    row = np.concatenate([(part * n_buses + b) * n_steps + step for part in (0, 1) for b in bus])
    return sp.csr_matrix((np.ones(len(row)), (row, np.arange(len(row)))), shape=(n_sums, len(row)))
