"""The source, and all branches of an OpenDSS circuit in per unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid.dss.connection import Connection, connection
from grid.dss.lines import Line, line_branch, read_line
from grid.dss.properties import Properties
from grid.dss.text import Script
from grid.dss.transformers import Winding, read_earth, read_windings, transformer_branch
from grid.errors import Fault
from grid.network import S_BASE_KVA
from grid.three_phase import Branch, Bus, from_sequences

_S_MVA = S_BASE_KVA / 1000.0
_LEVELS = (2000.0, 2100.0, 4.0, 3.0, 1e4, 1e4)  # mvasc3, mvasc1, x1r1, x0r0, isc3, isc1
SOURCE = "source of the circuit"


@dataclass(frozen=True)
class Plan:
    """Everything that ``assemble`` needs."""

    buses: dict[str, Bus]
    branches: list[Branch]
    slack: str
    v_slack: complex
    w: int


def frequency(script: Script, faults: list[Fault]) -> float:
    """Frequency of the circuit [Hz], 60 by default."""
    for name in ("frequency", "defaultbasefrequency", "defaultbasefreq"):
        if name in script.options:
            text, where = script.options[name]
            try:
                return float(text)
            except ValueError:
                faults.append(Fault(where, f"{name} = {text}", "a number", "correct the frequency"))
    return 60.0


def plan(
    table: dict[str, list[Properties]], script: Script, hertz: float, others: Sequence[Connection], faults: list[Fault]
) -> Plan:
    """Branches of the whole circuit; what is wrong is added to ``faults``."""
    _same_frequency(table, hertz)
    codes = {one.element.name: one for one in table.get("linecode", [])}
    circuit = table["circuit"][0]
    lines = [line for one in table.get("line", []) if (line := read_line(one, codes, hertz)) is not None]
    transformers = [(one, pair) for one in table.get("transformer", []) if (pair := read_windings(one)) is not None]
    earths = [earth for one in table.get("reactor", []) if (earth := read_earth(one)) is not None]
    neutral = any(3 in (*each.upper, *each.lower) for each in lines)
    neutral |= any(each.neutral == 3 for each in others) or any(pair[1].at.neutral == 3 for _, pair in transformers)
    w = 4 if neutral else 3
    source = connection(circuit, "bus1", 3, neutral=True, text=circuit.text("bus1", "sourcebus"))
    base = _bases(circuit, source.bus, lines, transformers, script, faults)
    if faults:
        return Plan({}, [], SOURCE, 1.0 + 0j, w)
    buses = {label: Bus(label, kv) for label, kv in base.items()}
    buses[SOURCE] = Bus(SOURCE, base[source.bus])
    star: dict[str, complex] = {}  # earthing admittance [pu] of neutrals
    for bus, ohm in earths:
        if bus not in base:
            faults.append(Fault("reactor", f"bus {bus!r}", "a bus of the circuit", "correct the bus"))
            continue
        star[bus] = star.get(bus, 0.0) + base[bus] ** 2 / _S_MVA / ohm
    branches = [_source_branch(circuit, source.bus, base, w, star)]
    branches += [transformer_branch(one, pair, base, w, star) for one, pair in transformers]
    for bus, y in star.items():
        buses[bus].shunt[(3, 3)] = y
    branches += [line_branch(each, base, w) for each in lines]
    v = circuit.number("pu", 1.0, 0.0, strict=True) * circuit.number("basekv", 115.0) / base[source.bus]
    angle = math.radians(circuit.number("angle", 0.0))
    return Plan(buses, branches, SOURCE, v * complex(math.cos(angle), math.sin(angle)), w)


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
    script: Script,
    faults: list[Fault],
) -> dict[str, float]:
    """Nominal voltage of every bus [kV]: from the source through lines, and across transformers by their rating."""
    text, where = script.options.get("voltagebases", ("", ""))
    try:
        listed = [float(word) for word in text.replace(",", " ").split()]
    except ValueError:
        faults.append(Fault(where, f"voltagebases = {text}", "numbers", "correct the option"))
        listed = []

    def nominal(kv: float) -> float:
        near = min(listed, key=lambda each: abs(each / kv - 1.0), default=kv)
        return near if abs(near / kv - 1.0) < 0.2 else kv

    base = {source: nominal(circuit.number("basekv", 115.0, 0.0, strict=True))}
    ties = [each.ends for each in lines]
    jumps = [(pair[0].at.bus, pair[1].at.bus, pair[1].kv) for _, pair in transformers]
    grown = True
    while grown:
        size = len(base)
        for a, b in ties:
            if a in base or b in base:
                base.setdefault(a, base.get(b, 0.0))
                base.setdefault(b, base[a])
        for upper, lower, kv in jumps:
            if upper in base:
                base.setdefault(lower, nominal(kv))
        grown = len(base) > size
    for given in [each.given for each in lines if each.ends[0] not in base]:
        given.fault(f"bus {given.text('bus1')}", "buses that the source supplies", "connect or remove it")
    for given, pair in transformers:
        if pair[0].at.bus not in base:
            given.fault(f"bus {pair[0].at.bus}", "fed at its first winding", "connect or exchange its windings")
    return base


def _source_branch(circuit: Properties, bus: str, base: dict[str, float], w: int, star: dict[str, complex]) -> Branch:
    """The source impedance; |2 z_1 + z_0| = 3 kV^2 / MVAsc1 with z_0 = r_0 + j x0r0 r_0."""
    data = ("mvasc3", "mvasc1", "x1r1", "x0r0", "isc3", "isc1", "r1", "x1", "r0", "x0")
    circuit.refuse_others("bus1", "basekv", "pu", "angle", "phases", "frequency", "basefreq", *data)
    if circuit.number("phases", 3) != 3:
        circuit.fault(f"phases = {circuit.text('phases')}", "3", "use a three-phase source")
    kv = circuit.number("basekv", 115.0, 0.0, strict=True)
    root = math.sqrt(3.0) * kv / 1e3
    level = [circuit.number(name, value, 0.0, strict=True) for name, value in zip(data[:6], _LEVELS, strict=True)]
    mva_3 = level[4] * root if circuit.last_of("mvasc3", "isc3") == "isc3" else level[0]
    mva_1 = level[5] * root if circuit.last_of("mvasc1", "isc1") == "isc1" else level[1]
    z_1 = kv**2 / mva_3 * complex(1.0, level[2]) / math.hypot(1.0, level[2])
    ratio, target = level[3], 3.0 * kv**2 / mva_1
    a, b, c = 1 + ratio**2, 4 * (z_1.real + z_1.imag * ratio), 4 * abs(z_1) ** 2 - target**2
    r_0 = (-b + math.sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)
    z_0 = r_0 * complex(1.0, ratio)
    if circuit.last_of("r1", "x1", "mvasc3", "isc3") in ("r1", "x1"):
        z_1 = complex(circuit.number("r1", 1.65), circuit.number("x1", 6.6))
        z_0 = complex(circuit.number("r0", 1.9), circuit.number("x0", 5.7))
    unit = base[bus] ** 2 / _S_MVA
    z = np.zeros((w, w), dtype=np.complex128)
    z[:3, :3] = from_sequences(z_0, z_1) / unit
    wires = np.arange(w) < 3
    k = np.diag(wires.astype(np.float64))
    if bus in star:  # the neutral begins here
        z[3, 3], wires = 1.0 / star.pop(bus), np.ones(w, dtype=np.bool_)
    none = np.zeros((w, w), dtype=np.complex128)
    return Branch("source", "source", SOURCE, bus, k, z, none, none, wires, np.arange(w) < 3)
