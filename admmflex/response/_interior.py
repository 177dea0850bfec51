"""Newton steps of an interior point method for L homes with several storages at once (numba).

    min  sum_t [ F_t(p) + cost' u ] - end_value' e[K]      F_t(p) = dt (imp [-p]+ - exp [p]+ - lean p + rho/2 p^2)
    s.t. p = fixed + gen + shed + sum_c (give_c - take_c)                                    multiplier nu[t]
         e_c[t] = keep e_c[t-1] + A take_c - B give_c + right                                multiplier mu_c[t]

Every variable lies in a box [0, width] and has two barrier multipliers; p = exported - imported. A Newton step
eliminates variables and balance in closed form; a system remains that is block tridiagonal in time, one C x C block per
step, with diagonal coupling because each storage only sees its own past.

Variables of a step, in this order: take 0..C-1, give 0..C-1, gen, shed, imported, exported, energy 0..C-1. Those that
have no width in any lane have no row (``at`` is -1); in the lanes where a box has no width its inverse is zero and it
never moves. The number of storages C is the length of the tuple ``chains``, so that it is a constant when compiled.

All buffers are flat and hold L numbers, one of each home, per entry.
"""

from __future__ import annotations

import numba as nb

from admmflex.horizon import Array, IntArray
from admmflex.response._lanes import everywhere, larger, load, size, store, where

X, Z_LOW, Z_UP, WIDTH, COST = range(5)  # of a row, in ``box``
BOX = 5
TO_LOW, TO_UP, INVERSE, PUSH, AFFINE = range(5)  # of a row, in ``move``: 1/x, 1/(width - x), inverse, right side
MOVE = 5
BOUGHT, SOLD, FIXED, LEAN, NU = range(5)  # of a step, in ``step``; of each storage follow
STEP, A, B, KEEP, RIGHT, MU = 5, 0, 1, 2, 3, 4
CHAIN = 5
R1, S_INVERSE, D_NU = range(3)  # of a step, in ``work``; of each storage follow; then the inverse block
WORK, R2, V, COUPLING, D_MU = 3, 0, 1, 2, 3
LINK = 4
GAP, RESIDUAL, OBJECTIVE, CENTRE, CROSS, LONGEST, TARGET = range(7)  # of a home, in ``lane``
LANE = 7
PROXIMAL = 1e-9  # keeps inverses bounded; centred at the iterate, so without bias
FAST = {"contract", "arcp", "nsz", "reassoc"}
Chains = tuple[int, ...]


