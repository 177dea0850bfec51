"""The ways of agreeing on a day, behind one signature: a study in, an outcome out."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import grid
from admmflex.comm import Comm, SerialComm, own_prosumers, own_steps
from admmflex.coordination.admm import FIRST_RHO, Admm
from admmflex.coordination.area import Agent
from admmflex.coordination.central import solve_central
from admmflex.coordination.community import Community, Plan
from admmflex.coordination.coordinated import Status
from admmflex.coordination.infeasible import Shortfall
from admmflex.coordination.keeper import Keeper
from admmflex.coordination.penalty import Balancing
from admmflex.coordination.region import Region
from admmflex.coordination.regional import divide, parts
from admmflex.coordination.settings import AdmmSettings, MixingSettings
from admmflex.coordination.trust import Trust
from admmflex.data.spec import CoordinationSpec
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.choose import AnyProsumer
from admmflex.response.signal import COUNTS, WAYS

Observe = Callable[[dict[str, Any]], None]
NEGLIGIBLE = 1e-3  # kWh burnt that are not worth telling


@dataclass(frozen=True)
class Agreed:
    """What all prosumers do, in the order of the study.

    Args:
        y: (2, n, K) powers at the meters [kW, kvar].
        assets: (3, A, K) of all assets in turn: active [kW] and reactive power [kvar], energy [kWh], NaN without store.
        cost: [EUR], of all.
    """

    y: Array
    assets: Array
    cost: float


@dataclass(frozen=True)
class Outcome:
    """What a scheme found.

    Args:
        price: (2, n_bus, K) of every bus of the network [EUR/kWh, EUR/kvarh].
        baseline: what the prosumers do on their own.
        lower_bound: of the cost [EUR], or None.
        message: why, when the status is not "optimal".
        answers: how often every prosumer was asked.
        responses: how prosumers were answered for, as in the summary of a result.
        happened: the study with the loads and the sun that the plan belongs to, where these are not the forecast.
        variables: further ones of a result, by name.
    """

    status: Status
    plan: Agreed
    baseline: Agreed | None
    price: Array
    lower_bound: float | None
    message: str | None
    answers: int
    history: list[dict[str, Any]]
    responses: dict[str, Any] = field(default_factory=dict)
    happened: Study | None = None
    variables: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sorted:
    """The prosumers of a study sorted by bus.

    Args:
        prosumers: all of them, sorted.
        order: (n,) their positions in the study.
        buses: (B,) positions of the prosumer buses in the network.
        bus: (n,) index into ``buses``, ascending.
        own: the share of this rank.
        typical_price: of energy, where the tariffs do not say it [EUR/kWh].
    """

    prosumers: list[AnyProsumer]
    order: IntArray
    buses: IntArray
    bus: IntArray
    own: slice
    typical_price: float | None = None

    @staticmethod
    def of(study: Study, comm: Comm) -> Sorted:
        position = study.network.positions([one.bus for one in study.prosumers])
        order = np.argsort(position, kind="stable")
        buses, bus = np.unique(position[order], return_inverse=True)
        bus = bus.astype(np.int64)
        prosumers = [study.prosumers[i] for i in order]
        typical = None if study.island is None else study.island.typical_price
        return Sorted(prosumers, order, buses, bus, own_prosumers(bus, comm.rank, comm.size), typical)

    def community(self, horizon: Horizon) -> Community:
        """The rank's prosumers, ready to answer."""
        price = self.typical_price
        if price is None:
            price = float(np.mean([np.mean(np.abs(one.import_price)) for one in self.prosumers]))
        flows = [asset.flow(horizon) for one in self.prosumers if isinstance(one, Prosumer) for asset in one.assets]
        dearest = max((float(flow.give_cost.max(initial=0.0)) for flow in flows), default=0.0)
        return Community.of(self.prosumers[self.own], self.bus[self.own], horizon, max(price, 1e-3), dearest)


def admm_settings(spec: CoordinationSpec) -> AdmmSettings:
    """The settings that a scenario asks for."""
    return AdmmSettings(
        rho=spec.rho,
        relaxation=spec.relaxation,
        balancing=Balancing() if spec.balancing else None,
        mixing=MixingSettings() if spec.mixing else None,
        relinearise_every=spec.relinearise_every,
        max_iterations=spec.max_iterations,
        cost_tolerance=spec.cost_tolerance,
        voltage_tolerance=spec.voltage_tolerance_pu,
        loading_tolerance=spec.loading_tolerance_percent / 100.0,
        certify=spec.certify,
    )


