"""The market period that is under way, as a parametric linear program of one home.

A control step of length dt at power, then the rest of the period in energy; w is what a store gains in each:

    min  dt sum (give_cost g1 + take_cost t1 + q_cost |u|) + sum (give_cost g2 + take_cost t2) + imp buy - exp sell
         + sum_n slope_n d_n
    s.t. p = sum (g1 - t1),   q = sum (give_q g1 + u),   |u| <= size,  |u| <= c size + s (g1 - t1),   0 <= g1 <= avail
         sell - buy = rest + sum (g2 - t2),   0 <= g2 <= give_max tau,   0 <= t2 <= take_max tau
         0 <= energy + w1 <= capacity,   energy + w1 + w2 = sum_n d_n,   0 <= d_n <= end_n - end_{n-1}

Parameters are p and q of all that is flexible [kW, kvar], avail and size of sources, the energy in each store above the
lower end of its band, rest: fixed energy of the rest of the period, tau: its length, tariff, and the value of energy at
its end: a convex function with ends end_n and slopes slope_n. What the control step costs at the meter depends on the
power there only and is added to the chart afterwards. Powers and energies are in units of the home's own ``unit_kw``,
so that homes which differ in size only have the same program. Curtailment in the rest of the period is free: where
selling costs money nothing is sold.

Source: section 3.2 of the formulation, [M] (3)-(27).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from admmflex.horizon import Array
from mpo import ParametricLP


@dataclass(frozen=True)
class Source:
    """A flow without a state: a plant, or load that may be shed. Its parameters are ``avail`` and ``size``.

    Args:
        give_cost, q_cost: [EUR/kWh, EUR/kvarh].
        reactive: whether it has any.
        bounded: whether |u| <= size.
        edges: (c, s) of |u| <= c size + s g1.
        give_q: reactive power that comes with the active power [kvar/kW].
        later: whether it gives in the rest of the period at its cost; otherwise that is in ``rest``.
    """

    give_cost: float
    q_cost: float
    reactive: bool
    bounded: bool
    edges: tuple[tuple[float, float], ...]
    give_q: float = 0.0

    @property
    def sized(self) -> bool:
        """Whether ``size`` appears."""
        return self.reactive and (self.bounded or any(c != 0.0 for c, _ in self.edges))


@dataclass(frozen=True)
class StoreShape:
    """A flow with a state, in units of the home; edges (c, s) of |u| <= c + s (g1 - t1). Parameter ``energy``."""

    give_max: float
    take_max: float
    give_cost: float
    take_cost: float
    eta_give: float
    eta_take: float
    capacity: float
    q_max: float
    q_cost: float
    edges: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PeriodShape:
    """All that homes of one type have in common.

    Args:
        sources, stores: in the order in which they are preferred where costs are equal.
        segments: of the value of energy, for each store.
        dt_h: length of the control step [h].
    """

    sources: tuple[Source, ...]
    stores: tuple[StoreShape, ...]
    segments: int
    dt_h: float

    @property
    def reactive(self) -> bool:
        """Whether reactive power is free to move."""
        return any(one.reactive for one in self.sources) or any(one.q_max > 0.0 for one in self.stores)

    def parameters(self) -> tuple[str, ...]:
        """Names in the order of theta; p first, then q where it is free to move."""
        names = ["p", "q"] if self.reactive else ["p"]
        for k, source in enumerate(self.sources):
            names += [f"avail{k}", *([f"size{k}"] if source.sized else [])]
        names += [f"energy{c}" for c in range(len(self.stores))] + ["rest", "tau"]
        for c in range(len(self.stores)):
            names += [f"end{c}_{n}" for n in range(1, self.segments)]
        names += ["imp", "exp"]
        for c in range(len(self.stores)):
            names += [f"slope{c}_{n}" for n in range(self.segments)]
        return tuple(names)


@dataclass(frozen=True)
class Ranges:
    """Where the parameters of a type are explored: [low, high] of each name, in units of the home and EUR/kWh."""

    of: Mapping[str, tuple[float, float]]


Terms = Mapping[str, float]


@dataclass
class _Rows:
    """Rows by the names of variables and parameters."""

    variables: dict[str, float] = field(default_factory=dict)  # cost
    priced: dict[str, str] = field(default_factory=dict)  # parameter that is the cost, with a sign
    upper: dict[str, float] = field(default_factory=dict)
    equal: list[tuple[Terms, Terms, float]] = field(default_factory=list)
    below: list[tuple[Terms, Terms, float]] = field(default_factory=list)

    def add(self, name: str, cost: float = 0.0, *, upper: float = np.inf, price: str = "") -> str:
        """A variable from zero up."""
        self.variables[name], self.upper[name] = cost, upper
        if price:
            self.priced[name] = price
        return name

    def equation(self, terms: Terms, right: Terms, constant: float = 0.0) -> None:
        self.equal.append((terms, right, constant))

    def limit(self, terms: Terms, right: Terms, constant: float = 0.0) -> None:
        self.below.append((terms, right, constant))


def period_program(shape: PeriodShape, ranges: Ranges) -> ParametricLP:
    """The program over all parameters of the shape.

    Variables are named ``g1_k, up_k, down_k`` of source k, ``G1_c, T1_c, Up_c, Down_c, G2_c, T2_c, d_c_n`` of store c,
    then ``buy`` and ``sell``; ``variables`` gives their order.
    """
    rows = _rows(shape)
    names, place = list(rows.variables), {name: i for i, name in enumerate(rows.variables)}
    parameters = {name: i for i, name in enumerate(shape.parameters())}
    n, k = len(names), len(parameters)
    C = np.zeros((n, k))
    for name, price in rows.priced.items():
        C[place[name], parameters[price.lstrip("-")]] = -1.0 if price.startswith("-") else 1.0
    A_eq, b_eq, F_eq = _matrices(rows.equal, place, parameters)
    A, b, F = _matrices(rows.below, place, parameters)
    theta_A, theta_b = _parameter_set(shape, ranges, parameters)
    return ParametricLP(
        c=np.array(list(rows.variables.values())), C=C, A=A, b=b, F=F, theta_A=theta_A, theta_b=theta_b, A_eq=A_eq,
        b_eq=b_eq, F_eq=F_eq, x_min=np.zeros(n), x_max=np.array(list(rows.upper.values())),
    )  # fmt: skip


def variables(shape: PeriodShape) -> tuple[str, ...]:
    """Names of the variables of ``period_program``, in order."""
    return tuple(_rows(shape).variables)


def _rows(shape: PeriodShape) -> _Rows:
    rows, dt = _Rows(), shape.dt_h
    power: dict[str, float] = {}
    reactive: dict[str, float] = {}
    later: dict[str, float] = {}
    for k, source in enumerate(shape.sources):
        give = rows.add(f"g1_{k}", dt * source.give_cost)
        rows.limit({give: 1.0}, {f"avail{k}": 1.0})
        power[give] = 1.0
        if source.give_q:
            reactive[give] = source.give_q
        if source.reactive:
            size = {f"size{k}": 1.0} if source.sized else {}
            edges = [(dict.fromkeys(size, c), 0.0, s) for c, s in source.edges]
            edges += [(size, 0.0, 0.0)] if source.bounded else []
            _add_reactive(rows, f"_{k}", dt * source.q_cost, edges, {give: 1.0}, reactive)
    for c, store in enumerate(shape.stores):
        _add_store(rows, c, store, shape, power, reactive, later)
    buy, sell = rows.add("buy", price="imp"), rows.add("sell", price="-exp")
    rows.equation(power, {"p": 1.0})
    if shape.reactive:
        rows.equation(reactive, {"q": 1.0})
    rows.equation({sell: 1.0, buy: -1.0} | {name: -sign for name, sign in later.items()}, {"rest": 1.0})
    return rows


def _add_reactive(
    rows: _Rows,
    tail: str,
    cost: float,
    edges: Sequence[tuple[Terms, float, float]],
    power: Terms,
    reactive: dict[str, float],
) -> None:
    """u = up - down within  |u| <= (parameters) + constant + slope * power  for every edge."""
    up, down = rows.add(f"up{tail}", cost), rows.add(f"down{tail}", cost)
    reactive[up], reactive[down] = 1.0, -1.0
    for right, constant, slope in edges:
        sloped = {name: -slope * sign for name, sign in power.items()} if slope else {}
        rows.limit({up: 1.0, down: -1.0} | sloped, right, constant)
        rows.limit({up: -1.0, down: 1.0} | sloped, right, constant)


def _add_store(
    rows: _Rows,
    c: int,
    store: StoreShape,
    shape: PeriodShape,
    power: dict[str, float],
    reactive: dict[str, float],
    later: dict[str, float],
) -> None:
    dt = shape.dt_h
    now, then, flows = {}, {}, {}
    if store.give_max > 0.0:
        give, give_later = (
            rows.add(f"G1_{c}", dt * store.give_cost, upper=store.give_max),
            rows.add(f"G2_{c}", store.give_cost),
        )
        flows[give], later[give_later] = 1.0, 1.0
        now[give], then[give_later] = -dt / store.eta_give, -1.0 / store.eta_give
        rows.limit({give_later: 1.0}, {"tau": store.give_max})
    if store.take_max > 0.0:
        take, take_later = (
            rows.add(f"T1_{c}", dt * store.take_cost, upper=store.take_max),
            rows.add(f"T2_{c}", store.take_cost),
        )
        flows[take], later[take_later] = -1.0, -1.0
        now[take], then[take_later] = dt * store.eta_take, store.eta_take
        rows.limit({take_later: 1.0}, {"tau": store.take_max})
    power.update(flows)
    if store.q_max > 0.0:
        edges: list[tuple[Terms, float, float]] = [({}, constant, slope) for constant, slope in store.edges]
        _add_reactive(rows, f"_store{c}", dt * store.q_cost, [*edges, ({}, store.q_max, 0.0)], flows, reactive)
    energy = f"energy{c}"
    rows.limit(now, {energy: -1.0}, store.capacity)
    rows.limit({name: -gain for name, gain in now.items()}, {energy: 1.0})
    parts = {rows.add(f"d{c}_{n}", price=f"slope{c}_{n}"): -1.0 for n in range(shape.segments)}
    rows.equation(now | then | parts, {energy: -1.0})
    for n, part in enumerate(parts):
        ends: dict[str, float] = {}
        if n > 0:
            ends[f"end{c}_{n}"] = -1.0
        if n < shape.segments - 1:
            ends[f"end{c}_{n + 1}"] = 1.0
        rows.limit({part: 1.0}, ends, store.capacity if n == shape.segments - 1 else 0.0)


def _matrices(
    rows: Sequence[tuple[Terms, Terms, float]], place: Mapping[str, int], parameters: Mapping[str, int]
) -> tuple[Array, Array, Array]:
    left, right = np.zeros((len(rows), len(place))), np.zeros((len(rows), len(parameters)))
    constant = np.array([row[2] for row in rows])
    for i, (terms, parts, _) in enumerate(rows):
        for name, value in terms.items():
            left[i, place[name]] += value
        for name, value in parts.items():
            right[i, parameters[name]] += value
    return left, constant, right


def _parameter_set(shape: PeriodShape, ranges: Ranges, parameters: Mapping[str, int]) -> tuple[Array, Array]:
    """The box of the ranges; imp >= exp; ends and slopes ascend."""
    k = len(parameters)
    bounds = np.array([ranges.of[name] for name in parameters])
    chains = [["exp", "imp"]]
    for c in range(len(shape.stores)):
        chains.append([f"end{c}_{n}" for n in range(1, shape.segments)])
        chains.append([f"slope{c}_{n}" for n in range(shape.segments)])
    order = [(a, b) for chain in chains for a, b in zip(chain[:-1], chain[1:], strict=True)]
    ascending = np.zeros((len(order), k))
    for row, (a, b) in enumerate(order):
        ascending[row, parameters[a]], ascending[row, parameters[b]] = 1.0, -1.0
    A = np.vstack([np.eye(k), -np.eye(k), ascending])
    return A, np.concatenate([bounds[:, 1], -bounds[:, 0], np.zeros(len(order))])
