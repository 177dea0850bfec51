"""Bounds from below: weak and strong duality against the central optimum, and which of two bounds counts."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from admmflex.comm import SerialComm
from admmflex.coordination import proof
from admmflex.coordination.community import Plan
from admmflex.coordination.mixing import Mix
from admmflex.coordination.proof import Averaging, Dual, Proving, bound, last_bound
from admmflex.coordination.settings import AdmmSettings
from admmflex.horizon import Array

SETTINGS = AdmmSettings()  # proven within 0.1 %
HOURS = np.array([0.25, 0.5, 1.0])


class Told:
    """An exchange with one home at each of two buses, which gives what the price asks for: y = price, at cost y'y."""

    def __init__(self) -> None:
        self.community, self.comm, self.steps = SimpleNamespace(dt_h=np.r_[9.0, HOURS]), SerialComm(), slice(1, 4)
        self.penalties: list[float] = []

    def everywhere(self, own: Array) -> Array:
        return own.T.reshape(2, 2, -1)

    complete = True

    def ask_all(self, price: Array, rho: float) -> tuple[Array, float]:
        self.penalties.append(rho)
        return price.reshape(4, -1).T, float((price**2).sum())

    def by_bus(self, y: Array) -> Array:
        return y[0].T

    def cost(self, y: Array, states: Any) -> float:
        return float(y.mean())


def test_a_bound_is_what_is_asked_less_what_it_earns_and_the_least_of_the_grid() -> None:
    """With hours of the own steps, and no pull to any target."""
    exchange, price = Told(), np.random.default_rng(0).normal(size=(3, 4))
    found = bound(exchange, price, 7.0)  # type: ignore[arg-type]
    earned = sum(HOURS[k] * price[k] @ price[k] for k in range(3))
    assert_allclose(found.bound, (price**2).sum() - earned + 7.0)
    assert_array_equal(found.price, exchange.everywhere(price))
    assert exchange.penalties == [0.0]


@pytest.fixture(scope="module")
def settled(setting: Any) -> Any:
    """The day by hand when prices have settled: the coordination, and the central optimum."""
    one = setting("hand/day")
    admm = one.admm(mixing=None, certify=False, cost_tolerance=0.0, max_iterations=60)
    return admm, admm.run(), one.central


def test_no_price_proves_more_than_the_optimum_and_settled_ones_prove_it(settled: Any) -> None:
    admm, found, central = settled
    own, nu = admm.exchange.by_bus(found.plan.y), admm.dso.rows.nu.copy()
    assert_allclose(last_bound(admm.exchange, admm.dso, own), central.cost, rtol=1e-4)
    for factor in (0.0, 0.7, 1.4):
        admm.dso.rows.nu = factor * nu
        assert last_bound(admm.exchange, admm.dso, own) < central.cost - 1e-3 * abs(central.cost)
    admm.dso.rows.nu = nu


def test_a_bound_leaves_the_grid_where_it_was(settled: Any) -> None:
    admm, found, _ = settled
    dso, elsewhere = admm.dso, 0.5 * admm.exchange.by_bus(found.plan.y)
    origin, value = dso.origin.copy(), dso.rows.value.copy()
    last_bound(admm.exchange, dso, elsewhere)
    assert_array_equal(dso.origin, origin)
    assert_allclose(dso.rows.value, value, atol=1e-9)


def test_what_a_mix_proves_weighs_steps_by_their_hours() -> None:
    """Multipliers of a mix are prices for a whole step, EUR/kW; prosumers are asked in EUR/kWh."""
    exchange, price = Told(), np.random.default_rng(1).normal(size=(3, 4))
    mixer = SimpleNamespace(dual=lambda mix: (price, -3.0))
    found = Proving(exchange, None, mixer, SETTINGS).of_mix(None)  # type: ignore[arg-type]
    assert_allclose(found.price, exchange.everywhere(price / HOURS[:, None]))
    assert_allclose(found.bound, bound(exchange, price / HOURS[:, None], -3.0).bound)  # type: ignore[arg-type]


