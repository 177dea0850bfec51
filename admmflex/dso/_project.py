"""Kernels of the DSO step: the worst violation per feeder, and the projection on the rows of each step."""

import numba as nb
import numpy as np


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
def _cholesky_solve(gram, gap, active, n, factor, y):  # type: ignore[no-untyped-def]
    """Solve gram[active, active] y = gap[active]; returns the position of a dependent row, or -1."""
    for i in range(n):
        for j in range(i + 1):
            s = gram[active[i], active[j]]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            if i > j:
                factor[i, j] = s / factor[j, j]
            elif s <= 1e-10 * gram[active[i], active[i]]:
                return i
            else:
                factor[i, i] = np.sqrt(s)
    for i in range(n):
        s = gap[active[i]]
        for k in range(i):
            s -= factor[i, k] * y[k]
        y[i] = s / factor[i, i]
    for i in range(n - 1, -1, -1):
        s = y[i]
        for k in range(i + 1, n):
            s -= factor[k, i] * y[k]
        y[i] = s / factor[i, i]
    return -1


@nb.njit(cache=True, error_model="numpy")
def nonnegative_qp(gram, gap, nu):  # type: ignore[no-untyped-def]
    """min 1/2 nu' G nu - gap' nu, nu >= 0, by the active-set method of Lawson and Hanson, warm-started from ``nu``.

    ``nu`` is overwritten by the solution; returns False when the iteration limit was met.
    """
    m = len(gap)
    inside = nu > 0.0
    banned = np.zeros(m, np.bool_)
    active = np.empty(m, np.int64)
    factor = np.empty((m, m))
    y = np.empty(m)
    tolerance = 1e-11 * (np.abs(gap).max() + 1e-300)
    for _ in range(10 * m + 20):
        for _ in range(20 * m + 50):
            n = 0
            for i in range(m):
                if inside[i]:
                    active[n] = i
                    n += 1
            dependent = _cholesky_solve(gram, gap, active, n, factor, y)
            if dependent >= 0:
                i = active[dependent]
                inside[i] = False
                banned[i] = True
                nu[i] = 0.0
                continue
            length = 1.0
            blocking = -1
            for i in range(n):
                if y[i] <= 0.0:
                    step = nu[active[i]] / (nu[active[i]] - y[i]) if nu[active[i]] > 0.0 else 0.0
                    if step < length or blocking < 0:
                        length = step
                        blocking = i
            if blocking < 0:
                nu[:] = 0.0
                for i in range(n):
                    nu[active[i]] = y[i]
                break
            for i in range(n):
                nu[active[i]] += length * (y[i] - nu[active[i]])
            inside[active[blocking]] = False
            nu[active[blocking]] = 0.0
            banned[:] = False
        best = tolerance
        entering = -1
        for i in range(m):
            if not inside[i] and not banned[i] and gram[i, i] > 0.0:
                s = gap[i]
                for k in range(m):
                    s -= gram[i, k] * nu[k]
                if s > best:
                    best = s
                    entering = i
        if entering < 0:
            return True
        inside[entering] = True
    return False


@nb.njit(cache=True, error_model="numpy")
def project_steps(first, gradient, value, origin, target, mobility, nu, point, price):  # type: ignore[no-untyped-def]
    """Project each step on its rows.

    min sum_j (z_j - target_j)^2 / (2 mobility_j)   s.t.   value_r + gradient_r (z - origin) <= 0   for its rows

    Rows ``first[t]:first[t + 1]`` belong to step t; ``gradient (M, n)``, ``value, nu (M,)``; ``origin, target,
    mobility, point, price (K, n)``. Writes ``nu`` (warm start on entry), ``point`` = z and ``price`` = - gradient'
    nu. Returns the number of steps whose active-set search did not finish.
    """
    n_steps, n = target.shape
    unfinished = 0
    for t in range(n_steps):
        a = first[t]
        m = first[t + 1] - a
        price[t] = 0.0
        if m > 0:
            gram = np.empty((m, m))
            gap = np.empty(m)
            for i in range(m):
                s = value[a + i]
                for j in range(n):
                    s += gradient[a + i, j] * (target[t, j] - origin[t, j])
                gap[i] = s
                for k in range(i + 1):
                    s = 0.0
                    for j in range(n):
                        s += gradient[a + i, j] * gradient[a + k, j] * mobility[t, j]
                    gram[i, k] = s
                    gram[k, i] = s
            if not nonnegative_qp(gram, gap, nu[a : a + m]):
                unfinished += 1
            for i in range(m):
                if nu[a + i] > 0.0:
                    for j in range(n):
                        price[t, j] -= nu[a + i] * gradient[a + i, j]
        for j in range(n):
            point[t, j] = target[t, j] + mobility[t, j] * price[t, j]
    return unfinished
