"""The same homes with what really happened known beforehand: the reference of every control.

Flows of all assets in the rhythm of the control, with real loads and sun in place of the forecast; energies keep their
bands at the ends of the market periods, as in the forecast. The study that is made can be coordinated like any other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from admmflex.assets.flow import Flow, Store
from admmflex.data.reality import Reality
from admmflex.data.study import Study
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer


@dataclass(frozen=True)
class Known:
    """An asset of which the flow is known as it was."""

    name: str
    past: Flow
    kind: ClassVar[str] = "known"

    def faults(self, horizon: Horizon) -> list[Fault]:
        return []

    def flow(self, horizon: Horizon) -> Flow:
        return self.past


def hindsight(study: Study, reality: Reality, *, merge: int = 1) -> Study:
    """The study in steps of ``merge`` control steps, with what happened.

    Args:
        study: with the forecast; steps of equal length.
        reality: of the prosumers in the order of the study.
        merge: control steps that become one, at mean powers; divides those of a period.
    """
    homes = [one for one in study.prosumers if isinstance(one, Prosumer)]
    devices, per_step = Devices.of(homes, study.horizon), reality.fixed_p.shape[1] // study.horizon.steps // merge
    past = reality.means(merge)
    source = {int(asset): k for k, asset in enumerate(devices.source_asset)}
    horizon = Horizon(study.horizon.start, np.repeat(study.horizon.dt_h / per_step, per_step))
    found, first = [], 0
    for i, home in enumerate(homes):
        flows = [_finer(asset.flow(study.horizon), per_step) for asset in home.assets]
        for j, flow in enumerate(flows):
            own = source.get(first + j)
            known = {"give_max": past.give[own]} if own is not None else {}
            share = {"fixed_p": past.fixed_p[i], "fixed_q": past.fixed_q[i]} if j == 0 else {}
            nothing = np.zeros(horizon.steps)
            flows[j] = replace(flow, **{"fixed_p": nothing, "fixed_q": nothing, **share, **known})
        first += len(flows)
        assets = tuple(Known(asset.name, flow) for asset, flow in zip(home.assets, flows, strict=True))
        bought, sold = np.repeat(home.import_price, per_step), np.repeat(home.export_price, per_step)
        limits = home.import_limit_kw, home.export_limit_kw
        found.append(Prosumer(home.name, home.bus, assets, bought, sold, *limits))
    return replace(study, horizon=horizon, prosumers=tuple(found))


def _finer(flow: Flow, n: int) -> Flow:
    """Every step in n pieces; powers stay, leakage and gain are shared, bands hold at the ends of whole steps."""

    def each(x: Array) -> Array:
        return np.repeat(x, n)

    return Flow(
        each(flow.fixed_p), each(flow.fixed_q), each(flow.give_max), each(flow.take_max), each(flow.give_cost),
        each(flow.take_cost), each(flow.q_max), flow.q_cost, flow.edge_c, flow.edge_s,
        None if flow.store is None else _finer_store(flow.store, n),
        None if flow.give_q is None else each(flow.give_q),
    )  # fmt: skip


def _finer_store(store: Store, n: int) -> Store:
    """keep and gain of a piece are such that n of them leave what the whole step leaves."""
    low, high = np.full(n * len(store.e_min), store.e_min.min()), np.full(n * len(store.e_max), store.e_max.max())
    low[n - 1 :: n], high[n - 1 :: n] = store.e_min, store.e_max
    keep = store.keep ** (1.0 / n)
    steady = store.keep == 1.0
    share = np.where(steady, 1.0 / n, (1.0 - keep) / np.where(steady, 1.0, 1.0 - store.keep))
    gain, eta = np.repeat(store.gain * share, n), (np.repeat(store.eta_take, n), np.repeat(store.eta_give, n))
    return Store(store.e_start, low, high, *eta, np.repeat(keep, n), gain, store.end_value)
