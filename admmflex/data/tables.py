"""Prosumers and profiles from CSV or Parquet files.

Prosumers: one row each; the columns are the keys of an explicit prosumer, with a dot between section and key
(``name, bus, load.p_kw, pv.kwp, pv.profile, battery.e_max_kwh, ...``); an empty cell is a key that is not given.

Sessions of the cars and tasks of the deferrable loads: one row each, with the column ``prosumer`` and the keys of one
session (``arrive, depart, arrival_kwh, due_kwh``) or task (``earliest, deadline, energy_kwh``).

Profiles: a column ``time`` with the beginning of each row in ISO 8601, and one column per profile. Rows must be sorted,
without gaps and duplicates, and cover the horizon with its own step; ``resample: mean`` averages rows of other lengths.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from admmflex.data import table_file
from admmflex.data.clock import ProfileAxis, zone
from admmflex.data.nearest import nearest
from admmflex.data.profiles import Columns
from admmflex.data.spec import TablesSpec
from admmflex.errors import Fault, InputError, require
from admmflex.horizon import Array, Horizon

if TYPE_CHECKING:
    import pandas as pd

_EPOCH = np.datetime64(0, "s")


def prosumer_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a prosumer table as nested keys; cells that look like numbers are numbers, except in names.

    Raises:
        InputError: no table, or one without rows.
    """
    rows = _records(path, "name")
    if not rows:
        raise InputError(Fault(f"table '{path.name}'", "has no rows", "one row per prosumer", "complete the table"))
    return rows


def _records(path: Path, text: str) -> list[dict[str, Any]]:
    """The rows of a table as nested keys; the column ``text`` stays text."""
    table = table_file.read(path, text=True)
    require(_nesting_faults([str(name).strip() for name in table.columns], f"table '{path.name}'"))
    result = []
    for record in table.to_dict("records"):
        row: dict[str, Any] = {}
        for column, cell in record.items():
            if cell is None or cell != cell or (isinstance(cell, str) and not cell.strip()):
                continue
            *sections, key = str(column).strip().split(".")
            place = row
            for section in sections:
                place = place.setdefault(section, {})
            place[key] = str(cell).strip() if key == text else _value(cell)
        result.append(row)
    return result


def _nesting_faults(names: list[str], element: str) -> list[Fault]:
    """Columns that are a key and, with a dot, the section of another: ``load`` beside ``load.p_kw``."""
    sections = {name[:at] for name in names for at, letter in enumerate(name) if letter == "."}
    return [
        Fault(element, f"column {name!r} beside {name}.*", f"{name!r}, or columns that begin with it", "remove one")
        for name in names
        if name in sections
    ]


def attach(rows: list[dict[str, Any]], path: Path, device: str, key: str) -> list[Fault]:
    """Give the rows of a table of sessions or tasks to the prosumers that they name, as a list under ``device.key``.

    Returns:
        Faults: rows without a prosumer, of one that does not exist or that has no such device.
    """
    owners = {str(row["name"]): row for row in rows if "name" in row}
    faults = []
    for number, record in enumerate(_records(path, "prosumer"), start=1):
        element = f"table '{path.name}' row {number}"
        name = str(record.pop("prosumer", ""))
        owner = owners.get(name)
        if owner is None:
            allowed = f"a name of the prosumer table{nearest(name, owners)}"
            faults.append(Fault(element, f"prosumer = {name!r}", allowed, "correct prosumer"))
        elif not isinstance(owner.get(device), dict):
            faults.append(Fault(element, f"prosumer {name!r} has no {device}", f"a prosumer with {device}.*", "add it"))
        else:
            owner[device].setdefault(key, []).append(record)
    return faults


def _value(cell: Any) -> Any:
    """A cell as number, truth value or text."""
    if not isinstance(cell, str):
        return cell
    word = cell.strip()
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    try:
        return float(word)
    except ValueError:
        return word


