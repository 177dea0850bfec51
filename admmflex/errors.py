"""Faults and exit codes of the package."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from grid.errors import Fault, InputError, require

__all__ = ["ExitCode", "Fault", "InputError", "Interrupted", "SolverError", "Unanswered", "require"]


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    BAD_INPUT = 2
    INFEASIBLE = 3
    NOT_CONVERGED = 4
    RANK_LOST = 75
    STOPPED = 130


class Interrupted(RuntimeError):
    """A run was asked to stop and did, after a round; ``kept`` tells whether it can go on from there."""

    def __init__(self, after_round: int, kept: bool) -> None:
        super().__init__(f"stopped after round {after_round}")
        self.after_round, self.kept = after_round, kept


class SolverError(RuntimeError):
    """A solver gave up on a problem that has a solution, or returned a point that fails our own checks."""


class Unanswered(SolverError):
    """Some prosumers gave no answer; everybody else did.

    Args:
        why: a reason for each of them, by position in the rank's list.
    """

    def __init__(self, why: Mapping[int, str]) -> None:
        super().__init__("; ".join(why.values()))
        self.why = dict(why)
