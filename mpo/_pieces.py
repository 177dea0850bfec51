"""Points among the polygons of slices, and the outlines of all polygons of a slice; called by pieces and slices."""

from __future__ import annotations

import numba as nb
import numpy as np

from mpo.arrays import Array, IntArray

_STRAIGHT = 1e-11  # of the size of a slice: corners that are nearer to the line through their neighbours are left out


@nb.njit(cache=True, error_model="numpy")
def locate(points: Array, start: IntArray, begin: IntArray, corners: Array, piece: IntArray, beyond: Array) -> None:
    """For each slice the piece that its point is in, or that it is least far beyond; -1 where a slice has none.

    ``beyond``: how far the point is outside that piece, negative inside.
    """
    for i in range(len(points)):
        x, y = points[i]
        piece[i], beyond[i] = -1, np.inf
        for t in range(start[i], start[i + 1]):
            worst = -np.inf
            for q in range(begin[t], begin[t + 1]):
                e = q + 1 if q + 1 < begin[t + 1] else begin[t]
                a, b = corners[e, 0] - corners[q, 0], corners[e, 1] - corners[q, 1]
                length = np.hypot(a, b)
                if length > 1e-12:
                    worst = max(worst, (b * (x - corners[q, 0]) - a * (y - corners[q, 1])) / length)
            if worst < beyond[i]:
                piece[i], beyond[i] = t, worst


@nb.njit(cache=True, error_model="numpy")
def _hull(points: Array, out: Array) -> int:
    """Corners of the convex hull, counterclockwise; A. M. Andrew, Another efficient algorithm (1979)."""
    size = max(np.ptp(points[:, 0]), np.ptp(points[:, 1]), 1e-300)
    order = np.argsort(points[:, 0] + 1e-9 * points[:, 1])
    count = 0
    for turn in range(2):
        floor = count + 1
        for k in range(len(order)):
            x, y = points[order[k if turn == 0 else len(order) - 1 - k]]
            while count > floor:
                ax, ay = out[count - 1, 0] - out[count - 2, 0], out[count - 1, 1] - out[count - 2, 1]
                bx, by = x - out[count - 2, 0], y - out[count - 2, 1]
                if ax * by - ay * bx > _STRAIGHT * size * max(np.hypot(bx, by), 1e-300):
                    break
                count -= 1
            out[count, 0], out[count, 1] = x, y
            count += 1
        count -= 1
    return count


@nb.njit(cache=True, error_model="numpy")
def sides(start: IntArray, begin: IntArray, corners: Array) -> tuple[IntArray, Array]:
    """Sides a x + b y <= h, of unit length, of the union of the pieces of each slice, which is convex."""
    first, rows, count = np.zeros(len(start), np.int64), np.empty((len(corners), 3)), 0
    for i in range(len(start) - 1):
        points = corners[begin[start[i]] : begin[start[i + 1]]]
        if len(points):
            out = np.empty((2 * len(points) + 2, 2))
            found = _hull(points, out)
            for q in range(found):
                e = q + 1 if q + 1 < found else 0
                a, b = out[e, 1] - out[q, 1], out[q, 0] - out[e, 0]
                length = np.hypot(a, b)
                if length > 0.0 and count < len(rows):
                    rows[count, 0], rows[count, 1] = a / length, b / length
                    rows[count, 2] = (a * out[q, 0] + b * out[q, 1]) / length
                    count += 1
        first[i + 1] = count
    return first, rows[:count].copy()
