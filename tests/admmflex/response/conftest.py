"""What tests of several responses share: the optimum of one prosumer by Clarabel on the sparse program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.solvers import Clarabel

Optimum = Callable[[Prosumer, Horizon, Array, Array, float], float]


def optimum_by_clarabel(prosumer: Prosumer, horizon: Horizon, price: Array, target: Array, rho: float) -> float:
    """Optimal objective [EUR] for a price and a target (2, K)."""
    one, dt = program(prosumer, horizon), horizon.dt_h
    unit = one.P.T @ sp.diags(dt) @ one.P + one.Q.T @ sp.diags(dt) @ one.Q
    pull = dt * (rho * (np.stack([one.p0, one.q0]) - target) - price)
    point = Clarabel(one, unit.tocsc()).solve(one.cost + one.P.T @ pull[0] + one.Q.T @ pull[1], rho)
    assert point is not None
    y = one.power(point.x)
    return one.own_cost(point.x) + float((0.5 * rho * (y - target) ** 2 - price * y).sum(axis=0) @ dt)


@pytest.fixture
def optimum() -> Optimum:
    return optimum_by_clarabel
