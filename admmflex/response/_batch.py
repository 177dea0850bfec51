"""Predictor-corrector iterations for groups of L homes (numba); the Newton steps are those of ``_interior``."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.response._interior import (
    AFFINE,
    BOX,
    CENTRE,
    CHAIN,
    CROSS,
    D_MU,
    D_NU,
    FAST,
    GAP,
    INVERSE,
    LINK,
    LONGEST,
    MOVE,
    MU,
    NU,
    OBJECTIVE,
    PUSH,
    RESIDUAL,
    STEP,
    TARGET,
    TO_LOW,
    TO_UP,
    WORK,
    Z_LOW,
    Z_UP,
    Chains,
    X,
    assemble,
    backward,
    forward,
    invert,
)
from admmflex.response._lanes import L, larger, load, store

FEASIBLE = 1e-9  # kW, kWh: largest residual of balance and dynamics
CLOSE = 0.995  # share of the way to the boundary


class Batch(NamedTuple):
    """M groups of L homes with the same number C of storages.

    member: (M * L,) homes, the last one repeated. first: (M + 1,) rows of each group in ``box``. at: (M, K * (3 C + 4))
    row of each variable within its group, -1 where it cannot move; rows: (M, K + 1) first row of each step.
    terms: (M, L) number of barrier terms. box, step: as in ``_interior``, of all groups. end: (M, C * L).
    """

    member: IntArray
    first: IntArray
    at: IntArray
    rows: IntArray
    terms: Array
    box: Array
    step: Array
    end: Array


class Scratch(NamedTuple):
    """Memory of one group.

    tolerance: (L,) of the objective. constant: (L,) its part without variables [EUR]. reached: (L,) homes within it.
    """

    move: Array
    work: Array
    lane: Array
    block: Array
    tolerance: Array
    constant: Array
    reached: BoolArray


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def _predicted(first: int, last: int, box: Array, move: Array, lane: Array) -> None:
    """Longest relative way to a bound along the affine step, and the product of its primal and dual parts."""
    longest, cross = load(lane, LONGEST), load(lane, CROSS)
    for r in range(first, last):
        d = load(move, r * MOVE + AFFINE)
        low, up = d * load(move, r * MOVE + TO_LOW), d * load(move, r * MOVE + TO_UP)
        longest = larger(longest, larger(larger(0.0 - low, up), larger(1.0 + low, 1.0 - up)))
        cross -= d * (load(box, r * BOX + Z_LOW) * (1.0 + low) - load(box, r * BOX + Z_UP) * (1.0 - up))
    store(lane, LONGEST, longest)
    store(lane, CROSS, cross)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def _correct(first: int, last: int, box: Array, move: Array, lane: Array) -> None:
    """Add centring and the second order of the affine step to the right side."""
    centre = load(lane, TARGET)
    for r in range(first, last):
        d = load(move, r * MOVE + AFFINE)
        low, up = load(move, r * MOVE + TO_LOW), load(move, r * MOVE + TO_UP)
        to_low = low * (centre + d * load(box, r * BOX + Z_LOW) * (1.0 + d * low))
        to_up = up * (centre - d * load(box, r * BOX + Z_UP) * (1.0 - d * up))
        store(move, r * MOVE + PUSH, load(move, r * MOVE + PUSH) + to_low - to_up)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def _turn(first: int, last: int, box: Array, move: Array, lane: Array) -> None:
    """Steps of the barrier multipliers (into INVERSE and AFFINE); longest relative way to a bound."""
    centre, longest = load(lane, TARGET), load(lane, LONGEST)
    for r in range(first, last):
        d, affine = load(move, r * MOVE + PUSH), load(move, r * MOVE + AFFINE)
        low, up = load(move, r * MOVE + TO_LOW), load(move, r * MOVE + TO_UP)
        z_low, z_up = load(box, r * BOX + Z_LOW), load(box, r * BOX + Z_UP)
        d_low = low * (centre + z_low * (affine * (1.0 + affine * low) - d)) - z_low
        d_up = up * (centre - z_up * (affine * (1.0 - affine * up) - d)) - z_up
        inverse = 1.0 / (z_low * z_up + 1e-300)
        bound = larger(0.0 - d * low, d * up)
        longest = larger(longest, larger(bound, 0.0 - inverse * (d_low * z_up)))
        longest = larger(longest, 0.0 - inverse * (d_up * z_low))
        store(move, r * MOVE + INVERSE, d_low)
        store(move, r * MOVE + AFFINE, d_up)
    store(lane, LONGEST, longest)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def _advance(
    rows: int, steps: int, chains: Chains, box: Array, step: Array, move: Array, work: Array, lane: Array
) -> None:
    """Go the step length of each lane (in LONGEST)."""
    C = len(chains)
    length = load(lane, LONGEST)
    for r in range(rows):
        store(box, r * BOX + X, load(box, r * BOX + X) + length * load(move, r * MOVE + PUSH))
        store(box, r * BOX + Z_LOW, load(box, r * BOX + Z_LOW) + length * load(move, r * MOVE + INVERSE))
        store(box, r * BOX + Z_UP, load(box, r * BOX + Z_UP) + length * load(move, r * MOVE + AFFINE))
    for t in range(steps):
        s, k = t * (STEP + CHAIN * C), t * (WORK + LINK * C + C * C)
        store(step, s + NU, load(step, s + NU) + length * load(work, k + D_NU))
        for c in range(C):
            i, j = s + STEP + CHAIN * c + MU, k + WORK + LINK * c + D_MU
            store(step, i, load(step, i) + length * load(work, j))


@nb.njit(cache=True, error_model="numpy")
def _settled(scratch: Scratch) -> bool:
    """Mark the lanes whose gap is within the tolerance, relative to the objective; whether all are."""
    lane, reached = scratch.lane, scratch.reached
    done = True
    for n in range(L):
        gap = lane[CENTRE * L + n] + lane[GAP * L + n]
        least = scratch.tolerance[n] * max(1.0, abs(lane[OBJECTIVE * L + n]))
        reached[n] |= gap <= least and lane[RESIDUAL * L + n] <= FEASIBLE
        done &= reached[n]
    return done


@nb.njit(cache=True, error_model="numpy")
def _aim(terms: Array, scratch: Scratch) -> None:
    """Complementarity to aim at, from what the affine step alone would reach (Mehrotra's cube)."""
    lane = scratch.lane
    for n in range(L):
        length = min(1.0, 1.0 / lane[LONGEST * L + n])
        centre = lane[CENTRE * L + n]
        after = (1.0 - length) * centre + length * length * lane[CROSS * L + n]
        share = max(after, 0.0) / centre
        least = 0.1 * scratch.tolerance[n] * max(1.0, abs(lane[OBJECTIVE * L + n]))
        lane[TARGET * L + n] = max(share * share * share * centre, least) / terms[n]
        lane[LONGEST * L + n] = 0.0


@nb.njit(cache=True, error_model="numpy")
def iterate(chains: Chains, m: int, dt: Array, rho: float, batch: Batch, limit: int, scratch: Scratch) -> None:
    """Iterate group m until every lane is within its tolerance; lanes marked as reached stay where they are."""
    move, work, lane, block = scratch.move, scratch.work, scratch.lane, scratch.block
    K, C, at, rows, end = len(dt), len(chains), batch.at[m], batch.rows[m], batch.end[m]
    box = batch.box[batch.first[m] * BOX * L : batch.first[m + 1] * BOX * L]
    step = batch.step[m * K * (STEP + CHAIN * C) * L : (m + 1) * K * (STEP + CHAIN * C) * L]
    for iteration in range(limit + 1):
        lane[:] = 0.0
        lane[OBJECTIVE * L : (OBJECTIVE + 1) * L] = scratch.constant
        for t in range(K):
            assemble(t, t == K - 1, chains, at, dt[t], rho, end, box, move, step, work, lane, block)
            invert(t, chains, work, block)
            forward(t, chains, at, dt[t] * rho, move, step, work, block)
        if _settled(scratch) or iteration == limit:
            return
        for t in range(K - 1, -1, -1):
            backward(t, t == K - 1, chains, at, dt[t] * rho, AFFINE, move, step, work, block)
            _predicted(rows[t], rows[t + 1], box, move, lane)
        _aim(batch.terms[m], scratch)
        for t in range(K):
            _correct(rows[t], rows[t + 1], box, move, lane)
            forward(t, chains, at, dt[t] * rho, move, step, work, block)
        for t in range(K - 1, -1, -1):
            backward(t, t == K - 1, chains, at, dt[t] * rho, PUSH, move, step, work, block)
            _turn(rows[t], rows[t + 1], box, move, lane)
        for n in range(L):
            length = min(1.0, CLOSE / lane[LONGEST * L + n])
            lane[LONGEST * L + n] = 0.0 if scratch.reached[n] else length
        _advance(rows[K], K, chains, box, step, move, work, lane)
