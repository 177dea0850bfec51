"""Exact sensitivities of voltages, currents and the power at the slack to bus injections, at an AC solution.

Differential of conj(S_i) = conj(V_i) (Y V)_i, divided by conj(V_i), with the slack voltage fixed:

    (Y dV)_i + a_i conj(dV_i) = (dp_i - j dq_i) / conj(V_i),       a_i = conj(S_i) / conj(V_i)^2

is linear over the real numbers. Its adjoint under <u, x> = Re(conj(u) x) is (Y^H u)_i + a_i conj(u_i) = g_i; then a
functional Re(conj(g) dV) has dF/dp_i - j dF/dq_i = u_i / V_i.

A tree is eliminated once per operating point for all steps, without fill-in; a meshed grid has one sparse LU per step.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from numpy.typing import ArrayLike, NDArray

from grid import _tree_gradients, _tree_linear
from grid._tree import LANES
from grid.arrays import Array, BoolArray, ComplexArray, IntArray
from grid.network import S_BASE_KVA, Network

_NAN_STAYS = np.errstate(divide="ignore", invalid="ignore")  # steps without a power flow solution


def newton_matrix(y: sp.csc_array, a: ComplexArray) -> sp.csc_array:
    """The map x -> Y x + a conj(x) on (Re x, Im x), real (2n, 2n)."""
    own = sp.diags_array(a)
    blocks = [[y.real + own.real, own.imag - y.imag], [y.imag + own.imag, y.real - own.real]]
    return sp.csc_array(sp.block_array(blocks))


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Differential of the power flow of n buses at voltages v (n, K) that carry p + jq; the slack is position 0.

    Functionals are given as in ``grid.limits.Functional``. Column 0 of every gradient is zero: injections at the slack
    do not change the voltages.
    """

    network: Network
    v: ComplexArray
    a: ComplexArray
    _lu: dict[int, spla.SuperLU] = field(default_factory=dict, repr=False)

    @property
    def steps(self) -> int:
        """Number of steps K."""
        return int(self.v.shape[1])

    @_NAN_STAYS
    def dv(self, dp_kw: Array, dq_kvar: Array) -> ComplexArray:
        """(n, K) change of the voltages [pu] for changes of the injections (n, K)."""
        right = np.array([dp_kw, dq_kvar], dtype=np.float64) / S_BASE_KVA
        out = np.zeros(self.v.shape, dtype=np.complex128)
        parent = self.network.parent
        if parent is not None:
            order = np.arange(self.network.n)
            _tree_linear.solve(
                order,
                parent,
                self.network.tree_admittance,
                self._blocks,
                right,
                self.steps,
                out.view(np.float64).reshape(*out.shape, 2),
            )
            return out
        r = (right[0] - 1j * right[1])[1:] / np.conj(self.v[1:])
        for k in range(self.steps):
            out[1:, k] = _complex(self._solved(k, _real(r[:, k])))
        return out

    def gradients(
        self,
        step: ArrayLike,
        bus_a: ArrayLike,
        h_a: ArrayLike,
        bus_b: ArrayLike,
        h_b: ArrayLike,
        out: tuple[Array, Array] | None = None,
        root: ComplexArray | None = None,
    ) -> tuple[Array, Array]:
        """Gradients (M, n) per kW and per kvar of M functionals Re(h_a dV[bus_a, step] + h_b dV[bus_b, step]).

        ``out`` reuses the two arrays of an earlier call with as many rows. ``root (M,)`` adds a multiple of the power
        that leaves at the slack, dF/dp_0 - j dF/dq_0: 1 for active, -j for reactive power; what is injected at the
        slack leaves there as a whole.
        """
        step, bus_a, bus_b = (np.ascontiguousarray(x, dtype=np.int64) for x in (step, bus_a, bus_b))
        h_a, h_b = (np.ascontiguousarray(h, dtype=np.complex128) / S_BASE_KVA for h in (h_a, h_b))
        p, q = (np.empty((len(step), self.network.n)) for _ in range(2)) if out is None else out
        at_root = np.zeros(len(step), dtype=np.complex128) if root is None else root
        if self.network.is_tree:
            self._tree_gradients(step, at_root, bus_a, h_a, bus_b, h_b, p, q)
            p[:, 0], q[:, 0] = at_root.real, -at_root.imag
            return p, q
        g = np.zeros((len(step), self.network.n), dtype=np.complex128)
        np.add.at(g, (np.arange(len(step)), bus_a), np.conj(h_a))
        np.add.at(g, (np.arange(len(step)), bus_b), np.conj(h_b))
        if at_root.any():
            g -= np.conj(self.network.y_bus[[0], :].toarray()) * (at_root * self.v[0, step])[:, None]
        self._adjoint(step, g, p, q)
        p[:, 0], q[:, 0] = at_root.real, -at_root.imag
        return p, q

    def pcc_gradients(self, steps: ArrayLike) -> tuple[Array, Array, Array, Array]:
        """Gradients (M, n) of the power that the grid gives to the slack: dP/dp, dP/dq, dQ/dp, dQ/dq [kW/kW, ...].

        1 - dP/dp is the marginal loss. The row of the slack drops out: u_0 = V_0 for P, -j V_0 for Q.
        """
        step = np.ascontiguousarray(steps, dtype=np.int64)
        none, zero = np.zeros(len(step), dtype=np.int64), np.zeros(len(step), dtype=np.complex128)
        found = []
        for w_0 in (1.0 + 0j, -1j):
            p, q = self.gradients(step, none, zero, none, zero, root=np.full(len(step), w_0))
            p[:, 0] = q[:, 0] = 0.0
            found += [p, q]
        return found[0], found[1], found[2], found[3]

    def dense(self, step: int) -> tuple[ComplexArray, ComplexArray]:
        """dV/dp and dV/dq (n, n) of one step [pu per kW, pu per kvar]: row = voltage, column = injection."""
        n = self.network.n
        bus, at = np.arange(n), np.full(n, step)
        real = self.gradients(at, bus, np.ones(n), bus, np.zeros(n))
        imag = self.gradients(at, bus, np.full(n, -1j), bus, np.zeros(n))
        return real[0] + 1j * imag[0], real[1] + 1j * imag[1]

    @cached_property
    @_NAN_STAYS
    def _blocks(self) -> Array:
        """(C, n, 6 LANES) eliminated system by blocks of steps, and 1 / conj(V)."""
        n, count = self.network.n, -(-self.steps // LANES)
        blocks = np.zeros((count, n, 6, LANES))
        spare = count * LANES - self.steps
        a = np.pad(self.a, ((0, 0), (0, spare)))
        g = np.pad(1 / np.conj(self.v), ((0, 0), (0, spare)))
        blocks[:, :, 0] = self.network.tree_admittance[None, :, 0, None]
        blocks[:, :, 1] = self.network.tree_admittance[None, :, 1, None]
        for part, x in ((2, a), (4, g)):
            by_block = x.reshape(n, count, LANES).transpose(1, 0, 2)
            blocks[:, :, part], blocks[:, :, part + 1] = by_block.real, by_block.imag
        flat = blocks.reshape(count, n, 6 * LANES)
        order = np.arange(n)
        for block in flat:
            _tree_linear.factor(order, self.network.parent, self.network.tree_admittance, block)
        return flat

    @cached_property
    @_NAN_STAYS
    def _inverse_v(self) -> ComplexArray:
        """(K, n)."""
        return np.ascontiguousarray(1.0 / self.v.T)

    @cached_property
    def _table(self) -> tuple[Array, BoolArray]:
        """(K, n, 8) what gradients need, contiguous per step, and (K,) which steps are there."""
        return np.empty((self.steps, self.network.n, 8)), np.zeros(self.steps, dtype=np.bool_)

    def _tree_gradients(self, step: IntArray, root: ComplexArray, *functionals_and_out: NDArray[Any]) -> None:
        rows = np.argsort(step, kind="stable")
        parent, y = self.network.parent, self.network.tree_admittance
        table, there = self._table
        _tree_gradients.transfers(parent, y, self._blocks, self.v, step, there, table)
        _tree_gradients.gradients(
            self.network.depth_order,
            parent,
            y,
            table,
            self._inverse_v,
            step,
            rows,
            root,
            *functionals_and_out,
        )

    def _solved(self, step: int, right: Array, trans: str = "N") -> Array:
        """Solve with the real Newton matrix of a step without the slack, or its transpose; its LU is kept."""
        if np.isnan(self.a[:, step]).any():
            return np.full_like(right, np.nan)
        if step not in self._lu:
            y = sp.csc_array(self.network.y_bus[1:, 1:])
            self._lu[step] = spla.splu(newton_matrix(y, self.a[1:, step]))
        lu: Any = self._lu[step]
        return np.asarray(lu.solve(right, trans))

    @_NAN_STAYS
    def _adjoint(self, step: IntArray, g: ComplexArray, p: Array, q: Array) -> None:
        """u / V of right-hand sides g (M, n) by sparse LU, written to p and q (M, n)."""
        for k in np.unique(step):
            rows = np.flatnonzero(step == k)
            u = _complex(self._solved(int(k), _real(g[rows, 1:].T), "T"))
            w = u.T / self.v[1:, k]
            p[rows, 1:], q[rows, 1:] = w.real, -w.imag
        p[:, 0] = q[:, 0] = 0.0


def _real(x: ComplexArray) -> Array:
    return np.concatenate([x.real, x.imag])


def _complex(x: Array) -> ComplexArray:
    half = len(x) // 2
    return x[:half] + 1j * x[half:]


@_NAN_STAYS
def linearise(network: Network, v: ComplexArray, p_kw: Array, q_kvar: Array) -> Linearisation:
    """Differential of the power flow at an AC solution.

    Args:
        network: n buses.
        v: (n, K) voltages [pu] of ``grid.power_flow``; where they are NaN, so are the sensitivities of the step.
        p_kw, q_kvar: (n, K) the injections they carry; the row of the slack is ignored.
    """
    v = np.ascontiguousarray(v, dtype=np.complex128)
    a = (np.asarray(p_kw) - 1j * np.asarray(q_kvar)) / S_BASE_KVA / np.conj(v) ** 2
    a[0] = 0.0
    return Linearisation(network, v, a)
