"""Some of the charts of a horizon, kept for its result: what every power would have cost a home, and what was chosen.

    cost(P, Q) = max_r a_r P + b_r Q + d_r  [EUR/h]     where  a_m P + b_m Q <= h_m  for all m

Of every span of the horizon the step is kept in which the grid asked for most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.coordination.charts import ChartControl, Control
from admmflex.horizon import Array, IntArray
from admmflex.studies.plant import Done

HOMES, STEPS = 50, 8
"""At most so many are kept."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """The first control step of a step of the horizon.

    Args:
        step: of the horizon.
        asked: [EUR/kWh] largest grid price anywhere.
        pieces: (n, R, 3) of the kept homes of the rank, per hour.
        sides: (n, M, 3).
        chosen: (2, n) [kW, kvar].
    """

    step: int
    asked: float
    pieces: Array
    sides: Array
    chosen: Array


class ChartRecord:
    """Watches a control; homes are spread evenly over the study, steps over the horizon.

    Args:
        control: of the homes of this rank.
        per_step: control steps in a step of the horizon.
    """

    def __init__(self, control: ChartControl, per_step: int) -> None:
        count, self._control, self._per_step = len(control.ordered.order), control, per_step
        self._kept: IntArray = np.unique(np.linspace(0, count - 1, min(count, HOMES)).round().astype(np.int64))
        self._rows: IntArray = np.flatnonzero(np.isin(control.own, self._kept))
        self._seen: list[_Seen] = []

    def watch(self, t: int, found: Control, done: Done) -> None:
        """Control step t."""
        if t % self._per_step:
            return
        drawn, dt_h = found.drawn, self._control.settings.control_h
        now = _Seen(
            t // self._per_step,
            float(np.abs(found.price).max()) / dt_h,
            drawn.pieces[self._rows] / dt_h,
            drawn.sides[self._rows],
            found.powers[:, self._control.ordered.own][:, self._rows],
        )
        span = self._control.study.horizon.steps, min(self._control.study.horizon.steps, STEPS)
        if self._seen and now.step * span[1] // span[0] == self._seen[-1].step * span[1] // span[0]:
            if now.asked > self._seen[-1].asked:
                self._seen[-1] = now
        else:
            self._seen.append(now)

    def variables(self) -> dict[str, Array | IntArray]:
        """What was kept, of all ranks, as variables of a result."""
        pieces = self._together([one.pieces for one in self._seen])
        sides = self._together([one.sides for one in self._seen])
        chosen = self._together([one.chosen.T[:, None] for one in self._seen])
        return {
            "chart_prosumer": self._kept,
            "chart_step": np.array([one.step for one in self._seen], np.int64),
            "chart_pieces": pieces,
            "chart_sides": sides,
            "chart_p_kw": chosen[:, :, 0, 0],
            "chart_q_kvar": chosen[:, :, 0, 1],
        }

    def _together(self, rows: list[Array]) -> Array:
        """(n, steps, most, columns) of all ranks in the order of the study; the first row of a home fills up."""
        comm, own = self._control.comm, self._control.own[self._rows]
        most = int(comm.largest(np.array([float(max(one.shape[1] for one in rows))]))[0])
        wide = [np.concatenate([x, np.repeat(x[:, :1], most - x.shape[1], axis=1)], axis=1) for x in rows]
        mine = np.stack(wide, axis=1)
        flat = np.concatenate([own[:, None].astype(np.float64), mine.reshape(len(own), -1)], axis=1)
        every = comm.stack(np.ascontiguousarray(flat))
        return every[np.argsort(every[:, 0]), 1:].reshape(-1, *mine.shape[1:])
