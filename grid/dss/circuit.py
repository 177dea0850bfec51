"""The source, and all branches of an OpenDSS circuit in per unit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grid.arrays import ComplexArray
from grid.dss.connection import Connection, connection
from grid.dss.lines import Line, line_branch, read_line
from grid.dss.properties import Properties
from grid.dss.text import FREQUENCY, Script
from grid.dss.transformers import Winding, read_earth, read_windings, transformer_branch
from grid.network import S_BASE_KVA
from grid.three_phase import Branch, Bus, from_sequences, widened

_S_MVA = S_BASE_KVA / 1000.0
_SOURCE = (("mvasc3", "mvasc1"), ("isc3", "isc1"), ("r1", "x1", "r0", "x0"))
_LEVELS = (2000.0, 2100.0)
SOURCE = "source of the circuit"


@dataclass(frozen=True)
class Plan:
    """Everything that ``assemble`` needs."""

    buses: dict[str, Bus]
    branches: list[Branch]
    slack: str
    v_slack: complex
    w: int
    notes: tuple[str, ...] = ()


def plan(table: dict[str, list[Properties]], script: Script, others: Sequence[Connection]) -> Plan:
    """Branches of the whole circuit; what is wrong is added to the faults of the script."""
    hertz = script.number(FREQUENCY, 60.0, above=0.0)
    _same_frequency(table, hertz)
    codes = {one.element.name: one for one in table.get("linecode", [])}
    circuit = table["circuit"][0]
    lines = [line for one in table.get("line", []) if (line := read_line(one, codes, hertz)) is not None]
    transformers = [(one, pair) for one in table.get("transformer", []) if (pair := read_windings(one)) is not None]
    earths = [(one, earth) for one in table.get("reactor", []) if (earth := read_earth(one)) is not None]
    neutral = any(3 in (*each.upper, *each.lower) for each in lines)
    neutral |= any(each.neutral == 3 for each in others) or any(pair[1].at.neutral == 3 for _, pair in transformers)
    neutral |= bool(earths)
    w = 4 if neutral else 3
    source = connection(circuit, "bus1", 3, neutral=True, text=circuit.text("bus1", "sourcebus"))
    z_0, z_1 = _source_impedance(circuit)
    base = _bases(circuit, source.bus, lines, transformers, script.numbers("voltagebases"))
    star = _earthings(earths, base)
    if script.faults:
        return Plan({}, [], SOURCE, 1.0 + 0j, w)
    buses = {label: Bus(label, kv) for label, kv in base.items()}
    buses[SOURCE] = Bus(SOURCE, base[source.bus])
    branches = [_source_branch(source.bus, from_sequences(z_0, z_1) * _S_MVA / base[source.bus] ** 2, w, star)]
    branches += [transformer_branch(one, pair, base, w, star) for one, pair in transformers]
    for bus, y in star.items():
        buses[bus].shunt[(3, 3)] = y
    branches += [line_branch(each, base, w) for each in lines]
    v = circuit.number("pu", 1.0, 0.0, strict=True) * circuit.number("basekv", 115.0) / base[source.bus]
    angle = math.radians(circuit.number("angle", 0.0))
    notes = ("source: mvasc1 above 3/2 of mvasc3 gives it negative resistance",) if z_0.real < 0 else ()
    return Plan(buses, branches, SOURCE, v * complex(math.cos(angle), math.sin(angle)), w, notes)


def _earthings(
    earths: Sequence[tuple[Properties, tuple[str, complex]]], base: Mapping[str, float]
) -> dict[str, complex]:
    """Earthing admittance [pu] of the neutral by bus."""
    star: dict[str, complex] = {}
    for given, (bus, ohm) in earths:
        if bus in base:
            star[bus] = star.get(bus, 0.0) + base[bus] ** 2 / _S_MVA / ohm
        else:
            given.fault(f"bus {bus!r}", "a bus of the circuit", "correct the bus", given.where("bus1"))
    return star


def _same_frequency(table: dict[str, list[Properties]], hertz: float) -> None:
    for each in (one for some in table.values() for one in some):
        if each.number("basefreq", hertz) != hertz:
            value = f"basefreq = {each.text('basefreq')}"
            each.fault(value, f"{hertz:g} as in the circuit", "convert the data", each.where("basefreq"))


def _bases(
    circuit: Properties,
    source: str,
    lines: Sequence[Line],
    transformers: Sequence[tuple[Properties, tuple[Winding, Winding]]],
    listed: Sequence[float],
) -> dict[str, float]:
    """Nominal voltage of every bus [kV]: from the source through lines, and across transformers by their rating."""

    def nominal(kv: float) -> float:
        near = min(listed, key=lambda each: abs(each / kv - 1.0), default=kv)
        return near if abs(near / kv - 1.0) < 0.2 else kv

    base = {source: nominal(circuit.number("basekv", 115.0, 0.0, strict=True))}
    onward: dict[str, list[tuple[str, float | None]]] = {}  # other bus, and its nominal voltage if it changes
    for one, other in (each.ends for each in lines):
        onward.setdefault(one, []).append((other, None))
        onward.setdefault(other, []).append((one, None))
    for _, (upper, lower) in transformers:
        onward.setdefault(upper.at.bus, []).append((lower.at.bus, nominal(lower.kv)))
    waiting = [source]
    while waiting:
        bus = waiting.pop()
        for other, kv in onward.get(bus, ()):
            if other not in base:
                base[other] = base[bus] if kv is None else kv
                waiting.append(other)
    for given in [each.given for each in lines if each.ends[0] not in base]:
        given.fault(f"bus {given.text('bus1')}", "buses that the source supplies", "connect or remove it")
    for given, pair in transformers:
        if pair[0].at.bus not in base:
            given.fault(f"bus {pair[0].at.bus}", "fed at its first winding", "connect or exchange its windings")
    return base


def _source_branch(bus: str, z_source: ComplexArray, w: int, star: dict[str, complex]) -> Branch:
    """The impedance z_source (3, 3) [pu] between the ideal source and the first bus."""
    z, wires = widened(z_source, w), np.arange(w) < 3
    k = np.diag(wires.astype(np.float64))
    if bus in star:  # the neutral begins here
        z[3, 3], wires = 1.0 / star.pop(bus), np.ones(w, dtype=np.bool_)
    none = np.zeros((w, w), dtype=np.complex128)
    return Branch("source", "source", SOURCE, bus, k, z, none, none, wires, np.arange(w) < 3)


def _source_impedance(circuit: Properties) -> tuple[complex, complex]:
    """z_0 and z_1 [ohm]: given, or from short-circuit levels by |2 z_1 + z_0| = 3 kV^2 / MVAsc1, x_0 = x0r0 r_0.

    What OpenDSS assumes for the missing half of a pair depends on the order of the properties: that is a fault.
    """
    known = (name for kind in _SOURCE for name in kind)
    circuit.refuse_others("bus1", "basekv", "pu", "angle", "phases", "basefreq", "x1r1", "x0r0", *known)
    if circuit.number("phases", 3) != 3:
        circuit.fault(f"phases = {circuit.text('phases')}", "3", "use three phases")
    kinds = [kind for kind in _SOURCE if any(name in circuit for name in kind)]
    kind = kinds[0] if kinds else _SOURCE[0]
    missing = [name for name in kind if name not in circuit]
    if len(kinds) > 1 or (missing and kind is not _SOURCE[0]):
        given = ", ".join(name for kind in kinds for name in kind if name in circuit)
        circuit.fault(given, "mvasc3 and mvasc1, or isc3 and isc1, or r1, x1, r0, x0", "give one of these, whole")
        return 1j, 1j
    if kind is _SOURCE[2]:
        r_1, x_1, r_0, x_0 = (circuit.number(name, 0.0) for name in kind)
        return complex(r_0, x_0), complex(r_1, x_1)
    kv = circuit.number("basekv", 115.0, 0.0, strict=True)
    scale = 1.0 if kind is _SOURCE[0] else math.sqrt(3.0) * kv / 1e3
    level_3, level_1 = (
        scale * circuit.number(name, default, 0.0, strict=True) for name, default in zip(kind, _LEVELS, strict=True)
    )
    x1r1, ratio = circuit.number("x1r1", 4.0, 0.0), circuit.number("x0r0", 3.0, 0.0)
    z_1 = kv**2 / level_3 * complex(1.0, x1r1) / math.hypot(1.0, x1r1)
    a, b = 1 + ratio**2, 4 * (z_1.real + z_1.imag * ratio)
    c = 4 * abs(z_1) ** 2 - (3.0 * kv**2 / level_1) ** 2
    if b * b < 4 * a * c:
        circuit.fault(f"mvasc1 = {level_1:g} MVA", "at most 3/2 of mvasc3", "correct the short-circuit levels")
        return 1j, 1j
    r_0 = (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)
    return complex(r_0, ratio * r_0), z_1
