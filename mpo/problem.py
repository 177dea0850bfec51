"""Parametric linear and quadratic programs: frozen data, checked when made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from mpo.arrays import Array, freeze
from mpo.errors import Fault, require
from mpo.linear import Polyhedron, centre

MAX_VARIABLES, MAX_ROWS, MAX_PARAMETERS = 1000, 2000, 64


@dataclass(frozen=True, eq=False)
class Program:
    """What linear and quadratic programs share: all but Q; see ParametricQP for the letters."""

    c: Array
    C: Array
    A: Array
    b: Array
    F: Array
    theta_A: Array
    theta_b: Array
    A_eq: Array = None  # type: ignore[assignment]
    b_eq: Array = None  # type: ignore[assignment]
    F_eq: Array = None  # type: ignore[assignment]
    x_min: Array = None  # type: ignore[assignment]
    x_max: Array = None  # type: ignore[assignment]

    @property
    def hessian(self) -> Array:
        """Q; zero where there is none."""
        return np.zeros((self.variables, self.variables))

    @property
    def variables(self) -> int:
        """Number of variables."""
        return len(self.c)

    @property
    def parameters(self) -> int:
        """Number of parameters."""
        return int(self.C.shape[1])

    def objective(self, x: Array, theta: Array) -> Array:
        """1/2 x'Qx + (c + C theta)'x for one pair, or row by row for ``(m, n)`` arrays."""
        linear = self.c + theta @ self.C.T
        value: Array = np.einsum("...i,...i->...", 0.5 * (x @ self.hessian) + linear, x)
        return value

    def unchecked(self, changes: Mapping[str, Array]) -> Program:
        """A copy with other data, for callers who know that it is in order."""
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__ | dict(changes))
        return copy

    def __post_init__(self) -> None:
        faults: list[Fault] = []
        _as_arrays(self, faults)
        require(faults)
        faults += _shapes(self)
        require(faults)
        faults += _finite(self) + _sizes(self) + _bounds(self)
        require(faults)
        faults += _convex(self) + _parameter_set(self)
        require(faults)
        for field in fields(self):
            object.__setattr__(self, field.name, freeze(getattr(self, field.name)))


@dataclass(frozen=True, eq=False)
class ParametricLP(Program):
    """min (c + C theta)'x over the same sets as ParametricQP; the same errors."""


@dataclass(frozen=True, eq=False)
class _Quadratic:
    """Named last among the bases of ParametricQP, so that Q is the first of its fields."""

    Q: Array


@dataclass(frozen=True, eq=False)
class ParametricQP(Program, _Quadratic):
    """min 1/2 x'Qx + (c + C theta)'x over A x <= b + F theta, A_eq x = b_eq + F_eq theta, x_min <= x <= x_max.

    Args:
        Q: (n, n), symmetric and positive semidefinite.
        c, C: (n,), (n, k) for k parameters.
        A, b, F: (m, n), (m,), (m, k).
        theta_A, theta_b: the parameter set theta_A theta <= theta_b: bounded, with an interior.
        A_eq, b_eq, F_eq: equalities, none if left out.
        x_min, x_max: (n,), infinite where there is no bound.

    Raises:
        InputError: wrong shapes, NaN, Q not symmetric positive semidefinite, crossed bounds, a parameter set that is
            empty, flat or unbounded, more than 1000 variables, 2000 rows or 64 parameters.
    """

    @property
    def hessian(self) -> Array:
        """Q."""
        return self.Q


def _as_arrays(problem: Program, faults: list[Fault]) -> None:
    """Every field as an array of floats; left out: no equalities, no bounds."""
    given = {field.name: getattr(problem, field.name) for field in fields(problem)}
    n, k = np.size(given["c"]), np.shape(given["C"])[-1] if np.ndim(given["C"]) else 0
    missing = {"A_eq": np.zeros((0, n)), "b_eq": np.zeros(0), "F_eq": np.zeros((0, k))}
    missing |= {"x_min": np.full(n, -np.inf), "x_max": np.full(n, np.inf)}
    absent = [name for name in ("A_eq", "b_eq", "F_eq") if given[name] is None]
    if 0 < len(absent) < 3:
        said = ", ".join(f"{name} = None" for name in absent)
        faults.append(Fault("equalities", said, "A_eq, b_eq and F_eq, or none of them", "give all three"))
    for name, value in given.items():
        try:
            array = _array(missing[name] if value is None else value)
        except (TypeError, ValueError):
            faults.append(Fault(name, f"{value!r:.60}", "an array of numbers", "give a numpy array"))
        else:
            object.__setattr__(problem, name, array)


def _array(value: ArrayLike) -> Array:
    return np.array(value, np.float64)


