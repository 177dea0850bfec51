"""Two objectives of an island, and the schedule that each gives.

longest    all critical load for as long as any plan can, then the least expected cost
expected   least expected cost:  sum_t w_t (cost in step t),  w_t = Pr(the outage still lasts in step t)

One schedule has to do for all lengths of the outage; one for each length would foresee the end.

Source: section 2 of the formulation (islanded operation), [G].
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from admmflex.assets import Asset, Flow, SheddableLoad
from admmflex.comm import SerialComm
from admmflex.coordination.central import CentralSettings, solve_central
from admmflex.coordination.coordinated import Status
from admmflex.coordination.schemes import by_prices
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.studies.survival import SERVED, SMALL, Survival, survive
from admmflex.studies.variants import Change, is_critical, variant, weighted

_CLOSE = CentralSettings(violation=SERVED, cost_change=1e-4)
INSIST = 20.0  # times the value of critical load that some plan serves


@dataclass(frozen=True)
class Schedule:
    """A plan for the horizon of an island, and how it does by both measures.

    Args:
        status: of the solver.
        asset_p_kw: (A, K) of all assets in turn.
        shed: (2, K) normal and critical load [kW] that is shed.
        load: (2, K) normal and critical load [kW].
        survival_h: how long all critical load is served.
        expected_kwh: (2,) load not served that is expected, by class.
        expected_eur: cost that is expected, values of lost load included.
    """

    status: Status
    asset_p_kw: Array
    shed: Array
    load: Array
    survival_h: float
    expected_kwh: Array
    expected_eur: float


@dataclass(frozen=True)
class Objectives:
    """Both schedules, and what ends the longest survival."""

    survival: Survival
    longest: Schedule
    expected: Schedule


def both(study: Study, survival: Survival | None = None) -> Objectives:
    """The schedules of both objectives, by prices or as one problem as the study says.

    What a battery is to hold at the end of the horizon is not asked of it.

    Args:
        survival: when it is known already.

    Raises:
        InputError: no critical loads; prosumers without assets.
    """
    found = survive(study) if survival is None else survival
    weight = np.ones(study.horizon.steps) if study.lasting is None else study.lasting
    return Objectives(found, _schedule(study, weight, found.steps), _schedule(study, weight, 0))


def _schedule(study: Study, weight: Array, served: int) -> Schedule:
    """The least expected cost with critical load served in the first steps."""
    status, powers = _solve(variant(study, _insisting(weight, served), empty=True))
    assets = [asset for one in study.prosumers for asset in one.assets]
    shed, load = np.zeros((2, len(weight))), np.zeros((2, len(weight)))
    cost = 0.0
    for asset, own_p in zip(assets, powers, strict=True):
        cost += _cost(asset.flow(study.horizon), own_p, weight * study.horizon.dt_h)
        if isinstance(asset, SheddableLoad):
            row = int(is_critical(asset))
            shed[row] += asset.p_kw + own_p
            load[row] += asset.p_kw
    lacking = np.flatnonzero(shed[1] > SERVED * load[1])
    steps = int(lacking[0]) if len(lacking) else len(weight)
    survived = float(study.horizon.dt_h[:steps].sum())
    return Schedule(status, powers, shed, load, survived, shed @ (weight * study.horizon.dt_h), cost)


def _solve(study: Study) -> tuple[Status, Array]:
    """Status and powers (A, K) of all assets in turn."""
    if study.settings.method != "central":
        outcome = by_prices(study, SerialComm(), lambda record: None)
        return outcome.status, outcome.plan.assets[0]
    found = solve_central(study.network, study.limits, study.prosumers, study.horizon, _CLOSE)
    return found.status, np.array([plan.p for own in found.plans for plan in own])


def _cost(flow: Flow, p: Array, weighted_h: Array) -> float:
    """Expected cost [EUR] of what an asset does; reactive energy aside, which costs next to nothing."""
    moved = p - flow.fixed_p
    each = flow.give_cost * np.maximum(moved, 0.0) + flow.take_cost * np.maximum(-moved, 0.0)
    return float(each @ weighted_h)


def _insisting(weight: Array, served: int) -> Change:
    """Expected costs; critical load of the first steps is worth far more, and no reactive energy is quite for free."""
    change = weighted(weight)

    def insisting(asset: Asset, flow: Flow) -> Flow:
        found = replace(change(asset, flow), q_cost=max(flow.q_cost, SMALL))
        if not is_critical(asset):
            return found
        first = np.arange(len(weight)) < served
        return replace(found, give_cost=np.where(first, INSIST * flow.give_cost, found.give_cost))

    return insisting
