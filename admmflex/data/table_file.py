"""A CSV or Parquet file as it stands: nothing is guessed, and what is no table says why."""

from __future__ import annotations

import csv
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from admmflex.errors import Fault, InputError, require
from grid import files

if TYPE_CHECKING:
    import pandas as pd


MOST_CELLS, MOST_TEXTS = 50_000_000, 5_000_000
"""Cells of a table of profiles, 8 bytes each, and of prosumers, some 200 bytes each."""


def read(path: Path, *, text: bool) -> pd.DataFrame:
    """A table with one column per name of its header; ``text`` leaves every cell of a CSV file as text.

    Raises:
        InputError: no such file, no table, a separator other than the comma, a column that appears twice, a row with
            more cells than the header.
    """
    element = f"table '{path.name}'"
    files.size(path, files.TABLE, element)
    try:
        return _parquet(path, element) if path.suffix.lower() in (".parquet", ".pq") else _csv(path, element, text=text)
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            Fault(element, "needs pyarrow, which is not installed", "CSV, or Parquet with pyarrow", "install pyarrow")
        ) from error
    except UnicodeDecodeError as error:
        raise InputError(
            Fault(element, "is not UTF-8 text", "CSV in UTF-8", "save it as CSV UTF-8, or as Parquet")
        ) from error
    except Exception as error:  # the parsers of pandas and pyarrow share no base class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            Fault(element, f"cannot be read: {reason}", "a CSV or Parquet table", "correct the file")
        ) from error


def _parquet(path: Path, element: str) -> pd.DataFrame:
    """What a file declares is looked at before it is unpacked."""
    import pandas as pd
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        about = file.metadata
        groups = [about.row_group(g) for g in range(about.num_row_groups)]
        _require_cells(about.num_rows * about.num_columns, element)
        _require_cells(sum(group.total_byte_size for group in groups) // 8, element)
    return pd.read_parquet(path)


def _csv(path: Path, element: str, *, text: bool) -> pd.DataFrame:
    """Cells belong to the column above them: pandas would shift rows with a cell too many to the left."""
    import pandas as pd

    found = files.content(path, files.TABLE, element)
    _require_cells(found.count(b",") + found.count(b"\n"), element, MOST_TEXTS if text else MOST_CELLS)
    if b"\0" in found:  # pandas ends a cell there and goes on
        what, remedy = f"is not UTF-8 text: holds a NUL byte at {found.index(0)}", "save it as CSV UTF-8"
        raise InputError(Fault(element, what, "text", remedy))
    first = found[: found.find(b"\n") + 1 or None].decode("utf-8-sig")
    header = [name.strip() for name in next(csv.reader(io.StringIO(first, newline="")), [])]
    require(_header_faults(header, element))
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            return pd.read_csv(
                io.BytesIO(found),
                dtype=str if text else None,
                keep_default_na=not text,
                skipinitialspace=True,
                index_col=False,
                compression=None,
                encoding="utf-8-sig",
            )
        except pd.errors.ParserWarning as error:
            raise InputError(
                Fault(
                    element,
                    f"rows with more cells than the {len(header)} columns of the header",
                    "one cell per column",
                    "name every column, and quote texts that hold a comma",
                )
            ) from error


def _require_cells(count: int, element: str, most: int = MOST_CELLS) -> None:
    if count > most:
        value, allowed = f"{count / 1e6:.0f} million cells", f"at most {most / 1e6:.0f} million"
        raise InputError(Fault(element, value, allowed, "keep the rows and columns that are needed"))


def _header_faults(header: list[str], element: str) -> list[Fault]:
    """What is wrong with the names of the columns of a CSV file."""
    if len(header) == 1 and (found := next((mark for mark in (";", "\t", "|") if mark in header[0]), None)):
        remedy = "save it with commas and decimal points, or as Parquet"
        return [Fault(element, f"columns are separated by {found!r}", "by commas", remedy)]
    doubled = sorted({name for name in header if name and header.count(name) > 1})
    return [
        Fault(element, f"column {name!r} appears {header.count(name)} times", "once", "rename or remove columns")
        for name in doubled
    ]
