"""Claims about new scenarios hold as often as they say; intervals equal those of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from admmflex.errors import InputError
from admmflex.export_limits import broken, convergence, frequency, robust_limits


def test_minimum_and_quantile():
    xi = np.random.default_rng(0).random((200, 5))
    assert np.array_equal(robust_limits(xi).xi, xi.min(axis=0))
    for r in (0.95, 0.9):
        limit = robust_limits(xi, r)
        assert ((xi < limit.xi).sum(axis=0) == round((1 - r) * 200)).all()
        assert 0.4 < limit.claim < 0.6  # a plain quantile promises little
    proven = robust_limits(xi, 0.9, proven=True)
    assert proven.claim >= 0.95 > robust_limits(xi, 0.9).claim
    assert proven.step_bound <= 0.1


@pytest.mark.parametrize(("r", "proven"), [(1.0, False), (0.95, False), (0.9, True)])
def test_bounds_hold_with_their_confidence(r, proven):
    """Uniform xi: the probability that a new scenario is broken by limit x is x itself."""
    rng = np.random.default_rng(1)
    trials = [robust_limits(rng.random((80, 2)), r, confidence=0.8, proven=proven) for _ in range(800)]
    for name, of in (("step", lambda x: x.xi[0] <= x.step_bound), ("claim", lambda x: x.xi[0] <= 1 - r)):
        share = np.mean([of(x) for x in trials])
        expected = 0.8 if name == "step" else trials[0].claim
        assert abs(share - expected) < 0.05


def test_bound_of_the_day_holds():
    rng = np.random.default_rng(2)
    for _ in range(50):
        limit = robust_limits(rng.random((60, 10)), confidence=0.8)
        assert 1 - np.prod(1 - limit.xi) <= limit.day_bound <= 1


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 50), (50, 50)])
def test_interval_equals_scipy(count, total):
    found, theirs = frequency(count, total, 0.9), binomtest(count, total).proportion_ci(0.9, method="exact")
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_broken_steps_and_days():
    xi = np.array([[0.5, 1.0, 1.0], [0.2, 1.0, 1.0]])
    steps, days = broken(np.array([0.3, 1.0, 1.0]), xi)
    assert (steps.count, steps.total, days.count, days.total) == (1, 2, 1, 2)


def test_convergence_is_that_of_numpy():
    xi = np.random.default_rng(3).random((30, 4))
    mean, deviation = convergence(xi)
    for n in (2, 17, 30):
        np.testing.assert_allclose(mean[n - 1], xi[:n].mean(axis=0))
        np.testing.assert_allclose(deviation[n - 1], xi[:n].std(axis=0, ddof=1))


def test_bad_input():
    xi = np.full((5, 2), 0.5)
    with pytest.raises(InputError) as caught:
        robust_limits(xi * np.nan, 1.5, confidence=1.0)
    assert len(caught.value.faults) == 3
    with pytest.raises(InputError, match="at least 29 scenarios"):
        robust_limits(xi, 0.9, proven=True)
    with pytest.raises(InputError, match="infinitely many"):
        robust_limits(xi, 1.0, proven=True)
