"""Limits of a three-phase feeder: voltage band per phase, current per conductor, transformers, unbalance."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

import numpy as np

from grid import _unbalanced_limits
from grid.arrays import Array, ComplexArray, IntArray
from grid.errors import Fault, require
from grid.network import S_BASE_KVA
from grid.reduction import Reduction
from grid.unbalanced import UnbalancedFlow
from grid.unbalanced_network import PHASES, UnbalancedNetwork

VOLTAGE, CURRENT_TO, CURRENT_FROM, POWER, UNBALANCE = range(5)
_CONDUCTORS = (*PHASES, "n")
_KEPT = 8


class Use(NamedTuple):
    """Which limit is used most at each of K steps.

    Args:
        excess: (K,) positive where the limit is broken: pu for voltages, share of the limit for currents and powers,
            0.01 for one percentage point of unbalance; inf without a power flow solution.
        row: (K,) the limit, a number to give back to ``worst``.
        kind, element, conductor: (K,) which one it is; the element is a bus position, of a branch its lower bus.
    """

    excess: Array
    row: IntArray
    kind: IntArray
    element: IntArray
    conductor: IntArray


@dataclass(frozen=True, eq=False)
class _Rows:
    """M limits on magnitudes, linear in what is swept: low <= |of_v V_above + of_b b_below| <= high."""

    kind: IntArray
    element: IntArray
    conductor: IntArray
    of_v: ComplexArray
    of_b: ComplexArray
    above: IntArray
    below: IntArray
    high: Array
    low: Array
    first: IntArray
    """Rows that nearly always are the worst ones: voltages of swept buses, one line of every chain, transformers."""


@dataclass(frozen=True, eq=False)
class UnbalancedLimits:
    """What a feeder may carry.

    Args:
        network: n buses.
        v_min, v_max: band of the voltages between phase and neutral (phase and earth where there is none) [pu], at
            every bus but the slack.
        line_loading, transformer_loading: share of the rating that may be used.
        transformer: "current" against the rated one per phase and side, or "power" of all phases at the lower side.
        unbalance: largest negative over positive sequence voltage, at every bus with three phases; None for any.

    Raises:
        InputError: a band without room, shares that are not positive; all of them.
    """

    network: UnbalancedNetwork
    v_min: float = 0.9
    v_max: float = 1.1
    line_loading: float = 1.0
    transformer_loading: float = 1.0
    transformer: Literal["current", "power"] = "current"
    unbalance: float | None = None
    _built: dict[int, tuple[Reduction, _Rows]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        found = []
        if not 0 < self.v_min < self.v_max < np.inf:
            value = f"v_min = {self.v_min:g}, v_max = {self.v_max:g} pu"
            found.append(Fault("limits", value, "0 < v_min < v_max", "correct the band"))
        shares = {"line_loading": self.line_loading, "transformer_loading": self.transformer_loading}
        shares |= {} if self.unbalance is None else {"unbalance": self.unbalance}
        found += [
            Fault("limits", f"{name} = {x:g}", "a number > 0", "correct the limit")
            for name, x in shares.items()
            if not 0 < x < np.inf
        ]
        if self.transformer not in ("current", "power"):
            found.append(Fault("limits", f"transformer = {self.transformer!r}", "'current' or 'power'", "choose one"))
        require(found)

    def worst(self, flow: UnbalancedFlow, rows: IntArray | None = None) -> Use:
        """The limit with the largest excess at every step, among all of them or among some rows only."""
        table, k = self._rows(flow.reduction), flow.v_swept.shape[2]
        count = len(table.high)
        rows = np.arange(count + 2 * self.network.n) if rows is None else rows
        buses, branches = rows[(rows >= count) & (rows < count + self.network.n)], rows[rows >= count + self.network.n]
        excess, which = np.empty(k), np.empty(k, dtype=np.int64)
        _unbalanced_limits.worst(
            rows[rows < count], _real(table.of_v), _real(table.of_b), table.above, table.below, table.high, table.low,
            _real(flow.v_swept), _real(flow.b_swept), excess, which,
        )  # fmt: skip
        excess[~flow.converged] = np.inf
        use = Use(excess, which, table.kind[which], table.element[which], table.conductor[which])
        if self.transformer == "power":
            self._powers(flow, use, branches, count + self.network.n)
        if self.unbalance is not None:
            self._unbalances(flow, use, buses, count)
        return use

    def first_rows(self, reduction: Reduction) -> IntArray:
        """Rows that nearly always are the worst ones; what they leave out must be looked at in the end."""
        table = self._rows(reduction)
        transformers = np.flatnonzero(np.isfinite(self.network.s_max_kva)) + 1
        count = len(table.high)
        return np.concatenate([table.first, count + reduction.kept, count + self.network.n + transformers])

    def label(self, kind: int, element: int, conductor: int) -> str:
        """Limit for messages: ``voltage of phase b at bus 42 'Bus 7'``, ``current of phase a in line 'LINE3'``."""
        net = self.network
        if kind in (VOLTAGE, UNBALANCE):
            what = "unbalance" if kind == UNBALANCE else f"voltage of phase {_CONDUCTORS[conductor]}"
            return f"{what} at {net.bus_label(element)}"
        what = "power" if kind == POWER else f"current of conductor {_CONDUCTORS[conductor]}"
        end = {POWER: "", CURRENT_TO: " at its lower end", CURRENT_FROM: " at its upper end"}[kind]
        return f"{what} in {net.branch_label(element - 1)}{end}"

    def rows(self, reduction: Reduction) -> _Rows:
        """The limits of ``first_rows`` on voltages and currents, linear in what is swept."""
        table = self._rows(reduction)
        picked = {each.name: getattr(table, each.name)[table.first] for each in fields(table)[:-1]}
        return replace(table, **picked, first=np.arange(len(table.first)))

    def _powers(self, flow: UnbalancedFlow, use: Use, rows: IntArray, first: int) -> None:
        """Put transformers whose power has a larger excess into ``use``; row of a branch: first + its lower bus."""
        net = self.network
        for i in rows[(rows > first) & np.isfinite(net.s_max_kva[rows - first - 1])] - first:
            current = flow.i_to_a([i - 1])[0] / net.i_base_a[i]
            kva = np.abs((flow.v_at([i])[0] * np.conj(current)).sum(axis=0)) * S_BASE_KVA / 3.0
            _replace(use, kva / (net.s_max_kva[i - 1] * self.transformer_loading) - 1.0, (first + i, POWER, i))

    def _unbalances(self, flow: UnbalancedFlow, use: Use, rows: IntArray, first: int) -> None:
        assert self.unbalance is not None
        for i in rows[(rows > first) & self.network.wires[rows - first, :3].all(axis=1)] - first:
            _replace(use, flow.unbalance([i])[0] - self.unbalance, (first + i, UNBALANCE, i))

    def _rows(self, reduction: Reduction) -> _Rows:
        key = id(reduction)
        if key not in self._built:
            if len(self._built) >= _KEPT:
                self._built.pop(next(iter(self._built)))
            self._built[key] = (reduction, _build(self, reduction))
        return self._built[key][1]


def _replace(use: Use, excess: Array, by: tuple[int, int, int]) -> None:
    more = excess > use.excess
    use.excess[more] = excess[more]
    use.row[more], use.kind[more], use.element[more] = by
    use.conductor[more] = 0


def _build(limits: UnbalancedLimits, r: Reduction) -> _Rows:
    """Voltages of every bus below the slack, currents at both ends of every branch with a rating."""
    net, form, up = limits.network, limits.network.form, limits.network.parent
    rating = _ratings(limits)
    i, c = np.nonzero(net.wires & np.isfinite(rating)[:, None])
    rows, none = np.arange(len(i)), np.full(len(i), -np.inf)
    currents = []
    for kind, at, own, drawn in ((CURRENT_TO, i, form.y, r.d), (CURRENT_FROM, up[i], form.g, form.h @ r.d)):
        of_v = (own[i] @ r.p[at])[rows, c] / rating[i, None]
        of_b = (drawn[i] - own[i] @ r.q[at])[rows, c] / rating[i, None]
        currents.append((np.full(len(i), kind), i, c, of_v, of_b, r.above[at], r.below[i], np.ones(len(i)), none))
    parts = [_voltages(limits, r), _distinct([np.concatenate(column) for column in zip(*currents, strict=True)])]
    columns = [np.ascontiguousarray(np.concatenate(column)) for column in zip(*parts, strict=True)]
    named: dict[str, Any] = dict(zip((each.name for each in fields(_Rows)[:-1]), columns, strict=True))
    return _Rows(**named, first=_first(net, r, named["kind"], named["element"], rating))


def _distinct(columns: list[Any]) -> list[Any]:
    """Rows without repetitions: lines in a row carry the same current, and so do both ends without charging."""
    of_v, of_b, above, below = columns[3:7]
    where = np.where(of_v.any(axis=1), above, 0)
    key = np.column_stack([below, where, of_v.real, of_v.imag, of_b.real, of_b.imag])
    kept = np.sort(np.unique(key, axis=0, return_index=True)[1])
    return [column[kept] for column in columns]


def _voltages(limits: UnbalancedLimits, r: Reduction) -> tuple[Array | IntArray | ComplexArray, ...]:
    net = limits.network
    i, f = np.nonzero(net.wires[:, :3])
    i, f = i[i > 0], f[i > 0]
    pick = np.eye(net.w)[f]
    if net.w == 4:
        pick[:, 3] -= 1.0
    of_v, of_b = (np.einsum("mc,mcd->md", pick, x[i]) for x in (r.p, -r.q))
    high, low = np.full(len(i), limits.v_max), np.full(len(i), limits.v_min)
    return np.full(len(i), VOLTAGE), i, f, of_v, of_b, r.above[i], r.below[i], high, low


def _ratings(limits: UnbalancedLimits) -> Array:
    """(n,) largest current of the branch above each bus [pu of either end]; inf without, and at the slack."""
    net, rating = limits.network, np.full(limits.network.n, np.inf)
    rating[1:] = net.i_max_a * limits.line_loading / net.i_base_a[1:]
    if limits.transformer == "current":
        rating[1:] = np.minimum(rating[1:], net.s_max_kva * limits.transformer_loading / S_BASE_KVA)
    return rating


def _first(net: UnbalancedNetwork, r: Reduction, kind: IntArray, element: IntArray, rating: Array) -> IntArray:
    kept = np.zeros(net.n, dtype=np.bool_)
    kept[r.kept] = True
    tight = np.zeros(net.n, dtype=np.bool_)
    carries = r.d.any(axis=(1, 2))
    for d in range(len(r.kept)):
        chain = np.flatnonzero(carries & (r.below == d) & np.isfinite(rating))
        if len(chain):
            tight[chain[np.argmin(rating[chain])]] = True
    tight[1:] |= np.isfinite(net.s_max_kva)
    transformer = np.isfinite(net.s_max_kva)[element - 1]
    use = np.where(kind == VOLTAGE, kept[element], tight[element] & ((kind == CURRENT_TO) | transformer))
    return np.flatnonzero(use)


def _real(x: ComplexArray) -> Array:
    return x.view(np.float64).reshape(*x.shape, 2)
