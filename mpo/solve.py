"""From a parametric program to its explicit solution."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mpo.arrays import freeze
from mpo.budget import Budget, Clock, Counts, Progress, Status
from mpo.explore import explore
from mpo.lcp import tolls
from mpo.part import Part
from mpo.presolve import presolve
from mpo.problem import Program
from mpo.solution import Solution


def solve(
    problem: Program,
    *,
    tie_break: Sequence[int] | None = None,
    budget: Budget | None = None,
    observe: Callable[[Progress], None] | None = None,
) -> Solution:
    """Find all critical regions of a parametric linear or quadratic program.

    Ctrl-C ends the search as a budget does: what has been found is returned.

    Args:
        problem: a ParametricLP or ParametricQP.
        tie_break: variables in the order in which they are to be used where several minimisers are equally good:
            a unit of an earlier one is preferred to a unit of a later one, and both to one of those not listed.
            The order of the variables when left out.
        budget: when to stop early; 2 GB of memory and nothing else when left out.
        observe: called with a ``Progress`` some ten times a second, from the search of the largest programs.

    Returns:
        The solution; its status says whether it is complete, and ``report.stopped`` why not.

    Raises:
        InputError: ``tie_break`` names a variable twice or one that does not exist; equalities that contradict each
            other for some parameters.
    """
    start = time.perf_counter()
    toll = tolls(problem.variables, tie_break)
    counts, clock = Counts(), Clock(budget or Budget(), observe)
    with clock.listening():
        form = presolve(problem)
        counts.dropped_rows = form.dropped_rows
        status: Status = form.verdict or "complete"
        parts: list[Part] = []
        for block in form.blocks:
            part, reached = explore(block, toll, clock, counts)
            status = status if reached == "complete" else reached
            if part is None:
                parts = []
                break
            parts.append(part)
    counts.seconds = time.perf_counter() - start
    x0, X, theta_A, theta_b = (freeze(array) for array in (form.x0, form.X, form.theta_A, form.theta_b))
    return Solution(problem, status, counts, x0, X, theta_A, theta_b, tuple(parts))
