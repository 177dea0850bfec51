"""Scenarios of one's own from a CSV or Parquet table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from admmflex.data import table_file
from admmflex.errors import Fault, InputError, require
from admmflex.export_limits.customers import Customers
from admmflex.export_limits.scenarios import Scenarios
from admmflex.horizon import Array, IntArray

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("scenario", "step", "customer")
VALUES = ("load_p", "load_q", "avail")
_LISTED = 20


def read_scenarios(path: Path | str, customers: Customers, *, dt_h: float = 0.25, start: str = "") -> Scenarios:
    """One row for every scenario, step and customer; scenarios and steps in rising order of what the table calls them.

    Columns: ``scenario``, ``step``, ``customer`` (a name of the feeder's), ``load_p`` [kW] and ``avail`` [kW], not
    negative, and ``load_q`` [kvar] unless it is zero.

    Args:
        path: of the table.
        customers: all of them must appear.
        dt_h: length of a step [h].
        start: of the first step, for labels.

    Raises:
        InputError: missing columns; customers that the feeder does not have; rows that are missing or doubled; values
            that are no numbers, or out of range.
    """
    path = Path(path)
    table, element = table_file.read(path, text=False), f"table '{path.name}'"
    lacking = [name for name in (*KEYS, "load_p", "avail") if name not in table.columns]
    require([Fault(element, f"no column {name!r}", "a column of that name", "add it") for name in lacking])
    if table.empty:
        raise InputError(Fault(element, "has no rows", "one per scenario, step and customer", "complete the table"))
    order = {name: i for i, name in enumerate(customers.name)}
    names = table["customer"].astype(str)
    unknown = sorted(set(names) - set(order))[:_LISTED]
    allowed = f"one of the {customers.n} customers of the feeder"
    require([Fault(element, f"customer {name!r}", allowed, "correct the name") for name in unknown])
    (scenarios, s), (steps, k) = (np.unique(table[key].to_numpy(), return_inverse=True) for key in KEYS[:2])
    shape = (len(scenarios), customers.n, len(steps))
    place = np.ravel_multi_index((s, names.map(order).to_numpy(), k), shape)
    count = np.bincount(place, minlength=int(np.prod(shape)))
    faults = []
    for at in np.flatnonzero(count != 1)[:_LISTED]:
        where = np.unravel_index(at, shape)
        row = f"scenario {scenarios[where[0]]}, step {steps[where[2]]}, customer {customers.name[where[1]]!r}"
        value = f"{row}: {count[at]} rows"
        faults.append(Fault(element, value, "exactly one", "complete the table" if count[at] == 0 else "remove rows"))
    require(faults)
    p, q, avail = (_sorted(table, name, place, element).reshape(shape) for name in VALUES)
    return Scenarios(p, q, avail, dt_h, start)


def _sorted(table: pd.DataFrame, name: str, place: IntArray, element: str) -> Array:
    """A column in the order of scenario, customer and step."""
    if name not in table.columns:
        return np.zeros(len(table))
    out = np.empty(len(table))
    try:
        out[place] = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        fault = Fault(element, f"column {name!r} has values that are no numbers", "numbers", "correct them")
        raise InputError(fault) from error
    return out
