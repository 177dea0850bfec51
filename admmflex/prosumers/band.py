"""Whether stored energy can stay within its band at all, and the power at the meter within its connection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from admmflex.assets.reach import reach
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import Program, program
from admmflex.prosumers.roles import power_limits

TOLERANCE = 1e-7  # kWh
CONNECTION_TOLERANCE = 1e-6  # kW


def band_faults(one: Program, horizon: Horizon) -> list[Fault]:
    """A fault for every store at the first step where no power keeps its energy within the band.

    The energies that can be reached form an interval, see ``admmflex.assets.reach``.
    """
    faults: list[Fault] = []
    for asset, flow in zip(one.prosumer.assets, one.flows, strict=True):
        store = flow.store
        if store is None:
            continue
        take, give = power_limits(flow)
        found = reach(store, take, give, horizon.dt_h)
        outside = np.maximum(found.short, found.over) > TOLERANCE
        if outside.any():
            t = int(outside.argmax())
            how = f"{found.short[t]:g} kWh short at full charge"
            if found.over[t] > found.short[t]:
                how = f"{found.over[t]:g} kWh too high at full discharge"
            faults.append(
                Fault(
                    f"{asset.kind} {asset.name!r} of prosumer {one.prosumer.name!r}",
                    f"energy {how} at the end of the step of {horizon.label(t)}",
                    f"{store.e_min[t]:g} to {store.e_max[t]:g} kWh",
                    "widen the band, raise the power or start elsewhere",
                )
            )
    return faults


def connection_faults(one: Program, horizon: Horizon) -> list[Fault]:
    """A fault for a prosumer whose connection is too weak for what its assets cannot avoid.

    Minimises the energy beyond both limits: min sum_t dt (over + under), p <= export_limit + over,
    -p <= import_limit + under, and names the step in which most is left.
    """
    over, under = _beyond(one, horizon)
    faults = []
    for beyond, field in ((over, "export_limit_kw"), (under, "import_limit_kw")):
        if beyond.max() > CONNECTION_TOLERANCE:
            step, limit = int(beyond.argmax()), getattr(one.prosumer, field)
            faults.append(
                Fault(
                    f"prosumer {one.prosumer.name!r}",
                    f"{limit + beyond[step]:g} kW needed at {horizon.label(step)}, {beyond[step]:g} kW too much",
                    f"{field} = {limit:g}",
                    f"raise {field}, or give the assets more freedom",
                )
            )
    return faults


def _beyond(one: Program, horizon: Horizon) -> tuple[Array, Array]:
    """Least power beyond the export and the import limit ``(K,)`` each."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    free = program(replace(one.prosumer, import_limit_kw=np.inf, export_limit_kw=np.inf), horizon)
    n, steps = len(free.cost), horizon.steps
    slack = sp.identity(steps)
    blocks: list[list[Any]] = [[free.P, -slack, None], [free.P, None, slack], [free.A, None, None]]
    rows = sp.bmat(blocks, format="csc")
    unbounded, most = np.full(steps, np.inf), np.full(2 * steps, np.inf)
    low = np.concatenate([-unbounded, -one.prosumer.import_limit_kw - free.p0, free.low])
    high = np.concatenate([one.prosumer.export_limit_kw - free.p0, unbounded, free.high])
    answer = milp(
        np.concatenate([np.zeros(n), horizon.dt_h, horizon.dt_h]),
        constraints=LinearConstraint(rows, low, high),
        bounds=Bounds(np.concatenate([free.x_min, np.zeros(2 * steps)]), np.concatenate([free.x_max, most])),
    )
    if answer.x is None:  # some store alone has no plan: ``band_faults`` names it
        return np.zeros(steps), np.zeros(steps)
    return answer.x[n : n + steps], answer.x[n + steps :]
