"""A day as it happens under price coordination: a new plan every period, and a faster loop on what is measured.

At the beginning of every market period homes and grid agree on the next day, from the latest forecast and
the energies that are measured. Prices, shares, penalty and working set of the plan before, moved on by one step, are
where the next one begins. In every control step they agree on that step alone, from what is measured, with stored
energy at what it is worth within the plan; again from where the step before left off. Homes keep their devices at what
they agreed on until the next step; where the grid is nearly full, plants hold back what comes on top of that.

Source: section 2 of the formulation, receding horizon and real time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import grid
from admmflex.comm import Comm, SerialComm, own_steps
from admmflex.coordination.admm import Admm
from admmflex.coordination.community import Community, Plan
from admmflex.coordination.coordinated import Coordinated, Warm
from admmflex.coordination.schemes import Sorted
from admmflex.coordination.settings import AdmmSettings, MixingSettings
from admmflex.data.reality import Deviations, Reality, realise
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.dso.room import full_feeders
from admmflex.errors import Fault, require
from admmflex.horizon import BoolArray, Horizon
from admmflex.prosumers.charting import Actions, Measured
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.choose import abilities, populate
from admmflex.studies.day import Day, Homes, Record, Step
from admmflex.studies.known import KnownHomes
from admmflex.studies.planned_value import PlannedValue
from admmflex.studies.plant import Plant
from grid.limits import Limits

SCALE = 0.05  # of what all devices could cost: what movements of the cost are compared with, at least
FULL = 2e-3  # of what a source could give: with less than that held back it is not curtailed


def _plan_settings() -> AdmmSettings:
    return AdmmSettings(mixing=MixingSettings(every=2), certify=False)


def _step_settings() -> AdmmSettings:
    return AdmmSettings(mixing=MixingSettings(first=2, every=1), certify=False, max_iterations=30)


@dataclass(frozen=True)
class RecedingSettings:
    """How a day is followed by prices.

    Args:
        control_h: [h] length of a control step.
        even: [EUR/kWh per kW] as in ``stored_value``: decides between times that are nearly equal.
        persistence: weight of the measurement against the forecast for the rest of the period, in [0, 1].
        hold: [EUR/kWh per kWh] as in ``PlannedValue``.
        lookahead_h: [h] that a plan is for, as far as the horizon goes.
        warm: begin plans where the one before left off; otherwise every plan begins anew.
        plan, step: of the coordination of what is ahead, and of a control step.
    """

    control_h: float = 1 / 60
    even: float = 2e-4
    persistence: float = 0.5
    hold: float = 0.03
    lookahead_h: float = 24.0
    warm: bool = True
    plan: AdmmSettings = field(default_factory=_plan_settings)
    step: AdmmSettings = field(default_factory=_step_settings)


def simulate_prices(
    study: Study,
    comm: Comm | None = None,
    settings: RecedingSettings | None = None,
    *,
    seed: int = 0,
    deviations: Deviations | None = None,
    reality: Reality | None = None,
    observe: Callable[[dict[str, Any]], None] | None = None,
) -> Day:
    """Control a horizon by prices.

    Args:
        study: its profiles are the forecast; steps of equal length are market periods.
        seed, deviations: of what happens instead.
        reality: what happens to the prosumers in the order of the study, where it is not to be drawn.
        observe: told after every period.

    Raises:
        InputError: compromised devices, limits of what is drawn at the slack, an island.
    """
    control = PriceControl(study, comm or SerialComm(), settings)
    dt_h, devices = control.settings.control_h, control.homes.devices
    per_step = round(float(study.horizon.dt_h[0]) / dt_h)
    everybody = Devices.of([one for one in study.prosumers if isinstance(one, Prosumer)], study.horizon)
    happens = reality or realise(everybody, per_step, seed, deviations)
    plant = Plant(devices, happens.of(everybody, control.ordered.order[control.ordered.own]), dt_h)
    record = Record(control.homes, dt_h, study.horizon.steps * per_step)
    for step in range(study.horizon.steps):
        planned = control.begin(step, plant.measured(step * per_step))
        for s in range(per_step):
            t = step * per_step + s
            seen = plant.measured(t)
            told, actions = control.step(seen, (per_step - 1 - s) * dt_h)
            record.add(t, step, told, plant.follow(t, step, seen, actions))
            record.meter(t, actions, seen, plant.measured(t + 1))
        record.day.plans.append(planned)
        told_of = record.check(slice(step * per_step, (step + 1) * per_step))
        if observe is not None:
            observe({"iteration": step + 1} | told_of)
    return record.day


class PriceControl:
    """Homes and the grid, through the periods of a horizon.

    Args:
        study: steps of equal length are market periods.
        comm: ranks that own homes.

    Raises:
        InputError: see ``simulate_prices``.
    """

    def __init__(self, study: Study, comm: Comm, settings: RecedingSettings | None = None) -> None:
        require(_faults(study))
        self.settings, self.study, self.comm = settings or RecedingSettings(), study, comm
        self.ordered = Sorted.of(study, comm)
        own, self.homes = Homes.of(self.ordered, study, comm)
        self.known = KnownHomes(own, self.homes.devices, study.horizon)
        self.value = PlannedValue(self.known, self.settings.even, self.settings.hold)
        self._plans = _Talk(self.ordered, study, comm)
        self._steps = _Talk(self.ordered, study, comm)
        self.lookahead = max(1, round(self.settings.lookahead_h / float(study.horizon.dt_h[0])))
        self.period = -1

    def begin(self, period: int, seen: Measured) -> dict[str, Any]:
        """Go on to a period: plan what is ahead."""
        started = time.perf_counter()
        steps = slice(period, min(period + self.lookahead, self.study.horizon.steps))
        prosumers, horizon = self.known.rest(steps, seen, self.settings.persistence)
        passed = period - self.period if self.settings.warm and self.period >= 0 else None
        settings = replace(self.settings.plan, cost_scale=SCALE * self._turnover(horizon))
        found, community = self._plans.agree(prosumers, horizon, self.study.limits.at(steps), settings, passed)
        plans = _of_assets(found.plan, community)
        stored = [plans[asset] for asset in self.homes.devices.storage_asset]
        energy = np.array([one.energy[0] for one in stored if one.energy is not None])
        power = np.reshape([one.p for one in stored], (len(stored), horizon.steps))
        self.value.begin(period, found.price[0, community.bus], power, np.stack([seen.energy, energy]))
        self.period = period
        return {
            "status": found.status,
            "cost_eur": found.plan.cost,
            "rounds": found.rounds,
            "answers": found.answers,
            "seconds": time.perf_counter() - started,
        }

    def step(self, seen: Measured, tau: float) -> tuple[Step, Actions]:
        """One control step, tau [h] before the end of the period without it."""
        started = time.perf_counter()
        dt_h, known = self.settings.control_h, self.known
        margin = self.value.margin(seen, tau, dt_h, self.settings.persistence)
        prosumers = known.step(self.period, seen, dt_h, margin)
        now = slice(self.period, self.period + 1)
        horizon = Horizon(self.known.later(now).start, np.array([dt_h]))
        settings = replace(self.settings.step, cost_scale=SCALE * self._turnover(horizon))
        made = time.perf_counter()
        found, community = self._steps.agree(prosumers, horizon, self.study.limits.at(now), settings, 0)
        actions = self._actions(seen, _of_assets(found.plan, community))
        actions = replace(actions, firm=self._firm(found.plan, community))
        price = np.zeros((2, self.study.network.n))
        price[:, self.ordered.buses] = found.price[:, :, 0]
        seconds = made - started, time.perf_counter() - made
        return Step(price, found.status, seconds, rounds=found.rounds, answers=found.answers), actions

    def _firm(self, plan: Plan, community: Community) -> BoolArray:
        """(n,) homes of the rank where the grid has no room for more than was agreed."""
        network, buses = self.study.network, self.ordered.buses
        injected = np.zeros((2, network.n, 1))
        for c in range(2):
            injected[c, buses, 0] = self.comm.sum(community.by_bus(plan.y[c, :, 0], len(buses)))
        flow = grid.power_flow(network, *injected)
        return full_feeders(self.study.limits, injected[0, :, 0], flow.v[:, 0])[buses[community.bus]]

    def _turnover(self, horizon: Horizon) -> float:
        """[EUR] what all devices could cost in a horizon."""
        devices = self.homes.devices
        able = np.abs(devices.fixed_p).mean(axis=1)
        np.add.at(able, devices.source_home, devices.source_give.mean(axis=1))
        np.add.at(able, devices.storage_home, devices.give.mean(axis=1))
        own = float(able @ self.homes.import_price.mean(axis=1)) * float(horizon.dt_h.sum())
        return float(self.comm.sum(np.array([own]))[0])

    def _actions(self, seen: Measured, plans: list[AssetPlan]) -> Actions:
        """Powers of sources and storages; sources that hold next to nothing back are free to give what they can."""
        p, q = np.array([one.p[0] for one in plans]), np.array([one.q[0] for one in plans])
        source, storage = self.known.source_place, self.known.storage_place
        source_p = np.clip(p[source], 0.0, seen.give)
        source_p = np.where(source_p >= (1.0 - FULL) * seen.give, seen.give, source_p)
        return Actions(source_p, q[source], p[storage], q[storage], np.zeros(self.homes.devices.homes))


def _faults(study: Study) -> list[Fault]:
    """What no control step could keep: what happens differs from every plan, at the slack and at suspected devices."""
    refused = (
        (
            study.suspects is not None or study.threat is not None,
            "compromised devices",
            "remove the section compromised",
        ),
        (
            study.limits.connection is not None,
            "limits of what is drawn at the slack",
            "remove limits.connection, or island",
        ),
    )
    what = "plans that follow what is measured"
    return [Fault(what, given, "a study without them", remedy) for bad, given, remedy in refused if bad]


class _Talk:
    """Coordinations that follow each other: each begins where the one before left off."""

    def __init__(self, ordered: Sorted, study: Study, comm: Comm) -> None:
        self.ordered, self.study, self.comm = ordered, study, comm
        self.position = {one.bus: int(b) for one, b in zip(ordered.prosumers, ordered.bus, strict=True)}
        self.price_scale = max(float(np.mean([np.mean(np.abs(one.import_price)) for one in ordered.prosumers])), 1e-3)
        self.warm: Warm | None = None
        self.dso: Dso | None = None

    def agree(
        self, own: list[Prosumer], horizon: Horizon, limits: Limits, settings: AdmmSettings, passed: int | None
    ) -> tuple[Coordinated, Community]:
        """Coordinate the rank's prosumers over a horizon, ``passed`` steps after the last one; None to begin anew."""
        able = abilities(own, horizon)
        community = Community(
            population=populate(own, horizon, self.position),
            bus=self.ordered.bus[self.ordered.own],
            flexible=able.flexible,
            dt_h=horizon.dt_h,
            price_scale=self.price_scale,
            reach=able.reach,
            names=tuple(one.name for one in own),
        )
        comm, steps = self.comm.over(horizon.steps), own_steps(horizon.steps, self.comm.rank, self.comm.size)
        self.warm = self._moved(passed, horizon.steps)
        self.dso = self._grid(passed or 0, horizon.steps, limits.at(steps), steps.stop - steps.start)
        found = Admm(community, self.dso, comm, settings, warm=self.warm).run()
        self.warm = found.warm
        return found, community

    def _grid(self, passed: int, length: int, limits: Limits, own: int) -> Dso:
        """The working set where the last coordination left it, as long as its steps stay with their ranks."""
        if self.dso is not None and self.warm is not None:
            if passed == 0 and self.dso.limits is limits:
                return self.dso
            if self.comm.size == 1:
                return self.dso.later(passed, length, limits)
        return Dso(self.study.network, limits, self.ordered.buses, own)

    def _moved(self, passed: int | None, length: int) -> Warm | None:
        """Where the last coordination left off; see ``Dso.later`` for the steps that join."""
        if self.warm is None or passed is None:
            return None
        price, z = (np.roll(x, -passed, axis=2)[:, :, :length].copy() for x in (self.warm.price, self.warm.z))
        return Warm(price, z, self.warm.rho)


def _of_assets(plan: Plan, community: Community) -> list[AssetPlan]:
    """What all assets of the rank in turn do."""
    return [one for owner in community.population.plans(plan.states) for one in owner]
