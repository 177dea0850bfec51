"""Prosumers written in cvxpy answer like built-in ones, and models that cannot work are refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.errors import InputError, SolverError
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.custom import CustomResponse, CvxpyModel, CvxpyProsumer
from admmflex.response.qp import QpResponse

STEPS = 12
HORIZON = Horizon(datetime(2024, 6, 1, tzinfo=UTC), np.tile([0.5, 1.0], STEPS // 2))
SUN = 6 * np.maximum(0, np.sin(np.arange(STEPS) / STEPS * np.pi))
LOAD = np.linspace(2.0, 0.5, STEPS)
IMPORT, EXPORT = np.full(STEPS, 0.3), np.full(STEPS, 0.08)


@dataclass(frozen=True)
class Written:
    """A prosumer whose model is given as a function."""

    model: Callable[[Horizon], CvxpyModel]
    name: str = "written"
    bus: int = 1
    import_price: Array = field(default_factory=lambda: IMPORT)
    export_price: Array = field(default_factory=lambda: EXPORT)

    def build(self, horizon: Horizon) -> CvxpyModel:
        return self.model(horizon)


def written_home(horizon: Horizon) -> CvxpyModel:
    """Load, PV with a reactive box, battery with losses and wear: the home below, by hand."""
    sun, u = cp.Variable(STEPS, nonneg=True), cp.Variable(STEPS)
    ch, dis = cp.Variable(STEPS, nonneg=True), cp.Variable(STEPS, nonneg=True)
    energy = 2.0 + cp.cumsum(cp.multiply(horizon.dt_h, 0.95 * ch - dis / 0.9))
    cost = horizon.dt_h @ (0.02 * ch + 0.02 * dis + 0.002 * cp.abs(u))
    rows = [sun <= SUN, cp.abs(u) <= 2.0, ch <= 3, dis <= 3, energy >= 0, energy <= 6, energy[-1] >= 2]
    return CvxpyModel(sun + dis - ch - LOAD, u - 0.2, cost, rows)


def built_in_home() -> Prosumer:
    tan = 2.0 / 6.0
    pv = Pv("pv", SUN, 6.0, reactive="box", power_factor=1 / np.hypot(1, tan), q_cost=0.002)
    battery = Battery("b", 6.0, 3.0, 3.0, 2.0, eta_c=0.95, eta_d=0.9, wear=0.02)
    return Prosumer("home", 1, (FixedLoad("l", LOAD, np.full(STEPS, 0.2)), pv, battery), IMPORT, EXPORT)


def ask(response: CustomResponse | QpResponse, price: Array, target: Array, rho: float) -> Array:
    out = np.zeros((2, 1, STEPS))
    response.answer(price[:, None], target[:, None], rho, out)
    return out[:, 0]


def one(kind: type[CustomResponse] | type[QpResponse], prosumer: object) -> CustomResponse | QpResponse:
    return kind([prosumer], np.array([0]), np.array([0]), HORIZON)  # type: ignore[list-item]


def test_the_same_home_written_and_built_in_gives_the_same_answers() -> None:
    written, built_in = one(CustomResponse, Written(written_home)), one(QpResponse, built_in_home())
    rng = np.random.default_rng(0)
    for rho in (0.01, 0.2, 0.0):
        price, target = 0.1 * rng.normal(size=(2, STEPS)), rng.normal(size=(2, STEPS))
        values = []
        for response in (written, built_in):
            y = ask(response, price, target, rho)
            terms = (0.5 * rho * (y - target) ** 2 - price * y).sum(axis=0)
            values.append(response.cost()[0] + HORIZON.dt_h @ terms)
        assert_allclose(values[0], values[1], rtol=1e-7)


def test_a_cone_is_exact_where_the_built_in_polygon_is_inside() -> None:
    """p^2 + q^2 <= 1: the best answer to a price is on the circle, in its direction, and earns |price|.

    Earnings are compared: near the optimum they are flat, so that powers are only good to the root of their error.
    """

    def disc(horizon: Horizon) -> CvxpyModel:
        y = cp.Variable((2, STEPS))
        return CvxpyModel(y[0], y[1], cp.Constant(0.0), [cp.norm(y, axis=0) <= 1])

    nothing = np.zeros(STEPS)
    response = one(CustomResponse, Written(disc, import_price=nothing, export_price=nothing))
    price = np.random.default_rng(1).normal(size=(2, STEPS))
    y = ask(response, price, np.zeros((2, STEPS)), 0.0)
    assert np.linalg.norm(y, axis=0).max() <= 1 + 1e-8
    earned = HORIZON.dt_h @ (price * y).sum(axis=0)
    assert_allclose(earned, HORIZON.dt_h @ np.linalg.norm(price, axis=0), rtol=1e-8)


def test_mixed_states_are_priced_and_cost_at_most_the_mixture() -> None:
    response, rng = one(CustomResponse, Written(written_home)), np.random.default_rng(2)
    states, costs, powers = [], [], []
    for _ in range(3):
        powers.append(ask(response, 0.2 * rng.normal(size=(2, STEPS)), np.zeros((2, STEPS)), 0.01)[:1])
        states.append(response.state()["values"])
        costs.append(response.cost())
    again = response.evaluate_cost(powers[0], {"values": states[0]})
    assert_allclose(again, costs[0], rtol=1e-9)
    weights = rng.dirichlet(np.ones(3))
    mixed = response.evaluate_cost(np.tensordot(weights, powers, 1), {"values": np.tensordot(weights, states, 1)})
    assert mixed[0] <= weights @ np.array(costs)[:, 0] + 1e-9


def test_it_is_recognised_by_its_members() -> None:
    assert isinstance(Written(written_home), CvxpyProsumer)
    assert not isinstance(built_in_home(), CvxpyProsumer)


def changed(**fields: object) -> Callable[[Horizon], CvxpyModel]:
    return lambda horizon: replace(written_home(horizon), **fields)


X = cp.Variable(STEPS)
FAULTY = {
    "not convex: cost is concave": (changed(cost=cp.sum(cp.sqrt(X))), "cost is concave"),
    "cost is not a scalar": (changed(cost=X), "cost has shape"),
    "constraint": (changed(constraints=[cp.norm(X) >= 1]), "constraint 0"),
    "shape": (changed(p=cp.Variable(3)), r"p has shape \(3,\)"),
    "power": (changed(q=cp.square(X)), "q is convex"),
    "integer": (changed(p=cp.Variable(STEPS, integer=True)), "integer"),
    "parameter": (changed(q=X + cp.Parameter(STEPS, name="wind")), "wind"),
    "infeasible": (changed(p=X, constraints=[X >= 1, X <= 0]), "infeasible"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_models_that_cannot_work_are_refused(name: str) -> None:
    model, message = FAULTY[name]
    with pytest.raises(InputError, match=message) as caught:
        one(CustomResponse, Written(model, name="my home"))
    assert all("my home" in fault.element for fault in caught.value.faults)


def test_not_dpp_is_refused_with_the_way_out() -> None:
    parameter = cp.Parameter(nonneg=True, value=2.0)
    model = changed(cost=parameter * cp.exp(parameter * cp.sum(X)), p=X)
    with pytest.raises(InputError, match="numbers instead of cvxpy parameters"):
        one(CustomResponse, Written(model))


def test_a_crossing_tariff_and_a_short_price_are_refused() -> None:
    for prices, message in (({"import_price": EXPORT - 1}, "below export"), ({"export_price": np.ones(3)}, "shape")):
        with pytest.raises(InputError, match=message):
            one(CustomResponse, Written(written_home, **prices))


def test_all_faults_of_all_models_at_once() -> None:
    with pytest.raises(InputError) as caught:
        CustomResponse(
            [Written(changed(cost=X), name="a"), Written(changed(p=cp.Variable(3)), name="b")],
            np.arange(2),
            np.zeros(2, int),
            HORIZON,
        )
    assert {fault.element.split()[-1] for fault in caught.value.faults} == {"'a'", "'b'"}


def test_an_unbounded_answer_is_an_input_error() -> None:
    response = one(CustomResponse, Written(lambda _: CvxpyModel(X, 0 * X, cp.Constant(0.0), [X >= -1])))
    with pytest.raises(InputError, match="bound its powers"):
        ask(response, np.ones((2, STEPS)), np.zeros((2, STEPS)), 0.0)


def test_an_answer_that_breaks_its_constraints_is_not_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    response = one(CustomResponse, Written(written_home))
    monkeypatch.setattr("admmflex.response.custom.FEASIBILITY", -1.0)
    with pytest.raises(SolverError, match="violated"):
        ask(response, np.zeros((2, STEPS)), np.zeros((2, STEPS)), 0.1)
