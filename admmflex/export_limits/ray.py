"""How far the limits of customers may be opened together: the first broken limit along a line, by AC power flow."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from admmflex.export_limits import _powers
from admmflex.export_limits.customers import Customers
from admmflex.export_limits.inverter import Inverter, settle
from admmflex.horizon import Array, BoolArray, IntArray
from grid import UnbalancedFlow, UnbalancedLimits, unbalanced_flow
from grid.arrays import ComplexArray
from grid.unbalanced_limits import Use

FLOW_TOL = 1e-9  # pu
CLOSE = 1e-7  # excess below zero at which a limit counts as reached
_TURNS = 60


@dataclass(frozen=True, eq=False)
class Ray:
    """C cases of n customers whose limits open with t from 0 to 1:  limit_i = base_i + t step_i.

    A customer that wants a net power w_i (export positive) gets min(w_i, limit_i), or where the sign is -1, for
    imports, max(w_i, -limit_i).

    Args:
        customers: n.
        want: (n, C) [kW].
        q: (L, 3, C) injections by bus and phase [kvar], as from ``Customers.by_bus``.
        base, step: (n, C) or (n, 1) [kW], step >= 0.
        sign: (n, C) or (n, 1), 1 for exports, -1 for imports.
        inverter: how inverters answer the voltage; None for unity power factor.
        load: (n, C) consumption within want [kW], which tells an inverter how much it makes.
    """

    customers: Customers
    want: Array
    q: Array
    base: Array
    step: Array
    sign: Array = field(default_factory=lambda: np.ones((1, 1)))
    inverter: Inverter | None = None
    load: Array | None = None

    @property
    def cases(self) -> int:
        return int(self.want.shape[1])

    def some(self, which: IntArray | BoolArray) -> Ray:
        """The same for some of the cases."""
        base, step, sign = (x if x.shape[1] == 1 else x[:, which] for x in (self.base, self.step, self.sign))
        load = None if self.load is None else self.load[:, which]
        want, q = self.want[:, which], self.q[:, :, which]
        return replace(self, want=want, q=q, base=base, step=step, sign=sign, load=load)

    def end(self) -> Array:
        """(C,) t in [0, 1] from which nothing changes any more: everyone gets what is wanted."""
        with np.errstate(divide="ignore", invalid="ignore"):
            reached = (self.sign * self.want - self.base) / self.step
        reached = np.where(np.broadcast_to(self.step, reached.shape) > 0, reached, 0.0)
        return np.asarray(np.clip(reached.max(axis=0), 0.0, 1.0))

    def flow(self, t: Array, start: UnbalancedFlow | None = None) -> UnbalancedFlow:
        """Power flow of every case at its own t (C,)."""
        one = self.customers
        if self.inverter is not None:
            load = np.zeros_like(self.want) if self.load is None else self.load
            return settle(self.inverter, one, self.net(t), load, self.q, start, FLOW_TOL)
        p = np.empty((len(one.at), 3, self.cases))
        base, step, sign = (np.broadcast_to(x, (one.n, x.shape[1])) for x in (self.base, self.step, self.sign))
        _powers.injections(one.row, one.share, self.want, base, step, t, sign, p)
        return unbalanced_flow(one.network, p, self.q, at=one.at, start=start, tol=FLOW_TOL)

    def net(self, t: Array) -> Array:
        """(n, C) net power of every customer [kW]."""
        return np.asarray(self.sign * np.minimum(self.sign * self.want, self.base + t * self.step))


@dataclass(frozen=True)
class Reach:
    """How far each case may go.

    Args:
        t: (C,) largest t such that the limits hold there and at every smaller t of the scan; 1 where nothing binds.
        broken: (C,) limits are broken already at t = 0; then t = 0, or 1 where nobody wants anything.
        use: the limit that binds there, its excess just below 0; where nothing binds the one used most.
        binds: (C,) whether a limit stands in the way.
        flows: power flows computed.
    """

    t: Array
    broken: BoolArray
    use: Use
    binds: BoolArray
    flows: int


@dataclass(eq=False)
class _State:
    """What is known of C cases: the limits hold at lo (v_lo) and are broken at hi; the excess at both."""

    end: Array
    lo: Array
    hi: Array
    g_lo: Array
    g_hi: Array
    broken: BoolArray
    bracketed: BoolArray
    v: ComplexArray
    flows: int = 0


def reach(ray: Ray, limits: UnbalancedLimits, scan: int = 8, tol: float = 1e-6) -> Reach:
    """Open the limits until one of the feeder is reached.

    The excess is looked at on ``scan`` + 1 points from 0 to the end of the ray; the first bracket is narrowed by
    safeguarded secants to tol. A violation that begins and ends between two neighbouring points of the scan is not
    seen. Cases without a power flow solution count as violations. First only the rows that nearly always bind are
    watched; the answer is checked against all, and the search repeated with those that it breaks.
    """
    rows = None
    todo = np.arange(ray.cases)
    t, broken, binds = np.empty(ray.cases), np.zeros(ray.cases, dtype=bool), np.zeros(ray.cases, dtype=bool)
    use, flows = None, 0
    while len(todo):
        part = ray.some(todo)
        state, rows = _search(part, limits, rows, scan, tol)
        answer = np.where(state.bracketed | (state.broken & (state.end > 0)), state.lo, 1.0)
        flow = part.flow(answer)
        found = limits.worst(flow)
        flows += state.flows + part.cases
        t[todo], broken[todo], binds[todo] = answer, state.broken, state.bracketed
        if use is None:
            use = found
        else:
            for mine, new in zip(use, found, strict=True):
                mine[todo] = new
        again = (found.excess > CLOSE) & ~state.broken & ~np.isin(found.row, rows)
        rows = np.union1d(rows, found.row[again])
        todo = todo[again]
    assert use is not None
    return Reach(t, broken, use, binds, flows)


def _search(
    ray: Ray, limits: UnbalancedLimits, rows: IntArray | None, scan: int, tol: float
) -> tuple[_State, IntArray]:
    """Scan upwards, then narrow the brackets; the rows that were watched."""
    end, t = ray.end(), np.zeros(ray.cases)
    flow = ray.flow(t)
    rows = limits.first_rows(flow.reduction) if rows is None else rows
    g = limits.worst(flow, rows).excess
    state = _State(end, t, end.copy(), g, np.full_like(g, np.inf), g > 0, np.zeros_like(g, dtype=bool), flow.v_swept)
    state.flows = ray.cases
    active = np.flatnonzero(~state.broken & (end > 0))
    before = state.v[:, :, active]
    for j in range(1, scan + 1):
        if not len(active):
            break
        part, t = ray.some(active), end[active] * (j / scan)
        guess = 2.0 * state.v[:, :, active] - before if j > 1 else before
        flow = part.flow(t, replace(flow, v_swept=guess))
        g = limits.worst(flow, rows).excess
        state.flows += len(active)
        over = g > 0
        hit = active[over]
        state.bracketed[hit], state.hi[hit], state.g_hi[hit] = True, t[over], g[over]
        active = active[~over]
        before = state.v[:, :, active]
        state.v[:, :, active], state.lo[active], state.g_lo[active] = flow.v_swept[:, :, ~over], t[~over], g[~over]
    _narrow(ray, limits, rows, state, tol)
    return state, rows


def _narrow(ray: Ray, limits: UnbalancedLimits, rows: IntArray, state: _State, tol: float) -> None:
    """Illinois secants towards an excess of -CLOSE / 2; once there, a probe just beyond closes the bracket.

    Bisection where no secant exists: beside cases without a power flow solution, and where the probe shows that the
    excess was near 0 for another reason (a limit that binds already and does not move).
    """
    side, probed = np.zeros(ray.cases), np.zeros(ray.cases, dtype=np.bool_)
    weight_lo, weight_hi = np.ones(ray.cases), np.ones(ray.cases)
    active = np.flatnonzero(state.bracketed)
    for _ in range(_TURNS):
        active = active[state.hi[active] - state.lo[active] > tol]
        if not len(active):
            return
        lo, hi = state.lo[active], state.hi[active]
        below = (state.g_lo[active] + CLOSE / 2) * weight_lo[active]
        beyond = (state.g_hi[active] + CLOSE / 2) * weight_hi[active]
        part = np.where(np.isfinite(beyond), below / (below - beyond), 0.5)
        t = lo + np.clip(part, 1e-3, 1 - 1e-3) * (hi - lo)
        near = state.g_lo[active] >= -CLOSE
        t[near] = np.where(probed[active], (lo + hi) / 2, lo + 0.9 * tol)[near]
        probed[active] = near
        flow = ray.some(active).flow(t)
        g = limits.worst(flow, rows).excess
        state.flows += len(active)
        over = g > 0
        up, down = active[over], active[~over]
        state.hi[up], state.g_hi[up] = t[over], g[over]
        state.lo[down], state.g_lo[down] = t[~over], g[~over]
        weight_hi[up], weight_lo[down] = 1.0, 1.0
        weight_lo[up] = np.where(side[up] > 0, weight_lo[up] / 2, 1.0)
        weight_hi[down] = np.where(side[down] < 0, weight_hi[down] / 2, 1.0)
        side[up], side[down] = 1.0, -1.0
