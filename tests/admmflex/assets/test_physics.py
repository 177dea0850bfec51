"""Homes with one flexible device, answered by the package and by Clarabel on the device's physics written down anew."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp

from admmflex.assets import (
    Asset,
    Boiler,
    Deferrable,
    ElectricVehicle,
    FixedLoad,
    HeatPump,
    Pv,
    Session,
    SheddableLoad,
    Task,
    cop,
)
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.chain import ChainResponse
from admmflex.response.qp import QpAnswer

STEPS, RHO = 32, 0.02
RNG = np.random.default_rng(3)
DT = RNG.choice([0.25, 0.5, 1.0], STEPS)
HORIZON = Horizon(datetime(2016, 1, 20, tzinfo=UTC), DT)
END = float(DT.sum())
LOAD = FixedLoad("house", RNG.uniform(0.2, 2.0, STEPS), RNG.uniform(0.0, 0.4, STEPS))
ROOF = Pv("roof", np.maximum(0.0, 6.0 * np.sin(np.linspace(-2, 5, STEPS))), 6.0)
EXPORT = np.full(STEPS, 0.08)
IMPORT = RNG.choice([0.22, 0.30, 0.40], STEPS)
PRICE, TARGET = RNG.normal(0, 0.1, (2, STEPS)), RNG.normal(0, 3, (2, STEPS))


def home(asset: Asset) -> Prosumer:
    assert asset.faults(HORIZON) == []
    return Prosumer("home", 1, (LOAD, ROOF, asset), IMPORT, EXPORT)


def objective(one: Prosumer) -> tuple[float, Array, Array | None]:
    """Optimal value of an answer, by the fastest way there is, and the device's power and energy."""
    groups = split([one], HORIZON, {1: 0})
    if groups.chain is None:
        answer = QpAnswer(program(one, HORIZON))
        y = answer.solve(PRICE, TARGET, RHO)
        plan, cost = answer.program.plans(answer.x)[-1], answer.program.own_cost(answer.x)
    else:
        chain, out = ChainResponse(groups.chain, DT), np.zeros((2, 1, STEPS))
        chain.answer(np.ascontiguousarray(PRICE[:, None]), np.ascontiguousarray(TARGET[:, None]), RHO, out)
        y, plan, cost = out[:, 0], chain.plans(chain.state())[0][-1], float(chain.cost()[0])
    return cost + float(DT @ (-PRICE * y + RHO / 2 * (y - TARGET) ** 2).sum(axis=0)), plan.p, plan.energy


def reference(p: Any, q: Any, cost: Any, rows: Sequence[Any]) -> float:
    """Clarabel on the home with a device of power p and q, its cost and its constraints."""
    sun = cp.Variable(STEPS)
    meter_p, meter_q = p + sun - LOAD.p_kw, q - LOAD.q_kvar
    money = cp.maximum(cp.multiply(-IMPORT, meter_p), cp.multiply(-EXPORT, meter_p))
    total = DT @ money + cost
    for price, target, power in zip(PRICE, TARGET, (meter_p, meter_q), strict=True):
        total += DT @ (cp.multiply(-price, power) + RHO / 2 * cp.square(power - target))
    problem = cp.Problem(cp.Minimize(total), [*rows, sun >= 0, sun <= ROOF.avail_kw])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    assert problem.status == cp.OPTIMAL
    return float(problem.value)


def present(begin: float, end: float) -> Array:
    """Hours of every step that lie between two times."""
    edges = np.concatenate([[0.0], np.cumsum(DT)])
    return np.array([max(0.0, min(b, end) - max(a, begin)) for a, b in itertools.pairwise(edges)])


SESSIONS = (Session(0.3, 3.1, 9.0, 20.0), Session(5.0, 8.7, 14.0, 30.0), Session(10.6, END, 6.0, 18.0))


