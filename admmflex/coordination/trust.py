"""Which answers are believed, and what stands in for the others.

An answer is believed when it is all numbers and within what the devices of the prosumer allow. Whoever gives none keeps
to the plan it told last, as in asynchronous ADMM: every answer ever given is feasible for its prosumer. After a few
misses in a row it is held there: it does not count as flexible, its past answers are not mixed, and no question waits
for it any longer. It is still asked, and the first answer that is believed takes it in again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from admmflex.coordination._consensus import sum_by_bus
from admmflex.coordination.community import Answer, Community
from admmflex.errors import Unanswered
from admmflex.horizon import Array, BoolArray

MISSES = 3  # in a row, after which a prosumer is held
TRIES = 20  # of a question that everybody has to answer


class Trust:
    """The questions to the prosumers of a rank.

    Attributes:
        held: (n,) who keeps to the plan it told last.
        misses: (n,) questions in a row without an answer.
        missed: how many answers were missing in all.
        why: what was wrong with the last missing answer, by position.
        able: (2, n, K) where those who are not held can move.
        last: what everybody told in the last round.
    """

    def __init__(self, community: Community, n_buses: int) -> None:
        self.community, self.n_buses, self.able = community, n_buses, community.flexible
        n = len(community.bus)
        self.held, self.misses = np.zeros(n, np.bool_), np.zeros(n, np.int64)
        self.missed = 0
        self.why: dict[int, str] = {}
        self.last: Answer | None = None
        far = np.full((2, n), np.finfo(float).max)
        self._reach = np.stack([-far, far]) if community.reach is None else community.reach
        self._beyond = np.zeros(n, np.bool_)

    def sum(self, y: Array, sums: Array) -> None:
        """Sums ``(K, 2 B)`` of powers ``(2, n, K)`` over the prosumers of every bus."""
        sum_by_bus(y, self.community.bus, self.n_buses, self._reach, sums, self._beyond)

    def ask(
        self, price: Array, target: Array, rho: float, sums: Array, tries: int, everybody: bool
    ) -> tuple[Answer, Array]:
        """Ask everybody; those who are missing again, up to so many times in all.

        Questions do not wait for those who are held, unless for ``everybody``.

        Returns:
            The answers, with what stands in for missing ones, and how many there are: missing of those who are not
            held, newly held, and held. ``sums`` as in ``sum``.

        Raises:
            Unanswered: prosumers who never gave an answer, of whom nothing is known.
        """
        population = self.community.population
        answer, missing = self._heard(partial(population.answer, price, target, rho), sums)
        if not missing.any() and not self.misses.any():
            return answer, np.zeros(3)
        for _ in range(1, tries if self.last is not None else TRIES):
            asked = missing if everybody else missing & ~self.held
            if not asked.any():
                break
            again, still = self._heard(partial(population.again, price, target, rho, asked), sums)
            answer.take(again, asked & ~still, population)
            missing = missing & ~(asked & ~still)
        if missing.any():
            if self.last is None:
                raise Unanswered({i: self._silent(i) for i in np.flatnonzero(missing).tolist()})
            answer.take(self.last, missing, population)
        self.sum(answer.y, sums)
        before = self.held
        self.misses = np.where(missing, self.misses + 1, 0)
        self.held = (before & missing) | (self.misses >= MISSES)
        self.able = self.community.flexible & ~self.held[:, None]
        self.missed += int(missing.sum())
        counts = missing & ~self.held, self.held & ~before, self.held
        return answer, np.array([float(one.sum()) for one in counts])

    def _heard(self, ask: Callable[[], Array], sums: Array) -> tuple[Answer, BoolArray]:
        """What was answered to one question, and whose answers are missing ``(n,)``."""
        population, missing = self.community.population, np.zeros(len(self.held), np.bool_)
        try:
            ask()
        except Unanswered as error:
            missing[list(error.why)] = True
            self.why |= error.why
        answer = Answer(population.y.copy(), population.state(), population.cost().copy())
        self.sum(answer.y, sums)
        for wrong, reason in (
            (self._beyond & ~missing, "powers that are not numbers, or beyond its devices"),
            (~np.isfinite(answer.cost) & ~missing & ~self._beyond, "a cost that is not a number"),
        ):
            if wrong.any():
                self.why |= dict.fromkeys(np.flatnonzero(wrong).tolist(), reason)
                missing |= wrong
        return answer, missing

    def name(self, i: int) -> str:
        """Of a prosumer of the rank, for messages."""
        names = self.community.names
        return names[i] if names else f"{i} at bus {self.community.bus[i]}"

    def _silent(self, i: int) -> str:
        what = f"prosumer {self.name(i)!r}: no answer to the first question, asked {TRIES} times ({self.why[i]})"
        return f"{what}; reach it, or list it as a load that is known"