def profile_columns(path: Path, spec: TablesSpec, horizon: Horizon) -> Columns:
    """The profiles of a table over the steps of the horizon.

    Raises:
        InputError: no column ``time``; timestamps that are not times, missing, doubled, unsorted or that do not exist;
            rows that do not cover the horizon or have another step; columns that are not numbers.
    """
    table = table_file.read(path, text=False)
    element = f"table '{path.name}'"
    if "time" not in table.columns:
        raise InputError(Fault(element, "has no column 'time'", "time and one column per profile", "add the column"))
    local = zone(spec.timezone, element) if spec.timezone else horizon.start.tzinfo
    if table.empty:
        raise InputError(Fault(element, "has no rows", "one row per step", "complete the table"))
    seconds = _instants(table["time"], local, element)
    _check_order(seconds, local, element)
    numbers, faults = {}, []
    for name in table.columns.drop("time"):
        try:
            numbers[str(name)] = table[name].to_numpy(dtype=np.float64, na_value=np.nan)
        except (ValueError, TypeError):
            faults.append(_no_number(table[name], f"{element} column {name!r}"))
    require(faults)
    if spec.resample == "mean":
        return Columns(element, _means(numbers, seconds, horizon, local, element))
    rows = _matching_rows(seconds, _edges(horizon), horizon, local, element)
    return Columns(element, {name: values[rows] for name, values in numbers.items()})


def _no_number(column: pd.Series[Any], element: str) -> Fault:
    """The first value of a column that is no number."""
    import pandas as pd

    bad = (pd.to_numeric(column, errors="coerce").isna() & column.notna()).to_numpy()
    row = int(bad.argmax())
    value = f"has values that are not numbers, the first {str(column.iloc[row])!r} in row {row + 1}"
    return Fault(element, value, "numbers with a decimal point", "correct it")


def _edges(horizon: Horizon) -> NDArray[np.int64]:
    """Edges of the steps in seconds since 1970, ``(K + 1,)``."""
    first = (horizon.times_utc[0] - _EPOCH).astype(np.int64)
    return np.asarray(first + np.round(np.concatenate([[0.0], np.cumsum(horizon.dt_h)]) * 3600).astype(np.int64))


def _clock(second: int, local: tzinfo | None) -> str:
    return datetime.fromtimestamp(int(second), tz=local).isoformat(sep=" ", timespec="minutes")


def _instants(times: pd.Series[Any], local: tzinfo | None, element: str) -> NDArray[np.int64]:
    """Timestamps as seconds since 1970.

    Times with an offset are instants. Without one they are wall-clock times in ``local``; the hour that the autumn
    change repeats must then stand twice, and its second pass is the one that comes later in the table.
    """

    blank = times.isna().to_numpy()
    if blank.any():
        found = f"{int(blank.sum())} timestamps missing, the first in row {int(blank.argmax()) + 1}"
        raise InputError(Fault(element, found, "a time in every row", "fill them in"))
    index = _parsed(times, element)
    if index.tz is None:
        try:
            index = index.tz_localize(local, ambiguous="infer" if len(index) > 1 else "raise", nonexistent="raise")
        except Exception as error:  # pandas raises classes of its zone library here
            raise InputError(
                Fault(
                    element,
                    f"wall-clock times that are no instants in {local}: {error}",
                    "times with an offset, or local times as the clocks show them",
                    "write offsets such as 2016-10-30T02:30+02:00, or set tables.timezone",
                )
            ) from error
    return np.asarray(
        (index.tz_convert("UTC").tz_localize(None).to_numpy() - _EPOCH) // np.timedelta64(1, "s"), np.int64
    )


