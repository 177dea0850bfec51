"""OpenDSS transformers of two windings and three phases, and what earths their star points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from grid.dss.connection import Connection, connection
from grid.dss.properties import Properties
from grid.network import S_BASE_KVA
from grid.three_phase import Branch, Pi, transformer

_S_MVA = S_BASE_KVA / 1e3


@dataclass(frozen=True)
class Winding:
    at: Connection
    delta: bool
    kv: float
    kva: float
    tap: float
    r_percent: float
    neutral_ohm: complex | None

    @property
    def star_ends(self) -> float:
        """How many anti-floating reactances OpenDSS puts at the star point: one per phase, and one if rneut is open."""
        return 4.0 if self.neutral_ohm is None else 3.0


def read_windings(given: Properties) -> tuple[Winding, Winding] | None:
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
            data[active][name] = text.lower()
        elif name in ("buses", "conns", "kvs", "kvas", "taps", "%rs"):
            single = {"buses": "bus", "%rs": "%r"}.get(name, name[:-1])
            for one, value in zip(data, text.lower().replace(",", " ").split(), strict=False):
                one[single] = value
        elif name == "%loadloss":
            for one in data:
                one["%r"] = str(_float(given, text, name) / 2.0)
    upper, lower = (_winding(given, one) for one in data)
    if lower.delta:
        given.fault("winding 2 is a delta", "wye: an earthed star point", "use another model")
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


def _winding(given: Properties, data: dict[str, str]) -> Winding:
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
    return Winding(
        at, delta, number("kv", 12.47), number("kva", 1000.0), number("tap", 1.0), number("%r", 0.2),
        earth if earth.real >= 0 else None,
    )  # fmt: skip


def transformer_branch(
    given: Properties, pair: tuple[Winding, Winding], base: Mapping[str, float], w: int, star: dict[str, complex]
) -> Branch:
    """Leakage by sequences, iron losses and magnetising current at the lower winding, anti-floating reactances."""
    up, low = pair
    low_base, up_base = base[low.at.bus], base[up.at.bus]
    unit = (low.kv * low.tap / low_base) ** 2 * _S_MVA / (low.kva / 1e3)
    x = given.number(given.last_of("xhl", "x12") or "xhl", 7.0)
    z = complex(up.r_percent + low.r_percent, x) / 100.0 * unit
    iron = complex(given.number("%noloadloss", 0.0, 0.0), -given.number("%imag", 0.0, 0.0)) / 100.0 / unit
    neutral = None if low.at.neutral is None else _star_point(given, low, low_base, star)
    shift = 0.0
    if up.delta:
        shift = -30.0 if given.text("leadlag", "lag") in ("lead", "euro") else 30.0
    ratio = low.kv * low.tap / low_base / (up.kv * up.tap / up_base)
    zero, passes = _zero_sequence(given, up, up_base, ratio, Pi(z, 0.0, iron), star)
    found = transformer(
        given.element.name, (up.at.bus, low.at.bus), ratio, shift, passes, zero, Pi(z, 0.0, iron), w=w,
        neutral=neutral, s_max_kva=low.kva,
    )  # fmt: skip
    phases = np.arange(w) < 3
    float_low = _antifloat(given, low, low_base) * np.where(phases, 1.0, low.star_ends * found.wires)
    return replace(
        found,
        y_from=found.y_from + np.diag(_antifloat(given, up, up_base) * phases),
        y_to=found.y_to + np.diag(float_low),
    )


def _zero_sequence(
    given: Properties, up: Winding, base: float, ratio: float, same: Pi, star: dict[str, complex]
) -> tuple[Pi, bool]:
    """The circuit of the zero sequence, and whether it passes; ``same`` is that of the positive sequence.

    A star point of the upper winding that is earthed through z_n adds 3 z_n; without any earth the zero sequence of the
    lower winding flows through the magnetising impedance alone.
    """
    if up.delta or up.at.neutral is None or up.neutral_ohm == 0:
        return same, not up.delta
    y = star.pop(up.at.bus, 0.0) + up.star_ends * _antifloat(given, up, base)
    y += 0.0 if up.neutral_ohm is None else base**2 / _S_MVA / up.neutral_ohm
    if y != 0:
        return replace(same, z=same.z + 3.0 * ratio**2 / y), True
    if same.y_to == 0:
        given.fault("star point of winding 1 without earth", "an earth, or %imag", "earth it or give %imag")
        return same, False
    return Pi(1.0 / same.y_to), False


def _star_point(given: Properties, low: Winding, base: float, star: dict[str, complex]) -> complex:
    """Impedance between star point and earth [pu] from rneut, xneut and reactors at the neutral, which are used up."""
    unit = base**2 / _S_MVA
    if low.neutral_ohm == 0:
        return 0.0
    y = star.pop(low.at.bus, 0.0) + (0.0 if low.neutral_ohm is None else unit / low.neutral_ohm)
    if y == 0:
        given.fault(f"neutral of bus {low.at.bus!r} without earth", "an earthed star point", "add a Reactor at node 4")
        return 0.0
    return 1.0 / y


def _antifloat(given: Properties, winding: Winding, base: float) -> complex:
    """Admittance to earth [pu] that OpenDSS puts at each phase of a winding."""
    rating = winding.kva / 1e3 / winding.kv**2 * base**2 / _S_MVA
    return -1j * given.number("ppm_antifloat", 1.0) * 1e-6 * rating / (3.0 if winding.delta else 2.0)


def read_earth(given: Properties) -> tuple[str, complex] | None:
    """Bus and impedance [ohm] of a reactor between neutral and earth."""
    given.refuse_others("bus1", "bus2", "phases", "r", "x", "basefreq")
    one, other = given.text("bus1"), given.text("bus2") or given.text("bus1").split(".")[0] + ".0"
    ohm = complex(given.number("r", 0.0, 0.0), given.number("x", 0.0))
    ends = {one.rpartition(".")[2], other.rpartition(".")[2]}
    if (
        given.number("phases", 3) != 1
        or ends != {"4", "0"}
        or not ohm
        or len({one.split(".")[0], other.split(".")[0]}) > 1
    ):
        found = f"bus1 = {one}, bus2 = {other}, phases = {given.number('phases', 3):g}, r + jx = {ohm:g}"
        given.fault(found, "one phase between bus.4 and bus.0, r or x given", "only neutrals are earthed so")
        return None
    return one.split(".")[0], ohm
