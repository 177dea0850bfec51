"""Stays of cars and tasks of machines: from local times to the hours of a horizon."""

from __future__ import annotations

from collections.abc import Sequence

from admmflex.assets import Session, Task
from admmflex.data.clock import local_time
from admmflex.data.prosumer_spec import SessionSpec, TaskSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Horizon


def cut_session(arrive_h: float, depart_h: float, arrival_kwh: float, due_kwh: float, end_h: float) -> Session | None:
    """The part of a stay that lies within 0 to ``end_h``; None when there is none.

    A stay that began before has been charged, and one that goes on will be charged, in proportion to time: the day then
    neither begins with work of yesterday undone nor leaves all of its own to tomorrow.
    """
    begin, end = max(arrive_h, 0.0), min(depart_h, end_h)
    if begin >= end:
        return None
    rise = max(due_kwh - arrival_kwh, 0.0) / (depart_h - arrive_h)
    first = arrival_kwh + rise * (begin - arrive_h)
    return Session(begin, end, first, due_kwh - rise * (depart_h - end))


def sessions(specs: Sequence[SessionSpec], horizon: Horizon, element: str, faults: list[Fault]) -> tuple[Session, ...]:
    """The stays within the horizon, in order of time; times at fault go to ``faults``."""
    end, found = float(horizon.dt_h.sum()), []
    for number, spec in enumerate(specs, start=1):
        times = _hours(spec.arrive, spec.depart, ("arrive", "depart"), f"{element} session {number}", horizon, faults)
        if times is not None:
            found.append(cut_session(*times, spec.arrival_kwh, spec.due_kwh, end))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.arrive_h))


def tasks(specs: Sequence[TaskSpec], horizon: Horizon, element: str, faults: list[Fault]) -> tuple[Task, ...]:
    """The tasks within the horizon, in order of time; one that is cut keeps its energy in proportion to time."""
    end, found = float(horizon.dt_h.sum()), []
    for number, spec in enumerate(specs, start=1):
        keys = ("earliest", "deadline")
        times = _hours(spec.earliest, spec.deadline, keys, f"{element} task {number}", horizon, faults)
        if times is not None:
            one = cut_session(*times, 0.0, spec.energy_kwh, end)
            found.append(None if one is None else Task(one.arrive_h, one.depart_h, one.due_kwh - one.arrival_kwh))
    return tuple(sorted((one for one in found if one is not None), key=lambda one: one.earliest_h))


def _hours(
    begin: str, end: str, keys: tuple[str, str], element: str, horizon: Horizon, faults: list[Fault]
) -> tuple[float, float] | None:
    """Hours since the start of the horizon of two times in order."""
    hours = []
    for key, text in zip(keys, (begin, end), strict=True):
        try:
            time = local_time(text, horizon.start.tzinfo, element, key)
        except InputError as error:
            faults += error.faults
            return None
        hours.append((time.timestamp() - horizon.start.timestamp()) / 3600.0)
    if hours[0] < hours[1]:
        return hours[0], hours[1]
    value = f"{keys[1]} = {end!r} is not after {keys[0]} = {begin!r}"
    faults.append(Fault(element, value, f"a later {keys[1]}", "correct the times"))
    return None
