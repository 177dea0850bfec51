"""Charts of many homes from what they measure, and the powers of their devices at the set-points that come back.

    f(P, Q) = dt (imp [-P]+ - exp [P]+) + least cost of the devices that make P and Q, now and later in the period

The least cost of the devices is a parametric linear program (``period``); with everything measured it is the maximum of
affine functions of P and Q, found by exploring the plane of these two (``mpo.Planes``). Homes of one shape share a
program. Homes with nothing to move but reactive power have theirs in closed form.

Source: section 3.4 of the formulation, [M] (31)-(34), (42).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.chart_rows import ChartRows, padded, widened
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.period import Shape, period_program
from mpo import Planes, Slices

IDLE = 1e-3  # kW: less than that is not worth moving
ROOM = 1.05  # beyond the largest data of a group
PIECES, SIDES = 16, 8  # by which the rows of a chart grow, so that charts keep their shape from call to call


@dataclass(frozen=True, eq=False)
class Measured:
    """What homes measure at the beginning of a control step.

    Args:
        fixed_p, fixed_q: (n,) [kW, kvar] of everything that is fixed, injection positive.
        give: (S,) [kW] what each source could give.
        energy: (C,) [kWh].
    """

    fixed_p: Array
    fixed_q: Array
    give: Array
    energy: Array


@dataclass(frozen=True, eq=False)
class Rest:
    """The rest of the market period, and what energy is worth after it.

    Args:
        tau: [h] length of the rest.
        energy: (n,) [kWh] all that is fixed and all that sources could give.
        import_price, export_price: (n,) [EUR/kWh].
        ends, slopes: (C, N + 1), (C, N) segments of the value of energy [kWh, EUR/kWh].
    """

    tau: float
    energy: Array
    import_price: Array
    export_price: Array
    ends: Array
    slopes: Array


@dataclass(frozen=True, eq=False)
class Actions:
    """What the devices do: (S,) and (C,) powers [kW, kvar]; ``beyond`` (n,): how far [kVA] a set-point is outside its
    chart, where the law of the nearest polygon was used and its powers were cut to the limits.
    """

    source_p: Array
    source_q: Array
    storage_p: Array
    storage_q: Array
    beyond: Array


@dataclass(frozen=True, eq=False)
class _Group:
    """Homes (g,) of one shape with their flows (g, sources) and (g, storages), in units of ``unit`` (g,) kW."""

    shape: Shape
    homes: IntArray
    source: IntArray
    storage: IntArray
    unit: Array
    ranges: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, eq=False)
class HomeCharts:
    """Charts of all homes, and what is needed to share out set-points.

    Args:
        pieces: (n, R, 3) a, b, d of a P + b Q + d [EUR]; the first of a home fills up.
        sides: (n, M, 3) a, b, h of a P + b Q <= h, likewise.
        measured: what they were drawn from.
        groups, slices: explored planes.
        still: (n,) homes with nothing but reactive power to move.
    """

    pieces: Array
    sides: Array
    measured: Measured
    groups: tuple[_Group, ...]
    slices: tuple[Slices, ...]
    still: BoolArray


class Charting:
    """Homes that draw a chart in every control step.

    Args:
        devices: of the homes, over the whole horizon.
        import_price, export_price: (n, K) [EUR/kWh].
        import_limit, export_limit: (n,) [kW] of the connections.
        steep: [EUR/kWh] largest slope of the value of energy.
        segments: of the value of energy.
        dt_h: [h] length of a control step.
        period_h: [h] length of a market period.
    """

    def __init__(
        self,
        devices: Devices,
        import_price: Array,
        export_price: Array,
        import_limit: Array,
        export_limit: Array,
        *,
        segments: int = 3,
        dt_h: float = 10 / 3600,
        period_h: float = 0.25,
    ) -> None:
        self.devices, self.segments, self.dt_h, self.period_h = devices, segments, dt_h, period_h
        self.import_limit, self.export_limit = import_limit, export_limit
        self.tariff = import_price, export_price
        self._planes: dict[tuple[Shape, tuple[tuple[str, tuple[float, float]], ...]], Planes] = {}
        self._pieces, self._sides = PIECES, SIDES
        self.step = -1
        self._groups: list[_Group] = []

    @cached_property
    def unit(self) -> Array:
        """(n,) [kW] largest power of any flow of a home."""
        devices, unit = self.devices, np.full(self.devices.homes, IDLE)
        for home, table in (
            (devices.source_home, devices.source_give),
            (devices.source_home, devices.source_size),
            (devices.storage_home, devices.give),
            (devices.storage_home, devices.take),
            (devices.storage_home, devices.size),
        ):
            np.maximum.at(unit, home, table.max(axis=1, initial=0.0))
        return unit

    def begin(self, step: int) -> None:
        """Go on to a step of the horizon: which devices are there, and how they work."""
        self.step = step
        devices = self.devices
        there = np.flatnonzero((devices.give[:, step] > IDLE) | (devices.take[:, step] > IDLE))
        own_sources: list[list[int]] = [[] for _ in range(devices.homes)]
        own_storages: list[list[int]] = [[] for _ in range(devices.homes)]
        for k, home in enumerate(devices.source_home.tolist()):
            own_sources[home].append(k)
        for c in there.tolist():
            own_storages[devices.storage_home[c]].append(c)
        members: dict[Shape, list[int]] = {}
        for home, (sources, storages) in enumerate(zip(own_sources, own_storages, strict=True)):
            if sources or storages:
                kinds = tuple(devices.sources[k] for k in sources)
                shape = Shape(kinds, tuple(devices.storages[c][step] for c in storages), self.segments, self.dt_h)
                members.setdefault(shape, []).append(home)
        self._groups = [
            self._group(shape, np.array(homes), [own_sources[i] for i in homes], [own_storages[i] for i in homes])
            for shape, homes in members.items()
        ]

    def _group(self, shape: Shape, homes: IntArray, sources: list[list[int]], storages: list[list[int]]) -> _Group:
        source = np.array(sources, np.int64).reshape(len(homes), -1)
        storage = np.array(storages, np.int64).reshape(len(homes), -1)
        unit = self.unit[homes]
        return _Group(shape, homes, source, storage, unit, self._ranges(shape, homes, source, storage, unit))

    def _ranges(
        self, shape: Shape, homes: IntArray, source: IntArray, storage: IntArray, unit: Array
    ) -> dict[str, tuple[float, float]]:
        """[low, high] of every parameter over the whole horizon, in units, powers of two."""
        devices = self.devices

        def most(table: Array) -> float:
            return _up(float((table / unit).max(initial=0.0)))

        found: dict[str, tuple[float, float]] = {}
        given, taken, reactive = 0.0, 0.0, 0.0
        for k, one in enumerate(shape.sources):
            give, size = devices.source_give[source[:, k]].max(axis=1), devices.source_size[source[:, k]].max(axis=1)
            found[f"give_s{k}"], found[f"size_s{k}"] = (0.0, most(give)), (0.0, most(size))
            given += most(give)
            reactive += (most(size) if one.reactive else 0.0) + abs(one.give_q) * most(give)
        for c in range(len(shape.storages)):
            own = storage[:, c]
            give, take = devices.give[own].max(axis=1), devices.take[own].max(axis=1)
            width = most(devices.high[own] - devices.low[own])
            found[f"energy_c{c}"] = found[f"capacity_c{c}"] = (0.0, width)
            found |= dict.fromkeys(shape.ends(c), (0.0, width))
            found[f"give_c{c}"], found[f"take_c{c}"] = (0.0, most(give)), (0.0, most(take))
            found[f"later_give_c{c}"] = (0.0, self.period_h * most(give))
            found[f"later_take_c{c}"] = (0.0, self.period_h * most(take))
            found[f"size_c{c}"] = (0.0, most(devices.size[own].max(axis=1)))
            given, taken, reactive = given + most(give), taken + most(take), reactive + found[f"size_c{c}"][1]
        fixed = np.abs(devices.fixed_p[homes]).max(axis=1)
        rest = self.period_h * (2.0 * most(fixed) + given)
        dear, cheap = _up(float(np.abs(self.tariff[0]).max())), _up(float(np.abs(self.tariff[1]).max()))
        found |= {"rest": (-rest, rest), "imp": (-dear, dear), "exp": (-cheap, max(dear, cheap))}
        found |= {name: (-4.0 * dear, 4.0 * dear) for c in range(len(shape.storages)) for name in shape.slopes(c)}
        found |= {"p": (-ROOM * (taken + IDLE), ROOM * (given + IDLE))}
        found |= {"q": (-ROOM * (reactive + IDLE), ROOM * (reactive + IDLE))}
        return {name: found[name] for name in shape.parameters()}

    def charts(self, measured: Measured, rest: Rest) -> HomeCharts:
        """Charts of all homes.

        Raises:
            SolveError: the plane of some home could not be explored.
        """
        still = self._still(measured)
        asked = [_without(group, still) for group in self._groups]
        groups = [group for group in asked if len(group.homes)]
        slices = [self._program(group).slices(self._parameters(group, measured, rest)) for group in groups]
        rows = ChartRows()
        for group, found in zip(groups, slices, strict=True):
            _add_slices(rows, group, found)
        self._add_still(rows, np.flatnonzero(still))
        pieces, sides = self._stacked(rows, measured, rest)
        return HomeCharts(pieces, sides, measured, tuple(groups), tuple(slices), still)

    def _still(self, measured: Measured) -> BoolArray:
        """Homes without a storage that is there, and whose sources give next to nothing."""
        moving = np.zeros(self.devices.homes)
        np.add.at(moving, self.devices.source_home, measured.give)
        for group in self._groups:
            moving[group.homes] += np.inf if len(group.shape.storages) else 0.0
        return np.asarray(moving < IDLE)

    def _program(self, group: _Group) -> Planes:
        key = group.shape, tuple(group.ranges.items())
        if key not in self._planes:
            self._planes[key] = Planes(period_program(group.shape, group.ranges))
        return self._planes[key]

    def _parameters(self, group: _Group, measured: Measured, rest: Rest) -> dict[int, Array]:
        """Parameters but p and q by number, (g,) each, in units."""
        devices, shape, unit, homes = self.devices, group.shape, group.unit, group.homes
        found: dict[str, Array] = {
            "rest": rest.energy[homes] / unit,
            "imp": rest.import_price[homes],
            "exp": np.clip(rest.export_price[homes], 0.0, rest.import_price[homes].clip(0.0)),
        }
        for k in range(len(shape.sources)):
            own = group.source[:, k]
            found[f"give_s{k}"] = measured.give[own] / unit
            found[f"size_s{k}"] = devices.source_size[own, self.step] / unit
        for c in range(len(shape.storages)):
            own = group.storage[:, c]
            give, take = devices.give[own, self.step] / unit, devices.take[own, self.step] / unit
            ends = (rest.ends[own] - devices.low[own, None]) / unit[:, None]
            found[f"energy_c{c}"] = (measured.energy[own] - devices.low[own]) / unit
            found[f"capacity_c{c}"] = (devices.high[own] - devices.low[own]) / unit
            found[f"give_c{c}"], found[f"later_give_c{c}"] = give, rest.tau * give
            found[f"take_c{c}"], found[f"later_take_c{c}"] = take, rest.tau * take
            found[f"size_c{c}"] = devices.size[own, self.step] / unit
            found |= dict(zip(shape.ends(c), ends[:, 1:-1].T, strict=True))
            found |= dict(zip(shape.slopes(c), rest.slopes[own].T, strict=True))
        return {number: found[name] for number, name in enumerate(shape.parameters()) if number > 1}

    def _add_still(self, rows: ChartRows, homes: IntArray) -> None:
        """Reactive power of the cheapest source first:  f = max_k (c_k |Q| - sum_{j<k} (c_k - c_j) r_j)."""
        nothing = np.zeros(len(homes))
        rows.add_pieces(homes, nothing, nothing, nothing, nothing, nothing)
        order, reach, cost, before, spent = self._merit(homes)
        owner, slope = self.devices.source_home[order], self.dt_h * cost
        level = self.dt_h * (spent - cost * before)
        zero = np.zeros(len(order))
        for sign in (1.0, -1.0):
            rows.add_pieces(owner, zero, sign * slope, level, zero, zero)
        total = np.zeros(self.devices.homes)
        np.add.at(total, owner, reach)
        for a, b, h in ((1.0, 0.0, nothing), (-1.0, 0.0, nothing), (0.0, 1.0, total[homes]), (0.0, -1.0, total[homes])):
            rows.add_sides(homes, np.full(len(homes), a), np.full(len(homes), b), h)

    def _merit(self, homes: IntArray) -> tuple[IntArray, Array, Array, Array, Array]:
        """Sources of some homes without active power in the order of the cost of reactive power within each home: their
        numbers, reach [kvar], cost, and the reach and the cost of all that come before.
        """
        devices = self.devices
        chosen = np.flatnonzero(np.isin(devices.source_home, homes))
        kinds = [devices.sources[k].reactive for k in chosen]
        cost = np.array([one.cost if one else 0.0 for one in kinds])
        share = np.array(
            [min([float(one.bounded or np.inf), *(c for c, _ in one.edges)]) if one else 0.0 for one in kinds]
        )
        reach = np.where(np.isfinite(share), share, 0.0) * devices.source_size[chosen, self.step]
        order = np.lexsort((cost, devices.source_home[chosen]))
        chosen, cost, reach = chosen[order], cost[order], reach[order]
        owner = devices.source_home[chosen]
        first = np.searchsorted(owner, owner)
        total, paid = np.cumsum(reach) - reach, np.cumsum(cost * reach) - cost * reach
        return chosen, reach, cost, total - total[first], paid - paid[first]

    def _stacked(self, rows: ChartRows, measured: Measured, rest: Rest) -> tuple[Array, Array]:
        """Pieces and sides over P and Q, with what the control step costs at the meter; as many for every home."""
        home, a, b, d, low, high = rows.pieces()
        d = d - a * measured.fixed_p[home] - b * measured.fixed_q[home]
        low, high = low + measured.fixed_p[home], high + measured.fixed_p[home]
        buys, sells = (low < 0.0) | (high <= 0.0), high > 0.0
        charged = [
            a[buys] - self.dt_h * rest.import_price[home[buys]],
            a[sells] - self.dt_h * rest.export_price[home[sells]],
        ]
        kept = np.concatenate([np.flatnonzero(buys), np.flatnonzero(sells)])
        pieces = padded(home[kept], self.devices.homes, np.stack([np.concatenate(charged), b[kept], d[kept]], axis=1))
        owner, H, h = rows.sides()
        h = h + H[:, 0] * measured.fixed_p[owner] + H[:, 1] * measured.fixed_q[owner]
        limits = self._connections(home, low, high)
        owner = np.concatenate([owner, limits[0]])
        sides = padded(owner, self.devices.homes, np.column_stack([np.vstack([H, limits[1]]), np.append(h, limits[2])]))
        self._pieces = max(self._pieces, -(-pieces.shape[1] // PIECES) * PIECES)
        self._sides = max(self._sides, -(-sides.shape[1] // SIDES) * SIDES)
        return widened(pieces, self._pieces), widened(sides, self._sides)

    def _connections(self, home: IntArray, low: Array, high: Array) -> tuple[IntArray, Array, Array]:
        """Limits of the connections, as far as the home can keep them."""
        least, most = np.full(self.devices.homes, np.inf), np.full(self.devices.homes, -np.inf)
        np.minimum.at(least, home, low)
        np.maximum.at(most, home, high)
        sells, buys = np.isfinite(self.export_limit), np.isfinite(self.import_limit)
        owner = np.concatenate([np.flatnonzero(sells), np.flatnonzero(buys)])
        H = np.zeros((len(owner), 2))
        H[:, 0] = np.where(np.arange(len(owner)) < sells.sum(), 1.0, -1.0)
        h = [np.maximum(self.export_limit, least)[sells], np.maximum(self.import_limit, -most)[buys]]
        return owner, H, np.concatenate(h)

    def actions(self, drawn: HomeCharts, p: Array, q: Array) -> Actions:
        """What the devices do at set-points (n,) [kW, kvar] of the connections, with fixed powers as measured."""
        devices, measured = self.devices, drawn.measured
        source_p, source_q = np.zeros(len(devices.sources)), np.zeros(len(devices.sources))
        storage_p, storage_q = np.zeros(len(devices.stores)), np.zeros(len(devices.stores))
        wish = np.stack([p - measured.fixed_p, q - measured.fixed_q], axis=1)
        beyond = np.zeros(devices.homes)
        for group, slices in zip(drawn.groups, drawn.slices, strict=True):
            x, outside = slices.minimisers(wish[group.homes] / group.unit[:, None])
            beyond[group.homes] = np.maximum(outside, 0.0) * group.unit
            at = {name: x[:, number] * group.unit for number, name in enumerate(group.shape.variables())}
            for k, source in enumerate(group.shape.sources):
                own, give = group.source[:, k], at[f"g1_s{k}"]
                source_p[own] = np.clip(give, 0.0, measured.give[own])
                source_q[own] = source.give_q * source_p[own] + _reactive_power(at, f"s{k}")
            for c in range(len(group.shape.storages)):
                own = group.storage[:, c]
                give = np.clip(at.get(f"g1_c{c}", 0.0), 0.0, devices.give[own, self.step])
                take = np.clip(at.get(f"t1_c{c}", 0.0), 0.0, devices.take[own, self.step])
                storage_p[own], storage_q[own] = give - take, _reactive_power(at, f"c{c}")
        self._share_reactive(np.flatnonzero(drawn.still), wish[:, 1], source_q)
        return Actions(source_p, source_q, storage_p, storage_q, beyond)

    def _share_reactive(self, homes: IntArray, q: Array, source_q: Array) -> None:
        order, reach, _, before, _ = self._merit(homes)
        wish = q[self.devices.source_home[order]]
        source_q[order] = np.sign(wish) * np.clip(np.abs(wish) - before, 0.0, reach)


def _reactive_power(at: Mapping[str, Array], tail: str) -> Array | float:
    return at[f"up_{tail}"] - at[f"down_{tail}"] if f"up_{tail}" in at else 0.0


def _add_slices(rows: ChartRows, group: _Group, slices: Slices) -> None:
    """Pieces and sides of explored planes, in kW, kvar and EUR."""
    owner = np.repeat(np.arange(len(group.homes)), np.diff(slices.start))
    power = slices.corners[:, 0]
    low, high = (least.reduceat(power, slices.begin[:-1]) * group.unit[owner] for least in (np.minimum, np.maximum))
    a, b = slices.slope.T
    rows.add_pieces(group.homes[owner], a, b, slices.constant * group.unit[owner], low, high)
    owner = np.repeat(np.arange(len(group.homes)), np.diff(slices.start_side))
    a, b, h = slices.sides.T
    rows.add_sides(group.homes[owner], a, b, h * group.unit[owner])


def _without(group: _Group, left_out: BoolArray) -> _Group:
    """The group without some homes."""
    kept = ~left_out[group.homes]
    if kept.all():
        return group
    return _Group(
        group.shape, group.homes[kept], group.source[kept], group.storage[kept], group.unit[kept], group.ranges
    )


def _up(x: float) -> float:
    """The next power of two."""
    return float(2.0 ** np.ceil(np.log2(max(ROOM * x, 1e-6))))