@pytest.mark.parametrize("v2g", [0.0, 7.0])
@pytest.mark.parametrize("count", [1, 3])
def test_a_car_is_as_cheap_as_its_battery_session_by_session(v2g: float, count: int) -> None:
    car = ElectricVehicle("car", 45.0, 11.0, SESSIONS[:count], v2g_kw=v2g, wear=0.04, reserve_kwh=8.0, eta_d=0.9)
    charge, give = cp.Variable(STEPS), cp.Variable(STEPS)
    rows: list[Any] = [charge >= 0, give >= 0]
    spare: Any = 0.0  # above what the car had to hold when it left
    hours_there = np.zeros(STEPS)
    for session in car.sessions:
        hours, energy = present(session.arrive_h, session.depart_h), session.arrival_kwh + spare
        hours_there += hours
        last = max(np.flatnonzero(hours))
        for t in np.flatnonzero(hours):
            energy = energy + DT[t] * (0.92 * charge[t] - give[t] / 0.9)
            rows += [energy >= min(8.0, session.arrival_kwh), energy <= 45.0]
            if t == last:
                rows.append(energy >= session.due_kwh)
        least = max(session.due_kwh, session.arrival_kwh - v2g * hours.sum() / 0.9)
        spare = energy - least
    rows += [charge <= 11.0 * hours_there / DT, give <= v2g * hours_there / DT]
    best = reference(give - charge, 0.0, 0.04 * (DT @ give), rows)
    found, power, energy_kwh = objective(home(car))
    assert found == pytest.approx(best, rel=1e-8, abs=1e-8)
    assert (np.abs(power[hours_there == 0]) < 1e-12).all()
    assert energy_kwh is not None
    for session in car.sessions:
        assert energy_kwh[max(np.flatnonzero(present(session.arrive_h, session.depart_h)))] >= session.due_kwh - 1e-6


def test_deferrable_energy_is_as_cheap_as_its_sums() -> None:
    machine = Deferrable("machine", 3.0, (Task(0.6, 4.0, 5.0), Task(4.5, 9.0, 3.0), Task(9.5, 14.0, 13.0)))
    use, rows, open_h = cp.Variable(STEPS), [], np.zeros(STEPS)
    for task in machine.tasks:
        hours = present(task.earliest_h, task.deadline_h)
        open_h += hours
        rows.append(cp.sum(cp.multiply(DT * (hours > 0), use)) == task.energy_kwh)
    best = reference(-use, 0.0, 0.0, [*rows, use >= 0, use <= 3.0 * open_h / DT])
    assert objective(home(machine))[0] == pytest.approx(best, rel=1e-8, abs=1e-8)


def temperatures(start: float, ambient: Array, heat: Any, loss: float, capacity: float) -> list[Any]:
    """Temperature at the end of every step of C dT/dt = UA (T_ambient - T) + heat."""
    now, result = start, []
    for t in range(STEPS):
        stay = np.exp(-DT[t] * loss / capacity)
        now = stay * now + (1 - stay) * (ambient[t] + heat[t] / loss)
        result.append(now)
    return result


OUTDOOR = 3.0 + 6.0 * np.sin(np.cumsum(DT) / 4.0)
PUMP = HeatPump(
    "pump", 4.0, capacity_kwh_per_k=3.0, loss_kw_per_k=0.25, outdoor_c=OUTDOOR, cop=cop(OUTDOOR, sink="radiator"),
    gains_kw=0.3 * ROOF.avail_kw, t_min_c=np.where(np.arange(STEPS) % 16 < 8, 19.0, 20.5), t_max_c=np.full(STEPS, 23.0),
    t_start_c=21.0,
)  # fmt: skip


def test_a_heat_pump_is_as_cheap_as_its_temperatures() -> None:
    use = cp.Variable(STEPS)
    heat = cp.multiply(PUMP.cop, use) + PUMP.gains_kw
    room = temperatures(21.0, OUTDOOR, heat, 0.25, 3.0)
    rows = [low <= T for T, low in zip(room, PUMP.t_min_c, strict=True)] + [T <= 23.0 for T in room]
    best = reference(-use, 0.0, 0.0, [*rows, room[-1] >= 21.0, use >= 0, use <= 4.0])
    found, power, energy = objective(home(PUMP))
    assert found == pytest.approx(best, rel=1e-8, abs=1e-8)
    assert energy is not None
    implied = np.array(temperatures(21.0, OUTDOOR, -PUMP.cop * power + PUMP.gains_kw, 0.25, 3.0))
    assert_allclose(19.0 + energy / 3.0, implied, atol=1e-9)
    assert (implied >= PUMP.t_min_c - 1e-6).all()