def _parsed(times: pd.Series[Any], element: str) -> pd.DatetimeIndex:
    """Times as pandas holds them; texts must be ISO 8601, because 05.06.2016 means two different days."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(times.dtype):
        return pd.DatetimeIndex(times)
    text = times.astype(str).str.strip()
    with_offset = text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True)
    parsed = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
    bad = (parsed.isna() | ~text.str.match(r"\d{4}-\d\d-\d\d")).to_numpy()
    if bad.any():
        row = int(bad.argmax())
        found = f"{int(bad.sum())} values of 'time' are no times, the first {str(times.iloc[row])!r} in row {row + 1}"
        allowed = "ISO 8601 such as 2016-05-20T06:00 or 2016-05-20T06:00+02:00"
        raise InputError(Fault(element, found, allowed, "correct the column"))
    if with_offset.any() and not with_offset.all():
        row = int((~with_offset).to_numpy().argmax())
        found = f"time {times.iloc[row]!r} in row {row + 1} has no offset, others have one"
        raise InputError(Fault(element, found, "all with an offset, or none", "correct the column"))
    index = pd.DatetimeIndex(parsed)
    return index if with_offset.all() else index.tz_localize(None)


def _check_order(seconds: NDArray[np.int64], local: tzinfo | None, element: str) -> None:
    """Rows in order, each once."""
    step = np.diff(seconds)
    faults = []
    values, counts = np.unique(seconds, return_counts=True)
    doubled = values[counts > 1]
    if len(doubled):
        first = _clock(doubled[0], local)
        faults.append(
            Fault(element, f"{len(doubled)} times appear twice, the first {first}", "each once", "remove rows")
        )
    if (step < 0).any():
        row = int((step < 0).argmax()) + 1
        faults.append(
            Fault(
                element,
                f"not sorted: {_clock(seconds[row], local)} in row {row + 1} follows {_clock(seconds[row - 1], local)}",
                "rows in order of time",
                "sort the table",
            )
        )
    require(faults)


def _matching_rows(
    seconds: NDArray[np.int64], edges: NDArray[np.int64], horizon: Horizon, local: tzinfo | None, element: str
) -> NDArray[np.int64]:
    """Row of every step; every row inside the horizon must begin a step."""
    begin = edges[:-1]
    rows = np.searchsorted(seconds, begin)
    found = (rows < len(seconds)) & (seconds[np.minimum(rows, len(seconds) - 1)] == begin)
    faults = []
    if not found.all():
        first = int((~found).argmax())
        faults.append(
            Fault(
                element,
                f"no row for {int((~found).sum())} of {horizon.steps} steps, the first {_clock(begin[first], local)}",
                "one row at the beginning of every step",
                "complete the table, or change the horizon",
            )
        )
    inside = (seconds >= edges[0]) & (seconds < edges[-1])
    between = seconds[inside & ~np.isin(seconds, begin)]
    if len(between):
        faults.append(
            Fault(
                element,
                f"{len(between)} rows between the steps, the first {_clock(between[0], local)}",
                "rows as long as the steps",
                "set tables.resample: mean to average them, or change step_minutes",
            )
        )
    require(faults)
    return rows


def _means(
    numbers: dict[str, Array], seconds: NDArray[np.int64], horizon: Horizon, local: tzinfo | None, element: str
) -> dict[str, Array]:
    """Mean of every profile over each step; the rows must be equally long."""
    lengths = np.diff(seconds)
    if not len(lengths) or (lengths != lengths[0]).any():
        row = int((lengths != lengths[0]).argmax()) if len(lengths) else 0
        what = f"gap after {_clock(seconds[row], local)}" if len(lengths) else f"{len(seconds)} rows"
        raise InputError(Fault(element, what, "two or more rows, equally long", "complete the table"))
    first = datetime.fromtimestamp(int(seconds[0]), tz=local)
    window = ProfileAxis(first, len(seconds), float(lengths[0]) / 3600.0).window(horizon)
    faults = []
    for name, values in numbers.items():
        bad = np.flatnonzero(~np.isfinite(values[window.first : window.last]))
        if len(bad):
            at = _clock(seconds[window.first + bad[0]], local)
            faults.append(
                Fault(
                    f"{element} column {name!r}",
                    f"{len(bad)} values not finite, the first at {at}",
                    "numbers",
                    "fill it",
                )
            )
    require(faults)
    return {name: window.cut(values) for name, values in numbers.items()}
