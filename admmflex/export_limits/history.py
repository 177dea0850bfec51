"""Measured days of households and of the sun, from which scenarios are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from admmflex.data import tables
from admmflex.data.clock import local_time, zone
from admmflex.data.spec import TablesSpec
from admmflex.errors import Fault, InputError, require
from admmflex.horizon import Array, BoolArray, Horizon, IntArray
from grid import Case
from grid.arrays import freeze

_SATURDAY = 5


@dataclass(frozen=True, eq=False)
class History:
    """D consecutive days of K steps of C households and of a PV plant.

    Args:
        household: (C,) names.
        load_p, load_q: (C, D, K) consumption [kW, kvar], or per kW of a household's size.
        sun: (D, K) power of PV [kW per kW].
        start: beginning of the first day.

    Raises:
        InputError: arrays that do not fit together; values that are not finite, consumption or sun below zero.
    """

    household: tuple[str, ...]
    load_p: Array
    load_q: Array
    sun: Array
    start: datetime

    def __post_init__(self) -> None:
        for name in ("load_p", "load_q", "sun"):
            object.__setattr__(self, name, freeze(np.asarray(getattr(self, name), dtype=np.float64)))
        require(self._faults())

    @property
    def days(self) -> int:
        """Number of days D."""
        return int(self.sun.shape[0])

    @property
    def day_of_year(self) -> IntArray:
        """(D,) 1 on 1 January."""
        return np.array([day.timetuple().tm_yday for day in self._dates], dtype=np.int64)

    @property
    def workday(self) -> BoolArray:
        """(D,) Monday to Friday."""
        return np.array([day.weekday() < _SATURDAY for day in self._dates], dtype=np.bool_)

    @property
    def _dates(self) -> list[datetime]:
        return [self.start + timedelta(days=d) for d in range(self.days)]

    def _faults(self) -> list[Fault]:
        c, shape = len(self.household), self.sun.shape
        if not c or self.sun.ndim != 2 or not self.sun.size:
            value = f"{c} households, sun {shape}"
            return [Fault("history", value, "households, sun (days, steps)", "give measured days")]
        if self.load_p.shape != (c, *shape) or self.load_q.shape != (c, *shape):
            value = f"load_p {self.load_p.shape}, load_q {self.load_q.shape}"
            return [Fault("history", value, f"{(c, *shape)} both", "give every household the days of the sun")]
        found = []
        for what, x in [("sun", self.sun[None]), ("load_p", self.load_p), ("load_q", self.load_q)]:
            bad = ~np.isfinite(x) if what == "load_q" else ~((x >= 0.0) & (x < np.inf))
            allowed = "finite numbers" if what == "load_q" else "finite numbers >= 0"
            for i in np.flatnonzero(bad.any(axis=(1, 2))):
                d, k = np.argwhere(bad[i])[0]
                of = "" if what == "sun" else f" of household {self.household[i]!r}"
                place = f"on day {d} at step {k}"
                found.append(Fault("history", f"{what} = {x[i, d, k]:g}{of} {place}", allowed, "correct the table"))
        return found


def simbench_history(case: Case, plant: str | None = None) -> History:
    """The year of a SimBench grid: its profiles H0-* of households, per kW of their size, and one plant.

    Args:
        case: from ``grid.read_case``, such as 1-LV-rural3--2-sw.
        plant: column of the plant; the one with the highest yield by default.

    Raises:
        InputError: a grid without such profiles.
    """
    kept = case.profiles
    if kept is None:
        raise InputError(Fault("history", "a grid without profiles", "a SimBench grid", "use a SimBench code"))
    columns = {str(name): kept[str(name)] for name in kept.names}
    homes = {name: x for name, x in columns.items() if name.startswith("H0-")}
    plants = {name: x for name, x in columns.items() if name.startswith("PV")}
    if plant is not None and plant not in plants:
        raise InputError(Fault("history", f"plant {plant!r}", f"one of {', '.join(plants)}", "correct the name"))
    if not plants:
        raise InputError(Fault("history", "a grid without PV profiles", "a SimBench grid with PV", "use another grid"))
    sun = plants[plant or max(plants, key=lambda name: float(plants[name].sum()))]
    return history(homes, sun, datetime.strptime(str(kept.time[0]), "%d.%m.%Y %H:%M"), 96)


def read_history(
    path: Path | str, start: str, days: int, *, timezone: str = "UTC", step_minutes: float = 15.0, sun: str = "sun"
) -> History:
    """Days of one's own from CSV or Parquet, as the tables of profiles of a scenario.

    Columns: ``time`` (ISO 8601), ``NAME_pload`` and, unless it has none, ``NAME_qload`` of every household [kW, kvar],
    and the power of PV [kW per kW]. Rows of other lengths are averaged. All days have 24 hours: give a time zone
    without summer time, such as Etc/GMT-1.

    Args:
        path: of the table.
        start: beginning of the first day.
        days: how many.
        timezone: of the start and of times without an offset.
        step_minutes: of the scenarios.
        sun: column of the sun.

    Raises:
        InputError: what is wrong with the table, its times or its values, all of it.
    """
    begin = local_time(start, zone(timezone, "history"), "history")
    steps = round(24 * 60 / step_minutes)
    if days < 1 or abs(steps * step_minutes - 24 * 60) > 1e-9:
        value = f"days = {days}, step_minutes = {step_minutes:g}"
        raise InputError(Fault("history", value, ">= 1, and a whole number of steps a day", "correct them"))
    horizon = Horizon(begin, np.full(days * steps, step_minutes / 60.0))
    found = tables.profile_columns(Path(path), TablesSpec(timezone=timezone, resample="mean"), horizon)
    return history(found.values, found.find(sun, "history", "sun"), begin, steps)


def history(columns: Mapping[str, Array], sun: Array, start: datetime, steps: int) -> History:
    """Columns ``NAME_pload`` and ``NAME_qload`` over whole days as a history; no reactive power without a column."""
    homes = [name.removesuffix("_pload") for name in columns if name.endswith("_pload")]
    if not homes:
        raise InputError(Fault("history", "no households", "columns NAME_pload", "name the columns so"))
    alone = [name for name in columns if name.endswith("_qload") and name.removesuffix("_qload") not in homes]
    remedy = "add it, or remove the reactive power"
    require([Fault("history", f"{one!r} without active power", "NAME_pload beside it", remedy) for one in alone])
    none = np.zeros_like(sun)
    by_day = (len(homes), -1, steps)
    p = np.reshape([columns[f"{name}_pload"] for name in homes], by_day)
    q = np.reshape([columns.get(f"{name}_qload", none) for name in homes], by_day)
    return History(tuple(homes), p, q, np.reshape(sun, (-1, steps)), start)
