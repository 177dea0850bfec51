"""A prosumer as one linear program in sparse form: what every general solver answers from.

    min  c'x + c0    s.t.  low <= A x <= high,   x_min <= x <= x_max;      p = p0 + P x,   q = q0 + Q x

The rows come from the flows of the assets (``admmflex.assets.flow``) and from nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from admmflex.assets.flow import Flow, Store
from admmflex.horizon import Array, BoolArray, Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer


@dataclass(frozen=True)
class AssetPlan:
    """What one asset does: ``p`` [kW], ``q`` [kvar], ``(K,)``; ``energy`` [kWh] at the end of each step, or None."""

    p: Array
    q: Array
    energy: Array | None


@dataclass(frozen=True)
class FlowColumns:
    """Where the ``K`` columns of each quantity of a flow begin in the full vector."""

    give: int
    take: int
    q_up: int
    q_down: int
    energy: int | None


@dataclass(frozen=True)
class Program:
    """A prosumer's cost and feasible set; columns that cannot move and rows that cannot bind are left out.

    Attributes:
        cost, cost_constant: ``(N,)`` and scalar; own cost in EUR for the horizon at ``x``.
        A, low, high: ``(M, N)`` rows, ``(M,)`` limits, equal for an equation.
        x_min, x_max: ``(N,)``, finite.
        P, Q, p0, q0: powers at the meter, ``(K, N)`` and ``(K,)``, injection positive [kW, kvar].
        kept, full0: ``x`` scattered into ``full0`` at ``kept`` is the full vector that ``columns`` refers to.
    """

    prosumer: Prosumer
    dt_h: Array
    cost: Array
    cost_constant: float
    A: sp.csr_matrix
    low: Array
    high: Array
    x_min: Array
    x_max: Array
    P: sp.csr_matrix
    Q: sp.csr_matrix
    p0: Array
    q0: Array
    kept: IntArray
    full0: Array
    flows: tuple[Flow, ...]
    columns: tuple[FlowColumns, ...]

    def power(self, x: Array) -> Array:
        """Powers at the meter, ``(2, K)``."""
        return np.stack([self.p0 + self.P @ x, self.q0 + self.Q @ x])

    def violation(self, x: Array) -> float:
        """Largest amount by which ``x`` leaves a row or a bound; NaN counts as infinite."""
        activity = self.A @ x
        worst = max(
            np.max(self.low - activity, initial=0.0),
            np.max(activity - self.high, initial=0.0),
            np.max(self.x_min - x, initial=0.0),
            np.max(x - self.x_max, initial=0.0),
        )
        return float(worst) if np.isfinite(x).all() else float("inf")

    def full(self, x: Array) -> Array:
        """All columns, with those that cannot move."""
        values = self.full0.copy()
        values[self.kept] = x
        return values

    def plans(self, x: Array) -> tuple[AssetPlan, ...]:
        """What each asset does, in the order of the prosumer's assets."""
        values, steps = self.full(x), len(self.dt_h)

        def at(start: int) -> Array:
            return values[start : start + steps]

        return tuple(
            AssetPlan(
                p=flow.fixed_p + at(cols.give) - at(cols.take),
                q=flow.fixed_q + _with_give(flow, at(cols.give)) + at(cols.q_up) - at(cols.q_down),
                energy=None if cols.energy is None else at(cols.energy).copy(),
            )
            for flow, cols in zip(self.flows, self.columns, strict=True)
        )

    def own_cost(self, x: Array) -> float:
        """Own cost in EUR of the powers that ``x`` stands for, tariff at the meter and ``|u|`` taken exactly.

        Equal to ``cost'x + cost_constant`` at an optimum; below it where ``x`` is a mixture of several optima.
        """
        values, steps, dt = self.full(x), len(self.dt_h), self.dt_h
        p = self.p0 + self.P @ x
        total = float(dt @ np.where(p < 0, -self.prosumer.import_price * p, -self.prosumer.export_price * p))
        for flow, cols in zip(self.flows, self.columns, strict=True):
            give, take = values[cols.give : cols.give + steps], values[cols.take : cols.take + steps]
            reactive = values[cols.q_up : cols.q_up + steps] - values[cols.q_down : cols.q_down + steps]
            total += float(dt @ (flow.give_cost * give + flow.take_cost * take + flow.q_cost * np.abs(reactive)))
            if flow.store is not None and cols.energy is not None:
                total -= flow.store.end_value * float(values[cols.energy + steps - 1])
        return total


