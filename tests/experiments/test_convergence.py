"""The convergence study measures what it says, on five homes that can be worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from admmflex.coordination.settings import AdmmSettings
from experiments.compare import central, gap
from experiments.convergence import figure, run
from experiments.convergence.run import GOAL, TARGET, answers_to_target
from experiments.convergence.trials import RHOS, Trial, Variant, split, trials
from experiments.hand.run import NOON, effects, voltages

HAND = Variant("hand/day")


def _round(answers: int, cost: float, volts: float = 0.0, loading: float = 0.0, **mix: float) -> dict[str, float]:
    own = {"answers": answers, "cost_eur": cost, "voltage_excess_pu": volts, "loading_excess": loading}
    return {**own, **{f"mix_{name}": value for name, value in mix.items()}}


def test_the_target_counts_the_first_plan_that_is_both_cheap_and_within_the_limits():
    history = [
        _round(1, 90.0, volts=0.02),  # cheap because it breaks a limit
        _round(2, 101.0),  # within the limits, 1 % too dear
        _round(4, 100.5, cost_eur=100.05, voltage_excess_pu=0.0, loading_excess=0.0),  # the mix is good
        _round(5, 100.0),
    ]
    assert answers_to_target(history, 100.0, AdmmSettings()) == 4
    assert answers_to_target(history[:2], 100.0, AdmmSettings()) is None
    assert answers_to_target(history[2:], -100.0, AdmmSettings()) is None


@pytest.mark.parametrize(("cost", "reference", "expected"), [(101.0, 100.0, 0.01), (-99.0, -100.0, 0.01)])
def test_dearer_is_a_positive_gap_whatever_the_sign(cost: float, reference: float, expected: float):
    assert gap(cost, reference) == pytest.approx(expected)


def test_parts_of_homes_have_the_optimum_of_the_homes():
    whole, _ = run.optimum(HAND)
    parts, _ = central(run.study(dataclasses.replace(HAND, parts=3)))
    assert len(parts.costs) == 3 * len(whole.costs)
    assert parts.cost == pytest.approx(whole.cost, rel=1e-7)


def test_parts_share_every_size():
    home = next(one for one in run.study(HAND).prosumers if any(asset.kind == "battery" for asset in one.assets))
    for assets in zip(home.assets, *(part.assets for part in split(home, 2)), strict=True):
        whole, *parts = map(dataclasses.asdict, assets)
        sizes = [name for name in whole if name.endswith(("_kw", "_kwh", "_kvar")) and whole[name] is not None]
        for name in sizes:
            np.testing.assert_allclose(sum(part[name] for part in parts), whole[name], rtol=1e-14)


def test_a_trial_holds_the_plan_against_the_optimum_of_its_own_day():
    found = run.find(Trial("wear, q_cost", "0, 0", dataclasses.replace(HAND, wear=0.0, q_cost=0.0)))
    assert found.end is not None
    assert found.end.status == "optimal"
    assert -1e-6 <= found.end.gap <= TARGET
    assert found.end.voltage_pu <= 1e-4
    assert found.to_target is not None
    assert found.to_target <= min(found.end.answers, GOAL)
    assert found.end.reference_eur == pytest.approx(run.optimum(HAND)[0].cost - 0.08, abs=1e-6)  # no wear of 4 kWh
    assert not found.faults


def test_every_trial_is_named_once_and_changes_what_it_says():
    day = run.study(HAND)
    named = [(trial.variant.day, trial.factor, trial.value) for trial in trials(quick=False)]
    assert len(set(named)) == len(named)
    for trial in trials(quick=False):
        settings = trial.settings(day)
        assert all(getattr(settings, name) == value for name, value in trial.changes.items())


def test_noon_by_hand_agrees_with_the_optimum():
    """Sweeps along the feeder, without any of the grid models, against the central optimum and its prices."""
    best, _ = run.optimum(HAND)
    power = best.y[0, :, NOON]
    assert voltages(power)[-1] == pytest.approx(1.05, abs=1e-6)
    np.testing.assert_allclose(power, [20.0, 20.0, 18.0, 20.0, 13.297], atol=1e-3)
    effect = effects(power)
    np.testing.assert_allclose(best.price[0][1:, NOON], -0.08 * effect / effect[-1], rtol=1e-4)
    assert best.cost == pytest.approx(-6.4237, abs=1e-4)


def test_the_figure_has_a_curve_for_every_rho0_and_kind_of_plan(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(figure, "ROUNDS", 10)
    drawn = figure.draw({"hand/day": (run.study(HAND), run.optimum(HAND)[0].cost)})
    assert len(drawn.data) == 2 * len(RHOS)
    assert all(min(curve.y) > 0 for curve in drawn.data)  # the axis is logarithmic
