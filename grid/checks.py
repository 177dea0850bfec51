"""Rules that a pandapower grid has to meet: each returns the faults it finds, and raises nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from unicodedata import category

import numpy as np

from grid import supply
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


def forms(net: Any) -> list[Fault]:
    """Every table has its columns: numbers, true or false, names without control characters, whole numbers as index."""
    found = [] if _is_number(net.f_hz) and net.f_hz > 0 else [_wrong("grid", f"f_hz = {net.f_hz!r}", "a frequency")]
    found += [_wrong("grid", f"name {net.name!r}", _NAMES)] if not _is_name(net.name) else []
    for table in _MODELLED:
        if not len(net.get(table, ())):
            continue
        flag = "closed" if table == "switch" else "in_service"
        ends = {"switch": ("bus", "element")} | _BRANCH_ENDS
        numbers = [*ends.get(table, () if table == "bus" else ("bus",)), *_COLUMNS.get(table, ())]
        taps = [f"{tap}_neutral" for tap in ("tap", "tap2") if f"{tap}_pos" in net[table]]
        for column in ("name", *numbers, *taps, flag, *(("et",) if table == "switch" else ())):
            if column not in net[table]:
                found.append(Fault(f"table {table}", f"no column {column}", "all columns of pandapower", "add it"))
        odd = net[table].index[[not (_is_whole(i) and 0 <= i <= _LAST) for i in net[table].index]]
        found += [_wrong(f"table {table}", f"index {i!r}", f"0 to {_LAST}") for i in odd[:_SHOWN]]
        others = [name for name in net[table] if _NUMBERS.fullmatch(str(name))]
        for columns, accepts, allowed in (
            (dict.fromkeys([*numbers, *others]), _is_number, "a number"),
            ([flag], _is_flag, "true or false"),
            (["name"], _is_name, _NAMES),
        ):
            for column in [name for name in columns if name in net[table]]:
                bad = [not accepts(value) for value in net[table][column].tolist()]
                given = zip(net[table].index[bad], net[table][column][bad], strict=True)
                found += [_wrong(f"{table} {i}", f"{column} = {str(value)[:60]!r}", allowed) for i, value in given]
    return found


_NUMBERS = re.compile(
    r"const_.*|tap2?_(pos|neutral|min|max|step_.*)|.*_(pu|kv|ka|mw|mvar|mwh|mva|percent|ohm|km|degree|rx|partial|kw)"
)
_NAMES = "a name without control characters"
_LAST = 10_000_000
"""Of an index: pandapower makes arrays as long as the highest one."""
_SHOWN = 20


def _wrong(element: str, value: str, allowed: str) -> Fault:
    return Fault(element, value, allowed, "correct the data of the grid")


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float | np.number) and not isinstance(value, bool))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool | np.bool_)


def _is_name(value: Any) -> bool:
    """Control characters end a text in HDF5 and move the cursor of a terminal; a lone surrogate is no text at all."""
    return not isinstance(value, str) or not any(category(letter) in ("Cc", "Cs") for letter in value)


def switches(net: Any) -> list[Fault]:
    """Every switch is at a bus, a line or a transformer that exists."""
    tables = {"b": "bus", "l": "line", "t": "trafo", "t3": "trafo3w"}
    found = []
    for index, row in net.switch.iterrows():
        if row.et not in tables:
            found.append(Fault(f"switch {index}", f"et = {row.et!r}", ", ".join(tables), "correct the switch"))
        elif row.element not in net[tables[row.et]].index:
            allowed, remedy = f"the index of a {tables[row.et]}", "correct or remove the switch"
            found.append(Fault(f"switch {index}", f"element = {row.element}", allowed, remedy))
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


def cut_off(net: Any) -> list[Fault]:
    """Every bus is supplied; a spare one behind an open switch, with nothing on it, need not be."""
    remedy = "connect it to the slack or take it out of service"
    lost, _ = supply.lost_and_spare(net)
    return [
        Fault(
            label("bus", bus, net.bus[net.bus.index == bus].iloc[0]),
            "cut off from the slack",
            "every bus supplied",
            remedy,
        )
        for bus in lost
    ]


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
    switches,
    values,
    impedances,
    voltage_levels,
    sources,
    models,
)


def faults(net: Any) -> list[Fault]:
    """Everything that is wrong with the tables of a pandapower grid."""
    return forms(net) or [fault for rule in ALL for fault in rule(net)] + cut_off(net)


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
