"""Which step of a result a user means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from admmflex.data.clock import local_time
from admmflex.errors import Fault, InputError
from admmflex.summary import local_times

if TYPE_CHECKING:
    import xarray as xr


def chosen(data: xr.Dataset, step: int | None, at: str | None) -> int:
    """Position of the step with this number, or in which this local time lies; that of the highest loading by default.

    Raises:
        InputError: both given, or a step or time outside the horizon.
    """
    last, times = data.sizes["time"] - 1, local_times(data)
    if step is not None and at is not None:
        raise InputError(Fault("--step and --at", "both given", "one of them", "leave one out"))
    if step is not None:
        if not 0 <= step <= last:
            raise InputError(Fault("--step", str(step), f"0 to {last}", "choose a step of the result"))
        return step
    if at is not None:
        moment = local_time(at, times[0].tzinfo, "--at", "time").astimezone(UTC)
        end = times[-1].astimezone(UTC) + timedelta(hours=float(data["dt_h"][-1]))
        if not times[0].astimezone(UTC) <= moment < end:
            allowed = f"{label(data, 0)} to before {end.astimezone(times[0].tzinfo):%Y-%m-%d %H:%M}"
            raise InputError(Fault("--at", repr(at), allowed, "choose a time within the result"))
        return max(k for k, begin in enumerate(times) if begin.astimezone(UTC) <= moment)
    worst: int = int(np.nan_to_num(data["loading"].to_numpy()).max(axis=0).argmax()) if "loading" in data else 0
    return worst


def label(data: xr.Dataset, step: int) -> str:
    moment: datetime = local_times(data)[step]
    return f"{moment:%Y-%m-%d %H:%M}"
