"""Days that stand near a date, sorted by energy, and how the energies of households go together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.export_limits.history import History
from admmflex.horizon import Array, IntArray

_YEAR = 365.25


@dataclass(frozen=True, eq=False)
class NearDays:
    """For each of S dates the measured days near it of the same kind, workday or not, sorted by energy.

    Args:
        dates: (S,) days of the history.
        day: (S, C, M) days by rising energy of each household, the first ``count[s]`` of them valid.
        count: (S,).
        rank: (S, C) place of the date itself among its near days, in (0, 1).
    """

    dates: IntArray
    day: IntArray
    count: IntArray
    rank: Array

    @classmethod
    def of(cls, history: History, dates: IntArray, near_days: int) -> NearDays:
        """Find them; the year is a ring."""
        day, workday = history.day_of_year, history.workday
        apart = np.abs(day[dates, None] - day)
        near = (np.minimum(apart, _YEAR - apart) <= near_days) & (workday[dates, None] == workday)
        energy = history.load_p.sum(axis=2)
        count = near.sum(axis=1)
        masked = np.where(near[:, None, :], energy, np.inf)
        order = np.argsort(masked, axis=2, kind="stable")[:, :, : count.max()]
        below = (masked < energy.T[dates, :, None]).sum(axis=2)
        rank = (below + 0.5) / count[:, None]
        return cls(dates, order, count, rank)

    def pick(self, date: IntArray, profile: IntArray, level: Array) -> IntArray:
        """(N, n) days of customers with profiles (n,) for positions (N,) of dates and standard normal levels (N, n)."""
        from scipy.special import ndtr

        count = self.count[date, None]
        place = np.minimum((ndtr(level) * count).astype(np.int64), count - 1)
        found: IntArray = self.day[date[:, None], profile, place]
        return found


def correlations(near: NearDays, sky: Array) -> Array:
    """(C + 1, C + 1) correlation of normal scores of the dates: energies of C households, and the level of the sky."""
    from scipy.special import ndtri

    scores = np.concatenate([ndtri(near.rank), sky[near.dates, None]], axis=1)
    spread = scores.std(axis=0)
    unit = (scores - scores.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    matrix: Array = unit.T @ unit / len(unit)
    np.fill_diagonal(matrix, 1.0)
    return matrix


def mixing(correlation: Array, profile: IntArray) -> Array:
    """(n + 1, n + 1) matrix L whose rows have length 1 and L L' the correlation of n customers and the sky.

    Customers of one profile get the mean correlation of different households. Where the result is no correlation
    matrix, its negative eigenvalues are cut.
    """
    count = len(correlation) - 1
    homes = correlation[:count, :count]
    between = homes[~np.eye(count, dtype=np.bool_)]
    mean = float(between.mean()) if len(between) else 0.0
    filled = correlation.copy()
    filled[np.arange(count), np.arange(count)] = mean
    who = np.append(profile, count)
    wanted = filled[np.ix_(who, who)]
    np.fill_diagonal(wanted, 1.0)
    value, vector = np.linalg.eigh(wanted)
    root = vector * np.sqrt(np.maximum(value, 0.0))
    factor: Array = root / np.linalg.norm(root, axis=1, keepdims=True)
    return factor