def by_prices(
    study: Study, comm: Comm, observe: Observe, settings: AdmmSettings | None = None, keeper: Keeper | None = None
) -> Outcome:
    """Price coordination by ADMM; prosumers and steps are shared among the ranks.

    Areas behind a common trunk whose limits do not bind are coordinated side by side; ranks share the areas. Of these
    no checkpoints are kept.
    """
    started = time.perf_counter()

    def timed(record: dict[str, Any]) -> None:
        record["elapsed_s"] = time.perf_counter() - started
        observe(record)

    ordered, chosen = Sorted.of(study, comm), settings or admm_settings(study.settings)
    going_on = keeper is not None and keeper.head is not None
    division = divide(study) if chosen.mixing is not None and not going_on else None
    by_areas = None if division is None else _by_areas(study, division, ordered, comm, timed, chosen)
    if by_areas is not None:
        return by_areas
    community = ordered.community(study.horizon)
    steps = own_steps(study.horizon.steps, comm.rank, comm.size)
    threat = None if study.threat is None else study.threat.within(steps)
    dso = Dso(study.network, study.limits.at(steps), ordered.buses, steps.stop - steps.start, threat)
    admm = Admm(community, dso, comm, chosen, timed, keeper=keeper)
    found, silent = admm.run(), _silent([admm.exchange.trust], comm)
    message = None
    if found.shortfall is not None:
        message = found.shortfall.describe(study.limits, study.horizon.label(found.shortfall.step)) + _but(silent)
    elif found.status == "not_converged":
        message = _unfinished(found.rounds, found.plan.excess)
    price = np.zeros((2, study.network.n, study.horizon.steps))
    price[:, ordered.buses] = found.price
    return Outcome(
        found.status,
        _collect(found.plan, community, ordered, comm),
        _collect(found.baseline, community, ordered, comm) if found.baseline is not None else None,
        price,
        found.lower_bound,
        message,
        found.answers,
        found.history,
        _responses([community], comm, found.fallbacks) | silent,
    )


def _by_areas(
    study: Study, division: grid.Division, ordered: Sorted, comm: Comm, observe: Observe, settings: AdmmSettings
) -> Outcome | None:
    """The same for a region: areas coordinate side by side; None where a limit of the trunk binds."""
    mine = parts(study, division, ordered.prosumers, ordered.buses[ordered.bus], comm)
    found = Region(mine.members, mine.trunk, comm, settings, observe).run()
    if found is None:
        return None
    message = None
    if found.status == "infeasible":
        known = [] if found.shortfall is None else [_short_of(study, *found.shortfall)]
        message = _said(known, comm)[0] + _but(_silent([one.admm.exchange.trust for one in found.agents], comm))
    elif found.status == "not_converged":
        message = _unfinished(found.rounds, found.excess)
    agents, ordered = found.agents, replace(ordered, own=mine.own)
    price = np.zeros((2, study.network.n, study.horizon.steps))
    own = [one.price.transpose(1, 0, 2).reshape(len(one.member.buses), -1) for one in agents]
    everywhere = comm.stack(np.concatenate([np.zeros((0, 2 * study.horizon.steps)), *own]))
    price[:, ordered.buses] = everywhere.reshape(len(everywhere), 2, -1).transpose(1, 0, 2)
    plan, baseline = (
        _gather([(getattr(one, name), one.member.community) for one in agents], ordered, comm, study.horizon.steps)
        for name in ("plan", "baseline")
    )
    answers = found.asked // max(len(ordered.prosumers), 1)
    silent = _silent([one.admm.exchange.trust for one in agents], comm)
    ways = _responses([one.member.community for one in agents], comm) | silent
    return Outcome(found.status, plan, baseline, price, found.lower_bound, message, answers, found.history, ways)


def _short_of(study: Study, agent: Agent, short: Shortfall) -> str:
    return short.describe(agent.member.limits, study.horizon.label(short.step))


def _said(own: Sequence[str], comm: Comm) -> list[str]:
    """The lines of all ranks."""
    text = np.frombuffer("".join(f"{line}\n" for line in own).encode(), np.uint8)
    return bytes(comm.stack(text.astype(float).reshape(-1, 1)).astype(np.uint8)).decode().splitlines()


def _unfinished(rounds: int, excess: Array) -> str:
    volts, load, *slack = excess
    by = [f"{volts:.2g} pu", f"{100 * load:.2g} %", *(f"{100 * one:.2g} % of the load" for one in slack)]
    return f"{rounds} rounds used up; the best plan exceeds the limits by {', '.join(by)}"


def on_their_own(study: Study, comm: Comm, observe: Observe) -> Outcome:
    """No coordination: every prosumer takes its own optimum, whatever that does to the grid."""
    ordered = Sorted.of(study, comm)
    community = ordered.community(study.horizon)
    alone = _alone(community, ordered, comm)
    price = np.zeros((2, study.network.n, study.horizon.steps))
    return Outcome("optimal", alone, alone, price, None, None, 1, [], _responses([community], comm))


def by_one_problem(study: Study, comm: Comm, observe: Observe) -> Outcome:
    """The whole problem solved at once; every rank solves it, for comparison only."""
    serial = SerialComm()
    ordered = Sorted.of(study, serial)
    found = solve_central(study.network, study.limits, study.prosumers, study.horizon, threat=study.threat)
    plans = _stacked([plan for owner in found.plans for plan in owner], study.horizon.steps)
    message = None
    if found.status != "optimal":
        named = [f"{row.label} at {study.horizon.label(row.step)}" for row in found.rows[:3]]
        message = "; ".join(named) or f"no plan after {found.relinearisations} relinearisations"
    return Outcome(
        found.status,
        Agreed(found.y, plans, found.cost),
        _alone(ordered.community(study.horizon), ordered, serial),
        found.price,
        None,
        message,
        0,
        [],
    )