@nb.njit(cache=True, error_model="numpy", fastmath=FAST, inline="always")
def _row(r, slope, centre, gap, box, move):  # type: ignore[no-untyped-def]
    """Inverse of a row and its affine right side; adds its complementarity and its dual residual times its width."""
    x, width = load(box, r * BOX + X), load(box, r * BOX + WIDTH)
    low, up = load(box, r * BOX + Z_LOW), load(box, r * BOX + Z_UP)
    room = width - x
    area = x * room
    fixed = where(width, 0.0, 1.0)
    inverse = 1.0 / (area + fixed)
    stiff = area / (low * room + up * x + PROXIMAL * area + fixed)
    store(move, r * MOVE + TO_LOW, room * inverse)
    store(move, r * MOVE + TO_UP, x * inverse)
    store(move, r * MOVE + INVERSE, stiff)
    store(move, r * MOVE + PUSH, 0.0 - slope)
    return stiff, centre + (x * low + room * up), gap + width * size(slope - low + up)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def assemble(
    t: int, last: bool, chains: Chains, at: IntArray, dt: float, rho: float, end: Array, box: Array, move: Array,
    step: Array, work: Array, lane: Array, block: Array,
) -> None:  # fmt: skip
    """Residuals, inverses and affine right side of step t, and the diagonal part of its block."""
    C = len(chains)
    s, k, row = t * (STEP + CHAIN * C), t * (WORK + LINK * C + C * C), t * (3 * C + 4)
    nu, lean = load(step, s + NU), load(step, s + LEAN)
    centre, gap = load(lane, CENTRE), load(lane, GAP)
    free = everywhere(0.0)
    sold, bought = at[row + 2 * C + 3], at[row + 2 * C + 2]
    exported, imported = everywhere(0.0), everywhere(0.0)
    if sold >= 0:
        exported = load(box, sold * BOX + X)
    if bought >= 0:
        imported = load(box, bought * BOX + X)
    p = exported - imported
    value = dt * (p * (0.5 * rho * p - lean) + load(step, s + BOUGHT) * imported - load(step, s + SOLD) * exported)
    pull = dt * (rho * p - lean) - nu
    if sold >= 0:
        stiff, centre, gap = _row(sold, pull - dt * load(step, s + SOLD), centre, gap, box, move)
        free += stiff
    if bought >= 0:
        stiff, centre, gap = _row(bought, dt * load(step, s + BOUGHT) - pull, centre, gap, box, move)
        free += stiff
    free = free / (1.0 + dt * rho * free)
    r1 = load(step, s + FIXED) - p
    for j in range(2 * C, 2 * C + 2):
        r = at[row + j]
        if r >= 0:
            cost, x = load(box, r * BOX + COST), load(box, r * BOX + X)
            stiff, centre, gap = _row(r, cost + nu, centre, gap, box, move)
            free += stiff
            r1 += x
            value += cost * x
    residual = load(lane, RESIDUAL)
    for c in range(C):
        i, j = s + STEP + CHAIN * c, k + WORK + LINK * c
        mu, keep = load(step, i + MU), load(step, i + KEEP)
        r2 = 0.0 - load(step, i + RIGHT)
        v, diagonal, coupling = everywhere(0.0), everywhere(0.0), everywhere(0.0)
        r = at[row + 2 * C + 4 + c]
        if r >= 0:
            x = load(box, r * BOX + X)
            r2 += x
            if last:
                after = load(end, c)
                value -= after * x
            else:
                i1 = i + STEP + CHAIN * C
                after = load(step, i1 + KEEP) * load(step, i1 + MU)
            stiff, centre, gap = _row(r, mu - after, centre, gap, box, move)
            diagonal += stiff
        if t > 0:
            r = at[row - C + c]
            if r >= 0:
                r2 -= keep * load(box, r * BOX + X)
                coupling = keep * load(move, r * MOVE + INVERSE)
                diagonal += keep * coupling
        r = at[row + c]
        if r >= 0:
            a, cost, x = load(step, i + A), load(box, r * BOX + COST), load(box, r * BOX + X)
            stiff, centre, gap = _row(r, cost - a * mu - nu, centre, gap, box, move)
            free += stiff
            v += a * stiff
            diagonal += a * a * stiff
            r1 -= x
            r2 -= a * x
            value += cost * x
        r = at[row + C + c]
        if r >= 0:
            b, cost, x = load(step, i + B), load(box, r * BOX + COST), load(box, r * BOX + X)
            stiff, centre, gap = _row(r, cost + b * mu + nu, centre, gap, box, move)
            free += stiff
            v += b * stiff
            diagonal += b * b * stiff
            r1 += x
            r2 += b * x
            value += cost * x
        store(work, j + R2, r2)
        store(work, j + V, v)
        store(work, j + COUPLING, coupling)
        store(block, c, diagonal)
        residual = larger(residual, size(r2))
        gap += size(r2 * mu)
    store(work, k + R1, r1)
    store(work, k + S_INVERSE, where(free - 1e-200, 1.0 / free, 0.0))
    store(lane, RESIDUAL, larger(residual, size(r1)))
    store(lane, GAP, gap + size(r1 * nu))
    store(lane, CENTRE, centre)
    store(lane, OBJECTIVE, load(lane, OBJECTIVE) + value)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def invert(t: int, chains: Chains, work: Array, block: Array) -> None:
    """Inverse of  diag(block) - v v'/S - coupling H[t-1] coupling  by L D L'; what is not free at all is left alone."""
    C = len(chains)
    k, before = t * (WORK + LINK * C + C * C), (t - 1) * (WORK + LINK * C + C * C)
    h, lower, above = WORK + LINK * C, C, C + C * C  # H in ``work``; L below D, and its inverse, in ``block``
    s_inverse = load(work, k + S_INVERSE)
    for c in range(C):
        vc, gc = load(work, k + WORK + LINK * c + V), load(work, k + WORK + LINK * c + COUPLING)
        pivot = load(block, c)
        for d in range(c + 1):
            m = 0.0 - vc * load(work, k + WORK + LINK * d + V) * s_inverse
            if t > 0:
                m -= gc * load(work, k + WORK + LINK * d + COUPLING) * load(work, before + h + c * C + d)
            if d == c:
                m += pivot
            for e in range(d):
                m -= load(block, above + c * C + e) * load(block, lower + d * C + e)
            if d < c:
                store(block, above + c * C + d, m)  # L D for now
                store(block, lower + c * C + d, m * load(block, lower + d * C + d))
            else:
                store(block, lower + c * C + c, where(m - (1e-15 * pivot + 1e-100), 1.0 / m, 0.0))
    for c in range(C):
        for d in range(c):
            m = 0.0 - load(block, lower + c * C + d)
            for e in range(d + 1, c):
                m -= load(block, lower + c * C + e) * load(block, above + e * C + d)
            store(block, above + c * C + d, m)
    for c in range(C):
        for d in range(c + 1):
            m = load(block, lower + c * C + c)
            if d < c:
                m = m * load(block, above + c * C + d)
            for e in range(c + 1, C):
                m += load(block, lower + e * C + e) * load(block, above + e * C + c) * load(block, above + e * C + d)
            store(work, k + h + c * C + d, m)
            store(work, k + h + d * C + c, m)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def forward(
    t: int, chains: Chains, at: IntArray, curve: float, move: Array, step: Array, work: Array, side: Array
) -> None:
    """Right side of step t, reduced by the steps before; D_NU holds the balance without the multipliers mu."""
    C = len(chains)
    length = WORK + LINK * C + C * C
    s, k, row = t * (STEP + CHAIN * C), t * length, t * (3 * C + 4)
    free, pushed = everywhere(0.0), everywhere(0.0)
    r = at[row + 2 * C + 3]
    if r >= 0:
        free += load(move, r * MOVE + INVERSE)
        pushed += load(move, r * MOVE + INVERSE) * load(move, r * MOVE + PUSH)
    r = at[row + 2 * C + 2]
    if r >= 0:
        free += load(move, r * MOVE + INVERSE)
        pushed -= load(move, r * MOVE + INVERSE) * load(move, r * MOVE + PUSH)
    balance = load(work, k + R1) - pushed / (1.0 + curve * free)
    for j in range(2 * C, 2 * C + 2):
        r = at[row + j]
        if r >= 0:
            balance += load(move, r * MOVE + INVERSE) * load(move, r * MOVE + PUSH)
    for c in range(C):
        i, j = s + STEP + CHAIN * c, k + WORK + LINK * c
        right = load(work, j + R2)
        r = at[row + c]
        if r >= 0:
            x = load(move, r * MOVE + INVERSE) * load(move, r * MOVE + PUSH)
            balance -= x
            right -= load(step, i + A) * x
        r = at[row + C + c]
        if r >= 0:
            x = load(move, r * MOVE + INVERSE) * load(move, r * MOVE + PUSH)
            balance += x
            right += load(step, i + B) * x
        r = at[row + 2 * C + 4 + c]
        if r >= 0:
            right += load(move, r * MOVE + INVERSE) * load(move, r * MOVE + PUSH)
        if t > 0:
            r = at[row - C + c]
            if r >= 0:
                right -= load(work, j + COUPLING) * (load(move, r * MOVE + PUSH) - load(work, j - length + D_MU))
        store(side, c, right)
    balance = balance * load(work, k + S_INVERSE)
    store(work, k + D_NU, balance)
    for c in range(C):
        store(side, c, load(side, c) - load(work, k + WORK + LINK * c + V) * balance)
    for c in range(C):
        d_mu = everywhere(0.0)
        for d in range(C):
            d_mu += load(work, k + WORK + LINK * C + c * C + d) * load(side, d)
        store(work, k + WORK + LINK * c + D_MU, d_mu)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def _multipliers(t: int, last: bool, chains: Chains, work: Array, side: Array) -> None:
    """Newton steps of nu and mu at step t, from those of t + 1."""
    C = len(chains)
    length = WORK + LINK * C + C * C
    k = t * length
    if not last:
        for c in range(C):
            j = k + length + WORK + LINK * c
            store(side, c, load(work, j + COUPLING) * load(work, j + D_MU))
        for c in range(C):
            d_mu = load(work, k + WORK + LINK * c + D_MU)
            for d in range(C):
                d_mu += load(work, k + WORK + LINK * C + c * C + d) * load(side, d)
            store(work, k + WORK + LINK * c + D_MU, d_mu)
    through = everywhere(0.0)
    for c in range(C):
        through += load(work, k + WORK + LINK * c + V) * load(work, k + WORK + LINK * c + D_MU)
    store(work, k + D_NU, load(work, k + D_NU) - load(work, k + S_INVERSE) * through)


