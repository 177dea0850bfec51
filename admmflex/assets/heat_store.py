"""A body that is heated and leaks: a room with its walls, or a tank of water."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.assets.checks import number_faults, profile_faults
from admmflex.assets.flow import Flow, Store
from admmflex.assets.reach import Reach, reach
from admmflex.assets.shortfall import Shortfall
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon

TOLERANCE_K = 1e-6
"""A band that is missed by less is held."""


@dataclass(frozen=True)
class HeatStore:
    """One temperature.

    C dT/dt = UA (T_ambient - T) + heat + eta p,    t_min <= T <= t_max at the end of each step, T[K] >= t_end_min

    Within a step everything but T is constant, and the equation is solved exactly. In terms of e = C (T - T0), with T0
    the lowest t_min of the horizon:

        e[t+1] = a e[t] + b (eta p + heat + UA (T_ambient - T0)),    a = exp(-dt UA / C),   b = (1 - a) C / UA

    (b = dt without losses).

    Args:
        element: names the asset in messages.
        capacity_kwh_per_k: C [kWh/K].
        loss_kw_per_k: UA [kW/K].
        ambient_c: ``(K,)`` T_ambient [degC].
        heat_kw: ``(K,)`` gains, less what is drawn [kW].
        eta: ``(K,)`` heat per electric energy.
        p_max_kw: electric power limit [kW].
        t_min_c, t_max_c: ``(K,)`` band [degC].
        t_start_c: temperature at the beginning [degC].
        t_end_min_c: least temperature at the end [degC]; the start, or the top of the band if lower, when not given.
        relax: hold the band as well as possible instead of refusing one that cannot be held.
        shortfall_price: of the heat that is then missing or too much [EUR/kWh].
    """

    element: str
    capacity_kwh_per_k: float
    loss_kw_per_k: float
    ambient_c: Array
    heat_kw: Array
    eta: Array
    p_max_kw: float
    t_min_c: Array
    t_max_c: Array
    t_start_c: float
    t_end_min_c: float | None
    relax: bool
    shortfall_price: float

    @property
    def end_c(self) -> float:
        """Least temperature at the end that applies."""
        return min(self.t_start_c, float(self.t_max_c[-1])) if self.t_end_min_c is None else self.t_end_min_c

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Numbers and profiles out of range; then a start or an end outside the band, or a band that cannot be held."""
        found = [
            *number_faults(self.element, "p_max_kw", self.p_max_kw, low=0.0),
            *number_faults(self.element, "t_start_c", self.t_start_c),
            *profile_faults(self.element, "t_min_c", self.t_min_c, horizon),
            *profile_faults(self.element, "t_max_c", self.t_max_c, horizon),
        ]
        if found:
            return found
        if (self.t_min_c > self.t_max_c).any():
            step = int((self.t_min_c > self.t_max_c).argmax())
            value = f"t_min_c = {self.t_min_c[step]:g} above t_max_c = {self.t_max_c[step]:g} at {horizon.label(step)}"
            return [Fault(self.element, value, "t_min_c at most t_max_c", "correct the band")]
        if self.t_end_min_c is not None:
            high = float(self.t_max_c[-1])
            found += number_faults(self.element, "t_end_min_c", self.t_end_min_c, high=high)
        if self.relax:
            return found
        low, high = float(self.t_min_c[0]), float(self.t_max_c[0])
        found += number_faults(self.element, "t_start_c", self.t_start_c, low=low, high=high)
        return found

    def band_faults(self, horizon: Horizon) -> list[Fault]:
        """A band that no power holds: since when, how far at worst, how much heat; nothing under ``relax``."""
        if self.relax:
            return []
        return [
            Fault(
                self.element,
                f"{one.what}, from {horizon.label(one.first)} on; {one.kwh:.4g} kWh of heat in all",
                f"{self.t_min_c[one.last]:g} to {self.t_max_c[one.last]:g} degC, and {self.end_c:g} at the end, within "
                f"p_max_kw = {self.p_max_kw:g}",
                "raise p_max_kw, widen the band, start elsewhere, or set relax with a shortfall_price",
            )
            for one in self.shortfalls(horizon)
        ]

    def shortfalls(self, horizon: Horizon) -> list[Shortfall]:
        """Spells during which the temperature stays outside its band whatever the plan."""
        found = self._reach(horizon)
        return [
            *self._spells(found.short, found.missing, "below", horizon),
            *self._spells(found.over, found.excess, "above", horizon),
        ]

    def flow(self, horizon: Horizon) -> Flow:
        """A flow whose state is the heat above the lowest t_min."""
        zero, none = np.zeros(horizon.steps), np.zeros(0)
        store = self._reach(horizon).store if self.relax else self._store(horizon)
        return Flow(zero, zero, zero, self._take(horizon), zero, zero, zero, 0.0, none, none, store)

    def _take(self, horizon: Horizon) -> Array:
        return np.full(horizon.steps, self.p_max_kw)

    def _store(self, horizon: Horizon) -> Store:
        dt, origin, one = horizon.dt_h, float(self.t_min_c.min()), np.ones(horizon.steps)
        decay = dt * self.loss_kw_per_k / self.capacity_kwh_per_k
        span = dt * np.divide(-np.expm1(-decay), decay, out=np.ones_like(dt), where=decay > 0.0)
        e_min = self.capacity_kwh_per_k * (self.t_min_c - origin)
        e_min[-1] = max(e_min[-1], self.capacity_kwh_per_k * (self.end_c - origin))
        return Store(
            e_start=self.capacity_kwh_per_k * (self.t_start_c - origin),
            e_min=e_min,
            e_max=self.capacity_kwh_per_k * (self.t_max_c - origin),
            eta_take=self.eta * span / dt,
            eta_give=one,
            keep=np.exp(-decay),
            gain=span * (self.heat_kw + self.loss_kw_per_k * (self.ambient_c - origin)),
            end_value=0.0,
        )

    def _reach(self, horizon: Horizon) -> Reach:
        return reach(self._store(horizon), self._take(horizon), np.zeros(horizon.steps), horizon.dt_h)

    def _spells(self, depth: Array, heat: Array, side: str, horizon: Horizon) -> list[Shortfall]:
        outside = np.concatenate([[False], depth > TOLERANCE_K * self.capacity_kwh_per_k, [False]])
        edges = np.flatnonzero(np.diff(outside))
        spells = []
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            worst = int(first) + int(depth[first:end].argmax())
            kelvin, kwh = depth[worst] / self.capacity_kwh_per_k, float(heat[first:end].sum())
            after = horizon.clock(float(horizon.dt_h[: worst + 1].sum()))
            what = f"{kelvin:.3g} K {side} its band at {after}"
            spells.append(Shortfall(self.element, what, int(first), int(end) - 1, kwh, kwh * self.shortfall_price))
        return spells
