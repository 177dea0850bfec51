"""Proof that a day cannot be met: one extra answer to a price so high that every prosumer gives all it can.

For multipliers nu >= 0 of the grid rows of one step, no plan of the prosumers meets those rows if

    min over all plans of   sum_r nu_r ( value_r + gradient_r (Y - z0) )   >   0

The minimum is what the prosumers answer to the price -1000 gradient' nu at that step and nothing elsewhere. The limits are
taken linearised at the DSO's point, and again in the AC power flow of that very answer: both must be violated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.comm import Comm
from admmflex.dso import Dso
from admmflex.horizon import Array
from grid.limits import BRANCH

OVERWHELMING = 1e3  # [EUR/kWh]
TOLERANCE = 1e-5  # [pu, fraction]


@dataclass(frozen=True)
class Shortfall:
    """A limit that nobody can meet: step, what it is (``kind``, ``index`` of the limits), and by how much at least.

    ``amount`` is in pu for a voltage and a fraction of the rating for a branch.
    """

    step: int
    kind: int
    index: int
    amount: float

    def unit(self) -> str:
        return "of the rating" if self.kind == BRANCH else "pu"


@dataclass(frozen=True)
class Question:
    """The price ``(K, 2 B)`` to ask, and the step it is about."""

    price: Array
    step: int


def question(dso: Dso, comm: Comm, score: Array, first_step: int) -> Question | None:
    """The price that shows whether the step with the largest ``score (K_own,)`` can be met; None where no limit binds."""
    top = float(comm.largest(np.array([score.max(initial=0.0)]))[0])
    price = np.zeros_like(dso.origin)
    chosen = np.array([-1.0])
    if top > 0 and score.max(initial=0.0) == top:
        own = int(score.argmax())
        binding = (dso.rows.step == own) & (dso.rows.nu > 0)
        direction = -dso.rows.nu[binding] @ dso.rows.gradient[binding]
        if direction.any():
            price[own] = direction * (OVERWHELMING / np.abs(direction).max())
            chosen[0] = first_step + own
    step = int(comm.largest(chosen)[0])
    return Question(comm.gather_steps(price), step) if step >= 0 else None


def judge(dso: Dso, comm: Comm, asked: Question, x: Array, first_step: int) -> Shortfall | None:
    """What the answer ``x (K_own, 2 B)`` to the question proves: the limit that stays violated, or None."""
    own = asked.step - first_step
    verdict = np.full(4, -np.inf)
    if 0 <= own < dso.n_steps:
        rows = dso.rows
        here = np.flatnonzero((rows.step == own) & (rows.nu > 0))
        weight = rows.nu[here] / rows.nu[here].sum()
        linear = rows.value[here] + rows.gradient[here] @ (x[own] - dso.origin[own])
        v = dso.power_flow(x).v
        exact = dso.limits.functional(v, rows.step[here], rows.kind[here], rows.index[here], rows.direction[here]).value
        if min(weight @ linear, weight @ exact) > TOLERANCE:
            first = here[np.argmax(weight)]
            verdict = np.array([asked.step, rows.kind[first], rows.index[first], weight @ linear], dtype=float)
    step, kind, index, amount = comm.largest(verdict)
    return Shortfall(int(step), int(kind), int(index), float(amount)) if np.isfinite(step) else None
