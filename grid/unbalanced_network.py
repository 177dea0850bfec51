"""A radial three-phase feeder as frozen per-unit arrays, with a neutral conductor where it has one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import SupportsIndex

import numpy as np
from numpy.typing import ArrayLike

from grid.arrays import Array, BoolArray, ComplexArray, IntArray, freeze
from grid.errors import Fault, InputError, require
from grid.network import S_BASE_KVA
from grid.reduction import Reduction, SolvedForm, reduce, solved_form

PHASES = "abc"
_REDUCTIONS_KEPT = 8


@dataclass(frozen=True, eq=False)
class UnbalancedNetwork:
    """Radial feeder of n buses with w = 3 (phases) or w = 4 conductors (and the neutral, the last one).

    Bus i > 0 hangs on bus parent[i] < i by branch i - 1, which takes J_p from the parent and hands J_i to the bus:

        V_i = K V_p - Z I,   J_p = K^T I + Y_from V_p,   I = J_i + Y_to V_i,   J_i = currents drawn at i + shunt_y V_i

    K is the identity for lines; Z, Y_from and Y_to are full matrices, so that mutual coupling, transposition or its
    lack, vector groups and earthed star points all fit in. Loads stand between a phase and the neutral, where the bus
    has one, else between phase and earth.

    Powers are per unit of a third of 1 MVA, voltages of base_kv / sqrt(3), currents of 1 MVA / (sqrt(3) base_kv),
    impedances of base_kv^2 / 1 MVA. Rows and columns of a conductor that a bus does not have are zero.

    Args:
        name: of the feeder.
        bus_names: n names, the slack first.
        buses: (n,) index of each bus in the source, the smallest one where switches join several, -1 without.
        known_buses, known_positions: every bus index of the source, sorted, and its position.
        base_kv: (n,) nominal line-to-line voltage [kV].
        wires: (n, w) conductors that each bus has.
        v_slack: (w,) complex voltages of the slack [pu].
        parent: (n,) position of the next bus towards the slack, -1 at the slack.
        k: (n - 1, w, w) voltage transfer of each branch, real.
        z, y_from, y_to: (n - 1, w, w) complex matrices [pu of the bus they stand at; z of the lower end].
        shunt_y: (n, w, w) admittances to earth at each bus [pu], earthing of the neutral included.
        branch_kinds, branch_names: "line" or "trafo", "source", and name per branch.
        i_max_a: (n - 1,) rated current per conductor at the lower end [A], inf = no limit.
        s_max_kva: (n - 1,) rated power of transformers, inf elsewhere.
        notes: what the reader decided and a user should know.

    Raises:
        InputError: arrays that do not fit together, or buses out of order.
    """

    name: str
    bus_names: tuple[str, ...]
    buses: IntArray
    known_buses: IntArray
    known_positions: IntArray
    base_kv: Array
    wires: BoolArray
    v_slack: ComplexArray
    parent: IntArray
    k: Array
    z: ComplexArray
    y_from: ComplexArray
    y_to: ComplexArray
    shunt_y: ComplexArray
    branch_kinds: tuple[str, ...]
    branch_names: tuple[str, ...]
    i_max_a: Array
    s_max_kva: Array
    notes: tuple[str, ...] = ()
    _reductions: dict[bytes, Reduction] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, each.name, freeze(value))
        require(self._faults())

    def _faults(self) -> list[Fault]:
        n, w = self.n, self.w
        shapes = {"bus_names": (n,), "buses": (n,), "wires": (n, w), "v_slack": (w,), "parent": (n,)}
        shapes |= {"shunt_y": (n, w, w)} | dict.fromkeys(("k", "z", "y_from", "y_to"), (n - 1, w, w))
        shapes |= dict.fromkeys(("branch_kinds", "branch_names", "i_max_a", "s_max_kva"), (n - 1,))
        found = [
            Fault(f"feeder {self.name!r}", f"{what} {np.shape(getattr(self, what))}", f"{shape}", "correct the arrays")
            for what, shape in shapes.items()
            if np.shape(getattr(self, what)) != shape
        ]
        if w not in (3, 4):
            found.append(Fault(f"feeder {self.name!r}", f"{w} conductors", "3 or 4", "give phases a, b, c, neutral"))
        if found:
            return found
        wrong = np.flatnonzero((self.parent[1:] < 0) | (self.parent[1:] >= np.arange(1, n))) + 1
        found += [
            Fault(self.bus_label(i), f"parent {self.parent[i]}", "a bus before it", "put parents before children")
            for i in wrong
        ]
        for what in ("k", "z", "y_from", "y_to"):
            bad = np.flatnonzero(~np.isfinite(getattr(self, what)).all(axis=(1, 2)))
            found += [
                Fault(self.branch_label(b), f"{what} is not finite", "numbers", "correct the impedances") for b in bad
            ]
        return found

    @property
    def n(self) -> int:
        """Number of buses, the slack included; the number of branches is one less."""
        return len(self.base_kv)

    @property
    def w(self) -> int:
        """Conductors that the arrays hold: 3, or 4 with neutral."""
        return int(self.wires.shape[-1])

    @cached_property
    def i_base_a(self) -> Array:
        """(n,) current of 1 pu [A]."""
        return freeze(S_BASE_KVA / (np.sqrt(3.0) * self.base_kv))

    @cached_property
    def form(self) -> SolvedForm:
        """Every branch solved for the voltage at its lower end and the current at its upper end."""
        return solved_form(self.parent, self.k, self.z, self.y_from, self.y_to, self.shunt_y)

    @cached_property
    def v_no_load(self) -> ComplexArray:
        """(n, w) voltages without any injection [pu]."""
        v = np.empty((self.n, self.w), dtype=np.complex128)
        v[0] = self.v_slack
        for i in range(1, self.n):
            v[i] = self.form.e[i] @ v[self.parent[i]]
        return freeze(v)

    def reduction(self, at: IntArray) -> Reduction:
        """The feeder between the slack, the buses ``at`` and those where it forks; all others put away exactly."""
        key = at.tobytes()
        if key not in self._reductions:
            if len(self._reductions) >= _REDUCTIONS_KEPT:
                self._reductions.pop(next(iter(self._reductions)))
            self._reductions[key] = reduce(self.parent, self.form, at)
        return self._reductions[key]

    def positions(self, buses: ArrayLike) -> IntArray:
        """Positions of buses given by their index in the source, those joined by closed switches included.

        Raises:
            InputError: buses that the feeder does not have, all of them.
        """
        asked = np.asarray(buses, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.known_buses, asked), len(self.known_buses) - 1)
        unknown = np.unique(asked[self.known_buses[place] != asked])
        allowed = f"one of the {len(self.known_buses)} supplied buses of {self.name!r}"
        require([Fault(f"bus {b}", "unknown or cut off", allowed, "use the index of a supplied bus") for b in unknown])
        return self.known_positions[place]

    def bus_label(self, position: SupportsIndex) -> str:
        """Bus for messages: ``bus 42 'Bus 7'``."""
        index, name = self.buses[position], self.bus_names[position]
        return f"bus {index} {name!r}" if index >= 0 and name else f"bus {index if index >= 0 else repr(name)}"

    def branch_label(self, branch: SupportsIndex) -> str:
        """Branch for messages: ``line 'LINE3'``."""
        return f"{self.branch_kinds[branch]} {self.branch_names[branch]!r}"

    def with_slack(self, v_slack: ArrayLike) -> UnbalancedNetwork:
        """The same feeder with other slack voltages (w,) [pu]; one number is taken as a balanced set."""
        given = np.asarray(v_slack, dtype=np.complex128)
        v = balanced(complex(given), self.w) if given.ndim == 0 else given
        if v.shape != (self.w,) or not ((np.abs(v[:3]) >= 0.5) & (np.abs(v[:3]) <= 1.5)).all():
            found, allowed = f"voltages {given}", f"one number or ({self.w},), 0.5 to 1.5 pu"
            raise InputError(Fault("slack", found, allowed, "correct the slack voltage"))
        return replace(self, v_slack=v, _reductions=self._reductions)


def balanced(v: complex, w: int = 3) -> ComplexArray:
    """(w,) voltages of a balanced positive-sequence set with phase a at v, neutral at 0."""
    out = np.zeros(w, dtype=np.complex128)
    out[:3] = v * np.exp(-2j * np.pi / 3 * np.arange(3))
    return out
