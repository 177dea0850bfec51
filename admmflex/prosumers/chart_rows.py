"""Pieces and sides of charts as they are collected, then as many for every home."""

from __future__ import annotations

import numpy as np

from admmflex.horizon import Array, IntArray


class ChartRows:
    """Pieces and sides of charts as they are collected, over the power of what can move."""

    def __init__(self) -> None:
        self._piece_home: list[IntArray] = []
        self._piece: list[Array] = []
        self._side_home: list[IntArray] = []
        self._side: list[Array] = []

    def add_pieces(self, home: IntArray, a: Array, b: Array, d: Array, low: Array, high: Array) -> None:
        """a p + b q + d where p is between low and high, (T,) each."""
        self._piece_home.append(home)
        self._piece.append(np.stack([a, b, d, low, high]))

    def add_sides(self, home: IntArray, a: Array, b: Array, h: Array) -> None:
        """a p + b q <= h, (M,) each."""
        self._side_home.append(home)
        self._side.append(np.stack([a, b, h]))

    def pieces(self) -> tuple[IntArray, Array, Array, Array, Array, Array]:
        """home, a, b, d, low, high."""
        a, b, d, low, high = np.concatenate(self._piece, axis=1)
        return np.concatenate(self._piece_home), a, b, d, low, high

    def sides(self) -> tuple[IntArray, Array, Array]:
        """home, H, h."""
        found = np.concatenate(self._side, axis=1)
        return np.concatenate(self._side_home), found[:2].T, found[2]


def padded(owner: IntArray, homes: int, rows: Array) -> Array:
    """(homes, most, columns): the rows of each home, its first one filling up."""
    order = np.argsort(owner, kind="stable")
    owner, rows = owner[order], rows[order]
    first = np.searchsorted(owner, np.arange(homes))
    place = np.arange(len(owner)) - first[owner]
    out = np.repeat(rows[first][:, None], int(place.max()) + 1, axis=1)
    out[owner, place] = rows
    return out


def widened(rows: Array, width: int) -> Array:
    """The first row of each home fills up."""
    spare = np.repeat(rows[:, :1], width - rows.shape[1], axis=1)
    return np.concatenate([rows, spare], axis=1)
