"""What a price coordination begins with, pauses at, and brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from admmflex.coordination.community import Plan
from admmflex.coordination.infeasible import Shortfall
from admmflex.horizon import Array

Status = Literal["optimal", "infeasible", "not_converged"]


@dataclass(frozen=True)
class Warm:
    """Where a coordination left off, for the next one of the same prosumers and steps.

    Args:
        price: (2, B, K) [EUR/kWh, EUR/kvarh].
        z: (2, n, K) the shares of the rank's prosumers [kW, kvar].
        rho: the penalty.
    """

    price: Array
    z: Array
    rho: float


@dataclass(frozen=True)
class Coordinated:
    """What came out.

    Args:
        status: "optimal", "infeasible" (``shortfall`` says why) or "not_converged".
        plan: of the rank's prosumers.
        price: (2, B, K) [EUR/kWh, EUR/kvarh]: those of the mixed plan or of the last round, whichever prove more.
        baseline: what they do at no price; None after a warm start, which does not ask for it.
        lower_bound: no plan that meets the linearised limits costs less [EUR]; None when it was not asked for, or when
            the plan does: its limits are then linearised elsewhere.
        rounds, answers: rounds of ADMM, and how often every prosumer was asked in all.
        history: one record per round.
        fallbacks: linear programs of the mixing that another solver had to solve; on rank 0.
    """

    status: Status
    plan: Plan
    price: Array
    baseline: Plan | None
    lower_bound: float | None
    shortfall: Shortfall | None
    rounds: int
    answers: int
    history: list[dict[str, Any]]
    warm: Warm
    fallbacks: int = 0


@dataclass(frozen=True)
class Asked:
    """A round between the answers of the prosumers and that of the grid, ``(K_own, 2 B)`` each.

    ``cost`` [EUR] and ``own`` bus sums of the answers; ``relaxed`` what is projected, before prices; ``mobility`` as in
    ``Dso.project``.
    """

    cost: float
    own: Array
    relaxed: Array
    mobility: Array
