"""Profiles by name: from a table of the user, or from the network's own year."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from admmflex.data.spec import Profile
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon
from admmflex.data.nearest import nearest


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
        raise InputError(
            Fault(
                element,
                f"{key} = {name!r}, which is not in {self.source}",
                f"one of its {len(self.values)} profiles{nearest(name, self.values)}",
                "correct the name or add the column",
            )
        )


def resolve(value: Profile, columns: Columns, horizon: Horizon, element: str, key: str) -> Array:
    """A profile as ``(K,)``: a number for every step, a list as it stands, or a column by its name.

    A list of another length is passed on: the asset that uses it says so.
    """
    if isinstance(value, str):
        return columns.find(value, element, key)
    array = np.asarray(value, dtype=np.float64)
    return np.full(horizon.steps, float(array)) if array.ndim == 0 else array
