"""Bases of a linear complementarity problem as bit masks: principal pivot transforms and a hash table of keys.

Pair i holds a slack and a multiplier; the base tableau is ``basic = q(t) + M nonbasic``, stored as rows ``[M | q]``
(further rows, those of the variables, are carried along). A basis is the set of pairs whose roles are exchanged.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from mpo.arrays import Array, IntArray, KeyArray

_SINGULAR = 1e-11


@nb.njit(cache=True, error_model="numpy")
def members(key: KeyArray, pairs: int, out: IntArray) -> int:
    """Write the pairs in a key to ``out``; returns how many."""
    k = 0
    for i in range(pairs):
        if (key[i >> 6] >> np.uint64(i & 63)) & np.uint64(1):
            out[k] = i
            k += 1
    return k


@nb.njit(cache=True, error_model="numpy")
def flip(key: KeyArray, i: int) -> None:
    """Exchange the roles in pair i."""
    key[i >> 6] ^= np.uint64(1) << np.uint64(i & 63)


@nb.njit(cache=True, error_model="numpy")
def slot(keys: KeyArray, table: IntArray, key: KeyArray) -> np.int64:
    """Place of a key in the table (open addressing): where its number stands, or a free place (-1)."""
    mixed = np.uint64(0x9E3779B97F4A7C15)
    for w in range(len(key)):
        mixed ^= key[w]
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(32)
    mask = np.uint64(len(table) - 1)
    place = mixed & mask
    while table[place] >= 0:
        same = True
        for w in range(len(key)):
            if keys[table[place], w] != key[w]:
                same = False
        if same:
            break
        place = (place + np.uint64(1)) & mask
    return np.int64(place)


@nb.njit(cache=True, error_model="numpy")
def rehash(keys: KeyArray, count: int, table: IntArray) -> None:
    """Fill an empty table with the first ``count`` keys."""
    for number in range(count):
        table[slot(keys, table, keys[number])] = number


@nb.njit(cache=True, error_model="numpy")
def _add(row: Array, factor: float, other: Array) -> None:
    """row += factor other; on rows by themselves, which is what the compiler makes vector instructions of."""
    for c in range(len(row)):
        row[c] += factor * other[c]


@nb.njit(cache=True, error_model="numpy")
def _eliminate(block: Array, out: Array, flips: IntArray, k: int) -> bool:
    """Solve block X = rows of ``out`` in place (Gauss-Jordan, partial pivoting); False when the block is singular."""
    width = out.shape[1]
    for a in range(k):
        best = a
        for b in range(a + 1, k):
            if abs(block[b, a]) > abs(block[best, a]):
                best = b
        if not abs(block[best, a]) > _SINGULAR:
            return False
        if best != a:
            for c in range(k):
                block[a, c], block[best, c] = block[best, c], block[a, c]
            for c in range(width):
                out[flips[a], c], out[flips[best], c] = out[flips[best], c], out[flips[a], c]
        scale = 1.0 / block[a, a]
        for c in range(k):
            block[a, c] *= scale
        for c in range(width):
            out[flips[a], c] *= scale
        for b in range(k):
            factor = block[b, a]
            if b != a and factor != 0.0:
                for c in range(a, k):
                    block[b, c] -= factor * block[a, c]
                _add(out[flips[b]], -factor, out[flips[a]])
    return True


@nb.njit(cache=True, error_model="numpy")
def transform(base: Array, rows: int, flips: IntArray, k: int, out: Array, block: Array) -> bool:
    """The first ``rows`` rows of the tableau after exchanging the pairs in ``flips``; False when it is singular."""
    width = base.shape[1]
    for a in range(k):
        i = flips[a]
        for c in range(width):
            out[i, c] = -base[i, c]
        for b in range(k):
            block[a, b] = base[i, flips[b]]
            out[i, flips[b]] = 1.0 if a == b else 0.0
    if not _eliminate(block, out, flips, k):
        return False
    a = 0
    for i in range(rows):
        if a < k and flips[a] == i:
            a += 1
            continue
        for c in range(width):
            out[i, c] = base[i, c]
        for b in range(k):
            out[i, flips[b]] = 0.0
        for b in range(k):
            factor = base[i, flips[b]]
            if factor != 0.0:
                _add(out[i], factor, out[flips[b]])
    return True


@nb.njit(cache=True, error_model="numpy")
def crisscross(base: Array, pairs: int, t: Array, key: KeyArray, tolerance: float, most: int) -> tuple[int, int, Array]:
    """Least-index criss-cross at parameter t from the basis ``key``, which is overwritten.

    Returns (1, -1) at a basis that is optimal there, (0, i) when row i proves that there is none, (-1, -1) when
    ``most`` pivots were not enough; and the last tableau.

    Source: D. den Hertog, C. Roos, T. Terlaky, The linear complementarity problem, sufficient matrices, and the
    criss-cross method, Linear Algebra and its Applications 187 (1993).
    """
    out = np.empty((pairs, base.shape[1]))
    block = np.empty((pairs, pairs))
    flips = np.empty(pairs, np.int64)
    for _ in range(most):
        k = members(key, pairs, flips)
        if not transform(base, pairs, flips, k, out, block):
            return -1, -1, out
        low = -1
        for i in range(pairs):
            value = out[i, pairs + len(t)]
            for c in range(len(t)):
                value += out[i, pairs + c] * t[c]
            if value < -tolerance:
                low = i
                break
        if low < 0:
            return 1, -1, out
        flip(key, low)
        if out[low, low] <= tolerance:
            partner = -1
            for j in range(pairs):
                if out[low, j] > tolerance and j != low:
                    partner = j
                    break
            if partner < 0:
                flip(key, low)
                return 0, low, out
            flip(key, partner)
    return -1, -1, out
