"""Solvers that stall, give up or lie: another one answers and is counted, or the run ends; no wrong number gets out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.reductions.solvers.conic_solvers.clarabel_conif import CLARABEL
from numpy.testing import assert_allclose

import admmflex
from admmflex import scenario
from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.coordination import master_lp, whole
from admmflex.coordination.central import solve_central
from admmflex.coordination.master import Effects, Master, solve_master
from admmflex.data.study import Study
from admmflex.errors import SolverError
from admmflex.horizon import Array, Horizon
from admmflex.linear_program import MODEL_STATUS, new_highs
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.custom import CustomResponse, CvxpyModel
from admmflex.response.qp import QpAnswer
from admmflex.response.solvers import Point, QpSolver

STEPS = 12
HORIZON = Horizon(datetime(2024, 6, 1, tzinfo=UTC), np.ones(STEPS))
FLAT = np.ones(STEPS)
SUN = 6.0 * np.maximum(0.0, np.sin(np.arange(STEPS) / STEPS * np.pi))
DAY = Path(__file__).parents[2] / "experiments" / "hand" / "day.yaml"


def home() -> Prosumer:
    assets = (
        FixedLoad("load", np.linspace(0.5, 2.0, STEPS), 0.2 * FLAT),
        Pv("pv", SUN, 6.0, reactive="box", q_cost=0.002),
        Battery("battery", 8.0, 3.0, 3.0, 2.0, wear=0.02),
    )
    return Prosumer("home", 1, assets, 0.3 * FLAT, 0.08 * FLAT)


def signal() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    return 0.1 * rng.normal(size=(2, STEPS)), rng.normal(size=(2, STEPS))


LIES: dict[str, Callable[[Point], Point | None]] = {
    "gives up": lambda point: None,
    "nan": lambda point: replace(point, x=np.full_like(point.x, np.nan)),
    "one nan": lambda point: replace(point, x=np.where(np.arange(len(point.x)) == 5, np.nan, point.x)),
    "nan multipliers": lambda point: replace(point, rows=np.full_like(point.rows, np.nan)),
    "infeasible": lambda point: replace(point, x=point.x + 1.0),
    "multipliers of another problem": lambda point: replace(point, rows=-point.rows),
}


@dataclass
class Lying:
    """A solver whose points are spoilt."""

    true: QpSolver
    lie: Callable[[Point], Point | None]

    def solve(self, linear: Array, rho: float) -> Point | None:
        point = self.true.solve(linear, rho)
        assert point is not None
        return self.lie(point)


@pytest.mark.parametrize("rho", [0.02, 0.0])
@pytest.mark.parametrize("name", LIES)
def test_an_answer_that_fails_our_check_is_asked_of_another_solver(name: str, rho: float) -> None:
    spoilt, true, (price, target) = QpAnswer(program(home(), HORIZON)), QpAnswer(program(home(), HORIZON)), signal()
    first = Lying((spoilt.quadratic if rho else spoilt.linear)[0], LIES[name])
    spoilt.quadratic, spoilt.linear = [first, spoilt.quadratic[1]], (first, spoilt.linear[1])
    y, expected = spoilt.solve(price, target, rho), true.solve(price, target, rho)
    assert spoilt.fallbacks == 1
    assert true.fallbacks == 0
    value = spoilt.program.own_cost(spoilt.x) + float((0.5 * rho * (y - target) ** 2 - price * y).sum())
    least = true.program.own_cost(true.x) + float((0.5 * rho * (expected - target) ** 2 - price * expected).sum())
    assert value == pytest.approx(least, abs=1e-7)


@pytest.mark.parametrize("rho", [0.02, 0.0])
@pytest.mark.parametrize("name", LIES)
def test_where_every_solver_fails_the_home_is_named(name: str, rho: float) -> None:
    answer, (price, target) = QpAnswer(program(home(), HORIZON)), signal()
    answer.quadratic = [Lying(one, LIES[name]) for one in answer.quadratic]
    answer.linear = tuple(Lying(one, LIES[name]) for one in answer.linear)  # type: ignore[assignment]
    with pytest.raises(SolverError, match="'home'"):
        answer.solve(price, target, rho)


@dataclass(frozen=True)
class Written:
    """A flexible load in cvxpy."""

    name: str = "written"
    bus: int = 1
    import_price: Array = field(default_factory=lambda: np.linspace(0.2, 0.4, STEPS))
    export_price: Array = field(default_factory=lambda: 0.08 * FLAT)

    def build(self, horizon: Horizon) -> CvxpyModel:
        p = cp.Variable(STEPS)
        return CvxpyModel(p, 0.0 * p, 0.01 * cp.sum_squares(p), [p <= 0.0, p >= -3.0, cp.sum(p) == -9.0])


def lying(monkeypatch: pytest.MonkeyPatch, times: int, lie: Callable[..., Any]) -> None:
    """Let the first answers of every solve be spoilt."""
    true, told = CLARABEL.solve_via_data, [0]

    def spoilt(self: Any, data: dict[str, Any], *given: Any, **more: Any) -> Any:
        told[0] += 1
        if told[0] > times:
            return true(self, data, *given, **more)
        return lie(lambda changed: true(self, changed, *given, **more), data)

    monkeypatch.setattr(CLARABEL, "solve_via_data", spoilt)


def other_cost(solve: Callable[[dict[str, Any]], Any], data: dict[str, Any]) -> Any:
    """The optimum of the curved part of the cost: it keeps every constraint, and its status is solved."""
    return solve({**data, "c": 0.0 * data["c"]})


def nothing_known(solve: Callable[[dict[str, Any]], Any], data: dict[str, Any]) -> Any:
    raw = solve(data)
    fields = {name: getattr(raw, name) for name in ("status", "obj_val", "s", "iterations", "solve_time")}
    return SimpleNamespace(**fields, x=[np.nan] * len(raw.x), z=list(raw.z))


@pytest.mark.parametrize("lie", [other_cost, nothing_known])
def test_clarabel_is_not_believed(lie: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    price, target, out = np.zeros((2, 1, STEPS)), np.zeros((2, 1, STEPS)), np.zeros((2, 1, STEPS))
    response = CustomResponse([Written()], np.array([0]), np.array([0]), HORIZON)
    response.answer(price, target, 0.1, out)
    right = out.copy()
    lying(monkeypatch, 1, lie)
    response.answer(price, target, 0.1, out)
    assert_allclose(out, right, atol=1e-5)
    assert response.counts()["fallbacks"] == 1
    lying(monkeypatch, 1000, lie)
    with pytest.raises(SolverError, match="'written'"):
        response.answer(price, target, 0.1, out)


class LyingHighs:
    """HiGHS, whose runs are spoilt: all of them, or only those from a warm basis."""

    def __init__(self, fault: str, *, always: bool) -> None:
        self.true, self.fault, self.always, self.cold = new_highs(), fault, always, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.true, name)

    def passModel(self, *given: Any) -> Any:
        self.cold = False
        return self.true.passModel(*given)

    def clearSolver(self) -> Any:
        self.cold = True
        return self.true.clearSolver()

    def getModelStatus(self) -> Any:
        status = self.true.getModelStatus()
        spoilt = self.fault in ("kUnknown", "kInfeasible") and (self.always or not self.cold)
        return getattr(MODEL_STATUS, self.fault) if spoilt else status

    def getSolution(self) -> Any:
        true = self.true.getSolution()
        value, dual = np.array(true.col_value), np.array(true.row_dual)
        if self.always or not self.cold:
            value = {"nan": np.nan * value, "half": 0.5 * value, "zero": 0.0 * value}.get(self.fault, value)
            dual = -dual if self.fault == "duals" else dual
        return SimpleNamespace(col_value=value, row_dual=dual)


@pytest.fixture(scope="module")
def day() -> Study:
    return scenario.build(scenario.load(DAY))


def central_cost(study: Study) -> float:
    return solve_central(study.network, study.limits, study.prosumers, study.horizon).cost


@pytest.mark.parametrize("fault", ["kUnknown", "kInfeasible", "nan", "half", "zero", "duals"])
def test_a_warm_start_that_goes_wrong_is_tried_again_from_scratch(
    fault: str, day: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = central_cost(day)
    monkeypatch.setattr(whole, "new_highs", lambda: LyingHighs(fault, always=False))
    assert central_cost(day) == pytest.approx(right, rel=1e-6)


@pytest.mark.parametrize("fault", ["kUnknown", "nan", "half", "zero", "duals"])
def test_highs_is_not_believed(fault: str, day: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole, "new_highs", lambda: LyingHighs(fault, always=True))
    with pytest.raises(SolverError, match="try another solver"):
        central_cost(day)


def gives_up(*given: Any) -> Master:
    raise SolverError("singular")


def poisoned(*given: Any) -> Master:
    found = solve_master(*given)
    return replace(found, weights=np.nan * found.weights)


def uniform(*given: Any) -> Master:
    found = solve_master(*given)
    return replace(found, weights=np.full_like(found.weights, 1.0 / len(found.weights)))


@pytest.mark.parametrize("master", [gives_up, poisoned])
def test_mixes_go_on_with_another_solver_and_the_summary_says_how_often(
    master: Callable[..., Master], day: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = admmflex.run(day)
    assert "fallbacks" not in right.summary
    monkeypatch.setattr(master_lp, "solve_master", master)
    found = admmflex.run(day).require()
    assert found.summary["fallbacks"] > 0
    assert found.summary["objective_eur"] == pytest.approx(right.summary["objective_eur"], rel=1e-3)
    assert found.summary["steps_beyond_limits"] == 0


def test_weights_that_are_not_the_best_cost_money_and_break_no_limit(
    day: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan is a mean of answers whatever the weights; limits and bound do not come from the program of mixing."""
    monkeypatch.setattr(master_lp, "solve_master", uniform)
    found = admmflex.run(day).summary
    assert found["steps_beyond_limits"] == 0 or found["status"] != "optimal"
    assert found.get("lower_bound_eur", -np.inf) <= central_cost(day) + 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_both_solvers_of_the_mixing_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_answers, n_buses, n_steps, per_step = 6, 5, 3, 4
    rows = Effects(
        np.repeat(np.arange(n_steps), per_step),
        rng.normal(size=(n_steps * per_step, 2 * n_buses)),
        rng.normal(size=(n_steps, n_answers, 2 * n_buses)),
    )
    cost, price = rng.exponential(size=(n_answers, n_buses)), np.full(len(rows), 30.0)
    limit = rows.of(rng.dirichlet(np.ones(n_answers), n_buses).T) - (seed % 2) * rng.exponential(1.0, len(rows))
    one, other = solve_master(cost, rows, limit, price), master_lp.by_simplex(cost, rows, limit, price)
    for found in (one, other):
        assert_allclose(found.weights.sum(axis=0), 1.0, atol=1e-9)
    values = [float(np.sum(cost * found.weights) + price @ found.slack) for found in (one, other)]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    bound = float((cost + rows.transposed(other.nu)).min(axis=0).sum() - other.nu @ limit)
    assert bound == pytest.approx(values[1], rel=1e-9)
