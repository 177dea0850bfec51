"""Proof that a day cannot be met: one extra answer to a price so high that every prosumer gives all it can.

For any set of grid rows, scaled to kW, no plan of the prosumers meets them all if

    min over all plans of   sum_r ( value_r + gradient_r (Y - z0) ) / scale_r   >   0

The minimum is what the prosumers answer to the price -1000 gradient / scale. The rows are taken linearised, and again
in the AC power flow of that very answer: both must stay violated before a day is called infeasible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.comm import Comm
from admmflex.dso import Dso
from admmflex.horizon import Array, IntArray
from grid.limits import BRANCH, Limits

OVERWHELMING = 1e3  # [EUR/kWh]
TOLERANCE_KW = 1e-2  # mean over the rows


@dataclass(frozen=True)
class Shortfall:
    """A limit that nobody can meet: step, ``kind`` and ``index`` of the limit, and by how much at least.

    ``amount`` is in pu for a voltage and a fraction of the rating for a branch; ``others`` counts further limits and
    steps.
    """

    step: int
    kind: int
    index: int
    amount: float
    others: int

    def describe(self, limits: Limits, when: str) -> str:
        """One line for people."""
        by = f"{100 * self.amount:.2f} % of the rating" if self.kind == BRANCH else f"{self.amount:.5f} pu"
        further = f" (and {self.others} further limits or steps)" if self.others else ""
        return f"{limits.label(self.kind, self.index)} at {when}: exceeded by {by} whatever the prosumers do{further}"


def violated_rows(dso: Dso, x: Array) -> tuple[IntArray, Array]:
    """Rows that ``x (K_own, 2 B)`` violates by more than ``TOLERANCE_KW``, and the direction that mends it."""
    rows, direction = dso.rows, np.zeros_like(x)
    violated = np.flatnonzero(dso.excess_kw(x) > TOLERANCE_KW)
    np.add.at(direction, rows.step[violated], -rows.gradient[violated] / rows.scale[violated, None])
    return violated, direction


def judge(dso: Dso, comm: Comm, violated: IntArray, x: Array, first_step: int) -> Shortfall | None:
    """What an answer ``x (K_own, 2 B)`` proves of the ``violated`` rows: the limit that stays violated most."""
    rows = dso.rows
    v = dso.power_flow(x).v
    at = (rows.step[violated], rows.kind[violated], rows.index[violated])
    exact = dso.limits.functional(v, *at, rows.direction[violated]).value
    linear_kw = dso.excess_kw(x)[violated]
    exact_kw = exact / rows.scale[violated]
    total = comm.sum(np.array([linear_kw.sum(), exact_kw.sum(), float(len(violated))]))
    if total[2] == 0 or min(total[0], total[1]) <= TOLERANCE_KW * total[2]:
        return None
    still = exact_kw > 0
    top = float(comm.largest(np.array([exact[still].max(initial=0.0)]))[0])
    report = np.full(3, -1.0)
    if still.any() and exact[still].max() == top:
        worst = int(np.flatnonzero(still)[exact[still].argmax()])
        report = np.array([first_step + at[0][worst], at[1][worst], at[2][worst]], dtype=float)
    step, kind, index = comm.largest(report).astype(int)
    pairs = len(set(zip(*(a[still].tolist() for a in at), strict=True)))
    others = int(comm.sum(np.array([float(pairs)]))[0]) - 1
    return Shortfall(int(step), int(kind), int(index), top, others)
