"""Explicit solutions: value, minimiser, multipliers and region for any parameter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mpo.arrays import Array, BoolArray, IntArray
from mpo.budget import Counts, Status
from mpo.errors import Fault, InputError, SolveError
from mpo.part import Part
from mpo.problem import Program

if TYPE_CHECKING:
    from mpo.certify import Certificate
    from mpo.pieces import Slices


@dataclass(frozen=True)
class Multipliers:
    """One multiplier (>= 0) for each row of A and each bound, and one of any sign for each equality.

    Q x + c + C theta + A' rows + A_eq' equalities - lower + upper = 0; arrays ``(..., m)``, ``(..., e)``, ``(..., n)``.
    """

    rows: Array
    equalities: Array
    lower: Array
    upper: Array


@dataclass(frozen=True)
class Evaluation:
    """Answers for one parameter, or row by row for many.

    ``inside`` is False, ``region`` -1 and the rest NaN where the parameter is outside the parameter set, where the
    program has no solution, and where an incomplete exploration has not been.
    """

    value: Array
    x: Array
    multipliers: Multipliers
    region: IntArray
    inside: BoolArray


@dataclass(frozen=True, eq=False)
class Solution:
    """All critical regions of a parametric program, see ``solve``.

    x = x0 + X theta + sum over parts of V u(t), each part a piecewise affine map of its own few parameters. A region
    is a choice of one region in each part; regions are numbered 0 ... len - 1, the last part running fastest.

    Args:
        problem: what was solved.
        status: ``complete``; ``budget``: stopped early, usable where it has been; ``infeasible`` and ``unbounded``:
            for every parameter, no regions.
        report: counts of all that was tested, dropped and repaired.
        theta_A, theta_b: the parameter set, rows without variables included.
    """

    problem: Program
    status: Status
    report: Counts
    x0: Array
    X: Array
    theta_A: Array
    theta_b: Array
    parts: tuple[Part, ...]

    @cached_property
    def _inverse(self) -> Array:
        """Pseudo-inverse of A_eq'."""
        return np.asarray(np.linalg.pinv(self.problem.A_eq.T), np.float64)

    def __len__(self) -> int:
        if self.status in ("infeasible", "unbounded"):
            return 0
        return int(np.prod([part.regions for part in self.parts], dtype=np.int64))

    @cached_property
    def laws(self) -> int:
        """How many different minimisers x(theta) there are, at most ``len``.

        Where constraints are degenerate, several regions have the same minimiser and other multipliers. The union of
        all such regions is convex: it is where one affine function is optimal.
        """
        return int(np.prod([part.laws for part in self.parts], dtype=np.int64)) if len(self) else 0

    def require(self) -> Solution:
        """This solution if it is complete.

        Raises:
            SolveError: it is not.
        """
        if self.status != "complete":
            why = f" ({self.report.stopped})" if self.report.stopped else ""
            raise SolveError(f"the explicit solution is {self.status!r}{why} with {len(self)} regions")
        return self

    def evaluate(self, theta: Array) -> Evaluation:
        """Value, minimiser, multipliers and region at theta, ``(k,)`` or ``(m, k)``; never extrapolates.

        Raises:
            InputError: wrong shape, or NaN.
        """
        given = np.asarray(theta, np.float64)
        k = self.problem.parameters
        if given.ndim not in (1, 2) or given.shape[-1] != k:
            raise InputError(
                [Fault("theta", f"shape {given.shape}", f"({k},) or (m, {k})", "one column per parameter")]
            )
        if not np.isfinite(given).all():
            raise InputError([Fault("theta", "NaN or infinite", "finite numbers", "leave such rows out")])
        rows = np.atleast_2d(given)
        region, x, dual = self._evaluate(rows)
        inside = region >= 0
        value = np.where(inside, self.problem.objective(np.where(inside[:, None], x, 0.0), rows), np.nan)
        multipliers = self._multipliers(rows, x, dual)
        if given.ndim == 2:
            return Evaluation(value, x, multipliers, region, inside)
        m = multipliers
        single = Multipliers(m.rows[0], m.equalities[0], m.lower[0], m.upper[0])
        return Evaluation(value[0], x[0], single, region[0], inside[0])

    def certify(self, count: int, *, direct: int = 100, seed: int = 0) -> Certificate:
        """Check coverage and optimality at ``count`` parameters that have a solution, see ``certify.certify``."""
        from mpo.certify import certify

        return certify(self, count, direct=direct, seed=seed)

    def slice(self, fixed: Mapping[int, float]) -> Solution:
        """The solution over fewer parameters, some of them ``fixed`` by number, see ``slices.slice_solution``."""
        from mpo.slices import slice_solution

        return slice_solution(self, fixed)

    def slices(self, fixed: Mapping[int, ArrayLike]) -> Slices:
        """Polygons and values of many slices of two parameters at once, see ``slices.slice_many``."""
        from mpo.slices import slice_many

        return slice_many(self, fixed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to one npz file; ``mpo.load`` reads it."""
        from mpo.store import save

        save(self, path)

    def export_c(self, path: str | os.PathLike[str], *, name: str = "mpo_evaluate") -> None:
        """Write a self-contained C function, see ``export.export_c``."""
        from mpo.export import export_c

        export_c(self, path, name=name)

    def _evaluate(self, theta: Array) -> tuple[IntArray, Array, Array]:
        """Regions, minimisers, and multipliers of all rows (A, lower, upper bounds)."""
        n, m = self.problem.variables, len(self.problem.b)
        inside: BoolArray = np.all(theta @ self.theta_A.T <= self.theta_b + 1e-9 * self._size(), axis=1)
        if len(self) == 0:
            inside[:] = False
        x, dual = self.x0 + theta @ self.X.T, np.zeros((len(theta), m + 2 * n))
        region, known = np.zeros(len(theta), np.int64), np.flatnonzero(inside)
        for part in self.parts if len(known) else ():
            own, u, multiplier = part.evaluate(part.parameters(theta[known]))
            x[known] += u @ part.V.T
            dual[np.ix_(known, part.origin)] += multiplier * part.weight
            region[known] = np.where(own >= 0, region[known] * part.regions + own, -1)
            known = known[own >= 0]
        inside = np.zeros(len(theta), np.bool_) if len(self.parts) else inside
        inside[known] = True
        region[~inside] = -1
        x[~inside], dual[~inside] = np.nan, np.nan
        return region, x, dual

    def _size(self) -> Array:
        size: Array = 1.0 + np.abs(self.theta_b)
        return size

    def _multipliers(self, theta: Array, x: Array, dual: Array) -> Multipliers:
        """Those of equalities from stationarity."""
        p, n, m = self.problem, self.problem.variables, len(self.problem.b)
        rows, lower, upper = dual[:, :m], dual[:, m : m + n], dual[:, m + n :]
        if not len(p.b_eq):
            return Multipliers(rows, np.zeros((len(theta), 0)), lower, upper)
        rest = x @ p.hessian + p.c + theta @ p.C.T + rows @ p.A - lower + upper
        return Multipliers(rows, -rest @ self._inverse.T, lower, upper)
