"""Rules that a pandapower grid has to meet: each returns the faults it finds, and raises nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from grid.errors import Fault

_INJECTIONS = ("load", "sgen", "storage")
_BRANCH_ENDS = {
    "line": ("from_bus", "to_bus"),
    "trafo": ("hv_bus", "lv_bus"),
    "trafo3w": ("hv_bus", "mv_bus", "lv_bus"),
    "impedance": ("from_bus", "to_bus"),
}
_BY_PHASE = ("asymmetric_load", "asymmetric_sgen")
_POINTS = ("ext_grid", "shunt", *_INJECTIONS, *_BY_PHASE)
_MODELLED = ("bus", "switch", *_BRANCH_ENDS, *_POINTS)
_REPLACE = {
    "gen": "hold its voltage elsewhere or replace it by an sgen of constant power",
    "ward": "replace it by a load and a shunt",
    "xward": "replace it by a load and a shunt",
    "asymmetric_load": "replace it by a balanced load",
    "asymmetric_sgen": "replace it by a balanced sgen",
    "motor": "replace it by a load",
}
_DEVICES = (
    *_REPLACE,
    "dcline",
    "tcsc",
    "svc",
    "ssc",
    "vsc",
    "vsc_stacked",
    "vsc_bipolar",
    "bus_dc",
    "line_dc",
    "load_dc",
    "source_dc",
)

# table -> column -> (accepts, what is accepted)
Rule = tuple[Callable[[Any], Any], str]
POSITIVE: Rule = (lambda x: (x > 0) & np.isfinite(x), "> 0")
NOT_NEGATIVE: Rule = (lambda x: (x >= 0) & np.isfinite(x), ">= 0")
FINITE: Rule = (np.isfinite, "a number")
_RATING: Rule = (lambda x: (x > 0) | np.isnan(x), "> 0 (or empty: no limit)")
_COLUMNS: dict[str, dict[str, Rule]] = {
    "bus": {"vn_kv": POSITIVE},
    "line": {
        "length_km": POSITIVE,
        "r_ohm_per_km": NOT_NEGATIVE,
        "x_ohm_per_km": NOT_NEGATIVE,
        "c_nf_per_km": NOT_NEGATIVE,
        "parallel": POSITIVE,
        "df": POSITIVE,
        "max_i_ka": _RATING,
    },
    "trafo": {
        "sn_mva": POSITIVE,
        "vn_hv_kv": POSITIVE,
        "vn_lv_kv": POSITIVE,
        "vk_percent": POSITIVE,
        "vkr_percent": NOT_NEGATIVE,
        "pfe_kw": NOT_NEGATIVE,
        "i0_percent": NOT_NEGATIVE,
        "shift_degree": FINITE,
        "parallel": POSITIVE,
        "df": POSITIVE,
    },
    "trafo3w": {
        f"{what}_{side}_{unit}": POSITIVE
        for what, unit in (("vn", "kv"), ("sn", "mva"), ("vk", "percent"))
        for side in ("hv", "mv", "lv")
    },
    "impedance": {name: FINITE for name in ("rft_pu", "xft_pu", "rtf_pu", "xtf_pu")} | {"sn_mva": POSITIVE},
    "shunt": {"p_mw": FINITE, "q_mvar": FINITE, "step": NOT_NEGATIVE},
    "ext_grid": {"vm_pu": (lambda x: (x >= 0.5) & (x <= 1.5), "0.5 to 1.5"), "va_degree": FINITE},
    "load": {"p_mw": FINITE, "q_mvar": FINITE, "scaling": FINITE},
    "sgen": {"p_mw": FINITE, "q_mvar": FINITE, "scaling": FINITE},
    "storage": {"p_mw": FINITE, "q_mvar": FINITE, "scaling": FINITE},
}


def label(table: str, index: Any, row: Any) -> str:
    """Element for messages: ``line 3 'LV1.101 Line 3'``."""
    name = row.get("name")
    return f"{table} {index} {name!r}" if isinstance(name, str) and name else f"{table} {index}"


def rows(net: Any, table: str) -> Iterator[tuple[str, Any]]:
    """Elements in service of a table, with their labels."""
    for index, row in net.get(table, _NO_TABLE).iterrows():
        if bool(row.get("in_service", True)):
            yield label(table, index, row), row


class _NoTable:
    columns: tuple[str, ...] = ()

    @staticmethod
    def iterrows() -> Iterable[tuple[Any, Any]]:
        return ()


_NO_TABLE = _NoTable()


def identifiers(net: Any) -> list[Fault]:
    """Every index of a table names one element."""
    found = []
    for table in _MODELLED:
        index = getattr(net.get(table, _NO_TABLE), "index", None)
        if index is not None and index.has_duplicates:
            twice = sorted(set(index[index.duplicated()]))
            found += [
                Fault(f"{table} {i}", "index used more than once", "one element per index", "renumber") for i in twice
            ]
    return found


def references(net: Any) -> list[Fault]:
    """Every element stands at a bus that exists."""
    found = []
    buses = set(net.bus.index)
    columns = _BRANCH_ENDS | dict.fromkeys(_POINTS, ("bus",)) | {"switch": ("bus",)}
    for table, ends in columns.items():
        for element, row in rows(net, table):
            missing = [end for end in ends if row[end] not in buses]
            found += [
                Fault(element, f"{end} = {row[end]}", "the index of a bus", "add the bus or correct the index")
                for end in missing
            ]
    return found


def values(net: Any, rules: Mapping[str, Mapping[str, Rule]] | None = None) -> list[Fault]:
    """Every number is there and physically possible."""
    found = []
    for table, columns in (_COLUMNS if rules is None else rules).items():
        for element, row in rows(net, table):
            for column, (accepts, allowed) in columns.items():
                if column in row.index and not bool(accepts(np.float64(row[column]))):
                    found.append(
                        Fault(element, f"{column} = {row[column]}", allowed, "correct the data of the element")
                    )
    return found


def impedances(net: Any) -> list[Fault]:
    """No branch is a short circuit, and no transformer has more resistance than impedance."""
    found = []
    for element, row in rows(net, "line"):
        if row.r_ohm_per_km == 0 and row.x_ohm_per_km == 0:
            found.append(Fault(element, "r = x = 0 ohm", "r or x > 0", "join the buses by a closed switch instead"))
    for element, row in rows(net, "trafo"):
        if row.vkr_percent > row.vk_percent:
            value = f"vkr_percent = {row.vkr_percent} above vk_percent = {row.vk_percent}"
            found.append(Fault(element, value, "vkr_percent <= vk_percent", "correct the data of the transformer"))
    return found


def voltage_levels(net: Any) -> list[Fault]:
    """Lines and bus-bus switches join equal nominal voltages, transformers fit their buses."""
    found = []
    kv = net.bus.vn_kv.to_dict()
    for element, row in rows(net, "line"):
        a, b = kv.get(row.from_bus), kv.get(row.to_bus)
        if a is not None and b is not None and a != b:
            found.append(Fault(element, f"joins {a:g} kV and {b:g} kV", "one nominal voltage", "use a transformer"))
    for index, row in net.switch.iterrows():
        a, b = kv.get(row.bus), kv.get(row.element)
        if row.et == "b" and row.closed and a is not None and b is not None and a != b:
            found.append(
                Fault(f"switch {index}", f"joins {a:g} kV and {b:g} kV", "one nominal voltage", "open the switch")
            )
    for element, row in rows(net, "trafo"):
        for side in ("hv", "lv"):
            rated, nominal = row[f"vn_{side}_kv"], kv.get(row[f"{side}_bus"])
            if nominal is not None and rated > 0 and not 0.6 < rated / nominal < 1.6:
                value = f"vn_{side}_kv = {rated:g} at a bus of {nominal:g} kV"
                found.append(
                    Fault(element, value, "0.6 to 1.6 of the nominal voltage", "exchange hv and lv or correct vn")
                )
    return found


def sources(net: Any) -> list[Fault]:
    """Exactly one slack."""
    slacks = list(rows(net, "ext_grid"))
    if not slacks:
        return [
            Fault(f"grid {net.name!r}", "no external grid in service", "exactly one", "add the external grid (slack)")
        ]
    where = ", ".join(f"{element} at bus {row.bus}" for element, row in slacks)
    if len(slacks) > 1:
        return [
            Fault(
                f"grid {net.name!r}",
                f"{len(slacks)} external grids: {where}",
                "exactly one",
                "keep one of them in service",
            )
        ]
    return []


def models(net: Any) -> list[Fault]:
    """Nothing that would have to be left out."""
    found = []
    for table in _DEVICES:
        remedy = _REPLACE.get(table, "take it out of service")
        found += [
            Fault(element, f"a {table} is not modelled", "balanced AC elements", remedy)
            for element, _ in rows(net, table)
        ]
    return found + constant_power(net)


def constant_power(net: Any) -> list[Fault]:
    """Loads have no share of constant impedance or current."""
    found = []
    for element, row in rows(net, "load"):
        share = {c: row[c] for c in row.index if c.startswith(("const_z", "const_i")) and row[c] > 0}
        found += [Fault(element, f"{c} = {v:g}", "constant power (0)", "set it to 0") for c, v in share.items()]
    return found


ALL: tuple[Callable[[Any], list[Fault]], ...] = (
    identifiers,
    references,
    values,
    impedances,
    voltage_levels,
    sources,
    models,
)


def faults(net: Any) -> list[Fault]:
    """Everything that is wrong with the tables of a pandapower grid."""
    first = identifiers(net)
    return first if first else [fault for rule in ALL[1:] for fault in rule(net)]


def notes(net: Any) -> list[str]:
    """What a user should know about a grid that is read all the same."""
    said = []
    for table in ("bus", "line", "trafo"):
        names = net[table].name.dropna()
        twice = names[names.duplicated() & (names != "")]
        if len(twice):
            more = f"{table}: {len(twice)} names are used more than once, such as {twice.iloc[0]!r}"
            said.append(f"{more}; elements are told apart by index")
    if "controller" in net and len(net.controller):
        said.append(f"{len(net.controller)} controllers are not read: tap positions and set-points stay as they are")
    return said
