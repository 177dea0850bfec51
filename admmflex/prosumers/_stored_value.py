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


class Outlook(NamedTuple):
    """n stores and the homes they are in, over K steps of lengths dt.

    Args:
        dt: (K,) [h].
        fixed: (n, K) [kW] of the home, the powers of its other stores included.
        bought, sold: (n, K) [EUR/kWh].
        import_limit, export_limit: (n,) [kW].
        even: (n,) [EUR/kWh per kW] by which a kWh gets dearer, or earns less, with the power at the connection.
        give, take: (n, S, K) [kW] of the home's flows without a store.
        give_cost, take_cost: (n, S) [EUR/kWh].
        flow: (n, 6, K) give_max, take_max [kW], give_cost, take_cost [EUR/kWh], eta_give, eta_take of the store.
        keep, gain: (n, K).
        e_min, e_max: (n, K) [kWh] after each step.
        low, high: (n,) [kWh] ends of the band over the whole horizon.
        steep, end_slope: (n,) [EUR/kWh] slope of what is outside a band; of the cost by the energy after the last step.
    """

    dt: Array
    fixed: Array
    bought: Array
    sold: Array
    import_limit: Array
    export_limit: Array
    even: Array
    give: Array
    take: Array
    give_cost: Array
    take_cost: Array
    flow: Array
    keep: Array
    gain: Array
    e_min: Array
    e_max: Array
    low: Array
    high: Array
    steep: Array
    end_slope: Array


class Function(NamedTuple):
    """Convex functions of n stores: value (n,) at the left end, ends (n, S + 1), slopes (n, S), segments (n,)."""

    ends: Array
    slopes: Array
    value: Array
    segments: IntArray


@nb.njit(cache=True, error_model="numpy")
def _append(slope: float, length: float, slopes: Array, lengths: Array, count: int) -> int:
    """One more segment at the right end; where it is flatter than those before, all of them get their mean slope."""
    if length <= NOTHING:
        return count
    while count > 0 and (slope <= slopes[count - 1] + SAME or count == len(slopes)):
        count -= 1
        slope = (slope * length + slopes[count] * lengths[count]) / (length + lengths[count])
        length += lengths[count]
    slopes[count], lengths[count] = slope, length
    return count + 1


@nb.njit(cache=True, error_model="numpy")
def _insert(slope: float, length: float, slopes: Array, lengths: Array, count: int) -> int:
    """One more segment where its slope belongs."""
    at = count
    while at > 0 and slopes[at - 1] > slope:
        slopes[at], lengths[at] = slopes[at - 1], lengths[at - 1]
        at -= 1
    slopes[at], lengths[at] = slope, length
    return count + 1


@nb.njit(cache=True, error_model="numpy")
def _meter(
    sign: float, price: float, limit: float, most: float, even: float, pieces: int, slopes: Array, lengths: Array,
    count: int,
) -> tuple[float, int]:  # fmt: skip
    """Segments of what is bought (sign -1) or sold (sign 1) up to ``most``; the cost at the end, and how many."""
    reach, cost = min(most, limit), 0.0
    for g in range(pieces):
        width = reach / pieces
        slope = -price + sign * even * (g + 0.5) * width
        count = _insert(slope, width, slopes, lengths, count)
        cost += sign * slope * width
    return cost, count


@nb.njit(cache=True, error_model="numpy")
def _rest(o: Outlook, i: int, t: int, pieces: int, slopes: Array, lengths: Array) -> tuple[float, float, int]:
    """psi, least cost per hour of the home when what is fixed and the store inject y: left end, value, segments.

    min over give and take of  phi(y + sum (give - take)) + cost:  buying, selling and every flow are segments; beyond
    the limits of the connection a kWh costs ``steep``.
    """
    most, own, base, count = abs(o.fixed[i, t]) + o.flow[i, 0, t] + o.flow[i, 1, t] + 1.0, 0.0, 0.0, 0
    for s in range(o.give.shape[1]):
        own += o.give[i, s, t]
        base += o.give_cost[i, s] * o.give[i, s, t]
        most += o.give[i, s, t] + o.take[i, s, t]
        count = _insert(-o.give_cost[i, s], o.give[i, s, t], slopes, lengths, count)
        count = _insert(o.take_cost[i, s], o.take[i, s, t], slopes, lengths, count)
    used = pieces if o.even[i] > 0.0 else 1
    cost, count = _meter(-1.0, o.bought[i, t], o.import_limit[i], most, o.even[i], used, slopes, lengths, count)
    _, count = _meter(1.0, o.sold[i, t], o.export_limit[i], most, o.even[i], used, slopes, lengths, count)
    count = _insert(-o.steep[i], most, slopes, lengths, count)
    count = _insert(o.steep[i], most, slopes, lengths, count)
    return -(most + min(most, o.import_limit[i]) + own), base + cost + o.steep[i] * most, count