@dataclass
class _Rows:
    """Columns and rows as they are collected; every block of columns and of rows has K members."""

    steps: int
    x_min: list[Array] = field(default_factory=list)
    x_max: list[Array] = field(default_factory=list)
    cost: list[Array] = field(default_factory=list)
    entries: list[tuple[IntArray, IntArray, Array]] = field(default_factory=list)
    low: list[Array] = field(default_factory=list)
    high: list[Array] = field(default_factory=list)

    def add_columns(self, low: Array | float, high: Array | float, cost: Array | float) -> int:
        start = self.steps * len(self.cost)
        for block, value in ((self.x_min, low), (self.x_max, high), (self.cost, cost)):
            block.append(self._block(value))
        return start

    def add_rows(self, terms: list[tuple[int, Array | float]], low: Array | float, high: Array | float) -> None:
        """K rows ``low[t] <= sum of coefficient[t] * x[start + t] <= high[t]``."""
        step = np.arange(self.steps)
        row = self.steps * len(self.low) + step
        for start, coefficient in terms:
            self.entries.append((row, start + step, self._block(coefficient)))
        self.low.append(self._block(low))
        self.high.append(self._block(high))

    def add_previous(self, start: int, coefficient: Array) -> None:
        """Add ``coefficient[t] * x[start + t - 1]``, t >= 1, to the last block of rows."""
        row = self.steps * (len(self.low) - 1) + np.arange(1, self.steps)
        self.entries.append((row, start + np.arange(self.steps - 1), coefficient[1:]))

    def _block(self, value: Array | float) -> Array:
        return np.full(self.steps, value, dtype=np.float64)

    def matrix(self) -> sp.csr_matrix:
        shape = (self.steps * len(self.low), self.steps * len(self.cost))
        if not self.entries:
            return sp.csr_matrix(shape)
        row, col, value = (np.concatenate(part) for part in zip(*self.entries, strict=True))
        return sp.coo_matrix((value, (row, col)), shape=shape).tocsr()


