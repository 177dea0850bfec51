"""One step of a home whose inverters share their rating between active and reactive power (numba, called by the chain only).

    Psi(b) = min over 0 <= y <= avail of F(b - load + y) + H(Q_gen(y) + Q_store(b)),   H'(Q) = -[level - rho Q]+

Q_gen, Q_store are the upper edges of the inner polygons, level what one more kvar would save at Q = 0, less its cost. Psi is
convex and piecewise quadratic; its derivative is traced piece by piece. After every event the piece is identified a small step
ahead, but all values are taken from the piece itself, so that errors do not add up.
"""

from __future__ import annotations

import numba as nb
import numpy as np

AHEAD = 1e-8
"""How far behind an event the next piece is looked for [kW]; shorter pieces change the cost by less than rounding."""


@nb.njit(cache=True, error_model="numpy", inline="always")
def edge_value(b, power, value, knots, box):
    """Upper limit of the reactive power at power b; the box where there is no polygon."""
    if knots < 2:
        return value[0] if knots == 1 else box
    i = 0
    while i < knots - 2 and b >= power[i + 1]:
        i += 1
    return value[i] + (value[i + 1] - value[i]) / (power[i + 1] - power[i]) * (b - power[i])


@nb.njit(cache=True, error_model="numpy")
def curtail(rest, avail, below, above, rho, level, power, value, knots, box):
    """Best generation y for p = rest + y: y, its piece (0 at a knot, 1 inside a side, 2 holding p = 0), -Q' left and right, ends."""
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
def reactive_polyline(
    load, avail, below, above, rho, level, gx, gy, ng, gen_box, sx, sy, ns, store_box, take, give, poly_b, poly_d
):  # fmt: skip
    """Derivative of Psi as a polyline (b, Psi') from b = give down to -take; returns its number of vertices."""
    n = 0
    b = -take
    room = poly_b.shape[0]
    while b < give and n + 2 <= room:
        ahead = min(b + AHEAD, 0.5 * (b + give))
        end = give
        fall_b = 0.0
        if ns > 1:
            j = 0
            while j < ns - 2 and ahead >= sx[j + 1]:
                j += 1
            fall_b = (sy[j] - sy[j + 1]) / (sx[j + 1] - sx[j])
            if j < ns - 2:
                end = min(give, sx[j + 1])
        rest_level = level - rho * edge_value(ahead, sx, sy, ns, store_box)
        y, piece, fall_left, fall_right, low, high = curtail(
            ahead - load, avail, below, above, rho, rest_level, gx, gy, ng, gen_box
        )
        want = rest_level - rho * edge_value(y, gx, gy, ng, gen_box)
        on = 1.0 if want > 0.0 else 0.0
        p = ahead - load + y
        reach = end - ahead
        slope = below if p < 0.0 else above
        if piece == 0:
            d_want = on * rho * fall_b
            value = slope + rho * p
            curve = rho
            if fall_right < np.inf:
                gap, rate = value + on * want * fall_right, rho + d_want * fall_right
                if rate < 0.0:
                    reach = min(reach, -gap / rate)
            if y > 0.0:
                gap, rate = value + on * want * fall_left, rho + d_want * fall_left
                if rate > 0.0:
                    reach = min(reach, -gap / rate)
            if p < 0.0:
                reach = min(reach, -p)
            hinge = rho * fall_b
        elif piece == 1:
            f = fall_left
            dy = -(1.0 + f * fall_b) / (1.0 + f * f) if on > 0.0 else -1.0
            value = slope + rho * p
            curve = rho * (1.0 + dy)
            hinge = rho * (f * dy + fall_b)
            if dy < 0.0:
                reach = min(reach, (low - y) / dy)
            elif dy > 0.0:
                reach = min(reach, (high - y) / dy)
            if p * (1.0 + dy) < 0.0:
                reach = min(reach, -p / (1.0 + dy))
        else:
            f = fall_left
            hinge = rho * (fall_b - f)
            value = -on * want * f
            curve = -on * f * hinge
            reach = min(reach, y - low)
            if curve > 0.0:
                reach = min(reach, (above - value) / curve)
            elif curve < 0.0:
                reach = min(reach, (below - value) / curve)
        if want * hinge < 0.0:
            reach = min(reach, -want / hinge)
        reach = max(reach, 0.0)
        value += on * want * fall_b
        curve = max(curve + on * hinge * fall_b, 0.0)
        after = ahead + reach
        if after > end - AHEAD:
            after = end
        poly_b[n], poly_d[n] = b, value - curve * (ahead - b)
        poly_b[n + 1], poly_d[n + 1] = after, value + curve * (after - ahead)
        n += 2
        b = after
    for i in range(1, n):
        poly_d[i] = max(poly_d[i], poly_d[i - 1])
    for i in range(n // 2):
        j = n - 1 - i
        poly_b[i], poly_b[j] = poly_b[j], poly_b[i]
        poly_d[i], poly_d[j] = poly_d[j], poly_d[i]
    return n
