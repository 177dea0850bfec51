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
        return self.v * np.conj(self.network.admittance() @ self.v) * S_BASE_KVA

    @cached_property
    def pcc_kw(self) -> ComplexArray:
        """(K,) power p + jq that the grid gives to its slack [kW, kvar]: positive when it exports, sum of injections - losses."""
        grid = self.network
        row = grid.admittance()[[0], :]
        return -(self.v[0] * np.conj((row @ self.v)[0])) * S_BASE_KVA

    @cached_property
    def loss_kw(self) -> Array:
        """(K,) active losses in branches and shunts [kW]."""
        return self.s_bus.real.sum(axis=0)

    def loading(self) -> Array:
        """(m, K) larger of the two end currents over its rating, 0 where a branch has none."""
        grid = self.network
        return np.maximum(np.abs(self.i_from) / grid.i_max_from[:, None], np.abs(self.i_to) / grid.i_max_to[:, None])

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
    tol: float = 1e-10,
    max_iterations: int = 100,
) -> PowerFlow:
    """Solve V_i conj((Y V)_i) = p_i + j q_i at every bus but the slack, for K steps.

    Args:
        network: n buses.
        p_kw, q_kvar: (n, K) injections, positive into the grid; the row of the slack is ignored.
        v_start: (n, K) first guess [pu], the slack voltage everywhere by default.
        tol: largest move of the voltages in the last iteration [pu], root of the sum of squares over buses.
        max_iterations: of the fixed point; steps that need more go to Newton's method.

    Returns:
        Voltages and a status per step; never raises for lack of convergence.

    Raises:
        InputError: wrong shape, NaN or infinite injections.
    """
    p, q = _checked(network, p_kw, q_kvar)
    steps = p.shape[1]
    v = np.empty((network.n, steps), dtype=np.complex128)
    v[:] = network.v_slack if v_start is None else v_start
    v[0] = network.v_slack
    if network.is_tree:
        converged, iterations = _tree_sweeps(network, p, q, v, tol, max_iterations)
    else:
        converged, iterations = _fixed_point(network, p, q, v, tol, max_iterations)
    v[:, ~converged] = np.nan
    return PowerFlow(network, v, converged, iterations)


def _checked(network: Network, p_kw: Array, q_kvar: Array) -> tuple[Array, Array]:
    p = np.asarray(p_kw, dtype=np.float64)
    q = np.asarray(q_kvar, dtype=np.float64)
    if p.ndim != 2 or p.shape != q.shape or p.shape[0] != network.n:
        found = f"p_kw {p.shape}, q_kvar {q.shape}"
        raise InputError(Fault("injections", found, f"({network.n}, K) both", "give one row per bus, in the network's order"))
    wrong = ~(np.isfinite(p) & np.isfinite(q))
    wrong[0] = False
    if wrong.any():
        i, k = (int(at[0]) for at in np.nonzero(wrong))
        found = f"p = {p[i, k]} kW, q = {q[i, k]} kvar at step {k}"
        raise InputError(Fault(network.bus_label(i), found, "numbers", "correct the profile"))
    return p / S_BASE_KVA, q / S_BASE_KVA


def tree_factors(network: Network) -> Array:
    """LDU factors of the admittance matrix of a tree, (n, 6): L = y_pi / D, U = y_ip / D and 1 / D, real and imaginary."""
    parent = network.parent
    assert parent is not None
    y = network.admittance()
    diagonal = y.diagonal()
    down = np.asarray(y[parent[1:], np.arange(1, network.n)]).ravel()
    up = np.asarray(y[np.arange(1, network.n), parent[1:]]).ravel()
    factors = np.zeros((network.n, 3), dtype=np.complex128)
    for i in range(network.n - 1, 0, -1):
        factors[i] = down[i - 1] / diagonal[i], up[i - 1] / diagonal[i], 1 / diagonal[i]
        diagonal[parent[i]] -= factors[i, 0] * up[i - 1]
    return factors.view(np.float64)


def _tree_sweeps(network: Network, p: Array, q: Array, v: ComplexArray, tol: float, most: int) -> tuple[BoolArray, int]:
    ok = np.zeros(p.shape[1], dtype=np.bool_)
    slack = network.v_slack
    used = _tree.sweep(network.parent, tree_factors(network), slack.real, slack.imag, p, q, v.view(np.float64).reshape(*v.shape, 2), ok, tol, most)
    return ok, int(used)


def _fixed_point(network: Network, p: Array, q: Array, v: ComplexArray, tol: float, most: int) -> tuple[BoolArray, int]:
    y = network.admittance()
    solve = spla.splu(sp.csc_matrix(y[1:, 1:]))
    slack = (y[1:, [0]] @ np.array([[network.v_slack]]))
    s = p[1:] + 1j * q[1:]
    converged = np.zeros(p.shape[1], dtype=np.bool_)
    at = np.arange(p.shape[1])
    for used in range(1, most + 1):
        new = solve.solve(np.conj(s[:, at] / v[1:, at]) - slack)
        move = np.sqrt((np.abs(new - v[1:, at]) ** 2).sum(axis=0))
        v[1:, at] = new
        converged[at[move < tol]] = True
        at = at[~(move < tol)]
        if not len(at):
            break
    return converged, used
