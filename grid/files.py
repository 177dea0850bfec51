"""How much is read of a file: a regular file of bounded size, or a fault that says which, how large, what is allowed.

A scenario may name files beside or above it, and links to them: it is its user's own. Devices, pipes and folders are
refused before they are opened.
"""

from __future__ import annotations

import difflib
import os
import stat
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from grid.errors import Fault, InputError

MB = 1_000_000
LOOKED_AT, SHOWN = 1000, 4  # names of a folder


@dataclass(frozen=True)
class Kind:
    """A kind of file: what messages call it, its largest size [bytes], what to do with a larger one, its endings."""

    allowed: str
    most: int
    smaller: str
    endings: tuple[str, ...] = ()


SCENARIO = Kind("a readable YAML file", 16 * MB, "move homes and profiles into tables", (".yaml", ".yml"))
GRID = Kind(
    "a grid written by pandapower.to_json", 128 * MB, "leave out tables of results, or split the grid", (".json",)
)
SCRIPT = Kind("a readable OpenDSS file", 64 * MB, "split the feeder", (".dss",))
TABLE = Kind("a CSV or Parquet file", 512 * MB, "keep the days of the horizon only", (".csv", ".parquet"))
SUMMARY = Kind("a summary.json that a run wrote", 64 * MB, "run the scenario again")
RESULT = Kind("a result.nc that a run wrote", 4000 * MB, "run the scenario again")


def size(path: Path, kind: Kind, element: str) -> int:
    """Size of a regular file [bytes].

    Raises:
        InputError: no such file, a folder, a device or a pipe, or larger than its kind may be.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(Fault(element, f"{path} is missing", kind.allowed, _meant(path, kind))) from error
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the path
        raise InputError(Fault(element, f"cannot be read: {_reason(error)}", kind.allowed, "check the path")) from error
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "a device or a pipe"
        raise InputError(Fault(element, f"cannot be read: {path} is {what}", kind.allowed, _meant(path, kind)))
    _bounded(found.st_size, path, kind, element)
    return found.st_size


def content(path: Path, kind: Kind, element: str) -> bytes:
    """All bytes of a file; see ``size``.

    Raises:
        InputError: as ``size``, or not readable.
    """
    size(path, kind, element)
    try:
        with path.open("rb") as file:
            found = file.read(kind.most + 1)  # what the system makes up while it is read has no size before
    except OSError as error:
        raise InputError(Fault(element, f"cannot be read: {_reason(error)}", kind.allowed, "check the path")) from error
    _bounded(len(found), path, kind, element)
    return found


def _meant(path: Path, kind: Kind) -> str:
    """What to do about a path that is no file: those of its kind that are there, or those of nearly its name."""
    folder = path if path.is_dir() else path.parent
    try:
        with os.scandir(folder) as found:
            names = sorted(one.name for one in islice(found, LOOKED_AT) if one.name.lower().endswith(kind.endings))
    except (OSError, ValueError):
        names = []
    near = names if folder == path else difflib.get_close_matches(path.name, names)
    there = " or ".join(str(folder / name) for name in near[:SHOWN])
    return f"check the path; there is {there}" if there else "check the path"


def _bounded(count: int, path: Path, kind: Kind, element: str) -> None:
    if count > kind.most:
        value = (
            f"{path} has {count / MB:.0f} MB" if count < 1e6 * MB else f"{path} is larger than {kind.most / MB:g} MB"
        )
        raise InputError(Fault(element, value, f"at most {kind.most / MB:g} MB", kind.smaller))


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
