"""Source, lines, transformers and earthing reactors of OpenDSS scripts as branches in per unit; called by dss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from grid.arrays import Array, ComplexArray
from grid.dss_properties import Properties
from grid.dss_text import Script
from grid.errors import Fault
from grid.network import S_BASE_KVA
from grid.three_phase import Branch, Bus, Pi, from_sequences, transformer

_S_MVA = S_BASE_KVA / 1000.0
_METRES = {
    "mi": 1609.344, "kft": 304.8, "km": 1000.0, "m": 1.0, "ft": 0.3048, "in": 0.0254, "cm": 0.01, "mm": 0.001,
}  # fmt: skip
_SEQUENCE_DATA = ("r1", "x1", "r0", "x0", "c1", "c0")
_SEQUENCE_DEFAULT = (0.058, 0.1206, 0.1784, 0.4047, 3.4, 1.6)
_MATRICES = ("rmatrix", "xmatrix", "cmatrix")
_SWITCH = (1.0, 1.0, 1.0, 1.0, 1.1, 1.0)
SOURCE = "source of the circuit"


@dataclass(frozen=True)
class Connection:
    """A bus and its conductors 0, 1, 2 (phases) that an element uses; neutral 3, or None for earth."""

    bus: str
    conductors: tuple[int, ...]
    neutral: int | None


@dataclass(frozen=True)
class Plan:
    """Everything that ``assemble`` needs."""

    buses: dict[str, Bus]
    branches: list[Branch]
    slack: str
    v_slack: complex
    w: int


@dataclass(frozen=True, eq=False)
class _Line:
    """A line in ohm and siemens over its whole length; conductor per row, -1 for one that starts at earth."""

    given: Properties
    ends: tuple[str, str]
    upper: tuple[int, ...]
    lower: tuple[int, ...]
    z: ComplexArray
    y: ComplexArray


@dataclass(frozen=True)
class _Winding:
    at: Connection
    delta: bool
    kv: float
    kva: float
    tap: float
    r_percent: float
    neutral_ohm: complex | None


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


def connection(given: Properties, name: str, phases: int, *, neutral: bool, text: str | None = None) -> Connection:
    """Bus and conductors of ``bus.1.2.3.4``; nodes count from 1 where none are given."""
    bus, *nodes = (given.text(name) if text is None else text).split(".")
    numbers = [int(node) if node.isdigit() else -1 for node in nodes] or list(range(1, phases + 1))
    if not bus or phases > 4 or min(numbers) < 0 or max(numbers) > 4:
        allowed = "bus.1.2.3, .4 for the neutral, .0 for earth"
        given.fault(f"{name} = {given.text(name) or 'missing'}", allowed, "correct the bus", given.where(name))
        return Connection(bus or "?", (0,), None)
    live, rest = numbers[:phases], numbers[phases:]
    fourth = rest[0] if rest else 0
    good = set(live) <= {1, 2, 3} and len(set(live)) == len(live) == phases and fourth in (0, 4)
    if neutral and not good:
        found = f"{name} = {given.text(name)} with {phases} phases"
        given.fault(found, "each phase once, then 4 or 0", "correct the nodes", given.where(name))
        return Connection(bus, (0,), None)
    return Connection(bus, tuple(node - 1 for node in live), 3 if fourth == 4 else None)


def plan(
    table: dict[str, list[Properties]], script: Script, hertz: float, others: Sequence[Connection], faults: list[Fault]
) -> Plan:
    """Branches of the whole circuit; what is wrong is added to ``faults``."""
    _same_frequency(table, hertz)
    codes = {one.element.name: one for one in table.get("linecode", [])}
    circuit = table["circuit"][0]
    lines = [found for one in table.get("line", []) if (found := _line(one, codes, hertz)) is not None]
    transformers = [(one, found) for one in table.get("transformer", []) if (found := _windings(one)) is not None]
    earths = [found for one in table.get("reactor", []) if (found := _earth(one)) is not None]
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
    branches += [_transformer_branch(one, pair, base, w, star) for one, pair in transformers]
    for bus, y in star.items():
        buses[bus].shunt[(3, 3)] = y
    branches += [_line_branch(each, base, w) for each in lines]
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
    lines: Sequence[_Line],
    transformers: Sequence[tuple[Properties, tuple[_Winding, _Winding]]],
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


def _source_branch(
    circuit: Properties, bus: str, base: dict[str, float], w: int, star: dict[str, complex]
) -> Branch:
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


_LEVELS = (2000.0, 2100.0, 4.0, 3.0, 1e4, 1e4)


def _line(given: Properties, codes: dict[str, Properties], hertz: float) -> _Line | None:
    given.refuse_others(
        "bus1", "bus2", "linecode", "length", "phases", *_SEQUENCE_DATA, *_MATRICES, "switch", "units", "basefreq"
    )
    code = codes.get(given.text("linecode")) if "linecode" in given else None
    if "linecode" in given and code is None:
        given.fault(f"linecode = {given.text('linecode')}", "a Linecode of the script", "define it first")
        return None
    own = [name for name in (*_SEQUENCE_DATA, *_MATRICES) if name in given]
    if code is not None and own:
        given.fault(f"linecode and {', '.join(own)}", "one of them", "keep either the code or the data")
        return None
    data = code or given
    if code is not None:
        code.refuse_others("nphases", *_SEQUENCE_DATA, *_MATRICES, "units", "basefreq")
    phases = int(data.number("nphases" if code is not None else "phases", 3, 1))
    if phases > 4 or given.number("phases", phases) != phases:
        given.fault(f"{given.number('phases', phases):g} phases", f"{min(phases, 4)} conductors", "correct phases")
        return None
    per_length = _impedance(data, phases, given.flag("switch") and code is None)
    if per_length is None:
        return None
    length = 0.001 if given.flag("switch") else given.number("length", 1.0, 0.0, strict=True) * _factor(given, code)
    ends = [_nodes(given, name, phases) for name in ("bus1", "bus2")]
    if ends[0] is None or ends[1] is None:
        return None
    (from_bus, upper), (to_bus, lower) = ends[0], ends[1]
    if any(a != b and (a, b) != (-1, 3) for a, b in zip(upper, lower, strict=True)):
        found = f"bus1 = {given.text('bus1')}, bus2 = {given.text('bus2')}"
        given.fault(found, "the same nodes at both ends (bus1 may earth the neutral by .0)", "keep the order of nodes")
        return None
    z, c = per_length
    return _Line(given, (from_bus, to_bus), upper, lower, z * length, 2j * math.pi * hertz * 1e-9 * c * length)


def _nodes(given: Properties, name: str, count: int) -> tuple[str, tuple[int, ...]] | None:
    """Bus and the conductor (0 to 3, -1 for earth) of each row of the matrices."""
    bus, *nodes = given.text(name).split(".")
    numbers = [int(node) if node.isdigit() else 9 for node in nodes] or list(range(1, count + 1))
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
    z_1, z_0 = complex(r1, x1), complex(r0, x0)
    z = one * z_1 + (z_0 - z_1) / 3.0 if n > 1 else one * z_1
    c = one * c1 + (c0 - c1) / 3.0 if n > 1 else one * c1
    r, x = z.real, z.imag
    for name in _MATRICES:
        if name in data:
            found = data.matrix(name, n)
            if found is None:
                return None
            r, x, c = (found if name == kind else old for kind, old in zip(_MATRICES, (r, x, c), strict=True))
    if not (np.abs(r) + np.abs(x)).any():
        data.fault("no impedance", "r or x > 0", "correct the data")
        return None
    return np.asarray(r + 1j * x), np.asarray(c)


def _line_branch(each: _Line, base: dict[str, float], w: int) -> Branch:
    unit = base[each.ends[0]] ** 2 / _S_MVA
    rows = np.ix_(each.lower, each.lower)
    z, y = (np.zeros((w, w), dtype=np.complex128) for _ in range(2))
    z[rows], y[rows] = each.z / unit, each.y * unit
    wires, needs = (np.isin(np.arange(w), end) for end in (each.lower, each.upper))
    y_from = y / 2 * np.outer(needs, needs)
    limit = each.given.number("normamps", math.inf, 0.0, strict=True)
    k = np.diag(needs.astype(np.float64))
    return Branch("line", each.given.element.name, *each.ends, k, z, y_from, y / 2, wires, needs, limit)


def _windings(given: Properties) -> tuple[_Winding, _Winding] | None:
    """Both windings, from properties per winding in the order they were set."""
    given.refuse_others(
        "phases", "windings", "wdg", "bus", "conn", "kv", "kva", "tap", "%r", "rneut", "xneut", "buses", "conns", "kvs",
        "kvas", "taps", "xhl", "x12", "%loadloss", "%noloadloss", "%imag", "ppm_antifloat", "%rs", "leadlag", "core",
        "basefreq",
    )  # fmt: skip
    if given.number("phases", 3) != 3 or given.number("windings", 2) != 2:
        found = f"{given.number('phases', 3):g} phases, {given.number('windings', 2):g} windings"
        given.fault(found, "3 phases, 2 windings", "use another model")
        return None
    data: list[dict[str, str]] = [{}, {}]
    active = 0
    for name, (text, where) in given.sequence:
        if name == "wdg":
            if text not in ("1", "2"):
                given.fault(f"wdg = {text}", "1 or 2", "correct the winding", where)
                return None
            active = int(text) - 1
        elif name in ("bus", "conn", "kv", "kva", "tap", "%r", "rneut", "xneut"):
            data[active][name] = text
        elif name in ("buses", "conns", "kvs", "kvas", "taps", "%rs"):
            single = {"buses": "bus", "%rs": "%r"}.get(name, name[:-1])
            for one, value in zip(data, text.replace(",", " ").split(), strict=False):
                one[single] = value
        elif name == "%loadloss":
            for one in data:
                one["%r"] = str(_float(given, text, name) / 2.0)
    upper, lower = (_winding(given, one) for one in data)
    if lower.delta:
        given.fault("winding 2 is a delta", "wye: an earthed star point", "use another model")
    if upper.at.neutral is not None:
        given.fault(f"bus {data[0].get('bus')}", "winding 1 a delta, or a star earthed solidly", "drop node 4")
    if upper.kva != lower.kva:
        given.fault(f"kvas = {upper.kva:g}, {lower.kva:g}", "equal ratings", "refer %R to one rating")
    if given.text("core", "shell") not in ("shell", "1-phase"):
        given.fault(f"core = {given.text('core')}", "shell or 1-phase", "remove it", given.where("core"))
    return upper, lower


def _float(given: Properties, text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError:
        given.fault(f"{name} = {text}", "a number", "correct the number")
        return 1.0


def _winding(given: Properties, data: dict[str, str]) -> _Winding:
    def number(name: str, default: float) -> float:
        return _float(given, data[name], name) if name in data else default

    at = connection(given, "bus", 3, neutral=True, text=data.get("bus", ""))
    if at.conductors != (0, 1, 2):
        given.fault(f"bus {data.get('bus', 'missing')}", "bus.1.2.3 in this order", "correct the nodes")
    for name in ("kv", "kva", "tap"):
        if number(name, 1.0) <= 0:
            given.fault(f"{name} = {data[name]}", "above 0", "correct the number")
    delta = data.get("conn", "wye").lower()[:1] == "d" or data.get("conn", "").lower() == "ll"
    earth = complex(number("rneut", -1.0), number("xneut", 0.0))
    return _Winding(
        at, delta, number("kv", 12.47), number("kva", 1000.0), number("tap", 1.0), number("%r", 0.2),
        earth if earth.real >= 0 else None,
    )  # fmt: skip


def _transformer_branch(
    given: Properties, pair: tuple[_Winding, _Winding], base: dict[str, float], w: int, star: dict[str, complex]
) -> Branch:
    """Leakage by sequences, iron losses and magnetising current at the lower winding, and OpenDSS's anti-floating
    reactances of half a millionth of the rating per winding end."""
    up, low = pair
    low_base, up_base = base[low.at.bus], base[up.at.bus]
    unit = (low.kv * low.tap / low_base) ** 2 * _S_MVA / (low.kva / 1e3)
    x = given.number(given.last_of("xhl", "x12") or "xhl", 7.0)
    z = complex(up.r_percent + low.r_percent, x) / 100.0 * unit
    iron = complex(given.number("%noloadloss", 0.0, 0.0), -given.number("%imag", 0.0, 0.0)) / 100.0 / unit
    neutral = _star_point(given, low, low_base, star)
    if neutral and low.at.neutral is None and iron:
        given.fault("rneut with iron losses or magnetising current", "one of them", "use node 4 and a Reactor")
    shift = 0.0
    if up.delta:
        shift = -30.0 if given.text("leadlag", "lag") in ("lead", "euro") else 30.0
    ratio = low.kv * low.tap / low_base / (up.kv * up.tap / up_base)
    same = Pi(z, 0.0, iron)
    found = transformer(
        given.element.name, (up.at.bus, low.at.bus), ratio, shift, not up.delta, same, same, w=w, neutral=neutral
        if low.at.neutral == 3 else None, s_max_kva=low.kva,
    )  # fmt: skip
    z_matrix = found.z
    if low.at.neutral is None and neutral:
        z_matrix = z_matrix + neutral * np.outer(np.arange(w) < 3, np.arange(w) < 3)
    float_up, float_low = (_antifloat(given, each, kv, w) for each, kv in ((up, up_base), (low, low_base)))
    return Branch(
        found.kind, found.name, found.upper, found.lower, found.k, z_matrix, found.y_from + float_up,
        found.y_to + float_low, found.wires, found.needs, s_max_kva=found.s_max_kva,
    )  # fmt: skip


def _star_point(given: Properties, low: _Winding, base: float, star: dict[str, complex]) -> complex:
    """Impedance between star point and earth [pu]; reactors at the neutral count, and are used up."""
    unit = base**2 / _S_MVA
    if low.at.neutral is None:
        return 0.0 if low.neutral_ohm is None else low.neutral_ohm / unit
    if low.neutral_ohm == 0:
        return 0.0
    y = star.pop(low.at.bus, 0.0) + (0.0 if low.neutral_ohm is None else unit / low.neutral_ohm)
    if y == 0:
        given.fault(f"neutral of bus {low.at.bus!r} without earth", "an earthed star point", "add a Reactor at node 4")
        return 0.0
    return 1.0 / y


def _antifloat(given: Properties, winding: _Winding, base: float, w: int) -> ComplexArray:
    """Reactances from the ends of the windings to earth [pu]."""
    rating = winding.kva / 1e3 / winding.kv**2 * base**2 / _S_MVA
    each = -1j * given.number("ppm_antifloat", 1.0) * 1e-6 * rating
    ends = np.zeros(w, dtype=np.complex128)
    ends[:3] = each / (3.0 if winding.delta else 2.0)
    if winding.at.neutral == 3:
        ends[3] = 2.0 * each
    return np.diag(ends)


def _earth(given: Properties) -> tuple[str, complex] | None:
    """Bus and impedance [ohm] of a reactor between neutral and earth."""
    given.refuse_others("bus1", "bus2", "phases", "r", "x", "basefreq")
    one, other = given.text("bus1"), given.text("bus2") or given.text("bus1").split(".")[0] + ".0"
    ohm = complex(given.number("r", 0.0, 0.0), given.number("x", 0.0))
    ends = {one.rpartition(".")[2], other.rpartition(".")[2]}
    if given.number("phases", 3) != 1 or ends != {"4", "0"} or not ohm or len({one.split(".")[0], other.split(".")[0]}) > 1:
        found = f"bus1 = {one}, bus2 = {other}, phases = {given.number('phases', 3):g}, r + jx = {ohm:g}"
        given.fault(found, "one phase between bus.4 and bus.0, r or x given", "only neutrals are earthed so")
        return None
    return one.split(".")[0], ohm
