"""Faults and exit codes of the package."""

from __future__ import annotations

from enum import IntEnum

from grid.errors import Fault, InputError, require

__all__ = ["ExitCode", "Fault", "InputError", "SolverError", "require"]


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    BAD_INPUT = 2
    INFEASIBLE = 3
    NOT_CONVERGED = 4
    RANK_LOST = 75


class SolverError(RuntimeError):
    """A solver gave up on a problem that has a solution, or returned a point that fails our own checks."""
