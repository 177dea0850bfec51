"""The same study with other flows: fewer steps, other costs, other capabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from admmflex.assets import Asset, Battery, Flow, SheddableLoad
from admmflex.data.study import Study
from admmflex.errors import Fault, require
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.hindsight import Known

Change = Callable[[Asset, Flow], Flow]


def variant(study: Study, change: Change, steps: int | None = None, *, empty: bool = False) -> Study:
    """The study with ``change(asset, flow)`` in place of every flow, through the first ``steps`` steps.

    Args:
        empty: batteries may be empty at the end, whatever they are to hold there.

    Raises:
        InputError: prosumers written in cvxpy, which have no flows.
    """
    kept = study.horizon.steps if steps is None else steps
    horizon = Horizon(study.horizon.start, study.horizon.dt_h[:kept])
    require(
        [
            Fault(f"prosumer {one.name!r}", "written in cvxpy", "assets", "describe it by assets")
            for one in study.prosumers
            if not isinstance(one, Prosumer)
        ]
    )
    found = []
    for one in study.prosumers:
        flows = [
            change(asset, (_unbound(asset) if empty else asset).flow(study.horizon).at(slice(kept)))
            for asset in one.assets
        ]
        assets = tuple(Known(asset.name, flow) for asset, flow in zip(one.assets, flows, strict=True))
        buys, sells = one.import_price[:kept], one.export_price[:kept]
        found.append(replace(one, assets=assets, import_price=buys, export_price=sells))
    return replace(study, horizon=horizon, prosumers=tuple(found), limits=study.limits.at(slice(kept)))


def priced(flow: Flow, price: Array) -> Flow:
    """The flow at this price of what it gives ``(K,)``, and nothing else costs or earns."""
    store = None if flow.store is None else replace(flow.store, end_value=0.0)
    return replace(flow, give_cost=price, take_cost=0.0 * price, q_cost=0.0, store=store)


def weighted(weight: Array) -> Change:
    """Costs of every step times its weight ``(K,)``; reactive energy and what is stored at the end keep their worth."""

    def change(asset: Asset, flow: Flow) -> Flow:
        part = weight[: len(flow.give_cost)]
        return replace(flow, give_cost=part * flow.give_cost, take_cost=part * flow.take_cost)

    return change


def expected(study: Study) -> Study:
    """The study at expected costs, where nobody knows how long the outage lasts; itself elsewhere."""
    return study if study.lasting is None else variant(study, weighted(study.lasting))


def is_critical(asset: Asset) -> bool:
    return isinstance(asset, SheddableLoad) and asset.priority == "critical"


def _unbound(asset: Asset) -> Asset:
    return replace(asset, e_end_min_kwh=asset.e_min_kwh) if isinstance(asset, Battery) else asset