def _shapes(problem: Program) -> list[Fault]:
    n, m, e = np.size(problem.c), np.size(problem.b), np.size(problem.b_eq)
    k = problem.C.shape[-1] if problem.C.ndim else 0
    wanted: dict[str, tuple[int, ...]] = {"c": (n,), "C": (n, k), "A": (m, n), "b": (m,), "F": (m, k)}
    wanted |= {"theta_A": (np.size(problem.theta_b), k), "theta_b": (np.size(problem.theta_b),)}
    wanted |= {"A_eq": (e, n), "b_eq": (e,), "F_eq": (e, k), "x_min": (n,), "x_max": (n,)}
    if isinstance(problem, ParametricQP):
        wanted["Q"] = (n, n)
    faults = []
    for name, shape in wanted.items():
        found = getattr(problem, name).shape
        if found != shape:
            faults.append(Fault(name, f"shape {found}", f"shape {shape}", "sizes follow from c, C, b, b_eq, theta_b"))
    return faults


def _finite(problem: Program) -> list[Fault]:
    faults = []
    for field in fields(problem):
        array = getattr(problem, field.name)
        bad = np.isnan(array) if field.name in ("x_min", "x_max") else ~np.isfinite(array)
        if bad.any():
            where = tuple(int(index) for index in np.argwhere(bad)[0])
            value = f"{array[where]} at {where}, {int(bad.sum())} such in all"
            remedy = "leave out rows without a limit; use x_min, x_max for bounds that may be infinite"
            faults.append(Fault(field.name, value, "finite numbers", remedy))
    return faults


def _sizes(problem: Program) -> list[Fault]:
    faults = []
    rows = len(problem.b) + int(np.isfinite(problem.x_min).sum() + np.isfinite(problem.x_max).sum())
    for name, size, least, most in (
        ("variables", problem.variables, 1, MAX_VARIABLES),
        ("rows and bounds", rows, 0, MAX_ROWS),
        ("parameters", problem.parameters, 1, MAX_PARAMETERS),
    ):
        if not least <= size <= most:
            remedy = "explicit solutions are for small problems: fix parameters, or split the problem"
            faults.append(Fault(name, f"{size}", f"{least} to {most}", remedy))
    return faults


def _bounds(problem: Program) -> list[Fault]:
    crossed = np.flatnonzero(~(problem.x_min <= problem.x_max))
    crossed = np.union1d(crossed, np.flatnonzero((problem.x_min == np.inf) | (problem.x_max == -np.inf)))
    return [
        Fault(
            f"variable {i}", f"x_min = {problem.x_min[i]}, x_max = {problem.x_max[i]}", "x_min <= x_max", "check both"
        )
        for i in crossed
    ]


def _convex(problem: Program) -> list[Fault]:
    Q = problem.hessian
    scale = np.abs(Q).max(initial=0.0)
    skew = np.abs(Q - Q.T).max(initial=0.0)
    if skew > 1e-12 * scale:
        return [Fault("Q", f"differs from its transpose by {skew:.3g}", "symmetric", "use (Q + Q') / 2")]
    least = float(np.linalg.eigvalsh(Q)[0]) if scale else 0.0
    if least < -1e-10 * scale * max(1, len(Q)):
        return [Fault("Q", f"least eigenvalue {least:.3g}", "positive semidefinite", "the problem is not convex")]
    return []


def _parameter_set(problem: Program) -> list[Fault]:
    """The parameter set must be bounded and have an interior."""
    A, b = problem.theta_A, problem.theta_b
    norms = np.linalg.norm(A, axis=1)
    if (b[norms == 0.0] < 0.0).any():
        return [Fault("theta_A, theta_b", "a row 0 <= negative", "a set with an interior", "remove that row")]
    faults = []
    polyhedron = Polyhedron(A, b)
    for index in range(problem.parameters):
        for sign, side in ((1.0, "above"), (-1.0, "below")):
            answer = polyhedron.maximise(sign * np.eye(problem.parameters)[index])
            if answer.status == "infeasible":
                return [Fault("theta_A, theta_b", "no parameter satisfies all rows", "not empty", "check the signs")]
            if answer.status == "unbounded":
                value = f"not bounded {side}"
                faults.append(Fault(f"parameter {index}", value, "a bounded set", "add a row to theta_A, theta_b"))
    if not faults and centre(A, b)[0] <= 1e-9 * _size(polyhedron, problem.parameters):
        remedy = "express the parameters by fewer independent ones"
        faults.append(Fault("theta_A, theta_b", "a set without interior", "a set with an interior", remedy))
    return faults


def _size(polyhedron: Polyhedron, parameters: int) -> float:
    """Length of the longest side of the bounding box, at most 1."""
    ends = [polyhedron.maximise(e).value + polyhedron.maximise(-e).value for e in np.eye(parameters)]
    return float(min(1.0, *ends)) if max(ends) < 1.0 else 1.0
