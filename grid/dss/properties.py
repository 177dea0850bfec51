"""Properties of OpenDSS elements: names, abbreviations, and reading them with faults by file and line."""

from __future__ import annotations

import math

import numpy as np

from grid.arrays import Array
from grid.dss.text import Element, Value
from grid.errors import Fault

_COMMON = "basefreq enabled like"
_RATINGS = "seasons ratings linetype normamps emergamps faultrate pctperm repair"
_LINE_TAIL = f"rg xg rho geometry units spacing wires earthmodel cncables tscables b1 b0 {_RATINGS} {_COMMON}"
ORDER: dict[str, tuple[str, ...]] = {
    kind: tuple(names.split())
    for kind, names in {
        "line": f"bus1 bus2 linecode length phases r1 x1 r0 x0 c1 c0 rmatrix xmatrix cmatrix switch {_LINE_TAIL}",
        "linecode": "nphases r1 x1 r0 x0 c1 c0 units rmatrix xmatrix cmatrix basefreq normamps emergamps faultrate "
        "pctperm repair kron rg xg rho neutral b1 b0 seasons ratings linetype like",
        "transformer": "phases windings wdg bus conn kv kva tap %r rneut xneut buses conns kvs kvas taps xhl xht xlt "
        "xscarray thermal n m flrise hsrise %loadloss %noloadloss normhkva emerghkva sub maxtap mintap numtaps subname "
        "%imag ppm_antifloat %rs bank xfmrcode xrconst x12 x13 x23 leadlag wdgcurrents core rdcohms "
        f"seasons ratings normamps emergamps faultrate pctperm repair {_COMMON}",
        "load": "phases bus1 kv kw pf model yearly daily duty growth conn kvar rneut xneut status class vminpu vmaxpu "
        "vminnorm vminemerg xfkva allocationfactor kva %mean %stddev cvrwatts cvrvars kwh kwhdays cfactor cvrcurve "
        f"numcust zipv %seriesrl relweight vlowpu puxharm xrharm spectrum {_COMMON}",
        "generator": "phases bus1 kv kw pf kvar model vminpu vmaxpu yearly daily duty dispmode dispvalue conn status "
        "class vpu maxkvar minkvar pvfactor forceon kva mva xd xdp xdpp h d usermodel userdata shaftmodel shaftdata "
        "dutystart debugtrace balanced xrdp usefuel fuelkwh %fuel %reserve refuel dynamiceq dynout spectrum "
        f"{_COMMON}",
        "pvsystem": "phases bus1 kv irradiance pmpp %pmpp temperature pf conn kvar kva %cutin %cutout effcurve "
        "p-tcurve %r %x model vminpu vmaxpu balanced limitcurrent yearly daily duty tyearly tdaily tduty class "
        "usermodel userdata debugtrace varfollowinverter dutystart wattpriority pfpriority %pminnovars %pminkvarmax "
        f"kvarmax kvarmaxabs kvdc kp pitol safevoltage safemode dynamiceq dynout controlmode amplimit amplimitgain "
        f"spectrum {_COMMON}",
        "circuit": "bus1 basekv pu angle frequency phases mvasc3 mvasc1 x1r1 x0r0 isc3 isc1 r1 x1 r0 x0 scantype "
        "sequence bus2 z1 z0 z2 puz1 puz0 puz2 basemva yearly daily duty model puzideal spectrum "
        f"{_COMMON}",
        "reactor": "bus1 bus2 phases kvar kv conn rmatrix xmatrix parallel r x rp z1 z2 z0 z rcurve lcurve lmh "
        f"normamps emergamps faultrate pctperm repair {_COMMON}",
    }.items()
}
_PROFILES = "yearly daily duty growth tyearly tdaily tduty spectrum class status"
_AGEING = f"{_RATINGS} %mean %stddev"
WITHOUT_EFFECT: dict[str, tuple[str, ...]] = {
    kind: tuple(names.split())
    for kind, names in {
        "line": f"{_AGEING} rg xg rho earthmodel",
        "linecode": f"{_AGEING} rg xg rho neutral",
        "transformer": f"{_AGEING} thermal n m flrise hsrise normhkva emerghkva sub maxtap mintap numtaps subname bank "
        "xht xlt x13 x23 rdcohms",
        "load": f"{_AGEING} {_PROFILES} kv vminpu vmaxpu vminnorm vminemerg vlowpu cvrwatts cvrvars numcust zipv "
        "relweight puxharm xrharm %seriesrl kwhdays cfactor",
        "generator": f"{_AGEING} {_PROFILES} kv vminpu vmaxpu vpu maxkvar minkvar pvfactor kva mva xd xdp xdpp h d "
        "dutystart debugtrace balanced xrdp forceon",
        "pvsystem": f"{_AGEING} {_PROFILES} kv vminpu vmaxpu temperature balanced %r %x kvarmax kvarmaxabs %cutin "
        "varfollowinverter wattpriority pfpriority dutystart debugtrace kvdc kp pitol safevoltage",
        "circuit": "yearly daily duty spectrum scantype sequence basemva",
        "reactor": f"{_AGEING} kv",
    }.items()
}


