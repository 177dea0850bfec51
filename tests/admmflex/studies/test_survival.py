"""Survival of the five-bus island against every duration tried, and against a mixed-integer program of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import Bounds, LinearConstraint, milp

import grid
from admmflex import scenario
from admmflex.assets import Battery, Generator, Pv, SheddableLoad
from admmflex.coordination.central import solve_central
from admmflex.data import study as data
from admmflex.data.study import Study
from admmflex.errors import InputError
from admmflex.horizon import Array
from admmflex.studies.objectives import both
from admmflex.studies.survival import SERVED, survive
from admmflex.studies.variants import is_critical, variant

FIVE = Path(__file__).parents[3] / "experiments" / "islanded" / "five.yaml"
LOSS_POINTS = 6


@cache
def island(critical: float) -> Study:
    """The evening of the scenario file with a share of critical load."""
    source = scenario.load(FIVE)
    assert source.spec.island is not None
    assert source.spec.island.shedding is not None
    shedding = source.spec.island.shedding.model_copy(update={"critical_share": critical})
    spec = source.spec.model_copy(update={"island": source.spec.island.model_copy(update={"shedding": shedding})})
    return data.build(spec, source.folder)


def feasible(study: Study, steps: int) -> bool:
    """Whether the central problem has a plan for the first steps when no critical load may be shed."""

    def served(asset, flow):  # type: ignore[no-untyped-def]
        found = replace(flow, q_cost=max(flow.q_cost, 1e-3))
        return replace(found, give_max=0.0 * flow.give_max) if is_critical(asset) else found

    part = variant(study, served, steps, empty=True)
    return solve_central(part.network, part.limits, part.prosumers, part.horizon).status == "optimal"


class Milp:
    """max sum dt u over plans of batteries, generator, sun and shedding, with u non-increasing binaries.

    Power is balanced with tangents of the losses at power flows of earlier plans; one more is added until the plan is
    in balance. Written from the equations of the assets, without anything of the package but the power flow.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.steps, self.dt = study, study.horizon.steps, study.horizon.dt_h
        self.cost: list[Array] = []
        self.low: list[Array] = []
        self.high: list[Array] = []
        self.rows: list[tuple[Array, float, float]] = []
        self.bus_of: list[tuple[int, int, Array]] = []  # first column, bus, kW per unit
        k, one = self.steps, np.ones(self.steps)
        self.u = self.block(0 * one, one, -self.dt)
        at = study.network.positions([owner.bus for owner in study.prosumers])
        self.fixed = np.zeros((2, study.network.n, k))
        for owner, bus in zip(study.prosumers, at.tolist(), strict=True):
            for asset in owner.assets:
                self.add(asset, bus)
        for t in range(k - 1):
            self.row({self.u + t: 1.0, self.u + t + 1: -1.0}, 0.0, np.inf)

    def block(self, low: Array, high: Array, cost: Array) -> int:
        first = self.steps * len(self.cost)
        self.cost.append(cost), self.low.append(low), self.high.append(high)
        return first

    def row(self, entries: dict[int, float], low: float, high: float) -> None:
        self.rows.append((entries, low, high))  # type: ignore[arg-type]

    def add(self, asset, bus: int) -> None:  # type: ignore[no-untyped-def]
        k, zero, one = self.steps, np.zeros(self.steps), np.ones(self.steps)
        if isinstance(asset, SheddableLoad):
            self.fixed[:, bus] -= np.array([asset.p_kw, asset.q_kvar])
            shed = self.block(zero, asset.p_kw, 1e-6 * one)
            self.bus_of.append((shed, bus, one))
            if is_critical(asset):
                for t in range(k):
                    self.row({shed + t: 1.0, self.u + t: float(asset.p_kw[t])}, -np.inf, float(asset.p_kw[t]))
        elif isinstance(asset, Pv):
            self.bus_of.append((self.block(zero, asset.avail_kw, zero), bus, one))
        elif isinstance(asset, Generator):
            give = self.block(zero, asset.p_max_kw * one, zero)
            self.bus_of.append((give, bus, one))
            self.row({give + t: self.dt[t] for t in range(k)}, 0.0, float(asset.fuel_kwh or np.inf))
        elif isinstance(asset, Battery):
            give, take = (
                self.block(zero, asset.p_discharge_kw * one, zero),
                self.block(zero, asset.p_charge_kw * one, zero),
            )
            self.bus_of += [(give, bus, one), (take, bus, -one)]
            for t in range(k):
                entries = {give + s: -self.dt[s] / asset.eta_d for s in range(t + 1)}
                entries |= {take + s: asset.eta_c * self.dt[s] for s in range(t + 1)}
                start = asset.e_start_kwh
                self.row(entries, asset.e_min_kwh - start, asset.e_max_kwh - start)

    def injections(self, x: Array) -> Array:
        p = self.fixed[0].copy()
        for first, bus, sign in self.bus_of:
            p[bus] += sign * x[first : first + self.steps]
        return p

    def balance(self, p: Array) -> Array:
        """Add the tangent of what is drawn at the slack at these injections; how much is drawn [kW]."""
        network, step = self.study.network, 0.05

        def drawn(at: Array) -> Array:
            flow = grid.power_flow(network, at, self.fixed[1])
            return np.asarray(grid.drawn_kw(network, flow.v, at[0] + 0j).real)

        here = drawn(p)
        slope = np.zeros_like(p)
        for bus in range(network.n):
            moved = p.copy()
            moved[bus] += step
            slope[bus] = (drawn(moved) - here) / step
        for t in range(self.steps):
            entries: dict[int, float] = {}
            constant = float(here[t] + slope[:, t] @ (self.fixed[0, :, t] - p[:, t]))
            for first, bus, sign in self.bus_of:
                entries[first + t] = float(sign[t] * slope[bus, t])
            self.row(entries, -np.inf, -constant)
        return here

    def solve(self) -> int:
        """Steps served, once the power flow agrees."""
        n = self.steps * len(self.cost)
        p = self.fixed[0] * 0.0
        for _ in range(LOSS_POINTS):
            self.balance(p)
            matrix = np.zeros((len(self.rows), n))
            for r, (entries, _, _) in enumerate(self.rows):
                matrix[r, list(entries)] = list(entries.values())  # type: ignore[call-overload]
            limits = LinearConstraint(matrix, [low for _, low, _ in self.rows], [high for _, _, high in self.rows])
            bounds = Bounds(np.concatenate(self.low), np.concatenate(self.high))
            whole = np.zeros(n)
            whole[: self.steps] = 1
            found = milp(np.concatenate(self.cost), constraints=limits, bounds=bounds, integrality=whole)
            assert found.status == 0
            p = self.injections(found.x)
        return round(float(found.x[: self.steps].sum()))


