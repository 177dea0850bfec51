"""Loads and generators of OpenDSS scripts, and the whole feeder."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from grid.dss.circuit import plan
from grid.dss.connection import Connection, connection
from grid.dss.properties import Properties
from grid.dss.text import NO_CURRENT, Script, read_script
from grid.errors import Fault, require
from grid.three_phase import assemble
from grid.three_phase_case import ThreePhaseCase
from grid.unbalanced_network import PHASES, UnbalancedNetwork, balanced

_BRANCHES = ("circuit", "line", "linecode", "transformer", "reactor")
_INJECTIONS = ("load", "generator", "pvsystem")


@dataclass(frozen=True)
class _Injection:
    """A load or generator: where it is connected, and its powers per phase, injections positive."""

    properties: Properties
    at: Connection
    p_kw: float
    q_kvar: float


def read_dss(path: Path) -> ThreePhaseCase:
    """Read an OpenDSS script and the files that it redirects to.

    Voltages are per unit of ``set voltagebases`` where given (the nearest to the rating of the transformer above), else
    of that rating. Loads have constant power at any voltage, as with vminpu = 0, vmaxpu = 2.

    Raises:
        InputError: every fault, by file and line.
    """
    script = read_script(path)
    table = _properties(script)
    circuits = table.get("circuit", [])
    if len(circuits) != 1:
        count = f"{len(circuits)} circuits"
        script.faults.append(Fault(f"file {str(path)!r}", count, "exactly one", "give one New Circuit"))
        require(script.faults)
    injections = [_injection(one) for kind in _INJECTIONS for one in table.get(kind, [])]
    scale = script.number("loadmult", 1.0)
    found = plan(table, script, [each.at for each in injections])
    require(script.faults)
    notes = [*_notes(script), *found.notes]
    name, v_slack = circuits[0].element.name, balanced(found.v_slack, found.w)
    network, position = assemble(name, found.buses, found.branches, found.slack, v_slack, notes)
    require(_misplaced(network, position, injections))
    return _case(network, position, injections, scale)


def _properties(script: Script) -> dict[str, list[Properties]]:
    """Enabled elements by class."""
    table: dict[str, list[Properties]] = {}
    for element in script.elements.values():
        if element.kind in NO_CURRENT:
            continue
        if element.kind not in (*_BRANCHES, *_INJECTIONS):
            allowed = ", ".join((*_BRANCHES, *_INJECTIONS))
            script.faults.append(Fault(element.label, "not modelled", allowed, "replace or remove it"))
            continue
        found = Properties(element, script.faults)
        if found.flag("enabled", True):
            table.setdefault(element.kind, []).append(found)
    return table


def _notes(script: Script) -> list[str]:
    out = Counter(element.kind for element in script.elements.values() if element.kind in NO_CURRENT)
    return [f"{count} {kind} left out: no effect on a snapshot" for kind, count in out.items()]


def _injection(given: Properties) -> _Injection:
    """Powers and connection of one element; a multi-phase one gives equal shares."""
    kind = given.element.kind
    common = ("phases", "bus1", "model", "conn", "basefreq")
    if given.number("model", 1) != 1:
        given.fault(f"model = {given.text('model')}", "1 (constant power)", "use model 1", given.where("model"))
    if given.text("conn", "wye")[:1] not in ("w", "y") and given.text("conn") != "ln":
        given.fault(f"conn = {given.text('conn')}", "wye", "give the powers per phase", given.where("conn"))
    at = connection(given, "bus1", int(given.number("phases", 3, 1)), neutral=True)
    if kind == "pvsystem":
        given.refuse_others(*common, "irradiance", "pmpp", "%pmpp", "pf", "kvar", "kva", "%cutout")
        p, q = _pv_powers(given)
    else:
        given.refuse_others(*common, "kw", "pf", "kvar", *(("kva", "rneut", "xneut") if kind == "load" else ()))
        p, q = _powers(given, kind)
    if given.number("rneut", -1.0) >= 0 and kind == "load":
        given.fault(f"rneut = {given.text('rneut')}", "none", "connect it to node 4", given.where("rneut"))
    sign = -1.0 if kind == "load" else 1.0
    return _Injection(given, at, sign * p, sign * q)


def _powers(given: Properties, kind: str) -> tuple[float, float]:
    """kW and kvar; the last of kw, kvar and kva says which two of kW, kvar, kVA and power factor count."""
    p, pf = given.number("kw", 10.0 if kind == "load" else 1000.0), given.number("pf", 0.88)
    last = given.last_of("kw", "kvar", "kva") if kind == "load" else given.last_of("kw", "kvar", "pf")
    if "kvar" in given and (last != "kvar" or "pf" in given):
        # OpenDSS forgets or keeps the kvar, depending on the order
        given.fault("kvar before kw or with pf", "kw, then either kvar or pf", "give one of them", given.where("kvar"))
    if last == "kvar":
        return p, given.number("kvar", 0.0)
    if last == "kva":
        p = given.number("kva", 0.0) * abs(pf)
    return p, _reactive(given, p, pf)


def _reactive(given: Properties, p: float, pf: float) -> float:
    if not 0.0 < abs(pf) <= 1.0:
        given.fault(f"pf = {pf:g}", "-1 to 1, not 0", "correct the power factor", given.where("pf"))
        return 0.0
    return math.copysign(abs(p) * math.sqrt(1.0 / pf**2 - 1.0), pf * p)


def _pv_powers(given: Properties) -> tuple[float, float]:
    """Power of the panels through an inverter without losses; it is on in a snapshot, until below the cut-out."""
    rating = given.number("kva", 500.0, 0.0, strict=True)
    peak = given.number("pmpp", 500.0, 0.0)
    panel = peak * given.number("irradiance", 1.0, 0.0)
    if panel < given.number("%cutout", 20.0, 0.0) * rating / 100.0:
        return 0.0, 0.0
    p = min(panel, peak * given.number("%pmpp", 100.0, 0.0) / 100.0)
    q = given.number("kvar", 0.0) if given.last_of("kvar", "pf") == "kvar" else None
    q = _reactive(given, p, given.number("pf", 1.0)) if q is None else q
    if math.hypot(p, q) > rating * (1 + 1e-9):
        given.fault(f"{p:g} kW, {q:g} kvar above kva = {rating:g}", "within the rating", "raise kva or lower pmpp")
    return p, q


def _misplaced(network: UnbalancedNetwork, position: dict[str, int], injections: list[_Injection]) -> list[Fault]:
    """Loads on buses or conductors that are not there."""
    found: list[Fault] = []
    for each in injections:
        label, i = each.properties.element.label, position.get(each.at.bus)
        if i is None:
            found.append(Fault(label, f"bus1 = {each.at.bus}", "a bus of the feeder", "correct the bus"))
            continue
        for c in each.at.conductors:
            if c < 3 and not network.wires[i, c]:
                value = f"phase {PHASES[c]} at bus {each.at.bus!r}"
                found.append(Fault(label, value, "a phase of the bus", "use a phase that the bus has"))
        has = network.w == 4 and bool(network.wires[i, 3])
        if each.at.neutral == 3 and not has:
            found.append(Fault(label, f"node 4 at bus {each.at.bus!r}", "a neutral of the bus", "connect it to node 0"))
        if each.at.neutral is None and has:
            value = f"between phase and earth at bus {each.at.bus!r}, which has a neutral"
            found.append(Fault(label, value, "between phase and neutral", "add .4 to bus1"))
    return found


def _case(
    network: UnbalancedNetwork,
    position: dict[str, int],
    injections: list[_Injection],
    load_multiplier: float,
) -> ThreePhaseCase:
    p, q = np.zeros((len(injections), 3)), np.zeros((len(injections), 3))
    for row, each in enumerate(injections):
        factor = load_multiplier if each.properties.element.kind == "load" else 1.0
        share = factor / len(each.at.conductors)
        for c in each.at.conductors:
            p[row, c] += each.p_kw * share
            q[row, c] += each.q_kvar * share
    return ThreePhaseCase(
        network,
        tuple(each.properties.element.name for each in injections),
        tuple(each.properties.element.kind for each in injections),
        np.array([position[each.at.bus] for each in injections], dtype=np.int64),
        p,
        q,
    )
