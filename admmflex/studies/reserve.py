"""Symmetric reserve for the upstream grid: how much power a feeder holds ready, up and down, at which price.

    min  sum_i C_i(x_i) - price sum_t dt_t R_t      s.t.  x_i in X_i,   R_t <= sum u_t,  R_t <= sum d_t,
         the AC power flows of z, of z + u and of z - d meet every limit

u, d >= 0 are what batteries can give more and take more, d also what PV can give less, at any time and for ``hold_h``:

    battery   give - take + u <= give_max,     e[b] - hold u / eta_give >= e_min
              take - give + d <= take_max,     e[b] + hold eta_take d <= e_max
    PV        d <= give
    inverter  |q| <= edge_c + edge_s (give - take + u),  the same with - d;    the connection likewise

for all ends b of steps that begin less than ``hold_h`` after the step of the promise, its beginning included: a call
may come at its last moment. Calls in between the two extremes are between two states that meet the limits. The price is
that of power held ready for an hour; energy that is called is settled elsewhere, and bought back before the next call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from admmflex.assets.flow import Flow
from admmflex.coordination.central import Case, CentralSettings, Status
from admmflex.coordination.whole import Block
from admmflex.coordination.working_set import excess
from admmflex.data.study import Study
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.program import FlowColumns, Program
from admmflex.prosumers.roles import is_generator

STATES = 3  # as planned, all called up, all called down
UP, DOWN = 1.0, -1.0


@dataclass(frozen=True)
class Reserve:
    """What a feeder holds ready at a price.

    Args:
        price: [EUR per kW held for an hour].
        power_kw: (K,) R, constant within a block.
        cost: of the prosumers [EUR], without what the reserve earns.
        violation: largest excess over limits in the AC power flows of the three states [pu, fraction].
        powers: (3, 2, n_bus, K) injections as planned, called up, called down [kW, kvar].
    """

    price: float
    power_kw: Array
    cost: float
    status: Status
    violation: tuple[float, ...]
    powers: Array


def sweep(
    study: Study,
    prices: Sequence[float],
    hold_h: float,
    block_h: float = 1.0,
    settings: CentralSettings | None = None,
    observe: Callable[[int, int], None] | None = None,
) -> list[Reserve]:
    """The reserve at every price; central problems, exact up to the linearisation of the limits.

    Args:
        prices: [EUR/(kW h)].
        hold_h: how long a call lasts at most [h].
        block_h: R is constant in blocks of this length [h].
        observe: told how many prices are done, and of how many.

    Raises:
        InputError: lengths that are not positive, prosumers written in cvxpy, compromised devices, limits of what is
            drawn at the slack.
    """
    _require(study, hold_h, block_h)
    case = _ReserveCase(study, hold_h, block_h, settings or CentralSettings())
    found = []
    for price in prices:
        found.append(case.at(price))
        if observe is not None:
            observe(len(found), len(prices))
    return found


def _require(study: Study, hold_h: float, block_h: float) -> None:
    faults = []
    for name, length in (("hold_h", hold_h), ("block_h", block_h)):
        if not 0.0 < length < np.inf:
            faults.append(Fault("reserve", f"{name} = {length:g}", "a positive number of hours", f"correct {name}"))
    if study.threat is not None or study.suspects is not None:
        faults.append(Fault("reserve", "compromised devices", "a study without them", "remove the section compromised"))
    if study.limits.connection is not None:  # a call changes what is drawn
        allowed = "a study whose exchange with the upstream grid is free"
        faults.append(
            Fault("reserve", "limits of what is drawn at the slack", allowed, "remove limits.connection or island")
        )
    if faults:
        raise InputError(faults)


class _ReserveCase(Case):
    """The whole problem with three states of the grid in every step; columns are x, the offers, then R by block."""

    def __init__(self, study: Study, hold_h: float, block_h: float, settings: CentralSettings) -> None:
        super().__init__(study.network, study.limits, study.prosumers, study.horizon, settings, None)
        if self.models:
            raise InputError(
                Fault(
                    "reserve", "prosumers written in cvxpy", "prosumers made of assets", "leave them out of the study"
                )
            )
        horizon = study.horizon
        begins = np.concatenate([[0.0], np.cumsum(horizon.dt_h)[:-1]])
        self.hour = np.floor(begins / block_h + 1e-9).astype(np.int64)
        offers = _Offers(horizon, hold_h)
        for i, (one, first) in enumerate(zip(self.programs.values(), self.block.first[:-1], strict=True)):
            offers.add(one, int(first), int(self.bus[i]))
        self.plain, self.offers, self.dt_h = self.block, offers, np.tile(horizon.dt_h, STATES)
        self.block = _extended(self.plain, offers, self.hour, len(self.buses))

    def at(self, price: float) -> Reserve:
        """The optimum at a price of the reserve."""
        n_plain, hours = len(self.plain.cost), int(self.hour[-1]) + 1
        cost = self.block.cost.copy()
        cost[-hours:] = -price * np.bincount(self.hour, self.horizon.dt_h, hours)
        self.block = replace(self.block, cost=cost)
        solver, answer, _, status, _ = self.search()
        injected = self.injections(solver, answer)
        return Reserve(
            price=price,
            power_kw=answer.x[-hours:][self.hour],
            cost=float(self.plain.cost @ answer.x[:n_plain]) + self.plain.constant,
            status=status,
            violation=excess(self.network, self.limits, *injected),
            powers=np.stack(injected).reshape(2, self.network.n, STATES, -1).transpose(2, 0, 1, 3),
        )


def _is_battery(flow: Flow) -> bool:
    """Whether a flow stores energy both ways within one band all day: a car that comes and goes cannot promise."""
    one = flow.store
    if one is None or not (flow.give_max.any() and flow.take_max.any()):
        return False
    return bool(np.ptp(one.e_max) == 0.0 and not np.any(one.e_min[1:-1] != one.e_min[0]) and not one.gain.any())


@dataclass
class _Offers:
    """Offers as they are collected: K columns each, and rows over x and the offers.

    ``bus``, ``sign`` and ``most`` belong to the offers; ``entries`` are (row, column, value) with columns of x as they
    are and those of the offers from ``-1`` downwards; every row has an upper limit only.
    """

    horizon: Horizon
    hold_h: float
    bus: list[int] = field(default_factory=list)
    sign: list[float] = field(default_factory=list)
    most: list[Array] = field(default_factory=list)
    entries: list[tuple[IntArray, IntArray, Array]] = field(default_factory=list)
    high: list[Array] = field(default_factory=list)
    rows: int = 0

    def add(self, program: Program, first: int, bus: int) -> None:
        """What the batteries and the PV of a prosumer can offer; columns from ``first`` on."""
        place = np.full(len(program.full0), -1)
        place[program.kept] = np.arange(len(program.kept)) + first
        columns = _Columns(program, place)
        ups, downs = [], []
        for flow, at in zip(program.flows, program.columns, strict=True):
            if _is_battery(flow):
                ups.append(self._battery(columns, flow, at, bus, UP))
                downs.append(self._battery(columns, flow, at, bus, DOWN))
            elif is_generator(flow) and flow.give_max.any() and not flow.give_cost.any():
                downs.append(self._pv(columns, flow, at, bus))
        self._connection(program, columns, ups, downs)

    def _battery(self, columns: _Columns, flow: Flow, at: FlowColumns, bus: int, sign: float) -> int:
        """Power and energy of a call up or down."""
        store = flow.store
        assert store is not None
        assert at.energy is not None
        room = flow.give_max if sign == UP else flow.take_max
        drain = self.hold_h / store.eta_give if sign == UP else self.hold_h * store.eta_take
        level = float(store.e_min[:-1].min(initial=store.e_min[-1])) if sign == UP else float(store.e_max.max())
        offer = self._offer(bus, sign, flow.give_max + flow.take_max)
        self._row(columns, [(at.give, sign), (at.take, -sign)], offer, 1.0, room)
        self._edges(columns, flow, at, offer, sign)
        ends = np.concatenate([[0.0], np.cumsum(self.horizon.dt_h)])
        steps = np.arange(self.horizon.steps)
        self.most[offer][0] = min(self.most[offer][0], sign * (store.e_start - level) / drain[0])
        last = np.searchsorted(ends[:-1], ends[1:] + self.hold_h - 1e-9)  # steps that begin before a call has ended
        for ahead in range(-1, int((last - steps).max())):
            kept = steps[(steps + ahead >= 0) & (steps + ahead < last)]
            self._some(columns, at.energy + kept + ahead, -sign, offer, kept, drain[kept], -sign * level)
        return offer

    def _pv(self, columns: _Columns, flow: Flow, at: FlowColumns, bus: int) -> int:
        """What a plant gives it can give less."""
        offer = self._offer(bus, DOWN, flow.give_max)
        self._row(columns, [(at.give, -1.0)], offer, 1.0, np.zeros(self.horizon.steps))
        self._edges(columns, flow, at, offer, DOWN)
        return offer

    def _edges(self, columns: _Columns, flow: Flow, at: FlowColumns, offer: int, sign: float) -> None:
        """The reactive power of the plan stays within the inverter when the active power is called."""
        for c, s in zip(flow.edge_c, flow.edge_s, strict=True):
            for side in (1.0, -1.0):
                terms = [(at.q_up, side), (at.q_down, -side), (at.give, -s), (at.take, s)]
                self._row(columns, terms, offer, -s * sign, np.where(flow.q_max > 0.0, c, np.inf))

    def _connection(self, program: Program, columns: _Columns, ups: list[int], downs: list[int]) -> None:
        """The limits of the connection hold when everything behind it is called."""
        owner = program.prosumer
        for offers, sign, limit in ((ups, 1.0, owner.export_limit_kw), (downs, -1.0, owner.import_limit_kw)):
            if offers and np.isfinite(limit):
                terms = [(at.give, sign) for at in program.columns] + [(at.take, -sign) for at in program.columns]
                fixed = np.sum([flow.fixed_p for flow in program.flows], axis=0)
                self._row(columns, terms, offers[0], 1.0, limit - sign * fixed)
                for offer in offers[1:]:
                    self._again(offer, 1.0)

    def _offer(self, bus: int, sign: float, most: Array) -> int:
        self.bus.append(bus)
        self.sign.append(sign)
        self.most.append(most.astype(np.float64).copy())
        return len(self.bus) - 1

    def _row(self, columns: _Columns, terms: list[tuple[int, float]], offer: int, weight: float, high: Array) -> None:
        """K rows: sum of terms + weight offer <= high."""
        steps, right = np.arange(self.horizon.steps), high.astype(np.float64).copy()
        for start, factor in terms:
            at, known = columns.find(start + steps)
            right -= factor * known
            self._enter(self.rows + steps[at >= 0], at[at >= 0], factor)
        self.rows += len(steps)
        self.high.append(right)
        self._again(offer, weight)

    def _again(self, offer: int, weight: float) -> None:
        """Another offer in the last K rows."""
        steps = np.arange(self.horizon.steps)
        self._enter(self.rows - len(steps) + steps, -1 - (offer * len(steps) + steps), weight)

    def _some(
        self, columns: _Columns, full: IntArray, factor: float, offer: int, steps: IntArray, weight: Array, high: float
    ) -> None:
        """Rows factor x[full] + weight offer[steps] <= high, one for each of ``steps``."""
        at, known = columns.find(full)
        row = self.rows + np.arange(len(steps))
        self._enter(row[at >= 0], at[at >= 0], factor)
        self._enter(row, -1 - (offer * self.horizon.steps + steps), weight)
        self.high.append(high - factor * known)
        self.rows += len(steps)

    def _enter(self, row: IntArray, column: IntArray, value: Array | float) -> None:
        self.entries.append((row, column, np.broadcast_to(np.asarray(value, np.float64), row.shape)))


@dataclass(frozen=True)
class _Columns:
    """Where the full columns of a program stand among those of all; -1 where they cannot move."""

    program: Program
    place: IntArray

    def find(self, full: IntArray) -> tuple[IntArray, Array]:
        """Position of columns or -1, and the value of those that cannot move."""
        at = self.place[full]
        return at, np.where(at < 0, self.program.full0[full], 0.0)


def _extended(plain: Block, offers: _Offers, hour: IntArray, n_buses: int) -> Block:
    """The block with offers, with R by block, and with bus sums in three states: index (part, bus, state, step)."""
    n_x, n_steps, n_offers, hours = len(plain.cost), len(hour), len(offers.bus), int(hour[-1]) + 1
    width = n_x + n_offers * n_steps + hours
    row, col, value = (np.concatenate(part) for part in zip(*offers.entries, strict=True))
    own = sp.coo_matrix((value, (row, np.where(col < 0, n_x - 1 - col, col))), shape=(offers.rows, width)).tocsr()
    bounded = np.isfinite(np.concatenate(offers.high))
    total = _totals(offers, hour, n_x, width)
    spare = sp.csr_matrix((plain.A.shape[0], width - n_x))
    high = np.concatenate([plain.high, np.concatenate(offers.high)[bounded], np.zeros(2 * n_steps)])
    low = np.concatenate([plain.low, np.full(len(high) - len(plain.low), -np.inf)])
    most = np.maximum(np.concatenate([np.zeros(0), *offers.most]), 0.0)
    Z = _states(plain.Z, offers, n_x, width, n_buses)
    return replace(
        plain,
        cost=np.concatenate([plain.cost, np.zeros(width - n_x)]),
        A=sp.csr_matrix(sp.vstack([sp.hstack([plain.A, spare]), own[np.flatnonzero(bounded)], total])),
        low=low,
        high=high,
        x_min=np.concatenate([plain.x_min, np.zeros(width - n_x)]),
        x_max=np.concatenate([plain.x_max, most, np.full(hours, max(float(most.sum()), 1.0))]),
        Z=Z,
        z0=np.repeat(plain.z0.reshape(-1, 1, n_steps), STATES, axis=1).ravel(),
        moves=np.asarray(abs(Z).sum(axis=0)).ravel() > 0,
        n_steps=STATES * n_steps,
    )


def _totals(offers: _Offers, hour: IntArray, n_x: int, width: int) -> sp.csr_matrix:
    """Rows R - sum of the offers <= 0, up and down, in every step."""
    n_steps = len(hour)
    step = np.arange(n_steps)
    rows, cols, values = [step, step + n_steps], [width - 1 - hour[-1] + hour] * 2, [np.ones(n_steps)] * 2
    for offer, sign in enumerate(offers.sign):
        rows.append(step if sign == UP else step + n_steps)
        cols.append(n_x + offer * n_steps + step)
        values.append(-np.ones(n_steps))
    entry = np.concatenate(rows), np.concatenate(cols)
    return sp.csr_matrix((np.concatenate(values), entry), shape=(2 * n_steps, width))


def _states(Z: sp.csr_matrix, offers: _Offers, n_x: int, width: int, n_buses: int) -> sp.csr_matrix:
    """Bus sums of x in all states, and of the offers in theirs."""
    n_steps = offers.horizon.steps
    plain = Z.tocoo()
    bus_part, step = np.divmod(plain.row.astype(np.int64), n_steps)
    column = plain.col.astype(np.int64)
    parts = [((bus_part * STATES + state) * n_steps + step, column, plain.data) for state in range(STATES)]
    at = np.arange(n_steps)
    for offer, (bus, sign) in enumerate(zip(offers.bus, offers.sign, strict=True)):
        state = 1 if sign == UP else 2
        parts.append(((bus * STATES + state) * n_steps + at, n_x + offer * n_steps + at, np.full(n_steps, sign)))
    row, col, value = (np.concatenate(part) for part in zip(*parts, strict=True))
    return sp.csr_matrix((value, (row, col)), shape=(2 * n_buses * n_steps * STATES, width))