def test_a_boiler_is_as_cheap_as_its_temperatures() -> None:
    draw = np.where(np.arange(STEPS) % 7 == 0, 2.5, 0.1)
    boiler = Boiler("boiler", 3.0, volume_l=150.0, draw_kw=draw, t_start_c=60.0, loss_kw_per_k=0.002)
    use = cp.Variable(STEPS)
    water = temperatures(60.0, np.full(STEPS, 15.0), use - draw, 0.002, 150.0 * 4.186 / 3600.0)
    rows = [T >= 50.0 for T in water] + [T <= 75.0 for T in water]
    best = reference(-use, 0.0, 0.0, [*rows, water[-1] >= 60.0, use >= 0, use <= 3.0])
    assert objective(home(boiler))[0] == pytest.approx(best, rel=1e-8, abs=1e-8)


def test_a_load_is_shed_with_its_reactive_power() -> None:
    p, q = RNG.uniform(0.0, 4.0, STEPS), RNG.uniform(-0.5, 1.5, STEPS)
    p[5] = 0.0
    load = SheddableLoad("optional", p, q, share=0.6, lost_load_price=0.35)
    part = cp.Variable(STEPS)
    cost = 0.35 * (DT @ cp.multiply(p, part))
    kept_q = np.where(p > 0, q, 0.0)
    best = reference(
        -cp.multiply(p, 1 - part), -cp.multiply(kept_q, 1 - part) - (q - kept_q), cost, [part >= 0, part <= 0.6]
    )
    found, power, _ = objective(home(load))
    assert found == pytest.approx(best, rel=1e-8, abs=1e-8)
    assert (power > -p + 1e-3).any()
    answer = QpAnswer(program(home(load), HORIZON))
    y = answer.solve(PRICE, TARGET, RHO)
    plans = answer.program.plans(answer.x)
    assert_allclose(sum(plan.q for plan in plans), y[1], atol=1e-9)
    assert_allclose(plans[-1].q[p > 0], (q / np.where(p > 0, p, 1) * plans[-1].p)[p > 0], atol=1e-9)


def test_the_step_of_a_heat_store_is_the_solution_of_its_equation() -> None:
    store = PUMP.flow(HORIZON).store
    assert store is not None
    use = np.abs(np.sin(np.arange(STEPS)))
    energy, room = store.e_start, 21.0
    for t in range(STEPS):

        def slope(_: float, temperature: Array, t: int = t) -> Array:
            return (0.25 * (OUTDOOR[t] - temperature) + PUMP.gains_kw[t] + PUMP.cop[t] * use[t]) / 3.0

        room = float(solve_ivp(slope, (0.0, DT[t]), [room], rtol=1e-11, atol=1e-11).y[0, -1])
        energy = store.keep[t] * energy + DT[t] * store.eta_take[t] * use[t] + store.gain[t]
        assert 19.0 + energy / 3.0 == pytest.approx(room, abs=1e-8)


def test_without_losses_heat_only_adds_up() -> None:
    tight = replace(PUMP, loss_kw_per_k=1e-12).flow(HORIZON).store
    none = replace(PUMP, loss_kw_per_k=0.0).flow(HORIZON).store
    assert tight is not None
    assert none is not None
    assert_allclose(none.eta_take, PUMP.cop)
    assert_allclose(tight.eta_take, none.eta_take, rtol=1e-9)
    assert_allclose(tight.gain, none.gain, atol=1e-9)


def least_missing(asset: HeatPump | Boiler, start: float, ambient: Array, heat: Array, loss: float, C: float) -> Array:
    """How far below the band a store must be at the end of every step: one linear program for each."""
    use, eta = cp.Variable(STEPS), getattr(asset, "cop", np.ones(STEPS))
    reached = temperatures(start, ambient, cp.multiply(eta, use) + heat, loss, C)
    limits = [use >= 0, use <= asset.p_max_kw, *[np.max(asset.t_max_c) >= T for T in reached]]
    low = np.broadcast_to(asset.t_min_c, (STEPS,)).copy()
    low[-1] = max(low[-1], asset.end_c)
    depth = []
    for t in range(STEPS):
        problem = cp.Problem(cp.Minimize(cp.pos(low[t] - reached[t])), limits)
        depth.append(problem.solve(solver=cp.CLARABEL))
    return np.array(depth)


