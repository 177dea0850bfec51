"""A prosumer's sparse program says what the formulas of its assets say."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Flow, Store
from admmflex.assets.pv import Pv
from admmflex.errors import Fault
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.band import band_faults
from admmflex.prosumers.program import Program, program
from admmflex.prosumers.prosumer import Prosumer


@dataclass(frozen=True)
class RawAsset:
    """Any flow at all, for what no built-in asset has yet."""

    name: str
    raw: Flow
    kind: ClassVar[str] = "raw"

    def faults(self, horizon: Horizon) -> list[Fault]:
        return []

    def flow(self, horizon: Horizon) -> Flow:
        return self.raw


def horizon_of(dt: Array) -> Horizon:
    return Horizon(datetime(2024, 6, 1, tzinfo=UTC), dt)


def random_flow(rng: np.random.Generator, steps: int, dt: Array) -> Flow:
    """Leakage, gains, losses, costs that differ by direction, reactive power with or without edges and costs."""
    give, take = rng.uniform(0, 4, steps) * (rng.random() < 0.8), rng.uniform(0, 4, steps)
    store = None
    if rng.random() < 0.8:
        keep = np.full(steps, rng.choice([1.0, 0.99]))
        start = rng.uniform(2, 6)
        store = Store(
            e_start=start,
            e_min=np.zeros(steps),
            e_max=np.full(steps, 9.0),
            eta_take=np.full(steps, rng.choice([1.0, 0.93, 3.0])),
            eta_give=np.full(steps, 0.94),
            keep=keep,
            gain=-rng.uniform(0, 0.2, steps) * dt,
            end_value=rng.choice([0.0, 0.15]),
        )
    edges = int(rng.integers(0, 3))
    return Flow(
        fixed_p=rng.normal(size=steps),
        fixed_q=rng.normal(size=steps),
        give_max=give,
        take_max=take,
        give_cost=rng.uniform(0, 0.05, steps),
        take_cost=rng.uniform(0, 0.05, steps),
        q_max=rng.uniform(0, 2, steps) * (rng.random(steps) < 0.8),
        q_cost=float(rng.choice([0.0, 0.003])),
        edge_c=rng.uniform(4, 5, edges),
        edge_s=rng.uniform(-1, 1, edges),
        store=store,
    )


def random_prosumer(seed: int, steps: int = 7) -> tuple[Prosumer, Horizon]:
    rng = np.random.default_rng(seed)
    dt = rng.choice([0.25, 0.5, 1.0], steps)
    assets = tuple(RawAsset(f"a{i}", random_flow(rng, steps, dt)) for i in range(rng.integers(1, 4)))
    export = rng.uniform(-0.05, 0.2, steps)
    limits = (math.inf, math.inf)
    if seed % 3 == 0:  # an unlimited source and sink, so that the limits can be met
        free = RawAsset("free", wide_flow(steps))
        assets, limits = (*assets, free), (rng.uniform(0.5, 3.0), rng.uniform(0.5, 3.0))
    return Prosumer("p", 0, assets, export + rng.choice([0.0, 0.2]), export, *limits), horizon_of(dt)


def wide_flow(steps: int) -> Flow:
    """Any power at a high price, without a state."""
    zero, dear = np.zeros(steps), np.full(steps, 2.0)
    return Flow(zero, zero, zero + 20.0, zero + 20.0, dear, dear, zero, 0.0, np.zeros(0), np.zeros(0))


def cvxpy_optimum(prosumer: Prosumer, horizon: Horizon, price: Array) -> float:
    """min C - sum dt price' y, straight from the formulas of ``admmflex.assets.flow``."""
    dt, steps = horizon.dt_h, horizon.steps
    p, q, cost, rows = 0, 0, 0, []
    for flow in (asset.flow(horizon) for asset in prosumer.assets):
        give, take, u = cp.Variable(steps), cp.Variable(steps), cp.Variable(steps)
        rows += [give >= 0, give <= flow.give_max, take >= 0, take <= flow.take_max, cp.abs(u) <= flow.q_max]
        rows += [cp.abs(u) <= c + s * (give - take) for c, s in zip(flow.edge_c, flow.edge_s, strict=True)]
        p, q = p + flow.fixed_p + give - take, q + flow.fixed_q + u
        cost += dt @ (cp.multiply(flow.give_cost, give) + cp.multiply(flow.take_cost, take) + flow.q_cost * cp.abs(u))
        if (store := flow.store) is not None:
            energy = store.e_start
            for t in range(steps):
                change = store.eta_take[t] * take[t] - give[t] / store.eta_give[t]
                energy = store.keep[t] * energy + dt[t] * change + store.gain[t]
                rows += [energy >= store.e_min[t], energy <= store.e_max[t]]
            cost -= store.end_value * energy
    rows += [p >= -prosumer.import_limit_kw] if math.isfinite(prosumer.import_limit_kw) else []
    rows += [p <= prosumer.export_limit_kw] if math.isfinite(prosumer.export_limit_kw) else []
    spread = dt * (prosumer.import_price - prosumer.export_price)
    tariff = spread @ cp.pos(-p) - (dt * prosumer.export_price) @ p
    problem = cp.Problem(cp.Minimize(cost + tariff - (dt * price[0]) @ p - (dt * price[1]) @ q), rows)
    return float(problem.solve(solver=cp.CLARABEL))


