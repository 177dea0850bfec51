"""Standard form as a linear complementarity problem, and a first basis.

The conditions of optimality of ``min 1/2 u'Hu + (c + C t)'u, G u <= w + S t`` are those of a linear complementarity
problem with one pair (slack, multiplier) for each row and a matrix that is positive semidefinite up to the choice of
which of a pair is called basic: ``basic = q(t) + M nonbasic``. Its complementary bases are the candidates for critical
regions.

Source: S. Columbano, K. Fukuda, C. N. Jones, An output-sensitive algorithm for multi-parametric LCPs with sufficient
matrices, CRM Proceedings 48 (2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from mpo.arrays import Array, BoolArray
from mpo.errors import Fault, InputError
from mpo.presolve import Block


@dataclass(frozen=True)
class Tableau:
    """Rows ``[M | q]`` of the m basic variables, then of the n variables u; columns: m pairs, p parameters, constant.

    Pairs are scaled so that the entries of M are at most about 1; a multiplier of pair i in the tableau, basic or not,
    is one of the block when multiplied by ``scale[i]``.
    """

    rows: Array
    multiplier: BoolArray
    scale: Array


def tableau(block: Block, w: Array, c: Array) -> Tableau:
    """Tableau of the basis in which just enough slacks are zero for the variables to be determined by them.

    ``w`` and ``c`` replace those of the block (perturbed or not).
    """
    n, m, p = len(block.c), len(block.w), block.C.shape[1]
    zero = _determining(block)
    K = np.block([[block.H, block.G[zero].T], [block.G[zero], np.zeros((len(zero), len(zero)))]])
    rest = np.setdiff1d(np.arange(m), zero)
    rhs = np.zeros((n + len(zero), m + p + 1))
    rhs[:n, rest] = -block.G[rest].T
    rhs[n + np.arange(len(zero)), zero] = -1.0
    rhs[:n, m:-1], rhs[:n, -1] = -block.C, -c
    rhs[n:, m:-1], rhs[n:, -1] = block.S[zero], w[zero]
    solved = np.linalg.solve(K, rhs) if len(K) else rhs
    rows = np.zeros((m + n, m + p + 1))
    rows[zero], rows[m:] = solved[n:], solved[:n]
    rows[rest] = -block.G[rest] @ solved[:n]
    rows[rest, m:-1] += block.S[rest]
    rows[rest, -1] += w[rest]
    multiplier = np.zeros(m, np.bool_)
    multiplier[zero] = True
    scale = _balance(rows[:m, :m])
    rows[:m] *= scale[:, None]
    rows[:, :m] *= scale
    size = np.abs(rows[:, :m]).max(initial=0.0), np.abs(rows[:, m:]).max(initial=0.0)
    rows[np.abs(rows) < 1e-14 * np.repeat(np.maximum(1.0, size), (m, p + 1))] = 0.0
    return Tableau(rows, multiplier, np.where(multiplier, 1.0 / scale, scale))


def _balance(M: Array, rounds: int = 10) -> Array:
    """D such that the largest entry in each row and column of D M D is about 1 (D. Ruiz, 2001, for both at once)."""
    scale = np.ones(len(M))
    for _ in range(rounds):
        scaled = np.abs(M) * scale[:, None] * scale
        largest = np.maximum(scaled.max(axis=0, initial=0.0), scaled.max(axis=1, initial=0.0))
        scale /= np.sqrt(np.where(largest > 1e-12, largest, 1.0))
    return scale


def _determining(block: Block) -> Array:
    """As many independent rows as there are, so that the Hessian is inverted only where rows leave variables free."""
    _, R, pivots = sl.qr(block.G.T, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(R))
    return np.sort(pivots[: int((diagonal > 1e-10 * diagonal.max(initial=0.0)).sum())])


def perturbed(block: Block, size: float, preference: Array, seed: int = 0) -> tuple[Array, Array]:
    """Right-hand sides and costs moved by generic small numbers, so that no basis is degenerate.

    Rows are relaxed, by 0.5 to 1 times ``size``. Costs, unless the Hessian is definite, grow by the preference (a cost
    of each original variable; earlier ones are cheaper), ten times ``size`` times the least cost there is, so that no
    difference of costs that somebody meant is overruled.
    """
    generic = np.random.default_rng(seed)
    reach = np.abs(block.w) + np.abs(block.S).sum(axis=1)
    unit = float(np.median(reach[reach > 0])) if (reach > 0).any() else 1.0
    w = block.w + size * unit * generic.uniform(0.5, 1.0, len(block.w))
    if np.linalg.eigvalsh(block.H)[0] > 1e-11 * max(1e-300, np.abs(block.H).max()):
        return w, block.c
    worth = np.abs(block.c) + np.abs(block.C).sum(axis=1)
    least = max(float(worth[worth > 1e-9].min(initial=1.0)), 1e-6)
    toll = block.V.T @ preference
    toll = toll / max(np.abs(toll).max(initial=0.0), 1e-300) + generic.uniform(-0.05, 0.05, len(block.c))
    return w, block.c + 10.0 * size * least * toll


def tolls(variables: int, order: Sequence[int] | None) -> Array:
    """A cost for each variable: the earlier, the cheaper."""
    listed = list(order or ())
    wrong = [v for v in listed if not 0 <= v < variables or listed.count(v) > 1]
    if wrong:
        allowed = f"different numbers from 0 to {variables - 1}"
        raise InputError([Fault("tie_break", f"{wrong}", allowed, "list every variable at most once")])
    rank = [*listed, *(v for v in range(variables) if v not in set(listed))]
    toll = np.empty(variables)
    toll[rank] = np.linspace(0.5, 1.0, variables)
    return toll
