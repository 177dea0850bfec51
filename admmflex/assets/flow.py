"""The one form that every asset takes: a flow with at most one scalar state.

    p[t] = fixed_p[t] + give[t] - take[t],        0 <= give <= give_max,  0 <= take <= take_max
    q[t] = fixed_q[t] + give_q[t] give[t] + u[t], |u[t]| <= min(q_max[t], edge_c + edge_s (give - take)[t])
    e[t+1] = keep[t] e[t] + dt[t] (eta_take[t] take[t] - give[t] / eta_give[t]) + gain[t],   e_min <= e[1..K] <= e_max
    cost = sum_t dt[t] (give_cost give + take_cost take + q_cost |u|) - end_value e[K]

Powers in kW and kvar, injections positive; energies in kWh; costs in EUR/kWh and EUR/kvarh. Without a state
(``store`` is None) the third line is absent. An edge with several lines is a concave upper limit of the reactive
power: an inner polygon of an inverter disc, or a power factor. ``give_q`` [kvar/kW], zero unless given, is reactive
power that comes with the active power whether wanted or not. ``eta_take`` may exceed 1: heat pumped from outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np

from admmflex.assets.shortfall import Shortfall
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon


@dataclass(frozen=True)
class Store:
    """The state of a flow; arrays ``(K,)``, ``e_min`` and ``e_max`` bound the energy at the end of each step."""

    e_start: float
    e_min: Array
    e_max: Array
    eta_take: Array
    eta_give: Array
    keep: Array
    gain: Array
    end_value: float

    def at(self, steps: slice) -> Store:
        """The state over some steps; what is left at their end is worth as much as at the old one."""
        cut = {name: getattr(self, name)[steps] for name in ("e_min", "e_max", "eta_take", "eta_give", "keep", "gain")}
        return replace(self, **cut)


@dataclass(frozen=True)
class Flow:
    """An asset over a horizon: arrays ``(K,)``; ``edge_c`` [kvar] and ``edge_s`` [kvar/kW] are ``(J,)``, J may be 0."""

    fixed_p: Array
    fixed_q: Array
    give_max: Array
    take_max: Array
    give_cost: Array
    take_cost: Array
    q_max: Array
    q_cost: float
    edge_c: Array
    edge_s: Array
    store: Store | None = None
    give_q: Array | None = None

    @staticmethod
    def fixed(p: Array, q: Array) -> Flow:
        """Powers (K,) with nothing to decide."""
        zero, none = np.zeros(len(p)), np.zeros(0)
        return Flow(p, q, zero, zero, zero, zero, zero, 0.0, none, none)

    def at(self, steps: slice) -> Flow:
        """The flow over some steps."""
        names = ("fixed_p", "fixed_q", "give_max", "take_max", "give_cost", "take_cost", "q_max")
        cut = {name: getattr(self, name)[steps] for name in names}
        store = None if self.store is None else self.store.at(steps)
        return replace(self, **cut, store=store, give_q=None if self.give_q is None else self.give_q[steps])


class Asset(Protocol):
    """What a prosumer owns. A new asset is one file with one frozen dataclass that has these members."""

    kind: ClassVar[str]

    @property
    def name(self) -> str:
        """Unique behind the meter."""
        ...

    def faults(self, horizon: Horizon) -> list[Fault]:
        """Everything that is wrong with the data, for this horizon."""
        ...

    def flow(self, horizon: Horizon) -> Flow:
        """The asset in the common form; called only when ``faults`` is empty."""
        ...


@runtime_checkable
class Relaxable(Protocol):
    """An asset that may be served less than it wants, where ``relax`` says so."""

    def shortfalls(self, horizon: Horizon) -> list[Shortfall]:
        """What cannot be served whatever the plan; empty when everything can be."""
        ...
