"""Means from sums by blocks against means of all answers."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from admmflex.coordination.averages import BLOCK, LENGTHS, Averages


def test_means_are_those_of_the_last_answers_and_none_reaches_back_to_the_earlier_half() -> None:
    rng = np.random.default_rng(0)
    answers = [(rng.normal(size=(2, 3, 5)), rng.normal(size=(3, 5)), rng.normal(size=(5, 4))) for _ in range(75)]
    averages, seen = Averages(), set()
    for count, (y, energy, own) in enumerate(answers, start=1):
        kept = y.copy(), energy.copy(), own.copy()
        averages.add(y, ({"energy": energy}, {}), own)
        for length in averages.lengths():
            assert count % BLOCK == 0
            assert length <= max(LENGTHS[0], count / 2)
            powers, states = averages.answer(length)
            last = answers[count - length : count]
            assert_allclose(powers, np.mean([a[0] for a in last], axis=0), atol=1e-14)
            assert_allclose(states[0]["energy"], np.mean([a[1] for a in last], axis=0), atol=1e-14)
            assert_allclose(averages.own(length), np.mean([a[2] for a in last], axis=0), atol=1e-14)
            seen.add(length)
        for before, after in zip(kept, (y, energy, own), strict=True):
            assert np.array_equal(before, after)
    assert seen == set(LENGTHS)
