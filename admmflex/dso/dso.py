"""The distribution system operator's side of the coordination, for the steps that one rank owns.

Bus quantities are stored step by step as ``(K, 2 B)``: active power [kW] of the B prosumer buses, then reactive power
[kvar], injections positive. Prices likewise, in EUR/kWh and EUR/kvarh.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

import grid
from admmflex.dso._project import Products, project_some
from admmflex.dso.margins import Guard
from admmflex.dso.rows import ComplexArray, Rows
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.threat import Threat
from grid.connection import Connection
from grid.limits import Limits
from grid.linear import Linearisation, linearise
from grid.network import Network

MAX_ADDING_ROUNDS = 12
IDLE_LIMIT = 4  # rounds after which an idle row is forgotten
MAX_HALVINGS = 30  # 1 GW becomes 1 W


class Watched(Protocol):
    """Limits, with or without margins."""

    @property
    def connection(self) -> Connection | None: ...

    def excess(self, v: ComplexArray) -> tuple[Array, Array, Array]: ...

    def connection_excess(self, v: ComplexArray, own: ComplexArray | None = None) -> Array: ...


@dataclass(frozen=True)
class AcCheck:
    """Excess over the limits in an AC power flow, per step ``(K,)``; infinite where the power flow has no solution.

    ``connection`` is that of the slack's limits, over their typical load; None where there are none.
    """

    voltage_pu: Array
    loading: Array
    connection: Array | None = None

    @classmethod
    def of(cls, limits: Watched, flow: grid.PowerFlow, own: ComplexArray | None = None) -> AcCheck:
        """What the limits say to an AC power flow, with ``own (K,)`` injected at the slack bus itself [kW, kvar]."""
        over, under, overload = limits.excess(flow.v)
        voltage = np.maximum(over, under).max(axis=0, initial=0.0)
        loading = overload.max(axis=0, initial=0.0)
        found = [voltage, loading]
        if limits.connection is not None:
            found.append(limits.connection_excess(flow.v, own).max(axis=0, initial=0.0))
        return cls(*(np.where(flow.converged, one, np.inf) for one in found))

    @property
    def worst(self) -> Array:
        """Largest excess of [voltage in pu, loading as a fraction, slack power, if limited, as one of the load]."""
        parts = (self.voltage_pu, self.loading, self.connection)
        return np.array([one.max(initial=0.0) for one in parts if one is not None])


@dataclass(frozen=True)
class Shares:
    """R rows gradient_r z <= limit_r [kW], whose excess has a price [EUR/kW]; ``(R,)``, ``gradient (R, 2 B)``."""

    step: IntArray
    limit: Array
    gradient: Array
    price: Array


class Dso:
    """Linearised limits of the grid around a moving AC operating point.

    Args:
        network, limits: the grid.
        buses: (B,) positions of the prosumer buses in the network.
        n_steps: how many steps this rank owns.
        threat: of compromised devices in these steps, if any; every limit then keeps a margin.

    ``unfinished`` counts the active-set searches of the last projection that met their limit of exchanges; ``last_v``
    is the last power flow, from which the next one starts.
    """

    def __init__(
        self, network: Network, limits: Limits, buses: IntArray, n_steps: int, threat: Threat | None = None
    ) -> None:
        self.network, self.limits, self.buses, self.n_steps = network, limits, buses, n_steps
        self.guard = Guard(limits, threat)
        self.rows = Rows(self.guard, buses)
        self.origin = np.zeros((n_steps, 2 * len(buses)))
        self.lin: Linearisation | None = None
        self.unfinished = 0
        self.last_v: ComplexArray | None = None
        self._products = Products.room(n_steps, 0)

    def twin(self) -> Dso:
        """A second working set and operating point on the same grid."""
        return Dso(self.network, self.limits, self.buses, self.n_steps, self.guard.threat)

    def later(self, steps: int, length: int, limits: Limits) -> Dso:
        """The grid so many steps later, for ``length`` steps under ``limits``: working set and operating points.

        Steps that join at the end begin like those that are left behind: for a day, as they were the day before. What
        suspects planned for a day says nothing about the next: there must be no threat.
        """
        assert self.guard.threat is None
        left = Dso(self.network, limits, self.buses, length)
        left.rows = self.rows.later(steps, self.n_steps, length, left.guard)
        left.origin = np.roll(self.origin, -steps, axis=0)[:length].copy()
        return left

    def spread(self, x: Array) -> tuple[Array, Array]:
        """Bus quantities ``(K, 2 B)`` as network injections p, q ``(n, K)``."""
        n_buses = len(self.buses)
        p = np.zeros((len(self.network.buses), len(x)))
        q = np.zeros_like(p)
        p[self.buses], q[self.buses] = x[:, :n_buses].T, x[:, n_buses:].T
        return p, q

    def own(self, x: Array) -> ComplexArray:
        """``(K,)`` what bus quantities ``(K, 2 B)`` inject at the slack bus itself [kW, kvar]."""
        at, n_buses = np.flatnonzero(self.buses == 0), len(self.buses)
        return np.asarray((x[:, at] + 1j * x[:, n_buses + at]).sum(axis=1))

    @property
    def v_slack(self) -> ComplexArray | None:
        """(K,) voltages of the slack [pu], where they are not the network's own."""
        return None

    def power_flow(self, x: Array) -> grid.PowerFlow:
        """AC power flow of bus injections, warm-started from the last one that was asked for here."""
        flow = grid.power_flow(self.network, *self.spread(x), v_start=self.last_v, v_slack=self.v_slack)
        self.last_v = flow.v if flow.converged.all() else None
        return flow

    def check(self, x: Array) -> AcCheck:
        """What the limits, with the margins of the last linearisation, say to the AC power flow of ``x``."""
        return AcCheck.of(self.guard, self.power_flow(x), self.own(x))

    def relinearise(self, x: Array) -> None:
        """Move the operating point to the AC power flow of ``x`` and renew every row.

        Where ``x`` has no power flow solution (beyond voltage collapse) its injections are halved until they have one.
        """
        self.origin, v = x.copy(), None if self.lin is None else self.lin.v
        flow = grid.power_flow(self.network, *self.spread(self.origin), v_start=v, v_slack=self.v_slack)
        for _ in range(MAX_HALVINGS):
            if flow.converged.all():
                break
            self.origin[~flow.converged] *= 0.5
            flow = grid.power_flow(self.network, *self.spread(self.origin), v_slack=self.v_slack)
        self.lin = linearise(self.network, flow.v, *self.spread(self.origin))
        self.rows.refresh(self.lin, self.own(self.origin))

    def deviation(self, x: Array) -> ComplexArray:
        """Linearised change of the complex voltages from the operating point to ``x``, ``(n, K)`` pu."""
        assert self.lin is not None
        return self.lin.dv(*self.spread(x - self.origin))

    def add_violated(self, x: Array, coarse: float = 1.0) -> int:
        """Add the rows that ``x`` violates most, beyond ``coarse`` times the tolerances; returns how many."""
        assert self.lin is not None
        own = self.own(self.origin), self.own(x - self.origin)
        return self.rows.add_violated(self.lin, self.deviation(x), *own, coarse)

    def linear(self, x: Array) -> Array:
        """The rows at ``x``, ``(M,)`` [pu, fraction]; at most zero where they are met."""
        rows = self.rows
        return np.asarray(rows.value + np.einsum("mj,mj->m", rows.gradient, (x - self.origin)[rows.step]))

    def exact(self, x: Array, flow: grid.PowerFlow) -> Array:
        """What the rows are linearised from, in the AC power flow of ``x``; infinite where that has no solution."""
        rows = self.rows
        v = np.where(flow.converged, flow.v, 1.0)
        row = self.limits.functional(v, rows.step, rows.kind, rows.index, rows.direction, self.own(x))
        value = row.value + rows.margin
        return np.where(flow.converged[rows.step], value, np.inf)

    def excess_kw(self, x: Array) -> Array:
        """Linearised excess of every row at ``x``, over the effect of 1 kW (or kvar) at the bus that moves it most."""
        return np.asarray(self.linear(x) / self.rows.scale)

    def drop_roomy(self, x: Array, room_kw: float) -> None:
        """Forget the rows that have more room than this at ``x``, measured as in ``excess_kw``."""
        self.rows.keep(self.excess_kw(x) > -room_kw)

    def project(self, target: Array, mobility: Array) -> tuple[Array, Array]:
        """The DSO step: the nearest bus powers that the linearised grid can carry, and their prices.

        min sum_j (z_j - target_j)^2 / (2 mobility_j)   s.t. all limits, linearised;      price = - gradient' nu

        Rows are added until none is violated; their multipliers warm-start the next call.

        Args:
            target: (K, 2 B) [kW, kvar].
            mobility: (K, 2 B) number of prosumers that can move / rho; zero where nothing can.

        Returns:
            point z (K, 2 B) [kW, kvar] and price (K, 2 B) [EUR/kWh, EUR/kvarh].
        """
        rows = self.rows
        point, price = target.copy(), np.zeros_like(target)
        changed, self.unfinished = np.arange(self.n_steps), 0
        first = rows.first(self.n_steps)
        self._products.done[:] = 0
        for _ in range(MAX_ADDING_ROUNDS):
            given = first, rows.gradient, rows.value, self.origin, target, mobility
            self.unfinished += project_some(changed, *given, rows.nu, point, price, self._room(first))
            if not self.add_violated(point):
                break
            before, first = first, rows.first(self.n_steps)
            changed = np.flatnonzero(np.diff(first) != np.diff(before))
        rows.count_idle()
        rows.drop_idle(IDLE_LIMIT)
        return point, price

    def _room(self, first: IntArray) -> Products:
        """The products of the rows, with room for those of the step that has most."""
        most = int(np.diff(first).max(initial=0))
        if most > self._products.gap.shape[1]:
            self._products = Products.room(self.n_steps, most + most // 4)
        return self._products

    def reprice(self, x: Array) -> Array:
        """Linearise at ``x`` and give the prices of the last multipliers there, - gradient' nu, ``(K, 2 B)``."""
        self.relinearise(x)
        price = np.zeros_like(x)
        np.add.at(price, self.rows.step, -self.rows.nu[:, None] * self.rows.gradient)
        return price

    def outer_price(self) -> Array | None:
        """(K, 2 B) what power of each step is worth outside of this grid [EUR/kW]; None where nobody pays for it."""
        return None

    def shares(self) -> Shares | None:
        """What a plan may use of limits outside of this grid; None where there are none."""
        return None

    def least_value(self, price_weight: Array) -> float:
        """min over z in the linearised grid of sum_t w_t price_t' z_t, for the prices of the last multipliers.

        With price = - G' nu and rows value + G (z - z0) <= 0 it is sum_t w_t sum_r nu_r (value_r - G_r z0).
        """
        rows = self.rows
        offset = rows.value - np.einsum("rj,rj->r", rows.gradient, self.origin[rows.step])
        return float(np.sum(price_weight[rows.step] * rows.nu * offset))
