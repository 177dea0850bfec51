"""What a prosumer is asked and what it answers.

One answer solves, for every prosumer i behind bus b,

    min over y in Y_i   C_i(y) + sum_t dt[t] ( -lam[:,b,t]' y[:,t] + rho/2 |y[:,t] - z[:,i,t]|^2 ),    y = (p, q)

Prices lam in EUR/kWh and EUR/kvarh without the tariff, powers in kW and kvar, injections positive; rho in EUR/(kW^2 h).
Source: docs/formulation, section 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from admmflex.errors import SolverError, Unanswered
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.program import AssetPlan

WAYS = ("shedding", "chain", "interior point", "quadratic program", "cvxpy")
"""The ways of answering, the fastest first; one class each."""

COUNTS = ("fallbacks", "coupled_homes", "burnt_kwh")
"""Answers that a way did not bring within its tolerance and another one gave; homes whose inverter rating bound active
and reactive power together in the last answer; energy that storages took and gave at once in it [kWh]."""


class Response(Protocol):
    """A way of answering for some of the prosumers of a rank; a new way is one class with these members."""

    way: ClassVar[str]
    """Its name in ``WAYS``."""

    rows: IntArray
    """Positions of the prosumers answered for, in the rank's list."""

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """Answer a signal.

        Args:
            price: (2, n_bus, K) lam by position of the bus [EUR/kWh, EUR/kvarh].
            target: (2, n, K) z of all the rank's prosumers [kW, kvar].
            rho: penalty, 0 allowed.
            out: (2, n, K) y of all the rank's prosumers; only ``rows`` are written.

        Raises:
            Unanswered: by some, after all were asked; what they answered before stays what ``cost`` and ``state`` tell.
        """
        ...

    def cost(self) -> Array:
        """Own cost C_i of the last answer ``(len(rows),)`` [EUR]: tariff, wear, reactive power, less the end value."""
        ...

    def state(self) -> Mapping[str, Array]:
        """Inner trajectories of the last answer, linear quantities only: convex combinations of answers are feasible.

        The arrays are valid until the next answer; copy what is kept.
        """
        ...

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost ``(len(rows),)`` [EUR] of powers p ``(len(rows), K)`` with these inner trajectories."""
        ...

    def plans(self, state: Mapping[str, Array]) -> list[tuple[AssetPlan, ...]]:
        """What the assets of every prosumer do in (a combination of) earlier states; empty without assets."""
        ...

    def warm(self) -> Mapping[str, NDArray[Any]]:
        """The arrays themselves that the next answer begins at; empty where answers do not depend on the last one."""
        ...

    def counts(self) -> Mapping[str, float]:
        """What is worth telling of its answers: numbers that are added up, under names in ``COUNTS``."""
        ...


def answer_each(
    solve: Sequence[Callable[[Array, Array, float], Array]],
    rows: IntArray,
    buses: IntArray,
    price: Array,
    target: Array,
    rho: float,
    out: Array,
) -> None:
    """Answer one by one, as in ``Response.answer``: whoever fails does not keep the others from answering."""
    why: dict[int, str] = {}
    for one, row, bus in zip(solve, rows.tolist(), buses.tolist(), strict=True):
        try:
            y = one(price[:, bus], target[:, row], rho)
        except SolverError as error:
            why[row] = str(error)
            continue
        if y.shape == out[:, row].shape:
            out[:, row] = y
        else:
            why[row] = f"an answer of shape {y.shape}, not {out[:, row].shape}"
    if why:
        raise Unanswered(why)