def program(prosumer: Prosumer, horizon: Horizon) -> Program:
    """Bring a prosumer into the sparse form.

    Columns per flow: give, take, q_up, q_down (``u = q_up - q_down``) and, with a state, the energy e[1..K]; then once
    ``buy >= [-p]+`` that carries the kink of the tariff: ``sum_t dt ((imp - exp) buy - exp p)``.

    Args:
        prosumer: with assets whose data have no faults.
        horizon: K steps.

    Returns:
        The program; ``N`` and ``M`` depend on how many columns can move and how many rows can bind.
    """
    rows, dt = _Rows(horizon.steps), horizon.dt_h
    flows = tuple(asset.flow(horizon) for asset in prosumer.assets)
    columns = tuple(_add_flow(rows, flow, dt) for flow in flows)
    p0 = np.sum([flow.fixed_p for flow in flows], axis=0)
    q0 = np.sum([flow.fixed_q for flow in flows], axis=0)
    lowest = p0 - np.sum([flow.take_max for flow in flows], axis=0)
    highest = p0 + np.sum([flow.give_max for flow in flows], axis=0)
    imp, exp = prosumer.import_price, prosumer.export_price
    buy = rows.add_columns(np.maximum(-highest, 0.0), np.maximum(-lowest, 0.0), dt * (imp - exp))
    signed = [(start, sign) for cols in columns for start, sign in ((cols.give, 1.0), (cols.take, -1.0))]
    rows.add_rows([*signed, (buy, 1.0)], -p0, np.inf)
    for start, sign in signed:
        rows.cost[start // horizon.steps] -= sign * dt * exp
    up_down: list[tuple[int, Array | float]] = []
    for flow, cols in zip(flows, columns, strict=True):
        up_down += [(cols.q_up, 1.0), (cols.q_down, -1.0)]
        up_down += [] if flow.give_q is None else [(cols.give, flow.give_q)]
    x_min, x_max, cost = (np.concatenate(part) for part in (rows.x_min, rows.x_max, rows.cost))
    return _reduced(
        Program(
            prosumer=prosumer,
            dt_h=dt,
            cost=cost,
            cost_constant=-float(dt @ (exp * p0)),
            A=rows.matrix(),
            low=np.concatenate(rows.low),
            high=np.concatenate(rows.high),
            x_min=x_min,
            x_max=x_max,
            P=_meter([*signed], horizon.steps, len(cost)),
            Q=_meter(up_down, horizon.steps, len(cost)),
            p0=p0,
            q0=q0,
            kept=np.arange(len(cost)),
            full0=np.zeros(len(cost)),
            flows=flows,
            columns=columns,
        )
    )


def _add_flow(rows: _Rows, flow: Flow, dt: Array) -> FlowColumns:
    """Columns and rows of one flow, as written in ``admmflex.assets.flow``."""
    give = rows.add_columns(0.0, flow.give_max, dt * flow.give_cost)
    take = rows.add_columns(0.0, flow.take_max, dt * flow.take_cost)
    if flow.q_cost > 0:
        q_up = rows.add_columns(0.0, flow.q_max, dt * flow.q_cost)
        q_down = rows.add_columns(0.0, flow.q_max, dt * flow.q_cost)
    else:
        q_up = rows.add_columns(-flow.q_max, flow.q_max, 0.0)
        q_down = rows.add_columns(0.0, 0.0, 0.0)
    for edge_c, edge_s in zip(flow.edge_c, flow.edge_s, strict=True):
        slope = [(give, -edge_s), (take, edge_s)]
        rows.add_rows([(q_up, 1.0), (q_down, -1.0), *slope], -np.inf, edge_c)
        rows.add_rows([(q_up, -1.0), (q_down, 1.0), *slope], -np.inf, np.where(flow.q_max > 0, edge_c, np.inf))
    energy = None if flow.store is None else _add_store(rows, flow.store, give, take, dt)
    return FlowColumns(give, take, q_up, q_down, energy)


def _add_store(rows: _Rows, store: Store, give: int, take: int, dt: Array) -> int:
    """``e[t+1] - keep e[t] - dt (eta_take take - give / eta_give) = gain`` with ``e[0] = e_start``."""
    last = np.zeros(len(dt))
    last[-1] = -store.end_value
    energy = rows.add_columns(store.e_min, store.e_max, last)
    right = store.gain.astype(np.float64)
    right[0] += store.keep[0] * store.e_start
    rows.add_rows([(energy, 1.0), (take, -dt * store.eta_take), (give, dt / store.eta_give)], right, right)
    rows.add_previous(energy, -store.keep)
    return energy


def _with_give(flow: Flow, give: Array) -> Array | float:
    """Reactive power that comes with the active power given."""
    return 0.0 if flow.give_q is None else flow.give_q * give


def _meter(terms: list[tuple[int, Array | float]], steps: int, columns: int) -> sp.csr_matrix:
    """The map from all columns to the power at the meter, ``(K, columns)``."""
    step = np.arange(steps)
    row = np.tile(step, len(terms))
    col = np.concatenate([start + step for start, _ in terms])
    value = np.concatenate([np.broadcast_to(coefficient, (steps,)) for _, coefficient in terms])
    return sp.coo_matrix((value, (row, col)), shape=(steps, columns)).tocsr()


def _reduced(whole: Program) -> Program:
    """Leave out the columns that cannot move and the rows that cannot bind."""
    fixed = whole.x_max == whole.x_min
    kept, full0 = np.flatnonzero(~fixed), np.where(fixed, whole.x_min, 0.0)
    shift = whole.A @ full0
    matrix = whole.A[:, kept]
    low, high, x_min, x_max = whole.low - shift, whole.high - shift, whole.x_min[kept], whole.x_max[kept]
    bind = _can_bind(matrix, low, high, x_min, x_max)
    return replace(
        whole,
        cost=whole.cost[kept],
        cost_constant=whole.cost_constant + float(whole.cost @ full0),
        A=matrix[bind],
        low=low[bind],
        high=high[bind],
        x_min=x_min,
        x_max=x_max,
        P=whole.P[:, kept],
        Q=whole.Q[:, kept],
        p0=whole.p0 + whole.P @ full0,
        q0=whole.q0 + whole.Q @ full0,
        kept=kept,
        full0=full0,
    )


def _can_bind(matrix: sp.csr_matrix, low: Array, high: Array, x_min: Array, x_max: Array) -> BoolArray:
    """Rows that some ``x`` within its bounds leaves."""
    up, down = matrix.maximum(0), matrix.minimum(0)
    most, least = up @ x_max + down @ x_min, up @ x_min + down @ x_max
    result: BoolArray = (least < low) | (most > high)
    return result
