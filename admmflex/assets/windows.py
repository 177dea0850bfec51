"""Energy due by the end of a window: what a car that comes and goes and a task with a deadline have in common.

The windows of one device share one state. Between two windows nothing flows, and the gain of the first step after a
window takes the energy from what the window had to leave to what the next one begins with:

    gain = begin_kwh[next] - left_kwh,      left_kwh = max(due_kwh, the least energy that can be reached)

so that whatever is left above ``left_kwh`` is still there when the next window begins.

What cannot be charged in time is missing, in closed form, because charging at full power reaches the most energy at the
end of every window at once: missing = [due - min(most, reached)]+. The bound is lowered by exactly this, and
the next window begins as stated: what was missing has come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets.checks import number_faults
from admmflex.assets.flow import Store
from admmflex.assets.shortfall import Shortfall
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

SNAP_H = 1e-7
"""Ends of windows closer than this to the edge of a step lie on it [h]."""
TOLERANCE = 1e-9
"""Energy that is not worth a word [kWh]."""


@dataclass(frozen=True)
class Window:
    """From ``begin_h`` to ``end_h``, hours since the start of the horizon; energies in kWh.

    It begins with ``begin_kwh``, stays within ``least_kwh`` and ``most_kwh`` and ends with at least ``due_kwh``.
    """

    begin_h: float
    end_h: float
    begin_kwh: float
    due_kwh: float
    least_kwh: float
    most_kwh: float


@dataclass(frozen=True)
class Power:
    """How fast a window fills and empties: powers in kW, efficiencies in (0, 1]."""

    take_kw: float
    give_kw: float = 0.0
    eta_take: float = 1.0
    eta_give: float = 1.0


@dataclass(frozen=True)
class Windows:
    """The windows over the steps.

    Attributes:
        open: ``(K,)`` part of each step that lies in a window.
        last: ``(W,)`` the step in which each window ends.
        missing: ``(W,)`` what each window lacks at its end even at full power [kWh].
        store: the state that all windows share; None when there are none.
    """

    open: Array
    last: tuple[int, ...]
    missing: Array
    store: Store | None


def time_faults(element: str, names: Sequence[str], windows: Sequence[Window], horizon: Horizon) -> list[Fault]:
    """Windows outside the horizon, without length, out of order, or with a step in common.

    Args:
        names: of the windows, for the messages.
    """
    end = float(horizon.dt_h.sum())
    faults = []
    for name, window in zip(names, windows, strict=True):
        faults += number_faults(element, f"{name} begins at", window.begin_h, low=0.0, high=end)
        faults += number_faults(element, f"{name} ends at", window.end_h, low=0.0, high=end + SNAP_H)
        if not faults and window.end_h - window.begin_h <= SNAP_H:
            faults.append(
                Fault(
                    element,
                    f"{name} ends at {horizon.clock(window.end_h)}, begins at {horizon.clock(window.begin_h)}",
                    "an end after the begin",
                    "correct the times",
                )
            )
    if faults:
        return faults
    for k in range(1, len(windows)):
        before, after = windows[k - 1], windows[k]
        if _steps(after, horizon)[0] <= _steps(before, horizon)[1]:
            faults.append(
                Fault(
                    element,
                    f"{names[k]} begins at {horizon.clock(after.begin_h)}, {names[k - 1]} ends at "
                    f"{horizon.clock(before.end_h)}",
                    "windows in order, each beginning in a later step than the one before ends",
                    "separate or join the two",
                )
            )
    return faults


def spread(windows: Sequence[Window], power: Power, horizon: Horizon) -> Windows:
    """Bounds, gains and opening hours of windows that have no faults.

    Between windows the state may be anywhere from 0 to the most of all windows.
    """
    steps, top = horizon.steps, max((window.most_kwh for window in windows), default=0.0)
    opened, gain = np.zeros(steps), np.zeros(steps)
    e_min, e_max = np.zeros(steps), np.full(steps, top)
    missing, last = np.zeros(len(windows)), []
    high = windows[0].begin_kwh if windows else 0.0
    for k, window in enumerate(windows):
        begin, end = _steps(window, horizon)
        part = _overlap(window, horizon)[begin : end + 1]
        opened[begin : end + 1] = part
        hours = float(part @ horizon.dt_h[begin : end + 1])
        high = min(window.most_kwh, high + power.eta_take * power.take_kw * hours)
        missing[k] = max(0.0, window.due_kwh - high)
        due = window.due_kwh - missing[k]
        e_min[begin : end + 1], e_max[begin : end + 1] = window.least_kwh, window.most_kwh
        e_min[end] = max(due, window.least_kwh)
        last.append(end)
        if k + 1 < len(windows):
            lowest = max(e_min[end], window.begin_kwh - power.give_kw * hours / power.eta_give)
            gain[end + 1] = windows[k + 1].begin_kwh - lowest
            e_max[end] = min(e_max[end], top - max(gain[end + 1], 0.0))
            high = min(high, e_max[end]) + gain[end + 1]
    if not windows:
        return Windows(opened, (), missing, None)
    eta_take, eta_give = np.full(steps, power.eta_take), np.full(steps, power.eta_give)
    store = Store(windows[0].begin_kwh, e_min, e_max, eta_take, eta_give, np.ones(steps), gain, 0.0)
    return Windows(opened, tuple(last), np.where(missing > TOLERANCE, missing, 0.0), store)


def unfinished(
    element: str, name: str, due_kwh: Sequence[float], planned: Windows, shortfall_price: float
) -> list[Shortfall]:
    """Windows that end with less than is due; ``name`` is what the element calls a window."""
    return [
        Shortfall(
            element,
            f"{name} {k + 1} is {kwh:.4g} kWh short of {due_kwh[k]:g} kWh",
            planned.last[k],
            planned.last[k],
            float(kwh),
            float(kwh) * shortfall_price,
        )
        for k, kwh in enumerate(planned.missing)
        if kwh > 0.0
    ]


def _edges(horizon: Horizon) -> Array:
    return np.concatenate([[0.0], np.cumsum(horizon.dt_h)])


def _steps(window: Window, horizon: Horizon) -> tuple[int, int]:
    """First and last step that a window meets."""
    edges = _edges(horizon)
    first = int(np.searchsorted(edges, window.begin_h + SNAP_H, side="right")) - 1
    last = int(np.searchsorted(edges, window.end_h - SNAP_H, side="left")) - 1
    return first, min(last, horizon.steps - 1)


def _overlap(window: Window, horizon: Horizon) -> Array:
    """Part of every step that lies in a window, ``(K,)``."""
    edges = _edges(horizon)
    common = np.minimum(edges[1:], window.end_h) - np.maximum(edges[:-1], window.begin_h)
    part: Array = np.clip(common / horizon.dt_h, 0.0, 1.0)
    return part
