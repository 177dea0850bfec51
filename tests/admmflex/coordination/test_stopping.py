"""Stopping tests look and change nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest

from admmflex.coordination.settings import AdmmSettings
from admmflex.coordination.stopping import (
    SETTLED_MIXES,
    STEADY_PRIMAL,
    STEADY_ROUNDS,
    meets_limits,
    mixes_settled,
    proves,
    refuted,
    settled,
    steady,
)

SETTINGS = AdmmSettings(cost_tolerance=1e-3, voltage_tolerance=1e-4, loading_tolerance=1e-3)


def record(**changed: float) -> dict[str, Any]:
    return {"primal": 0.0, "cost_eur": 10.0, "voltage_excess_pu": 0.0, "loading_excess": 0.0} | changed


@pytest.mark.parametrize(
    ("volts", "load", "good"),
    [
        (0, 0, True),
        (1e-4, 1e-3, True),
        (1.1e-4, 0, False),
        (0, 1.1e-3, False),
        (np.inf, np.inf, False),
        (np.nan, 0, False),
    ],
)
def test_a_plan_meets_the_limits_within_both_tolerances(volts: float, load: float, good: bool) -> None:
    assert meets_limits(np.array([volts, load]), SETTINGS) is good


@pytest.mark.parametrize(
    ("before", "after", "good"),
    [(10, 10.005, True), (10, 10.02, False), (-10, -10.005, True), (0.0, 0.0, True), (0.0, 1.0, False), (1, -1, False)],
)
def test_settled_is_relative_whatever_the_sign(before: float, after: float, good: bool) -> None:
    assert settled(before, after, SETTINGS) is good


def test_a_tolerance_that_is_just_met_is_met() -> None:
    """Numbers that are exact in binary."""
    coarse = AdmmSettings(cost_tolerance=1 / 4)
    assert settled(125.0, 100.0, coarse)
    assert not settled(125.1, 100.0, coarse)
    fine = AdmmSettings(cost_tolerance=1 / 64)
    assert proves(59.0, 64.0, fine)
    assert not proves(58.9, 64.0, fine)
    assert proves(-69.0, -64.0, fine)  # a day that earns
    assert not proves(-69.1, -64.0, fine)


def test_a_bound_is_refuted_by_a_plan_that_undercuts_it_by_more_than_the_tolerance() -> None:
    fine = AdmmSettings(cost_tolerance=1 / 64)
    assert [refuted(bound, 64.0, fine) for bound in (58.0, 64.0, 69.0, 69.1)] == [False, False, False, True]
    assert [refuted(bound, -64.0, fine) for bound in (-np.inf, -69.1, -59.0, -58.9)] == [False, False, False, True]


def test_about_zero_a_cost_is_compared_with_the_scale() -> None:
    scaled = AdmmSettings(cost_tolerance=1e-3, cost_scale=100.0)
    assert settled(0.0, 0.09, scaled)
    assert not settled(0.0, 0.11, scaled)
    assert proves(-0.4, 0.0, scaled)
    assert not proves(-0.6, 0.0, scaled)


def test_how_long_and_how_near_is_what_the_documents_say() -> None:
    """Eight mixes that cost the same, eight rounds within a hundredth, 0.1 % by default."""
    still = {"mix_cost_eur": 100.0}
    assert mixes_settled([still] * 8, SETTINGS)
    assert not mixes_settled([still] * 7, SETTINGS)
    assert mixes_settled([{"mix_cost_eur": 1.0}, *[still] * 8], SETTINGS)
    assert steady([record(primal=1.0)] * 7 + [record(primal=0.01)], SETTINGS)
    assert not steady([record(primal=1.0)] * 7 + [record(primal=0.0101)], SETTINGS)
    assert not steady([record()] * 7, SETTINGS)
    assert proves(99.9, 100.0, AdmmSettings()) is True
    assert proves(99.89, 100.0, AdmmSettings()) is False


def test_steady_needs_all_of_the_last_rounds() -> None:
    quiet = [record() for _ in range(STEADY_ROUNDS)]
    assert steady(quiet, SETTINGS)
    assert steady([record(cost_eur=99.0), *quiet], SETTINGS)
    assert not steady(quiet[1:], SETTINGS)
    assert not steady([], SETTINGS)


@pytest.mark.parametrize("at", range(STEADY_ROUNDS))
@pytest.mark.parametrize("fault", [{"cost_eur": 10.1}, {"voltage_excess_pu": 2e-4}, {"loading_excess": 2e-3}])
def test_one_bad_round_is_enough_to_go_on(at: int, fault: dict[str, float]) -> None:
    history = [record(**(fault if i == at else {})) for i in range(STEADY_ROUNDS)]
    assert not steady(history, SETTINGS)


def test_disagreement_counts_in_the_last_round_only() -> None:
    history = [record(primal=1.0) for _ in range(STEADY_ROUNDS)]
    assert not steady(history, SETTINGS)
    history[-1]["primal"] = STEADY_PRIMAL
    assert steady(history, SETTINGS)


def test_tests_change_nothing() -> None:
    history, excess = [record(cost_eur=float(i)) for i in range(6)], np.array([1e-5, 1e-5])
    before, excess_before = deepcopy(history), excess.copy()
    assert [steady(history, SETTINGS) for _ in range(3)] == [False] * 3
    assert all(meets_limits(excess, SETTINGS) for _ in range(3))
    assert history == before
    assert (excess == excess_before).all()


def test_a_bound_proves_a_plan_within_five_cost_tolerances():
    assert proves(99.6, 100.0, SETTINGS)
    assert not proves(99.4, 100.0, SETTINGS)
    assert not proves(100.6, 100.0, SETTINGS)  # of a grid linearised elsewhere
    assert not proves(-np.inf, 100.0, SETTINGS)


def test_mixes_have_settled_when_all_of_the_last_ones_cost_the_same():
    still = [{"mix_cost_eur": 100.0 + 0.001 * i} for i in range(SETTLED_MIXES)]
    assert mixes_settled(still, SETTINGS)
    assert not mixes_settled(still[1:], SETTINGS)
    assert not mixes_settled([{"mix_cost_eur": 100.0 + 0.1 * i} for i in range(SETTLED_MIXES)], SETTINGS)
