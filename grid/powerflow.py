"""AC power flow of many steps at once: sweeps over a tree, a sparse solver for meshed grids."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla

from grid import _tree
from grid.arrays import Array, BoolArray, ComplexArray
from grid.errors import Fault, InputError
from grid.linear import newton_matrix
from grid.network import S_BASE_KVA, Network


@dataclass(frozen=True, eq=False)
class PowerFlow:
    """Voltages that carry given injections, K steps.

    Args:
        network: n buses, m branches.
        v: (n, K) complex voltages [pu]; NaN at steps that did not converge.
        converged: (K,).
        iterations: most iterations that any step took.
    """

    network: Network
    v: ComplexArray
    converged: BoolArray
    iterations: int

    @cached_property
    def i_from(self) -> ComplexArray:
        """(m, K) current into each branch at its from end [pu of that end]."""
        grid = self.network
        return grid.y_ff[:, None] * self.v[grid.from_bus] + grid.y_ft[:, None] * self.v[grid.to_bus]

    @cached_property
    def i_to(self) -> ComplexArray:
        """(m, K) current into each branch at its to end [pu of that end]."""
        grid = self.network
        return grid.y_tf[:, None] * self.v[grid.from_bus] + grid.y_tt[:, None] * self.v[grid.to_bus]

    @cached_property
    def s_bus(self) -> ComplexArray:
        """(n, K) injection p + jq that the voltages stand for, the slack included [kW, kvar]."""
        current: ComplexArray = np.asarray(self.network.y_bus @ self.v)
        return self.v * np.conj(current) * S_BASE_KVA

    @cached_property
    def pcc_kw(self) -> ComplexArray:
        """(K,) power p + jq given to the slack [kW, kvar]: positive = export, sum of injections minus losses."""
        export: ComplexArray = -self.s_bus[0]
        return export

    @cached_property
    def loss_kw(self) -> Array:
        """(K,) active losses in branches and shunts [kW]."""
        losses: Array = self.s_bus.real.sum(axis=0)
        return losses

    def loading(self) -> Array:
        """(m, K) larger of the two end currents over its rating, 0 where a branch has none."""
        grid = self.network
        return np.maximum(np.abs(self.i_from) / grid.i_max_from[:, None], np.abs(self.i_to) / grid.i_max_to[:, None])

    def mismatch_kva(self, p_kw: Array, q_kvar: Array) -> Array:
        """(K,) largest difference between given injections (n, K) and those that the voltages stand for [kVA]."""
        difference: Array = np.abs(self.s_bus - (p_kw + 1j * q_kvar))[1:].max(axis=0, initial=0.0)
        return difference

    def require(self) -> PowerFlow:
        """Itself when every step converged.

        Raises:
            InputError: naming the first step without a solution and how many there are.
        """
        lost = np.flatnonzero(~self.converged)
        if len(lost):
            found = f"no AC power flow solution at step {lost[0]} ({len(lost)} of {len(self.converged)} steps)"
            remedy = "check the injections: they exceed what the grid can carry"
            raise InputError(Fault(f"grid {self.network.name!r}", found, "a solution at every step", remedy))
        return self


def power_flow(
    network: Network,
    p_kw: Array,
    q_kvar: Array,
    *,
    v_start: ComplexArray | None = None,
    v_slack: ComplexArray | None = None,
    tol: float = 1e-10,
    max_iterations: int = 60,
) -> PowerFlow:
    """Solve V_i conj((Y V)_i) = p_i + j q_i at every bus but the slack, for K steps.

    Fixed point V = Y^-1 (conj(S / V) - y_0 V_0) on all steps at once; steps where it is slow or diverges go to Newton's
    method.

    Args:
        network: n buses.
        p_kw, q_kvar: (n, K) injections, positive into the grid; the row of the slack is ignored.
        v_start: (n, K) or (n, 1) first guess [pu]; the voltages without load by default.
        v_slack: (K,) voltages of the slack [pu], where they are not the network's own.
        tol: largest error of the voltages [pu], root of the sum of squares over buses, estimated from the last two
            moves.
        max_iterations: of the fixed point.

    Returns:
        Voltages and a status per step; never raises for lack of convergence. A solution with a voltage below half of
        the one without load counts as none: it is the lower branch of the nose curve.

    Raises:
        InputError: wrong shape, NaN or infinite injections.
    """
    p, q = _checked(network, p_kw, q_kvar)
    v = np.empty(p.shape, dtype=np.complex128)
    scale = np.ones(p.shape[1], dtype=np.complex128) if v_slack is None else v_slack / network.v_slack
    v[:] = network.v_no_load[:, None] * scale if v_start is None else v_start
    v[0] = network.v_slack * scale
    solve = _sweeps if network.is_tree else _fixed_point
    error, iterations = solve(network, p, q, v, tol, max_iterations)
    converged = (error <= tol) & _upper_branch(network, v)
    for k in np.flatnonzero(~converged):
        s = np.asarray((p[:, k] + 1j * q[:, k]) / S_BASE_KVA, dtype=np.complex128)
        v[:, k], converged[k] = _newton(network, s, tol, v[0, k])
    return PowerFlow(network, v, converged, iterations)


def _upper_branch(network: Network, v: ComplexArray) -> BoolArray:
    """(K,) whether no voltage is below half of the one without load."""
    floor = 0.25 * np.abs(network.v_no_load) ** 2
    return np.asarray((v.real**2 + v.imag**2 >= floor[:, None]).all(axis=0))


def _checked(network: Network, p_kw: Array, q_kvar: Array) -> tuple[Array, Array]:
    p, q = np.ascontiguousarray(p_kw, dtype=np.float64), np.ascontiguousarray(q_kvar, dtype=np.float64)
    if p.ndim != 2 or p.shape != q.shape or p.shape[0] != network.n:
        found, allowed = f"p_kw {p.shape}, q_kvar {q.shape}", f"({network.n}, K) both"
        raise InputError(Fault("injections", found, allowed, "give one row per bus, in the network's order"))
    if not np.isfinite(p[1:].sum() + q[1:].sum()):
        wrong = ~(np.isfinite(p) & np.isfinite(q))
        wrong[0] = False
        places = np.argwhere(wrong)
        if len(places):
            i, k = (int(x) for x in places[0])
            found = f"p = {p[i, k]} kW, q = {q[i, k]} kvar at step {k} ({len(places)} such values in all)"
            raise InputError(Fault(network.bus_label(i), found, "numbers", "correct the profile"))
    return p, q


def _sweeps(network: Network, p: Array, q: Array, v: ComplexArray, tol: float, most: int) -> tuple[Array, int]:
    """Fixed point on a tree: overwrites v, returns the estimated error per step and the number of iterations."""
    error = np.empty(p.shape[1])
    order, pairs = np.arange(network.n), v.view(np.float64).reshape(*v.shape, 2)
    used = _tree.sweep(order, network.parent, network.tree_factors, p, q, 1 / S_BASE_KVA, pairs, error, tol, most)
    return error, int(used)


def _fixed_point(network: Network, p: Array, q: Array, v: ComplexArray, tol: float, most: int) -> tuple[Array, int]:
    """The same on a meshed grid, with one sparse LU of Y."""
    lu = spla.splu(sp.csc_array(network.y_bus[1:, 1:]))
    s = (p[1:] - 1j * q[1:]) / S_BASE_KVA
    no_load = network.v_no_load[1:, None] * (v[0] / network.v_slack)
    error = np.full(p.shape[1], np.inf)
    last, before = np.full(p.shape[1], np.inf), np.zeros(p.shape[1])
    left, used = np.arange(p.shape[1]), 0
    while len(left) and used < most:
        new = no_load[:, left] + lu.solve(s[:, left] / np.conj(v[1:, left]))
        move = np.sqrt((np.abs(new - v[1:, left]) ** 2).sum(axis=0))
        v[1:, left] = new
        ratio = np.divide(move, last[left], out=np.zeros_like(move), where=last[left] > 0)
        theta = np.minimum(np.maximum(ratio, before[left]), 0.999)
        error[left] = np.where(used > 0, move * theta / (1 - theta), np.inf)
        last[left], before[left] = move, ratio
        used += 1
        left = left[(error[left] > tol) & (move < 1e3)]
    return error, used


def _newton(
    network: Network, s: ComplexArray, tol: float, v_slack: complex | None = None, most: int = 30
) -> tuple[ComplexArray, bool]:
    """Newton's method for one step from the voltages without load; s (n,) [pu]; NaN and False when it fails."""
    y = sp.csc_array(network.y_bus[1:, 1:])
    v = network.v_no_load * (1.0 if v_slack is None else v_slack / network.v_slack)
    floor = 0.5 * np.abs(v)
    for _ in range(most):
        current: ComplexArray = np.asarray(network.y_bus @ v)
        rest = np.conj(s[1:] / v[1:]) - current[1:]
        matrix = newton_matrix(y, np.conj(s[1:]) / np.conj(v[1:]) ** 2)
        step = spla.splu(matrix).solve(np.concatenate([rest.real, rest.imag]))
        dv = step[: network.n - 1] + 1j * step[network.n - 1 :]
        v[1:] += dv
        if not np.isfinite(dv).all():
            break
        if np.linalg.norm(dv) <= max(tol, 1e-12):
            return (v, True) if (np.abs(v) >= floor).all() else (np.full_like(v, np.nan), False)
    return np.full_like(v, np.nan), False
