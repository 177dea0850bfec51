"""One step of a home whose inverters share their rating between active and reactive power (numba).

    Psi(b) = min over 0 <= y <= avail of F(b - load + y) + H(Q_gen(y) + Q_store(b)),   H'(Q) = -[level - rho Q]+

Q_gen, Q_store are the upper edges of the inner polygons, level what one more kvar would save at Q = 0, less its cost.
Psi is convex and piecewise quadratic; its derivative is traced piece by piece. After every event the piece is
identified a small step ahead, but all values are taken from the piece itself, so that errors do not add up.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from admmflex.horizon import Array

AHEAD = 1e-8
"""How far behind an event the next piece is looked for [kW]; shorter pieces change the cost by less than rounding."""


@nb.njit(cache=True, error_model="numpy")
def edge_value(b: float, power: Array, value: Array, knots: int, box: float) -> float:
    """Upper limit of the reactive power at power b; the box where there is no polygon."""
    if knots < 2:
        return value[0] if knots == 1 else box
    i = 0
    while i < knots - 2 and b >= power[i + 1]:
        i += 1
    limit: float = value[i] + (value[i + 1] - value[i]) / (power[i + 1] - power[i]) * (b - power[i])
    return limit


@nb.njit(cache=True, error_model="numpy")
def curtail(
    rest: float, avail: float, below: float, above: float, rho: float, level: float, power: Array, value: Array,
    knots: int, box: float,
) -> tuple[float, int, float, float, float, float]:  # fmt: skip
    """Best generation y for p = rest + y.

    Returns y, its piece (0 at a knot, 1 inside a side, 2 holding p = 0), -Q' on its left and right, the side's ends.
    """
    pieces = max(knots - 1, 1)
    left = 0.0
    fall_left = 0.0
    for i in range(pieces):
        right = avail
        fall = 0.0
        q_left = box
        if knots > 1:
            fall = (value[i] - value[i + 1]) / (power[i + 1] - power[i])
            right = avail if i == pieces - 1 else min(power[i + 1], avail)
            q_left = value[i] - fall * (left - power[i])
        if left >= avail:
            break
        want = level - rho * q_left
        p = rest + left
        rise = (above if p >= 0.0 else below) + rho * p + fall * max(want, 0.0)
        if rise >= 0.0:
            return left, 0, fall_left, fall, left, left
        want_right = want + rho * fall * (right - left)
        p = rest + right
        rise = (below if p <= 0.0 else above) + rho * p + fall * max(want_right, 0.0)
        if rise <= 0.0:
            fall_left = fall
            left = right
            continue
        at = -rest
        slope = above
        if left < at < right:
            pull = fall * max(want + rho * fall * (at - left), 0.0)
            if below + pull <= 0.0 <= above + pull:
                return at, 2, fall, fall, left, right
            slope = below if below + pull > 0.0 else above
        elif rest + 0.5 * (left + right) < 0.0:
            slope = below
        y = -slope / rho - rest
        if want + rho * fall * (y - left) > 0.0:
            y = (-slope - rho * rest - fall * (want - rho * fall * left)) / (rho * (1.0 + fall * fall))
        return min(max(y, left), right), 1, fall, fall, left, right
    return avail, 0, fall_left, np.inf, avail, avail


@nb.njit(cache=True, error_model="numpy")
def _at_knot(
    p: float, y: float, push: float, on: float, below: float, above: float, rho: float, fall_left: float,
    fall_right: float, fall_b: float, reach: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Generation stays at a knot: F' there, its slope, the slope of the wish in b, and how far b can go."""
    slope = (below if p < 0.0 else above) + rho * p
    hinge = rho * fall_b
    if fall_right < np.inf:
        rate = rho + on * hinge * fall_right
        if rate < 0.0:
            reach = min(reach, -(slope + push * fall_right) / rate)
    if y > 0.0:
        rate = rho + on * hinge * fall_left
        if rate > 0.0:
            reach = min(reach, -(slope + push * fall_left) / rate)
    if p < 0.0:
        reach = min(reach, -p)
    return slope, rho, hinge, reach


