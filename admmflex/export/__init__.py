"""Results in the forms of others: tables, a pandapower grid, DER controls and price events; reads results only."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from admmflex.errors import Fault, InputError
from admmflex.results import Result

if TYPE_CHECKING:
    import xarray as xr

PLACES = {
    "pandapower": "net.json",
    "csv": "csv",
    "parquet": "parquet",
    "csip-aus": "csip-aus",
    "openadr": "openadr.json",
}
"""Files and folders within that of the result, by form."""


@dataclass(frozen=True)
class Asked:
    """Options of single forms, as ``admmflex export`` has them."""

    step: int | None = None
    at: str | None = None
    network: Path | None = None
    default_export_kw: float = 0.0


def write(result: Result, form: str, out: Path | None, asked: Asked) -> str:
    """Write a result in a form; returns what was written, in a line.

    Args:
        form: a key of ``PLACES``.
        out: folder or file; in the folder of the result by default.

    Raises:
        InputError: what the form needs is missing, an unknown step, or a place that cannot be written.
    """
    data = result.dataset
    target = out or (result.directory or Path()) / PLACES[form]
    try:
        if form == "pandapower":
            return _pandapower(data, target, asked)
        if form == "csip-aus":
            from admmflex.export import der_control

            fallback = der_control.Fallback(asked.default_export_kw)
            written = der_control.write(data, target, int(time.time()), fallback)
            return f"{target}: {len(written)} files"
        if form == "openadr":
            from admmflex.export import openadr

            return str(openadr.write(data, target))
        from admmflex.export import tables

        return f"{target}: {len(tables.write(data, target, 'csv' if form == 'csv' else 'parquet'))} tables"
    except OSError as error:
        where = f"'{error.filename or target}'"
        raise InputError(
            Fault(where, f"cannot be written: {error.strerror}", "a path", "choose another with --out")
        ) from error
    except ImportError as error:
        remedy = "install it, or choose another form"
        raise InputError(Fault(f"--to {form}", str(error), "what the form needs", remedy)) from error


def _pandapower(data: xr.Dataset, target: Path, asked: Asked) -> str:
    from admmflex.export import pandapower_net, steps
    from grid import filled

    step = steps.chosen(data, asked.step, asked.at)
    net, apart = pandapower_net.net_of(data, step, asked.network)
    target.parent.mkdir(parents=True, exist_ok=True)
    filled.write(net, target)
    return f"{target}: step {step}, {steps.label(data, step)}; voltages within {apart:.1e} pu of the result"
