"""Slopes of the value of stored energy, from the last step to the first; called by stored_value only.

A convex function is its left end, its value there, and segments (slope, length) in ascending order of their slopes.
"""

from __future__ import annotations

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
    dt: float, left: float, base: float, rest_slope: Array, rest_length: Array, fixed: float, data: Array, slopes: Array,
    lengths: Array,
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


@nb.njit(cache=True, error_model="numpy")
def backward(
    dt: Array, left: Array, base: Array, rest_slope: Array, rest_length: Array, fixed: Array, flow: Array, keep: Array, gain: Array,
    e_min: Array, e_max: Array, steep: Array, end_slopes: Array, ends: Array, slopes: Array, value: Array,
    count: IntArray,
) -> None:  # fmt: skip
    """V(e) = least cost of steps k, ..., K - 1 from energy e on, for n stores; written to the last four arrays.

    Args:
        dt (K,), left and base (n, K), rest_slope and rest_length (n, K, J): the home without its store, see stored_value.
        fixed (n, K); flow (n, K, 6): give_max, take_max, give_cost, take_cost, eta_give, eta_take; keep, gain (n, K).
        e_min, e_max (n, K + 1): band before the first step and after each; steep (n,): slope of what is outside.
        end_slopes (n,): of the value of energy after the last step.
        ends (n,), slopes (n, S), value (n,): left end, slopes, value at the left end; lengths are in ``ends[:, 1:]``.
        count (n,): number of segments.
    """
    n, steps = fixed.shape
    own_slopes, own_lengths = np.empty(MOST), np.empty(MOST)
    sum_slopes, sum_lengths = np.empty(2 * MOST), np.empty(2 * MOST)
    stage_slopes, stage_lengths = np.empty(MOST), np.empty(MOST)
    for i in range(n):
        low, high = e_min[i, steps], e_max[i, steps]
        own = _append(end_slopes[i], high - low, own_slopes, own_lengths, 0)
        worth = end_slopes[i] * low
        for t in range(steps - 1, -1, -1):
            start, cost, number = _stage(
                dt[t], left[i, t], base[i, t], rest_slope[i, t], rest_length[i, t], fixed[i, t], flow[i, t], stage_slopes,
                stage_lengths,
            )  # fmt: skip
            total, a, b = 0, 0, 0
            while a < own or b < number:
                if b == number or (a < own and own_slopes[a] <= stage_slopes[b]):
                    total = _append(own_slopes[a], own_lengths[a], sum_slopes, sum_lengths, total)
                    a += 1
                else:
                    total = _append(stage_slopes[b], stage_lengths[b], sum_slopes, sum_lengths, total)
                    b += 1
            left_end = (low + start - gain[i, t]) / keep[i, t]
            for j in range(total):
                sum_slopes[j] *= keep[i, t]
                sum_lengths[j] /= keep[i, t]
            low, high = e_min[i, t], e_max[i, t]
            worth, own = _clip(
                low, high, steep[i], left_end, worth + cost, sum_slopes, sum_lengths, total, own_slopes, own_lengths
            )
        count[i], value[i], ends[i, 0] = own, worth, low
        slopes[i, :own] = own_slopes[:own]
        at = low
        for j in range(own):
            at += own_lengths[j]
            ends[i, j + 1] = at
