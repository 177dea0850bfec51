"""Margins: how far every limit is kept, so that it holds whatever a few compromised devices do.

At most Gamma of the suspects A leave their plan x_a for anything in their capability C_a. To first order a row
value + g (z - z0) <= 0 then holds whatever they do if it is tightened by

    m = sum of the Gamma largest  h_a(g_a),      h_a(g) = max over x in C_a of  g . (x - x_a)

with g_a the gradient at the bus of device a: the exact support function, given the plan.

Voltages fall, and currents grow, faster than to first order: what draws power at a lower voltage draws more current.
The change of the voltages under an attack, dV + ddV / 2, solves the power flow conj(S) = conj(V) (Y V) to second order
if

    Y ddV/2 + a conj(ddV/2) = - conj(dV) (Y dV) / conj(V),      a and Y as in ``grid.linear``

one more linear system. With r the largest ratio of the second order of |V| to the first, low voltages and loadings get
the factor 2 / (1 + sqrt(1 - 4 r)) = 1 + r + 2 r^2 + ..., which is exact on two buses with a resistance between them.

Source: section 2 of the formulation (compromised assets); the support function and the factor are derived.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from admmflex.dso import _margins
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.threat import Threat
from grid.connection import Connection
from grid.limits import V_HIGH, Limits
from grid.linear import Linearisation
from grid.network import S_BASE_KVA

ComplexArray = NDArray[np.complex128]
TURNS = 30  # of the direction in which a loading is pushed
TELLING = 0.01  # of the largest drop of a step: smaller ones say nothing about the second order


@dataclass(frozen=True, eq=False)
class Margins:
    """What the suspects can do at an operating point.

    Args:
        rise, drop: (n, K) of the voltage magnitudes [pu].
        shift: (E, K) of the complex loadings, where that makes them largest.
        factor: (K,) by which low voltages and loadings exceed the first order.
    """

    rise: Array
    drop: Array
    shift: ComplexArray
    factor: Array


class Guard:
    """Limits that hold whatever the suspects of a threat do; without a threat just the limits.

    ``renew`` moves the operating point of the margins. ``excess`` is what ``Limits.excess`` is to the bare limits.

    Raises:
        InputError: a threat where what is drawn at the slack is limited: an attack moves it too, and a request or an
            island leaves no room for that.
    """

    def __init__(self, limits: Limits, threat: Threat | None = None) -> None:
        if threat is not None and limits.connection is not None:
            raise InputError(
                Fault(
                    "compromised",
                    "limits of what is drawn at the slack",
                    "limits of voltages and loadings",
                    "remove the limits of the connection, or the suspicion",
                )
            )
        self.limits, self.threat = limits, threat
        self.margins: Margins | None = None

    @property
    def connection(self) -> Connection | None:
        """The limits of what is drawn at the slack, which have no margin."""
        return self.limits.connection

    def connection_excess(self, v: ComplexArray, own: ComplexArray | None = None) -> Array:
        """See ``Limits.connection_excess``."""
        return self.limits.connection_excess(v, own)

    def renew(self, lin: Linearisation) -> None:
        """Work out the margins at an operating point."""
        if self.threat is not None:
            self.margins = margins(self.limits, lin, self.threat)

    def excess(self, v: ComplexArray) -> tuple[Array, Array, Array]:
        """How far each limit less its margin is exceeded, see ``Limits.excess``."""
        high, low, over = self.limits.excess(v)
        if self.margins is not None:
            high, low = high + self.margins.rise, low + self.margins.drop
            over = np.abs(self.loading(v)) - 1.0
        return high, low, over

    def loading(self, v: ComplexArray) -> ComplexArray:
        """(E, K) complex loadings, pushed as far as the suspects can."""
        load = self.limits.loading(v)
        return load if self.margins is None else load + self.margins.shift

    def of_rows(self, step: IntArray, kind: IntArray, g_p: Array, g_q: Array) -> Array:
        """Margins of rows with gradients ``(M, n)`` [1/kW, 1/kvar], ``(M,)``."""
        found = np.zeros(len(step))
        if self.threat is None or self.margins is None:
            return found
        one = self.threat
        _margins.of_rows(step, g_p, g_q, one.bus, one.low, one.high, one.s_kva, one.plan, _count(one), found)
        return np.where(kind == V_HIGH, found, found * self.margins.factor[step])


def margins(limits: Limits, lin: Linearisation, threat: Threat) -> Margins:
    """Largest changes of all voltages and loadings at an operating point, by every suspect bus's sensitivities."""
    v, buses = lin.v, np.unique(threat.bus)
    dv = np.empty((len(buses), 2, *v.shape), np.complex128)
    unit, none = np.zeros(v.shape), np.zeros(v.shape)
    for c, bus in enumerate(buses):
        unit[bus] = 1.0
        dv[c, 0], dv[c, 1] = lin.dv(unit, none), lin.dv(none, unit)
        unit[bus] = 0.0
    who = np.searchsorted(buses, threat.bus), threat.low, threat.high, threat.s_kva, threat.plan, _count(threat)
    rise, drop = np.empty(v.shape), np.empty(v.shape)
    _margins.of_voltages(v, dv, *who, rise, drop)
    ratio = _second_order(lin, dv, buses, threat)
    factor = 2.0 / (1.0 + np.sqrt(np.maximum(1.0 - 4.0 * ratio, 0.0)))
    shift = np.zeros((limits.ends, v.shape[1]), np.complex128)
    rated = limits.from_bus, limits.to_bus, limits.c_f, limits.c_t, limits.as_power, limits.at_from
    _margins.of_loadings(v, dv, *rated, *who, TURNS, factor, shift)
    return Margins(rise, factor * drop, shift, factor)


