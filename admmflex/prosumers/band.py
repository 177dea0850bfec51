"""Whether stored energy can stay within its band at all."""

from __future__ import annotations

from admmflex.errors import Fault
from admmflex.horizon import Horizon
from admmflex.prosumers.program import Program

TOLERANCE = 1e-7  # kWh


def band_faults(one: Program, horizon: Horizon) -> list[Fault]:
    """A fault for every store at the first step where no power keeps its energy within the band.

    The energies that can be reached form an interval, which every step stretches by full power and cuts to the band.
    """
    faults: list[Fault] = []
    dt = horizon.dt_h
    for asset, flow in zip(one.prosumer.assets, one.flows, strict=True):
        store = flow.store
        if store is None:
            continue
        low = high = store.e_start
        for t in range(horizon.steps):
            low = store.keep[t] * low - dt[t] * flow.give_max[t] / store.eta_give[t] + store.gain[t]
            high = store.keep[t] * high + dt[t] * flow.take_max[t] * store.eta_take[t] + store.gain[t]
            short, over = store.e_min[t] - high, low - store.e_max[t]
            if max(short, over) > TOLERANCE:
                how = f"{short:g} kWh short at full charge"
                if over > short:
                    how = f"{over:g} kWh too high at full discharge"
                faults.append(
                    Fault(
                        f"{asset.kind} {asset.name!r} of prosumer {one.prosumer.name!r}",
                        f"energy {how} at the end of the step of {horizon.label(t)}",
                        f"{store.e_min[t]:g} to {store.e_max[t]:g} kWh",
                        "widen the band, raise the power or start elsewhere",
                    )
                )
                break
            low, high = max(low, store.e_min[t]), min(high, store.e_max[t])
    return faults
