"""The critical regions of one block, and laws on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mpo import _explore, _locate, _regions
from mpo._explore import Space, Work
from mpo._locate import Map
from mpo._slice import Table
from mpo._tableau import rehash
from mpo.arrays import Array, BoolArray, IntArray, KeyArray, freeze
from mpo.budget import Counts
from mpo.presolve import Block
from mpo.same import different, laws, shared_rows

_LINKS = 64
_LIMITS = 2000


@dataclass(frozen=True, eq=False)
class Part:
    """Regions over t = L theta + shift; x gains V u.

    Args:
        L, shift: (p, k), (p,).
        V: (n_x, n).
        origin, weight: (m,) multiplier i of the block times weight[i] belongs to row origin[i] of the program.
        rows: (R, m, p + 1) basic variables over (t, 1): a region is where all are >= 0.
        law: (R, n, p + 1) variables u over (t, 1).
        kind: (R, m) which basic variables are multipliers; the others are slacks.
        start, links, gain: neighbours, see ``_locate.Map``.
        limits: (., p + 1) rows >= 0 wherever there is a solution.
        point: (R, p) one point inside each region.
        keys: (R, words) bases as bit masks.
        base, multiplier: first tableau, and which of its basic variables are multipliers.
    """

    L: Array
    shift: Array
    V: Array
    origin: IntArray
    weight: Array
    rows: Array
    law: Array
    kind: BoolArray
    start: IntArray
    links: IntArray
    gain: Array
    limits: Array
    point: Array
    keys: KeyArray
    base: Array
    multiplier: BoolArray

    @cached_property
    def map(self) -> Map:
        """What the kernels want."""
        gradient = self.rows[:, :, :-1]
        length = np.sqrt(np.einsum("rmp,rmp->rm", gradient, gradient))
        inverse = np.where(length > 1e-9, 1.0 / np.maximum(length, 1e-9), 0.0)
        return Map(self.rows, inverse, self.start, self.links, self.gain, self.limits)

    @cached_property
    def table(self) -> Table:
        """Rows of all regions, those that several regions share once; see ``_slice.Table``."""
        inner = self.point.sum(axis=0) / max(1, self.regions)
        return shared_rows(self.rows, self.map.inverse, inner)

    @cached_property
    def cursor(self) -> IntArray:
        """Region where the last evaluation ended, and how often all regions had to be looked at."""
        return np.zeros(2, np.int64)

    @property
    def regions(self) -> int:
        """How many regions there are."""
        return len(self.rows)

    @property
    def laws(self) -> int:
        """How many different minimisers there are: regions that differ in multipliers only count as one."""
        return len(np.unique(laws(self.law)))

    @property
    def searched(self) -> int:
        """How often a region had to be found by looking at all of them."""
        return int(self.cursor[1])

    def parameters(self, theta: Array) -> Array:
        """t for each row of theta."""
        return theta @ self.L.T + self.shift

    def evaluate(self, t: Array) -> tuple[IntArray, Array, Array]:
        """Region (-1 outside), u and multipliers of the block's rows for each row of t; starts where it last was."""
        region = np.empty(len(t), np.int64)
        u, multiplier = np.empty((len(t), self.law.shape[1])), np.empty((len(t), self.rows.shape[1]))
        self.cursor[0] = _locate.evaluate(
            self.map, self.law, self.kind, t, self.cursor[0], region, u, multiplier, self.cursor[1:]
        )
        return region, u, multiplier

    def linked(self, more: IntArray) -> Part:
        """With further neighbours, rows (region, row between them, neighbour); those known already are left out."""
        R = self.regions
        source = np.repeat(np.arange(R), np.diff(self.start))
        _, first = np.unique(more[:, 0] * R + more[:, 2], return_index=True)
        more = more[first]
        more = more[~np.isin(more[:, 0] * R + more[:, 2], source * R + self.links[:, 2])]
        source = np.concatenate([source, more[:, 0]])
        order = np.argsort(source, kind="stable")
        links = np.vstack([self.links, np.column_stack([more[:, 1], np.full(len(more), -1), more[:, 2]])])[order]
        gain = np.concatenate([self.gain, np.ones(len(more))])[order]
        start = np.searchsorted(source[order], np.arange(R + 1))
        return replace(self, start=freeze(start), links=freeze(links), gain=freeze(gain))


def make_part(block: Block, space: Space, keys: KeyArray, points: Array, counts: Counts) -> Part:
    """Laws, neighbours and limits for the bases in ``keys``; bases of equal law count as one."""
    w, m, n = _explore.work(space), len(block.w), len(block.c)
    width = space.base.shape[1] - m
    rows, law = np.zeros((len(keys), m, width)), np.zeros((len(keys), n, width))
    kind = np.zeros((len(keys), m), np.bool_)
    _regions.collect(space, keys, w, rows, law, kind)
    kept = different(rows, law, kind)
    counts.merged += len(keys) - len(kept)
    if len(kept) < len(keys):
        keys, points, rows, law, kind = keys[kept], points[kept], rows[kept], law[kept], kind[kept]
    start, links, gain = _neighbours(space, w, keys)
    limits = np.zeros((_LIMITS, width))
    known = _regions.limits(space, keys, w, limits)
    reduced = block.parameters
    arrays = (reduced.L, reduced.shift, block.V, block.origin, block.weight * space.weight, rows, law, kind)
    rest = (start, links, gain, limits[:known], points, keys, space.base, space.multiplier)
    return Part(*(freeze(np.asarray(array)) for array in (*arrays, *rest)))


def _neighbours(space: Space, w: Work, keys: KeyArray) -> tuple[IntArray, IntArray, Array]:
    count = len(keys)
    table = np.full(1 << (4 * count + 4).bit_length(), -1, np.int64)
    rehash(keys, count, table)
    start, most = np.zeros(count + 1, np.int64), _LINKS * count + 16
    links, gain = np.zeros((most, 3), np.int64), np.zeros(most)
    found = _regions.neighbours(space, keys, table, w, start, links, gain)
    if found > most:
        links, gain = np.zeros((found, 3), np.int64), np.zeros(found)
        _regions.neighbours(space, keys, table, w, start, links, gain)
    return start, links[:found], gain[:found]
