"""A pandapower grid with other powers in it: what a plan puts where the file had its loads, plants and storages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from grid.arrays import Array
from grid.errors import Fault, InputError
from grid.read import Taps, read, set_taps
from grid.source import open_json, open_simbench

if TYPE_CHECKING:
    from pandapower import pandapowerNet

TABLES = ("load", "sgen", "storage")


@dataclass(frozen=True, eq=False)
class Element:
    """One row of a table of elements.

    Args:
        table: pandapower's; loads and storages count consumption positive there.
        bus: pandapower index.
        p_kw, q_kvar: (K,) injection into the grid, positive in every table.
        columns: other columns of the row, such as ``max_e_mwh``.
    """

    table: Literal["load", "sgen", "storage"]
    name: str
    bus: int
    p_kw: Array
    q_kvar: Array
    columns: Mapping[str, float] = field(default_factory=dict)


def filled(
    source: Path | str,
    elements: Sequence[Element],
    step: int,
    *,
    taps: Taps = "as_given",
    slack_pu: float | None = None,
) -> pandapowerNet:
    """The grid of a file or SimBench code with these elements alone, their profiles, and the power flow of one step.

    Every table has two ``ConstControl`` (p and q) on a ``DFData`` of the profiles, so that
    ``pandapower.timeseries.run_timeseries(net, range(K))`` runs the whole day; ``net.res_*`` hold step ``step``.

    Raises:
        InputError: the grid cannot be read or lacks buses of the elements, or the power flow has no solution.
    """
    import pandapower as pp

    net = open_json(source) if isinstance(source, Path) else open_simbench(source)
    where, remedy = f"network {str(source)!r}", "use the grid of the scenario as it was"
    if lost := sorted({one.bus for one in elements} - set(net.bus.index)):
        raise InputError(Fault(where, f"has no bus {lost[0]}: it is another grid", "all buses of the plan", remedy))
    for table in ("trafo", "trafo3w"):
        set_taps(net[table], table, taps)
    if slack_pu is not None:
        net.ext_grid.loc[net.ext_grid.in_service, "vm_pu"] = slack_pu
    for table in (*TABLES, "controller"):
        net[table] = net[table].iloc[0:0]
    net.pop("profiles", None)  # SimBench's, of what is no longer there
    for table in TABLES:
        _add(net, table, [one for one in elements if one.table == table], step)
    try:
        pp.runpp(net, calculate_voltage_angles=True, **_start(net, taps))
    except pp.LoadflowNotConverged as error:
        found = f"the power flow of step {step} has no solution"
        raise InputError(Fault(where, found, "a step that the grid can carry", "choose another step")) from error
    return net


def _start(net: pandapowerNet, taps: Taps) -> dict[str, Array]:
    """At the no-load voltages where a line has no reactance: pandapower's own start divides by all of them."""
    if (net.line["x_ohm_per_km"] != 0.0).all():
        return {}
    network, v = read(net, taps=taps), np.ones(len(net.bus), np.complex128)
    v[net.bus.index.get_indexer(network.known_buses)] = network.v_no_load[network.known_positions]
    return {"init_vm_pu": np.abs(v), "init_va_degree": np.degrees(np.angle(v))}


def write(net: pandapowerNet, path: Path) -> None:
    """Write a grid with its controllers and results as JSON, for ``pandapower.from_json``."""
    import pandapower as pp

    pp.to_json(net, str(path))


def _add(net: pandapowerNet, table: str, elements: Sequence[Element], step: int) -> None:
    """Create the rows of a table and the controllers that move them."""
    import pandapower as pp
    import pandas as pd
    from pandapower.control import ConstControl
    from pandapower.timeseries import DFData

    if not elements:
        return
    sign = 1e-3 if table == "sgen" else -1e-3
    powers = {
        "p_mw": sign * np.array([one.p_kw for one in elements]),
        "q_mvar": sign * np.array([one.q_kvar for one in elements]),
    }
    buses, names = [one.bus for one in elements], [one.name for one in elements]
    now: dict[str, Any] = {name: values[:, step] for name, values in powers.items()}
    if table == "storage":
        now["max_e_mwh"] = [one.columns.get("max_e_mwh", np.nan) for one in elements]
    create = {"load": pp.create_loads, "sgen": pp.create_sgens, "storage": pp.create_storages}[table]
    rows = create(net, buses, name=names, **now)
    for column, values in powers.items():
        profiles = DFData(pd.DataFrame(values.T, columns=[str(row) for row in rows]))
        ConstControl(net, table, column, list(rows), profile_name=[str(row) for row in rows], data_source=profiles)
