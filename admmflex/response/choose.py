"""Which response answers for which prosumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from admmflex.errors import require
from admmflex.horizon import BoolArray, Horizon
from admmflex.prosumers.band import band_faults
from admmflex.prosumers.fleet import split
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.chain import ChainResponse
from admmflex.response.custom import CustomResponse, CvxpyProsumer
from admmflex.response.population import Population
from admmflex.response.qp import QpResponse
from admmflex.response.signal import Response

AnyProsumer = Prosumer | CvxpyProsumer
SHORTFALL_TOLERANCE = 1e-9  # kWh


def populate(prosumers: Sequence[AnyProsumer], horizon: Horizon, position: Mapping[int, int]) -> Population:
    """The fastest exact response for every prosumer.

    Homes with at most one storage are answered by the exact chain, other compositions of assets by a quadratic
    program, and prosumers written in cvxpy by cvxpy.

    Args:
        position: of every pandapower bus in the prices.

    Raises:
        InputError: storages that cannot stay within their band, cvxpy prosumers that are not convex.
    """
    plain = {i: one for i, one in enumerate(prosumers) if isinstance(one, Prosumer)}
    custom = {i: one for i, one in enumerate(prosumers) if not isinstance(one, Prosumer)}
    groups = split(list(plain.values()), horizon, position, rows=list(plain))
    responses: list[Response] = []
    if groups.chain is not None:
        chain = ChainResponse(groups.chain, horizon.dt_h)
        short = np.flatnonzero(chain.shortfall > SHORTFALL_TOLERANCE)
        failing = [groups.chain.prosumers[i] for i in short]
        require([fault for one in failing for fault in band_faults(program(one, horizon), horizon)])
        responses.append(chain)
    if groups.others:
        others = [plain[i] for i in groups.others]
        buses = np.array([position[one.bus] for one in others])
        responses.append(QpResponse(others, np.array(groups.others), buses, horizon))
    if custom:
        buses = np.array([position[one.bus] for one in custom.values()])
        responses.append(CustomResponse(list(custom.values()), np.array(list(custom)), buses, horizon))
    return Population(responses, len(prosumers), horizon.steps)


def flexible(prosumers: Sequence[AnyProsumer], horizon: Horizon) -> BoolArray:
    """Where a prosumer can move p and q at all, ``(2, n, K)``."""
    able = np.ones((2, len(prosumers), horizon.steps), np.bool_)
    for i, prosumer in enumerate(prosumers):
        if isinstance(prosumer, Prosumer):
            flows = [asset.flow(horizon) for asset in prosumer.assets]
            able[0, i] = np.any([(flow.give_max > 0) | (flow.take_max > 0) for flow in flows], axis=0)
            able[1, i] = np.any([flow.q_max > 0 for flow in flows], axis=0)
    return able
