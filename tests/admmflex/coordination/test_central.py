"""The central optimum: feasible in the AC power flow, at least as cheap as anything else, and with the right prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex import scenario
from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.coordination.central import CentralResult, CentralSettings, solve_central
from admmflex.errors import InputError
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.custom import CvxpyModel
from admmflex.response.qp import QpAnswer
from grid.limits import BRANCH, V_HIGH, V_LOW, Limits
from grid.network import Network

STEPS = 6
HORIZON = Horizon(datetime(2024, 6, 1, 6, tzinfo=UTC), np.array([1.0, 1.0, 0.5, 0.5, 1.0, 1.0]))
IMPORT, EXPORT = 0.3, 0.08
SUN = np.array([0.1, 0.5, 1.0, 1.0, 0.6, 0.0])


def feeder(*, v_max: float = 1.05, v_min: float = 0.95, rating: float = np.inf) -> Network:
    """Slack, busbar, and two lines to buses 2 and 3; ``rating`` [pu of 1 MVA] of the first branch."""
    ohm = np.array([0.02 + 0.05j, 0.2 + 0.08j, 0.13 + 0.05j])
    y, one = 1 / ohm, np.ones(3)
    return Network(
        name="feeder",
        buses=np.arange(4),
        bus_names=("slack", "busbar", "left", "right"),
        base_kv=np.full(4, 0.4),
        v_slack=1.02 + 0j,
        v_min=np.full(4, v_min),
        v_max=np.full(4, v_max),
        shunt_y=np.zeros(4, complex),
        known_buses=np.arange(4),
        known_positions=np.arange(4),
        from_bus=np.array([0, 1, 1]),
        to_bus=np.array([1, 2, 3]),
        y_ff=y,
        y_ft=-y,
        y_tf=-y,
        y_tt=y,
        branch_kinds=("line",) * 3,
        branch_index=np.arange(3),
        branch_names=("supply", "to the left", "to the right"),
        is_transformer=np.zeros(3, bool),
        i_max_from=np.array([rating, np.inf, np.inf]),
        i_max_to=np.array([rating, np.inf, np.inf]),
        s_max=np.inf * one,
    )


def home(bus: int, kwp: float, name: str, *, battery: float = 0.0, load: float = 2.0) -> Prosumer:
    assets: list[FixedLoad | Pv | Battery] = [
        FixedLoad("load", np.full(STEPS, load), np.full(STEPS, 0.3 * load)),
        Pv("pv", kwp * SUN, kwp, reactive="box", q_cost=0.002),
    ]
    if battery:
        assets.append(Battery("battery", battery, battery / 3, battery / 3, 0.2 * battery, wear=0.02))
    return Prosumer(name, bus, tuple(assets), np.full(STEPS, IMPORT), np.full(STEPS, EXPORT))


HOMES = (home(2, 200.0, "left", battery=60.0), home(3, 120.0, "right", battery=30.0), home(2, 40.0, "small"))


def fixed(load_kw: float) -> Prosumer:
    load = FixedLoad("load", np.full(STEPS, load_kw), np.zeros(STEPS))
    return Prosumer("fixed", 2, (load,), np.full(STEPS, IMPORT), np.full(STEPS, EXPORT))


def solve(network: Network, homes: Sequence[object] = HOMES, **settings: object) -> CentralResult:
    chosen = CentralSettings(**settings)  # type: ignore[arg-type]
    return solve_central(network, Limits.of(network), homes, HORIZON, chosen)  # type: ignore[arg-type]


def ac_excess(network: Network, y: Array, buses: Sequence[int]) -> tuple[float, float]:
    p, q = (np.zeros((4, y.shape[-1])) for _ in range(2))
    np.add.at(p, buses, y[0])
    np.add.at(q, buses, y[1])
    flow = grid.power_flow(network, p, q)
    magnitude = np.abs(flow.v[1:])
    over = max(magnitude.max() - network.v_max[1], network.v_min[1] - magnitude.min())
    return over, flow.loading().max() - 1.0


def alone(prosumer: Prosumer, price: Array) -> float:
    """The least ``C - sum dt price' y`` of one prosumer."""
    answer = QpAnswer(program(prosumer, HORIZON))
    y = answer.solve(price, np.zeros((2, STEPS)), 0.0)
    return answer.program.own_cost(answer.x) - float(HORIZON.dt_h @ (price * y).sum(axis=0))


def test_without_a_limit_everybody_does_what_is_best_for_itself() -> None:
    result = solve(feeder(v_max=2.0, v_min=0.5))
    assert result.status == "optimal"
    assert_allclose(result.cost, sum(alone(one, np.zeros((2, STEPS))) for one in HOMES), rtol=1e-9)
    assert not result.price.any()
    assert not result.rows


