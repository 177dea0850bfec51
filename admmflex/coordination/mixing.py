"""Mixing of past answers: the cheapest feasible plan that the prosumers' own answers span.

Every answer a prosumer ever gave is feasible for it, and so is every convex combination, since its set is convex. A small LP
picks one combination per bus that meets the AC-linearised limits at least cost:

    min  sum_b sum_l w_bl c_bl + price sum_r s_r
    s.t. value_r + gradient_r ( sum_l w_bl Y_bl - z0 ) <= s_r,    sum_l w_bl = 1,    w, s >= 0

with c_bl the summed cost of the prosumers at bus b in answer l. By convexity the cost is an upper bound of what the plan really
costs. It is the master problem of a Dantzig-Wolfe decomposition whose columns ADMM generates.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from admmflex.comm import Comm
from admmflex.dso import Dso
from admmflex.horizon import Array

RELINEARISATIONS = 3
AC_TOLERANCE = np.array([2e-5, 2e-4])  # [pu, fraction]: when to stop relinearising


@dataclass(frozen=True)
class Mix:
    """A plan made of past answers.

    ``weights (L, B)``; ``x (K_own, 2 B)`` its bus powers; ``cost`` [EUR] an upper bound; ``excess`` [pu, fraction] over the
    limits in the AC power flow; ``slack`` [kW] the largest violation the LP had to accept.
    """

    weights: Array
    x: Array
    cost: float
    excess: Array
    slack: float


class Mixer:
    """The last ``window`` answers, and the LP over them.

    Args:
        dso: the rank's steps; its working set is used for nothing else.
        price: cost of violating a limit by the effect of 1 kW [EUR/kW]; far above any tariff.
    """

    def __init__(self, dso: Dso, comm: Comm, window: int, price: float) -> None:
        self.dso, self.comm, self.price = dso, comm, price
        self.answers: deque[Array] = deque(maxlen=window)
        self.costs: deque[Array] = deque(maxlen=window)
        self.last: Array | None = None

    def record(self, x: Array, bus_cost: Array) -> None:
        """Keep an answer: bus powers of the own steps ``(K_own, 2 B)`` and the cost at every bus ``(B,)``."""
        self.answers.append(x.copy())
        self.costs.append(bus_cost.copy())

    def mix(self) -> Mix:
        """The cheapest combination of the recorded answers that meets the limits."""
        answers, costs = np.array(self.answers), np.array(self.costs)  # (L, K_own, 2 B), (L, B)
        x = answers[-1] if self.last is None else self.last
        for _ in range(RELINEARISATIONS):
            self.dso.relinearise(x)
            self.dso.add_violated(x)
            weights, slack = self._solve(answers, costs)
            x = np.einsum("lb,lkcb->kcb", weights, answers.reshape(*answers.shape[:2], 2, -1)).reshape(x.shape)
            excess = self.comm.largest(self.dso.check(x).worst)
            if np.all(excess <= AC_TOLERANCE):
                break
        self.last = x
        return Mix(weights, x, float(np.sum(weights * costs)), excess, slack)

    def _solve(self, answers: Array, costs: Array) -> tuple[Array, float]:
        """Solve the LP on rank 0, adding violated rows until none is left; weights ``(L, B)`` and the largest slack."""
        n_answers, n_buses = costs.shape
        for _ in range(6):
            table = self.comm.stack(self._table(answers))
            result = np.empty(n_answers * n_buses + 1)
            if self.comm.rank == 0:
                result[:-1], result[-1] = solve_lp(costs.ravel(), table[:, :-1], -table[:, -1], n_buses, self.price)
            result = self.comm.broadcast(result)
            weights = result[:-1].reshape(n_answers, n_buses)
            x = np.einsum("lb,lkcb->kcb", weights, answers.reshape(*answers.shape[:2], 2, -1)).reshape(answers[0].shape)
            added = self.comm.sum(np.array([float(self.dso.add_violated(x))]))
            if added[0] == 0:
                break
        return weights, float(result[-1])

    def _table(self, answers: Array) -> Array:
        """Rows of the LP for the own steps: coefficients of every weight ``(M, L B)`` and the constant; scaled to kW."""
        rows = self.dso.rows
        n_buses = len(self.dso.buses)
        at = answers[:, rows.step]  # (L, M, 2 B)
        product = rows.gradient[None] * at
        coefficient = (product[:, :, :n_buses] + product[:, :, n_buses:]).transpose(1, 0, 2).reshape(len(rows), -1)
        constant = rows.value - np.einsum("mj,mj->m", rows.gradient, self.dso.origin[rows.step])
        scale = 1.0 / np.maximum(np.abs(rows.gradient).max(axis=1, initial=0.0), 1e-12)
        return np.concatenate([coefficient, constant[:, None]], axis=1) * scale[:, None]


def solve_lp(cost: Array, coefficient: Array, limit: Array, n_buses: int, price: float) -> tuple[Array, float]:
    """min cost'w + price 1's,  coefficient w - s <= limit,  sum_l w_lb = 1,  w, s >= 0; returns w and the largest s."""
    import highspy

    n, m = len(cost), len(limit)
    simplex = sp.kron(np.ones((1, n // n_buses)), sp.identity(n_buses))
    matrix = sp.block_array([[sp.csc_array(coefficient), -sp.identity(m)], [simplex, None]], format="csc")
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n + m, m + n_buses
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    lp.col_cost_ = np.concatenate([cost, np.full(m, price)])
    lp.col_lower_, lp.col_upper_ = np.zeros(n + m), np.full(n + m, np.inf)
    lp.row_lower_ = np.concatenate([np.full(m, -np.inf), np.ones(n_buses)])
    lp.row_upper_ = np.concatenate([limit, np.ones(n_buses)])
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(lp)
    solver.run()
    value = np.array(solver.getSolution().col_value)
    weights = np.maximum(value[:n], 0.0).reshape(-1, n_buses)
    return (weights / weights.sum(axis=0)).ravel(), float(value[n:].max(initial=0.0))
