"""Kernels of the margins: the worst that the few most harmful of many devices do to every limit."""

from __future__ import annotations

import numba as nb
import numpy as np

STARTS = 8  # directions in which a loading that may reach its limit is pushed


@nb.njit(cache=True, error_model="numpy")
def _worst(g_p, g_q, low, high, s, p, q):  # type: ignore[no-untyped-def]
    """Maximise g . (x - (p, q)) over low <= x_p <= high, |x| <= s: the gain, and the deviation that brings it.

    Along the disc g_p x + |g_q| sqrt(s^2 - x^2) is concave, so that its free maximum s g_p / |g| may be clipped.
    """
    if s > 0.0:
        size = np.sqrt(g_p * g_p + g_q * g_q)
        x = s * g_p / size if size > 0.0 else p
        x = min(max(x, low), high)
        y = np.sqrt(max(s * s - x * x, 0.0))
        y = y if g_q >= 0.0 else -y
    else:
        x = high if g_p > 0.0 else low
        y = q
    gain = g_p * (x - p) + g_q * (y - q)
    if gain > 0.0:
        return gain, x - p, y - q
    return 0.0, 0.0, 0.0


@nb.njit(cache=True, error_model="numpy")
def _keep_largest(value, who, best, place, count):  # type: ignore[no-untyped-def]
    """Insert ``value`` of ``who`` into the first ``count`` of a descending list of fixed length; the new count."""
    length = len(best)
    if count == length and (length == 0 or value <= best[length - 1]):
        return count
    at = count if count < length else length - 1
    while at > 0 and best[at - 1] < value:
        best[at], place[at] = best[at - 1], place[at - 1]
        at -= 1
    best[at], place[at] = value, who
    return min(count + 1, length)


@nb.njit(cache=True, error_model="numpy")
def of_rows(step, g_p, g_q, bus, low, high, s, plan, budget, out):  # type: ignore[no-untyped-def]
    """out (M,): largest increase of rows with gradients g_p, g_q (M, n) that ``budget`` devices bring about."""
    best, place = np.empty(budget), np.empty(budget, np.int64)
    for r in range(len(step)):
        k, count = step[r], 0
        for a in range(len(bus)):
            gain = _worst(g_p[r, bus[a]], g_q[r, bus[a]], low[a, k], high[a, k], s[a], plan[0, a, k], plan[1, a, k])[0]
            count = _keep_largest(gain, a, best, place, count)
        out[r] = best[:count].sum()


@nb.njit(cache=True, error_model="numpy")
def of_voltages(v, dv, column, low, high, s, plan, budget, rise, drop):  # type: ignore[no-untyped-def]
    """rise, drop (n, K): largest linear change of |V| up and down; dv (C, 2, n, K) per kW and kvar at C buses."""
    best, place = np.empty(budget), np.empty(budget, np.int64)
    fall, where = np.empty(budget), np.empty(budget, np.int64)
    for i in range(v.shape[0]):
        for k in range(v.shape[1]):
            e = np.conj(v[i, k]) / abs(v[i, k])
            up = down = 0
            for a in range(len(column)):
                c = column[a]
                g_p, g_q = (e * dv[c, 0, i, k]).real, (e * dv[c, 1, i, k]).real
                p, q = plan[0, a, k], plan[1, a, k]
                gain = _worst(g_p, g_q, low[a, k], high[a, k], s[a], p, q)[0]
                loss = _worst(-g_p, -g_q, low[a, k], high[a, k], s[a], p, q)[0]
                up = _keep_largest(gain, a, best, place, up)
                down = _keep_largest(loss, a, fall, where, down)
            rise[i, k], drop[i, k] = best[:up].sum(), fall[:down].sum()


@nb.njit(cache=True, error_model="numpy")
def _shift_along(u, m, k, low, high, s, plan, best, place, w):  # type: ignore[no-untyped-def]
    """Sum of the changes m w of the devices that move a complex loading furthest in the direction u."""
    count = 0
    for a in range(len(s)):
        g_p, g_q = (np.conj(u) * m[0, a]).real, (np.conj(u) * m[1, a]).real
        gain, dp, dq = _worst(g_p, g_q, low[a, k], high[a, k], s[a], plan[0, a, k], plan[1, a, k])
        w[a] = m[0, a] * dp + m[1, a] * dq
        count = _keep_largest(gain, a, best, place, count)
    total = 0.0 + 0.0j
    for j in range(count):
        total += w[place[j]]
    return total


@nb.njit(cache=True, error_model="numpy")
def of_loadings(  # type: ignore[no-untyped-def]
    v, dv, from_bus, to_bus, c_f, c_t, as_power, at_from, column, low, high, s, plan, budget, turns, factor, shift
):
    """shift (E, K): the change of each complex loading, by ``budget`` devices, that makes its magnitude largest.

    ``factor`` (K,) lengthens the change. From several directions u: the worst change for u, then u turned to where that
    leads, at most ``turns`` times; every turn lengthens the loading. Where even a bound cannot reach the limit, the
    direction of the loading alone is tried.
    """
    n_devices = len(column)
    m, w = np.empty((2, n_devices), np.complex128), np.empty(n_devices, np.complex128)
    best, place = np.empty(budget), np.empty(budget, np.int64)
    for e in range(len(from_bus)):
        f, t = from_bus[e], to_bus[e]
        end = f if at_from[e] else t
        for k in range(v.shape[1]):
            load = c_f[e] * v[f, k] + c_t[e] * v[t, k]
            current = load
            if as_power[e]:
                load = v[end, k] * np.conj(current)
            count = 0
            for a in range(n_devices):
                c = column[a]
                for part in range(2):
                    change = c_f[e] * dv[c, part, f, k] + c_t[e] * dv[c, part, t, k]
                    if as_power[e]:
                        change = dv[c, part, end, k] * np.conj(current) + v[end, k] * np.conj(change)
                    m[part, a] = factor[k] * change
                p, q = plan[0, a, k], plan[1, a, k]
                far = abs(m[0, a]) * max(high[a, k] - p, p - low[a, k]) + abs(m[1, a]) * (s[a] + abs(q))
                count = _keep_largest(far, a, best, place, count)
            first = load / abs(load) if load != 0.0 else 1.0 + 0.0j
            tries = STARTS if abs(load) + best[:count].sum() > 1.0 else 1
            largest = -1.0
            for one in range(tries):
                before = -1.0
                u = first * np.exp(2j * np.pi * one / STARTS)
                for _ in range(turns + 1 if tries > 1 else 1):
                    found = _shift_along(u, m, k, low, high, s, plan, best, place, w)
                    size = abs(load + found)
                    if size > largest:
                        largest, shift[e, k] = size, found
                    if size <= max(before * (1.0 + 1e-9), 0.0):
                        break
                    u, before = (load + found) / size, size
