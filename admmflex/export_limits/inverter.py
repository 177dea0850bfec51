"""Inverters that answer their voltage: Volt-Watt and Volt-VAr, settled together with the power flow."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.errors import Fault, require
from admmflex.export_limits.customers import Customers
from admmflex.horizon import Array
from grid import UnbalancedFlow, unbalanced_flow

_SETTLED = 1e-6  # of the rating
_TURNS = 80
_PATIENCE = 6


@dataclass(frozen=True)
class Inverter:
    """Piecewise linear answers to the voltage, as a share of the rating S; a curve is flat outside its points.

        p <= S watt(V),    q = min(|var(V)| S, sqrt(S^2 - p^2)) with the sign of var(V)

    V is the phase-to-neutral voltage at the customer, the mean over the phases of a three-phase inverter. q is positive
    when fed in, so a curve falls with the voltage.

    Args:
        watt: points (pu, share of S), or empty for none.
        var: points (pu, share of S), or empty for unity power factor.

    Raises:
        InputError: voltages that do not increase, shares outside 0 to 1 (watt) or -1 to 1 (var).
    """

    watt: tuple[tuple[float, float], ...] = ()
    var: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        found = []
        for name, curve, least in (("watt", self.watt, 0.0), ("var", self.var, -1.0)):
            points = np.array(curve, dtype=np.float64).reshape(-1, 2)
            if not (np.isfinite(points).all() and (np.diff(points[:, 0]) > 0).all()):
                found.append(Fault(f"curve {name}", f"{curve}", "voltages that increase", "sort the points"))
            if not ((points[:, 1] >= least) & (points[:, 1] <= 1.0)).all():
                found.append(Fault(f"curve {name}", f"{curve}", f"shares from {least:g} to 1", "correct the points"))
        require(found)

    def answer(self, v: Array, wanted: Array, rating: Array) -> tuple[Array, Array]:
        """Active and reactive power (n, C) at voltages v (n, C) when ``wanted`` (n, C) could be fed in."""
        p = np.minimum(wanted, rating * _at(self.watt, v)) if self.watt else wanted
        if not self.var:
            return p, np.zeros_like(p)
        room = np.sqrt(np.maximum(rating**2 - p**2, 0.0))
        return p, np.clip(rating * _at(self.var, v), -room, room)


EN_50549 = Inverter(var=((0.92, 0.436), (0.96, 0.0), (1.05, 0.0), (1.08, -0.436)))
"""Volt-VAr with power factor 0.9 at the ends of the curve."""


def settle(
    inverter: Inverter,
    customers: Customers,
    net: Array,
    load: Array,
    q: Array,
    start: UnbalancedFlow | None,
    tol: float,
) -> UnbalancedFlow:
    """Power flow in which every inverter does what its voltage asks for.

    Damped fixed point x <- x + d (f(V(x)) - x) on the powers, d = 1/2, halved wherever six turns do not halve the
    error. Cases in which an answer is off by more than 1e-6 of its rating after 80 turns count as not converged.

    Args:
        inverter: the curves.
        customers: n.
        net: (n, C) net power that customers want within their limits [kW].
        load: (n, C) consumption [kW]; PV gives net + load.
        q: (L, 3, C) reactive power of the loads by bus and phase [kvar].
    """
    rating = np.broadcast_to(customers.rating_kw[:, None], net.shape)
    wanted = np.maximum(net + load, 0.0)
    p, made = wanted.copy(), np.zeros_like(wanted)
    damping, mark = np.full(net.shape[1], 0.5), np.full(net.shape[1], np.inf)
    flow, settled = start, np.zeros(net.shape[1], dtype=np.bool_)
    for turn in range(_TURNS):
        powers = customers.by_bus(p - load + np.minimum(net + load, 0.0)), q + customers.by_bus(made)
        flow = unbalanced_flow(customers.network, *powers, at=customers.at, start=flow, tol=tol)
        answer = inverter.answer(_voltage(customers, flow), wanted, rating)
        move = np.maximum(np.abs(answer[0] - p), np.abs(answer[1] - made)) / np.maximum(rating, 1e-9)
        size = np.where(rating > 0, move, 0.0).max(axis=0)
        settled = ~(size > _SETTLED)
        if settled.all():
            break
        if turn % _PATIENCE == _PATIENCE - 1:
            damping, mark = np.where(size > 0.5 * mark, damping / 2, damping), size
        p, made = p + damping * (answer[0] - p), made + damping * (answer[1] - made)
    assert flow is not None
    return replace(flow, converged=flow.converged & settled)


def _voltage(customers: Customers, flow: UnbalancedFlow) -> Array:
    """(n, C) voltage that each inverter sees; 1 where the power flow has no solution."""
    v = flow.v_at(customers.at)
    u = np.abs(v[:, :3] - v[:, 3:] if customers.network.w == 4 else v)[customers.row]
    seen = np.einsum("nf,nfc->nc", customers.share, u)
    return np.where(np.isfinite(seen), seen, 1.0)


def _at(curve: tuple[tuple[float, float], ...], v: Array) -> Array:
    points = np.array(curve)
    return np.asarray(np.interp(v, points[:, 0], points[:, 1]), dtype=np.float64)
