"""Which response answers for which prosumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from admmflex.horizon import BoolArray, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.chain import ChainResponse
from admmflex.response.custom import CustomResponse, CvxpyProsumer
from admmflex.response.population import Population
from admmflex.response.qp import QpResponse
from admmflex.response.signal import Response

AnyProsumer = Prosumer | CvxpyProsumer


def populate(prosumers: Sequence[AnyProsumer], horizon: Horizon, position: Mapping[int, int]) -> Population:
    """The fastest exact response for every prosumer.

    Homes with at most one storage go to the exact chain, other compositions of assets to a quadratic program, prosumers written
    in cvxpy to cvxpy.

    Args:
        position: of every pandapower bus in the prices.
    """
    own = [i for i, prosumer in enumerate(prosumers) if isinstance(prosumer, CvxpyProsumer)]
    plain = [i for i, prosumer in enumerate(prosumers) if isinstance(prosumer, Prosumer)]
    groups = split([prosumers[i] for i in plain], horizon, position, rows=plain)
    responses: list[Response] = []
    if groups.chain is not None:
        responses.append(ChainResponse(groups.chain, horizon.dt_h))
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
