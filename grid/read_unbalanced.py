"""Three-phase feeders, with the loads and generators that stand in them, from pandapower grids and OpenDSS files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from grid import checks, checks_three_phase
from grid.arrays import Array
from grid.dss import read_dss
from grid.errors import require
from grid.network import S_BASE_KVA
from grid.source import open_json
from grid.three_phase import Branch, Bus, Pi, assemble, from_sequences, line, tee, transformer
from grid.three_phase_case import ThreePhaseCase
from grid.unbalanced_network import PHASES, balanced

if TYPE_CHECKING:
    from pandapower import pandapowerNet

_S_MVA = S_BASE_KVA / 1000.0
_INJECTIONS = {"load": -1.0, "sgen": 1.0, "storage": -1.0, "asymmetric_load": -1.0, "asymmetric_sgen": 1.0}
_THREE = np.ones(3, dtype=np.bool_)


def read_three_phase(source: pandapowerNet | str | Path) -> ThreePhaseCase:
    """Read a radial three-phase feeder.

    A pandapower grid gives what ``runpp_3ph`` computes, except that the external grid is stiff in all sequences, that
    a tap position counts even where ``tap_changer_type`` is empty, and that storages and generators of every type but
    delta count (``runpp_3ph`` leaves out those that are not called "wye"). Yyn is read as well. An OpenDSS file gives
    what OpenDSS computes for the elements in ``grid.dss``.

    Args:
        source: a pandapower grid with zero-sequence data, the path of one in JSON, or of an OpenDSS ``.dss`` file.

    Raises:
        InputError: every fault found, by element or by file and line.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return read_dss(path) if path.suffix.lower() == ".dss" else _from_pandapower(open_json(path))
    return _from_pandapower(source)


def _from_pandapower(net: pandapowerNet) -> ThreePhaseCase:
    require(checks_three_phase.faults(net))
    fused, buses = _buses(net)
    notes = checks_three_phase.notes(net)
    branches = [*_lines(net, fused, buses), *_transformers(net, fused, notes)]
    slack = next(row for _, row in checks.rows(net, "ext_grid"))
    v = slack.vm_pu * np.exp(1j * np.deg2rad(slack.va_degree))
    network, position = assemble(
        str(net.name or "feeder"), buses, branches, fused[slack.bus], balanced(complex(v)), notes
    )
    names, kinds, at, p, q = [], [], [], [], []
    for kind, sign in _INJECTIONS.items():
        for label, row in checks.rows(net, kind):
            names.append(_name(row, label))
            kinds.append(kind)
            at.append(position[fused[row.bus]])
            factor = sign * 1000.0 * row.scaling
            p.append(factor * _by_phase(row, "p", "mw"))
            q.append(factor * _by_phase(row, "q", "mvar"))
    shape = (len(at), 3)
    return ThreePhaseCase(
        network,
        tuple(names),
        tuple(kinds),
        np.array(at, dtype=np.int64),
        np.reshape(p, shape),
        np.reshape(q, shape),
    )


def _name(row: Any, otherwise: str) -> str:
    return row["name"] if isinstance(row["name"], str) and row["name"] else otherwise


def _by_phase(row: Any, what: str, unit: str) -> Array:
    """(3,) power of an element; a symmetric one gives a third to each phase."""
    if f"{what}_a_{unit}" in row.index:
        return np.array([row[f"{what}_{phase}_{unit}"] for phase in PHASES], dtype=np.float64)
    return np.full(3, row[f"{what}_{unit}"] / 3.0)


def _buses(net: pandapowerNet) -> tuple[dict[int, str], dict[str, Bus]]:
    """The label that stands for each bus index, and the buses by label; closed switches join buses."""
    index = [int(i) for i, on in zip(net.bus.index, net.bus.in_service, strict=True) if on]
    row = {bus: i for i, bus in enumerate(index)}
    switches = net.switch[(net.switch.et == "b") & net.switch.closed.astype(bool)]
    pairs = [(row[a], row[b]) for a, b in zip(switches.bus, switches.element, strict=True) if a in row and b in row]
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    graph = sp.coo_array((np.ones(ends.shape[1]), (ends[0], ends[1])), shape=(len(index), len(index)))
    members_of: dict[int, list[int]] = {}
    for bus, group in sorted(zip(index, connected_components(graph, directed=False)[1].tolist(), strict=True)):
        members_of.setdefault(group, []).append(bus)
    fused: dict[int, str] = {}
    buses: dict[str, Bus] = {}
    for members in members_of.values():
        label = str(members[0])
        fused |= dict.fromkeys(members, label)
        first = net.bus.loc[members[0]]
        buses[label] = Bus(_name(first, label), float(first.vn_kv), tuple(members))
    return fused, buses


