"""Branch-flow model of a radial grid: linear in squared voltages, squared currents and branch powers, but for one cone.

A branch between parent i and child c is a ratio t (complex, towards the parent), a shunt, a series impedance z and
a second shunt. With V' = V_i / t, I_s the series current and S = V' conj(I_s), u = |V'|^2, l = |I_s|^2, v = |V|^2:

    v_c = u - 2 Re(conj(z) S) + |z|^2 l,    sent by i = S + conj(y_p) u,    received by c = S - z l - conj(y_c) v_c
    u l = |S|^2                (relaxed to u l >= |S|^2, a rotated second-order cone)

Angles do not occur; in a radial grid they follow from the rest. Every |c_f V_f + c_t V_t|^2 of a branch is linear in
(u, S, l) as well, so that current limits are linear rows, charging and taps included.

Source: Baran, Wu (1989); Farivar, Low (2013); Moureau et al., eq. (36)-(39), without shunts and ratios.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from grid.arrays import Array, ComplexArray, IntArray
from grid.errors import Fault, InputError, require
from grid.limits import Limits
from grid.network import S_BASE_KVA, Network

RECIPROCAL = 1e-9  # relative difference of |y_ft| and |y_tf| above which no impedance and ratio describe a branch


@dataclass(frozen=True, eq=False)
class Rows:
    """M functions ``matrix y + constant`` of the variables y (4 b,)."""

    matrix: sp.csr_array
    constant: Array

    def __call__(self, y: Array) -> Array:
        return np.asarray(self.matrix @ y + self.constant)


@dataclass(frozen=True, eq=False)
class BranchFlow:
    """Model of a radial grid with b = n - 1 buses below the slack; branch e leads to bus e + 1.

    The variables y (4 b,) are v, then P, Q, then l: squared voltages [pu], power sent into the series impedance
    [``base_kva``], squared series current [``base_kva``^2]. Parallel branches are one.

    Args:
        network: the grid.
        base_kva: unit of power; near the powers that flow, the numbers are near 1.
        parent: (b,) bus on the other side of each branch.
        ratio: (b,) t.
        z: (b,) series impedance [1 / base_kva].
        y_parent, y_child: (b,) shunts [base_kva].
    """

    network: Network
    base_kva: float
    parent: IntArray
    ratio: ComplexArray
    z: ComplexArray
    y_parent: ComplexArray
    y_child: ComplexArray

    @classmethod
    def of(cls, network: Network, base_kva: float = 100.0) -> BranchFlow:
        """Find ratio, impedance and shunts of every branch from its two-port admittances.

        y_pp = (y_s + y_p) / |t|^2,    y_pc = -y_s / conj(t),    y_cp = -y_s / t,    y_cc = y_s + y_c,    z = 1 / y_s

        leaves |t| free; it is chosen so that the shunts of a symmetric branch are equal. Any choice is exact.

        Raises:
            InputError: a meshed grid; branches with |y_pc| != |y_cp| (parallel transformers of different shift), all.
        """
        parent = network.parent
        if parent is None:
            remedy = "open switches until one path leads to each bus, or use the linearised limits"
            raise InputError(Fault(f"grid {network.name!r}", "is meshed", "a radial grid", remedy))
        y_pp, y_pc, y_cp, y_cc = _two_ports(network, parent)
        up = parent[1:]
        apart = np.abs(np.abs(y_pc) - np.abs(y_cp)) > RECIPROCAL * np.abs(y_pc)
        require([_one_way(network, int(bus), y_pc, y_cp) for bus in np.flatnonzero(apart) + 1])
        size = np.sqrt(np.abs(y_cc) / np.abs(y_pp))
        t = size * np.exp(-0.5j * np.angle(y_cp / y_pc))
        v = network.v_no_load
        t = np.where((v[up] / t * np.conj(v[1:])).real < 0, -t, t)
        y_s = -y_cp * t
        unit = S_BASE_KVA / base_kva
        shunts = (y_pp * size**2 - y_s) * unit, (y_cc - y_s) * unit
        return cls(network, base_kva, up, t, 1.0 / (y_s * unit), *shunts)

    @property
    def branches(self) -> int:
        """Number of branches b, parallel ones counted once."""
        return len(self.parent)

    def split(self, y: Array) -> tuple[Array, Array, Array, Array]:
        """v, P, Q, l (b,) of the variables."""
        v, p, q, current = np.split(y, 4)
        return v, p, q, current

    def at(self, v: ComplexArray) -> Array:
        """Variables y (4 b,) of complex bus voltages (n,) [pu]."""
        inner = v[self.parent] / self.ratio
        current = (inner - v[1:]) / self.z
        power = inner * np.conj(current)
        return np.concatenate([np.abs(v[1:]) ** 2, power.real, power.imag, np.abs(current) ** 2])

    @cached_property
    def inner(self) -> Rows:
        """u (b,): squared voltage behind the ratio."""
        one, none = np.ones(self.branches), np.zeros(self.branches)
        return self._rows(np.arange(self.branches), one, none + 0j, none, none)

    @cached_property
    def drop(self) -> Rows:
        """(b,), zero where the voltages agree with powers and currents."""
        one = np.ones(self.branches)
        return self._rows(np.arange(self.branches), -one, 2 * np.conj(self.z), -(np.abs(self.z) ** 2), one)

    @cached_property
    def bus_power(self) -> Rows:
        """(2 n,) injections that the variables stand for, p then q [base_kva], the slack included."""
        b, n = self.branches, self.network.n
        every, one, none = np.arange(b), np.ones(b), np.zeros(b)
        y_p, y_c, z = self.y_parent, self.y_child, self.z
        sent = (self._rows(every, y_p.real, one + 0j, none, none), self._rows(every, -y_p.imag, -1j * one, none, none))
        taken = (
            self._rows(every, none, -one + 0j, z.real, y_c.real),
            self._rows(every, none, 1j * one, z.imag, -y_c.imag),
        )
        to_parent = sp.csr_array((one, (self.parent, every)), shape=(n, b))
        to_child = sp.csr_array((one, (every + 1, every)), shape=(n, b))
        shunt = self.network.shunt_y * (S_BASE_KVA / self.base_kva)
        matrices, constants = [], []
        for s, r, own in zip(sent, taken, (shunt.real, -shunt.imag), strict=True):
            ground = sp.csr_array((own[1:], (every + 1, every)), shape=(n, 4 * b))
            matrices.append(to_parent @ s.matrix + to_child @ r.matrix + ground)
            constant = np.asarray(to_parent @ s.constant)
            constant[0] += own[0] * abs(self.network.v_slack) ** 2
            constants.append(constant)
        return Rows(sp.csr_array(sp.vstack(matrices)), np.concatenate(constants))

    @cached_property
    def losses(self) -> Rows:
        """(1,) active losses in branches and shunts [base_kva]."""
        power, n = self.bus_power, self.network.n
        total = sp.csr_array(power.matrix[:n].sum(axis=0).reshape(1, -1))
        return Rows(total, np.array([power.constant[:n].sum()]))

    def gap(self, y: Array) -> Array:
        """u l - P^2 - Q^2 (b,): zero where the relaxed cone is tight and the variables are a power flow."""
        _, p, q, current = self.split(y)
        return np.asarray(self.inner(y) * current - p**2 - q**2)

    def surplus_kw(self, y: Array) -> float:
        """Losses that no power flow has: sum of |r| (l - |S|^2 / u) [kW]."""
        return float(np.abs(self.z.real) @ (self.gap(y) / self.inner(y))) * self.base_kva

    def squared_loading(self, limits: Limits) -> tuple[IntArray, Rows]:
        """Ends monitored by their current (M,), and |loading|^2 of them; at most 1.

        c_f V_f + c_t V_t = alpha V' + beta I_s  has the square  |alpha|^2 u + |beta|^2 l + 2 Re(alpha conj(beta) S).
        """
        end = np.flatnonzero(~limits.as_power)
        edge, alpha, beta, _ = self._ends(limits, end)
        none = np.zeros(len(end))
        return end, self._rows(edge, np.abs(alpha) ** 2, 2 * alpha * np.conj(beta), np.abs(beta) ** 2, none)

    def power_loading(self, limits: Limits) -> tuple[IntArray, Rows, Rows]:
        """Ends monitored by their apparent power (M,), real and imaginary part of their loading; |loading| <= 1."""
        end = np.flatnonzero(limits.as_power)
        edge, alpha, beta, at_parent = self._ends(limits, end)
        t, z = self.ratio[edge], self.z[edge]
        # V_end = t V' or V' - z I_s, times conj(alpha V' + beta I_s)
        own = np.where(at_parent, t, 1.0)
        turned = np.where(at_parent, 0.0, -z * np.conj(alpha))
        on_l = np.where(at_parent, 0.0, -z * np.conj(beta))
        on_u, on_s, none = own * np.conj(alpha), own * np.conj(beta), np.zeros(len(end))
        real = self._rows(edge, on_u.real, on_s + np.conj(turned), on_l.real, none)
        imag = self._rows(edge, on_u.imag, -1j * on_s + np.conj(-1j * turned), on_l.imag, none)
        return end, real, imag

    def _ends(self, limits: Limits, end: IntArray) -> tuple[IntArray, ComplexArray, ComplexArray, Array]:
        """Branch, alpha, beta of monitored ends, and whether the end is at the parent."""
        f, to = limits.from_bus[end], limits.to_bus[end]
        down = f < to  # the parent stands before its children
        edge = np.maximum(f, to) - 1
        c_parent = np.where(down, limits.c_f[end], limits.c_t[end])
        c_child = np.where(down, limits.c_t[end], limits.c_f[end])
        alpha, beta = c_parent * self.ratio[edge] + c_child, -c_child * self.z[edge]
        return edge, alpha, beta, down == limits.at_from[end]

    def _rows(self, edge: IntArray, on_u: Array, on_s: NDArray[Any], on_l: Array, on_v: Array) -> Rows:
        """Functions on_u u + Re(on_s S) + on_l l + on_v v of the given branches."""
        b, m = self.branches, np.arange(len(edge))
        up, weight = self.parent[edge], on_u / np.abs(self.ratio[edge]) ** 2
        below = up > 0
        row = np.concatenate([m[below], m, m, m, m])
        column = np.concatenate([up[below] - 1, edge, b + edge, 2 * b + edge, 3 * b + edge])
        value = np.concatenate([weight[below], on_v, on_s.real, -on_s.imag, on_l])
        kept = value != 0
        matrix = sp.csr_array((value[kept], (row[kept], column[kept])), shape=(len(edge), 4 * b))
        return Rows(matrix, np.where(below, 0.0, weight * abs(self.network.v_slack) ** 2))


def _two_ports(network: Network, parent: IntArray) -> list[ComplexArray]:
    """y_pp, y_pc, y_cp, y_cc (b,) [pu] of what joins each bus but the slack to its parent."""
    f, t = network.from_bus, network.to_bus
    down = parent[t] == f
    child = np.where(down, t, f) - 1
    found = []
    for at_down, at_up in (("ff", "tt"), ("ft", "tf"), ("tf", "ft"), ("tt", "ff")):
        y = np.where(down, getattr(network, f"y_{at_down}"), getattr(network, f"y_{at_up}"))
        total = np.zeros(network.n - 1, dtype=np.complex128)
        np.add.at(total, child, y)
        found.append(total)
    return found


def _one_way(network: Network, bus: int, y_pc: ComplexArray, y_cp: ComplexArray) -> Fault:
    branch = int(np.flatnonzero(np.maximum(network.from_bus, network.to_bus) == bus)[0])
    found = f"transfer admittances of {abs(y_pc[bus - 1]):g} and {abs(y_cp[bus - 1]):g} pu"
    remedy = "give parallel transformers the same phase shift"
    return Fault(network.branch_label(branch), found, "equal magnitudes in both directions", remedy)