def test_a_relaxed_band_is_missed_by_no_more_than_it_must_be() -> None:
    weak = replace(PUMP, p_max_kw=0.6, relax=True, shortfall_price=0.7)
    must = least_missing(weak, 21.0, OUTDOOR, PUMP.gains_kw, 0.25, 3.0)
    assert must.max() > 0.5
    store, wanted = weak.flow(HORIZON).store, PUMP.flow(HORIZON).store
    assert store is not None
    assert wanted is not None
    assert_allclose((wanted.e_min - store.e_min) / 3.0, must, atol=1e-6)
    _, _, energy = objective(home(weak))
    assert energy is not None
    assert (energy >= wanted.e_min - 3.0 * must - 1e-6).all()
    found = weak.shortfalls(HORIZON)
    assert max(float(one.what.split(" K ")[0]) for one in found) == pytest.approx(must.max(), rel=5e-3)
    assert sum(one.eur for one in found) == pytest.approx(0.7 * sum(one.kwh for one in found))
    for one in found:
        assert one.text(HORIZON).startswith(f"heat_pump 'pump': {one.what}, {HORIZON.label(one.first)} to ")


def test_missing_heat_is_what_a_second_heater_would_have_brought() -> None:
    """The least heat from elsewhere, at the end of each step, that holds the band while the pump runs all the time."""
    weak = replace(PUMP, p_max_kw=0.6, t_end_min_c=19.0, relax=True, shortfall_price=0.7)
    help_kw = cp.Variable(STEPS)
    room = temperatures(21.0, OUTDOOR, 0.6 * PUMP.cop + help_kw + PUMP.gains_kw, 0.25, 3.0)
    rows = [low <= T for T, low in zip(room, PUMP.t_min_c, strict=True)]
    arrives = (1 - np.exp(-DT * 0.25 / 3.0)) / (DT * 0.25 / 3.0)
    problem = cp.Problem(cp.Minimize((DT * arrives) @ help_kw), [help_kw >= 0, *rows])
    least = problem.solve(solver=cp.CLARABEL)
    kwh = sum(one.kwh for one in weak.shortfalls(HORIZON))
    assert kwh == pytest.approx(least, rel=1e-6)


def test_a_session_that_cannot_be_met_gets_full_power_and_the_next_begins_as_stated() -> None:
    car = ElectricVehicle("car", 45.0, 3.0, SESSIONS, relax=True, shortfall_price=0.9)
    found = car.shortfalls(HORIZON)
    hours = [session.depart_h - session.arrive_h for session in SESSIONS]
    short = [max(0.0, s.due_kwh - s.arrival_kwh - 0.92 * 3.0 * h) for s, h in zip(SESSIONS, hours, strict=True)]
    assert [one.kwh for one in found] == pytest.approx([kwh for kwh in short if kwh > 0])
    assert [one.eur for one in found] == pytest.approx([0.9 * kwh for kwh in short if kwh > 0])
    assert len(replace(car, relax=False).faults(HORIZON)) == len(found) >= 2
    _, power, energy = objective(home(car))
    assert energy is not None
    for session, kwh in zip(SESSIONS, short, strict=True):
        inside = np.flatnonzero(present(session.arrive_h, session.depart_h))
        assert energy[inside[-1]] >= session.due_kwh - kwh - 1e-6
        if kwh > 0:
            assert_allclose(-power[inside], 3.0 * present(session.arrive_h, session.depart_h)[inside] / DT[inside])
    assert energy[max(np.flatnonzero(present(5.0, 8.7))) + 1] >= SESSIONS[2].arrival_kwh - 1e-6


def test_what_was_charged_before_counts() -> None:
    """A lunch break too short on its own is met by charging more in the night."""
    night, noon = Session(0.0, 6.0, 10.0, 20.0), Session(7.0, 8.0, 5.0, 20.0)
    car = ElectricVehicle("car", 40.0, 7.0, (night, noon))
    assert car.faults(HORIZON) == []
    assert len(replace(car, sessions=(noon,)).faults(HORIZON)) == 1
    _, _, energy = objective(home(car))
    assert energy is not None
    assert energy[max(np.flatnonzero(present(7.0, 8.0)))] >= 20.0 - 1e-6


def test_the_cop_falls_with_the_lift_and_is_that_of_the_source() -> None:
    cold, mild = cop(np.array([-10.0, 7.0]))
    assert cold < mild
    d = (30.0 - 0.5 * 7.0) - 7.0
    assert mild == pytest.approx(0.85 * (6.81 - 0.121 * d + 0.000630 * d * d))
    ground = cop(np.array([0.0]), source="ground", sink="radiator", quality=1.0)
    assert ground[0] == pytest.approx(8.77 - 0.150 * 30.0 + 0.000734 * 900.0)
    assert (cop(np.linspace(-30, 45, 50), sink="water") > 1.0).all()
