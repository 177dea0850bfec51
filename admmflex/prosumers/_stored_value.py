"""Slopes of the value of stored energy, from the last step to the first; called by stored_value only.

A convex function is its left end, its value there, and segments (slope, length) in ascending order of their slopes.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from admmflex.horizon import Array, IntArray

MOST = 400  # segments of one function
SAME = 1e-12  # EUR/kWh: slopes that differ less are one segment
NOTHING = 1e-12  # kWh


@nb.njit(cache=True, error_model="numpy")
def _append(slope: float, length: float, slopes: Array, lengths: Array, count: int) -> int:
    """One more segment at the right end; where it is flatter than those before, all of them get their mean slope."""
    if length <= NOTHING:
        return count
    while count > 0 and slope <= slopes[count - 1] + SAME:
        count -= 1
        slope = (slope * length + slopes[count] * lengths[count]) / (length + lengths[count])
        length += lengths[count]
    if count == len(slopes):  # never with fewer than MOST steps and kinks: the last two become one
        count -= 1
        slope = (slope * length + slopes[count] * lengths[count]) / (length + lengths[count])
        length += lengths[count]
    slopes[count], lengths[count] = slope, length
    return count + 1


@nb.njit(cache=True, error_model="numpy")
def _stage(
    dt: float, left: float, base: float, rest_slope: Array, rest_length: Array, fixed: float, data: Array,
    slopes: Array, lengths: Array,
) -> tuple[float, float, int]:  # fmt: skip
    """Cost of a step by the energy x that the store loses: left end, cost there, number of segments.

    Giving s > 0 loses dt s / eta_give, taking -s > 0 gains dt eta_take (-s); the rest of the home costs psi(fixed + s).
    """
    give_max, take_max, give_cost, take_cost, eta_give, eta_take = data
    low, high, count = fixed - take_max, fixed + give_max, 0
    at, cost = left, base
    start = dt * take_cost * take_max
    for j in range(len(rest_slope)):
        end, slope = at + rest_length[j], rest_slope[j]
        cost += slope * (min(end, low) - min(at, low))
        take = min(end, fixed, high) - max(at, low)
        if take > 0.0:
            count = _append((slope - take_cost) / eta_take, dt * eta_take * take, slopes, lengths, count)
        give = min(end, high) - max(at, fixed, low)
        if give > 0.0:
            count = _append((slope + give_cost) * eta_give, dt * give / eta_give, slopes, lengths, count)
        at = end
    return -dt * eta_take * take_max, start + dt * cost, count


@nb.njit(cache=True, error_model="numpy")
def _clip(
    low: float, high: float, steep: float, start: float, value: float, slopes: Array, lengths: Array, count: int,
    out_slopes: Array, out_lengths: Array,
) -> tuple[float, int]:  # fmt: skip
    """The function on [low, high], its value at low and its segments; continued at the slopes -steep and steep."""
    number = _append(-steep, min(start, high) - low, out_slopes, out_lengths, 0)
    if start > low:
        value += steep * (start - low)
    at = start
    for i in range(count):
        end = at + lengths[i]
        if end <= low:
            value += slopes[i] * lengths[i]
        else:
            if at < low:
                value += slopes[i] * (low - at)
            number = _append(slopes[i], min(end, high) - max(at, low), out_slopes, out_lengths, number)
        at = end
    if at < low:
        value += steep * (low - at)
    number = _append(steep, high - max(at, low), out_slopes, out_lengths, number)
    return value, number


class Outlook(NamedTuple):
    """n stores and the homes they are in, over K steps of lengths dt.

    Args:
        dt: (K,) [h].
        left, base, rest_slope, rest_length: the home without the store: psi(y), least cost per hour [EUR/h] when its
            fixed power and the store together inject y [kW]; it is base at left (n, K), then segments (n, K, J).
        fixed: (n, K) [kW].
        flow: (n, K, 6) give_max, take_max [kW], give_cost, take_cost [EUR/kWh], eta_give, eta_take.
        keep, gain: (n, K).
        e_min, e_max: (n, K) [kWh] after each step.
        low, high: (n,) [kWh] ends of the band over the whole horizon.
        steep, end_slope: (n,) [EUR/kWh] slope of what is outside a band; of the cost by the energy after the last step.
    """

    dt: Array
    left: Array
    base: Array
    rest_slope: Array
    rest_length: Array
    fixed: Array
    flow: Array
    keep: Array
    gain: Array
    e_min: Array
    e_max: Array
    low: Array
    high: Array
    steep: Array
    end_slope: Array


@nb.njit(cache=True, error_model="numpy")
def _merge(
    a_slopes: Array, a_lengths: Array, a_count: int, b_slopes: Array, b_lengths: Array, b_count: int, slopes: Array,
    lengths: Array,
) -> int:  # fmt: skip
    """Segments of both in the order of their slopes."""
    count, a, b = 0, 0, 0
    while a < a_count or b < b_count:
        if b == b_count or (a < a_count and a_slopes[a] <= b_slopes[b]):
            count = _append(a_slopes[a], a_lengths[a], slopes, lengths, count)
            a += 1
        else:
            count = _append(b_slopes[b], b_lengths[b], slopes, lengths, count)
            b += 1
    return count


@nb.njit(cache=True, error_model="numpy")
def backward(o: Outlook, first: int, ends: Array, slopes: Array, value: Array, count: IntArray) -> None:
    """V(e) = least cost of steps first, ..., K - 1 from energy e on.

    Writes ends (n, S + 1), slopes (n, S), the value at the left end (n,), and the number of segments (n,).
    """
    n, steps = o.fixed.shape
    own_slopes, own_lengths = np.empty(MOST), np.empty(MOST)
    sum_slopes, sum_lengths = np.empty(2 * MOST), np.empty(2 * MOST)
    stage_slopes, stage_lengths = np.empty(MOST), np.empty(MOST)
    for i in range(n):
        low, high = (o.e_min[i, -1], o.e_max[i, -1]) if first < steps else (o.low[i], o.high[i])
        sum_slopes[0], sum_lengths[0] = o.end_slope[i], o.e_max[i, -1] - o.e_min[i, -1]
        worth, own = _clip(
            low, high, o.steep[i], o.e_min[i, -1], o.end_slope[i] * o.e_min[i, -1], sum_slopes, sum_lengths, 1,
            own_slopes, own_lengths,
        )  # fmt: skip
        for t in range(steps - 1, first - 1, -1):
            start, cost, number = _stage(
                o.dt[t], o.left[i, t], o.base[i, t], o.rest_slope[i, t], o.rest_length[i, t], o.fixed[i, t],
                o.flow[i, t], stage_slopes, stage_lengths,
            )  # fmt: skip
            total = _merge(own_slopes, own_lengths, own, stage_slopes, stage_lengths, number, sum_slopes, sum_lengths)
            left = (low + start - o.gain[i, t]) / o.keep[i, t]
            for j in range(total):
                sum_slopes[j] *= o.keep[i, t]
                sum_lengths[j] /= o.keep[i, t]
            low, high = (o.low[i], o.high[i]) if t == first else (o.e_min[i, t - 1], o.e_max[i, t - 1])
            worth, own = _clip(
                low, high, o.steep[i], left, worth + cost, sum_slopes, sum_lengths, total, own_slopes, own_lengths
            )
        count[i], value[i], ends[i, 0] = own, worth, low
        slopes[i, :own] = own_slopes[:own]
        for j in range(own):
            low += own_lengths[j]
            ends[i, j + 1] = low
