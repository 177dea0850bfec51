"""Profiles by name: from a table of the user, or from the network's own year."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from admmflex.data.nearest import nearest
from admmflex.data.section import Profile
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon


@dataclass(frozen=True)
class Columns:
    """Named profiles over the steps of one horizon, ``(K,)`` each; ``source`` names them in messages."""

    source: str
    values: dict[str, Array] = field(default_factory=dict)

    def find(self, name: str, element: str, key: str) -> Array:
        """One profile.

        Raises:
            InputError: no profile of that name.
        """
        if name in self.values:
            return self.values[name]
        allowed = f"one of its {len(self.values)} profiles{nearest(name, self.values)}"
        if not self.values:
            allowed = "a number or a list of numbers, unless profiles are given"
        raise InputError(
            Fault(element, f"{key} = {name!r} is not in {self.source}", allowed, f"correct {key} or add the profile")
        )


class Resolver:
    """Turns what a scenario says about a profile into ``(K,)``, and keeps the faults on the way.

    Args:
        columns: named profiles; None when their table is at fault itself, so that no name can be looked up.
    """

    def __init__(self, columns: Columns | None, horizon: Horizon) -> None:
        self.columns, self.horizon = columns, horizon
        self.faults: list[Fault] = []

    def __call__(self, value: Profile, element: str, key: str) -> Array:
        """A number for every step, a list as it stands, or a column by its name.

        A list of another length is passed on: the asset that uses it says so. A name that is not found is a fault, and
        zeros let the search for faults go on.
        """
        if not isinstance(value, str):
            array = np.asarray(value, dtype=np.float64)
            return np.full(self.horizon.steps, float(array)) if array.ndim == 0 else array
        try:
            if self.columns is not None:
                return self.columns.find(value, element, key)
        except InputError as error:
            self.faults += error.faults
        return np.zeros(self.horizon.steps)
