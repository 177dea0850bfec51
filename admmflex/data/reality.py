"""What happens instead of what was forecast: seeded loads and sun in the rhythm of the control.

Demand is the forecast times exp(s + f): s wanders slowly, f fast, each a stationary first-order autoregression of its
own for every home; from step to step the forecast changes gradually. The sun is common to all, with a little of each
plant's own, and never above the largest forecast.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.horizon import Array, IntArray
from admmflex.prosumers.devices import Devices


@dataclass(frozen=True)
class Deviations:
    """Standard deviations of the logarithms, and correlation times [h].

    Args:
        load, load_h: slow deviation of the demand of a home.
        flicker, flicker_h: fast one.
        sun, sun_h: slow deviation of the sun.
        clouds, clouds_h: fast one.
        plant: share of the fast deviation that is a plant's own.
    """

    load: float = 0.25
    load_h: float = 1.0
    flicker: float = 0.2
    flicker_h: float = 2 / 60
    sun: float = 0.15
    sun_h: float = 1.5
    clouds: float = 0.15
    clouds_h: float = 3 / 60
    plant: float = 0.2


@dataclass(frozen=True, eq=False)
class Reality:
    """Fixed powers (n, T) [kW, kvar] and what sources could give (S, T) [kW] in every control step."""

    fixed_p: Array
    fixed_q: Array
    give: Array

    def of(self, devices: Devices, homes: IntArray) -> Reality:
        """Of some homes, in their order; ``devices`` are those of all."""
        sources = [np.flatnonzero(devices.source_home == home) for home in homes.tolist()]
        own = np.concatenate([np.zeros(0, np.int64), *sources])
        return Reality(self.fixed_p[homes], self.fixed_q[homes], self.give[own])

    def means(self, merge: int) -> Reality:
        """Means of so many control steps each."""

        def merged(x: Array) -> Array:
            return np.asarray(x.reshape(len(x), x.shape[1] // merge, merge).mean(axis=2))

        return Reality(merged(self.fixed_p), merged(self.fixed_q), merged(self.give))


def realise(devices: Devices, per_step: int, seed: int, deviations: Deviations | None = None) -> Reality:
    """Draw what happens.

    Args:
        devices: with the forecast, of all homes: what is drawn for one depends on its place.
        per_step: control steps in each step of the horizon, which are of equal length.
    """
    d = deviations or Deviations()
    n, plants, steps = devices.homes, len(devices.sources), len(devices.dt) * per_step
    dt = float(devices.dt[0]) / per_step
    slow, fast, sky, clouds, own = (np.random.default_rng([seed, k]) for k in range(5))
    demand = np.exp(
        _wander(slow, (n, steps), d.load, d.load_h / dt) + _wander(fast, (n, steps), d.flicker, d.flicker_h / dt)
    )
    light = _wander(sky, (1, steps), d.sun, d.sun_h / dt)
    common = (1.0 - d.plant) * _wander(clouds, (1, steps), d.clouds, d.clouds_h / dt)
    sun = np.exp(light + common + d.plant * _wander(own, (plants, steps), d.clouds, d.clouds_h / dt))
    tables = devices.fixed_p, devices.fixed_q, devices.source_give
    fixed_p, fixed_q, give = (_gradual(table, per_step) for table in tables)
    shared = np.exp(light + common)
    return Reality(
        fixed_p * np.where(fixed_p < 0.0, demand, np.minimum(shared, 1.0)),
        fixed_q * demand,
        np.minimum(give * sun, devices.source_give.max(axis=1, initial=0.0)[:, None]),
    )


def _gradual(table: Array, per_step: int) -> Array:
    """Steps of means (n, K) in ``per_step`` parts each: no jumps, no other sign, the same mean in every step.

    Differences of the monotone cubic interpolation of what is cumulated: F. N. Fritsch, J. Butland, SIAM J. Sci. Stat.
    Comput. 5 (1984).
    """
    from scipy.interpolate import PchipInterpolator

    steps = table.shape[1]
    if not len(table) or steps == 1:
        return np.repeat(table, per_step, axis=1)
    total = np.concatenate([np.zeros((len(table), 1)), np.cumsum(table, axis=1)], axis=1)
    ends = np.arange(steps * per_step + 1) / per_step
    return np.asarray(np.diff(PchipInterpolator(np.arange(steps + 1), total, axis=1)(ends), axis=1) * per_step)


def _wander(rng: np.random.Generator, shape: tuple[int, int], deviation: float, steps: float) -> Array:
    """A stationary autoregression with correlation exp(-1 / steps) from step to step, along the last axis."""
    from scipy.signal import lfilter

    keep = np.exp(-1.0 / steps)
    noise = rng.standard_normal(shape)
    noise[:, 1:] *= np.sqrt(1.0 - keep * keep)
    return np.asarray(deviation * lfilter([1.0], [1.0, -keep], noise, axis=1))
