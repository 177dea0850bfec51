"""First-order effect of phase injections on the voltages of a three-phase feeder, exact at an AC solution."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from grid import _unbalanced_linear
from grid.arrays import Array, ComplexArray, IntArray
from grid.errors import Fault, InputError
from grid.network import S_BASE_KVA
from grid.unbalanced import UnbalancedFlow


@dataclass(frozen=True, eq=False)
class UnbalancedLinearisation:
    """Differential of ``unbalanced_flow`` at its result; NaN at steps that did not converge.

    The rows of all injections are the L buses ``flow.reduction.at``: only they can change.
    """

    flow: UnbalancedFlow

    def dv(self, dp_kw: Array, dq_kvar: Array, positions: ArrayLike | None = None) -> ComplexArray:
        """(M, w, K) change of the voltages [pu] at some buses (all by default) for changes (L, 3, K) per step."""
        wanted = self.flow.p_kw.shape
        dp, dq = (np.asarray(x, dtype=np.float64) for x in (dp_kw, dq_kvar))
        if dp.shape != wanted or dq.shape != wanted:
            found = f"dp_kw {dp.shape}, dq_kvar {dq.shape}"
            raise InputError(Fault("changes", found, f"{wanted} both", "one row per bus with injections"))
        steps = np.arange(wanted[2])
        dv, db = self._solved(steps, dp.transpose(2, 0, 1)[..., None], dq.transpose(2, 0, 1)[..., None])
        return self._expanded(dv[..., 0].transpose(1, 2, 0), db[..., 0].transpose(1, 2, 0), positions)

    def dense(self, step: int, positions: ArrayLike | None = None) -> tuple[ComplexArray, ComplexArray]:
        """dV/dp and dV/dq (M, w, L, 3) of one step [pu per kW, pu per kvar] at some buses (all by default)."""
        rows = self.flow.p_kw.shape[0] * 3
        unit, none = np.eye(rows), np.zeros((rows, rows))
        dp, dq = (np.hstack(pair).reshape(1, -1, 3, 2 * rows) for pair in ((unit, none), (none, unit)))
        swept, drawn = self._solved(np.array([step]), dp, dq)
        dv = self._expanded(swept[0], drawn[0], positions)
        by_p, by_q = (part.reshape(*dv.shape[:2], -1, 3) for part in (dv[..., :rows], dv[..., rows:]))
        return by_p, by_q

    def _solved(self, steps: IntArray, dp: Array, dq: Array) -> tuple[ComplexArray, ComplexArray]:
        """Changes (steps, R, w, C) of voltages and drawn currents at the swept buses."""
        flow, r = self.flow, self.flow.reduction
        shape = (len(steps), len(r.kept), 2 * flow.network.w, dp.shape[3])
        dv, db = np.empty(shape), np.empty(shape)
        state = np.ascontiguousarray(flow.v_swept[:, :, steps].transpose(2, 0, 1))
        p, q = (np.ascontiguousarray(x[:, :, steps].transpose(2, 0, 1)) for x in (flow.p_kw, flow.q_kvar))
        _unbalanced_linear.solve(
            np.arange(len(r.kept)), r.parent, *self._real_forms, r.slot, p, q, 3.0 / S_BASE_KVA,
            state.view(np.float64).reshape(*state.shape, 2), np.ascontiguousarray(dp), np.ascontiguousarray(dq), dv, db,
        )  # fmt: skip
        half = flow.network.w
        lost = ~flow.converged[steps]
        dv[lost] = db[lost] = np.nan
        return dv[:, :, :half] + 1j * dv[:, :, half:], db[:, :, :half] + 1j * db[:, :, half:]

    def _expanded(self, dv: ComplexArray, db: ComplexArray, positions: ArrayLike | None) -> ComplexArray:
        every = np.arange(self.flow.network.n)
        return self.flow.expanded(dv, db, every if positions is None else positions)

    @cached_property
    def _real_forms(self) -> tuple[Array, Array, Array]:
        """E, F, H as real matrices (R, 2 w, 2 w) on real and imaginary parts."""
        r = self.flow.reduction
        e, f, h = (_real_form(x) for x in (r.e, r.f, r.h))
        return e, f, h


def _real_form(x: ComplexArray) -> Array:
    rows = [np.concatenate([x.real, -x.imag], axis=2), np.concatenate([x.imag, x.real], axis=2)]
    return np.ascontiguousarray(np.concatenate(rows, axis=1))


def linearise_unbalanced(flow: UnbalancedFlow) -> UnbalancedLinearisation:
    """Differential of the three-phase power flow at a result of ``unbalanced_flow``."""
    return UnbalancedLinearisation(flow)
