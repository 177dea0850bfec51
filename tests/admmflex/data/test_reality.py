"""What happens instead of what was forecast."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.data.reality import Deviations, realise
from admmflex.horizon import Horizon
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer

STEPS, PARTS = 48, 90
AS_FORESEEN = Deviations(load=0.0, flicker=0.0, sun=0.0, clouds=0.0)


@pytest.fixture(scope="module")
def devices() -> Devices:
    """Loads that jump from step to step, and a day of sun with a cloud."""
    rng = np.random.default_rng(4)
    sun = 8.0 * np.sin(np.linspace(-0.5, np.pi + 0.5, STEPS)).clip(0.0)
    sun[20] = 1.0
    horizon = Horizon(datetime(2016, 5, 26, tzinfo=UTC), np.full(STEPS, 0.25))
    homes = []
    for i in range(3):
        load, pv = rng.uniform(0.0, 4.0, STEPS), Pv("pv", sun * (1.0 + i), 10.0 * (1.0 + i))
        homes.append(Prosumer(f"h{i}", i, (FixedLoad("load", load, 0.3 * load), pv), *np.full((2, STEPS), 0.3)))
    return Devices.of(homes, horizon)


def test_steps_keep_their_energy(devices: Devices) -> None:
    found = realise(devices, PARTS, 0, AS_FORESEEN)
    means = found.means(PARTS)
    assert_allclose(means.fixed_p, devices.fixed_p, atol=1e-12)
    assert_allclose(means.fixed_q, devices.fixed_q, atol=1e-12)
    peak = devices.source_give.max(axis=1, keepdims=True)
    below = devices.source_give < peak / 1.5  # parts are at most 1.5 times the mean; above the largest they are cut off
    assert_allclose(means.give[below], devices.source_give[below], atol=1e-12)
    assert (means.give <= devices.source_give + 1e-12).all()
    assert_allclose(means.give.sum(axis=1), devices.source_give.sum(axis=1), rtol=0.01)


def test_nothing_jumps_and_no_load_gives(devices: Devices) -> None:
    found = realise(devices, PARTS, 0, AS_FORESEEN)
    for fine, coarse in ((found.fixed_p, devices.fixed_p), (found.give, devices.source_give)):
        jump = np.abs(np.diff(coarse, axis=1)).max()
        assert np.abs(np.diff(fine, axis=1)).max() < 6.0 * jump / PARTS
    assert (found.fixed_p <= 0.0).all()
    assert (found.give >= 0.0).all()
    assert (found.give <= devices.source_give.max(axis=1, keepdims=True)).all()


def test_one_part_is_the_forecast(devices: Devices) -> None:
    found = realise(devices, 1, 0, AS_FORESEEN)
    assert_allclose(found.give, devices.source_give, atol=1e-12)
    assert_allclose(found.fixed_p, devices.fixed_p, atol=1e-12)


def test_deviations_are_as_wide_as_asked_for(devices: Devices) -> None:
    """Logarithms of demand over what it would be without: 400 draws of one moment."""
    wide = Deviations(load=0.3, flicker=0.4, sun=0.0, clouds=0.0)
    base = realise(devices, PARTS, 0, AS_FORESEEN).fixed_p[:, 777]
    drawn = np.array([realise(devices, PARTS, seed, wide).fixed_p[:, 777] for seed in range(400)])
    assert_allclose(np.log(drawn / base).std(axis=0), 0.5, rtol=0.15)
