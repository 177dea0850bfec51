"""The network of a scenario: its grid, and the loads, plants and storages that stand in it, one object each."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from admmflex.data.clock import ProfileAxis, zone
from admmflex.data.profiles import Columns
from admmflex.data.spec import HorizonSpec, NetworkSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Horizon
from grid import Case, Elements, Profiles, files, read_case

_LABEL = "%d.%m.%Y %H:%M"


class Element(NamedTuple):
    """One element; powers [MW, Mvar] as the file counts them, ``kind`` is load, sgen or storage."""

    kind: str
    name: str
    bus: int
    p_mw: float
    q_mvar: float
    sn_mva: float
    max_e_mwh: float
    scaling: float
    profile: str | None
    in_service: bool


def read_network(spec: NetworkSpec, folder: Path) -> Case:
    """The case of a scenario; a path is relative to ``folder``.

    Raises:
        InputError: no such file or code, or faults of the grid.
    """
    path = folder / spec.source
    looks_like_file = path.suffix.lower() == ".json" or os.path.lexists(path)
    if looks_like_file:
        files.size(path, files.GRID, "network.source")
    case = read_case(path if looks_like_file else spec.source, taps=spec.taps)
    if spec.slack_pu is None:
        return case
    old = case.network.v_slack
    return replace(case, network=case.network.with_slack(spec.slack_pu * old / abs(old)))


def rows(elements: Elements) -> list[Element]:
    """The elements one by one; a missing reactive power is zero, a missing name the place in the file."""
    q = np.where(np.isnan(elements.q_mvar), 0.0, elements.q_mvar)
    return [
        Element(
            str(elements.kind[e]),
            str(elements.name[e]) or elements.label(e),
            int(elements.bus[e]),
            float(elements.p_mw[e]),
            float(q[e]),
            float(elements.sn_mva[e]),
            float(elements.max_e_mwh[e]),
            float(elements.scaling[e]),
            str(elements.profile[e]) or None,
            bool(elements.in_service[e]),
        )
        for e in range(len(elements))
    ]


def profile_columns(
    profiles: Profiles | None, spec: HorizonSpec, horizon: Horizon, source: str
) -> tuple[Columns, bool]:
    """The network's profiles over the steps, and whether each step is exactly one row.

    SimBench labels the 35,136 quarters of an hour of 2016 with the wall clock of Central Europe: no label from 02:00 to
    02:45 on 27 March, two of each on 30 October. The row of a step is found by its instant, so that days with 92 or 100
    quarters have the right energies; the labels of all rows that are used are compared with the clock of
    ``profile_timezone``.

    Raises:
        InputError: unknown time zone, labels that are not the wall clock there, a horizon outside the rows.
    """
    if profiles is None:
        return Columns(f"network {source!r}, which has none"), True
    first, second = (datetime.strptime(str(label), _LABEL) for label in profiles.time[:2])
    start = first.replace(tzinfo=zone(spec.profile_timezone, "horizon.profile_timezone"))
    axis = ProfileAxis(start, len(profiles), (second - first).total_seconds() / 3600.0)
    window = axis.window(horizon)
    for row in range(window.first, window.last):
        if str(profiles.time[row]) != (expected := axis.begin(row).strftime(_LABEL)):
            raise InputError(
                Fault(
                    f"profiles of network {source!r}",
                    f"row {row} has the label {str(profiles.time[row])!r}",
                    f"{expected!r} on the wall clock of {spec.profile_timezone}",
                    "correct horizon.profile_timezone",
                )
            )
    names = [str(name) for name in profiles.names]
    return Columns(f"network {source!r}", {name: window.cut(profiles[name]) for name in names}), window.aligned
