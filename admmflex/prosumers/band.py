"""Whether stored energy can stay within its band at all."""

from __future__ import annotations

import numpy as np

from admmflex.assets.reach import reach
from admmflex.errors import Fault
from admmflex.horizon import Horizon
from admmflex.prosumers.program import Program
from admmflex.prosumers.roles import power_limits

TOLERANCE = 1e-7  # kWh


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