@nb.njit(cache=True, error_model="numpy")
def _stage(
    o: Outlook, i: int, t: int, pieces: int, slopes: Array, lengths: Array, rest_slopes: Array, rest_lengths: Array
) -> tuple[float, float, int]:
    """Cost of a step by the energy that the store loses: left end, cost there, number of segments.

    Giving s > 0 loses dt s / eta_give, taking -s > 0 gains dt eta_take (-s); the rest of the home costs psi(fixed + s).
    """
    dt, fixed = o.dt[t], o.fixed[i, t]
    give_max, take_max, give_cost, take_cost, eta_give, eta_take = o.flow[i, :, t]
    at, cost, parts = _rest(o, i, t, pieces, rest_slopes, rest_lengths)
    low, high, count = fixed - take_max, fixed + give_max, 0
    for j in range(parts):
        end, slope = at + rest_lengths[j], rest_slopes[j]
        cost += slope * (min(end, low) - min(at, low))
        take = min(end, fixed, high) - max(at, low)
        if take > 0.0:
            count = _append((slope - take_cost) / eta_take, dt * eta_take * take, slopes, lengths, count)
        give = min(end, high) - max(at, fixed, low)
        if give > 0.0:
            count = _append((slope + give_cost) * eta_give, dt * give / eta_give, slopes, lengths, count)
        at = end
    return -dt * eta_take * take_max, dt * (cost + take_cost * take_max), count


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
def backward(o: Outlook, first: int, last: int, pieces: int, end: Function, out: Function) -> None:
    """V(e) = least cost of steps first, ..., last - 1 from energy e on, and of ``end`` after them."""
    own_slopes, own_lengths = np.empty(MOST), np.empty(MOST)
    sum_slopes, sum_lengths = np.empty(2 * MOST), np.empty(2 * MOST)
    stage_slopes, stage_lengths = np.empty(MOST), np.empty(MOST)
    rest = 2 * (pieces + 1 + o.give.shape[1])
    rest_slopes, rest_lengths = np.empty(rest), np.empty(rest)
    for i in range(len(o.fixed)):
        own, low, value, steep = end.segments[i], end.ends[i, 0], end.value[i], o.steep[i]
        for j in range(own):
            own_slopes[j], own_lengths[j] = end.slopes[i, j], end.ends[i, j + 1] - end.ends[i, j]
        for t in range(last - 1, first - 1, -1):
            start, cost, number = _stage(o, i, t, pieces, stage_slopes, stage_lengths, rest_slopes, rest_lengths)
            total = _merge(own_slopes, own_lengths, own, stage_slopes, stage_lengths, number, sum_slopes, sum_lengths)
            left = (low + start - o.gain[i, t]) / o.keep[i, t]
            for j in range(total):
                sum_slopes[j] *= o.keep[i, t]
                sum_lengths[j] /= o.keep[i, t]
            low, high = (o.e_min[i, t - 1], o.e_max[i, t - 1]) if t > 0 else (o.low[i], o.high[i])
            value, own = _clip(
                low, high, steep, left, value + cost, sum_slopes, sum_lengths, total, own_slopes, own_lengths
            )
        value, count = _clip(
            o.low[i], o.high[i], steep, low, value, own_slopes, own_lengths, own, sum_slopes, sum_lengths
        )
        count = min(count, out.slopes.shape[1])
        out.segments[i], out.value[i], at = count, value, o.low[i]
        out.ends[i, 0] = at
        for j in range(count):
            at += sum_lengths[j]
            out.slopes[i, j], out.ends[i, j + 1] = sum_slopes[j], at