@pytest.mark.parametrize("network", [feeder(), feeder(rating=0.1)], ids=["voltage", "current"])
def test_the_plan_meets_the_limits_and_the_prices_support_it(network: Network) -> None:
    """At the prices, nobody could do better than the plan, and prices are zero in steps where no limit binds."""
    result = solve(network)
    assert result.status == "optimal"
    over, loading = ac_excess(network, result.y, [2, 3, 2])
    assert max(over, loading) < 2e-6
    assert max(result.violation) < 2e-6
    for i, one in enumerate(HOMES):
        price = result.price[:, one.bus]
        here = result.costs[i] - float(HORIZON.dt_h @ (price * result.y[:, i]).sum(axis=0))
        assert_allclose(here, alone(one, price), rtol=1e-9, atol=1e-7)
    bound = {row.step for row in result.rows}
    assert bound
    assert set(np.flatnonzero(np.abs(result.price).max(axis=(0, 1)) > 0)) == bound
    assert result.cost > sum(alone(one, np.zeros((2, STEPS))) for one in HOMES)


def test_an_evening_that_is_too_much_is_shifted_by_the_batteries() -> None:
    """Undervoltage: power is worth more than the tariff where and when it helps, and nobody would deviate."""
    evening = FixedLoad("load", np.array([1.0, 1.0, 1.0, 1.0, 1.0, 305.0]), np.full(STEPS, 0.5))
    battery = Battery("battery", 40.0, 15.0, 15.0, 8.0, wear=0.02)
    tariff = np.full(STEPS, IMPORT), np.full(STEPS, EXPORT)
    homes = [Prosumer("left", 2, (evening, battery), *tariff), home(3, 20.0, "right", battery=30.0)]
    network = feeder()
    without = solve(network, [Prosumer("left", 2, (evening,), *tariff), homes[1]])
    result = solve(network, homes)
    assert result.status == "optimal"
    assert max(ac_excess(network, result.y, [2, 3])) < 2e-6
    assert {(row.step, row.kind) for row in result.rows} == {(5, V_LOW)}
    assert result.price[0, 2, 5] > result.price[0, 3, 5] > 0
    for i, one in enumerate(homes):
        price = result.price[:, one.bus]
        here = result.costs[i] - float(HORIZON.dt_h @ (price * result.y[:, i]).sum(axis=0))
        assert_allclose(here, alone(one, price), rtol=1e-6, atol=1e-6)
    assert without.status == "infeasible"


def test_where_free_curtailment_is_marginal_the_price_cancels_the_tariff() -> None:
    result = solve(feeder())
    give = result.plans[0][1].p
    marginal = (give > 1.0) & (give < 200.0 * SUN - 1.0) & (result.y[0, 0] > 1.0)
    assert marginal.any()
    assert_allclose(result.price[0, 2, marginal], -EXPORT, atol=1e-6)


def test_one_binding_voltage_prices_p_and_q_like_its_sensitivities() -> None:
    network = feeder()
    result = solve(network)
    step = next(row.step for row in result.rows if row.kind == V_HIGH)
    assert [row.step for row in result.rows].count(step) == 1
    p, q = (np.zeros((4, 1)) for _ in range(2))
    np.add.at(p[:, 0], [2, 3, 2], result.y[0, :, step])
    np.add.at(q[:, 0], [2, 3, 2], result.y[1, :, step])
    slope = []
    for part in (p, q):
        ends = []
        for move in (1e-3, -1e-3):
            part[3] += move
            ends.append(np.abs(grid.power_flow(network, p, q).v[2, 0]))
            part[3] -= move
        slope.append(ends[0] - ends[1])
    assert_allclose(result.price[1, 3, step] / result.price[0, 3, step], slope[1] / slope[0], rtol=1e-5)


def test_two_plants_against_every_curtailment_on_a_grid() -> None:
    """One step, two plants without reactive power: the best feasible point of a fine grid of AC power flows."""
    network, horizon = feeder(), Horizon(HORIZON.start, np.ones(1))
    plants = [
        Prosumer(n, b, (Pv("pv", np.array([kw]), kw),), np.full(1, 0.3), np.full(1, e))
        for n, b, kw, e in (("left", 2, 150.0, 0.08), ("right", 3, 150.0, 0.11))
    ]
    result = solve_central(network, Limits.of(network), plants, horizon)
    kw = np.linspace(0, 150.0, 301)
    p = np.zeros((4, len(kw) ** 2))
    p[2], p[3] = np.repeat(kw, len(kw)), np.tile(kw, len(kw))
    feasible = np.abs(grid.power_flow(network, p, np.zeros_like(p)).v).max(axis=0) <= 1.05
    best = -(0.08 * p[2] + 0.11 * p[3])[feasible].max()
    assert best >= result.cost - 1e-6
    assert_allclose(result.cost, best, atol=0.19 * 0.5)  # the grid is 0.5 kW wide


