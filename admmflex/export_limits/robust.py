"""One limit for many scenarios: the minimum or a quantile, and what may be claimed of it with which confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.errors import Fault, InputError
from admmflex.horizon import Array


@dataclass(frozen=True, eq=False)
class RobustLimits:
    """Limits that hold in a share of the scenarios, and claims for scenarios that nobody has seen yet.

    Args:
        robustness: r, share of the scenarios in which a limit has to hold, 1 for all.
        rank: j; the limit of a step is the j-th smallest of the N scenarios.
        xi: (K,) the limits.
        confidence: c of the bounds below.
        step_bound: with confidence c, a new scenario breaks the limit of a given step with at most this probability.
        day_bound: the same for any step of the day; NaN for r < 1.
        claim: confidence of "a new scenario breaks the limit of a given step with a probability of at most 1 - r";
            0 for r = 1, which no finite number of scenarios can show.
    """

    robustness: float
    rank: int
    xi: Array
    confidence: float
    step_bound: float
    day_bound: float
    claim: float


@dataclass(frozen=True)
class Frequency:
    """``count`` of ``total`` with its Clopper-Pearson interval."""

    count: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.count / self.total


def robust_limits(
    xi: Array, robustness: float = 1.0, *, confidence: float = 0.95, proven: bool = False
) -> RobustLimits:
    """The limit of every step for scenarios xi (N, K).

    A scenario breaks a limit that is above its own xi. With the j-th smallest of N independent scenarios as the limit,
    the probability of that is at most a Beta(j, N + 1 - j) variable, whatever the distribution (order statistics). A
    quantile leaves out floor((1 - r) N) scenarios, j = floor((1 - r) N) + 1, and its claim of 1 - r has a confidence of
    about one half only; ``proven`` takes the largest j whose claim has the confidence asked for.

    The bound for the day uses that s scenarios determine all limits:
    1 - ((1 - c) / (N binom(N, s))) ^ (1 / (N - s)) (sample compression; Campi, Garatti and Ramponi, 2018).

    Raises:
        InputError: r outside (0, 1], c outside (0, 1), not a number among xi, too few scenarios for ``proven``.
    """
    from scipy.special import betainc, betaincinv

    _check(xi, robustness, confidence)
    count, spare = len(xi), 1.0 - robustness
    rank = min(int(np.floor(spare * count + 1e-9)) + 1, count)
    if proven:
        ranks = np.arange(1, rank + 1)
        held = ranks[betainc(ranks, count + 1 - ranks, spare) >= confidence] if spare > 0 else ranks[:0]
        if not len(held):
            needed = "infinitely many" if spare <= 0 else f"{int(np.ceil(np.log1p(-confidence) / np.log1p(-spare)))}"
            found = f"{count} scenarios cannot prove {100 * robustness:g} % with confidence {confidence:g}"
            raise InputError(
                Fault("robustness", found, f"at least {needed} scenarios", "add scenarios or ask for less")
            )
        rank = int(held[-1])
    ordered = np.sort(xi, axis=0)
    bound = float(betaincinv(rank, count + 1 - rank, confidence))
    claim = float(betainc(rank, count + 1 - rank, spare)) if spare > 0 else 0.0
    day = _day_bound(xi, ordered[0], confidence) if rank == 1 else float("nan")
    return RobustLimits(robustness, rank, ordered[rank - 1], confidence, bound, day, claim)


def _day_bound(xi: Array, lowest: Array, confidence: float) -> float:
    """Scenarios that attain a minimum below 1 which no earlier one attains determine all limits."""
    from scipy.special import gammaln

    count = len(xi)
    support = len(np.unique(xi.argmin(axis=0)[lowest < 1.0]))
    if support >= count:
        return 1.0
    log_binom = gammaln(count + 1) - gammaln(support + 1) - gammaln(count - support + 1)
    return float(-np.expm1((np.log1p(-confidence) - np.log(count) - log_binom) / (count - support)))


def broken(limit: Array, xi: Array, *, tol: float = 1e-5, confidence: float = 0.95) -> tuple[Frequency, Frequency]:
    """How often scenarios xi (N, K) are broken by limits (K,): in steps where a limit stands, and in whole days.

    A scenario counts when the limit is more than tol above its own. Steps of one day depend on each other: the interval
    of the first is too narrow, that of the days is not.
    """
    over = limit > xi + tol
    stands = (limit < 1.0) | (xi < 1.0).any(axis=0)
    return (
        frequency(int(over[:, stands].sum()), max(over[:, stands].size, 1), confidence),
        frequency(int(over.any(axis=1).sum()), len(xi), confidence),
    )


def frequency(count: int, total: int, confidence: float = 0.95) -> Frequency:
    """Exact two-sided confidence interval of a probability from independent trials (Clopper and Pearson, 1934)."""
    from scipy.special import betaincinv

    tail = (1.0 - confidence) / 2.0
    low = float(betaincinv(count, total - count + 1, tail)) if count > 0 else 0.0
    high = float(betaincinv(count + 1, total - count, 1.0 - tail)) if count < total else 1.0
    return Frequency(count, total, low, high)


def convergence(xi: Array) -> tuple[Array, Array]:
    """Mean and standard deviation (N, K) over the first 1, 2, ... N scenarios; the deviation of one is 0."""
    number = np.arange(1, len(xi) + 1)[:, None]
    mean = np.cumsum(xi, axis=0) / number
    squares = np.cumsum((xi - xi.mean(axis=0)) ** 2, axis=0) - number * (mean - xi.mean(axis=0)) ** 2
    return mean, np.sqrt(np.maximum(squares, 0.0) / np.maximum(number - 1, 1))


def _check(xi: Array, robustness: float, confidence: float) -> None:
    found = []
    if not 0 < robustness <= 1:
        found.append(Fault("robustness", f"{robustness:g}", "above 0, at most 1", "give a share of the scenarios"))
    if not 0 < confidence < 1:
        found.append(Fault("confidence", f"{confidence:g}", "between 0 and 1", "give a probability"))
    if xi.ndim != 2 or not xi.size or not np.isfinite(xi).all():
        found.append(Fault("limits", f"xi {xi.shape}", "(scenarios, steps) of numbers", "correct the limits"))
    if found:
        raise InputError(found)
