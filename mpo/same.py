"""What regions have in common: rows, laws, everything."""

from __future__ import annotations

import numpy as np

from mpo._slice import Table
from mpo.arrays import Array, BoolArray, IntArray

_ROW, _LAW, _MASK_WORDS = 1e-11, 1e-9, 8


def alike(vectors: Array, tolerance: float) -> IntArray:
    """A number for each row of an array, the same for rows that agree; a few that agree may get different ones."""
    number = np.empty(len(vectors), np.int64)
    order = np.argsort(vectors @ np.random.default_rng(0).standard_normal(vectors.shape[1]), kind="stable")
    new = np.abs(np.diff(vectors[order], axis=0)).max(axis=1, initial=0.0) > tolerance
    number[order] = np.concatenate([[0], np.cumsum(new)])[: len(order)]
    return number


def laws(law: Array) -> IntArray:
    """A number for each law ``(R, n, p + 1)``, the same for regions with the same variables, whatever multipliers."""
    return alike(law.reshape(len(law), law[0].size if len(law) else 0), _LAW)


def shared_rows(rows: Array, inverse: Array, inner: Array) -> Table:
    """The table of the rows ``(R, m, p + 1)`` of all regions."""
    have = inverse > 0.0
    flat = rows[have] * inverse[have][:, None]
    group = alike(flat, _ROW)
    _, first, times = np.unique(group, return_index=True, return_counts=True)
    often = np.argsort(-times, kind="stable")
    number, mask = np.full(inverse.shape, -1, np.int32), np.zeros((len(rows), _MASK_WORDS), np.uint64)
    number[have] = np.argsort(often)[group]
    region, place = np.nonzero((number >= 0) & (number < 64 * _MASK_WORDS))
    bit = number[region, place]
    np.bitwise_or.at(mask, (region, bit >> 6), np.uint64(1) << (bit & 63).astype(np.uint64))
    return Table(flat[first[often]], number, mask, inner)


def different(rows: Array, law: Array, kind: BoolArray) -> IntArray:
    """First of each set of regions with the same variables and multipliers as functions of the parameters.

    Then their slacks agree as well, and the regions are one and the same.
    """
    if len(rows) < 2:
        return np.arange(len(rows))
    generic = np.random.default_rng(0)
    mark = law.reshape(len(law), -1) @ generic.standard_normal(law[0].size)
    mark += np.einsum("rmp,rm,mp->r", rows, kind, generic.standard_normal(rows.shape[1:]))
    order = np.argsort(mark, kind="stable")
    kept = np.ones(len(rows), np.bool_)
    near = np.flatnonzero(np.diff(mark[order]) <= 1e-9 * (1.0 + np.abs(mark[order[1:]])))
    for a, b in zip(order[near], order[near + 1], strict=True):
        equal = np.allclose(law[a], law[b], rtol=1e-9, atol=1e-11)
        if equal and np.allclose(rows[a] * kind[a][:, None], rows[b] * kind[b][:, None], rtol=1e-9, atol=1e-11):
            kept[b] = False
    return np.flatnonzero(kept)
