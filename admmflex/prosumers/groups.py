"""Homes of one shape, and what they measure as the parameters of their common program, in units of each home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from admmflex.errors import Fault
from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.offline import DIGITS, TAU, ties
from admmflex.prosumers.period import CONSTANT, Shape, Terms

IDLE = 1e-3  # kW: less than that is not worth moving
ROOM = 1.05  # beyond the largest data of a group
STALE_S = 60.0  # s: measurements that are older say nothing
ROUNDING = 1e-6  # of the range of a parameter: so far beyond it still counts as at its end


@dataclass(frozen=True, eq=False)
class Measured:
    """What homes measure at the beginning of a control step.

    Args:
        fixed_p, fixed_q: (n,) [kW, kvar] of everything that is fixed, injection positive.
        give: (S,) [kW] what each source could give.
        energy: (C,) [kWh].
        age_s: (n,) [s] how old they are; fresh when left out.
    """

    fixed_p: Array
    fixed_q: Array
    give: Array
    energy: Array
    age_s: Array | None = None


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

    @property
    def earned(self) -> Array:
        """(n,) [EUR/kWh] of what is sold: at least nothing, as sources can be curtailed, at most what buying costs."""
        return np.asarray(np.minimum(self.export_price.clip(0.0), self.import_price))

    def cost(self) -> Array:
        """(n,) [EUR] of the rest of the period when nothing moves."""
        return np.where(self.energy < 0.0, -self.import_price * self.energy, -self.earned * self.energy)


@dataclass(frozen=True, eq=False)
class Group:
    """Homes (g,) of one shape with their flows (g, sources) and (g, storages), in units of ``unit`` (g,) kW.

    ``ranges``: [low, high] of every parameter over the whole horizon; ``tied``: parameters that are functions of
    others, see ``offline``, none where homes of one shape differ.
    """

    shape: Shape
    homes: IntArray
    source: IntArray
    storage: IntArray
    unit: Array
    ranges: Mapping[str, tuple[float, float]]
    tied: Mapping[str, Terms] = field(default_factory=dict)

    def without(self, left_out: BoolArray) -> Group:
        """The group without some of all homes."""
        kept = ~left_out[self.homes]
        if kept.all():
            return self
        homes, source, storage = (rows[kept] for rows in (self.homes, self.source, self.storage))
        return replace(self, homes=homes, source=source, storage=storage, unit=self.unit[kept])


@dataclass(frozen=True, eq=False)
class Setting:
    """What groups are made from: devices, the tariff (n, K) [EUR/kWh]; N, dt, period and ``rest`` of their shapes."""

    devices: Devices
    import_price: Array
    export_price: Array
    segments: int
    dt_h: float
    period_h: float
    rest: bool = True

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

    def groups(self, step: int, unit: Array) -> list[Group]:
        """Homes with sources, or with storages that are there in a step of the horizon, by shape."""
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
                shape = Shape(
                    kinds, tuple(devices.storages[c][step] for c in storages), self.segments, self.dt_h, self.rest
                )
                members.setdefault(shape, []).append(home)
        return [
            self._group(shape, np.array(homes), [own_sources[i] for i in homes], [own_storages[i] for i in homes], unit)
            for shape, homes in members.items()
        ]

    def types(self, group: Group) -> list[Group]:
        """The group by type of home, in units of the power of its storage; itself where that is not possible.

        Possible with one storage that does not change over the horizon.
        """
        devices = self.devices
        if len(group.shape.storages) != 1:
            return [group]
        own = group.storage[:, 0]
        tables = [devices.give[own], devices.take[own], devices.size[own]]
        steady = np.all([np.ptp(table, axis=1) == 0.0 for table in tables], axis=0)
        steady &= np.array([len(set(devices.storages[c])) == 1 for c in own.tolist()], np.bool_)
        unit = np.maximum(tables[0][:, 0], tables[1][:, 0])
        constants = [(devices.high - devices.low)[own], *(table[:, 0] for table in tables)]
        values = np.stack(constants, axis=1) / unit[:, None]
        found, which = np.unique(values[steady].round(DIGITS), axis=0, return_inverse=True)
        kinds = np.full(len(own), -1)
        kinds[steady] = which.ravel()
        groups = [] if steady.all() else [self._part(group, ~steady, group.unit, {})]
        for kind, numbers in enumerate(found):
            tied = ties(group.shape, *(float(one) for one in numbers))
            groups.append(self._part(group, kinds == kind, unit, tied))
        return groups

    def _part(self, group: Group, chosen: BoolArray, unit: Array, tied: Mapping[str, Terms]) -> Group:
        """Some homes of a group, in other units."""
        homes, source, storage = (rows[chosen] for rows in (group.homes, group.source, group.storage))
        ranges = self._ranges(group.shape, homes, source, storage, unit[chosen], tied)
        return Group(group.shape, homes, source, storage, unit[chosen], ranges, tied)

    def _group(
        self, shape: Shape, homes: IntArray, sources: list[list[int]], storages: list[list[int]], every: Array
    ) -> Group:
        source = np.array(sources, np.int64).reshape(len(homes), -1)
        storage = np.array(storages, np.int64).reshape(len(homes), -1)
        unit = every[homes]
        return Group(shape, homes, source, storage, unit, self._ranges(shape, homes, source, storage, unit, {}))

    def _ranges(
        self,
        shape: Shape,
        homes: IntArray,
        source: IntArray,
        storage: IntArray,
        unit: Array,
        tied: Mapping[str, Terms],
    ) -> dict[str, tuple[float, float]]:
        """[low, high] of every parameter that is left over the whole horizon, in units, powers of two."""
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
        rest = self.period_h * (4.0 * most(fixed) + given)
        dear, cheap = _up(float(np.abs(self.import_price).max())), _up(float(np.abs(self.export_price).max()))
        found |= {"rest": (-rest, rest), "imp": (-dear, dear), "exp": (-dear, max(dear, cheap))}
        found |= {name: (-4.0 * dear, 4.0 * dear) for c in range(len(shape.storages)) for name in shape.slopes(c)}
        found[TAU] = (0.0, self.period_h)
        found |= {"p": (-ROOM * (taken + IDLE), ROOM * (given + IDLE))}
        found |= {"q": (-ROOM * (reactive + IDLE), ROOM * (reactive + IDLE))}
        return {name: found[name] for name in (*shape.parameters(), *([TAU] if tied else [])) if name not in tied}

    def parameters(self, group: Group, step: int, measured: Measured, rest: Rest) -> dict[str, Array]:
        """Parameters of the group but p and q, (g,) each, in units."""
        devices, shape, unit, homes = self.devices, group.shape, group.unit, group.homes
        found: dict[str, Array] = {
            "rest": rest.energy[homes] / unit,
            "imp": rest.import_price[homes],
            "exp": rest.earned[homes],
            TAU: np.full(len(homes), rest.tau),
        }
        for k in range(len(shape.sources)):
            own = group.source[:, k]
            found[f"give_s{k}"] = measured.give[own] / unit
            found[f"size_s{k}"] = devices.source_size[own, step] / unit
        for c in range(len(shape.storages)):
            own = group.storage[:, c]
            give, take = devices.give[own, step] / unit, devices.take[own, step] / unit
            ends = (rest.ends[own] - devices.low[own, None]) / unit[:, None]
            width = (devices.high[own] - devices.low[own]) / unit
            if group.tied:  # rounded
                width = np.full(len(own), group.tied[f"capacity_c{c}"][CONSTANT])
            found[f"energy_c{c}"] = _rounded((measured.energy[own] - devices.low[own]) / unit, width)
            found[f"capacity_c{c}"] = width
            found[f"give_c{c}"], found[f"later_give_c{c}"] = give, rest.tau * give
            found[f"take_c{c}"], found[f"later_take_c{c}"] = take, rest.tau * take
            found[f"size_c{c}"] = devices.size[own, step] / unit
            inner = np.minimum(ends[:, 1:-1].T, width)
            found |= dict(zip(shape.ends(c), inner, strict=True))
            found |= dict(zip(shape.slopes(c), rest.slopes[own].T, strict=True))
        return {name: found[name] for name in list(group.ranges)[2:]}


def outside(group: Group, parameters: Mapping[str, Array], names: Sequence[str]) -> tuple[BoolArray, list[Fault]]:
    """Homes (g,) with a parameter that is NaN or out of range, and each such value by the names of homes."""
    bad, faults = np.zeros(len(group.homes), np.bool_), []
    for name, values in parameters.items():
        low, high = (np.full(len(values), end) for end in group.ranges[name])
        if name.startswith("energy_"):
            high = np.minimum(high, _capacity(group, parameters, name.replace("energy", "capacity")))
        wrong = ~((values >= low) & (values <= high))
        scale = np.ones(len(values)) if name in ("imp", "exp") or name.startswith("slope") else group.unit
        for i in np.flatnonzero(wrong):
            value, least, most = (f"{one * scale[i]:g}" for one in (values[i], low[i], high[i]))
            remedy = "check the measurement; the home does what is safe meanwhile"
            faults.append(Fault(f"home {names[group.homes[i]]!r}", f"{name} = {value}", f"{least} to {most}", remedy))
        bad |= wrong
    return bad, faults


def _capacity(group: Group, parameters: Mapping[str, Array], name: str) -> Array | float:
    return group.tied[name][CONSTANT] if name in group.tied else parameters[name]


def _rounded(energy: Array, width: Array) -> Array:
    """Energy that is beyond its band by rounding only is at the end of it."""
    near = (energy > -ROUNDING * width) & (energy < (1.0 + ROUNDING) * width)
    return np.where(near, np.clip(energy, 0.0, width), energy)


def _up(x: float) -> float:
    """The next power of two."""
    return float(2.0 ** np.ceil(np.log2(max(ROOM * x, 1e-6))))
