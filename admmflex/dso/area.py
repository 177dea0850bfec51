"""The grid of an area: one of many behind a trunk, which sets its slack's voltage and a price for what it exchanges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import grid
from admmflex.dso.dso import Dso, Shares
from admmflex.dso.rows import ComplexArray
from admmflex.horizon import Array, IntArray
from grid.limits import Limits
from grid.network import S_BASE_KVA, Network

NEGLIGIBLE = 1e-7  # [EUR/kW for the step]
DEARER = 2.0  # an exact penalty: what exceeds a share costs so many times its price


@dataclass
class Outside:
    """What the trunk tells an area of K steps.

    Args:
        v: (K,) voltage of the area's slack [pu].
        price: (2, K) of active and reactive power given to the trunk [EUR/kWh, EUR/kvarh], tariff not included.
        dt_h: (K,) [h].
        share: (2, K) what the area was last agreed to give [kW, kvar].
    """

    v: ComplexArray
    price: Array
    dt_h: Array
    share: Array


class AreaDso(Dso):
    """Limits of an area whose exchange S = P + jQ with the trunk, given to it, has a price.

    dS = T_j (dp_j, dq_j),   T_j = d(P, Q) / d(p_j, q_j):   a price pi of S is the price T_j' pi at bus j

    What is projected meets the area's own rows; the prices are those of its rows and of the trunk together.
    """

    def __init__(self, network: Network, limits: Limits, buses: IntArray, outside: Outside) -> None:
        super().__init__(network, limits, buses, len(outside.dt_h))
        self.outside = outside
        self._transfer = np.zeros((2, self.n_steps, 2 * len(buses)))  # dP/dp dP/dq, dQ/dp dQ/dq at the origin

    @property
    def v_slack(self) -> ComplexArray:
        return self.outside.v

    def twin(self) -> AreaDso:
        return AreaDso(self.network, self.limits, self.buses, self.outside)

    def relinearise(self, x: Array) -> None:
        super().relinearise(x)
        assert self.lin is not None
        p_by_p, p_by_q, q_by_p, q_by_q = (
            part[:, self.buses] for part in self.lin.pcc_gradients(np.arange(self.n_steps))
        )
        p_by_p[:, self.buses == 0] = q_by_q[:, self.buses == 0] = 1.0
        self._transfer = np.array([np.hstack([p_by_p, p_by_q]), np.hstack([q_by_p, q_by_q])])

    def given(self, x: Array, flow: grid.PowerFlow) -> Array:
        """(2, K) power that the area gives to the trunk [kW, kvar] in an AC power flow of ``x``."""
        drawn = grid.drawn_kw(self.network, flow.v, self.own(x))
        return -np.array([drawn.real, drawn.imag])

    def linear_given(self, x: Array) -> Array:
        """The same, linearised."""
        assert self.lin is not None
        drawn = grid.drawn_kw(self.network, self.lin.v, self.own(self.origin))
        return np.asarray(np.einsum("ckj,kj->ck", self._transfer, x - self.origin) - [drawn.real, drawn.imag])

    def mobility(self, of_buses: Array) -> Array:
        """(2, K) how far S moves with its price, for ``of_buses (K, 2 B)`` as in ``project``."""
        return np.asarray(np.einsum("ckj,kj->ck", self._transfer**2, of_buses))

    def offset(self) -> Array:
        """(K, 2 B) what the price of S is worth at the buses [EUR/kWh, EUR/kvarh]."""
        return np.asarray(np.einsum("ckj,ck->kj", self._transfer, self.outside.price))

    def project(self, target: Array, mobility: Array) -> tuple[Array, Array]:
        offset = self.offset()
        point, price = super().project(target + mobility * offset, mobility)
        self.outside.share = self.linear_given(point)
        return point, price + offset

    def reprice(self, x: Array) -> Array:
        return super().reprice(x) + self.offset()

    def least_value(self, price_weight: Array) -> float:
        return super().least_value(price_weight) + float(
            np.einsum("k,kj,kj->", price_weight, self.offset(), self.origin)
        )

    def shares(self) -> Shares:
        """What the area gives must not earn less at the trunk's price than what was agreed, step by step [EUR].

        - pi' S <= - pi' S_agreed,   exceeding it costs ``DEARER`` times as much

        A price alone would not say how much to give: homes with nearly linear costs answer all or nothing.
        """
        price = self.outside.price * self.outside.dt_h
        step = np.flatnonzero(np.abs(price).max(axis=0) > NEGLIGIBLE)
        gradient = -np.einsum("ck,ckj->kj", price[:, step], self._transfer[:, step])
        agreed = self.outside.share[:, step] - self.linear_given(self.origin)[:, step]
        limit = np.einsum("kj,kj->k", gradient, self.origin[step]) - np.sum(price[:, step] * agreed, axis=0)
        scale = np.abs(gradient).max(axis=1)
        return Shares(step, limit / scale, gradient / scale[:, None], DEARER * scale)

    def outer_price(self) -> Array:
        """(K, 2 B) worth of one more kW or kvar in each step, outside of the area [EUR]."""
        return self.offset() * self.outside.dt_h[:, None]

    def voltage_price(self, nu: Array) -> Array:
        """(K,) what one pu more at the slack costs, for multipliers ``nu (M,)``: sum_r nu_r d row_r / d |V_0|.

        Constant injections and a change dV_0 of the slack's voltage move the others like the injections
        dp - j dq = - y_i0 dV_0 conj(V_i) at its neighbours i would.
        """
        assert self.lin is not None
        rows, y = self.rows, self.network.y_bus[:, [0]].toarray()[:, 0]
        used, found = np.flatnonzero(nu), np.zeros(self.n_steps)
        step, near = rows.step[used], np.flatnonzero(y[1:]) + 1
        if not len(used):
            return found
        direction = rows.direction[used]
        one = self.limits.functional(self.lin.v, step, rows.kind[used], rows.index[used], direction)
        unit = self.lin.v[0, step] / np.abs(self.lin.v[0, step])
        by_p, by_q = self.lin.gradients(step, one.bus_a, one.h_a, one.bus_b, one.h_b)
        like = -S_BASE_KVA * y[near] * unit[:, None] * np.conj(self.lin.v[near][:, step].T)
        slope = np.sum(by_p[:, near] * like.real - by_q[:, near] * like.imag, axis=1)
        for bus, h in ((one.bus_a, one.h_a), (one.bus_b, one.h_b)):
            slope += np.where(bus == 0, (h * unit).real, 0.0)
        np.add.at(found, step, nu[used] * slope)
        return found
