"""Slices of the programs of groups of homes: of explicit solutions where these are wanted, else plane by plane."""

from __future__ import annotations

import os
from collections.abc import Hashable
from pathlib import Path

import numpy as np

from admmflex.horizon import Array
from admmflex.prosumers.groups import Group
from admmflex.prosumers.offline import explicit_solution
from admmflex.prosumers.period import period_program
from mpo import Planes, Slices, Solution


class Programs:
    """The programs that were asked for so far.

    Args:
        explicit: folder of solutions of types of homes; without it all homes are explored plane by plane.
    """

    def __init__(self, explicit: str | os.PathLike[str] | None = None) -> None:
        self.explicit = None if explicit is None else Path(explicit)
        self._planes: dict[Hashable, Planes] = {}
        self._solutions: dict[Hashable, Solution | None] = {}

    def slices(self, group: Group, parameters: dict[int, Array]) -> list[tuple[Group, Slices]]:
        """Slices of homes, of the solution of their type where there is one; flat ones have pieces as planes only."""
        solution = self._solution(group)
        if solution is None:
            return [(group, self._program(group).slices(parameters))]
        found = solution.slices(parameters)
        flat = np.diff(found.start) == 0
        if not flat.any():
            return [(group, found)]
        some = {number: values[~flat] for number, values in parameters.items()}
        others = {number: values[flat] for number, values in parameters.items()}
        every = np.zeros(int(group.homes.max()) + 1, np.bool_)
        every[group.homes[flat]] = True
        parts = [(group.without(~every), self._program(group).slices(others))]
        return parts if flat.all() else [*parts, (group.without(every), solution.slices(some))]

    def _solution(self, group: Group) -> Solution | None:
        if self.explicit is None or not group.tied:
            return None
        key = _key(group)
        if key not in self._solutions:
            self._solutions[key] = explicit_solution(group.shape, group.ranges, group.tied, self.explicit)
        return self._solutions[key]

    def _program(self, group: Group) -> Planes:
        key = _key(group)
        if key not in self._planes:
            self._planes[key] = Planes(period_program(group.shape, group.ranges, group.tied))
        return self._planes[key]


def _key(group: Group) -> Hashable:
    """What makes the program; built in every control step."""
    tied = tuple((name, *terms.items()) for name, terms in group.tied.items())
    return group.shape, *group.ranges.items(), *tied
