"""Linear buses of a radial three-phase feeder put away exactly, and brought back for reporting.

Between a bus and its parent everything passive is linear. Solved for what the sweeps need, a branch is

    V_i = E V_p - F b_i,    J_p = G V_p + H b_i,

b_i the current drawn at bus i and below it, less what the passive network below draws at voltage V_i. With no
admittance below, E = H = 1 and F = Z. A chain of such branches is one such branch, so buses without injections where
the feeder does not fork need not be swept.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from grid.arrays import Array, BoolArray, ComplexArray, IntArray, freeze


@dataclass(frozen=True, eq=False)
class SolvedForm:
    """E, F, G, H (n, w, w) of the branch above every bus (row 0 empty), and the passive admittance y (n, w, w)."""

    e: ComplexArray
    f: ComplexArray
    g: ComplexArray
    h: ComplexArray
    y: ComplexArray


def solved_form(
    parent: IntArray, k: Array, z: ComplexArray, y_from: ComplexArray, y_to: ComplexArray, shunt: ComplexArray
) -> SolvedForm:
    """Eliminate a feeder from its leaves.

    With Y = Y_to + y_i and M = (1 + Z Y)^-1:  E = M K,  F = M Z,  G = K^T Y E + Y_from,  H = K^T (1 - Y F),
    y_i = shunt_i + sum of G of the branches below. No branch admittance is formed, so short lines cost no digits.
    """
    n, w = len(parent), shunt.shape[-1]
    y = np.array(shunt)
    e, f, g, h = (np.zeros((n, w, w), dtype=np.complex128) for _ in range(4))
    one = np.eye(w)
    for i in range(n - 1, 0, -1):
        transfer, below = k[i - 1], y_to[i - 1] + y[i]
        m = np.linalg.inv(one + z[i - 1] @ below) if below.any() else one
        e[i], f[i] = m @ transfer, m @ z[i - 1]
        g[i] = transfer.T @ below @ e[i] + y_from[i - 1]
        h[i] = transfer.T @ (one - below @ f[i])
        y[parent[i]] += g[i]
    return SolvedForm(*(freeze(part) for part in (e, f, g, h, y)))


@dataclass(frozen=True, eq=False)
class Reduction:
    """The swept buses r = 0 ... R - 1 in preorder, and how all n buses follow from them.

    Args:
        at: (L,) positions of the buses with injections.
        kept: (R,) positions of the swept buses, the slack first.
        parent: (R,) swept bus above, -1 at the slack.
        e, f, h: (R, w, w) solved form of the merged branch above each swept bus.
        plain: (R,) E and H are the identity.
        slot: (L,) swept bus of each bus with injections.
        above, below: (n,) swept buses a, d in V_i = P_i V_a - Q_i b_d and b_i = D_i b_d.
        p, q, d: (n, w, w); D = 0 where no injection is below the bus.
    """

    at: IntArray
    kept: IntArray
    parent: IntArray
    e: ComplexArray
    f: ComplexArray
    h: ComplexArray
    plain: BoolArray
    slot: IntArray
    above: IntArray
    below: IntArray
    p: ComplexArray
    q: ComplexArray
    d: ComplexArray

    def __post_init__(self) -> None:
        for each in fields(self):
            object.__setattr__(self, each.name, freeze(getattr(self, each.name)))


def reduce(parent: IntArray, form: SolvedForm, at: IntArray) -> Reduction:
    """Merge chains of buses without injections, and put away what hangs there without injections."""
    n, w = len(parent), form.e.shape[-1]
    carries: BoolArray = np.zeros(n, dtype=np.bool_)  # injections at the bus or below
    carries[at] = True
    forks = np.zeros(n, dtype=np.int64)
    for i in range(n - 1, 0, -1):
        if carries[i]:
            carries[parent[i]] = True
            forks[parent[i]] += 1
    keep = forks >= 2
    keep[at] = keep[0] = True
    kept = np.flatnonzero(keep)
    number = np.cumsum(keep) - 1
    below, d = _downwards(parent, form, carries, keep, number)

    above = np.zeros(n, dtype=np.int64)
    p, q = (np.zeros((n, w, w), dtype=np.complex128) for _ in range(2))
    one = np.eye(w)
    e, f, h = (np.zeros((len(kept), w, w), dtype=np.complex128) for _ in range(3))
    up = np.full(len(kept), -1, dtype=np.int64)
    top = np.zeros((n, w, w), dtype=np.complex128)  # current at the swept bus above, per b of the one below
    p[0] = one
    for i in range(1, n):
        j = parent[i]
        p[i], q[i] = form.e[i] @ p[j], form.e[i] @ q[j]
        above[i] = above[j]
        if not carries[i]:
            below[i] = below[j]
            continue
        q[i] += form.f[i] @ d[i]
        top[i] = form.h[i] @ d[i] if keep[j] else top[j]
        if keep[i]:
            r = number[i]
            e[r], f[r], h[r], up[r] = p[i], q[i], top[i], above[i]
            above[i], p[i], q[i] = r, one, 0.0
    plain = (e == one).all(axis=(1, 2)) & (h == one).all(axis=(1, 2))
    return Reduction(np.array(at), kept, up, e, f, h, plain, number[at], above, below, p, q, d)


def _downwards(
    parent: IntArray, form: SolvedForm, carries: BoolArray, keep: BoolArray, number: IntArray
) -> tuple[IntArray, ComplexArray]:
    """The swept bus at the lower end of the chain that each bus is in, and D of b_i = D_i b of that bus."""
    n, w = len(parent), form.e.shape[-1]
    below = np.zeros(n, dtype=np.int64)
    d = np.zeros((n, w, w), dtype=np.complex128)
    below[keep], d[keep] = number[keep], np.eye(w)
    for i in range(n - 1, 0, -1):
        j = parent[i]
        if carries[i] and not keep[j]:
            below[j], d[j] = below[i], form.h[i] @ d[i]
    return below, d
