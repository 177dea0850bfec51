"""From local times to steps, and from steps to the rows of a profile."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np

from admmflex.data.spec import HorizonSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon

_MINUTES = {"min": 1.0, "h": 60.0}
_SHORTEST, _LONGEST = 0.99 / 60.0, 7 * 24 * 60.0
"""Minutes of a step: times are kept to the second."""
_MOST_STEPS = 1_000_000
_LATEST = datetime(2201, 1, 1, tzinfo=UTC).timestamp()


def zone(name: str, element: str) -> tzinfo:
    """The time zone of an IANA name.

    Raises:
        InputError: no such zone.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InputError(
            Fault(element, f"timezone = {name!r}", "an IANA name such as Europe/Berlin or UTC", "correct timezone")
        ) from error


def local_time(text: str, tz: tzinfo | None, element: str, key: str = "start") -> datetime:
    """A date-time in ``tz``; without an offset it is the wall clock there.

    Raises:
        InputError: not a date-time; a wall-clock time that the spring change skips, or that the autumn change repeats.
    """
    try:
        time = datetime.fromisoformat(text)
        if time.tzinfo is not None:
            return time.astimezone(tz)
    except (ValueError, OverflowError) as error:
        raise InputError(
            Fault(element, f"{key} = {text!r}", "a date-time such as 2016-05-20 06:00", f"correct {key}")
        ) from error
    early, late = time.replace(tzinfo=tz, fold=0), time.replace(tzinfo=tz, fold=1)
    if early.utcoffset() == late.utcoffset():
        return early
    skipped = early.astimezone(UTC).astimezone(tz).replace(tzinfo=None) != time
    what = "does not exist: the clock jumps over it" if skipped else "happens twice: the clock goes back"
    offset = f"{early.isoformat()} or {late.isoformat()}"
    raise InputError(
        Fault(
            element, f"{key} = {text!r} {what} in {tz}", "a time that names one instant", f"write the offset: {offset}"
        )
    )


def make_horizon(spec: HorizonSpec) -> Horizon:
    """The steps of a scenario; a duration of days ends at the same wall-clock time, whatever the length of the days.

    Raises:
        InputError: unknown time zone, start that is not one instant to the second, steps shorter than a second or
            longer than a week, duration that is not a whole number of steps.
    """
    start = local_time(spec.start, zone(spec.timezone, "horizon"), "horizon")
    if not 1900 <= start.year <= 2200:
        raise InputError(Fault("horizon", f"start = {spec.start!r}", "a year from 1900 to 2200", "correct start"))
    if start.microsecond:
        value = f"start = {spec.start!r} has a fraction of a second"
        raise InputError(Fault("horizon", value, "a time to the second", "correct start"))
    horizon = Horizon(start, _lengths(spec, start) / 60.0)
    end = start.timestamp() + 3600.0 * float(horizon.dt_h.sum())
    if end > _LATEST:
        raise InputError(
            Fault("horizon", "ends after the year 2200", "a year from 1900 to 2200", "shorten the horizon")
        )
    return horizon


def _lengths(spec: HorizonSpec, start: datetime) -> Array:
    """Minutes of every step, ``(K,)``."""
    given = np.atleast_1d(np.array(spec.step_minutes, dtype=np.float64))
    odd = (given < _SHORTEST) | (given > _LONGEST)
    if odd.any():
        value = f"step_minutes = {given[odd][0]:g}"
        raise InputError(Fault("horizon", value, "a second (1/60) to a week (10080)", "give minutes"))
    if isinstance(spec.step_minutes, list):
        return given
    steps = spec.steps or 0
    if spec.duration is not None:
        minutes = _duration_minutes(spec.duration, start)
        steps = round(min(minutes / spec.step_minutes, _MOST_STEPS + 1))
        if not 1 <= steps <= _MOST_STEPS or abs(steps * spec.step_minutes - minutes) > 1e-6:
            raise InputError(
                Fault(
                    "horizon",
                    f"duration = {spec.duration!r} is {minutes:g} minutes",
                    f"a whole number of steps of {spec.step_minutes:g} minutes, at most {_MOST_STEPS}",
                    "change duration or step_minutes",
                )
            )
    return np.full(steps, spec.step_minutes)


def _duration_minutes(text: str, start: datetime) -> float:
    unit = text.lstrip("0123456789. ")
    amount = float(text[: len(text) - len(unit)])
    if unit in _MINUTES:
        return amount * _MINUTES[unit]
    try:
        end = start + timedelta(days=amount)  # the same wall-clock time, because start carries a zone
    except OverflowError:
        return math.inf
    return (end.timestamp() - start.timestamp()) / 60.0


class ProfileAxis:
    """Rows of equal length that begin at a known instant: how a year of profiles is cut to the steps of a horizon.

    x[t] = 1/dt[t] * integral over step t of the profile, which is constant within a row

    The energy of a step is right whatever its length and position; a step that is one row takes its value unchanged.

    Args:
        first: beginning of the first row, with a time zone.
        rows: number of rows.
        row_h: length of a row [h].

    Raises (``window``):
        InputError: a horizon that is not inside the rows.
    """

    def __init__(self, first: datetime, rows: int, row_h: float = 0.25) -> None:
        self.first, self.rows, self.row_h = first, rows, row_h

    def begin(self, row: int) -> datetime:
        """Beginning of a row on the wall clock of the first one."""
        return datetime.fromtimestamp(self.first.timestamp() + row * self.row_h * 3600.0, tz=self.first.tzinfo)

    def window(self, horizon: Horizon) -> Window:
        """The rows that a horizon meets, as averaging weights."""
        begin = (horizon.start.timestamp() - self.first.timestamp()) / 3600.0 / self.row_h
        edges = begin + np.concatenate([[0.0], np.cumsum(horizon.dt_h)]) / self.row_h
        whole = np.round(edges)
        edges = np.where(np.abs(edges - whole) < 1e-7, whole, edges)
        if edges[0] < 0 or edges[-1] > self.rows:
            last = self.begin(self.rows)
            raise InputError(
                Fault(
                    "horizon",
                    f"runs from {horizon.start.isoformat()} for {horizon.dt_h.sum():g} h",
                    f"inside the profiles: {self.first.isoformat()} to {last.isoformat()}",
                    "choose a start in the year of the profiles, or a shorter horizon",
                )
            )
        return Window(edges)


class Window:
    """Edges of the steps in units of rows, ``(K + 1,)``."""

    def __init__(self, edges: Array) -> None:
        self.edges = edges
        self.first = math.floor(edges[0])
        self.last = math.ceil(edges[-1])

    @property
    def aligned(self) -> bool:
        """True when every step is one row."""
        return bool((np.diff(self.edges) == 1.0).all() and self.edges[0] == self.first)

    def cut(self, profile: Array) -> Array:
        """Mean of a profile (rows,) over each step, ``(K,)``."""
        part = np.ascontiguousarray(profile[self.first : self.last], dtype=np.float64)
        if self.aligned:
            return part
        total = np.concatenate([[0.0], np.cumsum(part)])
        at = np.interp(self.edges - self.first, np.arange(len(total)), total)
        return np.asarray(np.diff(at) / np.diff(self.edges))
