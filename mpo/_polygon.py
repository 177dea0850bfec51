"""Convex polygons in the plane: corners in order, counterclockwise."""

from __future__ import annotations

import numba as nb
import numpy as np

from mpo.arrays import Array

AREA = 1e-12


@nb.njit(cache=True, error_model="numpy")
def room(corners: int) -> Array:
    """Memory for so many corners, and for those that rounding errors add."""
    return np.empty((2 * corners + 8, 2))


@nb.njit(cache=True, error_model="numpy")
def clip(polygon: Array, count: int, a: float, b: float, h: float, other: Array) -> int:
    """Cut a x + b y <= h out of a polygon (vertices in order), in place; returns how many vertices remain."""
    kept = 0
    for q in range(count):
        n = q + 1 if q + 1 < count else 0
        here = h - a * polygon[q, 0] - b * polygon[q, 1]
        there = h - a * polygon[n, 0] - b * polygon[n, 1]
        if here >= 0.0:
            other[kept] = polygon[q]
            kept += 1
        if (here > 0.0 and there < 0.0) or (here < 0.0 and there > 0.0):
            w = here / (here - there)
            other[kept, 0] = polygon[q, 0] + w * (polygon[n, 0] - polygon[q, 0])
            other[kept, 1] = polygon[q, 1] + w * (polygon[n, 1] - polygon[q, 1])
            kept += 1
    for q in range(kept):
        polygon[q] = other[q]
    return kept


@nb.njit(cache=True, error_model="numpy")
def outline(A: Array, b: Array) -> Array:
    """Corners of the bounded set ``A x <= b`` in the plane, none if it is empty; cut from a huge square, then from a
    square of its own size, as rounding errors grow with that.
    """
    polygon: Array = room(4 + len(b))
    other = room(4 + len(b))
    low, high = np.full(2, -1e9), np.full(2, 1e9)
    count = 4
    for _ in range(2):
        count = 4
        for corner in range(4):
            polygon[corner, 0] = high[0] if corner in (1, 2) else low[0]
            polygon[corner, 1] = high[1] if corner >= 2 else low[1]
        for i in range(len(b)):
            count = clip(polygon, count, A[i, 0], A[i, 1], b[i], other)
            if count < 3:
                return polygon[:0]
        for c in range(2):
            size = polygon[:count, c].max() - polygon[:count, c].min()
            low[c] = polygon[:count, c].min() - size
            high[c] = polygon[:count, c].max() + size
    return polygon[:count].copy()


@nb.njit(cache=True, error_model="numpy")
def centroid(polygon: Array, count: int, out: Array) -> float:
    """Area of a polygon, its centre of gravity to ``out``."""
    area, x, y = 0.0, 0.0, 0.0
    for q in range(1, count - 1):
        ax, ay = polygon[q, 0] - polygon[0, 0], polygon[q, 1] - polygon[0, 1]
        bx, by = polygon[q + 1, 0] - polygon[0, 0], polygon[q + 1, 1] - polygon[0, 1]
        part = 0.5 * (ax * by - ay * bx)
        area += part
        x += part * (ax + bx) / 3.0
        y += part * (ay + by) / 3.0
    if area > 0.0:
        out[0] = polygon[0, 0] + x / area
        out[1] = polygon[0, 1] + y / area
    return area
