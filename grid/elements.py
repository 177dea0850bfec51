"""Loads, generators and storages that stand in a grid file, and their profiles: plain data, no part of the network."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from grid.arrays import Array, BoolArray, IntArray, freeze
from grid.errors import Fault, InputError

KINDS = ("load", "sgen", "storage")
_SUFFIX = {"load": ("_pload", "_qload"), "sgen": ("", None), "storage": ("", None)}
_NUMBERS = ("p_mw", "q_mvar", "sn_mva", "min_e_mwh", "max_e_mwh", "efficiency_percent", "scaling")


@dataclass(frozen=True, eq=False)
class Elements:
    """E loads, static generators and storages as they stand in the file.

    Signs are the file's: ``p_mw`` of a load and of a storage is consumption, of an sgen generation. NaN where the file
    says nothing.

    Args:
        kind: (E,) "load", "sgen" or "storage".
        index: (E,) pandapower index in the table of that kind.
        name, type, profile: (E,) text, empty where the file says nothing.
        bus: (E,) pandapower bus index.
        p_mw, q_mvar, sn_mva: (E,) power and rating, before ``scaling``.
        min_e_mwh, max_e_mwh: (E,) energy of storages.
        efficiency_percent: (E,) as in the file (SimBench writes 0.95 for 95 %).
        scaling: (E,).
        in_service: (E,).
    """

    kind: np.ndarray[Any, np.dtype[np.str_]]
    index: IntArray
    name: np.ndarray[Any, np.dtype[np.str_]]
    type: np.ndarray[Any, np.dtype[np.str_]]
    profile: np.ndarray[Any, np.dtype[np.str_]]
    bus: IntArray
    p_mw: Array
    q_mvar: Array
    sn_mva: Array
    min_e_mwh: Array
    max_e_mwh: Array
    efficiency_percent: Array
    scaling: Array
    in_service: BoolArray

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, freeze(getattr(self, field.name)))

    def __len__(self) -> int:
        return len(self.kind)

    def label(self, e: int) -> str:
        """Element for messages: ``load 3 'LV1.101 Load 4'``."""
        name = f" {str(self.name[e])!r}" if self.name[e] else ""
        return f"{self.kind[e]} {self.index[e]}{name}"

    def profile_names(self, e: int) -> tuple[str, str]:
        """Columns of ``Profiles`` that multiply p_mw and q_mvar of one element; empty text for a constant."""
        if not self.profile[e]:
            return "", ""
        p, q = _SUFFIX[str(self.kind[e])]
        return f"{self.profile[e]}{p}", "" if q is None else f"{self.profile[e]}{q}"


@dataclass(frozen=True, eq=False)
class Profiles:
    """Relative profiles of C columns over R rows.

    Args:
        time: (R,) labels as in the file (SimBench: ``01.01.2016 00:00``, the beginning of each quarter of an hour).
        names: (C,) columns such as ``H0-A_pload``, ``PV5``.
        values: (C, R), one contiguous row per column.
    """

    time: np.ndarray[Any, np.dtype[np.str_]]
    names: np.ndarray[Any, np.dtype[np.str_]]
    values: Array

    def __post_init__(self) -> None:
        for field in fields(self):
            object.__setattr__(self, field.name, freeze(getattr(self, field.name)))

    @cached_property
    def _row(self) -> dict[str, int]:
        return {str(name): i for i, name in enumerate(self.names)}

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, name: str) -> Array:
        """(R,) factor of one column.

        Raises:
            InputError: no such column.
        """
        if name not in self._row:
            allowed = "one of " + ", ".join(map(str, self.names[:8])) + (", ..." if len(self.names) > 8 else "")
            raise InputError(Fault(f"profile {name!r}", "unknown", allowed, "correct the profile of the element"))
        column: Array = self.values[self._row[name]]
        return column


def elements(net: Any) -> Elements:
    """Loads, static generators and storages of a pandapower grid."""
    columns: dict[str, list[Any]] = {field.name: [] for field in fields(Elements)}
    for kind in KINDS:
        table = net[kind]
        size = len(table)
        columns["kind"].append(np.full(size, kind, dtype="U7"))
        columns["index"].append(table.index.to_numpy(dtype=np.int64))
        columns["bus"].append(table.bus.to_numpy(dtype=np.int64))
        columns["in_service"].append(table.in_service.to_numpy(dtype=np.bool_))
        for name in ("name", "type", "profile"):
            given = table[name] if name in table else [""] * size
            columns[name].append(np.array([text if isinstance(text, str) else "" for text in given], dtype=np.str_))
        for name in _NUMBERS:
            columns[name].append(table[name].to_numpy(dtype=np.float64) if name in table else np.full(size, np.nan))
    return Elements(**{name: np.concatenate(parts) for name, parts in columns.items()})


def profiles(net: Any) -> Profiles | None:
    """The year of profiles of a SimBench grid; None for grids without."""
    tables = [table for table in (net.get("profiles") or {}).values() if "time" in table and len(table)]
    if not tables:
        return None
    named = {
        name: table[name].to_numpy(dtype=np.float64) for table in tables for name in table.columns if name != "time"
    }
    time = tables[0].time.to_numpy().astype(np.str_)
    values = np.array(list(named.values())) if named else np.empty((0, len(time)))
    return Profiles(time, np.array(list(named), dtype=np.str_), values)
