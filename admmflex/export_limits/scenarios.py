"""Scenarios of a day: what customers consume and what their PV could make."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from admmflex.errors import Fault, require
from admmflex.horizon import Array
from grid.arrays import freeze

_LISTED = 20


@dataclass(frozen=True, eq=False)
class Scenarios:
    """N scenarios of n customers over K steps.

    Args:
        load_p: (N, n, K) consumption [kW], not negative.
        load_q: (N, n, K) reactive consumption [kvar].
        avail: (N, n, K) PV power that could be made [kW], not negative.
        dt_h: length of a step [h].
        start: of the first step, ISO 8601 (``2016-05-20``, ``2016-05-20T06:00+02:00``).

    Raises:
        InputError: arrays of different shapes; values that are negative or not finite, the first ones by place.
    """

    load_p: Array
    load_q: Array
    avail: Array
    dt_h: float
    start: str

    def __post_init__(self) -> None:
        for each in ("load_p", "load_q", "avail"):
            object.__setattr__(self, each, freeze(np.asarray(getattr(self, each), dtype=np.float64)))
        require(self._faults())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Scenarios N, customers n, steps K."""
        count, n, steps = self.load_p.shape
        return count, n, steps

    def part(self, first: int, last: int) -> Scenarios:
        """Scenarios first to last - 1."""
        some = {x.name: getattr(self, x.name)[first:last] for x in fields(self)[:3]}
        return Scenarios(**some, dt_h=self.dt_h, start=self.start)

    def _faults(self) -> list[Fault]:
        arrays = {"load_p": self.load_p, "load_q": self.load_q, "avail": self.avail}
        shapes = {x.shape for x in arrays.values()}
        if len(shapes) > 1 or self.load_p.ndim != 3 or not self.load_p.size:
            found = ", ".join(f"{name} {x.shape}" for name, x in arrays.items())
            return [Fault("scenarios", found, "(scenarios, customers, steps), all the same", "correct the arrays")]
        faults = (
            []
            if 0 < self.dt_h < np.inf
            else [Fault("scenarios", f"dt_h = {self.dt_h:g}", "> 0", "give the length of a step in hours")]
        )
        for name, x in arrays.items():
            bad = ~np.isfinite(x) if name == "load_q" else ~((x >= 0) & (x < np.inf))
            allowed = "finite numbers" if name == "load_q" else "finite numbers >= 0"
            for s, i, k in np.argwhere(bad)[:_LISTED]:
                value = f"{name} = {x[s, i, k]:g} of customer {i} at step {k}"
                faults.append(Fault(f"scenario {s}", value, allowed, "correct the table"))
        return faults
