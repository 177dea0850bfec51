"""Charts of many homes from what they measure, and the powers of their devices at the set-points that come back.

    f(P, Q) = dt (imp [-P]+ - exp [P]+) + least cost of the devices that make P and Q, now and later in the period

The least cost of the devices is a parametric linear program (``period``); with everything measured it is the maximum of
affine functions of P and Q, found by exploring the plane of these two (``mpo.Planes``). Homes of one shape share a
program. Homes with nothing to move but reactive power have theirs in closed form.

Source: section 3.4 of the formulation, [M] (31)-(34), (42).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from admmflex.errors import Fault
from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.chart_rows import ChartRows, padded, widened
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.groups import IDLE, STALE_S, Group, Measured, Rest, Setting, outside
from admmflex.prosumers.programs import Programs
from admmflex.prosumers.reactive_only import add_reactive_only, share_reactive
from admmflex.prosumers.stored_value import PIECES as PARTS
from mpo import Slices

__all__ = ["Actions", "Charting", "HomeCharts", "Measured", "Rest"]

TOUCH = 1e-9  # kW by which ranges of power must overlap
PIECES, SIDES = 16, 8  # by which the rows of a chart grow, so that charts keep their shape from call to call


@dataclass(frozen=True, eq=False)
class Actions:
    """What the devices do: (S,) and (C,) powers [kW, kvar]; ``beyond`` (n,): how far [kVA] a set-point is outside its
    chart, where the law of the nearest polygon was used and its powers were cut to the limits; ``firm`` (n,): homes
    that must not inject more than that, as a limit of the grid binds or is close.
    """

    source_p: Array
    source_q: Array
    storage_p: Array
    storage_q: Array
    beyond: Array
    firm: BoolArray | None = None


@dataclass(frozen=True, eq=False)
class HomeCharts:
    """Charts of all homes, and what is needed to share out set-points.

    Args:
        pieces: (n, R, 3) a, b, d of a P + b Q + d [EUR]; the first of a home fills up.
        sides: (n, M, 3) a, b, h of a P + b Q <= h, likewise.
        measured: what they were drawn from, the forecast where it was not a number.
        groups, slices: explored planes.
        still: (n,) homes with nothing but reactive power to move.
        safe: (n,) homes whose measurements make no sense: storages idle, plants give what they can without reactive
            power, loads are not shed; their charts are that point.
        faults: why.
    """

    pieces: Array
    sides: Array
    measured: Measured
    groups: tuple[Group, ...]
    slices: tuple[Slices, ...]
    still: BoolArray
    safe: BoolArray
    faults: tuple[Fault, ...]


class Charting:
    """Homes that draw a chart in every control step.

    Args:
        devices: of the homes, over the whole horizon.
        import_price, export_price: (n, K) [EUR/kWh].
        import_limit, export_limit: (n,) [kW] of the connections.
        segments: of the value of energy.
        dt_h: [h] length of a control step.
        period_h: [h] length of a market period.
        even: [EUR/kWh per kW] as in ``stored_value``.
        names: (n,) of the homes, in faults.
        rest: whether the rest of a period is part of the program, as in ``Shape``.
        explicit: folder of solutions of types of homes, see ``offline``: homes with one storage that does not change
            are sliced from these; without it, and all others, by exploring their planes.
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
        even: float = 0.0,
        names: Sequence[str] | None = None,
        rest: bool = True,
        explicit: str | os.PathLike[str] | None = None,
    ) -> None:
        self.devices = devices
        self.import_limit, self.export_limit = import_limit, export_limit
        self.setting = Setting(devices, import_price, export_price, segments, dt_h, period_h, rest)
        self.even, self.parts = even, PARTS if even > 0.0 else 1
        self.dt_h, self.unit = dt_h, self.setting.unit()
        self.names = [f"{i}" for i in range(devices.homes)] if names is None else names
        self.programs = Programs(explicit)
        self._pieces, self._sides = PIECES, SIDES
        self.step = -1
        self._groups: list[Group] = []

    def begin(self, step: int) -> None:
        """Go on to a step of the horizon: which devices are there, and how they work."""
        self.step = step
        self._groups = self.setting.groups(step, self.unit)
        if self.programs.explicit is not None:
            self._groups = [one for group in self._groups for one in self.setting.types(group)]

    def charts(self, measured: Measured, rest: Rest) -> HomeCharts:
        """Charts of all homes; those whose measurements make no sense have their safe point as a chart.

        Raises:
            SolveError: the plane of some home could not be explored.
        """
        measured, safe, faults = self._sane(measured)
        still = self._still(measured) & ~safe
        groups: list[Group] = []
        slices: list[Slices] = []
        for whole in self._groups:
            group, parameters = self._inside(whole.without(still | safe), measured, rest, safe, faults)
            for part, found in self.programs.slices(group, parameters) if len(group.homes) else ():
                groups.append(part)
                slices.append(found)
        for group, found in zip(groups, slices, strict=True):
            self._without_pieces(group, found, safe, faults)
        rows = ChartRows()
        for group, found in zip(groups, slices, strict=True):
            _add_slices(rows, group, found)
        level = rest.cost()
        add_reactive_only(rows, self.devices, np.flatnonzero(still), self.step, self.dt_h, level)
        self._add_points(rows, np.flatnonzero(safe), measured, level)
        pieces, sides = self._stacked(rows, measured, rest)
        return HomeCharts(pieces, sides, measured, tuple(groups), tuple(slices), still, safe, tuple(faults))

    def _sane(self, measured: Measured) -> tuple[Measured, BoolArray, list[Fault]]:
        """The forecast in the place of what is not a number, the homes where that was, and what it was."""
        devices, step, bad = self.devices, self.step, np.zeros(self.devices.homes, np.bool_)
        every, faults, clean = np.arange(devices.homes), list[Fault](), {}
        for name, home, instead in (
            ("fixed_p", every, devices.fixed_p[:, step]),
            ("fixed_q", every, devices.fixed_q[:, step]),
            ("give", devices.source_home, devices.source_give[:, step]),
            ("energy", devices.storage_home, devices.low),
        ):
            values = getattr(measured, name)
            wrong = ~np.isfinite(values)
            clean[name] = np.where(wrong, instead, values)
            bad[home[wrong]] = True
            for i in home[wrong].tolist():
                remedy = "check the meter; the home does what is safe meanwhile"
                faults.append(Fault(f"home {self.names[i]!r}", f"{name} is not a number", "a number", remedy))
        age = np.zeros(devices.homes) if measured.age_s is None else measured.age_s
        for i in np.flatnonzero(~(age <= STALE_S)).tolist():
            bad[i], remedy = True, "check the link; the home does what is safe meanwhile"
            faults.append(
                Fault(f"home {self.names[i]!r}", f"measured {age[i]:g} s ago", f"at most {STALE_S:g} s", remedy)
            )
        return replace(measured, **clean), bad, faults

    def _inside(
        self, group: Group, measured: Measured, rest: Rest, safe: BoolArray, faults: list[Fault]
    ) -> tuple[Group, dict[int, Array]]:
        """Homes of a group with parameters in range, and these by number; the others are marked as ``safe``."""
        found = self.setting.parameters(group, self.step, measured, rest)
        bad, why = outside(group, found, self.names)
        if bad.any():
            safe[group.homes[bad]] = True
            faults += why
        number = {name: i for i, name in enumerate(group.ranges)}
        return group.without(safe), {number[name]: values[~bad] for name, values in found.items()}

    def _without_pieces(self, group: Group, slices: Slices, safe: BoolArray, faults: list[Fault]) -> None:
        """Homes that no power is possible for."""
        for i in group.homes[np.diff(slices.start) == 0].tolist():
            safe[i] = True
            value, allowed = "measurements that fit no power of the devices", "energy and powers within their limits"
            faults.append(Fault(f"home {self.names[i]!r}", value, allowed, "check its measurements and its forecast"))

    def _safe_power(self, measured: Measured) -> Array:
        """(S,) [kW] what sources do in a home that is to do what is safe."""
        most = self.devices.source_give.max(axis=1, initial=0.0)
        return np.where(self.devices.free, np.clip(measured.give, 0.0, most), 0.0)

    def _add_points(self, rows: ChartRows, homes: IntArray, measured: Measured, level: Array) -> None:
        power, nothing = np.zeros(self.devices.homes), np.zeros(len(homes))
        np.add.at(power, self.devices.source_home, self._safe_power(measured))
        p = power[homes]
        rows.add_pieces(homes, nothing, nothing, level[homes], p, p)
        for a, b, h in ((1.0, 0.0, p), (-1.0, 0.0, -p), (0.0, 1.0, nothing), (0.0, -1.0, nothing)):
            rows.add_sides(homes, np.full(len(homes), a), np.full(len(homes), b), h)

    def _still(self, measured: Measured) -> BoolArray:
        """Homes without a storage that is there, and whose sources give next to nothing."""
        moving = np.zeros(self.devices.homes)
        np.add.at(moving, self.devices.source_home, measured.give)
        for group in self._groups:
            moving[group.homes] += np.inf if len(group.shape.storages) else 0.0
        return np.asarray(moving < IDLE)

    def _stacked(self, rows: ChartRows, measured: Measured, rest: Rest) -> tuple[Array, Array]:
        """Pieces and sides over P and Q, with what the control step costs at the meter; as many for every home."""
        home, a, b, d, low, high = rows.pieces()
        d = d - a * measured.fixed_p[home] - b * measured.fixed_q[home]
        low, high = low + measured.fixed_p[home], high + measured.fixed_p[home]
        kept, slope, level = self._metered(home, low, high, rest)
        home, a, b, d = home[kept], a[kept] + slope, b[kept], d[kept] + level
        pieces = padded(home, self.devices.homes, np.stack([a, b, d], axis=1))
        owner, H, h = rows.sides()
        h = h + H[:, 0] * measured.fixed_p[owner] + H[:, 1] * measured.fixed_q[owner]
        limits = self._connections(rows.pieces()[0], low, high)
        owner = np.concatenate([owner, limits[0]])
        sides = padded(owner, self.devices.homes, np.column_stack([np.vstack([H, limits[1]]), np.append(h, limits[2])]))
        self._pieces = max(self._pieces, -(-pieces.shape[1] // PIECES) * PIECES)
        self._sides = max(self._sides, -(-sides.shape[1] // SIDES) * SIDES)
        return widened(pieces, self._pieces), widened(sides, self._sides)

    def _metered(self, home: IntArray, low: Array, high: Array, rest: Rest) -> tuple[IntArray, Array, Array]:
        """What the control step costs at the meter over the range of each piece: numbers of the pieces that meet a
        segment of the tariff, and the slope and the level of that segment.
        """
        n, parts = self.devices.homes, self.parts
        reach = np.zeros((2, n))
        np.maximum.at(reach[0], home, -low)
        np.maximum.at(reach[1], home, high)
        width = reach / parts
        middle = (np.arange(parts) + 0.5) * width[:, :, None]
        price = np.stack([rest.import_price, rest.export_price])
        sign = np.array([-1.0, 1.0])[:, None, None]
        slope = self.dt_h * (-price[:, :, None] + sign * self.even * middle)
        before = np.cumsum(slope, axis=2) - slope
        level = sign * width[:, :, None] * (before - slope * np.arange(parts))
        start = np.arange(parts) * width[:, :, None]
        end = start + width[:, :, None]
        end[:, :, -1] = np.inf
        near, far = np.stack([-end[0], start[1]]), np.stack([-start[0], end[1]])
        near, far, slope, level = (x.transpose(1, 0, 2).reshape(n, -1) for x in (near, far, slope, level))
        meets = (low[:, None] < far[home] - TOUCH) & (high[:, None] > near[home] + TOUCH)
        nowhere = np.logical_not(meets.any(axis=1, keepdims=True))
        meets |= nowhere & (low[:, None] <= far[home]) & (high[:, None] >= near[home])
        kept, part = np.nonzero(meets)
        return kept, slope[home[kept], part], level[home[kept], part]

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
        share_reactive(devices, np.flatnonzero(drawn.still), self.step, wish[:, 1], source_q)
        alone = drawn.safe[devices.source_home]
        source_p[alone], source_q[alone] = self._safe_power(measured)[alone], 0.0
        return Actions(source_p, source_q, storage_p, storage_q, beyond)


def _reactive_power(at: Mapping[str, Array], tail: str) -> Array | float:
    return at[f"up_{tail}"] - at[f"down_{tail}"] if f"up_{tail}" in at else 0.0


def _add_slices(rows: ChartRows, group: Group, slices: Slices) -> None:
    """Pieces and sides of explored planes, in kW, kvar and EUR."""
    owner = np.repeat(np.arange(len(group.homes)), np.diff(slices.start))
    power = slices.corners[:, 0]
    low, high = (least.reduceat(power, slices.begin[:-1]) * group.unit[owner] for least in (np.minimum, np.maximum))
    a, b = slices.slope.T
    rows.add_pieces(group.homes[owner], a, b, slices.constant * group.unit[owner], low, high)
    owner = np.repeat(np.arange(len(group.homes)), np.diff(slices.start_side))
    a, b, h = slices.sides.T
    rows.add_sides(group.homes[owner], a, b, h * group.unit[owner])
    if not group.shape.reactive:
        nothing = np.zeros(len(group.homes))
        for sign in (1.0, -1.0):
            rows.add_sides(group.homes, nothing, nothing + sign, nothing)
