"""Explicit solutions of multiparametric linear and quadratic programs; knows nothing of power systems."""

from mpo.budget import Budget, Progress
from mpo.errors import Fault, InputError, SolveError
from mpo.pieces import Slices
from mpo.plane import Planes
from mpo.problem import ParametricLP, ParametricQP
from mpo.solution import Evaluation, Multipliers, Solution
from mpo.solve import solve
from mpo.store import load
from mpo.value import Fit, PiecewiseLinear, storage_value, value_function

__all__ = [
    "Budget",
    "Evaluation",
    "Fault",
    "Fit",
    "InputError",
    "Multipliers",
    "ParametricLP",
    "ParametricQP",
    "PiecewiseLinear",
    "Planes",
    "Progress",
    "Slices",
    "Solution",
    "SolveError",
    "load",
    "solve",
    "storage_value",
    "value_function",
]