class Properties:
    """The properties of one element by full name, the last one set; reading notes faults and returns the default.

    Abbreviations mean the first property that begins so, positions count on from the last property given.
    """

    def __init__(self, element: Element, faults: list[Fault]) -> None:
        self.element, self._faults = element, faults
        self.sequence: list[tuple[str, Value]] = []  # full names as they were set
        self._value: dict[str, Value] = {}
        names = ORDER[element.kind]
        place = -1
        for key, value in element.given:
            name = names[place + 1] if not key and place + 1 < len(names) else _full_name(key, names)
            if name is None:
                self.fault(f"property {key!r}", "a property of the class", "correct the name", value[1])
                continue
            place = names.index(name)
            self.sequence.append((name, value))
            self._value[name] = value

    def refuse_others(self, *known: str) -> None:
        """A fault for every property that has an effect and is not among those known."""
        for name, (text, where) in self._value.items():
            if name not in (*known, *WITHOUT_EFFECT[self.element.kind], "enabled"):
                self.fault(f"{name} = {text}", "properties that are modelled here", "remove it", where)

    def fault(self, value: str, allowed: str, remedy: str, where: str | None = None) -> None:
        label = f"{where or self.element.where}: {self.element.kind}.{self.element.name}"
        self._faults.append(Fault(label, value, allowed, remedy))

    def __contains__(self, name: str) -> bool:
        return name in self._value

    def last_of(self, *names: str) -> str | None:
        """The one of these properties that was set last."""
        return next((name for name, _ in reversed(self.sequence) if name in names), None)

    def where(self, name: str) -> str:
        """File and line of a property, or of the element."""
        return self._value[name][1] if name in self._value else self.element.where

    def text(self, name: str, default: str = "") -> str:
        """A text in lower case."""
        return self._value[name][0].lower() if name in self._value else default

    def flag(self, name: str, default: bool = False) -> bool:
        return self.text(name, "y" if default else "n")[:1] in ("y", "t")

    def number(self, name: str, default: float, low: float = -math.inf, strict: bool = False) -> float:
        """A number not below ``low`` (above it when strict)."""
        if name not in self._value:
            return default
        text, where = self._value[name]
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not math.isfinite(found) or found < low or (strict and found == low):
            allowed = "a number" if low == -math.inf else f"a number {'above' if strict else 'from'} {low:g}"
            self.fault(f"{name} = {text}", allowed, "correct the number", where)
            return default
        return found

    def matrix(self, name: str, n: int) -> Array | None:
        """A symmetric (n, n) matrix given whole or as its lower triangle, rows parted by |; None with a fault."""
        text, where = self._value[name]
        try:
            parts = [[float(word) for word in row.replace(",", " ").split()] for row in text.split("|")]
        except ValueError:
            parts = []
        sizes = [len(row) for row in parts]
        out = np.zeros((n, n))
        if sizes == list(range(1, n + 1)):
            for i, row in enumerate(parts):
                out[i, : i + 1] = out[: i + 1, i] = row
        elif sizes == [n] * n:
            out[:] = parts
        else:
            self.fault(f"{name} = {text}", f"{n} rows of {n} numbers, or a lower triangle", "correct the matrix", where)
            return None
        return out


def _full_name(key: str, names: tuple[str, ...]) -> str | None:
    if key in names:
        return key
    return next((name for name in names if key and name.startswith(key)), None)
