"""A grid as frozen per-unit arrays: what the power flow and its linearisation need, and nothing else."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from numpy.typing import ArrayLike

from grid import topology
from grid.arrays import Array, BoolArray, ComplexArray, IntArray, freeze
from grid.errors import Fault, InputError

S_BASE_KVA = 1000.0
_TEXT = ("bus_names", "branch_kinds", "branch_names", "notes")


@dataclass(frozen=True, eq=False)
class Network:
    """Positive-sequence model of one synchronous area with n buses and m branches, slack at position 0.

    I_from = y_ff V_from + y_ft V_to,   I_to = y_tf V_from + y_tt V_to,   I_bus = sum of its branch ends + shunt_y V

    Buses of a radial grid are in depth-first preorder: a parent stands before its children. Powers are per unit of
    1 MVA, voltages per unit of ``base_kv``, currents per unit of 1 MVA / (sqrt(3) base_kv) of their end.

    Args:
        name: of the grid.
        buses: (n,) pandapower index of each bus, the smallest one where bus-bus switches join several; -1 at buses that
            only the model has (star point of a three-winding transformer, open end of a line).
        bus_names: n names.
        base_kv: (n,) nominal line-to-line voltage [kV].
        v_slack: complex voltage of the slack [pu].
        v_min, v_max: (n,) limits of the voltage magnitude [pu].
        shunt_y: (n,) admittance to ground [pu].
        known_buses, known_positions: every pandapower bus that is supplied, sorted, and its position.
        from_bus, to_bus: (m,) positions of the two ends.
        y_ff, y_ft, y_tf, y_tt: (m,) complex admittances [pu]: charging, taps, phase shift and magnetising included.
        branch_kinds, branch_index, branch_names: table ("line", "trafo", ...), pandapower index and name per branch.
        is_transformer: (m,).
        i_max_from, i_max_to: (m,) rated currents [pu at that end], inf = no limit.
        s_max: (m,) rated apparent power of transformers [pu], inf elsewhere.
        notes: what the reader decided and a user should know.
        geo: (n, 2) coordinates of the grid file, for pictures; NaN where it has none.
        length_km: (m,) of lines, NaN for other branches.
    """

    name: str
    buses: IntArray
    bus_names: tuple[str, ...]
    base_kv: Array
    v_slack: complex
    v_min: Array
    v_max: Array
    shunt_y: ComplexArray
    known_buses: IntArray
    known_positions: IntArray
    from_bus: IntArray
    to_bus: IntArray
    y_ff: ComplexArray
    y_ft: ComplexArray
    y_tf: ComplexArray
    y_tt: ComplexArray
    branch_kinds: tuple[str, ...]
    branch_index: IntArray
    branch_names: tuple[str, ...]
    is_transformer: BoolArray
    i_max_from: Array
    i_max_to: Array
    s_max: Array
    notes: tuple[str, ...] = ()
    geo: Array = field(default_factory=lambda: np.empty((0, 2)))
    length_km: Array = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        for name, shape in (("geo", (self.n, 2)), ("length_km", (self.m,))):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(shape, np.nan))
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, np.ndarray):
                object.__setattr__(self, one.name, freeze(value))

    @property
    def n(self) -> int:
        """Number of buses, the slack included."""
        return len(self.buses)

    @property
    def m(self) -> int:
        """Number of branches."""
        return len(self.from_bus)

    @cached_property
    def parent(self) -> IntArray | None:
        """(n,) position of the next bus towards the slack, -1 at the slack; None in a meshed grid."""
        parent = topology.parents(self.n, self.from_bus, self.to_bus)
        ordered = parent is not None and bool((parent[1:] < np.arange(1, self.n)).all())
        return freeze(parent) if ordered and parent is not None else None

    @cached_property
    def depth_order(self) -> IntArray:
        """(n,) buses of a radial grid by distance from the slack."""
        parent = self._parents()
        depth = np.zeros(self.n, dtype=np.int64)
        for i in range(1, self.n):
            depth[i] = depth[parent[i]] + 1
        return freeze(np.argsort(depth, kind="stable"))

    @cached_property
    def tree_admittance(self) -> Array:
        """(n, 6) y_ii, y_ip, y_pi of every bus i of a radial grid and its parent p [pu], real and imaginary."""
        y, bus, up = self.y_bus, np.arange(1, self.n), self._parents()[1:]
        found = np.zeros((self.n, 3), dtype=np.complex128)
        found[:, 0] = y.diagonal()
        if len(bus):
            found[1:, 1], found[1:, 2] = y[bus, up], y[up, bus]
        return freeze(found.view(np.float64))

    @cached_property
    def tree_factors(self) -> Array:
        """(n, 6) factors of ``y_bus`` of a radial grid: L = y_pi / D, U = y_ip / D, 1 / D, real and imaginary."""
        parent = self._parents()
        diagonal, up, down = self.tree_admittance.view(np.complex128).T.copy()
        factors = np.zeros((self.n, 3), dtype=np.complex128)
        for i in range(self.n - 1, 0, -1):
            factors[i] = down[i] / diagonal[i], up[i] / diagonal[i], 1 / diagonal[i]
            diagonal[parent[i]] -= factors[i, 0] * up[i]
        return freeze(factors.view(np.float64))

    def _parents(self) -> IntArray:
        if self.parent is None:
            raise ValueError(f"{self.name!r} is not radial")
        return self.parent

    @property
    def is_tree(self) -> bool:
        """True when the grid is radial; parallel branches between the same two buses count once."""
        return self.parent is not None

    @cached_property
    def feeder(self) -> IntArray:
        """(n,) label of the feeder of each bus, -1 on the trunk from the slack to the busbar where feeders part."""
        return freeze(topology.feeders(self.n, self.from_bus, self.to_bus))

    @cached_property
    def y_bus(self) -> sp.csc_array:
        """Bus admittance matrix (n, n) [pu]."""
        f, t, bus = self.from_bus, self.to_bus, np.arange(self.n)
        rows = np.concatenate([f, f, t, t, bus])
        columns = np.concatenate([f, t, f, t, bus])
        values = np.concatenate([self.y_ff, self.y_ft, self.y_tf, self.y_tt, self.shunt_y])
        return sp.coo_array((values, (rows, columns)), shape=(self.n, self.n)).tocsc()

    @cached_property
    def v_no_load(self) -> ComplexArray:
        """(n,) complex voltages without any injection [pu]: taps, phase shifts, charging and magnetising."""
        v = np.full(self.n, self.v_slack, dtype=np.complex128)
        if self.n > 1:
            y = self.y_bus
            v[1:] = spla.splu(sp.csc_array(y[1:, 1:])).solve(-y[1:, [0]].toarray()[:, 0] * self.v_slack)
        return freeze(v)

    def positions(self, buses: ArrayLike) -> IntArray:
        """Positions of pandapower buses, those joined by closed switches included.

        Raises:
            InputError: buses that the grid does not have or that are not supplied, all of them.
        """
        asked = np.asarray(buses, dtype=np.int64)
        place = np.minimum(np.searchsorted(self.known_buses, asked), len(self.known_buses) - 1)
        unknown = np.unique(asked[self.known_buses[place] != asked])
        if len(unknown):
            remedy = "use the index of a supplied bus of the grid"
            allowed = f"one of the {len(self.known_buses)} supplied buses of {self.name!r}"
            raise InputError([Fault(f"bus {bus}", "unknown or cut off", allowed, remedy) for bus in unknown])
        return self.known_positions[place]

    def bus_label(self, position: int) -> str:
        """Bus for messages: ``bus 42 'LV1.101 Bus 7'``."""
        index, name = self.buses[position], self.bus_names[position]
        if index < 0:
            return name
        return f"bus {index} {name!r}" if name else f"bus {index}"

    def branch_label(self, branch: int) -> str:
        """Branch for messages: ``line 3 'LV1.101 Line 3'``."""
        kind, index, name = self.branch_kinds[branch], self.branch_index[branch], self.branch_names[branch]
        return f"{kind} {index} {name!r}" if name else f"{kind} {index}"

    def with_limits(self, v_min: ArrayLike | None = None, v_max: ArrayLike | None = None) -> Network:
        """The same grid with other voltage limits [pu], a number for all buses or (n,)."""
        low = self.v_min if v_min is None else np.array(np.broadcast_to(np.asarray(v_min, dtype=np.float64), self.n))
        high = self.v_max if v_max is None else np.array(np.broadcast_to(np.asarray(v_max, dtype=np.float64), self.n))
        wrong = np.flatnonzero(~((low > 0) & (low < high)))
        if len(wrong):
            at = int(wrong[0])
            found = f"v_min = {low[at]:g}, v_max = {high[at]:g} pu"
            raise InputError(Fault(self.bus_label(at), found, "0 < v_min < v_max", "correct the voltage limits"))
        return replace(self, v_min=low, v_max=high)

    def with_slack(self, v_slack: complex) -> Network:
        """The same grid with another slack voltage [pu]."""
        if not 0.5 <= abs(v_slack) <= 1.5:
            raise InputError(Fault("slack", f"voltage {v_slack:g} pu", "0.5 to 1.5 pu", "correct the slack voltage"))
        return replace(self, v_slack=complex(v_slack))

    def to_arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        """Every field as an array without Python objects, for ``numpy.savez``."""
        return {one.name: np.asarray(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_arrays(cls, data: dict[str, np.ndarray[Any, Any]]) -> Network:
        """The inverse of ``to_arrays``."""
        values: dict[str, Any] = {one.name: data[one.name] for one in fields(cls)}
        values |= {key: tuple(str(text) for text in values[key]) for key in _TEXT}
        return cls(**(values | {"name": str(values["name"]), "v_slack": complex(values["v_slack"])}))

    def save(self, path: str | Path) -> None:
        """Write the grid as ``.npz`` (no pickle)."""
        with open(path, "wb") as file:
            np.savez(file, allow_pickle=False, **self.to_arrays())

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """Read what ``save`` wrote.

        Raises:
            InputError: no file, or not one of these.
        """
        try:
            with np.load(path, allow_pickle=False) as data:
                return cls.from_arrays(dict(data))
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            cause = f"not readable as a grid: {error}"
            raise InputError(
                Fault(f"file {str(path)!r}", cause, "a file written by Network.save", "save it again")
            ) from error
