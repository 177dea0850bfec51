"""Mixing of past answers: the cheapest feasible plan that the prosumers' own answers span.

Every answer a prosumer ever gave is feasible for it, and so is every convex combination, since its set is convex. A
small LP picks one combination per bus that meets the AC-linearised limits at least cost:

    min  sum_b sum_l w_bl c_bl + price sum_r s_r
    s.t. value_r + gradient_r ( sum_l w_bl Y_bl - z0 ) <= s_r,    sum_l w_bl = 1,    w, s >= 0

with c_bl the summed cost of the prosumers at bus b in answer l. By convexity the cost is an upper bound of what the
plan really costs. It is the master problem of a Dantzig-Wolfe decomposition whose columns ADMM generates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination.master import solve_master
from admmflex.dso import Dso
from admmflex.horizon import Array

RELINEARISATIONS = 3
ROW_ROUNDS = 8
SLACK_TOLERANCE = 1e-3  # [kW]
COARSE = 50.0  # times the tolerances of the projection: 5e-6 pu, 5e-5 of a rating
LOOSE, FINE = 1e-3, 1e-7  # tolerances of the LP while rows are still added, and at last
ROOM = 0.02  # [kW]: rows with more room at the last mix leave the LP; those that matter come back
BINDING = 1e-3  # [kW]: a row with more room has no price; the interior point leaves it a tiny one
AC_TOLERANCE = np.array([2e-5, 2e-4])  # [pu, fraction]: when to stop relinearising


@dataclass(frozen=True)
class Mix:
    """A plan made of past answers.

    ``weights (L, B)``; ``x (K_own, 2 B)`` its bus powers; ``cost`` [EUR] an upper bound; ``excess`` [pu, fraction]
    over the limits in the AC power flow; ``slack`` [kW] the largest violation that no combination avoids;
    ``price (K_own, 2 B)`` [EUR/kW for the step] what the multipliers of the LP are worth at the buses; ``least`` [EUR]
    what the powers of the own steps are worth at that price, at least, if they meet the linearised limits.
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
    """

    def __init__(self, dso: Dso, comm: Comm, window: int, price: float) -> None:
        self.dso, self.comm, self.price = dso, comm, price
        self.window = window
        self.answers: list[Array] = []
        self.costs: list[Array] = []
        self.used: list[float] = []
        self.last: Array | None = None

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

    def mix(self) -> Mix:
        """The cheapest combination of the recorded answers that meets the limits."""
        answers, costs = np.array(self.answers), np.array(self.costs)  # (L, K_own, 2 B), (L, B)
        x = answers[-1] if self.last is None else self.last
        for relinearisation in range(RELINEARISATIONS):
            self.dso.relinearise(x)
            if relinearisation == 0:
                self.dso.drop_roomy(x, ROOM)
            self.dso.add_violated(x)
            weights, slack, price, least = self._solve(answers, costs)
            x = combine(weights, answers)
            excess = self.comm.largest(self.dso.check(x).worst)
            if np.all(excess <= AC_TOLERANCE) or slack > SLACK_TOLERANCE:
                break
        self.last, self.used = x, weights.max(axis=1).tolist()
        return Mix(weights, x, float(np.sum(weights * costs)), excess, slack, price, least)

    def _solve(self, answers: Array, costs: Array) -> tuple[Array, float, Array, float]:
        """Solve the LP on rank 0, adding violated rows until none is left.

        Returns weights ``(L, B)``, the largest slack, the price and the least value at it, as in ``Mix``.
        """
        n_answers, n_buses = costs.shape
        fine = False
        for _ in range(ROW_ROUNDS):
            table = self.comm.stack(self._table(answers))
            result = np.empty(n_answers * n_buses + 1 + len(table))
            n_weights = n_answers * n_buses
            if self.comm.rank == 0:
                rows = table[:, :-1].reshape(-1, n_buses, n_answers)
                tolerance = FINE if fine else LOOSE
                master = solve_master(costs.T.copy(), rows, -table[:, -1], self.price, tolerance)
                result[:n_weights], result[n_weights] = master.weights.T.ravel(), master.slack.max(initial=0.0)
                result[n_weights + 1 :] = master.nu
            result = self.comm.broadcast(result)
            weights = result[:n_weights].reshape(n_answers, n_buses)
            x = combine(weights, answers)
            price, least = self._price(x, result[n_weights + 1 :])
            added = self.comm.sum(np.array([float(self.dso.add_violated(x, COARSE))]))
            if added[0] == 0 and fine:
                break
            fine = fine or added[0] == 0
        return weights, float(result[n_weights]), price, least

    def _price(self, x: Array, nu: Array) -> tuple[Array, float]:
        """price = - gradient' nu of the own rows that bind at ``x``, and min price' z = nu' (value - gradient z0).

        ``nu`` are the multipliers of the rows of all ranks in turn.
        """
        rows, origin = self.dso.rows, self.dso.origin
        counts = self.comm.stack(np.array([[float(len(rows))]]))[:, 0].astype(int)
        first = int(counts[: self.comm.rank].sum())
        own = np.where(self.dso.excess_kw(x) > -BINDING, nu[first : first + len(rows)], 0.0) / rows.scale
        price = np.zeros_like(x)
        np.add.at(price, rows.step, -own[:, None] * rows.gradient)
        return price, float(own @ (rows.value - np.einsum("rj,rj->r", rows.gradient, origin[rows.step])))

    def _table(self, answers: Array) -> Array:
        """Rows of the LP for the own steps, in kW: coefficients of the weights, then the constant, ``(M, B L + 1)``."""
        rows = self.dso.rows
        n_buses, n_answers = len(self.dso.buses), len(answers)
        product = rows.gradient[None] * answers[:, rows.step]  # (L, M, 2 B)
        by_bus = product[:, :, :n_buses] + product[:, :, n_buses:]
        coefficient = by_bus.transpose(1, 2, 0).reshape(len(rows), n_buses * n_answers)
        constant = rows.value - np.einsum("mj,mj->m", rows.gradient, self.dso.origin[rows.step])
        return np.concatenate([coefficient, constant[:, None]], axis=1) / rows.scale[:, None]


def combine(weights: Array, answers: Array) -> Array:
    """Bus powers ``(K, 2 B)`` of the combination ``weights (L, B)`` of ``answers (L, K, 2 B)``."""
    return np.asarray(np.einsum("lj,lkj->kj", np.concatenate([weights, weights], axis=1), answers))
