"""Explicit solutions of multiparametric linear and quadratic programs; knows nothing of power systems."""

from mpo.budget import Budget
from mpo.errors import Fault, InputError, SolveError
from mpo.problem import ParametricLP, ParametricQP
from mpo.solution import Evaluation, Multipliers, Solution
from mpo.solve import solve
from mpo.store import load

__all__ = [
    "Budget",
    "Evaluation",
    "Fault",
    "InputError",
    "Multipliers",
    "ParametricLP",
    "ParametricQP",
    "Solution",
    "SolveError",
    "load",
    "solve",
]
