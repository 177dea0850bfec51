"""The time steps of a study."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Horizon:
    """K consecutive steps that may differ in length.

    Args:
        start: beginning of the first step, time-zone aware.
        dt_h: (K,) length of each step [h], positive.
    """

    start: datetime
    dt_h: Array

    @property
    def steps(self) -> int:
        return len(self.dt_h)

    @cached_property
    def times_utc(self) -> NDArray[np.datetime64]:
        """Beginning of each step, UTC, to the second, ``(K,)``."""
        offset = np.concatenate([[0.0], np.cumsum(self.dt_h)[:-1]])
        first = np.datetime64(int(self.start.timestamp()), "s")
        return first + np.round(offset * 3600).astype("timedelta64[s]")

    def label(self, step: int) -> str:
        """Local wall-clock time of the beginning of a step, for messages: ``2016-05-20 12:15``."""
        return self._local(int(self.times_utc[step].astype(np.int64)))

    def clock(self, hours: float) -> str:
        """Local wall-clock time so many hours after the start, for messages."""
        return self._local(int(self.start.timestamp()) + round(3600 * hours))

    def _local(self, seconds: int) -> str:
        return datetime.fromtimestamp(seconds, tz=self.start.tzinfo).strftime("%Y-%m-%d %H:%M")
