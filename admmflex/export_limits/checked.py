"""What a limit for all scenarios does to the feeder: voltages of customers and broken limits, by AC power flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from admmflex.export_limits.customers import Customers
from admmflex.export_limits.inverter import Inverter
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import PAIRS, pv_power, ray_of
from admmflex.horizon import Array, BoolArray, IntArray
from grid import UnbalancedLimits

MARGIN = 1e-6  # excess over a limit up to which it counts as kept


@dataclass(frozen=True, eq=False)
class Checked:
    """N scenarios of K steps of n customers; NaN where there is no power flow.

    Args:
        phase: (N, 3, K) [pu] highest voltage to neutral of any customer with that phase.
        customer: (N, n, K) [pu] highest voltage of the customer's phases.
        broken: (N, K) whether any limit of the feeder is.
    """

    phase: Array
    customer: Array
    broken: BoolArray


def check(
    customers: Customers,
    scenarios: Scenarios,
    limits: UnbalancedLimits,
    xi: Array | None = None,
    *,
    inverter: Inverter | None = None,
    known: Checked | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> Checked:
    """Every scenario with a uniform limit.

    Args:
        xi: (K,) share of the ratings that may be exported; the whole rating without.
        inverter: as in ``uniform_limits``.
        known: the same scenarios with the whole rating: pairs that the limit leaves as they are need no power flow.
        observe: told how many pairs of scenario and step are done, and of how many.
    """
    count, n, steps = scenarios.shape
    open_to = np.ones(steps) if xi is None else xi
    if known is None:
        found = Checked(
            np.full((count, 3, steps), np.nan), np.full((count, n, steps), np.nan), np.ones((count, steps), np.bool_)
        )
        s, k = np.divmod(np.arange(count * steps), steps)
    else:
        found = Checked(known.phase.copy(), known.customer.copy(), known.broken.copy())
        whole, less = (pv_power(scenarios, one * customers.rating_kw[:, None]) for one in (1.0, open_to))
        s, k = np.nonzero((less < whole).any(axis=1))
    for first in range(0, len(s), PAIRS):
        part = slice(first, first + PAIRS)
        _some(found, customers, scenarios, limits, s[part], k[part], open_to[k[part]], inverter)
        if observe is not None:
            observe(min(first + PAIRS, len(s)), len(s))
    return found


def _some(
    found: Checked,
    customers: Customers,
    scenarios: Scenarios,
    limits: UnbalancedLimits,
    s: IntArray,
    k: IntArray,
    xi: Array,
    inverter: Inverter | None,
) -> None:
    """Fill in pairs of scenario and step."""
    flow = ray_of(customers, scenarios, s, k, inverter).flow(xi)
    v = flow.v_at(customers.at)
    size = np.abs(v[:, :3] - v[:, 3:] if v.shape[1] == 4 else v)
    size[:, :, ~flow.converged] = np.nan
    own = np.where(customers.share[:, :, None] > 0.0, size[customers.row], np.nan)  # (n, 3, C)
    has = (customers.share > 0.0).any(axis=0)
    found.phase[s[:, None], np.flatnonzero(has), k[:, None]] = np.fmax.reduce(own[:, has], axis=0).T
    found.customer[s, :, k] = np.fmax.reduce(own, axis=1).T
    found.broken[s, k] = limits.worst(flow).excess > MARGIN
