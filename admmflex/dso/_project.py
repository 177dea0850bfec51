"""Kernels of the DSO step: violations, the worst of each feeder, and the projection on the rows of each step."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from admmflex.horizon import Array, IntArray

TOGETHER = 32  # rows that are multiplied at once
DEPENDENT = 1e-10  # share of a row that is left outside the span of others, squared


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def voltage_excess(v, dv, v_min, v_max, high, low):  # type: ignore[no-untyped-def]
    """Excess of the linearised magnitudes |V| + Re(conj(V) dV) / |V| (n, K) over and under their limits (n,)."""
    for i in range(v.shape[0]):
        for t in range(v.shape[1]):
            re, im = v[i, t].real, v[i, t].imag
            size = np.sqrt(re * re + im * im)
            size += (re * dv[i, t].real + im * dv[i, t].imag) / size
            high[i, t] = size - v_max[i]
            low[i, t] = v_min[i] - size


@nb.njit(cache=True, error_model="numpy", fastmath={"contract"})
def loading_excess(v, dv, from_bus, to_bus, c_f, c_t, as_power, at_from, out):  # type: ignore[no-untyped-def]
    """out (E, K) = |loading| - 1 of the branch ends at the voltages v + dv (n, K); see ``grid.limits.Limits``."""
    for e in range(out.shape[0]):
        f, g = from_bus[e], to_bus[e]
        end = f if at_from[e] else g
        for t in range(out.shape[1]):
            x = c_f[e] * (v[f, t] + dv[f, t]) + c_t[e] * (v[g, t] + dv[g, t])
            size = x.real * x.real + x.imag * x.imag
            if as_power[e]:
                w = v[end, t] + dv[end, t]
                size *= w.real * w.real + w.imag * w.imag
            out[e, t] = np.sqrt(size) - 1.0


@nb.njit(cache=True, error_model="numpy")
def gather(gp, gq, buses, out):  # type: ignore[no-untyped-def]
    """out (M, 2 B): columns ``buses`` of gp, then of gq (M, n)."""
    n_buses = len(buses)
    for r in range(out.shape[0]):
        for b in range(n_buses):
            out[r, b] = gp[r, buses[b]]
            out[r, n_buses + b] = gq[r, buses[b]]


@nb.njit(cache=True, error_model="numpy")
def worst_per_group(excess, group, n_groups, tolerance):  # type: ignore[no-untyped-def]
    """For each step and group the row of ``excess (rows, K)`` that exceeds ``tolerance`` most: (steps, rows)."""
    n_rows, n_steps = excess.shape
    best = np.full((n_groups, n_steps), tolerance)
    where = np.full((n_groups, n_steps), -1)
    for i in range(n_rows):
        g = group[i]
        for t in range(n_steps):
            if excess[i, t] > best[g, t]:
                best[g, t] = excess[i, t]
                where[g, t] = i
    count = 0
    for g in range(n_groups):
        for t in range(n_steps):
            count += where[g, t] >= 0
    steps = np.empty(count, np.int64)
    rows = np.empty(count, np.int64)
    count = 0
    for t in range(n_steps):
        for g in range(n_groups):
            if where[g, t] >= 0:
                steps[count] = t
                rows[count] = where[g, t]
                count += 1
    return steps, rows


@nb.njit(cache=True, error_model="numpy")
def _factorise(gram, active, start, n, factor):  # type: ignore[no-untyped-def]
    """Rows ``start`` to n - 1 of the Cholesky factor of gram[active, active]; False at a row that depends on others."""
    for i in range(start, n):
        for j in range(i + 1):
            s = gram[active[i], active[j]]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = s / factor[j, j]
            elif s <= DEPENDENT * gram[active[i], active[i]]:
                return False
            else:
                factor[i, i] = np.sqrt(s)
    return True


@nb.njit(cache=True, error_model="numpy")
def _solve(factor, right, active, n, y):  # type: ignore[no-untyped-def]
    """Solve gram[active, active] y = right[active]."""
    for i in range(n):
        s = right[active[i]]
        for k in range(i):
            s -= factor[i, k] * y[k]
        y[i] = s / factor[i, i]
    for i in range(n - 1, -1, -1):
        s = y[i]
        for k in range(i + 1, n):
            s -= factor[k, i] * y[k]
        y[i] = s / factor[i, i]


@nb.njit(cache=True, error_model="numpy")
def _leave(gram, active, position, n, factor):  # type: ignore[no-untyped-def]
    """Take the row at ``position`` out of the active set."""
    for i in range(position, n - 1):
        active[i] = active[i + 1]
    return _factorise(gram, active, position, n - 1, factor)


@nb.njit(cache=True, error_model="numpy")
def _descend(gram, gap, nu, active, n, factor, y):  # type: ignore[no-untyped-def]
    """Minimise over the active rows; those that would go below zero leave. Returns how many are left."""
    while True:
        _solve(factor, gap, active, n, y)
        length = 1.0
        blocking = -1
        for i in range(n):
            if y[i] <= 0.0:
                step = nu[active[i]] / (nu[active[i]] - y[i]) if nu[active[i]] > 0.0 else 0.0
                if step < length or blocking < 0:
                    length = step
                    blocking = i
        for i in range(n):
            nu[active[i]] += length * (y[i] - nu[active[i]])
        if blocking < 0:
            return n
        nu[active[blocking]] = 0.0
        _leave(gram, active, blocking, n, factor)
        n -= 1


@nb.njit(cache=True, error_model="numpy")
def _exchange(gram, nu, active, n, factor, y, entering):  # type: ignore[no-untyped-def]
    """Let a row enter that depends on the active ones: its multiplier grows, theirs make up for it, one reaches zero.

    Returns False when none does: then no point meets all these rows.
    """
    _solve(factor, gram[entering], active, n, y)
    length = np.inf
    blocking = -1
    for i in range(n):
        if y[i] > DEPENDENT and nu[active[i]] < length * y[i]:
            length = nu[active[i]] / y[i]
            blocking = i
    if blocking < 0:
        return False
    for i in range(n):
        nu[active[i]] = max(nu[active[i]] - length * y[i], 0.0)
    nu[entering] = length
    nu[active[blocking]] = 0.0
    active[n] = entering
    if _leave(gram, active, blocking, n + 1, factor):
        return True
    nu[entering] = 0.0
    return False


@nb.njit(cache=True, error_model="numpy")
def _most_violated(gram, gap, nu, banned, scale, tolerance):  # type: ignore[no-untyped-def]
    """The row without multiplier whose plane is farthest beyond ``tolerance``, or -1."""
    best = tolerance
    entering = -1
    for i in range(len(gap)):
        if nu[i] == 0.0 and not banned[i] and scale[i] > 0.0:
            s = gap[i]
            for k in range(len(gap)):
                s -= gram[i, k] * nu[k]
            if s > best * scale[i]:
                best = s / scale[i]
                entering = i
    return entering


@nb.njit(cache=True, error_model="numpy")
def nonnegative_qp(gram, gap, nu):  # type: ignore[no-untyped-def]
    """min 1/2 nu' G nu - gap' nu, nu >= 0, by the active-set method of Lawson and Hanson, warm-started from ``nu``.

    Rows that depend on active ones are exchanged for one of them. ``nu`` is overwritten by the solution; returns False
    when the iteration limit was met.
    """
    m = len(gap)
    active = np.empty(m, np.int64)
    factor = np.empty((m, m))
    y = np.empty(m)
    scale = np.sqrt(np.diag(gram))
    banned = np.zeros(m, np.bool_)
    tolerance = 1e-300
    n = 0
    for i in range(m):
        if scale[i] > 0.0:
            tolerance = max(tolerance, 1e-11 * abs(gap[i]) / scale[i])
        active[n] = i
        if nu[i] > 0.0 and _factorise(gram, active, n, n + 1, factor):
            n += 1
        else:
            nu[i] = 0.0
    for _ in range(20 * m + 50):
        n = _descend(gram, gap, nu, active, n, factor, y)
        entering = _most_violated(gram, gap, nu, banned, scale, tolerance)
        if entering < 0:
            return True
        active[n] = entering
        if _factorise(gram, active, n, n + 1, factor):
            n += 1
        elif not _exchange(gram, nu, active, n, factor, y, entering):
            banned[entering] = True
    return False


class Products(NamedTuple):
    """What is known of the rows of each of K steps, up to C of them, while target and mobility stay the same.

    gram (K, C, C): products of their gradients in the metric mobility; gap (K, C): their values at the target;
    done (K,): of how many rows of a step.
    """

    gram: Array
    gap: Array
    done: IntArray

    @classmethod
    def room(cls, n_steps: int, n_rows: int) -> Products:
        """Nothing known yet."""
        return cls(np.empty((n_steps, n_rows, n_rows)), np.empty((n_steps, n_rows)), np.zeros(n_steps, np.int64))


@nb.njit(cache=True, error_model="numpy")
def _block(matrix, a, b):  # type: ignore[no-untyped-def]
    """Rows a to b - 1 as a matrix that is known to be contiguous."""
    n = matrix.shape[1]
    return matrix.reshape(-1)[a * n : b * n].reshape(b - a, n)


@nb.njit(cache=True, error_model="numpy")
def _multiply(gradient, value, offset, mobility, products, t):  # type: ignore[no-untyped-def]
    """Complete the products of step t, whose rows not done yet stand last; value at the target is value + g offset."""
    n = len(value)
    a = products.done[t]
    while a < n:
        b = min(a + TOGETHER, n)
        new = _block(gradient, a, b)
        products.gap[t, a:b] = value[a:b] + np.dot(new, offset)
        block = np.dot(new * mobility, _block(gradient, 0, b).T)
        for i in range(a, b):
            for j in range(i + 1):
                products.gram[t, i, j] = block[i - a, j]
                products.gram[t, j, i] = block[i - a, j]
        a = b
    products.done[t] = n


@nb.njit(cache=True, error_model="numpy")
def project_some(steps, first, gradient, value, origin, target, mobility, nu, point, price, products):  # type: ignore[no-untyped-def]
    """Project each of ``steps`` on its rows.

    min sum_j (z_j - target_j)^2 / (2 mobility_j)   s.t.  value_r + gradient_r (z - origin) <= 0  for the rows of a step

    Rows ``first[t]:first[t + 1]`` belong to step t; ``gradient (M, n)``, ``value, nu (M,)``; ``origin, target,
    mobility, point, price (K, n)``. Writes ``nu`` (warm start on entry), ``point`` = z and ``price`` = - gradient' nu.
    ``products`` keeps what later calls can use that only add rows behind those of a step.
    Returns the number of steps whose active-set search did not finish.
    """
    n = target.shape[1]
    unfinished = 0
    for t in steps:
        a = first[t]
        b = first[t + 1]
        price[t] = 0.0
        if b > a:
            _multiply(_block(gradient, a, b), value[a:b], target[t] - origin[t], mobility[t], products, t)
            gram = np.ascontiguousarray(products.gram[t, : b - a, : b - a])
            if not nonnegative_qp(gram, products.gap[t, : b - a], nu[a:b]):
                unfinished += 1
            for i in range(a, b):
                if nu[i] > 0.0:
                    for j in range(n):
                        price[t, j] -= nu[i] * gradient[i, j]
        for j in range(n):
            point[t, j] = target[t, j] + mobility[t, j] * price[t, j]
    return unfinished