def test_the_readable_form_finds_the_same_optimum() -> None:
    network = feeder(rating=0.1)
    fast = solve(network)
    readable = solve(network, solver="CLARABEL")
    assert readable.status == fast.status == "optimal"
    assert_allclose(readable.cost, fast.cost, rtol=1e-5)
    assert_allclose(readable.price[0], fast.price[0], atol=1e-4)


@dataclass(frozen=True)
class WrittenHome:
    """``HOMES[1]`` in cvxpy."""

    name: str = "right"
    bus: int = 3
    import_price: Array = field(default_factory=lambda: np.full(STEPS, IMPORT))
    export_price: Array = field(default_factory=lambda: np.full(STEPS, EXPORT))

    def build(self, horizon: Horizon) -> CvxpyModel:
        sun, ch, dis = (cp.Variable(STEPS, nonneg=True) for _ in range(3))
        u = cp.Variable(STEPS)
        energy = 6.0 + cp.cumsum(cp.multiply(horizon.dt_h, 0.95 * ch - dis / 0.95))
        cost = horizon.dt_h @ (0.02 * ch + 0.02 * dis + 0.002 * cp.abs(u))
        tan = np.sqrt(1 - 0.95**2) / 0.95
        rows = [sun <= 120.0 * SUN, cp.abs(u) <= tan * 120.0, ch <= 10, dis <= 10]
        rows += [energy >= 0, energy <= 30, energy[-1] >= 6]
        return CvxpyModel(sun + dis - ch - 2.0, u - 0.6, cost, rows)


def test_a_prosumer_written_in_cvxpy_counts_like_the_same_built_in_one() -> None:
    network = feeder()
    built_in, written = solve(network), solve(network, [HOMES[0], WrittenHome(), HOMES[2]])
    assert written.status == "optimal"
    assert_allclose(written.cost, built_in.cost, rtol=1e-5)
    assert_allclose(written.costs.sum(), written.cost)
    assert written.plans[1] == ()
    only = solve(network, [WrittenHome()])
    assert_allclose(only.cost, solve(network, [HOMES[1]]).cost, rtol=1e-5)


@pytest.mark.parametrize(
    ("network", "kind", "label"),
    [(feeder(), V_LOW, "left"), (feeder(v_min=0.5, rating=0.3), BRANCH, "supply")],
    ids=["voltage", "current"],
)
def test_an_infeasible_day_names_limit_and_step(network: Network, kind: int, label: str) -> None:
    """An evening load that no plant can serve; a voltage or the current of the supply is too much for it."""
    profile = np.array([2.0, 2.0, 2.0, 2.0, 2.0, 400.0])
    heavy = Prosumer(
        "heavy", 2, (FixedLoad("load", profile, np.zeros(STEPS)),), np.full(STEPS, 0.3), np.full(STEPS, 0.1)
    )
    result = solve(network, [heavy, HOMES[1]])
    assert result.status == "infeasible"
    assert {row.step for row in result.rows} == {5}
    assert {row.kind for row in result.rows} == {kind}
    assert any(label in row.label for row in result.rows)
    assert all(row.excess > 1e-3 for row in result.rows)


def test_a_cvxpy_solver_refuses_prosumers_without_a_plan() -> None:
    class Impossible(WrittenHome):
        def build(self, horizon: Horizon) -> CvxpyModel:
            model = super().build(horizon)
            return CvxpyModel(model.p, model.q, model.cost, [*model.constraints, model.p >= 1e3])

    with pytest.raises(InputError, match="no plan meets their own constraints"):
        solve(feeder(), [Impossible()])


def test_an_unknown_bus_is_an_input_error() -> None:
    with pytest.raises(InputError, match="bus 9"):
        solve(feeder(), [home(9, 1.0, "lost")])


def test_the_check_case_costs_44_58_euro() -> None:
    """The published optimum of a day of 1-LV-rural1--2-sw is 44.5832 EUR with 30 active rows in 11 steps."""
    study = scenario.build(scenario.load(Path(__file__).parents[3] / "experiments" / "rural1" / "check.yaml"))
    result = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert result.status == "optimal"
    assert result.cost == pytest.approx(44.5832, abs=1e-3)
    assert len({row.step for row in result.rows}) == 11
    greedy = 0.0
    for one in study.prosumers:
        answer = QpAnswer(program(one, study.horizon))
        answer.solve(*np.zeros((2, 2, study.horizon.steps)), 0.0)
        greedy += answer.program.own_cost(answer.x)
    assert greedy == pytest.approx(37.257, abs=1e-3)


def test_homes_without_a_choice_cost_what_they_consume() -> None:
    """The program has neither columns nor rows."""
    found = solve(feeder(), [fixed(2.0)])
    assert found.status == "optimal"
    assert found.cost == pytest.approx(2.0 * IMPORT * HORIZON.dt_h.sum())
    assert_allclose(found.y[0], -2.0)
