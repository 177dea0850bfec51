"""One step of a home as a curve: stored energy against its multiplier (numba).

Phi(b) = min over 0 <= y <= avail of F(b - load + y) is the cost of a storage power b, its derivative a polyline. With

    discharging  mu = -eta_give (Phi'(b) + give_cost),    w = -dt b / eta_give         (b > 0)
    charging     mu = (take_cost - Phi'(b)) / eta_take,   w = -dt eta_take b           (b < 0)

the stored energy w is a non-decreasing polyline in its multiplier mu. Both sides read mu = c - m Phi', w = -g b.
Polylines run from high b to low b; equal b is a kink of the cost, equal Phi' a flat piece.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from admmflex.horizon import Array

SNAP = 1e-13
"""Multipliers closer than this, relative, are one jump: deciding it once keeps all later comparisons exact."""


@nb.njit(cache=True, error_model="numpy")
def home_kinks(load: float, avail: float, below: float, above: float, rho: float, kink_b: Array, kink_d: Array) -> None:
    """The four vertices (b, Phi') of the derivative of Phi over all b; outside them its slope is rho.

    below = F'(0-) and above = F'(0+). Curtailment is the flat piece of length avail at Phi' = 0.
    """
    if above < 0.0:
        top = load - above / rho if rho > 0.0 else np.inf
        kink_b[0] = top
        kink_b[1] = top - avail
        kink_b[2] = load - avail
        kink_b[3] = load - avail
        kink_d[0] = 0.0
        kink_d[1] = 0.0
        kink_d[2] = above
        kink_d[3] = below
    elif below > 0.0:
        top = load - below / rho if rho > 0.0 else -np.inf
        kink_b[0] = load
        kink_b[1] = load
        kink_b[2] = top
        kink_b[3] = top - avail
        kink_d[0] = above
        kink_d[1] = below
        kink_d[2] = 0.0
        kink_d[3] = 0.0
    else:
        kink_b[0] = load
        kink_b[1] = load
        kink_b[2] = load - avail
        kink_b[3] = load - avail
        kink_d[0] = above
        kink_d[1] = 0.0
        kink_d[2] = 0.0
        kink_d[3] = below


@nb.njit(cache=True, error_model="numpy")
def _between(i: int, b: float, rho: float, kink_b: Array, kink_d: Array) -> float:
    """Phi' at b, where i is the first kink below b (or at b, for the derivative from the right)."""
    d: float = kink_d[0] + rho * (b - kink_b[0])
    if i == 4:
        d = kink_d[3] - rho * (kink_b[3] - b)
    elif i > 0:
        d = min(kink_d[i - 1], kink_d[i] + rho * (b - kink_b[i]))
    return d


@nb.njit(cache=True, error_model="numpy")
def top_level(high: float, rho: float, kink_b: Array, kink_d: Array) -> float:
    """Phi' just below b = high."""
    i = 0
    while i < 4 and kink_b[i] >= high:
        i += 1
    d: float = _between(i, high, rho, kink_b, kink_d)
    return d


@nb.njit(cache=True, error_model="numpy")
def plain_side(
    high: float, low: float, c: float, m: float, g: float, rho: float, kink_b: Array, kink_d: Array,
    vertex_mu: Array, vertex_w: Array, k: int,
) -> int:  # fmt: skip
    """Append the vertices (mu, w) of one side, b from high down to low; c, m, g as in the module's text."""
    i = 0
    while i < 4 and kink_b[i] >= high:
        i += 1
    vertex_mu[k] = c - m * _between(i, high, rho, kink_b, kink_d)
    vertex_w[k] = -g * high
    k += 1
    while i < 4 and kink_b[i] > low:
        vertex_mu[k] = c - m * kink_d[i]
        vertex_w[k] = -g * kink_b[i]
        k += 1
        i += 1
    vertex_mu[k] = c - m * _between(i, low, rho, kink_b, kink_d)
    vertex_w[k] = -g * low
    return k + 1


@nb.njit(cache=True, error_model="numpy")
def restrict(high: float, low: float, rho: float, kink_b: Array, kink_d: Array, poly_b: Array, poly_d: Array) -> int:
    """Polyline (b, Phi') between low and high; returns its number of vertices."""
    n: int = plain_side(high, low, 0.0, -1.0, -1.0, rho, kink_b, kink_d, poly_d, poly_b, 0)
    return n


@nb.njit(cache=True, error_model="numpy")
def _walk(
    n: int, poly_b: Array, poly_d: Array, high: float, low: float, c: float, m: float, g: float, w: float,
    vertex_mu: Array, vertex_w: Array, vertex_b: Array, k: int,
) -> int:  # fmt: skip
    """Append the vertices of a polyline from high down to low; w is the energy at high."""
    if high <= low:
        return k
    i = 1
    while i < n - 1 and poly_b[i] >= high:
        i += 1
    span = poly_b[i - 1] - poly_b[i]
    part = (poly_b[i - 1] - high) / span if span > 0.0 else 0.0
    vertex_mu[k] = c - m * (poly_d[i - 1] + part * (poly_d[i] - poly_d[i - 1]))
    vertex_w[k] = w
    vertex_b[k] = high
    k += 1
    while i < n - 1 and poly_b[i] > low:
        vertex_mu[k] = c - m * poly_d[i]
        vertex_w[k] = w + g * (high - poly_b[i])
        vertex_b[k] = poly_b[i]
        k += 1
        i += 1
    span = poly_b[i - 1] - poly_b[i]
    part = (poly_b[i - 1] - low) / span if span > 0.0 else 1.0
    vertex_mu[k] = c - m * (poly_d[i - 1] + part * (poly_d[i] - poly_d[i - 1]))
    vertex_w[k] = w + g * (high - low)
    vertex_b[k] = low
    return k + 1


@nb.njit(cache=True, error_model="numpy")
def _burn_start(n: int, poly_b: Array, poly_d: Array, kappa: float) -> float:
    """Largest b of the polyline with Phi'(b) <= kappa, -inf when there is none."""
    i = 0
    while i < n and poly_d[i] > kappa:
        i += 1
    if i == n:
        return -np.inf
    b: float = poly_b[0]
    if i == 0:
        return b
    b = poly_b[i] + (kappa - poly_d[i]) * ((poly_b[i - 1] - poly_b[i]) / (poly_d[i - 1] - poly_d[i]))
    return b


@nb.njit(cache=True, error_model="numpy")
def general_side(
    n: int, poly_b: Array, poly_d: Array, give: float, take: float, cd: float, md: float, gd: float, cc: float,
    mc: float, gc: float, kappa: float, vertex_mu: Array, vertex_w: Array, vertex_b: Array,
) -> int:  # fmt: skip
    """Vertices (mu, w, b) of any polyline, with charging and discharging at once wherever that is optimal.

    The relaxed stage min Phi(give' - take') + costs has, above Phi' = kappa, the storage at full give while take rises,
    then at full take while give falls; at Phi' = kappa burning energy is free and the curve jumps to the physical one.
    """
    k: int = 0
    if poly_d[0] <= kappa:
        if give > 0.0:
            k = _walk(n, poly_b, poly_d, give, 0.0, cd, md, gd, -gd * give, vertex_mu, vertex_w, vertex_b, k)
        if take > 0.0:
            k = _walk(n, poly_b, poly_d, 0.0, -take, cc, mc, gc, 0.0, vertex_mu, vertex_w, vertex_b, k)
        return k
    free = _burn_start(n, poly_b, poly_d, kappa)
    burn_mu = cd - md * kappa
    turn = give - take
    k = _walk(n, poly_b, poly_d, give, max(free, turn), cc, mc, gc, -gd * give, vertex_mu, vertex_w, vertex_b, k)
    full = gc * take - gd * give
    k = _walk(n, poly_b, poly_d, turn, max(free, -take), cd, md, gd, full, vertex_mu, vertex_w, vertex_b, k)
    if free <= -take:
        return k
    if k == 0:
        vertex_mu[0], vertex_w[0], vertex_b[0] = burn_mu, -gd * give, give
        k = 1
    for i in range(k):
        vertex_mu[i] = min(vertex_mu[i], burn_mu)
    vertex_mu[k], vertex_w[k], vertex_b[k] = burn_mu, vertex_w[k - 1], free
    vertex_mu[k + 1], vertex_w[k + 1], vertex_b[k + 1] = burn_mu, -gd * free if free >= 0.0 else -gc * free, free
    k += 2
    if free >= 0.0:
        k = _walk(n, poly_b, poly_d, free, 0.0, cd, md, gd, -gd * free, vertex_mu, vertex_w, vertex_b, k)
        k = _walk(n, poly_b, poly_d, 0.0, -take, cc, mc, gc, 0.0, vertex_mu, vertex_w, vertex_b, k)
    else:
        k = _walk(n, poly_b, poly_d, free, -take, cc, mc, gc, -gc * free, vertex_mu, vertex_w, vertex_b, k)
    return k


@nb.njit(cache=True, error_model="numpy")
def _jump(mu: float, rise: float, begin: int, x: Array, jump: Array, slope: Array, at: int) -> int:
    """Append a jump, if there is any, to the points of a stage that begin at ``begin``; returns their end."""
    if rise <= 0.0:
        return at
    if at > begin and mu - x[at - 1] <= SNAP * (1.0 + abs(mu)):
        jump[at - 1] += rise
        return at
    x[at], jump[at], slope[at] = mu, rise, 0.0
    return at + 1


@nb.njit(cache=True, error_model="numpy")
def jumps(
    below: float, above: float, load: float, avail: float, give: float, take: float, cd: float, md: float, gd: float,
    cc: float, mc: float, gc: float, x: Array, jump: Array, slope: Array, at: int,
) -> int:  # fmt: skip
    """Write the points of a stage without a penalty, which only jumps, from position ``at``; returns the end.

    Where Phi' rises through above, zero and below, b falls to load, load - avail and the end of its side.
    """
    begin, zero = at, min(max(0.0, below), above)
    first, second = min(max(load, 0.0), give), min(max(load - avail, 0.0), give)
    at = _jump(cd - md * above, gd * (give - first), begin, x, jump, slope, at)
    at = _jump(cd - md * zero, gd * (first - second), begin, x, jump, slope, at)
    at = _jump(cd - md * below, gd * second, begin, x, jump, slope, at)
    first, second = max(min(load, 0.0), -take), max(min(load - avail, 0.0), -take)
    at = _jump(cc - mc * above, -gc * first, begin, x, jump, slope, at)
    at = _jump(cc - mc * zero, gc * (first - second), begin, x, jump, slope, at)
    at = _jump(cc - mc * below, gc * (second + take), begin, x, jump, slope, at)
    return at


@nb.njit(cache=True, error_model="numpy")
def breakpoints(k: int, vertex_mu: Array, vertex_w: Array, x: Array, jump: Array, slope: Array, at: int) -> int:
    """Write a polyline as points (x, jump there, change of slope there) from position ``at``; returns the end."""
    q = at
    x[q] = vertex_mu[0]
    jump[q] = 0.0
    slope[q] = 0.0
    here = vertex_mu[0]
    w = vertex_w[0]
    steep = 0.0
    for i in range(1, k):
        rise = vertex_w[i] - w
        if rise <= 0.0:
            rise = 0.0
        else:
            w = vertex_w[i]
        run = vertex_mu[i] - here
        if run <= SNAP * (1.0 + abs(here)):
            jump[q] += rise
            continue
        new = rise / run
        slope[q] += new - steep
        steep = new
        if jump[q] != 0.0 or slope[q] != 0.0:
            q += 1
        here = vertex_mu[i]
        x[q] = here
        jump[q] = 0.0
        slope[q] = 0.0
    slope[q] -= steep
    if jump[q] != 0.0 or slope[q] != 0.0:
        q += 1
    return q
