"""The table of answers that go wrong, small, and the margin that covers a lie."""

from __future__ import annotations

import contextlib
import importlib.util

import numpy as np
import pytest

from admmflex.errors import Unanswered
from admmflex.response.population import Population
from experiments import compare
from experiments.reliability.answers import measure, table
from experiments.reliability.lies import LIE_KW, doubted
from experiments.reliability.lies import measure as lied
from experiments.reliability.unreliable import Trouble, Unreliable

pytestmark = pytest.mark.skipif(importlib.util.find_spec("simbench") is None, reason="simbench is not installed")


def test_lost_answers_cost_nothing_and_nonsense_is_held() -> None:
    rows = measure("rural1/check", ["none", "30 % lost", "one answers 1e6 kW"], [0])
    assert [row.status for row in rows] == ["optimal"] * 3
    for row in rows:
        assert row.over_pu <= 1e-4
        assert row.over_loading <= 1e-3
        assert row.kept == 0.0
    usual, lost, huge = rows
    assert max(usual.gap, lost.gap) <= 1e-3
    assert lost.asked > lost.answers
    assert (usual.silent, lost.silent, len(huge.silent)) == ((), (), 1)
    assert table(rows).row_count == 4


def test_a_margin_for_a_lie_keeps_the_limits() -> None:
    found = lied("rural1/check", 1, 60)
    assert found.covered.attacks == 60
    assert found.covered.broken == 0
    assert found.bare.broken > 0
    assert found.cost_eur > found.trusting_eur
    threat = doubted(compare.study("rural1/check"), 2).threat
    assert threat is not None
    assert np.allclose(threat.deviation_kw(), 2 * LIE_KW)


def arrived(keys: list[int], *, again: bool) -> list[bool]:
    """Whether the answers of home 5 to 20 questions arrive; the others are asked again at once, or not."""
    lost = {i: Trouble("lost", share=0.5) for i in range(len(keys))}
    homes, five = Unreliable(Population([], len(keys), 2), lost, np.array(keys), 7), keys.index(5)
    price, target, found = np.zeros((2, 1, 2)), np.zeros((2, len(keys), 2)), []
    for _ in range(20):
        missing: dict[int, str] = {}
        try:
            homes.answer(price, target, 0.0)
        except Unanswered as error:
            missing = error.why
        found.append(five not in missing)
        if again:
            with contextlib.suppress(Unanswered):
                homes.again(price, target, 0.0, np.array([key != 5 for key in keys]))
    return found


def test_what_gets_lost_is_a_homes_own_affair() -> None:
    """Whoever else is there, and whoever is asked again."""
    alone = arrived([5], again=False)
    assert 0 < sum(alone) < 20
    assert arrived([2, 5, 8], again=True) == alone
