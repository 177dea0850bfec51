"""Scenarios of a day drawn from measured days, seeded; customers keep their correlation with each other and the sun."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from functools import cached_property

import numpy as np

from admmflex.errors import Fault, require
from admmflex.export_limits.clearness import Clearness, fit_clearness
from admmflex.export_limits.customers import Customers
from admmflex.export_limits.history import History
from admmflex.export_limits.joint import NearDays, correlations, mixing
from admmflex.export_limits.scenarios import Scenarios
from admmflex.horizon import Array, IntArray

SIZES_KW = (2.0, 3.0, 4.0)
"""Sizes of households on the low-voltage grids of SimBench."""


class _Stream(IntEnum):
    HOMES = 0
    DATES = 1
    LEVELS = 2
    SKY = 3


@dataclass(frozen=True)
class Season:
    """Days of the year (1 = 1 January) from which a scenario takes its date; ``last`` may lie in the next year.

    ``near_days``: a household's own day is at most so many days from that of the scenario.
    """

    first: int = 152
    last: int = 243
    near_days: int = 21


@dataclass(frozen=True, eq=False)
class Homes:
    """What n customers follow: ``profile`` (n,) position of a measured household, ``size`` (n,) factor of its power."""

    profile: IntArray
    size: Array


@dataclass(frozen=True, eq=False)
class Generator:
    """Draws scenarios of the customers of a feeder.

    Each has one date of the season and one weather for all. A household takes whole measured days of its own profile,
    near the date and of the same kind (workday or not). Which of them, by the rank of their energy, comes from a
    Gaussian copula with the rank correlations of the measured days: among households, and with the clearness of the
    sky. Two customers of one profile, of which nothing is known, get the mean correlation of different ones.

    Args:
        customers: of the feeder; PV makes ``oversizing`` times ``rating_kw`` times the sun, at most the rating.
        history: measured days.
        seed: of everything; more scenarios keep the first ones.
        season: dates to draw from.
        homes: who follows what; drawn, with sizes SIZES_KW, by default.
        oversizing: PV modules over the rating of the inverter.

    Raises:
        InputError: no day in the season, homes that do not fit the customers or the history.
    """

    customers: Customers
    history: History
    seed: int
    season: Season = Season()
    homes: Homes | None = None
    oversizing: float = 1.0

    def __post_init__(self) -> None:
        require(self._faults())

    def scenarios(self, count: int, *, first: int = 0) -> Scenarios:
        """Scenarios first to first + count - 1; those of other ranges are independent of them."""
        last, homes = first + count, self.used_homes
        position = self._stream(_Stream.DATES).integers(len(self.dates), size=last)
        white = self._stream(_Stream.LEVELS).standard_normal((last, self.customers.n + 1))
        level = white @ mixing(self.correlation, homes.profile).T
        chosen = self._near.pick(position, homes.profile, level[:, :-1])[first:]
        sun = self.sky.sample(self.dates[position], level[:, -1], self._stream(_Stream.SKY))[first:, None, :]
        p, q = (x[homes.profile, chosen] * homes.size[:, None] for x in (self.history.load_p, self.history.load_q))
        rating = self.customers.rating_kw[:, None]
        avail = np.minimum(self.oversizing * rating * sun, rating)
        begin = self.history.start + timedelta(days=int(self.dates[0]))
        return Scenarios(p, q, avail, 24.0 / sun.shape[-1], begin.isoformat(timespec="minutes"))

    @cached_property
    def dates(self) -> IntArray:
        """Positions of the days of the season in the history."""
        day, first, last = self.history.day_of_year, self.season.first, self.season.last
        inside = (day >= first) & (day <= last) if first <= last else (day >= first) | (day <= last)
        return np.flatnonzero(inside)

    @cached_property
    def sky(self) -> Clearness:
        """Fitted to the days of the season."""
        return fit_clearness(self.history.sun, self.dates)

    @cached_property
    def correlation(self) -> Array:
        """(C + 1, C + 1) of the ranks of daily energies of the households, and of the sky, in the season."""
        return correlations(self._near, self.sky.score)

    @cached_property
    def used_homes(self) -> Homes:
        """As given, or drawn."""
        if self.homes is not None:
            return self.homes
        rng, n = self._stream(_Stream.HOMES), self.customers.n
        profile = rng.permuted(np.arange(n) % len(self.history.household))
        return Homes(profile, rng.choice(SIZES_KW, n))

    @cached_property
    def _near(self) -> NearDays:
        return NearDays.of(self.history, self.dates, self.season.near_days)

    def _stream(self, purpose: _Stream) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose])

    def _faults(self) -> list[Fault]:
        found = []
        season, n = self.season, self.customers.n
        if not (1 <= season.first <= 366 and 1 <= season.last <= 366 and season.near_days >= 0):
            value = f"days {season.first} to {season.last}, near_days = {season.near_days}"
            found.append(Fault("season", value, "days 1 to 366, near_days >= 0", "correct the season"))
        elif len(self.dates) < 2:
            value = f"{len(self.dates)} measured days from {season.first} to {season.last}"
            found.append(Fault("season", value, "at least 2", "choose another season, or give more days"))
        if not 0.0 < self.oversizing < np.inf:
            found.append(Fault("generator", f"oversizing = {self.oversizing:g}", "> 0", "correct it"))
        homes = self.homes
        if homes is None:
            return found
        if homes.profile.shape != (n,) or homes.size.shape != (n,):
            value = f"profile {homes.profile.shape}, size {homes.size.shape}"
            return [*found, Fault("homes", value, f"({n},) both", "give one per customer")]
        count = len(self.history.household)
        for name, profile, size in zip(self.customers.name, homes.profile, homes.size, strict=True):
            if not (0 <= profile < count and 0.0 <= size < np.inf):
                value = f"profile {profile}, size {size:g}"
                found.append(Fault(f"customer {name!r}", value, f"0 to {count - 1}, size >= 0", "correct the homes"))
        return found