@nb.njit(cache=True, error_model="numpy", fastmath=FAST)
def backward(
    t: int, last: bool, chains: Chains, at: IntArray, curve: float, to: int, move: Array, step: Array, work: Array,
    side: Array,
) -> None:  # fmt: skip
    """Newton steps of the multipliers, and of the variables of step t into field ``to`` of their rows."""
    _multipliers(t, last, chains, work, side)
    C = len(chains)
    width, length = STEP + CHAIN * C, WORK + LINK * C + C * C
    s, k, row = t * width, t * length, t * (3 * C + 4)
    d_nu = load(work, k + D_NU)
    sold, bought = at[row + 2 * C + 3], at[row + 2 * C + 2]
    free, pushed = everywhere(0.0), everywhere(0.0)
    out, into = everywhere(0.0), everywhere(0.0)
    if sold >= 0:
        out = load(move, sold * MOVE + PUSH) + d_nu
        free += load(move, sold * MOVE + INVERSE)
        pushed += load(move, sold * MOVE + INVERSE) * out
    if bought >= 0:
        into = load(move, bought * MOVE + PUSH) - d_nu
        free += load(move, bought * MOVE + INVERSE)
        pushed -= load(move, bought * MOVE + INVERSE) * into
    bent = curve * pushed / (1.0 + curve * free)
    if sold >= 0:
        store(move, sold * MOVE + to, load(move, sold * MOVE + INVERSE) * (out - bent))
    if bought >= 0:
        store(move, bought * MOVE + to, load(move, bought * MOVE + INVERSE) * (into + bent))
    for j in range(2 * C, 2 * C + 2):
        r = at[row + j]
        if r >= 0:
            store(move, r * MOVE + to, load(move, r * MOVE + INVERSE) * (load(move, r * MOVE + PUSH) - d_nu))
    for c in range(C):
        i, j = s + STEP + CHAIN * c, k + WORK + LINK * c
        d_mu = load(work, j + D_MU)
        r = at[row + c]
        if r >= 0:
            push = load(move, r * MOVE + PUSH) + d_nu + load(step, i + A) * d_mu
            store(move, r * MOVE + to, load(move, r * MOVE + INVERSE) * push)
        r = at[row + C + c]
        if r >= 0:
            push = load(move, r * MOVE + PUSH) - d_nu - load(step, i + B) * d_mu
            store(move, r * MOVE + to, load(move, r * MOVE + INVERSE) * push)
        r = at[row + 2 * C + 4 + c]
        if r >= 0:
            push = load(move, r * MOVE + PUSH) - d_mu
            if not last:
                push += load(step, i + width + KEEP) * load(work, j + length + D_MU)
            store(move, r * MOVE + to, load(move, r * MOVE + INVERSE) * push)
