"""Exact sensitivities of voltages, currents and the power at the slack to bus injections, at an AC solution.

Differential of conj(S_i) = conj(V_i) (Y V)_i, divided by conj(V_i), with the slack voltage fixed:

    (Y dV)_i + a_i conj(dV_i) = (dp_i - j dq_i) / conj(V_i),       a_i = (Y V)_i / conj(V_i)

is linear over the real numbers. The adjoint under <u, x> = Re(conj(u) x) has Y^H and the same a.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from numpy.typing import ArrayLike

from grid.arrays import Array, ComplexArray, IntArray
from grid.network import S_BASE_KVA, Network


@dataclass(frozen=True, eq=False)
class Linearisation:
    """Differential of the power flow at voltages v (n, K)."""

    network: Network
    v: ComplexArray

    @cached_property
    def _a(self) -> ComplexArray:
        return (self.network.admittance() @ self.v) / np.conj(self.v)

    def _factor(self, step: int) -> spla.SuperLU:
        y = sp.csc_matrix(self.network.admittance()[1:, 1:])
        a = sp.diags_array(self._a[1:, step])
        return spla.splu(sp.csc_matrix(sp.bmat([[y.real + a.real, -y.imag + a.imag], [y.imag + a.imag, y.real - a.real]])))

    def dv(self, dp_kw: Array, dq_kvar: Array) -> ComplexArray:
        """(n, K) voltage change [pu] for injection changes (n, K)."""
        r = ((dp_kw - 1j * dq_kvar) / S_BASE_KVA / np.conj(self.v))[1:]
        out = np.zeros(self.v.shape, dtype=np.complex128)
        n = self.network.n - 1
        for k in range(self.v.shape[1]):
            x = self._factor(k).solve(np.concatenate([r[:, k].real, r[:, k].imag]))
            out[1:, k] = x[:n] + 1j * x[n:]
        return out

    def gradients(
        self, step: ArrayLike, bus_a: ArrayLike, h_a: ArrayLike, bus_b: ArrayLike, h_b: ArrayLike
    ) -> tuple[Array, Array]:
        """Gradients (M, n) per kW and per kvar of M functionals Re(h_a dV[bus_a, step] + h_b dV[bus_b, step])."""
        step = np.asarray(step, dtype=np.int64)
        size, n = len(step), self.network.n
        g = np.zeros((size, n), dtype=np.complex128)
        np.add.at(g, (np.arange(size), np.asarray(bus_a)), np.conj(h_a))
        np.add.at(g, (np.arange(size), np.asarray(bus_b)), np.conj(h_b))
        lam = np.zeros((size, n), dtype=np.complex128)
        for k in np.unique(step):
            at = np.flatnonzero(step == k)
            right = g[at, 1:].T
            x = self._factor(int(k)).solve(np.concatenate([right.real, right.imag]), trans="T")
            lam[at, 1:] = (x[: n - 1] + 1j * x[n - 1 :]).T
        ratio = lam / self.v[:, step].T / S_BASE_KVA
        return ratio.real, -ratio.imag


def linearise(network: Network, v: ComplexArray) -> Linearisation:
    """Differential of the power flow at an AC solution v (n, K)."""
    return Linearisation(network, v)
