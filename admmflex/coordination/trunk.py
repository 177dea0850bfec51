"""What areas have in common: the grid above them, its limits, and what they do to each other's voltages through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from admmflex.dso import Dso
from admmflex.horizon import Array, IntArray
from grid import Limits, Network
from grid.arrays import ComplexArray


@dataclass(frozen=True)
class Exchanged:
    """What areas give to the trunk, summed at its N nodes with areas; powers ``(K, 2 N)``: P, then Q [kW, kvar].

    Args:
        now: at the operating point, in the AC power flows of the areas.
        relaxed: what is projected, before prices.
        mobility: how far it moves with its price.
        voltage_price: (N, K) what one pu more costs by the areas' own limits [EUR/(kWh pu)].
    """

    now: Array
    relaxed: Array
    mobility: Array
    voltage_price: Array


class Trunk:
    """The step of the trunk.

    It projects what the areas give on its own limits, and adds to their price what each unit of power does to the
    limits within all areas: - sum_a kappa_a d|V_a| / dS, kappa_a = the areas' ``voltage_price``.

    Args:
        network, limits: of the trunk.
        nodes: (N,) positions of the buses with areas.
        dt_h: (K,) [h].
    """

    def __init__(self, network: Network, limits: Limits, nodes: IntArray, dt_h: Array) -> None:
        self.nodes, self.dt_h = nodes, dt_h
        self.dso = Dso(network, limits, nodes, len(dt_h))
        self.price = np.zeros((len(dt_h), 2 * len(nodes)))

    def step(self, one: Exchanged) -> tuple[ComplexArray, Array]:
        """Voltages of the nodes ``(N, K)`` [pu], and the price there ``(K, 2 N)`` [EUR/kWh, EUR/kvarh]."""
        v = self.settle(one.now)
        common = self.common_price(one.voltage_price)
        _, own = self.dso.project(one.relaxed + one.mobility * (common - self.price), one.mobility)
        self.price = own + common
        return v, self.price

    def close(self, one: Exchanged) -> tuple[ComplexArray, Array]:
        """Voltages of the nodes, and a price that brings what the areas give within the limits, on top of the last one.

        It is zero where the limits are met, to within what counts as met.
        """
        v, twin = self.settle(one.now), self.dso.twin()
        twin.relinearise(one.now)
        return v, twin.project(one.now, one.mobility)[1]

    def settle(self, x: Array) -> ComplexArray:
        """Move the operating point to ``x (K, 2 N)``; voltages of the nodes ``(N, K)`` there."""
        self.dso.relinearise(x)
        assert self.dso.lin is not None
        return self.dso.lin.v[self.nodes]

    def common_price(self, voltage_price: Array) -> Array:
        """``(K, 2 N)`` what power at the nodes does to the areas' limits, at ``voltage_price (N, K)``."""
        price = np.zeros_like(self.price)
        node, step = np.nonzero(voltage_price)
        if len(node):
            assert self.dso.lin is not None
            v, at = self.dso.lin.v[self.nodes[node], step], self.nodes[node]
            by_p, by_q = self.dso.lin.gradients(step, at, np.conj(v) / np.abs(v), at, np.zeros(len(at)))
            slope = np.concatenate([by_p[:, self.nodes], by_q[:, self.nodes]], axis=1)
            np.add.at(price, step, -voltage_price[node, step, None] * slope)
        return price

    def own_price(self) -> Array:
        """``(K, 2 N)`` what the multipliers of the trunk's rows are worth at the operating point of now."""
        rows, price = self.dso.rows, np.zeros_like(self.price)
        np.add.at(price, rows.step, -rows.nu[:, None] * rows.gradient)
        return price

    @property
    def binds(self) -> bool:
        """Whether any of its limits has a price."""
        return bool((self.dso.rows.nu > 0.0).any())

    def proven(self) -> float:
        """What the multipliers of its rows add to a lower bound of the cost [EUR], see ``proof.bound``.

        What the areas give is paid for by themselves, at the operating point.
        """
        rows = self.dso.rows
        return float(np.sum(self.dt_h[rows.step] * rows.nu * rows.value))

    def check(self, x: Array) -> Array:
        """Excess over the limits, as ``AcCheck.worst``, in the AC power flow of ``x (K, 2 N)``."""
        return self.dso.check(x).worst
