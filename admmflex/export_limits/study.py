"""From a scenario file to customers, scenarios and limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from admmflex.data import table_file
from admmflex.data.export_spec import DrawnSpec, ExportScenariosSpec, ExportSpec
from admmflex.errors import Fault, InputError, require
from admmflex.export_limits.customers import Customers, customers_of
from admmflex.export_limits.generate import Generator, Season
from admmflex.export_limits.history import History, read_history, simbench_history
from admmflex.export_limits.inverter import EN_50549, Inverter
from admmflex.export_limits.scenarios import Scenarios
from admmflex.export_limits.search import faults
from admmflex.horizon import Array
from grid import UnbalancedLimits, files, read_case, read_three_phase

_COLUMNS = ("load_p_kw", "load_q_kvar", "avail_kw")
_LISTED = 20


@dataclass(frozen=True, eq=False)
class ExportStudy:
    """Everything that a search for export limits needs."""

    customers: Customers
    scenarios: Scenarios
    limits: UnbalancedLimits
    inverter: Inverter | None
    notes: tuple[str, ...]


def build(spec: ExportSpec, folder: Path) -> ExportStudy:
    """Read the feeder, make customers and scenarios, check everything.

    Raises:
        InputError: every fault of the part that fails first.
    """
    path = folder / spec.network.source
    files.size(path, files.SCRIPT, "network.source")
    case = read_three_phase(path)
    customers = customers_of(case, spec.customers.rating_kw)
    if not customers.rating_kw.any():
        remedy = "give customers.rating_kw"
        raise InputError(Fault("customers", "no PV at any of them", "a rating > 0 for one at least", remedy))
    scenarios = _scenarios(spec.scenarios, customers, folder, spec.seed)
    share, own = 0.01, spec.limits
    limits = UnbalancedLimits(
        case.network,
        own.v_min,
        own.v_max,
        line_loading=share * own.line_percent,
        transformer_loading=share * own.transformer_percent,
        transformer=own.transformer,
        unbalance=None if own.unbalance_percent is None else share * own.unbalance_percent,
    )
    require(faults(customers, scenarios, limits))
    inverter = EN_50549 if spec.coordination.volt_var else None
    return ExportStudy(customers, scenarios, limits, inverter, case.network.notes)


def _scenarios(spec: ExportScenariosSpec, customers: Customers, folder: Path, seed: int) -> Scenarios:
    if spec.drawn is not None:
        return _drawn(spec.drawn, customers, folder, seed)
    assert spec.table is not None  # the form asks for both
    assert spec.start is not None
    return read_scenarios(folder / spec.table, customers, spec.start, spec.step_minutes / 60.0)


def _drawn(spec: DrawnSpec, customers: Customers, folder: Path, seed: int) -> Scenarios:
    season = Season(spec.first_day, spec.last_day)
    history = _history(spec, folder)
    return Generator(customers, history, seed, season, oversizing=spec.oversizing).scenarios(spec.count)


def _history(spec: DrawnSpec, folder: Path) -> History:
    own = spec.measured
    if own is None:
        return simbench_history(read_case(spec.profiles), spec.plant)
    path, sun = folder / own.table, spec.plant or "sun"
    return read_history(path, own.start, own.days, timezone=own.timezone, step_minutes=own.step_minutes, sun=sun)


def read_scenarios(path: Path, customers: Customers, start: str, dt_h: float) -> Scenarios:
    """Scenarios from a CSV or Parquet table, one row per scenario, step and customer.

    Columns: scenario and step, whole numbers from 0; customer, a name; load_p_kw, load_q_kvar (0 without), avail_kw.

    Raises:
        InputError: columns, customers or rows that are missing, unknown or given twice, what is no number.
    """
    import pandas as pd

    table, element = table_file.read(path, text=False), f"table '{path.name}'"
    needed = ("scenario", "step", "customer", "load_p_kw", "avail_kw")
    missing = [name for name in needed if name not in table]
    require([Fault(element, f"column {name!r} is missing", ", ".join(needed), "add it") for name in missing])
    unknown = sorted(set(table["customer"].astype(str)) - set(customers.name))
    allowed = f"one of the {customers.n} loads of the feeder"
    require([Fault(element, f"customer {one!r}", allowed, "correct the name") for one in unknown[:_LISTED]])
    row = {name: i for i, name in enumerate(customers.name)}
    where = [pd.to_numeric(table[name], errors="coerce").to_numpy(float) for name in ("scenario", "step")]
    require(
        [
            Fault(element, f"column {name!r} holds what is no whole number", "0, 1, 2, ...", "correct it")
            for name, x in zip(("scenario", "step"), where, strict=True)
            if not (np.isfinite(x) & (x >= 0) & (x == np.floor(x))).all() or not len(x)
        ]
    )
    s, k = (x.astype(np.int64) for x in where)
    i = table["customer"].astype(str).map(row).to_numpy(np.int64)
    shape = (int(s.max()) + 1, customers.n, int(k.max()) + 1)
    if len(table) != np.prod(shape) or len(np.unique(np.ravel_multi_index((s, i, k), shape))) < len(table):
        value = f"{len(table)} rows"
        allowed = f"{shape[0]} scenarios x {shape[1]} customers x {shape[2]} steps, each once"
        raise InputError(Fault(element, value, allowed, "give every scenario, step and customer once"))
    arrays: list[Array] = []
    for name in _COLUMNS:
        found = np.zeros(shape)
        if name in table:
            found[s, i, k] = pd.to_numeric(table[name], errors="coerce").to_numpy(float)
        arrays.append(found)
    return Scenarios(arrays[0], arrays[1], arrays[2], dt_h, start)
