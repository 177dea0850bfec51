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
from grid.limits import BRANCH, SLACK, Limits

OVERWHELMING = 1e3  # [EUR/kWh]
TOLERANCE_KW = 1e-2  # mean over the rows


@dataclass(frozen=True)
class Shortfall:
    """Limits that nobody can meet together.

    Args:
        step, kind, index: the limit that the best plan found exceeds most,
        excess: and by how much, in pu for a voltage, as a fraction of the rating for a branch; infinite where the
            AC power flow has no solution, whatever the prosumers do about that limit.
        limits: how many limits, counted step by step, were looked at together.
        least_kw: what they are short of whatever the prosumers do, on average [kW at the bus that helps most].
    """

    step: int
    kind: int
    index: int
    excess: float
    limits: int
    least_kw: float

    def describe(self, limits: Limits, when: str) -> str:
        """One line for people."""
        if not np.isfinite(self.excess):
            return (
                f"no AC power flow exists at {when}: the voltages collapse even when every prosumer gives all it can "
                f"for {limits.label(self.kind, self.index)}; check the sizes and units of the loads"
            )
        by = f"{self.excess:.5f} pu"
        if self.kind in (BRANCH, SLACK):
            by = f"{100 * self.excess:.2f} % of the {'rating' if self.kind == BRANCH else 'load'}"
        who = "it is" if self.limits == 1 else f"{self.limits} limits (counted step by step) are"
        average = "" if self.limits == 1 else " on average"
        return (
            f"{limits.label(self.kind, self.index)} at {when}: exceeded by {by} in the best plan found; "
            f"{who} short of at least {self.least_kw:.3g} kW{average} whatever the prosumers do"
        )


def violated_rows(dso: Dso, x: Array) -> tuple[IntArray, Array]:
    """Rows that ``x (K_own, 2 B)`` violates by more than ``TOLERANCE_KW``, and the direction that mends it."""
    rows, direction = dso.rows, np.zeros_like(x)
    violated = np.flatnonzero(dso.excess_kw(x) > TOLERANCE_KW)
    np.add.at(direction, rows.step[violated], -rows.gradient[violated] / rows.scale[violated, None])
    return violated, direction


def judge(dso: Dso, comm: Comm, violated: IntArray, best: Array, pushed: Array, first_step: int) -> Shortfall | None:
    """What an answer proves of the ``violated`` rows.

    Args:
        violated: rows that ``best`` violates.
        best, pushed: (K_own, 2 B) the best plan found, and the answer to the overwhelming price.
        first_step: of the rank.
    """
    rows = dso.rows
    at = rows.step[violated], rows.kind[violated], rows.index[violated]

    exact_best, exact_pushed = (dso.exact(x, dso.power_flow(x))[violated] for x in (best, pushed))
    linear_kw, exact_kw = dso.excess_kw(pushed)[violated], exact_pushed / rows.scale[violated]
    total = comm.sum(np.array([linear_kw.sum(), exact_kw.sum(), float(len(violated))]))
    least = float(min(total[0], total[1]) / max(total[2], 1.0))
    if not least > TOLERANCE_KW:
        return None
    excess = np.where(np.isfinite(exact_best), exact_best, exact_pushed)
    top = float(comm.largest(np.array([excess.max(initial=-np.inf)]))[0])
    named = np.full(3, -1.0)
    if len(excess) and excess.max() == top:
        worst = int(excess.argmax())
        named = np.array([first_step + at[0][worst], at[1][worst], at[2][worst]], dtype=float)
    step, kind, index = comm.largest(named).astype(int)
    places = len(set(zip(*(a.tolist() for a in at), strict=True)))
    count = int(comm.sum(np.array([float(places)]))[0])
    return Shortfall(int(step), int(kind), int(index), top, count, least)
