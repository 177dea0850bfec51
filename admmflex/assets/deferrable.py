"""Consumption that may wait: energy between an earliest start and a deadline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from admmflex.assets.checks import number_faults
from admmflex.assets.flow import Flow
from admmflex.assets.shortfall import Shortfall, relax_faults
from admmflex.assets.windows import Power, Window, Windows, spread, time_faults, unfinished
from admmflex.errors import Fault
from admmflex.horizon import Horizon


@dataclass(frozen=True)
class Task:
    """Energy that is needed once, between two times in hours since the start of the horizon [kWh]."""

    earliest_h: float
    deadline_h: float
    energy_kwh: float


@dataclass(frozen=True)
class Deferrable:
    """Tasks that take their energy when it suits, as fast as ``p_max_kw`` allows.

    p = -ch,   0 <= ch <= p_max between earliest and deadline,   sum of dt ch over a task = energy

    The state counts the energy that the current task has had. With ``relax`` a task that cannot be finished gets what
    it can.

    Args:
        name: unique behind the meter.
        p_max_kw: largest power [kW].
        tasks: in order of time, one at a time.
        relax: serve what can be served instead of refusing a task that cannot be finished.
        shortfall_price: of the energy that is then missing [EUR/kWh].

    Source: section 1 of the formulation.
    """

    name: str
    p_max_kw: float
    tasks: tuple[Task, ...]
    relax: bool = False
    shortfall_price: float = 0.0
    kind: ClassVar[str] = "deferrable"

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything out of range, tasks that overlap, and tasks that cannot be finished unless ``relax``."""
        element = f"deferrable {self.name!r}"
        found = [
            *number_faults(element, "p_max_kw", self.p_max_kw, low=0.0),
            *relax_faults(element, self.relax, self.shortfall_price),
        ]
        for number, task in enumerate(self.tasks, start=1):
            found += number_faults(element, f"task {number}: energy_kwh", task.energy_kwh, low=0.0)
        names = [f"task {number}" for number in range(1, len(self.tasks) + 1)]
        found += time_faults(element, names, self._windows(), horizon)
        if found or self.relax:
            return found
        missing = self._spread(horizon).missing
        return [
            Fault(
                element,
                f"task {k + 1} is {missing[k]:.4g} kWh short of energy_kwh = {task.energy_kwh:g} "
                f"at {horizon.clock(task.deadline_h)}",
                f"at most {task.energy_kwh - missing[k]:.4g} kWh: p_max_kw = {self.p_max_kw:g} "
                f"from {horizon.clock(task.earliest_h)}",
                "lower energy_kwh, move the deadline, raise p_max_kw, or set relax with a shortfall_price",
            )
            for k, task in enumerate(self.tasks)
            if missing[k] > 0.0
        ]

    def shortfalls(self, horizon: Horizon) -> list[Shortfall]:
        """Tasks that are not finished at their deadline."""
        due = [one.energy_kwh for one in self.tasks]
        return unfinished(f"deferrable {self.name!r}", "task", due, self._spread(horizon), self.shortfall_price)

    def flow(self, horizon: Horizon) -> Flow:
        """A flow whose state is the energy that the current task has had."""
        planned, zero, none = self._spread(horizon), np.zeros(horizon.steps), np.zeros(0)
        take = self.p_max_kw * planned.open
        return Flow(zero, zero, zero, take, zero, zero, zero, 0.0, none, none, planned.store)

    def _windows(self) -> list[Window]:
        return [Window(t.earliest_h, t.deadline_h, 0.0, t.energy_kwh, 0.0, t.energy_kwh) for t in self.tasks]

    def _spread(self, horizon: Horizon) -> Windows:
        return spread(self._windows(), Power(self.p_max_kw), horizon)
