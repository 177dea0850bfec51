"""Balancing of the penalty: bounded, with a dead band, and frozen in the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from admmflex.coordination.penalty import Balancing

BALANCING = Balancing()
RESIDUAL = st.floats(0.0, 1e9) | st.floats(1e-300, 1e-6)


@given(rho=st.floats(1e-8, 1e3), iteration=st.integers(1, 300), primal=RESIDUAL, dual=RESIDUAL)
def test_one_update_is_bounded_and_moves_towards_balance(
    rho: float, iteration: int, primal: float, dual: float
) -> None:
    after = BALANCING.update(rho, iteration, primal, dual)
    assert rho / BALANCING.most * (1 - 1e-12) <= after <= rho * BALANCING.most * (1 + 1e-12)
    if after > rho:
        assert BALANCING.bias * primal > dual
    if after < rho:
        assert BALANCING.bias * primal < dual


@pytest.mark.parametrize("iteration", [1, *(k for k in range(5, 41) if k % 3), 41, 42, 45, 300])
def test_it_keeps_still_between_its_turns_and_after_the_last(iteration: int) -> None:
    assert BALANCING.update(0.01, iteration, 1.0, 1e-9) == 0.01


@pytest.mark.parametrize("iteration", [2, 3, 4, 6, 9, 39])
def test_it_acts_in_its_turns(iteration: int) -> None:
    assert BALANCING.update(0.01, iteration, 1.0, 1e-9) == pytest.approx(0.05)
    assert BALANCING.update(0.01, iteration, 1e-9, 1.0) == pytest.approx(0.002)


@pytest.mark.parametrize(("factor", "moves"), [(1.4, False), (1 / 1.4, False), (1.6, True), (1 / 1.6, True)])
def test_small_corrections_are_not_worth_it(factor: float, moves: bool) -> None:
    after = BALANCING.update(0.01, 3, factor**2 / BALANCING.bias, 1.0)
    assert (after != 0.01) == moves
    if moves:
        np.testing.assert_allclose(after, 0.01 * factor)


def test_balanced_residuals_are_a_fixed_point() -> None:
    """Residuals that follow rho as theory says are brought to the wanted ratio and left there."""
    rho, ratios = 1e-5, []
    for iteration in range(1, 60):
        primal, dual = 1.0 / rho, rho * 1e3
        ratios.append(BALANCING.bias * primal / dual)
        rho = BALANCING.update(rho, iteration, primal, dual)
    assert 1.5**-2 <= ratios[-1] <= 1.5**2
    assert ratios[-1] == ratios[-10]
