"""Mixing of past answers: the cheapest feasible plan that the prosumers' own answers span.

Every answer a prosumer ever gave is feasible for it, and so is every convex combination, since its set is convex. A
small LP picks one combination per bus that meets the AC-linearised limits at least cost:

    min  sum_b sum_l w_bl c_bl + price sum_r s_r
    s.t. value_r + gradient_r ( sum_l w_bl Y_bl - z0 ) <= s_r,    sum_l w_bl = 1,    w, s >= 0

with c_bl the summed cost of the prosumers at bus b in answer l. By convexity the cost is an upper bound of what the
plan really costs. It is the master problem of a Dantzig-Wolfe decomposition whose columns ADMM generates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.master import Effects, Start
from admmflex.coordination.master_lp import solve_surely
from admmflex.dso import AcCheck, Dso, Shares
from admmflex.dso.rows import Rows
from admmflex.horizon import Array
from grid import PowerFlow
from grid.limits import BRANCH, SLACK

LP_ROUNDS = 12
PATIENCE = 5  # LPs after which the grid is linearised half-way: between equally cheap plans the LP may go to and fro
SLACK_TOLERANCE = 1e-3  # [kW]
COARSE = 50.0  # times the tolerances of the projection: 5e-6 pu, 5e-5 of a rating
LOOSE, FINE = 1e-2, 5e-6  # gaps of the LP while rows are still added, and at last
FEW = 0.05  # of the rows: when no more are added than this, the LP is solved finely
ROOM = 0.2  # [kW]: rows with more room at the last mix leave the LP; those that matter come back
BINDING = 1e-3  # [kW]: a row with more room has no price; the interior point leaves it a tiny one
AC_TOLERANCE = np.array([2e-5, 2e-4, 1e-4])  # [pu, fraction, fraction of the load]: when to stop relinearising


@dataclass(frozen=True)
class Mix:
    """A plan made of past answers.

    ``weights (L, B)``; ``x (K_own, 2 B)`` its bus powers; ``cost`` [EUR] an upper bound; ``excess`` over the
    limits in the AC power flow, as ``AcCheck.worst``; ``slack`` [kW] the largest violation that no combination avoids;
    ``price (K_own, 2 B)`` [EUR/kW for the step] what the multipliers of the limits are worth at the buses; ``least``
    [EUR] what the powers of the own steps are worth at that price, at least, if they meet the linearised limits.
    """

    weights: Array
    x: Array
    cost: float
    excess: Array
    slack: float
    price: Array
    least: float


class Mixer:
    """The last ``window`` answers, and the LP over them.

    Args:
        dso: the rank's steps; its working set is used for nothing else.
        price: cost of violating a limit by the effect of 1 kW [EUR/kW]; far above any tariff.

    Attributes:
        changed: what to add to the recorded answers ``(L, K_own, 2 B)`` and their costs ``(L, B)``, if anything.
        fallbacks: how many linear programs another solver had to solve; on rank 0.
    """

    def __init__(self, dso: Dso, comm: Comm, window: int, price: float) -> None:
        self.dso, self.comm, self.price = dso, comm, price
        self.window = window
        self.answers: list[Array] = []
        self.costs: list[Array] = []
        self.used: list[float] = []
        self.last: Array | None = None
        self.changed: tuple[Array, Array] | None = None
        self.fallbacks = 0
        self._start: Start | None = None  # of the next LP, but for the multipliers, which stay with the rows
        steps = comm.stack(np.array([[float(dso.n_steps)]]))[:, 0]
        self._first_step = steps[: comm.rank].sum()

    def record(self, x: Array, bus_cost: Array) -> int | None:
        """Keep an answer: bus powers of the own steps ``(K_own, 2 B)`` and the cost at every bus ``(B,)``.

        Returns the position of the answer that had to make room, the one that the last mix used least, or None.
        """
        self.answers.append(x.copy())
        self.costs.append(bus_cost.copy())
        self.used.append(1.0)
        if len(self.answers) <= self.window:
            return None
        leaving = int(np.argmin(self.used))
        for kept in (self.answers, self.costs, self.used):
            del kept[leaving]
        return leaving

    def mix(self, near: Array | None = None, known: Rows | None = None) -> Mix:
        """The cheapest combination of the recorded answers that meets the limits.

        After each LP the grid is linearised anew at its answer, and the limits violated there become rows.

        Args:
            near: (K_own, 2 B) where to linearise for the first mix; the last answer by default.
            known: rows that the first mix begins with.
        """
        answers, costs = np.array(self.answers), np.array(self.costs)  # (L, K_own, 2 B), (L, B)
        if self.changed is not None:
            answers, costs = answers + self.changed[0], costs + self.changed[1]
        n_answers, n_own, width = answers.shape
        by_step = self.comm.stack(answers.transpose(1, 0, 2).reshape(n_own, n_answers * width))
        every = by_step.reshape(len(by_step), n_answers, width)
        if self.last is None and known is not None:
            self.dso.rows.adopt(known)
        near = answers[-1] if near is None else near
        x = near if self.last is None else self.last
        self.dso.relinearise(x)
        if self.last is not None:
            self.dso.drop_roomy(x, ROOM)
        self.dso.add_violated(x)
        shares, fine = self.dso.shares(), False
        self._start, self._shares_nu = None, np.zeros(0 if shares is None else len(shares.step))
        for turn in range(LP_ROUNDS):
            weights, slack, nu = self._solve(every, costs, shares, FINE if fine else LOOSE)
            x = combine(weights, answers)
            price, least = self._price(x, nu)
            flow = self.dso.power_flow(x)
            excess = self.comm.largest(AcCheck.of(self.dso.guard, flow, self.dso.own(x)).worst)
            good = bool(
                np.all(excess <= AC_TOLERANCE[: len(excess)]) and np.all(self._misjudged(x, flow) <= AC_TOLERANCE)
            )
            if (fine and (good or slack > SLACK_TOLERANCE)) or turn == LP_ROUNDS - 1:
                break
            if not good:
                self.dso.relinearise(x if turn < PATIENCE else 0.5 * (x + self.dso.origin))
            added, rows = self.comm.sum(np.array([float(self.dso.add_violated(x, COARSE)), float(len(nu))]))
            fine = fine or bool(added <= FEW * rows)
            if slack > SLACK_TOLERANCE:
                self._start = None  # the path bends where a row begins to be broken
        self.last, self.used = x, weights.max(axis=1).tolist()
        return Mix(weights, x, float(np.sum(weights * costs)), excess, slack, price, least)

    def _solve(
        self, answers: Array, costs: Array, shares: Shares | None, tolerance: float
    ) -> tuple[Array, float, Array]:
        """Solve the LP on rank 0 for the rows of all ranks: weights ``(L, B)``, largest slack, multipliers of own rows.

        The path of the LP stays with the rows, for the next LP. The slack is that of limits; shares may be exceeded.
        """
        table = self.comm.stack(self._table(shares))
        n_weights, n_rows = costs.size, len(table)
        result = np.empty(n_weights + 1 + 2 * n_rows)
        if self.comm.rank == 0:
            order = np.argsort(table[:, 0], kind="stable")
            sort = table[order]
            steps, at = np.unique(sort[:, 0].astype(np.int64), return_inverse=True)
            rows = Effects(at, np.ascontiguousarray(sort[:, 4:]), answers[steps])
            start = None if self._start is None else replace(self._start, nu=sort[:, 1].copy())
            master, replaced = solve_surely(costs, rows, sort[:, 3].copy(), sort[:, 2].copy(), tolerance, start)
            self.fallbacks += replaced
            if tolerance == LOOSE:
                self._start = master.path
            slack = np.array([master.slack[sort[:, 2] == self.price].max(initial=0.0)])
            nu = np.empty((2, n_rows))
            nu[:, order] = master.nu, master.path.nu
            result = np.concatenate([master.weights.ravel(), slack, nu.ravel()])
        result = self.comm.broadcast(result)
        own_rows = len(self.dso.rows)
        counts = self.comm.stack(np.array([[float(own_rows + len(self._shares_nu))]]))[:, 0].astype(int)
        first = n_weights + 1 + int(counts[: self.comm.rank].sum())
        own = slice(first, first + own_rows)
        if tolerance == LOOSE:
            path = result[n_rows:]
            self.dso.rows.nu = path[own].copy()
            self._shares_nu = path[own.stop : own.stop + len(self._shares_nu)].copy()
        return result[:n_weights].reshape(costs.shape), float(result[n_weights]), result[own]

    def _misjudged(self, x: Array, flow: PowerFlow) -> Array:
        """How far rows that bind at ``x`` are from the AC power flow there, kind by kind, at most over all ranks.

        Rows linearised far away may be stricter than the limit: the plan meets it, and is poor.
        """
        rows, linear = self.dso.rows, self.dso.linear(x)
        apart = np.where(linear / rows.scale > -BINDING, np.abs(self.dso.exact(x, flow) - linear), 0.0)
        kinds = rows.kind < BRANCH, rows.kind == BRANCH, rows.kind == SLACK
        return self.comm.largest(np.array([apart[of].max(initial=0.0) for of in kinds]))

    def dual(self, mix: Mix) -> tuple[Array, float]:
        """Price and least value of a mix as ``proof.bound`` wants them, with the price from outside on top.

        What is given outside is paid for at the operating point.
        """
        outer = self.dso.outer_price()
        if outer is None:
            return mix.price, mix.least
        return mix.price + outer, mix.least + float(np.sum(outer * self.dso.origin))

    def _price(self, x: Array, nu: Array) -> tuple[Array, float]:
        """price = - gradient' nu of the own rows that bind at ``x``, and min price' z = nu' (value - gradient z0)."""
        rows, origin = self.dso.rows, self.dso.origin
        binding = np.where(self.dso.excess_kw(x) > -BINDING, nu, 0.0) / rows.scale
        price = np.zeros_like(x)
        np.add.at(price, rows.step, -binding[:, None] * rows.gradient)
        return price, float(binding @ (rows.value - np.einsum("rj,rj->r", rows.gradient, origin[rows.step])))

    def _table(self, shares: Shares | None) -> Array:
        """Own rows of the LP, in kW: step, multiplier on the last path, price, limit, gradient, ``(M, 4 + 2 B)``."""
        rows = self.dso.rows
        limit = np.einsum("mj,mj->m", rows.gradient, self.dso.origin[rows.step]) - rows.value
        scaled = np.column_stack([limit, rows.gradient]) / rows.scale[:, None]
        prices = np.full(len(rows), self.price)
        table = np.column_stack([self._first_step + rows.step, rows.nu, prices, scaled])
        if shares is None:
            return table
        more = [self._first_step + shares.step, self._shares_nu, shares.price, shares.limit, shares.gradient]
        return np.concatenate([table, np.column_stack(more)])


def combine(weights: Array, answers: Array) -> Array:
    """Bus powers ``(K, 2 B)`` of the combination ``weights (L, B)`` of ``answers (L, K, 2 B)``."""
    return np.asarray(np.einsum("lj,lkj->kj", np.concatenate([weights, weights], axis=1), answers))