def _lines(net: pandapowerNet, fused: dict[int, str], buses: dict[str, Bus]) -> Iterator[Branch]:
    """Lines in service; an end with an open switch gets a bus of its own."""
    off = net.switch[(net.switch.et == "l") & ~net.switch.closed.astype(bool)]
    opened = {(int(bus), int(element)) for bus, element in zip(off.bus, off.element, strict=True)}
    omega = 2.0 * np.pi * net.f_hz
    for i, row in net.line[net.line.in_service.astype(bool)].iterrows():
        name = _name(row, str(i))
        held = [None if (end, int(i)) in opened else fused.get(end) for end in (int(row.from_bus), int(row.to_bus))]
        if held == [None, None]:
            continue
        spare = f"open end of line {i}"
        ends = (held[0] or spare, held[1] or spare)
        if spare in ends:
            buses[spare] = Bus(spare, float(net.bus.at[row.from_bus, "vn_kv"]))
        base = buses[ends[0]].base_kv ** 2 / _S_MVA
        much, z_scale = row.length_km * row.parallel, row.length_km / row.parallel / base
        z = from_sequences(
            (row.r0_ohm_per_km + 1j * row.x0_ohm_per_km) * z_scale, (row.r_ohm_per_km + 1j * row.x_ohm_per_km) * z_scale
        )
        leak = row.get("g_us_per_km", 0.0) * 1e-6
        y = from_sequences(
            1j * omega * row.c0_nf_per_km * 1e-9 * much * base,
            (leak + 1j * omega * row.c_nf_per_km * 1e-9) * much * base,
        )
        limit = row.max_i_ka * row.df * row.parallel * 1e3
        yield line(name, ends, z, y, _THREE, limit if np.isfinite(limit) else np.inf)


def _transformers(net: pandapowerNet, fused: dict[int, str], notes: list[str]) -> Iterator[Branch]:
    off = net.switch[(net.switch.et == "t") & ~net.switch.closed.astype(bool)]
    for i, row in net.trafo[net.trafo.in_service.astype(bool)].iterrows():
        if i in set(off.element) or row.hv_bus not in fused or row.lv_bus not in fused:
            notes.append(f"trafo {i}: switched off")
            continue
        yield _transformer(net, row, _name(row, str(i)), (fused[row.hv_bus], fused[row.lv_bus]))


def _transformer(net: pandapowerNet, row: Any, name: str, ends: tuple[str, str]) -> Branch:
    """Short-circuit and magnetising data by sequences, per unit of the lower voltage.

    Zero sequence, seen from the star at the lower end with the magnetising impedance z_m between the two parts of z_0:
    Dyn z_b + z_a || z_m, Yyn z_b + z_m, YNyn a T of all three.
    """
    vn = {"hv": float(row.vn_hv_kv), "lv": float(row.vn_lv_kv)}
    if checks_three_phase.tapped(row):
        vn[row.tap_side] *= 1.0 + (row.tap_pos - row.tap_neutral) * row.tap_step_percent / 100.0
    base = {side: float(net.bus.at[row[f"{side}_bus"], "vn_kv"]) for side in vn}
    to_base = (vn["lv"] / base["lv"]) ** 2 * _S_MVA / row.parallel
    ratio = vn["lv"] / base["lv"] / (vn["hv"] / base["hv"])

    def impedance(vk: float, vkr: float) -> complex:
        return complex(vkr, np.sqrt(vk**2 - vkr**2)) / 100.0 * float(to_base / row.sn_mva)

    z = impedance(row.vk_percent, row.vkr_percent)
    iron = row.pfe_kw / 1e3
    y = complex(iron, -np.sqrt(max((row.i0_percent / 100.0 * row.sn_mva) ** 2 - iron**2, 0.0))) / to_base
    positive = tee(z / 2, z / 2, 1 / y) if y else Pi(z)
    z_0 = impedance(row.vk0_percent, row.vkr0_percent)
    z_m = abs(z_0) * row.mag0_percent / 100.0 * complex(row.mag0_rx, 1.0) / np.hypot(row.mag0_rx, 1.0)
    z_a, z_b = row.si0_hv_partial * z_0, (1.0 - row.si0_hv_partial) * z_0
    group = str(row.vector_group).lower()
    seen = z_b + (z_a * z_m / (z_a + z_m) if group == "dyn" else z_m)
    zero = tee(z_a, z_b, z_m) if group == "ynyn" else Pi(seen)
    rated = row.sn_mva * row.parallel * row.df * 1e3
    return transformer(name, ends, ratio, row.shift_degree, group == "ynyn", zero, positive, s_max_kva=rated)
