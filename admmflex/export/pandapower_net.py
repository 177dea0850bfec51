"""A plan in the pandapower grid it was made for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from admmflex.data import document
from admmflex.data.spec import NetworkSpec
from admmflex.data.validation import check
from admmflex.errors import Fault, InputError
from grid.filled import Element, filled

if TYPE_CHECKING:
    import xarray as xr

Table = Literal["load", "sgen", "storage"]
SAME_PU = 1e-5
"""Between two power flows of the same grid."""
_TABLES: dict[str, Table] = {"pv": "sgen", "battery": "storage", "ev": "storage"}
_CAPACITY = {"battery": "e_max_kwh", "ev": "capacity_kwh"}


def net_of(data: xr.Dataset, step: int, network: Path | None = None) -> tuple[Any, float]:
    """The grid with one element for every asset, and how far its voltages are from those of the result [pu].

    Args:
        data: of a result with a plan.
        step: whose power flow stands in ``net.res_*``.
        network: the grid file, where the scenario's is no longer where it was.

    Raises:
        InputError: no plan; no scenario; the grid is not to be found, or is another one.
    """
    if "p_kw" not in data:
        raise InputError(Fault("result", "has no plan", "a result with powers", "see its status"))
    spec = _network(data)
    source = network if network is not None else _source(spec, Path(str(data.attrs.get("scenario_folder", "."))))
    net = filled(source, elements(data), step, taps=spec.taps, slack_pu=spec.slack_pu)
    named = data["bus"].to_numpy() >= 0
    buses = data["bus"].to_numpy()[named]
    found = net.res_bus.vm_pu.reindex(buses).to_numpy()
    apart = float(np.abs(found - data["v_pu"].to_numpy()[named, step]).max())
    if not apart <= SAME_PU:
        value = f"{source} is another grid: its voltages are {apart:.2g} pu from those of the result"
        raise InputError(Fault("network", value, "the grid of the scenario", "name it with --network"))
    return net, apart


def elements(data: xr.Dataset) -> list[Element]:
    """What stands in the grid: plants as static generators, batteries and cars as storages, all else as loads.

    A prosumer without assets, written in cvxpy, is a static generator of its power at the meter.
    """
    buses, owner = data["prosumer_bus"].to_numpy(), data["asset_prosumer"].to_numpy()
    kinds, names = data["asset_kind"].to_numpy(), data["asset"].to_numpy()
    p, q = data["asset_p_kw"].to_numpy(), data["asset_q_kvar"].to_numpy()
    capacity = {kind: data[field].to_numpy() for kind, field in _CAPACITY.items() if field in data}
    found = []
    for row, kind in enumerate(kinds):
        table = _TABLES.get(kind, "load")
        columns = {"max_e_mwh": float(capacity[kind][row]) / 1e3} if kind in capacity else {}
        found.append(Element(table, str(names[row]), int(buses[owner[row]]), p[row], q[row], columns))
    for row in np.setdiff1d(np.arange(data.sizes["prosumer"]), owner):
        power = data["p_kw"].to_numpy()[row], data["q_kvar"].to_numpy()[row]
        found.append(Element("sgen", str(data["prosumer"].to_numpy()[row]), int(buses[row]), *power))
    return found


def _network(data: xr.Dataset) -> NetworkSpec:
    text = str(data.attrs.get("scenario", ""))
    if not text:
        raise InputError(Fault("result", "has no scenario", "a result of a scenario file", "run it from a file"))
    spec, faults = check(document.parse(text, Path("scenario")))
    if spec is None or faults:
        raise InputError(Fault("scenario in result.nc", "not readable", "a scenario of this version", "run it again"))
    return spec.network


def _source(spec: NetworkSpec, folder: Path) -> Path | str:
    path = folder / spec.source
    if path.is_file():
        return path
    if path.suffix.lower() == ".json":
        raise InputError(
            Fault("network", f"{path} is missing", "the grid file of the scenario", "name it with --network")
        )
    return spec.source
