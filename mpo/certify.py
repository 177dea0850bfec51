"""Proof by samples: every parameter with a solution has a region, and what the region says is optimal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_matrix

from mpo import _locate
from mpo.arrays import Array
from mpo.cover import gaps
from mpo.linear import Polyhedron
from mpo.part import Part
from mpo.problem import Program
from mpo.sampling import draw
from mpo.solution import Evaluation, Multipliers, Solution

_BATCH = 20000
_TRIES = 50
_LOOKED_AT = 100
_DEEP = 1e-6


@dataclass(frozen=True)
class Certificate:
    """What was found at the sampled parameters that have a solution.

    Args:
        samples: how many had one; ``outside`` had none (each proven), ``holes`` had one but no region.
        overlaps: samples deep inside two or more regions of one part (both optimal there), of 100 in each 20 000.
        infeasibility: worst violated row, bound or equality, relative to 1 + its size.
        stationarity: worst entry of the gradient of the Lagrangian, relative to 1 + the largest cost.
        gap: worst duality gap, relative to 1 + |value|.
        direct: samples that were solved again by HiGHS or Clarabel; ``error`` is the worst relative
            difference of the values.
    """

    samples: int
    outside: int
    holes: int
    overlaps: int
    infeasibility: float
    stationarity: float
    gap: float
    direct: int
    error: float

    @property
    def proven(self) -> bool:
        """No hole, and optimality to 1e-8 at every sample."""
        return self.holes == 0 and max(self.infeasibility, self.stationarity, self.gap, self.error) <= 1e-8


def certify(solution: Solution, count: int, *, direct: int = 100, seed: int = 0) -> Certificate:
    """Check a solution at ``count`` parameters that have one, drawn by hit-and-run from the parameter set.

    Conditions of optimality are checked in the original program at every sample: they prove the value, whatever the
    search did. Where no region is found, a criss-cross from scratch decides whether there is a solution. ``direct``
    samples are solved again by HiGHS (LP) or Clarabel (QP).
    """
    worst, held = np.zeros(3), [np.zeros((0, solution.problem.parameters))]
    parts, found, outside, holes, overlaps = solution.parts, 0, 0, 0, 0
    for batch in range(1 + _TRIES * (1 + count // _BATCH)):
        if found + holes >= count or not len(solution):
            break
        theta = draw(solution.theta_A, solution.theta_b, min(_BATCH, 2 * count), seed + batch)
        answer = solution.evaluate(theta)
        parts, missed = _holes(parts, theta[~answer.inside])
        theta, answer = _first(theta, answer, count - found - holes)
        worst = np.maximum(worst, residuals(solution.problem, theta, answer))
        overlaps += _overlaps(parts, theta[:_LOOKED_AT])
        outside += int((~answer.inside).sum()) - missed
        found, holes = found + int(answer.inside.sum()), holes + missed
        held.append(theta[answer.inside])
    inside = np.vstack(held)
    chosen = inside[np.linspace(0, len(inside) - 1, min(direct, len(inside))).astype(np.int64)]
    error = max((_difference(solution, theta) for theta in chosen), default=0.0)
    broken, stationarity, gap = (float(value) for value in worst)
    return Certificate(found, outside, holes, overlaps, broken, stationarity, gap, len(chosen), error)


def _first(theta: Array, answer: Evaluation, count: int) -> tuple[Array, Evaluation]:
    """As many samples as contain ``count`` with a solution."""
    end, m = int(np.searchsorted(np.cumsum(answer.inside), count)) + 1, answer.multipliers
    multipliers = Multipliers(m.rows[:end], m.equalities[:end], m.lower[:end], m.upper[:end])
    a = answer
    return theta[:end], Evaluation(a.value[:end], a.x[:end], multipliers, a.region[:end], a.inside[:end])


def _holes(parts: tuple[Part, ...], theta: Array) -> tuple[tuple[Part, ...], int]:
    """How many of some parameters without a region have a solution; parts come back knowing more limits."""
    impossible, missing, wiser = np.zeros(len(theta), np.bool_), np.zeros(len(theta), np.bool_), []
    for part in parts:
        t = part.parameters(theta)
        without = np.flatnonzero(part.evaluate(t)[0] < 0)
        numbers, _, part = gaps(part, t[without])
        missing[without[numbers]] = True
        impossible[np.delete(without, numbers)] = True
        wiser.append(part)
    return tuple(wiser), int((missing & ~impossible).sum())


def _overlaps(parts: tuple[Part, ...], theta: Array) -> int:
    """How many parameters lie deep in several regions of a part."""
    many = np.zeros(len(theta), np.bool_)
    for part in parts:
        t = part.parameters(theta)
        many |= np.array([_locate.holding(part.map, one, _DEEP) > 1 for one in t], np.bool_)
    return int(many.sum())


def residuals(problem: Program, theta: Array, answer: Evaluation) -> Array:
    """Worst infeasibility, stationarity and duality gap of the answers inside, relative to the sizes of the terms."""
    keep = answer.inside
    if not keep.any():
        return np.zeros(3)
    theta, x, m = theta[keep], answer.x[keep], answer.multipliers
    rows, equal, lower, upper = m.rows[keep], m.equalities[keep], m.lower[keep], m.upper[keep]
    rhs, rhs_eq = problem.b + theta @ problem.F.T, problem.b_eq + theta @ problem.F_eq.T
    slack, low, high = rhs - x @ problem.A.T, x - problem.x_min, problem.x_max - x
    off = np.abs(x @ problem.A_eq.T - rhs_eq) / (1.0 + np.abs(rhs_eq))
    broken = [-slack / (1.0 + np.abs(rhs)), off, _finite(-low), _finite(-high)]
    cost = problem.c + theta @ problem.C.T
    gradient = x @ problem.hessian + cost + rows @ problem.A + equal @ problem.A_eq - lower + upper
    # what multipliers and slacks that are not both zero cost
    gap = (rows * np.abs(slack)).sum(axis=1) + (lower * _finite(low) + upper * _finite(high)).sum(axis=1)
    return np.array([
        max(float(part.max(initial=0.0)) for part in broken),
        float((np.abs(gradient) / (1.0 + np.abs(cost).max(axis=1, keepdims=True))).max(initial=0.0)),
        float((np.abs(gap) / (1.0 + np.abs(answer.value[keep]))).max(initial=0.0)),
    ])  # fmt: skip


def _finite(distance: Array) -> Array:
    """Distances to bounds; zero where there is none."""
    return np.where(np.isfinite(distance), distance, 0.0)


def _difference(solution: Solution, theta: Array) -> float:
    """Relative difference to a direct solve."""
    value = float(solution.evaluate(theta).value)
    return abs(value - direct_value(solution.problem, theta)) / (1.0 + abs(value))


def direct_value(problem: Program, theta: Array) -> float:
    """Optimal value at one parameter by HiGHS (LP) or Clarabel (QP); NaN when there is none."""
    cost, rhs, equal = problem.c + problem.C @ theta, problem.b + problem.F @ theta, problem.b_eq + problem.F_eq @ theta
    if problem.hessian.any():
        return _clarabel(problem, cost, rhs, equal)
    rows = np.vstack([problem.A, problem.A_eq])
    low = np.concatenate([np.full(len(rhs), -np.inf), equal])
    program = Polyhedron(rows, np.concatenate([rhs, equal]), low, problem.x_min, problem.x_max)
    return -program.maximise(-cost).value


def _clarabel(problem: Program, cost: Array, rhs: Array, equal: Array) -> float:
    import clarabel

    settings = clarabel.DefaultSettings()
    settings.verbose = False
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-12
    low, high, eye = np.isfinite(problem.x_min), np.isfinite(problem.x_max), np.eye(problem.variables)
    rhs = np.concatenate([rhs, -problem.x_min[low], problem.x_max[high]])
    rows = csc_matrix(np.vstack([problem.A_eq, problem.A, -eye[low], eye[high]]))
    cones = [clarabel.ZeroConeT(len(equal)), clarabel.NonnegativeConeT(len(rhs))]
    upper, rhs = csc_matrix(np.triu(problem.hessian)), np.concatenate([equal, rhs])
    answer = clarabel.DefaultSolver(upper, cost, rows, rhs, cones, settings).solve()
    return float(answer.obj_val) if str(answer.status) in ("Solved", "AlmostSolved") else np.nan