def optimum(one: Program, price: Array) -> tuple[float, Array]:
    """Value and ``x`` of min C - sum dt price' y by the program's matrices."""
    weight = one.dt_h * price
    if not len(one.cost):
        return one.cost_constant - float(weight[0] @ one.p0 + weight[1] @ one.q0), np.zeros(0)
    rows = np.vstack([one.A.toarray(), -one.A.toarray()])
    right = np.concatenate([one.high, -one.low])
    kept = np.isfinite(right)
    linear = one.cost - one.P.T @ weight[0] - one.Q.T @ weight[1]
    answer = linprog(linear, rows[kept], right[kept], bounds=np.column_stack([one.x_min, one.x_max]))
    assert answer.status == 0
    return answer.fun + one.cost_constant - float(weight[0] @ one.p0 + weight[1] @ one.q0), answer.x


@pytest.mark.parametrize("seed", range(25))
def test_program_has_the_optimum_of_the_formulas(seed: int) -> None:
    prosumer, horizon = random_prosumer(seed)
    price = 0.1 * np.random.default_rng(seed).normal(size=(2, horizon.steps))
    value, _ = optimum(program(prosumer, horizon), price)
    assert_allclose(value, cvxpy_optimum(prosumer, horizon, price), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("seed", range(25))
def test_plans_costs_and_powers_fit_together(seed: int) -> None:
    prosumer, horizon = random_prosumer(seed)
    one, none = program(prosumer, horizon), np.zeros((2, horizon.steps))
    value, x = optimum(one, none)
    plans, power = one.plans(x), one.power(x)
    assert_allclose(sum(plan.p for plan in plans), power[0], atol=1e-9)
    assert_allclose(sum(plan.q for plan in plans), power[1], atol=1e-9)
    assert one.violation(x) < 1e-9
    assert_allclose(one.own_cost(x), value, rtol=1e-9, atol=1e-9)


def test_battery_and_pv_against_all_plans_on_a_grid() -> None:
    """Two hours, a lossless battery in steps of 0.5 kW: the optimum lies on the grid because all data do."""
    steps, horizon = 2, horizon_of(np.ones(2))
    pv = Pv("pv", np.array([3.0, 0.5]), 3.0)
    battery = Battery("b", 2.0, 1.0, 1.0, 0.5, eta_c=1.0, eta_d=1.0, wear=0.01, end_value=0.12)
    load = FixedLoad("l", np.array([1.0, 2.0]), np.zeros(2))
    imp, exp = np.array([0.3, 0.4]), np.array([-0.05, 0.1])
    prosumer = Prosumer("p", 0, (load, pv, battery), imp, exp)
    best = np.inf
    choices = [np.arange(0, pv.avail_kw[t] + 0.25, 0.5) for t in range(steps)] + [np.arange(-1, 1.25, 0.5)] * steps
    for sun_0, sun_1, flow_0, flow_1 in itertools.product(*choices):
        flow, energy = np.array([flow_0, flow_1]), 0.5 - np.cumsum([flow_0, flow_1])
        if energy.min() < 0 or energy.max() > 2:
            continue
        p = np.array([sun_0, sun_1]) + flow - load.p_kw
        tariff = np.where(p < 0, -imp * p, -exp * p).sum()
        best = min(best, tariff + 0.01 * np.abs(flow).sum() - 0.12 * energy[-1])
    value, _ = optimum(program(prosumer, horizon), np.zeros((2, 2)))
    assert_allclose(value, best, atol=1e-9)


def test_a_fixed_load_has_nothing_to_decide() -> None:
    load = FixedLoad("l", np.array([1.0, -2.0]), np.array([0.5, 0.5]))
    one = program(Prosumer("p", 0, (load,), np.full(2, 0.3), np.full(2, 0.1)), horizon_of(np.array([0.5, 1.0])))
    assert one.A.shape == (0, 0)
    assert_allclose(one.power(np.zeros(0)), [[-1.0, 2.0], [-0.5, -0.5]])
    assert one.own_cost(np.zeros(0)) == pytest.approx(0.5 * 0.3 - 2.0 * 0.1)
    assert one.cost_constant == pytest.approx(one.own_cost(np.zeros(0)))


def test_a_mixture_costs_at_most_the_mixture_of_costs() -> None:
    prosumer, horizon = random_prosumer(3)
    one, rng = program(prosumer, horizon), np.random.default_rng(0)
    answers = [optimum(one, rng.normal(size=(2, horizon.steps)))[1] for _ in range(4)]
    weights = rng.dirichlet(np.ones(4))
    mixed = weights @ np.array(answers)
    assert one.violation(mixed) < 1e-9
    assert one.own_cost(mixed) <= weights @ [one.own_cost(x) for x in answers] + 1e-9


def test_a_store_that_cannot_stay_in_its_band_is_named_with_the_step_and_the_shortfall() -> None:
    steps, zero = 4, np.zeros(4)
    store = Store(5.0, np.full(steps, 4.0), np.full(steps, 9.0), np.full(steps, 1.0), np.ones(steps), np.ones(steps),
                  np.full(steps, -2.0), 0.0)  # fmt: skip
    flow = Flow(zero, zero, zero, np.full(steps, 1.0), zero, zero, zero, 0.0, np.zeros(0), np.zeros(0), store)
    prosumer = Prosumer("home", 0, (RawAsset("heat", flow),), np.ones(steps), np.ones(steps))
    horizon = horizon_of(np.ones(steps))
    (fault,) = band_faults(program(prosumer, horizon), horizon)
    assert "heat" in fault.element
    assert "home" in fault.element
    assert "1 kWh short" in fault.value
    assert horizon.label(1) in fault.value