@pytest.mark.parametrize("critical", [0.8, 1.0])
def test_survival_equals_that_of_every_duration_tried_and_of_a_mixed_integer_program(critical: float) -> None:
    study = island(critical)
    found = survive(study)
    tried = [feasible(study, steps) for steps in range(1, study.horizon.steps + 1)]
    assert tried == sorted(tried, reverse=True)  # what serves longer serves shorter outages, too
    assert 0 < found.steps < study.horizon.steps
    assert found.steps == sum(tried) == Milp(study).solve()
    assert found.hours == study.horizon.dt_h[: found.steps].sum()
    assert found.missing is not None
    assert found.missing.step == found.steps
    assert found.missing.lack == "energy"
    assert found.missing.kwh > 0.1
    assert "energy is missing" in found.missing.describe(study.horizon)


def test_an_island_that_lasts_lacks_nothing() -> None:
    found = survive(island(0.3))
    assert (found.hours, found.missing) == (8.0, None)


def test_power_and_the_grid_are_told_apart_from_energy() -> None:
    study = island(0.8)

    def scaled(power: float) -> Study:
        owners = []
        for one in study.prosumers:
            parts = [
                replace(a, p_discharge_kw=power * a.p_discharge_kw) if isinstance(a, Battery)
                else replace(a, p_max_kw=power * a.p_max_kw) if isinstance(a, Generator) else a
                for a in one.assets
            ]  # fmt: skip
            owners.append(replace(one, assets=tuple(parts)))
        return replace(study, prosumers=tuple(owners))

    weak = survive(scaled(0.3)).missing
    assert weak is not None
    assert weak.lack == "power"
    thin = replace(study, limits=replace(study.limits, c_f=100.0 * study.limits.c_f, c_t=100.0 * study.limits.c_t))
    narrow = survive(thin).missing
    assert narrow is not None
    assert narrow.lack == "grid"
    assert any("line" in place for place in narrow.where)


def test_without_critical_load_there_is_nothing_to_survive() -> None:
    with pytest.raises(InputError, match="critical_share"):
        survive(island(0.0))


def test_each_objective_is_best_at_its_own() -> None:
    study = island(0.8)
    lasting = np.where(np.arange(study.horizon.steps) < 6, 1.0, 0.1)  # 90 % of outages end within three hours
    settings = study.settings.model_copy(update={"method": "central"})
    found = both(replace(study, lasting=lasting, settings=settings))
    longest, expected = found.longest, found.expected
    assert longest.status == expected.status == "optimal"
    assert longest.survival_h == found.survival.hours > expected.survival_h
    assert expected.expected_eur < longest.expected_eur * 0.99
    weights = lasting * study.horizon.dt_h
    assert_allclose(expected.expected_kwh, [(one * weights).sum() for one in expected.shed], rtol=1e-12)
    assert (expected.shed <= expected.load + 1e-6).all()
    assert (longest.shed[1, : found.survival.steps] <= SERVED * longest.load[1, : found.survival.steps]).all()