@nb.njit(cache=True, error_model="numpy")
def _on_side(
    p: float, y: float, on: float, below: float, above: float, rho: float, fall: float, fall_b: float, low: float,
    high: float, reach: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Generation moves along a side of its polygon; returns as ``_at_knot``."""
    slope = (below if p < 0.0 else above) + rho * p
    dy = -(1.0 + fall * fall_b) / (1.0 + fall * fall) if on > 0.0 else -1.0
    if dy < 0.0:
        reach = min(reach, (low - y) / dy)
    elif dy > 0.0:
        reach = min(reach, (high - y) / dy)
    if p * (1.0 + dy) < 0.0:
        reach = min(reach, -p / (1.0 + dy))
    return slope, rho * (1.0 + dy), rho * (fall * dy + fall_b), reach


@nb.njit(cache=True, error_model="numpy")
def _at_zero(
    y: float, push: float, on: float, below: float, above: float, rho: float, fall: float, fall_b: float,
    low: float, reach: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """Generation holds the meter at zero; returns as ``_at_knot``."""
    hinge = rho * (fall_b - fall)
    slope = -push * fall
    curve = -on * fall * hinge
    reach = min(reach, y - low)
    if curve > 0.0:
        reach = min(reach, (above - slope) / curve)
    elif curve < 0.0:
        reach = min(reach, (below - slope) / curve)
    return slope, curve, hinge, reach


@nb.njit(cache=True, error_model="numpy")
def _storage_side(ahead: float, give: float, power: Array, value: Array, knots: int) -> tuple[float, float]:
    """Minus the slope of the storage's upper edge at ``ahead``, and where this side ends."""
    if knots < 2:
        return 0.0, give
    j = 0
    while j < knots - 2 and ahead >= power[j + 1]:
        j += 1
    fall = (value[j] - value[j + 1]) / (power[j + 1] - power[j])
    return fall, min(give, power[j + 1]) if j < knots - 2 else give


@nb.njit(cache=True, error_model="numpy")
def reactive_polyline(
    load: float, avail: float, below: float, above: float, rho: float, level: float, gx: Array, gy: Array,
    ng: int, gen_box: float, sx: Array, sy: Array, ns: int, store_box: float, take: float, give: float,
    poly_b: Array, poly_d: Array,
) -> int:  # fmt: skip
    """Derivative of Psi as a polyline (b, Psi') from b = give down to -take; returns its number of vertices."""
    n = 0
    b = -take
    while b < give and n + 2 <= poly_b.shape[0]:
        ahead = min(b + AHEAD, 0.5 * (b + give))
        fall_b, end = _storage_side(ahead, give, sx, sy, ns)
        rest_level = level - rho * edge_value(ahead, sx, sy, ns, store_box)
        y, piece, fall_left, fall_right, low, high = curtail(
            ahead - load, avail, below, above, rho, rest_level, gx, gy, ng, gen_box
        )
        want = rest_level - rho * edge_value(y, gx, gy, ng, gen_box)
        on = 1.0 if want > 0.0 else 0.0
        push = on * want
        p = ahead - load + y
        reach = end - ahead
        if piece == 0:
            slope, curve, hinge, reach = _at_knot(
                p, y, push, on, below, above, rho, fall_left, fall_right, fall_b, reach
            )
        elif piece == 1:
            slope, curve, hinge, reach = _on_side(p, y, on, below, above, rho, fall_left, fall_b, low, high, reach)
        else:
            slope, curve, hinge, reach = _at_zero(y, push, on, below, above, rho, fall_left, fall_b, low, reach)
        if want * hinge < 0.0:
            reach = min(reach, -want / hinge)
        slope += push * fall_b
        curve = max(curve + on * hinge * fall_b, 0.0)
        after = ahead + max(reach, 0.0)
        if after > end - AHEAD:
            after = end
        poly_b[n], poly_d[n] = b, slope - curve * (ahead - b)
        poly_b[n + 1], poly_d[n + 1] = after, slope + curve * (after - ahead)
        n += 2
        b = after
    _ascend(n, poly_b, poly_d)
    return n


@nb.njit(cache=True, error_model="numpy")
def _ascend(n: int, poly_b: Array, poly_d: Array) -> None:
    """Remove rounding from a rising derivative, then turn the polyline round."""
    for i in range(1, n):
        poly_d[i] = max(poly_d[i], poly_d[i - 1])
    for i in range(n // 2):
        j = n - 1 - i
        poly_b[i], poly_b[j] = poly_b[j], poly_b[i]
        poly_d[i], poly_d[j] = poly_d[j], poly_d[i]
