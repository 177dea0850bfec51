"""Kernels of the mixing: products with rows given as gradients times answers, and their Schur complement.

Row r belongs to the step t = at[r] and has the effect sum_c gradient[r, c B + b] answers[t, l, c B + b] of answer l at
bus b, c = p, q. So rows of one step share their answers, and no matrix of all rows and answers is ever built.
"""

import numba as nb
import numpy as np


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def forward(at, gradient, answers, weights, out):  # type: ignore[no-untyped-def]
    """out (M,) = rows times weights (L, B)."""
    n_steps, n_answers, width = answers.shape
    n_buses = width // 2
    x = np.zeros((n_steps, width))
    for t in range(n_steps):
        for a in range(n_answers):
            for b in range(n_buses):
                x[t, b] += answers[t, a, b] * weights[a, b]
                x[t, n_buses + b] += answers[t, a, n_buses + b] * weights[a, b]
    for r in range(len(at)):
        s = 0.0
        for j in range(width):
            s += gradient[r, j] * x[at[r], j]
        out[r] = s


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def transposed(at, gradient, answers, y, out):  # type: ignore[no-untyped-def]
    """out (L, B) = rows' times y (M,)."""
    n_steps, n_answers, width = answers.shape
    n_buses = width // 2
    u = np.zeros((n_steps, width))
    for r in range(len(at)):
        for j in range(width):
            u[at[r], j] += y[r] * gradient[r, j]
    out[:] = 0.0
    for t in range(n_steps):
        for a in range(n_answers):
            for b in range(n_buses):
                out[a, b] += answers[t, a, b] * u[t, b] + answers[t, a, n_buses + b] * u[t, n_buses + b]


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _spread(answers, own, total, mean, spread):  # type: ignore[no-untyped-def]
    """Weighted mean (T, 2 B) of the answers, and what they differ from it, times the root of their weight."""
    n_steps, n_answers, width = answers.shape
    n_buses = width // 2
    root = np.sqrt(own)
    mean[:] = 0.0
    for t in range(n_steps):
        for c in range(2):
            o = c * n_buses
            for a in range(n_answers):
                for b in range(n_buses):
                    mean[t, o + b] += answers[t, a, o + b] * own[a, b]
            for b in range(n_buses):
                mean[t, o + b] /= total[b]
            for a in range(n_answers):
                for b in range(n_buses):
                    spread[t, a, o + b] = (answers[t, a, o + b] - mean[t, o + b]) * root[a, b]


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _covariance(one, other, out):  # type: ignore[no-untyped-def]
    """Sums over the answers of products of p, q at one step with p, q at another: out (4, B) = pp, pq, qp, qq.

    The number of answers is a multiple of 3, so that sums are written once for three of them.
    """
    n_answers, width = one.shape
    n_buses = width // 2
    out[:] = 0.0
    for a in range(0, n_answers, 3):
        for b in range(n_buses):
            p0, p1, p2 = one[a, b], one[a + 1, b], one[a + 2, b]
            q0, q1, q2 = one[a, n_buses + b], one[a + 1, n_buses + b], one[a + 2, n_buses + b]
            x0, x1, x2 = other[a, b], other[a + 1, b], other[a + 2, b]
            y0, y1, y2 = other[a, n_buses + b], other[a + 1, n_buses + b], other[a + 2, n_buses + b]
            out[0, b] += p0 * x0 + p1 * x1 + p2 * x2
            out[1, b] += p0 * y0 + p1 * y1 + p2 * y2
            out[2, b] += q0 * x0 + q1 * x1 + q2 * x2
            out[3, b] += q0 * y0 + q1 * y1 + q2 * y2


@nb.njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract"})
def schur(first, gradient, answers, own, total, matrix, coupling):  # type: ignore[no-untyped-def]
    """Lower triangle of sum_b of the rows' weighted covariance over the answers; coupling (M, B) = sum_l row own.

    Rows ``first[t]:first[t + 1]`` belong to step t; ``own (L, B)`` weights, ``total (B,)`` their sums.
    """
    n_steps, n_answers, width = answers.shape
    n_buses = width // 2
    mean = np.empty((n_steps, width))
    spread = np.zeros((n_steps, -(-n_answers // 3) * 3, width))
    _spread(answers, own, total, mean, spread)
    product = np.empty((4, n_buses))
    seen = np.empty(gradient.shape)  # what a change of the rows so far does to the answers at step t
    for t in range(n_steps):
        begin, end = first[t], first[t + 1]
        for r in range(begin, end):
            for b in range(n_buses):
                m = gradient[r, b] * mean[t, b] + gradient[r, n_buses + b] * mean[t, n_buses + b]
                coupling[r, b] = m * total[b]
        for u in range(t + 1):
            _covariance(spread[t], spread[u], product)
            for s in range(first[u], first[u + 1]):
                for b in range(n_buses):
                    p, q = gradient[s, b], gradient[s, n_buses + b]
                    seen[s, b] = product[0, b] * p + product[1, b] * q
                    seen[s, n_buses + b] = product[2, b] * p + product[3, b] * q
        matrix[begin:end, :end] = np.dot(gradient[begin:end], seen[:end].T)
