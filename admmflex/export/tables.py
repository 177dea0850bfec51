"""A result as tables, in CSV or Parquet.

One file for everything that has a time (``p_kw``, ``v_pu``, ...: one row per step, one column per home, bus, ...), one
for each kind of thing (``prosumers``, ``assets``, ``buses``, ``branches``), and the history.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from admmflex.results import complete
from admmflex.summary import local_times

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

MANY = {
    "prosumer": "prosumers",
    "asset": "assets",
    "bus": "buses",
    "branch": "branches",
    "iteration": "history",
    "time": "steps",
}


def tables(data: xr.Dataset) -> dict[str, pd.DataFrame]:
    """Every variable of a result, by name of the table."""
    import pandas as pd

    times = [moment.isoformat() for moment in local_times(data)]
    found: dict[str, pd.DataFrame] = {}
    for dim, name in MANY.items():
        if data.sizes.get(dim):
            found[name] = _things(data, dim, times)
    for name in map(str, data.data_vars):
        values = data[name]
        if values.ndim == 2 and values.dims[1] == "time":
            columns = data[values.dims[0]].to_numpy().astype(str)
            frame = pd.DataFrame(values.to_numpy().T, columns=columns)
            frame.insert(0, "time", times)
            found[name] = frame
    return found


def write(data: xr.Dataset, folder: Path, form: Literal["csv", "parquet"]) -> list[Path]:
    """Write the tables into a folder.

    Raises:
        ImportError: Parquet without pyarrow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, frame in tables(data).items():
        target = folder / f"{name}.{form}"
        with complete(target) as path:
            if form == "csv":
                frame.to_csv(path, index=False)
            else:
                frame.to_parquet(path, index=False)
        written.append(target)
    return written


def _things(data: xr.Dataset, dim: str, times: list[str]) -> pd.DataFrame:
    """What is known of each home, asset, bus, ... once: one row each."""
    import pandas as pd

    columns: dict[str, Any] = {dim: times if dim == "time" else data[dim].to_numpy()}
    for name in map(str, (*data.coords, *data.data_vars)):
        values = data[name]
        if name == dim or values.dims[:1] != (dim,):
            continue
        if values.ndim == 1:
            columns[str(name)] = values.to_numpy()
        elif values.dims[1] == "window":
            columns |= {
                f"{name}_{number + 1}": column for number, column in enumerate(np.moveaxis(values.to_numpy(), 1, 0))
            }
    return pd.DataFrame(columns)
