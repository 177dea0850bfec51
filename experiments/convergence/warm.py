"""A coordination that starts where the one of another forecast left off."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset
from admmflex.assets.pv import Pv
from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.coordinated import Coordinated, Warm
from admmflex.coordination.schemes import Sorted
from admmflex.coordination.settings import AdmmSettings
from admmflex.data.study import Study
from admmflex.dso import Dso


def warmed(day: Study, settings: AdmmSettings, change: float) -> tuple[Coordinated, float]:
    """Coordinate the forecast, then the day from its prices and shares; and the seconds of the second.

    Args:
        change: relative standard deviation between forecast and day, drawn for every load and plant.
    """
    before = _coordinate(forecast(day, change), settings, None)
    started = time.perf_counter()
    return _coordinate(day, settings, before.warm), time.perf_counter() - started


def _coordinate(day: Study, settings: AdmmSettings, warm: Warm | None) -> Coordinated:
    comm = SerialComm()
    ordered = Sorted.of(day, comm)
    dso = Dso(day.network, day.limits, ordered.buses, day.horizon.steps)
    return Admm(ordered.community(day.horizon), dso, comm, settings, warm=warm).run()


def forecast(day: Study, change: float) -> Study:
    """The day with every load and every plant scaled by a factor of its own."""
    rng = np.random.default_rng(day.seed)
    homes = [
        replace(one, assets=tuple(_scaled(asset, 1.0 + change * rng.standard_normal()) for asset in one.assets))
        for one in day.prosumers
    ]
    return replace(day, prosumers=tuple(homes))


def _scaled(asset: Asset, factor: float) -> Asset:
    if isinstance(asset, FixedLoad):
        return replace(asset, p_kw=factor * asset.p_kw, q_kvar=factor * asset.q_kvar)
    if isinstance(asset, Pv):
        return replace(asset, avail_kw=np.minimum(factor * asset.avail_kw, asset.rating_kw))
    return asset
