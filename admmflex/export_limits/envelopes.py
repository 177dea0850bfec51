"""Limits beyond the uniform one: equal, proportional, fair; for exports and imports (dynamic operating envelopes)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from admmflex.errors import Fault, require
from admmflex.export_limits.customers import Customers
from admmflex.export_limits.inverter import Inverter
from admmflex.export_limits.ray import Ray, reach
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import PAIRS, faults, ray_of
from admmflex.horizon import Array, BoolArray, IntArray
from grid import UnbalancedLimits

Rule = Literal["uniform", "equal", "proportional", "fair"]
RULES: tuple[Rule, ...] = ("uniform", "equal", "proportional", "fair")
_NUDGE_KW = 0.5
_PUSHES = 1e-6  # excess per kW from which a customer counts as pushing a limit


def export_limits(
    customers: Customers,
    scenarios: Scenarios,
    limits: UnbalancedLimits,
    rule: Rule = "uniform",
    *,
    inverter: Inverter | None = None,
) -> Array:
    """(N, n, K) export limit of every customer [kW], the largest in the direction of a rule.

    Every scenario and step is solved on its own, by AC power flow; 0 where the feeder breaks its limits without export.

    Args:
        customers, scenarios, limits, inverter: as in ``uniform_limits``.
        rule: what grows together until a limit of the feeder binds.
            "uniform": the share of the ratings.
            "equal": the power, the same for all, each up to the own rating.
            "proportional": the share of what each would export without limits.
            "fair": the share of the ratings; then those who push the limit that binds keep theirs, the others go on,
            until nobody can (progressive filling). Lexicographically max-min fair where no export relieves a limit that
            another one pushes; else a limit that nobody can raise alone.

    Raises:
        InputError: an unknown rule, and what ``uniform_limits`` refuses.
    """
    unknown = Fault("rule", f"{rule!r}", ", ".join(RULES), "choose one")
    require(faults(customers, scenarios, limits) + ([] if rule in RULES else [unknown]))
    count, n, steps = scenarios.shape
    out = np.empty((count, n, steps))
    for first in range(0, count * steps, PAIRS):
        s, k = np.divmod(np.arange(first, min(first + PAIRS, count * steps)), steps)
        ray = ray_of(customers, scenarios, s, k, inverter)
        if rule == "equal":
            ray = replace(ray, step=np.where(ray.step > 0, ray.step.max(), 0.0))
        elif rule == "proportional":
            ray = replace(ray, step=np.maximum(ray.want, 0.0))
        limit = fill(ray, limits) if rule == "fair" else ray.base + reach(ray, limits).t * ray.step
        out[s, :, k] = np.minimum(limit, customers.rating_kw[:, None]).T
    return out


def fill(ray: Ray, limits: UnbalancedLimits) -> Array:
    """(n, C) progressive filling: raise all limits together, hold those who push what binds, raise the others.

    Who pushes is found by one power flow per customer with a little more export. Afterwards everyone is tried again
    from there, until no limit rises by more than 1e-3 of its step: what one raised may have relieved another.
    """
    cases, n = ray.cases, ray.customers.n
    level = np.zeros((n, cases))  # limits as shares of step
    step = np.broadcast_to(ray.step, (n, cases))
    todo = np.arange(cases)
    for _ in range(n):
        before = level[:, todo].copy()
        level[:, todo] = _filled(ray.some(todo), limits, step[:, todo], before)
        todo = todo[(level[:, todo] - before).max(axis=0) > 1e-3]
        if not len(todo):
            break
    return ray.base + level * step


def _filled(ray: Ray, limits: UnbalancedLimits, step: Array, level: Array) -> Array:
    """One pass from given levels."""
    level = level.copy()
    free: BoolArray = np.broadcast_to(step > 0, level.shape) & (level < 1.0)
    todo = np.flatnonzero(free.any(axis=0))
    for _ in range(ray.customers.n):
        if not len(todo):
            break
        part, open_ = ray.some(todo), free[:, todo]
        room = np.where(open_, 1.0 - level[:, todo], 0.0)
        most = room.max(axis=0)
        rise = np.where(open_, np.minimum(most, room), 0.0)  # all by the same share
        here = replace(part, base=part.base + level[:, todo] * step[:, todo], step=rise * step[:, todo])
        found = reach(here, limits)
        gain = found.t * rise
        level[:, todo] = np.minimum(level[:, todo] + gain, 1.0)
        stop = ~found.binds | found.broken
        pushes = np.ones_like(open_)
        if not stop.all():
            at = replace(part, base=part.base + level[:, todo] * step[:, todo])
            pushes[:, ~stop] = _pushers(at.some(~stop), limits, found.use.row[~stop], open_[:, ~stop])
        free[:, todo] &= ~pushes & ~stop
        todo = todo[free[:, todo].any(axis=0)]
    return level


def _pushers(ray: Ray, limits: UnbalancedLimits, row: IntArray, free: BoolArray) -> BoolArray:
    """(n, C) free customers whose larger export raises the excess of the limit that binds in their case.

    At least one per case: the one that raises it most.
    """
    n, cases = free.shape
    still = replace(ray, step=np.zeros((1, 1)))
    who, case = np.nonzero(free)
    power = still.net(np.zeros(cases))
    more = power[:, case]
    more[who, np.arange(len(who))] += _NUDGE_KW
    nudged = replace(still.some(case), want=more, base=np.full((1, 1), np.inf))
    effect = np.full((n, cases), -np.inf)
    effect[who, case] = _excess(nudged, limits, row[case]) - _excess(still, limits, row)[case]
    top = effect.max(axis=0)
    return np.asarray(effect >= np.minimum(_PUSHES * _NUDGE_KW, top))


def _excess(ray: Ray, limits: UnbalancedLimits, row: IntArray) -> Array:
    """(C,) excess of one row per case."""
    flow = ray.flow(np.zeros(ray.cases))
    out = np.empty(ray.cases)
    for one in np.unique(row):
        out[row == one] = limits.worst(flow, np.array([one])).excess[row == one]
    return out


@dataclass(frozen=True, eq=False)
class Envelope:
    """Net powers that every customer may have at one step, whatever the others do within theirs.

    Args:
        import_kw, export_kw: (n,) limits [kW], both positive.
        scale: by which both were reduced because customers at opposite ends of their envelopes broke a limit; 1 if not.
        corners: how many such corners were tried.
    """

    import_kw: Array
    export_kw: Array
    scale: float
    corners: int


def operating_envelope(
    customers: Customers,
    limits: UnbalancedLimits,
    import_kw: Array,
    export_kw: Array,
    *,
    q_kvar: Array | None = None,
    corners: int = 500,
    seed: int = 0,
) -> Envelope:
    """Fair export and import limits of one step, from what the connections allow.

    Exports with nobody importing and imports with nobody exporting are filled fairly, each on its own. Customers at
    opposite ends of their envelopes are worse in an unbalanced feeder: corners are drawn, the phases one against the
    other and at random, and both limits are reduced together until none of them breaks a limit.

    Args:
        import_kw, export_kw: (n,) what the connections allow [kW].
        q_kvar: (n,) reactive consumption; none without.
        corners: how many are drawn.

    Raises:
        InputError: powers that are negative or not numbers.
    """
    n = customers.n
    _check(customers, import_kw, export_kw)
    q = np.zeros((n, 1)) if q_kvar is None else np.asarray(q_kvar, dtype=np.float64)[:, None]

    def ray(want: Array, base: Array, step: Array, sign: Array) -> Ray:
        reactive = customers.by_bus(np.broadcast_to(-q, want.shape))
        return Ray(customers, want, reactive, base, step, sign)

    none, one = np.zeros((n, 1)), np.ones((1, 1))
    filled = [
        fill(ray(way * top[:, None], none, top[:, None], way * one), limits)[:, 0]
        for way, top in ((1.0, np.asarray(export_kw, float)), (-1.0, np.asarray(import_kw, float)))
    ]
    sign = _corners(customers, corners, seed)
    ends = np.where(sign > 0, filled[0][:, None], filled[1][:, None])
    scale = float(reach(ray(sign * ends, none, ends, sign), limits).t.min())
    return Envelope(scale * filled[1], scale * filled[0], scale, sign.shape[1])


def _corners(customers: Customers, count: int, seed: int) -> Array:
    """(n, count + 6) who exports (1) and who imports (-1): each phase alone against the others, then at random."""
    main = customers.share.argmax(axis=1)
    phases = np.array([[way * (1 if f == g else -1) for g in range(3)] for f in range(3) for way in (1, -1)], float)
    drawn = np.random.default_rng(seed).choice([-1.0, 1.0], (customers.n, count))
    return np.concatenate([phases.T[main], drawn], axis=1)


def _check(customers: Customers, import_kw: Array, export_kw: Array) -> None:
    found = []
    for name, given in (("import_kw", import_kw), ("export_kw", export_kw)):
        x = np.asarray(given, dtype=np.float64)
        if x.shape != (customers.n,):
            found.append(Fault(name, f"shape {x.shape}", f"({customers.n},)", "give one power per customer"))
            continue
        for i in np.flatnonzero(~((x >= 0) & (x < np.inf))):
            label = f"customer {customers.name[i]!r}"
            found.append(Fault(label, f"{name} = {x[i]:g} kW", "a number >= 0", "correct it"))
    require(found)
