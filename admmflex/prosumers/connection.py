"""Whether a prosumer can keep the limits of its connection at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from admmflex.assets.flow import Flow, Store
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.roles import power_limits

TOLERANCE = 1e-6  # kW


def can_bind(prosumer: Prosumer, flows: Sequence[Flow]) -> bool:
    """Whether the connection of a prosumer limits what its assets can do together."""
    fixed = np.sum([flow.fixed_p for flow in flows], axis=0)
    lowest = fixed - np.sum([flow.take_max for flow in flows], axis=0)
    highest = fixed + np.sum([flow.give_max for flow in flows], axis=0)
    return bool((lowest < -prosumer.import_limit_kw).any() or (highest > prosumer.export_limit_kw).any())


def connection_faults(prosumer: Prosumer, horizon: Horizon) -> list[Fault]:
    """A fault for every limit of the connection that is too weak for what the assets cannot avoid.

    Minimises the energy beyond both limits: min sum_t dt (over + under), p <= export_limit + over,
    -p <= import_limit + under, and names the step in which most is left.

    Args:
        prosumer: with assets whose data have no faults.
    """
    if min(prosumer.import_limit_kw, prosumer.export_limit_kw) == np.inf:
        return []
    flows = [asset.flow(horizon) for asset in prosumer.assets]
    if not can_bind(prosumer, flows) or _is_kept_by_waiting(prosumer, flows, horizon.dt_h):
        return []
    over, under = _beyond(prosumer, horizon)
    faults = []
    for beyond, field in ((over, "export_limit_kw"), (under, "import_limit_kw")):
        if beyond.max() > TOLERANCE:
            step, limit = int(beyond.argmax()), getattr(prosumer, field)
            faults.append(
                Fault(
                    f"prosumer {prosumer.name!r}",
                    f"{limit + beyond[step]:g} kW needed at {horizon.label(step)}, {beyond[step]:g} kW too much; "
                    f"{horizon.dt_h @ beyond:.4g} kWh in all",
                    f"{field} = {limit:g}",
                    f"raise {field}, or give the assets more freedom; relax does not apply to a connection",
                )
            )
    return faults


def _is_kept_by_waiting(prosumer: Prosumer, flows: Sequence[Flow], dt: Array) -> bool:
    """Whether a plan that is made at once keeps the limits; if not, another one still may.

    Nothing is given that can be left out, except to make room; the stores charge in turn, each as late as it may with
    what the connection has left.
    """
    fixed = np.sum([flow.fixed_p for flow in flows], axis=0)
    free = [power_limits(flow)[1] for flow in flows if flow.store is None]
    room = prosumer.import_limit_kw + fixed + np.sum(free, axis=0)
    if (fixed > prosumer.export_limit_kw).any() or room.min() < 0.0:
        return False
    for flow in flows:
        if flow.store is not None:
            late = _late(flow.store, np.minimum(power_limits(flow)[0], room), dt)
            if late is None:
                return False
            room = np.maximum(room - late, 0.0)
    return True


def _late(store: Store, most: Array, dt: Array) -> Array | None:
    """Power ``(K,)`` that charges as late as the band allows and never above ``most`` [kW]; None if there is none."""
    if (store.keep <= 0.0).any():
        return None
    low, rise = store.e_min.copy(), dt * store.eta_take * most + store.gain
    for t in range(len(dt) - 2, -1, -1):
        low[t] = max(low[t], (low[t + 1] - rise[t + 1]) / store.keep[t + 1])
    energy, before = np.empty(len(dt)), store.e_start
    taken = np.empty(len(dt))
    for t in range(len(dt)):
        rest = store.keep[t] * before + store.gain[t]
        energy[t] = before = max(rest, low[t])
        taken[t] = (before - rest) / (dt[t] * store.eta_take[t])
    fits = (taken <= most + TOLERANCE).all() and (energy <= store.e_max).all()
    return taken if fits else None


def _beyond(prosumer: Prosumer, horizon: Horizon) -> tuple[Array, Array]:
    """Least power beyond the export and the import limit ``(K,)`` each."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    free = program(replace(prosumer, import_limit_kw=np.inf, export_limit_kw=np.inf), horizon)
    n, steps = len(free.cost), horizon.steps
    slack = sp.identity(steps)
    blocks: list[list[Any]] = [[free.P, -slack, None], [free.P, None, slack], [free.A, None, None]]
    rows = sp.bmat(blocks, format="csc")
    unbounded, most = np.full(steps, np.inf), np.full(2 * steps, np.inf)
    low = np.concatenate([-unbounded, -prosumer.import_limit_kw - free.p0, free.low])
    high = np.concatenate([prosumer.export_limit_kw - free.p0, unbounded, free.high])
    answer = milp(
        np.concatenate([np.zeros(n), horizon.dt_h, horizon.dt_h]),
        constraints=LinearConstraint(rows, low, high),
        bounds=Bounds(np.concatenate([free.x_min, np.zeros(2 * steps)]), np.concatenate([free.x_max, most])),
    )
    if answer.x is None:  # some store alone has no plan: ``band_faults`` names it
        return np.zeros(steps), np.zeros(steps)
    return answer.x[n : n + steps], answer.x[n + steps :]
