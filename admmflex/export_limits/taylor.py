"""The feeder as linear equations around power flows: sparse rows on limit, PV, binaries, voltages and currents."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy.sparse as sp

from admmflex.export_limits.powers import Day
from admmflex.horizon import Array, IntArray
from grid import UnbalancedFlow, UnbalancedLimits
from grid.arrays import ComplexArray
from grid.network import S_BASE_KVA
from grid.unbalanced_limits import VOLTAGE

_PER_UNIT = 3.0 / S_BASE_KVA


class _Entries:
    """Entries of a real matrix, collected; complex number j of a variable has the columns at[j], at[j] + 1."""

    def __init__(self) -> None:
        self._parts: list[tuple[IntArray, IntArray, Array]] = []

    def real(self, row: IntArray, column: IntArray, value: Array) -> None:
        """Real entries."""
        self._parts.append((row, column, value))

    def real_part(self, row: IntArray, at: IntArray, c: ComplexArray) -> None:
        """Rows of Re(c z)."""
        self._parts += [(row, at, c.real), (row, at + 1, -c.imag)]

    def product(self, row: IntArray, at: IntArray, c: ComplexArray) -> None:
        """Rows row, row + 1 of the parts of c z."""
        self.real_part(row, at, c)
        self.real_part(row + 1, at, -1j * c)

    def product_conj(self, row: IntArray, at: IntArray, c: ComplexArray) -> None:
        """Rows row, row + 1 of the parts of c conj(z)."""
        self._parts += [(row, at, c.real), (row, at + 1, c.imag), (row + 1, at, c.imag), (row + 1, at + 1, -c.real)]

    def matrix(self, rows: int, columns: int) -> sp.csr_array:
        """The sum of all entries."""
        r, c, v = (np.concatenate([part[i] for part in self._parts]) for i in range(3))
        return sp.csr_array((v, (r, c)), shape=(rows, columns))


class Feeder:
    """Equations of one feeder around C power flows.

    Args:
        day: customers, C steps.
        limits: of the feeder.
        point: power flows of the steps.
        pv: (n, C) power of PV in them [kW].
    """

    def __init__(self, day: Day, limits: UnbalancedLimits, point: UnbalancedFlow, pv: Array) -> None:
        self.day, self.point, self.pv = day, point, pv
        self.limited = limits.rows(point.reduction)
        self.network, self.reduction = point.network, point.reduction
        self.owners = np.flatnonzero(day.customers.rating_kw > 0.0)
        g, size = len(self.owners), len(self.reduction.kept) * self.network.w
        self.p_column, self.w_column = 1 + np.arange(g), 1 + g + np.arange(g)
        self._v = (1 + 2 * g + 2 * np.arange(size)).reshape(-1, self.network.w)
        self._b = self._v + 2 * size
        self.width = 1 + 2 * g + 4 * size

    @cached_property
    def _linear(self) -> sp.csr_array:
        """Parts of  b_r - sum H_c b_c  and  V_r - E V_up + F b_r  that are the same in all steps."""
        r, entries = self.reduction, _Entries()
        size, one = self._v.size, np.ones(self._v.size, dtype=np.complex128)
        current, voltage = (2 * np.arange(size).reshape(self._v.shape) + first for first in (0, 2 * size))
        entries.product(current.ravel(), self._b.ravel(), one)
        entries.product(voltage.ravel(), self._v.ravel(), one)
        for matrix, row, column, sign in (
            (r.h[1:], current[r.parent[1:]], self._b[1:], -1.0),
            (r.e[1:], voltage[1:], self._v[r.parent[1:]], -1.0),
            (r.f[1:], voltage[1:], self._b[1:], 1.0),
        ):
            at, i, j = np.nonzero(matrix)
            entries.product(row[at, i], column[at, j], sign * matrix[at, i, j])
        return entries.matrix(4 * size, self.width)

    @cached_property
    def _expansion(self) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        """U* (L, 3, C), a = 1 / conj(U*) and g = -conj(s*) a^2 of  I = a conj(s) + g conj(U - U*); 0 on no phase."""
        slot, who = self.reduction.slot, self.day.customers
        u = _to_neutral(self.point.v_swept[slot].transpose(1, 0, 2)).transpose(1, 0, 2)
        a = np.divide(1.0, np.conj(u), out=np.zeros_like(u), where=u != 0.0)
        s = who.by_bus(self.pv - self.day.load_p) - 1j * who.by_bus(self.day.load_q)
        return u, a, -np.conj(s) * _PER_UNIT * a**2

    def equations(self, k: int) -> tuple[sp.csr_array, Array]:
        """Rows  A x = right  of the network in step k."""
        u, a, g = (x[..., k] for x in self._expansion)
        who, slot, entries = self.day.customers, self.reduction.slot, _Entries()
        size = self._v.size
        row = 2 * np.arange(size).reshape(self._v.shape)[slot]
        constant = g * np.conj(u) - a * _PER_UNIT * self._loads(k)
        right = np.zeros(4 * size)
        right[2 * size : 2 * size + 2 * self.network.w] = self.network.v_slack.view(np.float64)
        share = np.where(who.share[self.owners] > 0.0, who.share[self.owners], 0.0)
        customer, phase = np.nonzero(share)
        at = who.row[self.owners][customer]
        by_p = a[at, phase] * share[customer, phase] * _PER_UNIT
        line, f = np.nonzero(g)
        # b_r = -I_r: what stands on the side of I gets a plus, and the neutral takes the opposite
        for wire, sign in ((None, 1.0), *((3, -1.0),) * (self.network.w == 4)):
            own = row[:, :3] if wire is None else np.repeat(row[:, 3:], 3, axis=1)
            np.add.at(right, own, sign * constant.real)
            np.add.at(right, own + 1, sign * constant.imag)
            column = self.p_column[customer]
            entries.real(own[at, phase], column, sign * by_p.real)
            entries.real(own[at, phase] + 1, column, sign * by_p.imag)
            entries.product_conj(own[line, f], self._v[slot[line], f], sign * g[line, f])
            if self.network.w == 4:
                entries.product_conj(own[line, f], self._v[slot[line], 3], -sign * g[line, f])
        return sp.csr_array(self._linear + entries.matrix(4 * size, self.width)), right

    def _loads(self, k: int) -> ComplexArray:
        """(L, 3) conj of the loads [kW, kvar]."""
        who, some = self.day.customers, slice(k, k + 1)
        p, q = who.by_bus(self.day.load_p[:, some]), who.by_bus(self.day.load_q[:, some])
        loads: ComplexArray = p[..., 0] - 1j * q[..., 0]
        return -loads

    def limit_rows(self, c: ComplexArray) -> sp.csr_array:
        """Rows Re(c z) of the limited quantities z = of_v V + of_b b (see ``UnbalancedLimits.rows``), c (M,)."""
        rows, entries = self.limited, _Entries()
        for matrix, at in ((rows.of_v, self._v[rows.above]), (rows.of_b, self._b[rows.below])):
            m, j = np.nonzero(matrix)
            entries.real_part(m, at[m, j], c[m] * matrix[m, j])
        return entries.matrix(len(rows.high), self.width)

    def limited_at(self, flow: UnbalancedFlow) -> ComplexArray:
        """(M, C) limited quantities z of power flows [pu]: voltages to neutral, currents over their rating."""
        rows = self.limited
        v, b = flow.v_swept[rows.above], flow.b_swept[rows.below]
        z: ComplexArray = np.einsum("mj,mjk->mk", rows.of_v, v) + np.einsum("mj,mjk->mk", rows.of_b, b)
        return z

    @cached_property
    def back(self) -> ComplexArray:
        """(M,) conjugate directions of the voltages without load; 1 for currents."""
        rows = self.limited
        u = np.einsum("mj,mj->m", rows.of_v, self.network.v_no_load[self.reduction.kept][rows.above])
        one = np.ones(len(u), dtype=np.complex128)
        return np.where(rows.kind == VOLTAGE, np.conj(u) / np.maximum(np.abs(u), 1e-12), one)

    def deviation_deg(self, flow: UnbalancedFlow) -> float:
        """Largest angle between the limited voltages of power flows and those without load [deg]."""
        turned = (self.limited_at(flow) * self.back[:, None])[self.limited.kind == VOLTAGE]
        return float(np.nanmax(np.abs(np.angle(turned, deg=True))))

    def voltages(self, x: Array) -> ComplexArray:
        """(R, w, C) voltages of solutions x (C, width)."""
        v: ComplexArray = (x[:, self._v] + 1j * x[:, self._v + 1]).transpose(1, 2, 0)
        return v


def _to_neutral(v: ComplexArray) -> ComplexArray:
    """Phase-to-neutral voltages (3, ...) from those to earth (w, ...)."""
    return v[:3] - v[3:] if len(v) == 4 else v
