"""Consumers that can only shed: the closed form equals a quadratic program."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.assets import Asset, FixedLoad, SheddableLoad, Unmet
from admmflex.horizon import Horizon
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.shedders import shedders, sheds_only
from admmflex.response.choose import populate
from admmflex.response.qp import QpResponse
from admmflex.response.shedding import SheddingResponse
from admmflex.studies.hindsight import Known

HORIZON = Horizon(datetime(2024, 1, 1, tzinfo=UTC), np.array([0.25, 0.25, 0.5, 1.0, 1.0, 2.0]))


def consumers() -> list[Prosumer]:
    """A load in two classes beside a fixed one, one class, idle steps, the gap of a request, a falling worth."""
    rng, steps = np.random.default_rng(0), HORIZON.steps
    load, zero = rng.uniform(0.5, 4.0, steps), np.zeros(steps)
    idle = np.where(np.arange(steps) % 2, load, 0.0)
    tariff = np.full(steps, 0.3)

    def parts(p: Any, ratio: float) -> tuple[Asset, ...]:
        normal = SheddableLoad("normal", 0.7 * p, 0.7 * ratio * p, 1.0, 3.0, "normal")
        return (SheddableLoad("critical", 0.3 * p, 0.3 * ratio * p, 0.9, 15.0, "critical"), normal)

    falling = [(asset.name, asset.flow(HORIZON)) for asset in parts(load, 0.4)]
    lasting = np.linspace(1.0, 0.0, steps)
    fixed = FixedLoad("fixed", 0.5 * load, 0.1 * load)
    return [
        Prosumer("both", 1, (fixed, *parts(load, 0.4)), tariff, tariff / 4),
        Prosumer("one", 2, parts(load, -0.2)[:1], zero, zero),
        Prosumer("idle", 2, parts(idle, 0.3), zero, zero),
        Prosumer("gap", 1, (Unmet("unmet", 30.0, 10.0),), zero, zero),
        Prosumer(
            "falling",
            2,
            tuple(Known(name, replace(flow, give_cost=lasting * flow.give_cost)) for name, flow in falling),
            zero,
            zero,
        ),
    ]


@pytest.mark.parametrize("rho", [0.0, 1e-4, 0.1, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_answers_equal_a_quadratic_program(rho: float, seed: int) -> None:
    homes, rng = consumers(), np.random.default_rng(seed)
    assert all(sheds_only(one, [asset.flow(HORIZON) for asset in one.assets]) for one in homes)
    bus = [one.bus - 1 for one in homes]
    arrays = shedders(homes, range(5), bus, HORIZON)
    assert arrays is not None
    ours = SheddingResponse(arrays, HORIZON)
    peer = QpResponse(homes, np.arange(5), np.array(bus), HORIZON)
    price, target = rng.uniform(-12, 20, (2, 2, HORIZON.steps)), 3 * rng.normal(size=(2, 5, HORIZON.steps))
    y, z = np.zeros((2, 2, 5, HORIZON.steps))
    ours.answer(price, target, rho, y)
    peer.answer(price, target, rho, z)
    assert_allclose(ours.cost(), peer.cost(), rtol=1e-6, atol=1e-6)
    assert_allclose(y, z, rtol=0, atol=1e-6 if rho >= 0.1 else 1e-4)
    assert_allclose(ours.evaluate_cost(y[0], ours.state()), ours.cost(), rtol=1e-12)
    for one, plans in enumerate(ours.plans(ours.state())):
        assert_allclose(sum(plan.p for plan in plans), y[0, one], atol=1e-12)
        assert_allclose(sum(plan.q for plan in plans), y[1, one], atol=1e-12)


def test_such_consumers_are_answered_in_closed_form() -> None:
    found = populate(consumers(), HORIZON, {1: 0, 2: 1})
    assert found.ways() == {"shedding": 5}


def test_what_could_feed_in_under_a_tariff_is_no_consumer() -> None:
    one = consumers()[3]
    tariff = np.full(HORIZON.steps, 0.3)
    paying = Prosumer("gap", 1, one.assets, tariff, tariff)
    assert not sheds_only(paying, [asset.flow(HORIZON) for asset in one.assets])