def strongest(threat: Threat, gradient: Array) -> Array:
    """(2, A, K) deviations [kW, kvar] of the ``budget`` suspects that raise a functional of every step most.

    Args:
        gradient: (2, A, K) per kW and per kvar at the buses of the suspects.
    """
    (g_p, g_q), s = gradient, threat.s_kva[:, None]
    size = np.hypot(g_p, g_q)
    free = np.divide(s * g_p, size, out=np.zeros_like(g_p), where=size > 0.0)
    p = np.where(s > 0.0, np.clip(free, threat.low, threat.high), np.where(g_p > 0.0, threat.high, threat.low))
    q = np.where(s > 0.0, np.copysign(np.sqrt(np.maximum(s * s - p * p, 0.0)), g_q), threat.plan[1])
    move = np.stack([p, q]) - threat.plan
    gain = (gradient * move).sum(axis=0)
    rank = gain.argsort(axis=0).argsort(axis=0)
    return np.where((rank >= len(gain) - threat.budget) & (gain > 0.0), move, 0.0)


def _second_order(lin: Linearisation, dv: ComplexArray, buses: IntArray, threat: Threat) -> Array:
    """(K,) largest second order of |V| over its first, in the attacks that pull the voltages of the suspects' buses."""
    v, y, ratio = lin.v, lin.network.y_bus, np.zeros(lin.steps)
    size, column = np.abs(v), np.searchsorted(buses, threat.bus)
    for bus in buses:
        pull = -(np.conj(v[bus]) / size[bus] * dv[column][:, :, bus]).real.transpose(1, 0, 2)
        injected = np.zeros((2, *v.shape))
        for part, move in zip(injected, strongest(threat, pull), strict=True):
            np.add.at(part, threat.bus, move)
        first = lin.dv(*injected)
        rest = -np.conj(first) * np.asarray(y @ first) * S_BASE_KVA
        second = lin.dv(rest.real, -rest.imag)
        along, across = np.conj(v) * first / size, np.conj(v) * second / size
        down = -along.real[1:]
        bent = -(across.real + along.imag**2 / (2.0 * size))[1:]
        told = down > TELLING * down.max(axis=0, initial=0.0)
        ratio = np.maximum(ratio, np.divide(bent, down, out=np.zeros_like(bent), where=told).max(axis=0))
    return ratio


def _count(threat: Threat) -> int:
    return min(threat.budget, len(threat.bus))
