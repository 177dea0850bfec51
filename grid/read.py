"""Networks from pandapower grids."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grid import checks, supply, topology
from grid.arrays import Array, BoolArray, ComplexArray, IntArray
from grid.errors import Fault, InputError, require
from grid.network import S_BASE_KVA, Network

if TYPE_CHECKING:
    from pandapower import pandapowerNet

Taps = Literal["as_given", "neutral"]
_TABLES = (
    "bus",
    "line",
    "trafo",
    "trafo3w",
    "impedance",
    "shunt",
    "switch",
    "ext_grid",
    "trafo_characteristic_table",
    "shunt_characteristic_table",
)
_S_BASE_MVA = S_BASE_KVA / 1000.0


def read(net: pandapowerNet, *, taps: Taps = "as_given") -> Network:
    """Convert a pandapower grid; its loads, generators and storages are no part of the result (see ``grid.elements``).

    Equal to ``pandapower.runpp(net, calculate_voltage_angles=True)`` with one exception, said in ``notes``: a tap
    position counts even where ``tap_changer_type`` is empty (pandapower ignores it then).

    Args:
        net: buses, lines, two- and three-winding transformers, impedances, shunts, switches, one external grid.
        taps: "neutral" puts every tap changer in its neutral position.

    Raises:
        InputError: every fault of the grid at once, cut-off buses included.
    """
    require(checks.faults(net))
    work, notes = _grid_only(net, taps)
    try:
        model = _model(work)
    except Exception as error:  # pandapower raises many kinds on tables that it does not know
        value = f"pandapower cannot convert it: {type(error).__name__}: {error}"
        allowed, remedy = "tables as pandapower has them", "create the grid with pandapower's functions"
        raise InputError(Fault(f"grid {net.name!r}", value, allowed, remedy)) from error
    require(_unknown(net, model))
    _, spare = supply.lost_and_spare(net)
    said = [f"{len(spare)} buses behind open switches carry nothing and are left out"] if spare else []
    return _network(net, model, [*checks.notes(net), *notes, *said])


def _grid_only(net: pandapowerNet, taps: Taps) -> tuple[Any, list[str]]:
    """The tables of the grid alone, with tap changers made explicit, and what was decided about them."""
    import pandapower as pp

    work: Any = pp.create_empty_network(sn_mva=_S_BASE_MVA, f_hz=net.f_hz)
    for table in _TABLES:
        if table in net and len(net[table]):
            work[table] = net[table].copy()
    said = []
    for table in ("trafo", "trafo3w"):
        said += set_taps(work[table], table, taps)
    return work, said


def set_taps(table: Any, kind: str, taps: Taps) -> list[str]:
    """Put taps in neutral, or make a tap position count that pandapower would ignore."""
    said = []
    for tap in ("tap", "tap2"):
        if f"{tap}_pos" not in table or not len(table):
            continue
        off = (table[f"{tap}_pos"] - table[f"{tap}_neutral"]).fillna(0.0) != 0.0
        if taps == "neutral":
            table.loc[off, f"{tap}_pos"] = table.loc[off, f"{tap}_neutral"]
            said += [f"{kind} {i}: {tap} changer put in neutral position" for i in table.index[off]]
            continue
        if f"{tap}_changer_type" not in table:
            table[f"{tap}_changer_type"] = None
        ignored = (
            off & table[f"{tap}_changer_type"].isna() & ~table.get("tap_dependency_table", off & False).fillna(False)
        )
        table.loc[ignored, f"{tap}_changer_type"] = "Ratio"
        for i in table.index[ignored]:
            said.append(
                f"{kind} {i}: no {tap}_changer_type, {tap}_pos = {table.at[i, f'{tap}_pos']:g} read as a ratio tap"
            )
    return said


@dataclass(frozen=True)
class _Model:
    """Buses and branches as pandapower builds them, by its internal bus number and branch row."""

    number: IntArray  # internal bus number by pandapower bus index, -1 where it has none
    live: BoolArray  # supplied, by internal number
    base_kv: Array
    shunt: ComplexArray
    ends: IntArray  # (rows, 2) internal numbers
    on: BoolArray  # in service, by row
    y: tuple[ComplexArray, ComplexArray, ComplexArray, ComplexArray]  # ff, ft, tf, tt
    rows: dict[str, tuple[int, int]]  # table -> first and last row + 1
    slack: int
    v_slack: complex


def _model(work: Any) -> _Model:
    """Let pandapower fuse buses, resolve switches and convert the elements to per-unit branches."""
    from pandapower.auxiliary import _add_ppc_options
    from pandapower.pd2ppc import _pd2ppc
    from pandapower.pypower import idx_brch, idx_bus
    from pandapower.pypower.makeYbus import branch_vectors

    work["_options"] = {}
    options = {"calculate_voltage_angles": True, "trafo_model": "t", "check_connectivity": True, "mode": "pf"}
    limits = {"enforce_p_lims": False, "enforce_q_lims": False, "recycle": None, "switch_rx_ratio": 2}
    _add_ppc_options(work, **options, **limits)
    ppc, _ = _pd2ppc(work)
    bus, branch = ppc["bus"].real, ppc["branch"]
    tt, ff, ft, tf = branch_vectors(branch, len(branch))
    slack = work.ext_grid[work.ext_grid.in_service].iloc[0]
    lookup = work._pd2ppc_lookups["bus"].astype(np.int64)
    return _Model(
        number=lookup,
        live=bus[:, idx_bus.BUS_TYPE] != idx_bus.NONE,
        base_kv=bus[:, idx_bus.BASE_KV],
        shunt=(bus[:, idx_bus.GS] + 1j * bus[:, idx_bus.BS]) / _S_BASE_MVA,
        ends=branch[:, [idx_brch.F_BUS, idx_brch.T_BUS]].real.astype(np.int64),
        on=branch[:, idx_brch.BR_STATUS].real > 0,
        y=(ff, ft, tf, tt),
        rows=dict(work._pd2ppc_lookups["branch"]),
        slack=int(lookup[slack.bus]),
        v_slack=complex(slack.vm_pu * np.exp(1j * np.deg2rad(slack.va_degree))),
    )


def _supplied(net: pandapowerNet, model: _Model) -> tuple[IntArray, IntArray]:
    """Pandapower buses in service that are connected to the slack, and those that are not."""
    buses = np.sort(net.bus.index[net.bus.in_service.astype(bool)].to_numpy(dtype=np.int64))
    fed = (model.number[buses] >= 0) & model.live[model.number[buses]]
    return buses[fed], buses[~fed]


def _unknown(net: pandapowerNet, model: _Model) -> list[Fault]:
    """Branches in service whose admittance is no number."""
    used = model.on & model.live[model.ends].all(axis=1)
    rows = np.flatnonzero(used & ~np.isfinite(np.array(model.y)).all(axis=0))
    named = _branches(net, model)
    allowed, remedy = "finite numbers", "correct the impedance or the tap changer"
    return [
        Fault(f"{named.kinds[row]} {named.index[row]}", "its admittance is no number", allowed, remedy) for row in rows
    ]


def _network(net: pandapowerNet, model: _Model, notes: list[str]) -> Network:
    """Order the buses, keep what is supplied and add names and ratings."""
    kept = np.flatnonzero(model.on & model.live[model.ends].all(axis=1))
    order = topology.preorder(len(model.live), model.ends[kept, 0], model.ends[kept, 1], model.slack)
    place = np.full(len(model.live), -1, dtype=np.int64)
    place[order] = np.arange(len(order))
    known, _ = _supplied(net, model)
    at = place[model.number[known]]
    first = np.full(len(order), -1, dtype=np.int64)
    first[at[::-1]] = known[::-1]
    v_min, v_max = _voltage_limits(net, known, at, len(order))
    branches = _branches(net, model)
    y_ff, y_ft, y_tf, y_tt = (y[kept] for y in model.y)
    return Network(
        name=str(net.name or ""),
        buses=first,
        bus_names=tuple(_name(net.bus.name, bus) if bus >= 0 else "internal node" for bus in first),
        base_kv=model.base_kv[order],
        v_slack=model.v_slack,
        v_min=v_min,
        v_max=v_max,
        shunt_y=model.shunt[order],
        known_buses=known,
        known_positions=at,
        from_bus=place[model.ends[kept, 0]],
        to_bus=place[model.ends[kept, 1]],
        y_ff=y_ff,
        y_ft=y_ft,
        y_tf=y_tf,
        y_tt=y_tt,
        branch_kinds=tuple(branches.kinds[row] for row in kept),
        branch_index=branches.index[kept],
        branch_names=tuple(branches.names[row] for row in kept),
        is_transformer=np.array([branches.kinds[row].startswith("trafo") for row in kept], dtype=np.bool_),
        i_max_from=branches.i_max[kept, 0],
        i_max_to=branches.i_max[kept, 1],
        s_max=branches.s_max[kept],
        notes=tuple(notes),
        geo=np.array([_coordinates(net.bus, int(bus)) for bus in first]).reshape(-1, 2),
        length_km=branches.length_km[kept],
    )


def _coordinates(buses: Any, bus: int) -> tuple[float, float]:
    """Where a bus stands, from its GeoJSON point; NaN where it has none."""
    text = buses.geo.get(bus) if "geo" in buses else None
    try:
        x, y = json.loads(text)["coordinates"][:2] if isinstance(text, str) else (np.nan, np.nan)
        return float(x), float(y)
    except (ValueError, KeyError, TypeError):  # only for pictures: not worth a fault
        return np.nan, np.nan


def _name(names: Any, index: Any) -> str:
    name = names.get(index)
    return name if isinstance(name, str) else ""


def _voltage_limits(net: pandapowerNet, known: IntArray, at: IntArray, n: int) -> tuple[Array, Array]:
    """Narrowest limits of the buses that a switch joins; 0.9 and 1.1 pu where the grid has none (EN 50160)."""
    low, high = np.zeros(n), np.full(n, np.inf)
    for column, limit, narrow in (("min_vm_pu", low, np.maximum), ("max_vm_pu", high, np.minimum)):
        if column in net.bus:
            given = net.bus.loc[known, column].to_numpy(dtype=np.float64)
            narrow.at(limit, at[~np.isnan(given)], given[~np.isnan(given)])
    low[low == 0.0] = 0.9
    high[np.isinf(high)] = 1.1
    return low, high


@dataclass(frozen=True)
class _Branches:
    """Names and ratings [pu] of all rows of the branch model."""

    kinds: list[str]
    names: list[str]
    index: IntArray
    i_max: Array  # (rows, 2)
    s_max: Array
    length_km: Array


def _branches(net: pandapowerNet, model: _Model) -> _Branches:
    rows = len(model.on)
    found = _Branches(
        [""] * rows,
        [""] * rows,
        np.full(rows, -1, dtype=np.int64),
        np.full((rows, 2), np.inf),
        np.full(rows, np.inf),
        np.full(rows, np.nan),
    )
    kv = net.bus.vn_kv
    for table, (first, _) in model.rows.items():
        windings = ("hv", "mv", "lv") if table == "trafo3w" else ("",)
        elements = net[table] if table != "switch" else net.switch[net.switch.index.isin(_impedance_switches(net))]
        for w, winding in enumerate(windings):
            part = slice(first + w * len(elements), first + (w + 1) * len(elements))
            found.kinds[part] = [table] * len(elements)
            suffix = f" {winding}" if winding else ""
            found.names[part] = [_name(elements.name, i) + suffix for i in elements.index]
            found.index[part] = elements.index.to_numpy(dtype=np.int64)
            if table == "line":
                rated = (
                    elements.max_i_ka
                    * elements.df
                    * elements.parallel
                    * np.sqrt(3)
                    * kv.loc[elements.from_bus].to_numpy()
                )
                found.length_km[part] = elements.length_km
                found.i_max[part] = np.nan_to_num(rated.to_numpy() / _S_BASE_MVA, nan=np.inf)[:, None]
            elif table == "trafo":
                s = (elements.sn_mva * elements.df * elements.parallel / _S_BASE_MVA).to_numpy()
                found.s_max[part] = s
                for end, side in enumerate(("hv", "lv")):
                    found.i_max[part, end] = (
                        s * kv.loc[elements[f"{side}_bus"]].to_numpy() / elements[f"vn_{side}_kv"].to_numpy()
                    )
            elif table == "trafo3w":
                s = (elements[f"sn_{winding}_mva"] / _S_BASE_MVA).to_numpy()
                found.s_max[part] = s
                outer = kv.loc[elements[f"{winding}_bus"]].to_numpy() / elements[f"vn_{winding}_kv"].to_numpy()
                found.i_max[part, 0 if winding == "hv" else 1] = s * outer
    return found


def _impedance_switches(net: pandapowerNet) -> Any:
    """Closed bus-bus switches with an impedance: pandapower models them as branches."""
    return net.switch.index[net.switch.closed.astype(bool) & (net.switch.et == "b") & (net.switch.z_ohm > 0)]
