"""Faults in what a user gave: each names the object, the value, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault: ``element`` (which object), ``value`` (what was found), ``allowed`` and ``remedy`` (what to do)."""

    element: str
    value: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.element}: {self.value}; allowed: {self.allowed}; {self.remedy}"


class InputError(ValueError):
    """Input that cannot be used; ``faults`` has every one that was found, not only the first."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class SolveError(RuntimeError):
    """An explicit solution that was required is not complete; the message says why."""


def require(faults: Sequence[Fault]) -> None:
    """Raise one InputError with all faults; do nothing when there are none."""
    if faults:
        raise InputError(faults)