def _alone(community: Community, ordered: Sorted, comm: Comm) -> Agreed:
    """The answers at no price, spread a little, as in the first round of ADMM."""
    population = community.population
    nothing = np.zeros((2, len(ordered.buses), len(community.dt_h)))
    y = population.answer(nothing, np.zeros_like(population.y), FIRST_RHO).copy()
    plan = Plan(y, population.state(), 0.0, np.zeros(2))
    return _collect(plan, community, ordered, comm)


def _responses(communities: Sequence[Community], comm: Comm, fallbacks: int = 0) -> dict[str, Any]:
    """How many prosumers of all ranks each way answers for, and what is worth telling of the answers.

    ``fallbacks``: of this rank, on top of those of its answers.
    """
    own = np.zeros(len(WAYS) + len(COUNTS))
    for one in communities:
        ways, counts = one.population.ways(), one.population.counts()
        own += [*(float(ways.get(way, 0)) for way in WAYS), *(counts[name] for name in COUNTS)]
    own[len(WAYS) + COUNTS.index("fallbacks")] += fallbacks
    total = dict(zip((*WAYS, *COUNTS), comm.sum(own).tolist(), strict=True))
    found: dict[str, Any] = {"ways": {way: int(total[way]) for way in WAYS if total[way]}}
    found |= {name: int(total[name]) for name in ("fallbacks", "coupled_homes") if total[name]}
    return found | ({"burnt_kwh": total["burnt_kwh"]} if total["burnt_kwh"] > NEGLIGIBLE else {})


def _silent(trusts: Sequence[Trust], comm: Comm) -> dict[str, Any]:
    """Answers of all ranks that were missing, and who is held to the last plan, for the summary; nothing by default."""
    missed = int(comm.sum(np.array([float(sum(one.missed for one in trusts))]))[0])
    if not missed:
        return {}
    lines = [
        json.dumps({"prosumer": one.name(i), "why": one.why[i], "questions": int(one.misses[i])})
        for one in trusts
        for i in np.flatnonzero(one.held).tolist()
    ]
    return {"missed_answers": missed, "silent": [json.loads(line) for line in _said(lines, comm)]}


def _but(silent: dict[str, Any]) -> str:
    """What a day that cannot be met has to be read with."""
    names = ", ".join(one["prosumer"] for one in silent.get("silent", [])[:3])
    return f"; no answer from {names}, held to the plan told last" if names else ""


def _collect(plan: Plan, community: Community, ordered: Sorted, comm: Comm) -> Agreed:
    """Put the ranks' plans together, in the order of the study, at what they really cost."""
    return _gather([(plan, community)], ordered, comm, len(community.dt_h))


def _gather(plans: Sequence[tuple[Plan, Community]], ordered: Sorted, comm: Comm, steps: int) -> Agreed:
    """The same for plans of several communities that follow each other."""
    owned, costs = [], [np.zeros(0)]
    for plan, community in plans:
        population = community.population
        owned += population.plans(plan.states)
        costs.append(population.evaluate_cost(plan.y, plan.states))
    assets = _stacked([one for owner in owned for one in owner], steps)
    by_bus = np.bincount(ordered.bus[ordered.own], np.concatenate(costs), len(ordered.buses)).astype(np.float64)
    y = np.concatenate([np.zeros((2, 0, steps)), *(plan.y for plan, _ in plans)], axis=1)
    return gathered(y, assets, [len(owner) for owner in owned], float(comm.sum(by_bus).sum()), ordered, comm)


def gathered(y: Array, assets: Array, counts: Sequence[int], cost: float, ordered: Sorted, comm: Comm) -> Agreed:
    """The plans of all ranks in the order of the study.

    Args:
        y, assets: (2, n, K), (3, A, K) of this rank, see ``Agreed``.
        counts: (n,) assets of each of its prosumers.
        cost: of all ranks.
    """
    powers = np.empty((2, len(ordered.order), y.shape[2]))
    powers[:, ordered.order] = [comm.stack(np.ascontiguousarray(part)) for part in y]
    every = np.stack([comm.stack(np.ascontiguousarray(part)) for part in assets])
    own = np.array(counts, np.float64).reshape(-1, 1)
    return Agreed(powers, every[:, _back(ordered.order, comm.stack(own)[:, 0].astype(int))], cost)


def _stacked(plans: Sequence[Any], steps: int) -> Array:
    """Asset plans as ``(3, A, K)``."""
    assets = np.full((3, len(plans), steps), np.nan)
    for row, plan in enumerate(plans):
        assets[0, row], assets[1, row] = plan.p, plan.q
        if plan.energy is not None:
            assets[2, row] = plan.energy
    return assets


def _back(order: IntArray, counts: IntArray) -> IntArray:
    """Where the assets of prosumers in the order of the study stand among the assets sorted by bus."""
    first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    where = np.argsort(order)
    ranges = [np.arange(first[i], first[i] + counts[i]) for i in where]
    return np.concatenate(ranges) if ranges else np.zeros(0, np.int64)
