"""Parameters in as few numbers as matter: t = L theta + shift in [-1, 1]^p, and the set these lie in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from mpo.arrays import Array, BoolArray, IntArray
from mpo.linear import Polyhedron, irredundant

_MOST_ROWS = 4000


@dataclass(frozen=True)
class Reduced:
    """New parameters ``t = L theta + shift``; data S theta + s becomes (S spread) t + (s + S back).

    Args:
        L, shift: (p, k), (p,).
        spread, back: (k, p), (k,): one theta for each t, ``theta = spread t + back``, with the same data.
        A, b: rows of unit length, the parameter set ``A t <= b``.
        cost_only: leading parameters that stand in costs and nowhere else.
    """

    L: Array
    shift: Array
    spread: Array
    back: Array
    A: Array
    b: Array
    cost_only: int


def reduce(rhs: Array, cost: Array, A: Array, b: Array) -> Reduced:
    """Merge collinear parameters, leave out those without effect, centre and scale the rest.

    The columns of the data of one kind (cost only, both, right-hand side only) that depend on others are merged into
    them: phi_i = theta_i + sum_j a_ij theta_j. The set of phi follows by eliminating the theta_j from ``A theta <= b``.

    Args:
        rhs, cost: all rows of data that multiply the parameters, (., k).
        A, b: the parameter set.
    """
    in_rhs, in_cost = _used(rhs), _used(cost)
    data = np.vstack([rhs / max(1.0, np.abs(rhs).max(initial=0.0)), cost / max(1e-300, np.abs(cost).max(initial=0.0))])
    kept: list[int] = []
    merge = np.zeros((0, A.shape[1]))
    counts = []
    for kind in (in_cost & ~in_rhs, in_cost & in_rhs, in_rhs & ~in_cost):
        own, rows = _independent(data, np.flatnonzero(kind))
        kept += list(own)
        counts.append(len(own))
        merge = np.vstack([merge, rows])
    cost_only = counts[0]
    order = np.array(kept, np.int64)
    projected = project(A, b, order, merge)
    if projected is None:
        order, merge = np.arange(A.shape[1]), np.eye(A.shape[1])
        projected, cost_only = (A, b), 0
    return _scaled(order, merge, *projected, cost_only)


def _used(data: Array) -> BoolArray:
    used: BoolArray = np.abs(data).max(axis=0, initial=0.0) > 1e-13 * np.abs(data).max(initial=1e-300)
    return used


def _independent(data: Array, columns: IntArray) -> tuple[IntArray, Array]:
    """A basis of some columns, in their order, and the rows ``phi = rows theta`` that replace all of them."""
    rows = np.zeros((0, data.shape[1]))
    if not len(columns):
        return columns, rows
    block = data[:, columns] / np.abs(data[:, columns]).max(axis=0)
    _, R, pivots = sl.qr(block, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(R))
    rank = int((diagonal > 1e-10 * diagonal[0]).sum())
    chosen = np.sort(pivots[:rank])
    weights = np.linalg.lstsq(data[:, columns[chosen]], data[:, columns], rcond=None)[0]
    weights[np.abs(weights) < 1e-12] = 0.0
    weights = np.where(np.abs(weights - np.round(weights)) < 1e-12, np.round(weights), weights)
    weights[:, chosen] = np.eye(rank)
    rows = np.zeros((rank, data.shape[1]))
    rows[:, columns] = weights
    return columns[chosen], rows


def project(A: Array, b: Array, kept: IntArray, merge: Array) -> tuple[Array, Array] | None:
    """The set of ``phi = merge theta`` over ``A theta <= b``, where phi_i contains theta_kept[i] with weight 1.

    Fourier-Motzkin elimination, redundant rows removed after each step; None when the rows become too many.
    """
    others = np.setdiff1d(np.arange(A.shape[1]), kept)
    rows = np.hstack([A[:, kept], A[:, others] - A[:, kept] @ merge[:, others]])
    rows, b = _tidy(rows, b)
    for column in range(rows.shape[1] - 1, len(kept) - 1, -1):
        weight = rows[:, column]
        up, down, rest = np.flatnonzero(weight > 0), np.flatnonzero(weight < 0), np.flatnonzero(weight == 0)
        if len(up) * len(down) + len(rest) > _MOST_ROWS:
            return None
        i, j = np.repeat(up, len(down)), np.tile(down, len(up))
        wi, wj = 1.0 / weight[i], -1.0 / weight[j]
        mixed = rows[i] * wi[:, None] + rows[j] * wj[:, None]
        rows, b = np.vstack([rows[rest], mixed])[:, :column], np.concatenate([b[rest], b[i] * wi + b[j] * wj])
        rows, b = _tidy(rows, b)
    return rows, b


def _tidy(A: Array, b: Array) -> tuple[Array, Array]:
    """Rows of unit length, those that say nothing left out."""
    A = np.where(np.abs(A) < 1e-13 * np.abs(A).max(initial=1.0), 0.0, A)
    length = np.linalg.norm(A, axis=1)
    A, b = A[length > 0] / length[length > 0, None], b[length > 0] / length[length > 0]
    if not len(b):
        return A, b
    _, first = np.unique(np.round(np.column_stack([A, b]), 12), axis=0, return_index=True)
    A, b = A[np.sort(first)], b[np.sort(first)]
    needed = irredundant(A, b, len(b))
    return A[needed], b[needed]


def _scaled(kept: IntArray, merge: Array, A: Array, b: Array, cost_only: int) -> Reduced:
    """Centre and scale to [-1, 1]."""
    p, parameters = merge.shape
    polyhedron = Polyhedron(A, b) if p else None
    high = np.array([polyhedron.maximise(e).value for e in np.eye(p)]) if polyhedron else np.zeros(0)
    low = np.array([-polyhedron.maximise(-e).value for e in np.eye(p)]) if polyhedron else np.zeros(0)
    middle, half = 0.5 * (low + high), 0.5 * (high - low)
    spread, back = np.zeros((parameters, p)), np.zeros(parameters)
    spread[kept, np.arange(p)] = half
    back[kept] = middle
    b = b - A @ middle
    A = A * half
    length = np.linalg.norm(A, axis=1)
    return Reduced(merge / half[:, None], -middle / half, spread, back, A / length[:, None], b / length, cost_only)
