"""Limits of a grid as rows: bus voltages, branch currents at both ends, apparent power of transformers, slack power."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from grid.arrays import Array, BoolArray, ComplexArray, IntArray
from grid.connection import SIDES, Connection, slack_row
from grid.errors import Fault, InputError
from grid.network import Network

V_HIGH, V_LOW, BRANCH, SLACK = 0, 1, 2, 3
KINDS = 4
_NAN_STAYS = np.errstate(divide="ignore", invalid="ignore")  # voltages of steps without a power flow solution


@dataclass(frozen=True, eq=False)
class Functional:
    """M rows at an operating point: excess over the limit, and its differential Re(h_a dV[bus_a] + h_b dV[bus_b]).

    ``value`` (M,) is positive where the limit is violated; ``bus_a``, ``bus_b`` (M,) are positions; ``h_a``, ``h_b``
    (M,) complex. The slack's limits have ``root`` (M,) instead: dF/dp_0 - j dF/dq_0 there [1/kW], zero for others.
    """

    value: Array
    bus_a: IntArray
    h_a: ComplexArray
    bus_b: IntArray
    h_b: ComplexArray
    root: ComplexArray


@dataclass(frozen=True)
class Worst:
    """Largest use of a kind of limit: ``value`` at ``step``, and which limit it is."""

    value: float
    step: int
    kind: int
    index: int
    label: str


@dataclass(frozen=True, eq=False)
class Limits:
    """Voltage limits of n buses and loading limits of E monitored branch ends.

    loading_e = c_f V_from + c_t V_to                          (current over rated current, complex), or
    loading_e = V_end conj(y_f V_from + y_t V_to) / s_max      (apparent power over rating, complex);   |loading_e| <= 1

    Args:
        network: n buses with v_min, v_max.
        branch: (E,) position of the monitored branch.
        at_from: (E,) monitored at its from end, else at its to end.
        as_power: (E,) apparent power instead of current.
        from_bus, to_bus: (E,) positions.
        c_f, c_t: (E,) complex coefficients over the rating.
        connection: limits of what is drawn at the slack in each of K steps, if there are any.
    """

    network: Network
    branch: IntArray
    at_from: BoolArray
    as_power: BoolArray
    from_bus: IntArray
    to_bus: IntArray
    c_f: ComplexArray
    c_t: ComplexArray
    connection: Connection | None = None

    @classmethod
    def of(
        cls,
        network: Network,
        *,
        transformer: Literal["current", "power"] = "current",
        line_loading: float = 1.0,
        transformer_loading: float = 1.0,
    ) -> Limits:
        """Monitor both ends of every branch that has a rating.

        Args:
            network: the grid.
            transformer: "current" on both sides against the rated currents, or "power": apparent power against the
                rated one.
            line_loading, transformer_loading: share of the rating that may be used.

        Raises:
            InputError: a share that is not positive, an unknown kind of transformer limit.
        """
        _check_options(transformer, line_loading, transformer_loading)
        grid = network
        as_power = grid.is_transformer & (transformer == "power")
        share = np.where(grid.is_transformer, transformer_loading, line_loading)
        rating = {
            True: np.where(as_power, grid.s_max, grid.i_max_from),
            False: np.where(as_power, grid.s_max, grid.i_max_to),
        }
        branch = np.repeat(np.arange(grid.m), 2)
        at_from = np.tile([True, False], grid.m)
        limit = np.where(at_from, rating[True][branch], rating[False][branch]) * share[branch]
        kept = np.isfinite(limit)
        branch, at_from, limit = branch[kept], at_from[kept], limit[kept]
        return cls(
            network=grid,
            branch=branch,
            at_from=at_from,
            as_power=as_power[branch],
            from_bus=grid.from_bus[branch],
            to_bus=grid.to_bus[branch],
            c_f=np.where(at_from, grid.y_ff[branch], grid.y_tf[branch]) / limit,
            c_t=np.where(at_from, grid.y_ft[branch], grid.y_tt[branch]) / limit,
        )

    @property
    def ends(self) -> int:
        """Number of monitored branch ends."""
        return len(self.branch)

    @cached_property
    def _slack_row(self) -> ComplexArray:
        return slack_row(self.network)

    @property
    def closed(self) -> BoolArray | None:
        """(K,) the steps in which nothing is exchanged at the slack; None without limits there."""
        return None if self.connection is None else np.asarray(~self.connection.bounds.any(axis=0))

    def at(self, steps: slice) -> Limits:
        """The limits of some of the steps: only those of the slack depend on the step."""
        return self if self.connection is None else replace(self, connection=self.connection.at(steps))

    @_NAN_STAYS
    def loading(self, v: ComplexArray) -> ComplexArray:
        """(E, K) complex loading of every monitored end at voltages v (n, K): magnitude 1 is the limit."""
        current = self.c_f[:, None] * v[self.from_bus] + self.c_t[:, None] * v[self.to_bus]
        power = np.flatnonzero(self.as_power)
        current[power] = v[self._end_bus(power)] * np.conj(current[power])
        return current

    @_NAN_STAYS
    def functional(
        self,
        v: ComplexArray,
        step: ArrayLike,
        kind: ArrayLike,
        index: ArrayLike,
        direction: ArrayLike | None = None,
        own: ComplexArray | None = None,
    ) -> Functional:
        """Value and differential of M rows at voltages v (n, K).

        V_HIGH |V_i| - v_max,   V_LOW v_min - |V_i|,   BRANCH Re(conj(u) loading_e) - 1,   SLACK see ``Connection``

        Args:
            v: (n, K) operating point.
            step, kind, index: (M,) step, kind of limit, bus (V_HIGH, V_LOW), monitored end (BRANCH) or side (SLACK).
            direction: (M,) complex u with |u| = 1 of BRANCH rows; the direction of the loading itself by default
                (then the row is |loading| - 1 to first order).
            own: (K,) what is injected at the slack bus itself [kW, kvar]; nothing by default.
        """
        step, kind, index = (np.asarray(a, dtype=np.int64) for a in (step, kind, index))
        size = len(step)
        bus_a, bus_b = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
        h_a, h_b = np.zeros(size, dtype=np.complex128), np.zeros(size, dtype=np.complex128)
        value, root = np.zeros(size), np.zeros(size, dtype=np.complex128)
        volts = np.flatnonzero(kind <= V_LOW)
        sign = np.where(kind[volts] == V_HIGH, 1.0, -1.0)
        at = index[volts]
        bus_a[volts] = bus_b[volts] = at
        v_at = v[at, step[volts]]
        h_a[volts] = sign * np.conj(v_at) / np.abs(v_at)
        limit = np.where(sign > 0, self.network.v_max[at], self.network.v_min[at])
        value[volts] = sign * (np.abs(v_at) - limit)
        rows = np.flatnonzero(kind == BRANCH)
        if len(rows):
            end, k = index[rows], step[rows]
            bus_a[rows], bus_b[rows] = self.from_bus[end], self.to_bus[end]
            u = None if direction is None else np.asarray(direction, dtype=np.complex128)[rows]
            value[rows], h_a[rows], h_b[rows] = self._branch_rows(v[bus_a[rows], k], v[bus_b[rows], k], end, u)
        slack = np.flatnonzero(kind == SLACK)
        if len(slack) and self.connection is not None:
            k, side = step[slack], index[slack]
            value[slack] = self.connection.rows(v, _injected(v, own), self._slack_row, k, side)
            root[slack] = self.connection.root(k, side)
        return Functional(value, bus_a, h_a, bus_b, h_b, root)

    def _branch_rows(
        self, v_f: ComplexArray, v_t: ComplexArray, end: IntArray, direction: ComplexArray | None
    ) -> tuple[Array, ComplexArray, ComplexArray]:
        """Value and differential of branch rows; power S = V conj(I): dS = conj(I) dV + V conj(dI)."""
        c_f, c_t = self.c_f[end], self.c_t[end]
        current = c_f * v_f + c_t * v_t
        v_end = np.where(self.at_from[end], v_f, v_t)
        power = self.as_power[end]
        load = np.where(power, v_end * np.conj(current), current)
        u = np.where(load == 0, 1.0, load / np.where(load == 0, 1.0, np.abs(load))) if direction is None else direction
        # Re(conj(u) V conj(dI)) = Re(u conj(V) dI): a row in dI; then the row in dV of the monitored end
        g = np.where(power, u * np.conj(v_end), np.conj(u))
        own = np.where(power, np.conj(u) * np.conj(current), 0.0)
        h_f = g * c_f + np.where(self.at_from[end], own, 0.0)
        h_t = g * c_t + np.where(self.at_from[end], 0.0, own)
        return (np.conj(u) * load).real - 1.0, h_f, h_t

    def _end_bus(self, end: IntArray) -> IntArray:
        return np.where(self.at_from[end], self.from_bus[end], self.to_bus[end])

    @_NAN_STAYS
    def excess(self, v: ComplexArray) -> tuple[Array, Array, Array]:
        """How far each limit is exceeded at v (n, K): |V| - v_max (n, K), v_min - |V| (n, K), |loading| - 1 (E, K).

        The slack has no voltage row: -inf.
        """
        size = np.abs(v)
        high = size - self.network.v_max[:, None]
        low = self.network.v_min[:, None] - size
        high[0] = low[0] = -np.inf
        return high, low, np.abs(self.loading(v)) - 1.0

    @_NAN_STAYS
    def connection_excess(self, v: ComplexArray, own: ComplexArray | None = None) -> Array:
        """How far each side of the slack's limits is exceeded at v (n, K), over ``base_kw``: (4, K); -inf without."""
        if self.connection is None:
            return np.full((SIDES, v.shape[1]), -np.inf)
        return self.connection.excess(v, _injected(v, own), self._slack_row)

    def worst(self, v: ComplexArray) -> dict[int, Worst]:
        """Largest |V| [pu], smallest |V| [pu] and largest |loading| over buses, branch ends and steps, by kind.

        Steps without a solution (NaN) do not count; a kind without any number is left out.
        """
        size = np.abs(v)[1:]
        found = {}
        tables = {
            V_HIGH: (size, np.nanargmax, 1),
            V_LOW: (size, np.nanargmin, 1),
            BRANCH: (np.abs(self.loading(v)), np.nanargmax, 0),
        }
        for kind, (table, pick, first) in tables.items():
            if np.isfinite(table).any():
                row, step = np.unravel_index(int(pick(table)), table.shape)
                index = int(row) + first
                found[kind] = Worst(float(table[row, step]), int(step), kind, index, self.label(kind, index))
        return found

    def label(self, kind: int, index: int) -> str:
        """Row for messages: ``voltage at bus 42 'Bus 7'``, ``current of line 3 'Line 3' at its from end``."""
        if kind == SLACK and self.connection is not None:
            return self.connection.labels[index]
        if kind != BRANCH:
            return f"voltage at {self.network.bus_label(index)}"
        branch = int(self.branch[index])
        what = "apparent power" if self.as_power[index] else "current"
        ends = ("hv side", "lv side") if self.network.branch_kinds[branch] == "trafo" else ("from end", "to end")
        return f"{what} of {self.network.branch_label(branch)} at its {ends[0] if self.at_from[index] else ends[1]}"


def _injected(v: ComplexArray, own: ComplexArray | None) -> ComplexArray:
    return np.zeros(v.shape[1], dtype=np.complex128) if own is None else own


def _check_options(transformer: str, line_loading: float, transformer_loading: float) -> None:
    faults = []
    if transformer not in ("current", "power"):
        faults.append(Fault("limits", f"transformer = {transformer!r}", "'current' or 'power'", "choose one"))
    for name, share in (("line_loading", line_loading), ("transformer_loading", transformer_loading)):
        if not share > 0:
            faults.append(Fault("limits", f"{name} = {share}", "> 0 (1 is the rating)", "correct the limit"))
    if faults:
        raise InputError(faults)
