"""Limits of the power drawn at the slack: a cap, a floor, a band, a requested profile, or nothing (an island)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grid.arrays import Array, ComplexArray, IntArray, freeze
from grid.errors import Fault, InputError
from grid.network import S_BASE_KVA, Network

P_HIGH, P_LOW, Q_HIGH, Q_LOW = 0, 1, 2, 3
SIDES = 4
_SIGN = np.array([1.0, -1.0, 1.0, -1.0])
_WEIGHT = np.array([1.0, 1.0, -1j, -1j])  # of active and reactive power in dF/dp - j dF/dq
LABELS = (
    "active power drawn from the upstream grid",
    "active power given to the upstream grid",
    "reactive power drawn from the upstream grid",
    "reactive power given to the upstream grid",
)
ISLAND_LABELS = (
    "active power missing in the island",
    "active power left over in the island",
    "reactive power missing in the island",
    "reactive power left over in the island",
)


@dataclass(frozen=True, eq=False)
class Connection:
    """Limits of what a grid draws at its slack, step by step.

    P + jQ = V_0 conj((Y V)_0) - (p_0 + j q_0),   p_min <= P <= p_max,   q_min <= Q <= q_max

    Positive is drawn (import); p_0 + j q_0 is injected at the slack bus itself. In an island the unit that holds the
    voltage stands there, and all four limits are zero: what the grid asks of the slack is what the unit plans.

    Args:
        p_min, p_max, q_min, q_max: (K,) [kW, kvar], infinite where there is no limit; equal for a request.
        base_kw: (K,) what an excess is measured in, positive: a typical load.
        labels: what to call the four limits in messages.
    """

    p_min: Array
    p_max: Array
    q_min: Array
    q_max: Array
    base_kw: Array
    labels: tuple[str, str, str, str] = LABELS

    def __post_init__(self) -> None:
        for name in ("p_min", "p_max", "q_min", "q_max", "base_kw"):
            object.__setattr__(self, name, freeze(np.array(getattr(self, name), dtype=np.float64)))
        faults = [
            Fault(
                "connection", f"{low} above {high} at step {int(np.argmax(below))}", f"{low} <= {high}", "correct them"
            )
            for low, high in (("p_min", "p_max"), ("q_min", "q_max"))
            if (below := ~(getattr(self, low) <= getattr(self, high))).any()
        ]
        if not (self.base_kw > 0.0).all():
            faults.append(Fault("connection", "base_kw not positive", "> 0", "give a typical load"))
        if faults:
            raise InputError(faults)

    @classmethod
    def closed(cls, base_kw: Array) -> Connection:
        """Nothing is exchanged: an island."""
        zero = np.zeros(len(base_kw))
        return cls(zero, zero, zero, zero, base_kw, ISLAND_LABELS)

    @property
    def steps(self) -> int:
        return len(self.base_kw)

    @property
    def bounds(self) -> Array:
        """(4, K) the limits in the order P_HIGH, P_LOW, Q_HIGH, Q_LOW."""
        return np.array([self.p_max, self.p_min, self.q_max, self.q_min])

    def at(self, steps: slice) -> Connection:
        """The limits of some of the steps."""
        cut = {name: getattr(self, name)[steps] for name in ("p_min", "p_max", "q_min", "q_max", "base_kw")}
        return replace(self, **cut)

    def rows(self, v: ComplexArray, own: ComplexArray, y: ComplexArray, step: IntArray, side: IntArray) -> Array:
        """Excess of M limits over ``base_kw``, positive where violated; see ``drawn_kw``."""
        drawn = _drawn(v, own, y)[step]
        part = np.where(side < Q_HIGH, drawn.real, drawn.imag)
        return np.asarray(_SIGN[side] * (part - self.bounds[side, step]) / self.base_kw[step])

    def root(self, step: IntArray, side: IntArray) -> ComplexArray:
        """(M,) dF/dp_0 - j dF/dq_0 of the same M limits: what their gradients begin with at the slack."""
        return np.asarray(-_SIGN[side] * _WEIGHT[side] / self.base_kw[step])

    def excess(self, v: ComplexArray, own: ComplexArray, y: ComplexArray) -> Array:
        """(4, K) excess of every limit over ``base_kw``; -inf where there is none."""
        drawn = _drawn(v, own, y)
        parts = np.array([drawn.real, drawn.real, drawn.imag, drawn.imag])
        return np.asarray(_SIGN[:, None] * (parts - self.bounds) / self.base_kw)


def _drawn(v: ComplexArray, own: ComplexArray, y: ComplexArray) -> ComplexArray:
    near = np.flatnonzero(y)
    return np.asarray(v[0] * np.conj(y[near] @ v[near]) * S_BASE_KVA - own)


def slack_row(network: Network) -> ComplexArray:
    """(n,) row of the admittance matrix that gives the current at the slack."""
    return np.asarray(network.y_bus[[0], :].toarray()[0], dtype=np.complex128)


def drawn_kw(network: Network, v: ComplexArray, own: ComplexArray | None = None) -> ComplexArray:
    """(K,) power P + jQ drawn at the slack [kW, kvar] at voltages v (n, K), with ``own (K,)`` injected at its bus."""
    return _drawn(v, np.zeros(v.shape[1], np.complex128) if own is None else own, slack_row(network))
