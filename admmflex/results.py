"""Results: one self-contained dataset, its summary, and the files that hold them.

    DIR/result.nc       everything, variable by variable (docs/results.md)
    DIR/summary.json    status, costs, worst voltage and loading, timing
    DIR/history.jsonl   one line per round, written while it runs

Every file appears complete or not at all, except the history, which grows line by line.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from admmflex.data import hdf5_file
from admmflex.errors import Fault, InputError
from admmflex.labelling import FORMAT, dataset, misformed
from admmflex.summary import summarise
from grid import files

if TYPE_CHECKING:
    import xarray as xr

__all__ = [
    "History",
    "Result",
    "UnsolvedError",
    "dataset",
    "read",
    "require",
    "require_all",
    "require_folder",
    "result",
    "write",
]


class UnsolvedError(RuntimeError):
    """A result was required to be optimal and is not."""


@dataclass(frozen=True)
class Result:
    """What a run found.

    Args:
        dataset: inputs, outputs, prices and history as one xarray Dataset.
        summary: the content of ``summary.json``.
        directory: where it was written or read, if anywhere.
    """

    dataset: xr.Dataset
    summary: dict[str, Any]
    directory: Path | None = None

    @property
    def status(self) -> str:
        """``optimal``, ``infeasible`` or ``not_converged``."""
        return str(self.dataset.attrs["status"])

    @property
    def objective_eur(self) -> float:
        return float(self.dataset.attrs["objective_eur"])

    def require(self) -> Self:
        """Return the result when it is optimal; raise UnsolvedError otherwise."""
        if self.status != "optimal":
            raise UnsolvedError(f"the result is {self.status}: {self.dataset.attrs.get('message') or 'no message'}")
        return self


def result(data: xr.Dataset, **extra: Any) -> Result:
    """A result from its dataset; ``extra`` (residuals, timing, ...) goes into the summary as it is."""
    return Result(data, summarise(data) | extra)


def write(found: Result, directory: Path | str) -> Result:
    """Write ``result.nc``, then ``summary.json``, each at once; return the result with its directory."""
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    data = found.dataset
    packed = {"zlib": True, "complevel": 1, "shuffle": True}
    large = (name for name, one in data.data_vars.items() if one.dtype.kind == "f" and one.size > 512)
    encoding: dict[Any, Any] = dict.fromkeys(large, packed)
    encoding["time"] = {"units": "seconds since 1970-01-01", "dtype": "int64"}
    with complete(folder / "result.nc") as path:
        data.to_netcdf(path, engine="h5netcdf", encoding=encoding)
    with complete(folder / "summary.json") as path:
        path.write_text(json.dumps(plain(found.summary), indent=2, allow_nan=False) + "\n", encoding="utf-8")
    return replace(found, directory=folder)


def require_folder(directory: Path | str) -> None:
    """Make the folder of a result and see that files can be written there, before anything is solved.

    Raises:
        InputError: it cannot be made or written.
    """
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            Fault(
                f"result folder '{folder}'",
                f"cannot be written: {error.strerror}",
                "a folder, or the path of a new one",
                "choose another with --out",
            )
        ) from error


def read(directory: Path | str) -> Result:
    """Read a result that ``write`` wrote.

    Raises:
        InputError: no complete result in the folder, or files that are too large or refer to others.
    """
    import xarray as xr

    folder = Path(directory)
    summary = json.loads(files.content(folder / "summary.json", files.SUMMARY, "summary.json"))
    hdf5_file.require_plain(folder / "result.nc", files.RESULT, "result.nc")
    return Result(xr.load_dataset(folder / "result.nc", engine="h5netcdf"), summary, folder)


def require(directory: Path | str) -> Result:
    """Read the result in a folder that a user named.

    Raises:
        InputError: no such folder, no complete result in it, or one that is damaged or of another program.
    """
    folder = Path(directory)
    where, allowed = f"result folder '{folder}'", "a folder that 'admmflex run' wrote"
    if not folder.is_dir():
        raise InputError(Fault(where, "no such folder", allowed, "check the path"))
    if missing := [name for name in ("summary.json", "result.nc") if not (folder / name).is_file()]:
        remedy = (
            "run the scenario again: the last run did not end"
            if (folder / "history.jsonl").exists()
            else "check the path"
        )
        raise InputError(Fault(where, f"{' and '.join(missing)} missing", allowed, remedy))
    try:
        found = read(folder)
    except InputError as error:
        again = [Fault(f"{where}, {one.element}", one.value, one.allowed, one.remedy) for one in error.faults]
        raise InputError(again) from error
    except Exception as error:  # h5py and xarray raise many kinds on a damaged file
        raise InputError(Fault(where, f"not readable: {error}", allowed, "run the scenario again")) from error
    form = found.dataset.attrs.get("format")
    if form != FORMAT:
        raise InputError(Fault(where, f"result.nc has format {form!r}", FORMAT, "run the scenario with this version"))
    odd = misformed(found.dataset) if isinstance(found.summary, dict) else ["summary.json is no JSON object"]
    if odd:
        raise InputError([Fault(where, one, allowed, "run the scenario again") for one in odd])
    return found


def require_all(directories: Iterable[Path | str]) -> list[Result]:
    """The results of several folders.

    Raises:
        InputError: what is wrong with any of them.
    """
    found: list[Result] = []
    faults: list[Fault] = []
    for directory in directories:
        try:
            found.append(require(directory))
        except InputError as error:
            faults += error.faults
    if faults:
        raise InputError(faults)
    return found


class History:
    """Records of the rounds, kept in memory and, with a directory, written line by line as they come.

    Entering removes an older result from the directory, which would not belong to the new history.
    """

    def __init__(self, directory: Path | str | None = None) -> None:
        self.records: list[dict[str, Any]] = []
        self._folder = None if directory is None else Path(directory)
        self._file: Any = None

    def __enter__(self) -> Self:
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name in ("summary.json", "result.nc", "report.html"):
                (self._folder / name).unlink(missing_ok=True)
            self._file = (self._folder / "history.jsonl").open("w", encoding="utf-8")
        return self

    def append(self, record: Mapping[str, Any]) -> None:
        """Keep one record and flush it to the file."""
        self.records.append(dict(record))
        if self._file is not None:
            self._file.write(json.dumps(plain(record), allow_nan=False) + "\n")
            self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()


@contextmanager
def complete(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that takes its place when the block ends without an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """The value as JSON has it: numpy numbers as numbers, what is not finite as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
