"""Faults in what a user gave: each names the object, the value, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    """One fault in the input.

    ``element`` names the object (``"battery 'home 7'"``), ``value`` is what was found in which field,
    ``allowed`` the range or form that is accepted, ``remedy`` what the user can do.
    """

    element: str
    value: str
    allowed: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.element}: {self.value}; allowed: {self.allowed}; {self.remedy}"


class InputError(ValueError):
    """Input that cannot be used; carries every fault that was found, not only the first."""

    def __init__(self, faults: Sequence[Fault] | Fault) -> None:
        self.faults: tuple[Fault, ...] = (faults,) if isinstance(faults, Fault) else tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


def require(faults: Sequence[Fault]) -> None:
    """Raise one InputError with all faults; do nothing when there are none."""
    if faults:
        raise InputError(faults)
