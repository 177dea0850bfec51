"""The largest uniform export limit of every scenario and step, by AC power flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from admmflex.errors import Fault, require
from admmflex.export_limits.customers import Customers
from admmflex.export_limits.inverter import Inverter
from admmflex.export_limits.ray import Ray, reach
from admmflex.export_limits.scenarios import Scenarios
from admmflex.horizon import Array, BoolArray, IntArray
from grid import UnbalancedLimits

PAIRS = 1024
"""Pairs of scenario and step that are searched together: few enough for the cache, many enough for numpy."""
NOTHING = -1


@dataclass(frozen=True, eq=False)
class UniformLimits:
    """Largest uniform export limits, as a share of the inverters' ratings.

    Args:
        customers, scenarios, limits: what was asked.
        xi: (N, K) in [0, 1]. All limits of the feeder hold at xi and at every smaller limit of the scan; 1 where
            nothing binds, also where no customer has anything to export; else 0 where ``passive``.
        passive: (N, K) limits are broken already without any export.
        kind, element, conductor: (N, K) what binds, as ``limits.label`` takes it; kind NOTHING where nothing does.
        excess: (N, K) beyond the limit used most, at xi; at most about 1e-7, but for passive pairs.
        flows: power flows computed.
    """

    customers: Customers
    scenarios: Scenarios
    limits: UnbalancedLimits
    xi: Array
    passive: BoolArray
    kind: IntArray
    element: IntArray
    conductor: IntArray
    excess: Array
    flows: int

    def what_binds(self, scenario: int, step: int) -> str | None:
        """The limit that binds, or that is broken without any export; None where nothing binds."""
        kind = int(self.kind[scenario, step])
        if kind == NOTHING:
            return None
        return self.limits.label(kind, int(self.element[scenario, step]), int(self.conductor[scenario, step]))

    @cached_property
    def pv(self) -> Array:
        """(N, n, K) PV power under the limits of each scenario [kW]."""
        return pv_power(self.scenarios, self.xi[:, None] * self.customers.rating_kw[:, None])

    def passive_notes(self, most: int = 20) -> list[str]:
        """Where the feeder without any export breaks its limits: limit, voltages of the customer that suffers most."""
        pairs = np.argwhere(self.passive)
        some = pairs[:most]
        if not len(some):
            return []
        flow = ray_of(self.customers, self.scenarios, some[:, 0], some[:, 1]).flow(np.zeros(len(some)))
        v = flow.v_at(self.customers.bus)
        u = np.abs(v[:, :3] - v[:, 3:]) if self.customers.network.w == 4 else np.abs(v)
        beyond = np.maximum(u - self.limits.v_max, self.limits.v_min - u)
        beyond[self.customers.share == 0] = -np.inf
        notes = []
        for j, (s, k) in enumerate(some):
            text = f"scenario {s}, step {k}: {self.what_binds(s, k)} broken without any export"
            if flow.converged[j]:
                i, f = np.unravel_index(int(beyond[:, :, j].argmax()), beyond.shape[:2])
                text += f"; worst customer {self.customers.name[i]!r} at {u[i, f, j]:.4f} pu on phase {'abc'[f]}"
            notes.append(text)
        if len(pairs) > most:
            notes.append(f"and {len(pairs) - most} more scenarios and steps")
        return notes


def uniform_limits(
    customers: Customers,
    scenarios: Scenarios,
    limits: UnbalancedLimits,
    *,
    inverter: Inverter | None = None,
    scan: int = 8,
    tol: float = 1e-6,
    observe: Callable[[int, int], None] | None = None,
) -> UniformLimits:
    """Largest uniform export limit xi of every scenario and step:  p_pv = min(avail, load + xi rating).

    Every limit is looked at on scan + 1 points between xi = 0 and the one at which nobody is curtailed any more, so
    that voltages need not be monotone in xi; then the first bracket is narrowed. See ``ray.reach``.

    Args:
        customers: n.
        scenarios: N of n customers.
        limits: of the same network.
        inverter: how inverters answer their voltage; unity power factor without.
        scan: intervals of the scan.
        tol: width of xi at which the search ends.
        observe: told how many pairs of scenario and step are done, and of how many.

    Raises:
        InputError: scenarios of other customers, limits of another feeder, PV that is available without a rating.
    """
    require(faults(customers, scenarios, limits))
    count, _, steps = scenarios.shape
    xi, passive = np.ones((count, steps)), np.zeros((count, steps), dtype=np.bool_)
    which = np.full((3, count, steps), NOTHING)
    excess = np.empty((count, steps))
    flows, total = 0, count * steps
    for first in range(0, total, PAIRS):
        s, k = np.divmod(np.arange(first, min(first + PAIRS, total)), steps)
        found = reach(ray_of(customers, scenarios, s, k, inverter), limits, scan, tol)
        flows += found.flows
        shown = found.binds | found.broken
        xi[s, k], passive[s, k], excess[s, k] = found.t, found.broken, found.use.excess
        which[:, s[shown], k[shown]] = np.stack(found.use[2:])[:, shown]
        if observe is not None:
            observe(min(first + PAIRS, total), total)
    return UniformLimits(customers, scenarios, limits, xi, passive, which[0], which[1], which[2], excess, flows)


def ray_of(
    customers: Customers, scenarios: Scenarios, s: IntArray, k: IntArray, inverter: Inverter | None = None
) -> Ray:
    """The line from no export to exports of the whole rating, for pairs of scenario s and step k."""
    load_p, load_q, avail = (
        np.ascontiguousarray(x[s, :, k].T) for x in (scenarios.load_p, scenarios.load_q, scenarios.avail)
    )
    none = np.zeros((customers.n, 1))
    step = customers.rating_kw[:, None]
    q = customers.by_bus(-load_q)
    return Ray(customers, avail - load_p, q, none, step, inverter=inverter, load=load_p)


def pv_power(scenarios: Scenarios, export_kw: Array) -> Array:
    """(N, n, K) p_pv = min(avail, load + export limit) [kW] for export limits (n, K) or (N, n, K)."""
    return np.minimum(scenarios.avail, scenarios.load_p + export_kw)


def faults(customers: Customers, scenarios: Scenarios, limits: UnbalancedLimits) -> list[Fault]:
    """What does not fit together."""
    _, n, _ = scenarios.shape
    if n != customers.n:
        return [Fault("scenarios", f"{n} customers", f"{customers.n}", "give one row per customer")]
    found = []
    if limits.network is not customers.network:
        found.append(Fault("limits", "of another feeder", "those of the customers' feeder", "use the same network"))
    for i in np.flatnonzero((customers.rating_kw == 0) & scenarios.avail.any(axis=(0, 2))):
        value = "PV power is available, the rating is 0 kW"
        found.append(Fault(f"customer {customers.name[i]!r}", value, "a rating > 0", "give the inverter's rating"))
    return found
