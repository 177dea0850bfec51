"""Random days, memory over many periods, and what messages reveal: small versions of the experiments."""

from __future__ import annotations

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from admmflex import scenario
from admmflex.studies.receding import RecedingSettings, simulate_prices
from experiments.compare import ROOT
from experiments.reliability import days, draws
from experiments.reliability.memory import Growth
from experiments.reliability.privacy import WAYS, day, measure

WARM_UP, PERIODS = 5, 10
PER_PERIOD = 20  # entries: the record of a plan, a dozen of them, is kept


def test_nothing_but_the_record_of_a_plan_is_kept_from_period_to_period() -> None:
    """Entries of all lists and dictionaries of the process, and the objects that the collector knows."""
    loaded = scenario.load(ROOT / "flex_charts" / "five.yaml")
    steps = loaded.spec.horizon.model_copy(update={"start": "2016-05-26 10:00", "duration": f"{15 * PERIODS + 60}min"})
    study = scenario.build(replace(loaded, spec=loaded.spec.model_copy(update={"horizon": steps})))
    held: list[tuple[int, int]] = []

    def note(told: dict[str, Any]) -> None:
        gc.collect()
        objects = gc.get_objects()
        held.append((len(objects), sum(len(one) for one in objects if type(one) in (list, dict))))

    settings = RecedingSettings(control_h=0.25, lookahead_h=1.0)  # plans of equal length
    simulate_prices(study, settings=settings, seed=1, observe=note)
    growth = np.diff(np.array(held[WARM_UP : PERIODS + 1]), axis=0)
    assert growth.mean(axis=0).max() <= PER_PERIOD


def test_the_slope_of_memory_has_an_interval_that_holds() -> None:
    """Noise that lasts for hours around a line: the interval contains its slope in about nineteen cases of twenty."""
    rng, hours = np.random.default_rng(0), np.arange(144.0)
    inside = 0
    for _ in range(200):
        noise = np.zeros(len(hours))
        for t in range(1, len(hours)):
            noise[t] = 0.5 * noise[t - 1] + rng.normal()
        found = Growth.of(hours, 340.0 + 0.5 * hours / 24.0 + noise)
        inside += abs(found.slope - 0.5) <= found.uncertain
    assert 0.88 * 200 <= inside <= 200
    assert not Growth.of(hours, 340.0 + 0.5 * hours / 24.0).none


def test_a_number_is_a_day_and_days_differ() -> None:
    assert draws.document(7) == draws.document(7)
    assert len({draws.document(number)["horizon"]["start"] for number in range(50)}) > 40
    for number in range(12):
        assert draws.scenario(number).spec.seed == number


@pytest.fixture
def simbench() -> None:
    pytest.importorskip("simbench")


def test_random_days_hold_and_are_kept(simbench: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--days", "3", "--optima", "1", "--out", str(tmp_path)]
    days.main(asked)
    told = capsys.readouterr().out
    assert "0 silent failures in 3 days" in told
    assert (tmp_path / "days.html").is_file()
    before = (tmp_path / "days.jsonl").read_text()
    days.main(asked)
    assert (tmp_path / "days.jsonl").read_text() == before
    assert capsys.readouterr().out == told


def test_a_plan_that_moves_the_limits_does_not_keep_a_bound_above_its_cost(simbench: None) -> None:
    """Linearised at the plan before, the grid of this day proves 16.207 EUR; the plan costs 16.184 EUR."""
    row = days.coordinate(330)
    assert row.status == "optimal"
    assert row.silent == ()
    assert row.bound_eur is not None
    assert row.bound_eur <= row.cost_eur


def test_silent_failures_are_told(simbench: None) -> None:
    study = scenario.build(draws.scenario(0))
    good = days.Day(0, "rural1", 13, "optimal", cost_eur=100.0, bound_eur=99.95)
    assert days.silent_failures(study, good) == ()
    for change, word in (
        ({"voltage_pu": 2e-4}, "limits"),
        ({"loading": 2e-3}, "limits"),
        ({"bound_eur": 100.2}, "bound"),
        ({"bound_eur": np.nan}, "bound"),
        ({"breach": 1e-3}, "devices"),
    ):
        (told,) = days.silent_failures(study, replace(good, **change))
        assert word in told
        assert days.silent_failures(study, replace(good, status="infeasible", **change)) == (
            (told,) if word == "devices" else ()
        )


def test_answers_reveal_batteries_and_inverters(simbench: None) -> None:
    one, _ = measure(day(cars=False), WAYS[0], -165.6)
    assert one.storage_right == 1.0
    assert one.inverter == pytest.approx((0.0, 1.0), abs=1e-6)
    assert one.power[0] < 0.01
    assert one.moved[0] < 0.01
    assert one.capacity[0] > one.capacity_by_mean[0]  # batteries are seldom used to the full
