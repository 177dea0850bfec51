"""OpenDSS lines, from sequence data or matrices, their own or those of a Linecode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from grid.arrays import Array, ComplexArray
from grid.dss.connection import NODES
from grid.dss.properties import Properties
from grid.network import S_BASE_KVA
from grid.three_phase import Branch

_METRES = {
    "mi": 1609.344, "kft": 304.8, "km": 1000.0, "m": 1.0, "ft": 0.3048, "in": 0.0254, "cm": 0.01, "mm": 0.001,
}  # fmt: skip
_SEQUENCE_DATA = ("r1", "x1", "r0", "x0", "c1", "c0")
_SEQUENCE_DEFAULT = (0.058, 0.1206, 0.1784, 0.4047, 3.4, 1.6)
_SWITCH = (1.0, 1.0, 1.0, 1.0, 1.1, 1.0)
_MATRICES = ("rmatrix", "xmatrix", "cmatrix")


@dataclass(frozen=True, eq=False)
class Line:
    """A line in ohm and siemens over its whole length; conductor per row, -1 for one that starts at earth."""

    given: Properties
    ends: tuple[str, str]
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    z: ComplexArray
    y: ComplexArray


def read_line(given: Properties, codes: Mapping[str, Properties], hertz: float) -> Line | None:
    given.refuse_others(
        "bus1", "bus2", "linecode", "length", "phases", *_SEQUENCE_DATA, *_MATRICES, "switch", "units", "basefreq"
    )
    code = codes.get(given.text("linecode")) if "linecode" in given else None
    own = [name for name in (*_SEQUENCE_DATA, *_MATRICES) if name in given]
    if "linecode" in given and (code is None or own):
        found = f"linecode = {given.text('linecode')}" + "".join(f", {name}" for name in own)
        allowed = "a Linecode of the script, without data of the line's own"
        given.fault(found, allowed, "define the code, or keep the data", given.where("linecode"))
        return None
    data = code or given
    if code is not None:
        code.refuse_others("nphases", *_SEQUENCE_DATA, *_MATRICES, "units", "basefreq")
    phases = int(data.number("nphases" if code is not None else "phases", 3, 1))
    if phases > 4 or given.number("phases", phases) != phases:
        given.fault(f"{given.number('phases', phases):g} phases", f"{min(phases, 4)} conductors", "correct phases")
        return None
    per_length = _impedance(data, phases, given.flag("switch") and code is None)
    ends = [_nodes(given, name, phases) for name in ("bus1", "bus2")]
    if per_length is None or ends[0] is None or ends[1] is None:
        return None
    length = 0.001 if given.flag("switch") else given.number("length", 1.0, 0.0, strict=True) * _factor(given, code)
    (from_bus, upper), (to_bus, lower) = ends[0], ends[1]
    if any(a != b and (a, b) != (-1, 3) for a, b in zip(upper, lower, strict=True)):
        found = f"bus1 = {given.text('bus1')}, bus2 = {given.text('bus2')}"
        given.fault(found, "the same nodes at both ends (bus1 may earth the neutral by .0)", "keep the order of nodes")
        return None
    z, c = per_length
    y = np.asarray(2j * math.pi * hertz * 1e-9 * length * c, dtype=np.complex128)
    return Line(given, (from_bus, to_bus), upper, lower, z * length, y)


def _nodes(given: Properties, name: str, count: int) -> tuple[str, tuple[int, ...]] | None:
    """Bus and the conductor (0 to 3, -1 for earth) of each row of the matrices."""
    bus, *nodes = given.text(name).split(".")
    numbers = [int(node) if node in NODES else 9 for node in nodes] or list(range(1, count + 1))
    if not bus or len(numbers) != count or max(numbers) > 4 or len(set(numbers)) < count:
        found = f"{name} = {given.text(name) or 'missing'} with {count} phases"
        given.fault(found, "one node of 1, 2, 3, 4 for each", "correct the nodes", given.where(name))
        return None
    return bus, tuple(node - 1 for node in numbers)


def _factor(given: Properties, code: Properties | None) -> float:
    """Length of 1 unit of the line in units of its code, 1 where either has none."""
    units = [each.text("units", "none") if each is not None else "none" for each in (given, code)]
    for each, unit in zip((given, code), units, strict=True):
        if each is not None and unit != "none" and unit not in _METRES:
            each.fault(f"units = {unit}", ", ".join((*_METRES, "none")), "correct the unit", each.where("units"))
            return 1.0
    return 1.0 if "none" in units else _METRES[units[0]] / _METRES[units[1]]


def _impedance(data: Properties, n: int, switch: bool) -> tuple[ComplexArray, Array] | None:
    """Series impedance [ohm] and capacitance [nF] matrices (n, n) per unit length."""
    default = _SWITCH if switch else _SEQUENCE_DEFAULT
    r1, x1, r0, x0, c1, c0 = (data.number(name, value) for name, value in zip(_SEQUENCE_DATA, default, strict=True))
    one = np.eye(n)
    z = one * complex(r1, x1) + (complex(r0 - r1, x0 - x1) / 3.0 if n > 1 else 0.0)
    parts = {"rmatrix": np.asarray(z.real, dtype=np.float64), "xmatrix": np.asarray(z.imag, dtype=np.float64)}
    parts["cmatrix"] = one * c1 + ((c0 - c1) / 3.0 if n > 1 else 0.0)
    for name in _MATRICES:
        if name in data:
            found = data.matrix(name, n)
            if found is None:
                return None
            parts[name] = found
    r, x, c = (parts[name] for name in _MATRICES)
    if not (np.abs(r) + np.abs(x)).any():
        data.fault("no impedance", "r or x > 0", "correct the data")
        return None
    return np.asarray(r + 1j * x), c


def line_branch(each: Line, base: Mapping[str, float], w: int) -> Branch:
    unit = base[each.ends[0]] ** 2 / (S_BASE_KVA / 1e3)
    rows = np.ix_(each.lower, each.lower)
    z, y = (np.zeros((w, w), dtype=np.complex128) for _ in range(2))
    z[rows], y[rows] = each.z / unit, each.y * unit
    wires, needs = (np.isin(np.arange(w), end) for end in (each.lower, each.upper))
    y_from = y / 2 * np.outer(needs, needs)
    limit = each.given.number("normamps", math.inf, 0.0, strict=True)
    k = np.diag(needs.astype(np.float64))
    return Branch("line", each.given.element.name, *each.ends, k, z, y_from, y / 2, wires, needs, limit)
