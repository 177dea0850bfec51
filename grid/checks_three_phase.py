"""Rules that a pandapower grid has to meet to be read as a radial three-phase feeder; they return faults."""

from __future__ import annotations

from typing import Any

import numpy as np

from grid import checks
from grid.checks import FINITE, NOT_NEGATIVE, POSITIVE, Rule
from grid.errors import Fault

GROUPS = ("Dyn", "Yyn", "YNyn")
_COLUMNS: dict[str, dict[str, Rule]] = {
    "line": {"r0_ohm_per_km": NOT_NEGATIVE, "x0_ohm_per_km": NOT_NEGATIVE, "c0_nf_per_km": NOT_NEGATIVE},
    "trafo": {
        "vk0_percent": POSITIVE,
        "vkr0_percent": NOT_NEGATIVE,
        "mag0_percent": POSITIVE,
        "mag0_rx": NOT_NEGATIVE,
        "si0_hv_partial": (lambda x: (x > 0) & (x < 1), "between 0 and 1"),
    },
    **{
        table: {f"{what}_{phase}_{unit}": FINITE for phase in "abc" for what, unit in (("p", "mw"), ("q", "mvar"))}
        | {"scaling": FINITE}
        for table in ("asymmetric_load", "asymmetric_sgen")
    },
}
_NOT_MODELLED = {
    "trafo3w": "use two-winding transformers",
    "impedance": "replace it by a line",
    "shunt": "replace it by a load",
    "gen": "hold its voltage elsewhere or replace it by an sgen of constant power",
    "ward": "replace it by a load",
    "xward": "replace it by a load",
    "motor": "replace it by a load",
    "dcline": "replace it by a load",
    "svc": "take it out of service",
    "tcsc": "take it out of service",
    "ssc": "take it out of service",
    "vsc": "take it out of service",
}


def columns(net: Any) -> list[Fault]:
    """The zero-sequence data is there."""
    needed = {table: [*names, *(["vector_group"] if table == "trafo" else [])] for table, names in _COLUMNS.items()}
    return [
        Fault(f"table {table}", f"no column {column}", "zero-sequence data", f"add {column}")
        for table, names in needed.items()
        if len(net.get(table, ()))
        for column in names
        if column not in net[table]
    ]


def groups(net: Any) -> list[Fault]:
    """Vector groups that have an earthed star at the lower voltage, with a shift that fits."""
    found = []
    for element, row in checks.rows(net, "trafo"):
        group = str(row.get("vector_group"))
        if group.lower() not in [known.lower() for known in GROUPS]:
            remedy = "correct the vector group; the clock number is in shift_degree"
            found.append(Fault(element, f"vector_group = {group}", ", ".join(GROUPS), remedy))
            continue
        odd = group.lower() == "dyn"
        hours = row.shift_degree / 30.0
        if abs(hours - round(hours)) > 1e-9 or round(hours) % 2 != odd:
            allowed = f"an {'odd' if odd else 'even'} multiple of 30 for {group}"
            found.append(Fault(element, f"shift_degree = {row.shift_degree:g}", allowed, "correct the shift"))
        if row.get("vkr0_percent", 0.0) > row.get("vk0_percent", np.inf):
            value = f"vkr0_percent = {row.vkr0_percent:g} above vk0_percent = {row.vk0_percent:g}"
            found.append(Fault(element, value, "vkr0_percent <= vk0_percent", "correct the data of the transformer"))
        found += [
            Fault(element, f"{what} = {row[what]:g}", "0 (star point earthed solidly)", "set it to 0")
            for what in ("xn_ohm", "rn_ohm")
            if row.get(what, 0.0) not in (0, None) and row[what] == row[what]
        ]
    return found


def tapped(row: Any, tap: str = "tap") -> bool:
    """True where a tap changer of a transformer is off its neutral position."""
    position, neutral = row.get(f"{tap}_pos"), row.get(f"{tap}_neutral")
    return bool(position == position and neutral == neutral and position is not None and position != neutral)


def taps(net: Any) -> list[Fault]:
    """Tap changers off neutral change the ratio only."""
    found = []
    for element, row in checks.rows(net, "trafo"):
        if tapped(row, "tap2"):
            found.append(Fault(element, f"tap2_pos = {row.tap2_pos}", "tap2_neutral", "use one tap changer"))
        if not tapped(row):
            continue
        kind, degree = row.get("tap_changer_type"), row.get("tap_step_degree")
        if kind not in (None, "Ratio") and kind == kind:
            found.append(Fault(element, f"tap_changer_type = {kind}", "Ratio", "use a ratio tap changer"))
        if degree == degree and degree not in (None, 0.0):
            found.append(Fault(element, f"tap_step_degree = {degree:g}", "0", "use a ratio tap changer"))
        if row.tap_side not in ("hv", "lv") or not np.isfinite(row.tap_step_percent):
            value = f"tap_side = {row.tap_side}, tap_step_percent = {row.tap_step_percent}"
            found.append(Fault(element, value, "hv or lv, and a number", "correct the tap changer"))
    return found


def models(net: Any) -> list[Fault]:
    """Nothing that would have to be left out."""
    found = [
        Fault(element, f"a {table} is not modelled in three phases", "lines, transformers, loads, sgens", remedy)
        for table, remedy in _NOT_MODELLED.items()
        for element, _ in checks.rows(net, table)
    ]
    for table in ("load", "sgen", "asymmetric_load", "asymmetric_sgen"):
        for element, row in checks.rows(net, table):
            if row.get("type") == "delta":
                found.append(Fault(element, "type = delta", "wye", "give the powers per phase"))
    for index, row in net.switch.iterrows():
        if row.et == "b" and row.closed and row.get("z_ohm", 0.0) > 0:
            found.append(Fault(f"switch {index}", f"z_ohm = {row.z_ohm:g}", "0", "replace it by a line"))
    return found + checks.constant_power(net)


def faults(net: Any) -> list[Fault]:
    """Everything that is wrong with the tables of a pandapower grid read by phases."""
    first = checks.forms(net) + columns(net)
    if first:
        return first
    rules = (
        checks.identifiers,
        checks.switches,
        checks.references,
        checks.values,
        checks.impedances,
        checks.voltage_levels,
        checks.sources,
        checks.cut_off,
        groups,
        taps,
        models,
    )
    return [fault for rule in rules for fault in rule(net)] + checks.values(net, _COLUMNS)


def notes(net: Any) -> list[str]:
    """What was decided and a user should know."""
    said = checks.notes(net)
    for element, row in checks.rows(net, "trafo"):
        if tapped(row) and row.get("tap_changer_type") != "Ratio":
            said.append(f"{element}: no tap_changer_type, tap_pos = {row.tap_pos:g} read as a ratio tap")
    return said
