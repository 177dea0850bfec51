"""The market period that is under way, as a parametric linear program of one home.

A control step of length dt at power, then the rest of the period in energy; w is what a store gains in each:

    min  dt sum (give_cost g1 + take_cost t1 + q_cost |u|) + sum (give_cost g2 + take_cost t2) + imp buy - exp sell
         + sum_n slope_n d_n
    s.t. p = sum (g1 - t1),   q = sum (give_q g1 + u),   |u| <= size,  |u| <= c size + s (g1 - t1)
         0 <= g1 <= give,   0 <= t1 <= take,   0 <= g2 <= later_give,   0 <= t2 <= later_take
         sell - buy = rest + sum (g2 - t2)
         dt g1 / eta_give <= energy,   dt eta_take t1 <= capacity - energy
         energy + w1 + w2 = sum_n d_n,   0 <= d_n <= end_n - end_{n-1}

Giving and taking are held within the band one by one: a full store cannot burn what it takes by giving at once.

Parameters are p and q of all that is flexible [kW, kvar]; limits and size of every flow; the energy in each store above
the lower end of its band, and the width of that band; rest: fixed energy of the rest of the period; the tariff; and
the value of energy at the end of the period, a convex function with ends end_n and slopes slope_n. What the control
step costs at the meter depends on the power there only and is added to the chart afterwards.

Source: section 3.2 of the formulation, [M] (3)-(27).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise

import numpy as np

from admmflex.horizon import Array
from mpo import ParametricLP

Edges = tuple[tuple[float, float], ...]
Terms = Mapping[str, float]
CONSTANT = ""


@dataclass(frozen=True)
class Reactive:
    """Reactive power u of a flow: |u| <= size if ``bounded``, |u| <= c size + s (g1 - t1) for each (c, s)."""

    cost: float
    bounded: bool
    edges: Edges

    @property
    def sized(self) -> bool:
        """Whether ``size`` appears."""
        return self.bounded or any(c != 0.0 for c, _ in self.edges)


@dataclass(frozen=True)
class Source:
    """A flow without a state, such as a plant; ``give_q``: reactive power that comes with the active power."""

    give_cost: float
    reactive: Reactive | None
    give_q: float = 0.0


@dataclass(frozen=True)
class Storage:
    """A flow with a state that gives, takes, or both."""

    gives: bool
    takes: bool
    give_cost: float
    take_cost: float
    eta_give: float
    eta_take: float
    reactive: Reactive | None


@dataclass(frozen=True)
class Shape:
    """All that homes with the same program have in common; sources and storages in the order of preference.

    Args:
        segments: N, of the value of energy in each store.
        dt_h: length of the control step [h].
        rest: whether the rest of the period has variables of its own; otherwise it is part of the value of energy, and
            so are its parameters.
    """

    sources: tuple[Source, ...]
    storages: tuple[Storage, ...]
    segments: int
    dt_h: float
    rest: bool = True

    @property
    def reactive(self) -> bool:
        """Whether there is reactive power to move."""
        of_sources = any(one.give_q or one.reactive for one in self.sources)
        return of_sources or any(one.reactive for one in self.storages)

    def parameters(self) -> tuple[str, ...]:
        """Names in the order of theta, p and q first; flows are numbered in each kind: give_s0 ..., give_c0 ..."""
        names = ["p", "q"]
        for k, source in enumerate(self.sources):
            names += [f"give_s{k}"] + ([f"size_s{k}"] if source.reactive and source.reactive.sized else [])
        for c, storage in enumerate(self.storages):
            names += [f"energy_c{c}", f"capacity_c{c}"]
            for flow in (["give"] if storage.gives else []) + (["take"] if storage.takes else []):
                names += [f"{flow}_c{c}"] + ([f"later_{flow}_c{c}"] if self.rest else [])
            names += [f"size_c{c}"] if storage.reactive and storage.reactive.sized else []
        names += ["rest", "imp", "exp"] if self.rest else []
        names += [name for c in range(len(self.storages)) for name in self.ends(c)]
        return (*names, *(name for c in range(len(self.storages)) for name in self.slopes(c)))

    def ends(self, c: int) -> list[str]:
        """Parameters of the inner ends of the segments of store c."""
        return [f"end_c{c}_{n}" for n in range(1, self.segments)]

    def slopes(self, c: int) -> list[str]:
        """Parameters of the slopes of the segments of store c."""
        return [f"slope_c{c}_{n}" for n in range(self.segments)]

    def variables(self) -> tuple[str, ...]:
        """Names of the variables, in order: g1, up, down of the sources; g1, t1, up, down, g2, t2, d of storages."""
        return _variables(self)


@cache
def _variables(shape: Shape) -> tuple[str, ...]:
    """Asked for in every control step."""
    return tuple(_rows(shape).cost)


@dataclass
class _Rows:
    """Rows, equations and costs by the names of variables and parameters."""

    cost: dict[str, float] = field(default_factory=dict)
    price: dict[str, tuple[str, float]] = field(default_factory=dict)
    equal: list[tuple[Terms, Terms]] = field(default_factory=list)
    below: list[tuple[Terms, Terms]] = field(default_factory=list)

    def variable(self, name: str, cost: float = 0.0, price: tuple[str, float] | None = None) -> str:
        """A variable from zero up, and a parameter that its cost is a multiple of."""
        self.cost[name] = cost
        if price is not None:
            self.price[name] = price
        return name

    def limited(self, name: str, cost: float, limit: str) -> str:
        """A variable from zero up to a parameter."""
        self.below.append(({self.variable(name, cost): 1.0}, {limit: 1.0}))
        return name

    def reactive(self, tail: str, one: Reactive, dt: float, power: Terms) -> Terms:
        """u = up - down of a flow with the active power ``power``."""
        up, down = self.variable(f"up_{tail}", dt * one.cost), self.variable(f"down_{tail}", dt * one.cost)
        size = f"size_{tail}"
        limits: list[tuple[Terms, Terms]] = [({}, {size: 1.0})] if one.bounded else []
        limits += [({name: -s * sign for name, sign in power.items()}, {size: c} if c else {}) for c, s in one.edges]
        for sloped, right in limits:
            self.below.append(({up: 1.0, down: -1.0, **sloped}, right))
            self.below.append(({up: -1.0, down: 1.0, **sloped}, right))
        return {up: 1.0, down: -1.0}


def _rows(shape: Shape) -> _Rows:
    rows, dt = _Rows(), shape.dt_h
    power: dict[str, float] = {}
    reactive: dict[str, float] = {}
    later: dict[str, float] = {}
    for k, source in enumerate(shape.sources):
        give = rows.limited(f"g1_s{k}", dt * source.give_cost, f"give_s{k}")
        power[give] = 1.0
        if source.give_q:
            reactive[give] = source.give_q
        if source.reactive:
            reactive.update(rows.reactive(f"s{k}", source.reactive, dt, {give: 1.0}))
    for c, storage in enumerate(shape.storages):
        flows: dict[str, float] = {}
        now: dict[str, float] = {}
        then: dict[str, float] = {}
        if storage.gives:
            give = rows.limited(f"g1_c{c}", dt * storage.give_cost, f"give_c{c}")
            flows[give], now[give] = 1.0, -dt / storage.eta_give
        if storage.takes:
            take = rows.limited(f"t1_c{c}", dt * storage.take_cost, f"take_c{c}")
            flows[take], now[take] = -1.0, dt * storage.eta_take
        if storage.reactive:
            reactive.update(rows.reactive(f"c{c}", storage.reactive, dt, flows))
        if storage.gives and shape.rest:
            give = rows.limited(f"g2_c{c}", storage.give_cost, f"later_give_c{c}")
            later[give], then[give] = 1.0, -1.0 / storage.eta_give
        if storage.takes and shape.rest:
            take = rows.limited(f"t2_c{c}", storage.take_cost, f"later_take_c{c}")
            later[take], then[take] = -1.0, storage.eta_take
        power |= flows
        _add_energy(rows, shape, c, now, then)
    rows.equal.append((power, {"p": 1.0}))
    if reactive:
        rows.equal.append((reactive, {"q": 1.0}))
    if shape.rest:
        buy, sell = rows.variable("buy", price=("imp", 1.0)), rows.variable("sell", price=("exp", -1.0))
        rows.equal.append(({sell: 1.0, buy: -1.0} | {name: -sign for name, sign in later.items()}, {"rest": 1.0}))
    return rows


def _add_energy(rows: _Rows, shape: Shape, c: int, now: Terms, then: Terms) -> None:
    """Band after the control step, and the segment of its value in which the energy ends."""
    energy, capacity = f"energy_c{c}", f"capacity_c{c}"
    for name, gain in now.items():
        room = {capacity: 1.0, energy: -1.0} if gain > 0.0 else {energy: 1.0}
        rows.below.append(({name: abs(gain)}, room))
    parts = [rows.variable(f"d_c{c}_{n}", price=(slope, 1.0)) for n, slope in enumerate(shape.slopes(c))]
    rows.equal.append(({**now, **then, **dict.fromkeys(parts, -1.0)}, {energy: -1.0}))
    ends = [None, *shape.ends(c), capacity]
    for part, (low, high) in zip(parts, pairwise(ends), strict=True):
        rows.below.append(({part: 1.0}, {str(high): 1.0} | ({} if low is None else {low: -1.0})))


def period_program(
    shape: Shape, ranges: Mapping[str, tuple[float, float]], tied: Mapping[str, Terms] | None = None
) -> ParametricLP:
    """The program over the parameters of a shape.

    Args:
        ranges: [low, high] of each parameter that is left.
        tied: parameters that are affine functions of others, constants under the name "".
    """
    rows, names = _rows(shape), list(ranges)
    full = _spread(shape, names, tied or {})
    place = {name: i for i, name in enumerate(rows.cost)}
    number = {name: i for i, name in enumerate(shape.parameters())}
    C = np.zeros((len(place), len(number)))
    for name, (price, factor) in rows.price.items():
        C[place[name], number[price]] = factor
    A_eq, F_eq = _matrices(rows.equal, place, number)
    A, F = _matrices(rows.below, place, number)
    order = _ascending(shape, number)
    low, high = np.array([ranges[name] for name in names]).T
    eye, n = np.eye(len(names)), len(place)
    return ParametricLP(
        c=np.array(list(rows.cost.values())) + C @ full[:, -1],
        C=C @ full[:, :-1],
        A=A,
        b=F @ full[:, -1],
        F=F @ full[:, :-1],
        theta_A=np.vstack([eye, -eye, order @ full[:, :-1]]),
        theta_b=np.concatenate([high, -low, -order @ full[:, -1]]),
        A_eq=A_eq,
        b_eq=F_eq @ full[:, -1],
        F_eq=F_eq @ full[:, :-1],
        x_min=np.zeros(n),
    )


def _spread(shape: Shape, names: Sequence[str], tied: Mapping[str, Terms]) -> Array:
    """All parameters of the shape over (those that are left, 1)."""
    column = {name: i for i, name in enumerate(names)} | {CONSTANT: len(names)}
    full = np.zeros((len(shape.parameters()), len(names) + 1))
    for row, name in enumerate(shape.parameters()):
        for part, factor in tied.get(name, {name: 1.0}).items():
            full[row, column[part]] = factor
    return full


def _matrices(
    rows: Sequence[tuple[Terms, Terms]], place: Mapping[str, int], number: Mapping[str, int]
) -> tuple[Array, Array]:
    left, right = np.zeros((len(rows), len(place))), np.zeros((len(rows), len(number)))
    for i, (terms, parts) in enumerate(rows):
        for name, value in terms.items():
            left[i, place[name]] = value
        for name, value in parts.items():
            right[i, number[name]] = value
    return left, right


def _ascending(shape: Shape, number: Mapping[str, int]) -> Array:
    """Rows <= 0 of the parameter set: exp <= imp, ends and slopes ascend, energy within its band."""
    chains = [["exp", "imp"]] if shape.rest else []
    for c in range(len(shape.storages)):
        chains += [[*shape.ends(c), f"capacity_c{c}"], shape.slopes(c), [f"energy_c{c}", f"capacity_c{c}"]]
    pairs = [pair for chain in chains for pair in pairwise(chain)]
    out = np.zeros((len(pairs), len(number)))
    for row, (a, b) in enumerate(pairs):
        out[row, number[a]], out[row, number[b]] = 1.0, -1.0
    return out
