"""How clear the sky is: a process fitted to measured days of PV."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray

WINDOW_DAYS = 10
_NIGHT = 0.15  # of the highest envelope: below it the ratio says nothing
_LAGS = 24


@dataclass(frozen=True, eq=False)
class Clearness:
    """Power of PV of a day as  envelope[d, k] F^-1( Phi(z[k]) ),  z a stationary Gaussian process with

        cov(z[k], z[k + h]) = level + drift phi^h,  h > 0:  a level of the day, an AR(1) process, the rest white noise

    Args:
        envelope: (D, K) highest power at the same time within WINDOW_DAYS days: a clear sky.
        by_day: (D, K) steps whose clearness counts.
        quantiles: (Q,) sorted values of power over envelope by day, F.
        level, drift: variances, at most 1 together.
        phi: correlation from step to step.
        score: (D,) mean of z by day of each measured day, standardised.
    """

    envelope: Array
    by_day: BoolArray
    quantiles: Array
    level: float
    drift: float
    phi: float
    score: Array

    def sample(self, day: IntArray, score: Array, rng: np.random.Generator) -> Array:
        """(N, K) power [kW per kW] on days whose mean of z is given, standardised (N,): a draw of z moved to that mean.

        z + cov(z, mean) / var(mean) (wanted mean - mean) has the law of z when the scores are standard normal.
        """
        from scipy.signal import lfilter
        from scipy.special import ndtr

        white = rng.standard_normal((len(day), self.envelope.shape[1], 2))
        shock = np.sqrt(self.drift * (1.0 - self.phi**2)) * white[..., 0]
        shock[:, 0] = np.sqrt(self.drift) * white[:, 0, 0]
        noise = np.sqrt(1.0 - self.level - self.drift) * white[..., 1]
        z = lfilter([1.0], [1.0, -self.phi], shock, axis=1) + noise
        weight = self.by_day / np.maximum(self.by_day.sum(axis=1, keepdims=True), 1)
        with_mean = weight @ self._covariance
        spread = np.sqrt(np.maximum((with_mean * weight).sum(axis=1, keepdims=True), 1e-12))
        mean = (weight[day] * z).sum(axis=1, keepdims=True)
        z += (with_mean / spread**2)[day] * (spread[day] * score[:, None] - mean)
        power: Array = self.envelope[day] * np.interp(ndtr(z), _middles(len(self.quantiles)), self.quantiles)
        return power

    @property
    def _covariance(self) -> Array:
        steps = np.arange(self.envelope.shape[1])
        matrix: Array = self.level + self.drift * self.phi ** np.abs(steps[:, None] - steps)
        np.fill_diagonal(matrix, 1.0)
        return matrix


def fit_clearness(sun: Array, days: IntArray) -> Clearness:
    """Fit the process to the steps by day of some days.

    Args:
        sun: (D, K) measured power [kW per kW].
        days: positions of the days whose weather counts.
    """
    envelope = _envelope(sun)
    by_day = envelope > _NIGHT * envelope.max()
    light = by_day[days]
    ratio = np.divide(sun, envelope, out=np.zeros_like(sun), where=by_day)
    quantiles = np.sort(ratio[days][light])
    z = np.where(light, _scores(ratio[days], quantiles), np.nan)
    level, drift, phi = _fit(_autocovariance(z))
    means = np.nanmean(np.where(by_day, _scores(ratio, quantiles), np.nan), axis=1)
    centre, spread = np.nanmean(means[days]), np.nanstd(means[days])
    return Clearness(envelope, by_day, quantiles, level, drift, phi, (means - centre) / (spread or 1.0))


def _envelope(sun: Array) -> Array:
    """(D, K) highest value at each time of day in a window of days around, the year closed to a ring."""
    reach = min(WINDOW_DAYS, (len(sun) - 1) // 2)
    ring = np.concatenate([sun[len(sun) - reach :], sun, sun[:reach]])
    windows = np.lib.stride_tricks.sliding_window_view(ring, 2 * reach + 1, axis=0)
    highest: Array = windows.max(axis=-1)
    return highest


def _middles(count: int) -> Array:
    return (np.arange(count) + 0.5) / count


def _scores(ratio: Array, quantiles: Array) -> Array:
    """Normal scores of ratios; equal ratios share the middle of their ranks."""
    from scipy.special import ndtri

    low, high = (np.searchsorted(quantiles, ratio, side) for side in ("left", "right"))
    rank = (low + high) / 2.0
    score: Array = ndtri(np.clip(rank / len(quantiles), 0.5 / len(quantiles), 1.0 - 0.5 / len(quantiles)))
    return score


def _autocovariance(z: Array) -> Array:
    """(LAGS + 1,) mean of z[k] z[k + h] over days and steps by day, over that of z[k]^2."""
    known, filled = ~np.isnan(z), np.nan_to_num(z)
    gamma = np.zeros(min(_LAGS, z.shape[1] - 1) + 1)
    for h in range(len(gamma)):
        pairs = known[:, : z.shape[1] - h] & known[:, h:]
        gamma[h] = (filled[:, : z.shape[1] - h] * filled[:, h:]).sum() / max(pairs.sum(), 1)
    return gamma / gamma[0] if gamma[0] > 0.0 else gamma


def _fit(gamma: Array) -> tuple[float, float, float]:
    """Variances and phi of  gamma[h] = level + drift phi^h, h > 0, by least squares within level + drift <= 1."""
    h = np.arange(1, len(gamma))
    best = (0.0, 0.0, 0.0, np.inf)
    for phi in np.linspace(0.02, 0.995, 196):
        basis = np.stack([np.ones(len(h)), phi**h], axis=1)
        level, drift = np.clip(np.linalg.lstsq(basis, gamma[h], rcond=None)[0], 0.0, 1.0)
        over = max(1.0, level + drift)
        level, drift = level / over, drift / over
        error = float(((level + drift * phi**h - gamma[h]) ** 2).sum())
        if error < best[3]:
            best = (float(level), float(drift), float(phi), error)
    return best[:3]
