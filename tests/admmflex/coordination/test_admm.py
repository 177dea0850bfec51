"""The coordination against the central optimum, on the days of the repository and on odd ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from admmflex.assets.fixed_load import FixedLoad
from admmflex.horizon import Horizon
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.qp import QpAnswer

GAP = 1e-3
LINEARISATION = 1e-4  # the bound is that of the last linearisation
ANSWERS = 30


def assert_feasible(excess: Any) -> None:
    assert excess[0] <= 1e-4
    assert excess[1] <= 1e-3


@pytest.mark.parametrize("rho", [1e-3, 1e-2, 3e-2, 1e-1])
@pytest.mark.parametrize("name", ["rural1/check", "hand/day", "rural1/worst", "rural1/idle"])
def test_the_central_optimum_is_found_from_any_penalty(setting: Any, name: str, rho: float) -> None:
    one = setting(name)
    found = one.run(rho=rho)
    assert one.central.status == "optimal"
    assert found.status == "optimal"
    assert_feasible(found.plan.excess)
    assert_feasible(one.parts()[1].check(one.bus_sums(found.plan.y)).worst)
    size = abs(one.central.cost)
    assert found.plan.cost <= one.central.cost + GAP * size
    assert found.plan.cost >= one.central.cost - GAP * size  # the central optimum is a local one
    assert found.lower_bound <= one.central.cost + LINEARISATION * size
    enough = one.central.cost + GAP * size
    there = [record["answers"] for record in found.history if record.get("mix_cost_eur", np.inf) <= enough]
    assert there[0] <= ANSWERS
    assert found.answers <= ANSWERS


def test_a_town_with_more_than_a_hundred_prosumers(setting: Any) -> None:
    one = setting("rural3/day")
    found = one.run(rho=0.01)
    assert found.status == "optimal"
    assert found.answers <= ANSWERS
    assert_feasible(found.plan.excess)
    assert found.lower_bound <= found.plan.cost
    assert found.plan.cost - found.lower_bound <= 2e-3 * abs(found.plan.cost)


def linearised_optimum(one: Any, admm: Any) -> float:
    """The least cost of all plans that meet the rows of the last working set, by HiGHS."""
    homes = [program(home, one.study.horizon) for home in one.ordered.prosumers]
    starts = np.concatenate([[0], np.cumsum([len(home.cost) for home in homes])])
    rows, n_buses = admm.dso.rows, len(one.ordered.buses)
    grid_rows, limit = np.zeros((len(rows), starts[-1])), np.empty(len(rows))
    for r in range(len(rows)):
        t, gradient = rows.step[r], rows.gradient[r]
        limit[r] = gradient @ admm.dso.origin[t] - rows.value[r]
        for i, home in enumerate(homes):
            by_p, by_q = gradient[one.ordered.bus[i]], gradient[n_buses + one.ordered.bus[i]]
            grid_rows[r, starts[i] : starts[i + 1]] = by_p * home.P[[t]].toarray() + by_q * home.Q[[t]].toarray()
            limit[r] -= by_p * home.p0[t] + by_q * home.q0[t]
    own, high, low = [], [], []
    for i, home in enumerate(homes):
        block = np.zeros((home.A.shape[0], starts[-1]))
        block[:, starts[i] : starts[i + 1]] = home.A.toarray()
        own.append(block)
        high.append(home.high)
        low.append(home.low)
    table, scale = np.concatenate([*own, *(-block for block in own), grid_rows / rows.scale[:, None]]), rows.scale
    right = np.concatenate([*high, *(-a for a in low), limit / scale])
    found = linprog(
        np.concatenate([home.cost for home in homes]),
        A_ub=table[np.isfinite(right)],
        b_ub=right[np.isfinite(right)],
        bounds=[pair for home in homes for pair in zip(home.x_min, home.x_max, strict=True)],
    )
    assert found.status == 0
    return float(found.fun or 0.0) + sum(home.cost_constant for home in homes)


@pytest.mark.parametrize("name", ["hand/day", "rural1/idle", "rural1/worst"])
def test_the_lower_bound_is_one(setting: Any, name: str) -> None:
    """By weak duality it is below the optimum of the linearised limits, whatever the prices are."""
    one = setting(name)
    for rounds in (3, 8, 200):
        admm = one.admm(max_iterations=rounds)
        found = admm.run()
        assert found.lower_bound <= linearised_optimum(one, admm) + 1e-7


@pytest.mark.parametrize("name", ["hand/day", "rural1/check", "rural3/day"])
def test_the_baseline_is_what_everybody_does_alone(setting: Any, name: str) -> None:
    """Up to the tiny penalty of the first question, which spreads identical devices."""
    one = setting(name)
    horizon = one.study.horizon
    baseline = one.run(max_iterations=1, certify=False).baseline
    nothing = np.zeros((2, horizon.steps))
    alone = 0.0
    for home in one.ordered.prosumers[:: 1 if name != "rural3/day" else 8]:
        answer = QpAnswer(program(home, horizon))
        answer.solve(nothing, nothing, 0.0)
        alone += answer.program.own_cost(answer.x)
    if name == "rural3/day":
        kept = one.with_prosumers(lambda home: home if home in one.ordered.prosumers[::8] else None)
        baseline = kept.run(max_iterations=1, certify=False).baseline
    assert_allclose(baseline.cost, alone, rtol=2e-4)
    assert baseline.cost >= alone - 1e-7


@pytest.mark.parametrize("mixing", [True, False])
def test_a_grid_that_is_wide_enough_has_no_prices(setting: Any, mixing: bool) -> None:
    one = setting("hand/day").with_limits(0.5, 2.0, 100.0)
    found = one.run(**({} if mixing else {"mixing": None}))
    assert found.status == "optimal"
    assert not found.price.any()
    assert found.rounds <= 12
    assert_allclose(found.plan.cost, found.baseline.cost, rtol=2e-4)
    assert_allclose(found.lower_bound, found.baseline.cost, rtol=2e-4)


def test_when_nobody_can_move_the_answer_is_the_load(setting: Any) -> None:
    def only_load(home: Prosumer) -> Prosumer:
        return replace(home, assets=tuple(asset for asset in home.assets if isinstance(asset, FixedLoad)))

    one = setting("hand/day").with_prosumers(only_load)
    found = one.run()
    assert found.status == "optimal"
    assert_allclose(found.plan.y[0], -2.0)
    assert_allclose(found.plan.cost, 5 * 3 * 2 * 0.3)
    assert_allclose(found.lower_bound, found.plan.cost)
    assert not found.price.any()
    assert all(np.isfinite(record["dual"]) for record in found.history)


@pytest.mark.parametrize("mixing", [True, False])
def test_one_prosumer_alone_on_the_feeder(setting: Any, mixing: bool) -> None:
    """All rows of a step move one power: parallel, and of very different size."""
    one = setting("hand/day").with_prosumers(lambda home: home if home.name == "home 5" else None)
    one = one.with_limits(0.98, 1.012, 0.09)
    found = one.run(**({} if mixing else {"mixing": None}))
    assert one.central.status == "optimal"
    assert found.status == "optimal"
    assert_feasible(found.plan.excess)
    assert_allclose(found.plan.cost, one.central.cost, atol=2e-3 * abs(one.central.cost))


@pytest.mark.parametrize("lengths", [[1.0], [0.25, 1.0, 0.5]])
def test_steps_may_be_few_and_of_different_length(setting: Any, lengths: list[float]) -> None:
    one = setting("hand/day")
    steps = len(lengths)
    first = 1 if steps == 1 else 0

    def cut(home: Prosumer) -> Prosumer:
        def shorter(asset: Any) -> Any:
            changed = {"avail_kw": asset.avail_kw} if hasattr(asset, "avail_kw") else {}
            if isinstance(asset, FixedLoad):
                changed = {"p_kw": asset.p_kw, "q_kvar": asset.q_kvar}
            return replace(asset, **{k: v[first : first + steps] for k, v in changed.items()})

        prices = (price[first : first + steps] for price in (home.import_price, home.export_price))
        return Prosumer(home.name, home.bus, tuple(shorter(asset) for asset in home.assets), *prices)

    one = one.with_prosumers(cut)
    horizon = Horizon(one.study.horizon.start, np.array(lengths))
    one = type(one)(replace(one.study, horizon=horizon))
    found = one.run()
    assert found.status == "optimal"
    assert_feasible(found.plan.excess)
    assert_allclose(found.plan.cost, one.central.cost, rtol=GAP)


def test_without_balancing_and_with_few_relinearisations(setting: Any) -> None:
    one = setting("hand/day")
    for settings in ({"balancing": None, "rho": 0.003}, {"relinearise_every": 5}, {"relaxation": 1.0}):
        found = one.run(**settings)
        assert found.status == "optimal"
        assert_allclose(found.plan.cost, one.central.cost, rtol=GAP)


def test_when_rounds_run_out_it_says_so(setting: Any) -> None:
    found = setting("rural1/check").run(max_iterations=4)
    assert found.status == "not_converged"
    assert found.rounds == len(found.history) == 4
    assert found.shortfall is None


def test_the_same_question_has_the_same_answer(setting: Any) -> None:
    one = setting("rural1/check")
    first, second = one.run(), one.run()
    np.testing.assert_array_equal(first.plan.y, second.plan.y)
    np.testing.assert_array_equal(first.price, second.price)
    assert first.plan.cost == second.plan.cost


def test_the_order_of_the_prosumers_does_not_matter(setting: Any) -> None:
    one = setting("rural1/check")
    turned = type(one)(replace(one.study, prosumers=one.study.prosumers[::-1]))
    assert_allclose(turned.run().plan.cost, one.run().plan.cost, rtol=1e-9)


def test_every_round_is_reported_once(setting: Any) -> None:
    one = setting("hand/day")
    told: list[dict[str, Any]] = []
    admm = one.admm()
    admm.observe = told.append
    found = admm.run()
    assert told == found.history
    assert [record["iteration"] for record in told] == list(range(1, found.rounds + 1))
    assert found.answers >= found.rounds


@pytest.mark.parametrize("name", ["rural1/check", "rural1/idle", "hand/day"])
def test_without_mixing_the_mean_of_the_last_answers_stops_where_it_proves_enough(setting: Any, name: str) -> None:
    """Earlier than answers that themselves stand still, with the same guarantees."""
    one = setting(name)
    proven, quiet = one.run(mixing=None), one.run(mixing=None, certify=False)
    assert proven.status == quiet.status == "optimal"
    assert proven.rounds < quiet.rounds
    assert_feasible(one.parts()[1].check(one.bus_sums(proven.plan.y)).worst)
    assert proven.plan.cost - proven.lower_bound <= GAP * abs(proven.plan.cost)
    assert abs(proven.plan.cost - one.central.cost) <= GAP * abs(one.central.cost)
