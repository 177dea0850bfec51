"""Customers of a three-phase feeder: where they stand, on which phases, and how large their inverters are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from admmflex.errors import Fault, require
from admmflex.horizon import Array, IntArray
from grid import ThreePhaseCase, UnbalancedNetwork
from grid.arrays import freeze
from grid.unbalanced_network import PHASES

LOADS = ("load", "asymmetric_load")
GENERATORS = ("sgen", "asymmetric_sgen", "generator", "pvsystem")
_SHARE_ERROR = 1e-9


@dataclass(frozen=True, eq=False)
class Customers:
    """n customers of a feeder.

    Args:
        network: the feeder.
        name: (n,) names, none twice.
        bus: (n,) position of each customer's bus in the network.
        share: (n, 3) share of the power in phase a, b, c: one-hot for a single-phase connection, thirds for three.
        rating_kw: (n,) rating of the inverter S [kW]; 0 without PV.

    Raises:
        InputError: every customer at a bus or phase that does not exist, with a rating that is negative or not a
            number, with shares that do not sum to 1, or a name given twice.
    """

    network: UnbalancedNetwork
    name: tuple[str, ...]
    bus: IntArray
    share: Array
    rating_kw: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "bus", freeze(np.asarray(self.bus, dtype=np.int64)))
        for what in ("share", "rating_kw"):
            object.__setattr__(self, what, freeze(np.asarray(getattr(self, what), dtype=np.float64)))
        require(self._faults())

    @property
    def n(self) -> int:
        """Number of customers."""
        return len(self.name)

    @cached_property
    def at(self) -> IntArray:
        """(L,) positions of the buses with customers, sorted."""
        return np.unique(self.bus)

    @cached_property
    def row(self) -> IntArray:
        """(n,) row of each customer in ``at``."""
        return np.searchsorted(self.at, self.bus)

    def by_bus(self, power: Array) -> Array:
        """(L, 3, K) power per bus and phase from power per customer (n, K), as ``grid.unbalanced_flow`` takes it."""
        out = np.zeros((len(self.at), 3, power.shape[-1]))
        for f in range(3):
            on = np.flatnonzero(self.share[:, f])
            np.add.at(out[:, f], self.row[on], self.share[on, f, None] * power[on])
        return out

    def _faults(self) -> list[Fault]:
        n = self.n
        shapes = {"bus": (n,), "share": (n, 3), "rating_kw": (n,)}
        found = [
            Fault("customers", f"{what} {getattr(self, what).shape}", f"{shape}", "give one row per customer")
            for what, shape in shapes.items()
            if getattr(self, what).shape != shape
        ]
        if not n:
            found.append(Fault("customers", "none", "at least one", "give customers"))
        if found:
            return found
        seen: set[str] = set()
        for i, name in enumerate(self.name):
            label = f"customer {name!r}"
            if name in seen:
                found.append(Fault(label, "the name of several customers", "each name once", "rename one"))
            seen.add(name)
            found += self._faults_of(i, label)
        return found

    def _faults_of(self, i: int, label: str) -> list[Fault]:
        found, bus, share, rating = [], self.bus[i], self.share[i], self.rating_kw[i]
        if not 0 <= rating < np.inf:
            found.append(Fault(label, f"rating {rating:g} kW", "a number >= 0", "correct the rating; 0 without PV"))
        if not (share >= 0).all() or not abs(share.sum() - 1.0) <= _SHARE_ERROR:
            value = "shares " + ", ".join(f"{x:g}" for x in share)
            found.append(Fault(label, value, ">= 0, summing to 1", "say which phases the customer has"))
        if not 0 < bus < self.network.n:
            value = "at the slack" if bus == 0 else f"bus position {bus}"
            found.append(Fault(label, value, f"1 to {self.network.n - 1}", "give a bus of the feeder below the slack"))
            return found
        has = self.network.wires[bus, :3]
        for f in np.flatnonzero((share != 0) & ~has):
            phases = ", ".join(PHASES[c] for c in np.flatnonzero(has))
            value = f"connected to phase {PHASES[f]} of {self.network.bus_label(bus)}"
            found.append(Fault(label, value, f"phases {phases}", "use a phase that the bus has"))
        return found


def customers_of(case: ThreePhaseCase, rating_kw: float | Mapping[str, float] | None = None) -> Customers:
    """A customer for every load of a feeder's file, on the phases that it loads.

    Args:
        case: from ``grid.read_three_phase``; phases and their shares are those of the load's active power.
        rating_kw: of the inverter of every customer, or of some of them by name (the others have none). By default
            what stands in the file: generators count for the customer at the same bus, shared where there are several.

    Raises:
        InputError: no loads, loads without power (their phases are unknown), names that no customer has.
    """
    loads = [e for e, kind in enumerate(case.kinds) if kind in LOADS]
    require([Fault(f"feeder {case.network.name!r}", "no loads", "at least one", "add loads")] if not loads else [])
    power = -case.p_kw[loads]
    name = _distinct([case.names[e] for e in loads])
    total = power.sum(axis=1)
    require(
        [
            Fault(f"load {name[i]!r}", f"{total[i]:g} kW", "more than 0", "give a power: it tells the phases")
            for i in np.flatnonzero(~(total > 0))
        ]
    )
    bus = case.bus[loads]
    return Customers(case.network, name, bus, power / total[:, None], _ratings(case, name, bus, rating_kw))


def _ratings(
    case: ThreePhaseCase, name: tuple[str, ...], bus: IntArray, given: float | Mapping[str, float] | None
) -> Array:
    if given is None:
        made = np.zeros(case.network.n)
        for e, kind in enumerate(case.kinds):
            if kind in GENERATORS:
                made[case.bus[e]] += case.p_kw[e].sum()
        return made[bus] / np.bincount(bus, minlength=case.network.n)[bus]
    if not isinstance(given, Mapping):
        return np.full(len(name), float(given))
    unknown = sorted(set(given) - set(name))
    allowed = f"one of the {len(name)} customers"
    require([Fault(f"rating of {one!r}", "no such customer", allowed, "use the name of a load") for one in unknown])
    return np.array([float(given.get(one, 0.0)) for one in name])


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The names, numbered where one is given several times."""
    count: dict[str, int] = {}
    out = []
    for one in names:
        count[one] = count.get(one, 0) + 1
        out.append(one if count[one] == 1 else f"{one} ({count[one]})")
    return tuple(out)