class Weighing(Proving):
    """Says what its two ways prove, and which of them were gone."""

    def __init__(self, last: float, of_mix: float) -> None:
        super().__init__(None, None, None, SETTINGS)  # type: ignore[arg-type]
        self.known, self.asked = {"last": last, "of_mix": of_mix}, list[str]()

    def _answer(self, way: str) -> Dual:
        self.asked.append(way)
        return Dual(np.array([len(way)]), self.known[way])

    def last(self, plan: Any, price: Array) -> Dual:
        return self._answer("last")

    def of_mix(self, mix: Mix) -> Dual:
        return self._answer("of_mix")


@pytest.mark.parametrize(
    ("bound_eur", "last", "of_mix", "asked", "proven"),
    [
        (90.0, 99.95, 99.95, [], -np.inf),  # far below, of the grid linearised elsewhere
        (99.95, 99.95, 99.99, ["last"], 99.95),  # good enough
        (99.95, 99.0, 99.95, ["last", "of_mix"], 99.95),
        (99.95, 99.0, 98.0, ["last", "of_mix"], 99.0),
        (100.0, 99.95, 0.0, ["last"], 99.95),
        (120.0, 99.95, 0.0, ["last"], 99.95),  # far above: says nothing, so ask
    ],
)
def test_the_better_bound_counts_and_none_is_asked_for_in_vain(
    bound_eur: float, last: float, of_mix: float, asked: list[str], proven: float
) -> None:
    proving, price = Weighing(last, of_mix), np.array([17])
    mix = SimpleNamespace(cost=100.0)
    found = proving.of_plan(mix, None, price, bound_eur)  # type: ignore[arg-type]
    assert proving.asked == asked
    assert found.bound == proven
    expected = 17 if not asked else 4 if proven == last else 6
    assert found.price[0] == expected


Excess = Callable[[float], float]


def averaged(answers: list[float], excess: Excess, lower: float, monkeypatch: Any) -> list[tuple[Plan, Dual] | None]:
    """What is found round by round, when all powers are ``answers`` and a mean exceeds limits by ``excess``."""
    dso = SimpleNamespace(check=lambda own: SimpleNamespace(worst=np.array([excess(own.mean()), 0.0])))
    monkeypatch.setattr(proof, "last_bound", lambda exchange, dso, own: lower + 0.0 * own.sum())
    averaging = Averaging(Told(), dso, SETTINGS)  # type: ignore[arg-type]
    found = []
    for one in answers:
        plan = Plan(np.full((2, 2, 3), one), ({"energy": np.full(3, one)},), one, np.zeros(2))
        found.append(averaging.proven(plan, np.full((3, 4), one), np.full((2, 2, 3), 5.0)))
    return found


SWINGING = [98.0, 102.0] * 4


def test_the_mean_of_the_last_answers_is_a_plan(monkeypatch: Any) -> None:
    *before, last = averaged(SWINGING, lambda mean: 0.0, 99.95, monkeypatch)
    assert last is not None
    assert before == [None] * 7
    plan, dual = last
    assert_allclose([plan.cost, plan.y.min(), plan.y.max(), dual.bound], [100.0, 100.0, 100.0, 99.95])
    assert_allclose(plan.states[0]["energy"], 100.0)
    assert_array_equal(dual.price, np.full((2, 2, 3), 5.0))
    assert_array_equal(plan.excess, [0.0, 0.0])


def test_a_mean_beyond_the_limits_or_far_above_the_bound_is_none(monkeypatch: Any) -> None:
    assert averaged(SWINGING, lambda mean: 2e-4, 99.95, monkeypatch) == [None] * 8
    assert averaged(SWINGING, lambda mean: 0.0, 99.0, monkeypatch) == [None] * 8


def test_of_several_means_the_cheapest_within_the_limits_is_taken(monkeypatch: Any) -> None:
    """The last 8 of 32 answers are 104, the 8 before 100: means of 104 and of 102."""
    answers = [90.0] * 16 + [100.0] * 8 + [104.0] * 8
    dear = averaged(answers, lambda mean: 0.0 if mean > 103.0 else 1.0, 104.0, monkeypatch)[-1]
    cheap = averaged(answers, lambda mean: 0.0, 102.0, monkeypatch)[-1]
    assert dear is not None
    assert cheap is not None
    assert_allclose([dear[0].cost, cheap[0].cost], [104.0, 102.0])
