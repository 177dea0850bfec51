"""From a parametric program to independent blocks in standard form, and back.

Equalities are eliminated, bounds become rows, rows without variables become rows of the parameter set, directions
that matter to nothing are dropped; what then falls apart into groups of variables with rows of their own is solved
group by group. In each block variables, rows and cost are scaled, redundant rows dropped and parameters merged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.linalg as sl
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from mpo.arrays import Array, IntArray
from mpo.errors import Fault, InputError
from mpo.linear import Polyhedron, irredundant
from mpo.parameters import Reduced, reduce
from mpo.problem import Program

_ZERO = 1e-11
Verdict = Literal["", "infeasible", "unbounded"]


@dataclass(frozen=True)
class Rows:
    """Rows ``G x <= w + S theta``; ``origin`` numbers the rows of A, then all lower, then all upper bounds."""

    G: Array
    w: Array
    S: Array
    origin: IntArray


@dataclass(frozen=True)
class Block:
    """min 1/2 u'Hu + (c + C t)'u over G u <= w + S t, for t in the set of ``parameters``; x gains V u.

    A multiplier of row i of the block is ``weight[i]`` multipliers of row ``origin[i]`` of the program.
    """

    H: Array
    c: Array
    C: Array
    G: Array
    w: Array
    S: Array
    V: Array
    origin: IntArray
    weight: Array
    parameters: Reduced

    @property
    def separated(self) -> bool:
        """Costs and right-hand sides have parameters of their own, in sets of their own, and there is no Hessian."""
        first, A = self.parameters.cost_only, self.parameters.A
        mixed = (A[:, :first] != 0.0).any(axis=1) & (A[:, first:] != 0.0).any(axis=1)
        return not self.H.any() and not self.C[:, first:].any() and not self.S[:, :first].any() and not mixed.any()


@dataclass(frozen=True)
class Presolved:
    """x = x0 + X theta + sum over blocks of V u; theta_A theta <= theta_b holds the rows without variables, too."""

    x0: Array
    X: Array
    blocks: tuple[Block, ...]
    theta_A: Array
    theta_b: Array
    verdict: Verdict
    dropped_rows: int


def presolve(problem: Program, *, apart: bool = True) -> Presolved:
    """Blocks in standard form, a single one unless ``apart``; the verdict says when there is nothing to explore."""
    x0, X, Z = _equalities(problem)
    rows = _all_rows(problem)
    G = _clean(rows.G @ Z)
    rows = Rows(G, rows.w - rows.G @ x0, rows.S - rows.G @ X, rows.origin)
    rows, theta_A, theta_b, possible = _without_variables(problem, rows)
    H, c, C = (
        Z.T @ problem.hessian @ Z,
        Z.T @ (problem.c + problem.hessian @ x0),
        Z.T @ (problem.C + problem.hessian @ X),
    )
    flat = _lineality(H, rows.G)
    verdict: Verdict = "" if possible else "infeasible"
    if flat.shape[1]:
        cost = np.column_stack([c, C])
        if np.abs(flat.T @ cost).max(initial=0.0) > 1e-9 * np.abs(cost).max(initial=0.0):
            verdict = verdict or _verdict_of_flat(rows, theta_A, theta_b)
        rest = sl.null_space(flat.T)
        Z, H, c, C = Z @ rest, rest.T @ H @ rest, rest.T @ c, rest.T @ C
        rows = Rows(_clean(rows.G @ rest), rows.w, rows.S, rows.origin)
    blocks: list[Block] = []
    if not verdict:
        H = _clean(0.5 * (H + H.T))
        for own in _groups(H, rows.G) if apart else [np.arange(len(c))]:
            rows_here = (rows.G[:, own] != 0.0).any(axis=1)
            mine = Rows(rows.G[np.ix_(rows_here, own)], rows.w[rows_here], rows.S[rows_here], rows.origin[rows_here])
            blocks.append(_block(H[np.ix_(own, own)], c[own], C[own], mine, Z[:, own], theta_A, theta_b))
    kept = sum(len(block.w) for block in blocks)
    return Presolved(x0, X, tuple(blocks), theta_A, theta_b, verdict, len(rows.w) - kept)


def _clean(matrix: Array) -> Array:
    """Entries that are rounding errors set to zero."""
    return np.where(np.abs(matrix) < 1e-13 * np.abs(matrix).max(initial=1.0), 0.0, matrix)


def _equalities(problem: Program) -> tuple[Array, Array, Array]:
    """x = x0 + X theta + Z u solves the equalities for all u; variables are chosen by pivoting."""
    n, k = problem.variables, problem.parameters
    if not len(problem.b_eq):
        return np.zeros(n), np.zeros((n, k)), np.eye(n)
    data = np.column_stack([problem.b_eq, problem.F_eq])
    size = np.maximum(np.abs(problem.A_eq).max(axis=1), 1e-300)
    A, data = problem.A_eq / size[:, None], data / size[:, None]
    Q, R, pivots = sl.qr(A, pivoting=True)
    diagonal = np.abs(np.diag(R))
    rank = int((diagonal > _ZERO * max(diagonal[0], 1e-300)).sum()) if diagonal[0] > 0 else 0
    left = (Q.T @ data)[rank:]
    if np.abs(left).max(initial=0.0) > 1e-9 * max(1.0, np.abs(data).max()):
        value = f"{len(A) - rank} of {len(A)} depend on the others and disagree with them for some parameters"
        remedy = "remove them, or express the parameters they tie together by fewer"
        raise InputError([Fault("A_eq, b_eq, F_eq", value, "equalities that some x satisfies for every theta", remedy)])
    basic, free = np.sort(pivots[:rank]), np.sort(pivots[rank:])
    solved = np.linalg.lstsq(A[:, basic], np.column_stack([data, -A[:, free]]), rcond=None)[0]
    x0, X, Z = np.zeros(n), np.zeros((n, k)), np.zeros((n, len(free)))
    solved = _clean(solved)
    x0[basic], X[basic], Z[basic] = solved[:, 0], solved[:, 1 : k + 1], solved[:, k + 1 :]
    Z[free, np.arange(len(free))] = 1.0
    return x0, X, Z


def _all_rows(problem: Program) -> Rows:
    """Rows of A, then finite lower and upper bounds."""
    n, m, k = problem.variables, len(problem.b), problem.parameters
    low, high = np.flatnonzero(np.isfinite(problem.x_min)), np.flatnonzero(np.isfinite(problem.x_max))
    eye = np.eye(n)
    G = np.vstack([problem.A, -eye[low], eye[high]])
    w = np.concatenate([problem.b, -problem.x_min[low], problem.x_max[high]])
    S = np.vstack([problem.F, np.zeros((len(low) + len(high), k))])
    return Rows(G, w, S, np.concatenate([np.arange(m), m + low, m + n + high]))


def _without_variables(problem: Program, rows: Rows) -> tuple[Rows, Array, Array, bool]:
    """Move rows without variables to the parameter set, all of unit length; False when that is empty."""
    size = np.abs(rows.G).max(axis=1, initial=0.0)
    empty = size == 0.0
    A = np.vstack([problem.theta_A, -rows.S[empty]])
    b = np.concatenate([problem.theta_b, rows.w[empty]])
    length = np.linalg.norm(A, axis=1)
    idle = length <= _ZERO * max(1.0, np.abs(rows.S).max(initial=0.0))
    possible = not (b[idle] < -1e-9 * np.maximum(1.0, np.abs(b[idle]))).any()
    A, b = A[~idle] / length[~idle, None], b[~idle] / length[~idle]
    if empty.any() and Polyhedron(A, b).maximise(np.zeros(A.shape[1])).status == "infeasible":
        possible = False
    kept = ~empty
    return Rows(rows.G[kept], rows.w[kept], rows.S[kept], rows.origin[kept]), A, b, possible


def _lineality(H: Array, G: Array) -> Array:
    """Directions along which neither the rows nor the quadratic cost change."""
    both = np.vstack([H / max(np.abs(H).max(initial=0.0), 1e-300), G / np.abs(G).max(axis=1, initial=1e-300)[:, None]])
    return sl.null_space(both, rcond=1e-11) if both.shape[1] else np.zeros((0, 0))


def _verdict_of_flat(rows: Rows, theta_A: Array, theta_b: Array) -> Verdict:
    """Cost along a direction without limit: unbounded wherever feasible."""
    A = np.vstack([np.hstack([rows.G, -rows.S]), np.hstack([np.zeros((len(theta_b), rows.G.shape[1])), theta_A])])
    answer = Polyhedron(A, np.concatenate([rows.w, theta_b])).maximise(np.zeros(A.shape[1]))
    return "infeasible" if answer.status == "infeasible" else "unbounded"


def _groups(H: Array, G: Array) -> list[IntArray]:
    """Variables that share a row or a quadratic term, directly or through others."""
    links = csr_matrix((H != 0.0) | ((G != 0.0).T.astype(np.int64) @ (G != 0.0).astype(np.int64) > 0))
    count, label = connected_components(links, directed=False)
    return [np.flatnonzero(label == number) for number in range(count)]


def _block(H: Array, c: Array, C: Array, rows: Rows, V: Array, theta_A: Array, theta_b: Array) -> Block:
    """Scale one group: parameters to [-1, 1], variables to the range they can take, rows to length 1, cost to 1."""
    parameters = reduce(rows.S, C, theta_A, theta_b)
    c, C = c + C @ parameters.back, C @ parameters.spread
    w, S = rows.w + rows.S @ parameters.back, rows.S @ parameters.spread
    scale = _ranges(H, rows.G, w, S, parameters)
    G = rows.G * scale
    length = np.linalg.norm(G, axis=1)
    G, w, S = G / length[:, None], w / length, _clean(S / length[:, None])
    c, C, H = c * scale, _clean(C * scale[:, None]), H * scale[:, None] * scale
    unit = max(float((np.abs(c) + np.abs(C).sum(axis=1)).max(initial=0.0)), 1e-300)
    if not unit > 1e-200:
        unit = max(float(np.abs(H).max(initial=0.0)), 1.0)
    lifted = np.vstack([np.hstack([G, -S]), np.hstack([np.zeros((len(parameters.b), len(c))), parameters.A])])
    offset = np.concatenate([w, parameters.b])
    norm = np.linalg.norm(lifted, axis=1)
    needed = irredundant(lifted / norm[:, None], offset / norm, len(w))
    weight = unit / length[needed]
    return Block(
        H / unit,
        c / unit,
        C / unit,
        G[needed],
        w[needed],
        S[needed],
        V * scale,
        rows.origin[needed],
        weight,
        parameters,
    )


def _ranges(H: Array, G: Array, w: Array, S: Array, parameters: Reduced) -> Array:
    """Half the range of each variable over all parameters; where that is unbounded, its own curvature or row size."""
    n = G.shape[1]
    A = np.vstack([np.hstack([G, -S]), np.hstack([np.zeros((len(parameters.b), n)), parameters.A])])
    polyhedron = Polyhedron(A, np.concatenate([w, parameters.b]))
    scale = np.ones(n)
    for k, direction in enumerate(np.eye(n, A.shape[1])):
        high, low = polyhedron.maximise(direction), polyhedron.maximise(-direction)
        if high.status == "optimal" and low.status == "optimal" and high.value + low.value > 1e-9:
            scale[k] = 0.5 * (high.value + low.value)
        elif H[k, k] > 0.0:
            scale[k] = 1.0 / np.sqrt(H[k, k])
        elif G[:, k].any():
            scale[k] = 1.0 / np.abs(G[:, k]).max()
    return scale
