"""Three-phase and four-wire power flow of radial feeders, many steps and scenarios at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from grid import _unbalanced
from grid.arrays import Array, BoolArray, ComplexArray, IntArray
from grid.errors import Fault, InputError, require
from grid.network import S_BASE_KVA
from grid.reduction import Reduction
from grid.unbalanced_network import PHASES, UnbalancedNetwork

_PER_UNIT = 3.0 / S_BASE_KVA
_TO_SEQUENCES = np.exp(2j * np.pi / 3 * np.outer(range(3), range(3))) / 3.0  # rows 0, 1, 2


@dataclass(frozen=True, eq=False)
class UnbalancedFlow:
    """Voltages that carry given injections, K steps; only the swept buses are stored, the others follow exactly.

    Args:
        network: n buses, w conductors.
        reduction: the R swept buses.
        p_kw, q_kvar: (L, 3, K) injections at the buses ``reduction.at``.
        v_swept: (R, w, K) complex voltages [pu]; NaN at steps that did not converge.
        converged: (K,).
        iterations: most iterations that any step took.
    """

    network: UnbalancedNetwork
    reduction: Reduction
    p_kw: Array
    q_kvar: Array
    v_swept: ComplexArray
    converged: BoolArray
    iterations: int

    @cached_property
    def v(self) -> ComplexArray:
        """(n, w, K) complex voltages to earth [pu], the neutral last where there is one; 0 on missing conductors."""
        return self.v_at(np.arange(self.network.n))

    def v_at(self, positions: ArrayLike) -> ComplexArray:
        """(M, w, K) voltages of some buses [pu], as in ``v``."""
        return self.expanded(self.v_swept, self.b_swept, positions)

    def expanded(self, v: ComplexArray, b: ComplexArray, positions: ArrayLike) -> ComplexArray:
        """(M, w, C) voltages, or changes of them, at any buses from those and the currents drawn at the swept ones."""
        i, r = np.asarray(positions, dtype=np.int64), self.reduction
        out = np.empty((len(i), *v.shape[1:]), dtype=np.complex128)
        v, b = np.ascontiguousarray(v), np.ascontiguousarray(b)
        _unbalanced.expand(r.above[i], r.below[i], *(_real(x) for x in (r.p[i], r.q[i], v, b, out)))
        return out

    @cached_property
    def b_swept(self) -> ComplexArray:
        """(R, w, K) current drawn at each swept bus and below it, less what the passive network draws [pu]."""
        out = np.empty(self.v_swept.shape, dtype=np.complex128)
        r = self.reduction
        _unbalanced.currents(
            _wires(self.network), np.arange(len(r.kept)), r.parent, r.plain, _real(r.h), r.slot,
            self.p_kw, self.q_kvar, _PER_UNIT, _real(self.v_swept), _real(out),
        )  # fmt: skip
        return out

    def i_to_a(self, branches: ArrayLike | None = None) -> ComplexArray:
        """(M, w, K) current that branches (all by default) hand to the bus at their lower end [A]."""
        i = self._buses(branches)
        form, r = self.network.form, self.reduction
        current = form.y[i] @ self.v_at(i) + r.d[i] @ self.b_swept[r.below[i]]
        return np.asarray(current * self.network.i_base_a[i, None, None])

    def i_from_a(self, branches: ArrayLike | None = None) -> ComplexArray:
        """(M, w, K) current that branches (all by default) take from the bus at their upper end [A]."""
        i = self._buses(branches)
        form, r, up = self.network.form, self.reduction, self.network.parent[i]
        current = form.g[i] @ self.v_at(up) + form.h[i] @ (r.d[i] @ self.b_swept[r.below[i]])
        return np.asarray(current * self.network.i_base_a[up, None, None])

    def _buses(self, branches: ArrayLike | None) -> IntArray:
        every = np.arange(self.network.n - 1)
        return (every if branches is None else np.asarray(branches, dtype=np.int64)) + 1

    @cached_property
    def pcc_kw(self) -> ComplexArray:
        """(3, K) power p + jq per phase given to the slack [kW, kvar]: positive = export."""
        v = self.v_swept[0]
        current = self.network.form.y[0] @ v + self.b_swept[0]
        return np.asarray(-(v * np.conj(current))[:3] / _PER_UNIT)

    @cached_property
    def loss_kw(self) -> Array:
        """(K,) active losses in branches, shunts and earth [kW]."""
        return np.asarray(self.p_kw.sum(axis=(0, 1)) - self.pcc_kw.real.sum(axis=0))

    def unbalance(self, positions: ArrayLike | None = None) -> Array:
        """(M, K) negative over positive sequence of the phase-to-neutral voltages; NaN where a bus lacks a phase."""
        i = np.arange(self.network.n) if positions is None else np.asarray(positions, dtype=np.int64)
        v = self.v_at(i)
        u = v[:, :3] - v[:, 3:] if self.network.w == 4 else v
        _, positive, negative = np.abs(np.moveaxis(_TO_SEQUENCES @ u, 1, 0))
        whole: BoolArray = np.asarray(self.network.wires[i, :3].all(axis=1))[:, None] & (positive > 0)
        out: Array = np.divide(negative, positive, out=np.full(negative.shape, np.nan), where=whole)
        return out

    def neutral_v(self, positions: ArrayLike | None = None) -> Array:
        """(M, K) magnitude of the voltage between neutral and earth [V]; NaN where a bus has no neutral."""
        net = self.network
        i = np.arange(net.n) if positions is None else np.asarray(positions, dtype=np.int64)
        if net.w == 3:
            return np.full((len(i), len(self.converged)), np.nan)
        volts = np.abs(self.v_at(i)[:, 3]) * (net.base_kv[i] * 1e3 / np.sqrt(3.0))[:, None]
        return np.where(net.wires[i, 3, None], volts, np.nan)

    def require(self) -> UnbalancedFlow:
        """Itself when every step converged.

        Raises:
            InputError: naming the first step without a solution and how many there are.
        """
        lost = np.flatnonzero(~self.converged)
        if len(lost):
            found = f"no three-phase power flow solution at step {lost[0]} ({len(lost)} of {len(self.converged)} steps)"
            remedy = "check the injections: they exceed what the feeder can carry"
            raise InputError(Fault(f"feeder {self.network.name!r}", found, "a solution at every step", remedy))
        return self


def unbalanced_flow(
    network: UnbalancedNetwork,
    p_kw: Array,
    q_kvar: Array,
    *,
    at: ArrayLike | None = None,
    start: UnbalancedFlow | None = None,
    tol: float = 1e-10,
    max_iterations: int = 100,
) -> UnbalancedFlow:
    """Solve (V_f - V_n) conj(I_f) = p_f + j q_f for every phase f of every bus but the slack, for K steps.

    Backward and forward sweeps V <- V_0 + Z_bus I(V) on all steps at once. With 100 of them a step converges as long as
    its voltages stay above about 0.6 of those without load; beyond, it counts as not converged.

    Args:
        network: n buses.
        p_kw, q_kvar: (n, 3, K) injections per bus and phase a, b, c, positive into the grid, against the neutral where
            the bus has one; the row of the slack is ignored. With ``at``, (L, 3, K).
        at: (L,) positions of the rows, none twice; saves memory where few buses have injections.
        start: an earlier result of the same network with K steps or one, as first guess.
        tol: largest error of the voltages [pu], root of the sum of squares over buses and conductors.
        max_iterations: of the sweeps.

    Returns:
        Voltages and a status per step; never raises for lack of convergence. A solution with a voltage below half of
        the one without load counts as none: it is the lower branch of the nose curve.

    Raises:
        InputError: wrong shapes, NaN or infinite injections, injections on a phase that the bus does not have.
    """
    p, q, where = _checked(network, p_kw, q_kvar, at)
    r = network.reduction(where)
    guess = _first_guess(network, r, start, p.shape[2])
    v = np.empty((len(r.kept), network.w, p.shape[2]), dtype=np.complex128)
    error = np.full(p.shape[2], np.inf)
    iterations = _unbalanced.sweep(
        _wires(network), np.arange(len(r.kept)), r.parent, r.plain, _real(r.e), _real(r.f), _real(r.h), r.slot,
        p, q, _PER_UNIT, _real(guess), _real(v), error, tol, max_iterations,
    )  # fmt: skip
    converged = (error <= tol) & _upper_branch(network, r, v)
    v[:, :, ~converged] = np.nan
    return UnbalancedFlow(network, r, p, q, v, converged, iterations)


def _real(x: ComplexArray) -> Array:
    return x.view(np.float64).reshape(*x.shape, 2)


def _wires(network: UnbalancedNetwork) -> tuple[int, ...]:
    return tuple(range(network.w))


def _first_guess(network: UnbalancedNetwork, r: Reduction, start: UnbalancedFlow | None, steps: int) -> ComplexArray:
    no_load = network.v_no_load[r.kept, :, None]
    if start is None:
        return np.ascontiguousarray(no_load)
    v = start.v_swept if start.reduction is r else start.v_at(r.kept)
    if v.shape[1:] not in ((network.w, 1), (network.w, steps)):
        allowed = f"({network.n}, {network.w}, 1 or {steps})"
        raise InputError(Fault("start", f"voltages {v.shape}", allowed, "start from the same feeder and steps"))
    guess = np.ascontiguousarray(np.where(np.isnan(v), no_load, v))
    guess[0] = network.v_slack[:, None]
    return guess


def _upper_branch(network: UnbalancedNetwork, r: Reduction, v: ComplexArray) -> BoolArray:
    """(K,) whether no phase-to-neutral voltage is below half of the one without load."""
    no_load = network.v_no_load[r.kept]
    floor = 0.25 * np.abs(no_load[:, :3] - no_load[:, 3:] if network.w == 4 else no_load) ** 2
    good: BoolArray = np.empty(v.shape[2], dtype=np.bool_)
    _unbalanced.above(_wires(network), _real(v), floor, good)
    return good


def _checked(
    network: UnbalancedNetwork, p_kw: Array, q_kvar: Array, at: ArrayLike | None
) -> tuple[Array, Array, IntArray]:
    """Injections of the buses that have some, and their positions."""
    p, q = np.ascontiguousarray(p_kw, dtype=np.float64), np.ascontiguousarray(q_kvar, dtype=np.float64)
    where = np.arange(network.n) if at is None else np.asarray(at, dtype=np.int64)
    if p.ndim != 3 or p.shape != q.shape or p.shape[:2] != (len(where), 3):
        found, allowed = f"p_kw {p.shape}, q_kvar {q.shape}", f"({len(where)}, 3, K) both"
        raise InputError(Fault("injections", found, allowed, "one row per bus, one entry per phase a, b, c"))
    outside = [j for j in where if not 0 <= j < network.n]
    allowed = f"0 to {network.n - 1}"
    require([Fault("injections", f"position {j}", allowed, "use positions of the feeder") for j in outside])
    if len(np.unique(where)) < len(where):
        raise InputError(Fault("injections", "a position given twice", "each once", "sum the injections of a bus"))
    some = where > 0
    if at is None:
        some &= p.any(axis=(1, 2)) | q.any(axis=(1, 2))
    if not some.all():
        p, q, where = p[some], q[some], where[some]
    require(_faults(network, p, q, where))
    return p, q, where


def _faults(network: UnbalancedNetwork, p: Array, q: Array, where: IntArray) -> list[Fault]:
    found = []
    for row, f, k in np.argwhere(~(np.isfinite(p) & np.isfinite(q)))[:20]:
        value = f"{p[row, f, k]:g} kW, {q[row, f, k]:g} kvar on phase {PHASES[f]} at step {k}"
        found.append(Fault(network.bus_label(where[row]), value, "finite numbers", "correct the injections"))
    used = p.any(axis=2) | q.any(axis=2)
    for row, f in np.argwhere(used & ~network.wires[where, :3]):
        has = ", ".join(PHASES[c] for c in np.flatnonzero(network.wires[where[row], :3]))
        value = f"injection on phase {PHASES[f]}"
        found.append(Fault(network.bus_label(where[row]), value, f"phases {has}", "use a phase that the bus has"))
    return found
