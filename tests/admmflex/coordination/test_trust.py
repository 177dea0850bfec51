"""Answers that are missing or nonsense: who is believed, what is proven, and what the others agree on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import cvxpy as cp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import admmflex
from admmflex import scenario
from admmflex.assets.fixed_load import FixedLoad
from admmflex.comm import SerialComm
from admmflex.console import facts
from admmflex.coordination.admm import Admm
from admmflex.coordination.central import solve_central
from admmflex.coordination.coordinated import Coordinated
from admmflex.coordination.exchange import Exchange
from admmflex.coordination.proof import bound
from admmflex.coordination.settings import AdmmSettings
from admmflex.errors import SolverError, Unanswered
from admmflex.horizon import Array, Horizon
from admmflex.report.verdict import verdict
from admmflex.response import conic
from admmflex.response.custom import CvxpyModel
from admmflex.response.signal import answer_each
from experiments.reliability.unreliable import Trouble, Unreliable

GAP = 1e-3
HAND = Path(__file__).parents[3] / "experiments" / "hand" / "day.yaml"
NONSENSE = ("nan", "infinite", "huge", "cost", "raises")


def unreliable(one: Any, troubles: dict[int, Trouble], seed: int = 0, **settings: Any) -> tuple[Admm, Coordinated]:
    """The day with homes in trouble, and what came out."""
    community, dso = one.parts()
    population = Unreliable(community.population, troubles, one.ordered.order, seed)
    admm = Admm(replace(community, population=population), dso, SerialComm(), AdmmSettings(**settings))
    return admm, admm.run()


def costs(admm: Admm, found: Coordinated) -> Array:
    """What every home really pays [EUR]."""
    return admm.community.population.evaluate_cost(found.plan.y, found.plan.states)


def as_told(one: Any, admm: Admm, home: int) -> tuple[Any, float]:
    """The study in which a home is a load that does what it told last, and its tariff [EUR]."""
    assert admm.exchange.trust.last is not None
    p, q = admm.exchange.trust.last.y[:, home]
    silent = one.ordered.prosumers[home]
    load = FixedLoad("as told", -p, -q)

    def fixed(prosumer: Any) -> Any:
        return replace(prosumer, assets=(load,)) if prosumer is silent else prosumer

    paid = one.study.horizon.dt_h @ np.where(p < 0, -silent.import_price * p, -silent.export_price * p)
    return one.with_prosumers(fixed).study, float(paid)


@pytest.mark.parametrize("kind", NONSENSE)
def test_a_home_that_answers_nonsense_is_held_and_the_others_find_the_optimum_around_it(
    setting: Any, kind: Any
) -> None:
    one, home = setting("hand/day"), 3
    admm, found = unreliable(one, {home: Trouble(kind, first=4)})
    trust = admm.exchange.trust
    assert found.status == "optimal"
    assert np.flatnonzero(trust.held).tolist() == [home]
    assert trust.name(home) == one.ordered.prosumers[home].name
    assert_array_equal(found.plan.y[:, home], trust.last.y[:, home])
    excess = one.parts()[1].check(one.bus_sums(found.plan.y)).worst
    assert excess[0] <= 1e-4
    assert excess[1] <= 1e-3
    study, paid = as_told(one, admm, home)
    best = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    others = np.delete(costs(admm, found), home).sum()
    assert others == pytest.approx(best.cost - paid, rel=GAP)
    assert found.lower_bound <= best.cost - paid + costs(admm, found)[home] + 1e-4


def test_a_home_that_falls_silent_is_held_without_mixing_too(setting: Any) -> None:
    one, home = setting("hand/day"), 1
    admm, found = unreliable(one, {home: Trouble("raises", first=6)}, mixing=None)
    assert found.status == "optimal"
    assert_array_equal(found.plan.y[:, home], admm.exchange.trust.last.y[:, home])
    assert found.plan.excess[0] <= 1e-4
    study, paid = as_told(one, admm, home)
    best = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert np.delete(costs(admm, found), home).sum() == pytest.approx(best.cost - paid, rel=GAP)


@pytest.mark.parametrize(("share", "longer"), [(0.1, 1.5), (0.3, 2.0), (0.5, 3.5)])
@pytest.mark.parametrize("seed", [0, 1])
def test_lost_answers_cost_rounds_and_no_money(setting: Any, share: float, longer: float, seed: int) -> None:
    one = setting("rural1/check")
    usual = one.run().rounds
    lost = {home: Trouble("lost", share=share) for home in range(len(one.study.prosumers))}
    admm, found = unreliable(one, lost, seed)
    assert found.status == "optimal"
    assert not admm.exchange.trust.held.any()
    assert found.rounds <= longer * usual
    assert costs(admm, found).sum() == pytest.approx(one.central.cost, rel=GAP)
    assert found.lower_bound <= one.central.cost * (1 + 1e-4)
    assert one.parts()[1].check(one.bus_sums(found.plan.y)).worst[0] <= 1e-4


@pytest.mark.parametrize("every", [5, 20])
def test_a_straggler_is_taken_in_again(setting: Any, every: int) -> None:
    one = setting("rural1/check")
    admm, found = unreliable(one, {10: Trouble("late", every=every)})
    assert found.status == "optimal"
    assert not admm.exchange.trust.held.any()
    assert admm.exchange.trust.missed > 0
    assert costs(admm, found).sum() == pytest.approx(one.central.cost, rel=GAP)


def test_without_trouble_nothing_changes(setting: Any) -> None:
    one = setting("hand/day")
    _, found = unreliable(one, {})
    usual = one.run()
    assert_array_equal(found.plan.y, usual.plan.y)
    assert found.lower_bound == usual.lower_bound
    assert found.answers == usual.answers


def exchange(one: Any, troubles: dict[int, Trouble], seed: int = 0) -> Exchange:
    community, dso = one.parts()
    population = Unreliable(community.population, troubles, one.ordered.order, seed)
    return Exchange(replace(community, population=population), SerialComm(), len(dso.buses))


def test_held_after_three_misses_and_free_after_an_answer(setting: Any) -> None:
    one, home = setting("hand/day"), 2
    asking = exchange(one, {home: Trouble("late", every=5)})
    trust, price = asking.trust, np.zeros((2, asking.n_buses, 3))
    held, able = [], []
    for _ in range(9):
        asking.ask(price, 0.01)
        held.append(bool(trust.held[home]))
        able.append(bool(trust.able[:, home].any()))
    # the first question is asked until it is answered, at the fifth time; then four misses, an answer at the tenth
    assert held == [False, False, False, True, True, False, False, False, True]
    assert able == [not one for one in held]


def test_a_bound_is_that_of_everybody_or_none(setting: Any) -> None:
    """Lost answers are asked for again; who stays silent spoils the bound until it is held to what it told."""
    one = setting("hand/day")
    price, price_now = np.zeros((2, 5, 3)), np.full((3, 10), -0.02)
    everybody = exchange(one, {})
    assert everybody.n_buses == 5
    true = bound(everybody, price_now, 0.0).bound
    asking = exchange(one, {home: Trouble("lost", share=0.5) for home in range(5)})
    for _ in range(3):
        asking.ask(price, 0.01)
    assert bound(asking, price_now, 0.0).bound == pytest.approx(true, abs=1e-9)
    dying = exchange(one, {1: Trouble("raises", first=2)})
    dying.ask(price, 0.01)
    found = [bound(dying, price_now, 0.0).bound for _ in range(4)]
    assert found[:2] == [-np.inf] * 2
    assert np.isfinite(found[2:]).all()
    assert min(found[2:]) >= true - 1e-9  # fewer plans to choose from


def test_who_never_answers_is_named(setting: Any) -> None:
    one = setting("hand/day")
    name = one.ordered.prosumers[4].name
    with pytest.raises(SolverError, match=f"{name}.*no answer to the first question.*list it as a load"):
        unreliable(one, {4: Trouble("nan", first=1)})


def test_one_failure_does_not_keep_the_others_from_answering() -> None:
    def fails(price: Array, target: Array, rho: float) -> Array:
        raise SolverError("no")

    out, rows = np.zeros((2, 3, 4)), np.arange(3)
    ways = (fails, lambda price, target, rho: np.ones((2, 4)), lambda price, target, rho: np.ones((4, 2)))
    with pytest.raises(Unanswered) as caught:
        answer_each(ways, rows, rows, np.zeros((2, 3, 4)), out.copy(), 1.0, out)
    assert sorted(caught.value.why) == [0, 2]
    assert "shape (4, 2)" in caught.value.why[2]
    assert_allclose(out[:, 1], 1.0)
    assert_allclose(out[:, [0, 2]], 0.0)


class Mortal:
    """A heater written in cvxpy whose solver dies after some answers."""

    name, bus = "heater", 5
    import_price, export_price = np.full(3, 0.3), np.full(3, 0.08)

    def build(self, horizon: Horizon) -> CvxpyModel:
        heat = cp.Variable(horizon.steps, nonneg=True)
        return CvxpyModel(-heat, np.zeros(horizon.steps), cp.Constant(0.0), [heat <= 3, horizon.dt_h @ heat == 6])


def test_a_written_prosumer_that_dies_is_named_and_the_day_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, calls = conic.solve, []

    def mortal(problem: cp.Problem) -> int:
        calls.append(1)
        if len(calls) > 6:
            raise KeyError("soc")
        return solve(problem)

    monkeypatch.setattr(conic, "solve", mortal)
    study = scenario.build(scenario.load(HAND))
    mortals: Any = (*study.prosumers, Mortal())
    found = admmflex.run(replace(study, prosumers=mortals)).require()
    (silent,) = found.summary["silent"]
    assert silent["prosumer"] == "heater"
    assert "KeyError" in silent["why"]
    assert found.summary["steps_beyond_limits"] == 0
    assert found.dataset["p_kw"].sel(prosumer="heater").sum() == pytest.approx(-6.0, abs=1e-4)
    assert "heater" in " ".join(verdict(found.summary, 3))
    lines = facts(found.summary)
    assert any("no answer from 'heater'" in line for line in lines)
    assert max(len(line) for line in lines) <= 80
