"""The hard days are what they say, and one of them is solved and proven."""

from __future__ import annotations

import pytest

from experiments.hard.cases import CASES
from experiments.hard.run import measure, optimum


def test_every_case_is_a_scenario_and_named_once():
    assert len(CASES) >= 12
    assert len({case.name for case in CASES}) == len(CASES)


def test_prices_that_jump_are_solved_and_proven(tmp_path):
    case = next(case for case in CASES if case.name == "rural1-spot")
    row = measure(case, case.study(), optimum(case, tmp_path / "optima.json"))
    assert row.status == "optimal"
    assert row.good
    assert row.certified == pytest.approx(0.0, abs=1e-3)
    assert row.answers <= 30
