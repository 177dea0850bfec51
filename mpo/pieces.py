"""Slices of two parameters: what they look like, however they were found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mpo import _pieces
from mpo.arrays import Array, IntArray


@dataclass(frozen=True, eq=False)
class Slices:
    """Many slices of two parameters s, cut into polygons (pieces) on which the minimiser is affine.

    In piece k, x = x[k, :, :2] s + x[k, :, 2] and the value is 1/2 s' hessian[k] s + slope[k] s + constant[k]; for a
    linear program the value is the largest of those of all pieces of the slice. A slice has no pieces where its fixed
    parameters lie outside the parameter set, or where nothing has a solution.

    Args:
        start: (m + 1,) pieces of slice j are start[j] ... start[j + 1] - 1.
        begin: (K + 1,) corners of piece k are begin[k] ... begin[k + 1] - 1.
        corners: (., 2), counterclockwise.
        region: (K,) number of the region in the solution that was sliced; -1 from ``Planes``.
        x: (K, n, 3).
        hessian, slope, constant: (K, 2, 2), (K, 2), (K,).
        start_side, sides: (m + 1,), (., 3): a s_0 + b s_1 <= h of unit length, exactly where a slice has a solution.
    """

    start: IntArray
    begin: IntArray
    corners: Array
    region: IntArray
    x: Array
    hessian: Array
    slope: Array
    constant: Array
    start_side: IntArray
    sides: Array

    def __len__(self) -> int:
        return len(self.start) - 1

    def locate(self, points: Array) -> tuple[IntArray, Array]:
        """The piece in which the point (m, 2) of each slice lies, or that is nearest, -1 where there is none; and how
        far beyond that piece the point is, negative inside.
        """
        piece, beyond = np.empty(len(points), np.int64), np.empty(len(points))
        _pieces.locate(np.asarray(points, np.float64), self.start, self.begin, self.corners, piece, beyond)
        return piece, beyond

    def minimisers(self, points: Array) -> tuple[Array, Array]:
        """The variables (m, n) at one point (m, 2) of each slice, by the law of the piece it is in or next to; and how
        far beyond that piece it is. NaN where there is no piece.
        """
        piece, beyond = self.locate(points)
        if not len(self.x):
            return np.full((len(points), self.x.shape[1]), np.nan), beyond
        x = np.where((piece >= 0)[:, None, None], self.x[piece], np.nan)
        return x[:, :, 0] * points[:, :1] + x[:, :, 1] * points[:, 1:] + x[:, :, 2], beyond
