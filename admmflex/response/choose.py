"""Which response answers for which prosumer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from admmflex.assets.flow import Flow
from admmflex.errors import require
from admmflex.horizon import Array, BoolArray, Horizon
from admmflex.prosumers.band import band_faults
from admmflex.prosumers.connection import connection_faults
from admmflex.prosumers.fleet import split
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.roles import follows
from admmflex.prosumers.shedders import shedders, sheds_only
from admmflex.response.chain import ChainResponse
from admmflex.response.custom import CustomResponse, CvxpyProsumer
from admmflex.response.home import HomeResponse
from admmflex.response.population import Population
from admmflex.response.qp import QpResponse
from admmflex.response.shedding import SheddingResponse
from admmflex.response.signal import Response

AnyProsumer = Prosumer | CvxpyProsumer
LARGEST_KW = 1e5  # no customer of a distribution grid moves more
SLACK_KW, SLACK = 1e-2, 1e-3  # by which powers may leave what devices allow


def populate(prosumers: Sequence[AnyProsumer], horizon: Horizon, position: Mapping[int, int]) -> Population:
    """The fastest exact response for every prosumer.

    Consumers that can only shed have a closed form; homes with at most one storage are answered by the exact chain;
    homes with more, with a priced generator or with a connection that can bind by a batched interior point; other
    compositions of assets by a quadratic program, and prosumers written in cvxpy by cvxpy.

    Args:
        position: of every pandapower bus in the prices.

    Raises:
        InputError: storages that cannot stay within their band, connections that are too weak, cvxpy prosumers that
            are not convex.
    """
    plain = {i: one for i, one in enumerate(prosumers) if isinstance(one, Prosumer)}
    custom = {i: one for i, one in enumerate(prosumers) if not isinstance(one, Prosumer)}
    require([fault for one in plain.values() for fault in connection_faults(one, horizon)])
    flows = {i: [asset.flow(horizon) for asset in one.assets] for i, one in plain.items()}
    shedding = [i for i, one in plain.items() if sheds_only(one, flows[i])]
    rest = [i for i in plain if i not in set(shedding)]
    groups = split([plain[i] for i in rest], horizon, position, rows=rest)
    responses: list[Response] = []
    consumers = shedders([plain[i] for i in shedding], shedding, [position[plain[i].bus] for i in shedding], horizon)
    if consumers is not None:
        responses.append(SheddingResponse(consumers, horizon))
    if groups.chain is not None:
        chain = ChainResponse(groups.chain, horizon.dt_h)
        _require_bands(chain.shortfall, groups.chain.prosumers, horizon)
        responses.append(chain)
    if groups.homes is not None:
        homes = HomeResponse(groups.homes)
        _require_bands(homes.shortfall, groups.homes.prosumers, horizon)
        responses.append(homes)
    if groups.others:
        others = [plain[i] for i in groups.others]
        buses = np.array([position[one.bus] for one in others])
        responses.append(QpResponse(others, np.array(groups.others), buses, horizon))
    if custom:
        buses = np.array([position[one.bus] for one in custom.values()])
        responses.append(CustomResponse(list(custom.values()), np.array(list(custom)), buses, horizon))
    return Population(responses, len(prosumers), horizon.steps)


def _require_bands(shortfall: Array, prosumers: Sequence[Prosumer], horizon: Horizon) -> None:
    failing = [one for one, short in zip(prosumers, shortfall, strict=True) if short > 0.0]
    require([fault for one in failing for fault in band_faults(program(one, horizon), horizon)])


@dataclass(frozen=True)
class Abilities:
    """What prosumers can do with their powers.

    Args:
        flexible: (2, n, K) where they can move p and q at all.
        reach: (2, 2, n) least and most p and q of all steps [kW, kvar], a little more than their devices allow.
    """

    flexible: BoolArray
    reach: Array


def abilities(prosumers: Sequence[AnyProsumer], horizon: Horizon) -> Abilities:
    """What is known of every prosumer; one written in cvxpy may do anything that a grid can notice."""
    able = np.ones((2, len(prosumers), horizon.steps), np.bool_)
    owner: list[int] = []
    every: list[Flow] = []
    for i, prosumer in enumerate(prosumers):
        if isinstance(prosumer, Prosumer):
            flows = [asset.flow(horizon) for asset in prosumer.assets]
            able[0, i] = np.any([(flow.give_max > 0) | (flow.take_max > 0) for flow in flows], axis=0)
            able[1, i] = np.any([(flow.q_max > 0) | follows(flow) for flow in flows], axis=0)
            owner += [i] * len(flows)
            every += flows
    reach = _reach(every, owner, len(prosumers), horizon.steps)
    written = [i for i, one in enumerate(prosumers) if not isinstance(one, Prosumer)]
    reach[0][:, written], reach[1][:, written] = -LARGEST_KW, LARGEST_KW
    return Abilities(able, reach)


def _reach(flows: Sequence[Flow], owner: Sequence[int], n: int, steps: int) -> Array:
    """(2, 2, n) least and most p and q of any step; the edges of reactive power are left out."""

    def total(rows: Sequence[Array]) -> Array:
        found = np.zeros((n, steps))
        np.add.at(found, owner, np.reshape(rows, (len(flows), steps)))
        return found

    p, q = total([flow.fixed_p for flow in flows]), total([flow.fixed_q for flow in flows])
    up, down = total([flow.give_max for flow in flows]), total([flow.take_max for flow in flows])
    with_p = [0.0 if flow.give_q is None else np.abs(flow.give_q) * flow.give_max for flow in flows]
    u = total([flow.q_max + more for flow, more in zip(flows, with_p, strict=True)])
    found = np.array([[(p - down).min(axis=1), (q - u).min(axis=1)], [(p + up).max(axis=1), (q + u).max(axis=1)]])
    slack = SLACK_KW + SLACK * np.abs(found).max(axis=0)
    return np.asarray(found + np.stack([-slack, slack]))
