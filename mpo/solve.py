"""From a parametric program to its explicit solution."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from mpo.arrays import Array, freeze
from mpo.budget import Budget, Clock, Counts, Status
from mpo.errors import Fault, InputError
from mpo.explore import explore
from mpo.part import Part
from mpo.presolve import presolve
from mpo.problem import Program
from mpo.solution import Solution


def solve(problem: Program, *, tie_break: Sequence[int] | None = None, budget: Budget | None = None) -> Solution:
    """Find all critical regions of a parametric linear or quadratic program.

    Args:
        problem: a ParametricLP or ParametricQP.
        tie_break: variables in the order in which they are to be used where several minimisers are equally good:
            a unit of an earlier one is preferred to a unit of a later one, and both to one of those not listed.
            The order of the variables when left out.
        budget: when to stop early; 2 GB of memory and nothing else when left out.

    Returns:
        The solution; its status says whether it is complete.

    Raises:
        InputError: ``tie_break`` names a variable twice or one that does not exist; equalities that contradict each
            other for some parameters.
    """
    start = time.perf_counter()
    toll = preference(problem.variables, tie_break)
    counts, clock = Counts(), Clock(budget or Budget())
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


def preference(variables: int, order: Sequence[int] | None) -> Array:
    """A cost for each variable: the earlier, the cheaper."""
    listed = list(order or ())
    wrong = [v for v in listed if not 0 <= v < variables or listed.count(v) > 1]
    if wrong:
        allowed = f"different numbers from 0 to {variables - 1}"
        raise InputError([Fault("tie_break", f"{wrong}", allowed, "list every variable at most once")])
    rank = [*listed, *(v for v in range(variables) if v not in set(listed))]
    toll = np.empty(variables)
    toll[rank] = np.linspace(0.5, 1.0, variables)
    return toll
