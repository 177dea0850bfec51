"""The network of a scenario: its grid, and the loads, plants and storages that stand in it, one object each."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from admmflex.data.clock import ProfileAxis, fixed_offset
from admmflex.data.profiles import Columns
from admmflex.data.spec import HorizonSpec, NetworkSpec
from admmflex.errors import Fault, InputError
from admmflex.horizon import Horizon
from grid import Case, Elements, Profiles, read_case

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
    looks_like_file = path.suffix.lower() == ".json" or path.is_file()
    if looks_like_file and not path.is_file():
        raise InputError(
            Fault("network.source", f"{path} is missing", "a pandapower JSON file or a SimBench code", "check the path")
        )
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

    SimBench labels its 35,136 quarters of an hour of 2016 without a time zone and without jumps. They are read as a clock
    that never changes, ``profile_clock`` (Central European standard time unless the scenario says otherwise): the row of a
    step is found by its instant, so that days with 92 or 100 quarters have the right energies.

    Raises:
        InputError: labels that are not evenly spaced, a horizon outside them.
    """
    if profiles is None:
        return Columns(f"network {source!r}, which has none"), True
    labels = [datetime.strptime(str(profiles.time[k]), _LABEL) for k in (0, 1, -1)]
    step = labels[1] - labels[0]
    if labels[0] + (len(profiles) - 1) * step != labels[2] or step.total_seconds() <= 0:
        raise InputError(
            Fault(
                f"profiles of network {source!r}",
                f"{len(profiles)} rows from {labels[0]} to {labels[2]}, the first {step} long",
                "evenly spaced rows",
                "use another network",
            )
        )
    first = labels[0].replace(tzinfo=fixed_offset(spec.profile_clock))
    window = ProfileAxis(first, len(profiles), step.total_seconds() / 3600.0).window(horizon)
    names = [str(name) for name in profiles.names]
    return Columns(f"network {source!r}", {name: window.cut(profiles[name]) for name in names}), window.aligned
