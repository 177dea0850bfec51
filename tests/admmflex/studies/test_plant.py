"""Homes as they really are: energies, limits and set-points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.data.reality import Reality, realise
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.charting import Actions, Measured
from admmflex.prosumers.devices import Devices
from admmflex.studies.plant import Done, Plant

DT, PER_STEP, NOON = 1 / 12, 3, "12:00"


@pytest.fixture(scope="module")
def devices(five: Callable[[str, str], Study]) -> Devices:
    study = five(NOON, "2h")
    return Devices.of(list(study.prosumers), study.horizon)


def at_rest(devices: Devices, seen: Measured, **powers: Array) -> Actions:
    sources, storages = np.zeros(len(devices.sources)), np.zeros(len(devices.stores))
    told = Actions(seen.give.copy(), sources, storages, storages.copy(), np.zeros(devices.homes))
    return replace(told, **powers)


def steps(devices: Devices, reality: Reality, seed: int) -> list[tuple[Plant, Array, Done]]:
    """A plant that is told anything at all, step by step: the energies before and what was done."""
    rng, plant, found = np.random.default_rng(seed), Plant(devices, reality, DT), []
    for t in range(reality.give.shape[1]):
        seen, before = plant.measured(t), plant.energy
        wishes = {
            "source_p": seen.give * rng.uniform(0.0, 1.0, len(seen.give)),
            "source_q": rng.uniform(-9.0, 9.0, len(seen.give)),
            "storage_p": rng.uniform(-12.0, 12.0, len(before)),
            "storage_q": rng.uniform(-12.0, 12.0, len(before)),
        }
        found.append((plant, before, plant.follow(t, t // PER_STEP, seen, at_rest(devices, seen, **wishes))))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_energies_balance_within_limits_whatever_is_told(devices: Devices, seed: int) -> None:
    reality = realise(devices, PER_STEP, seed)
    for t, (_, before, done) in enumerate(steps(devices, reality, seed)):
        p, q = done.storage
        eta_give = np.array([one.eta_give[0] for one in devices.stores])
        eta_take = np.array([one.eta_take[0] for one in devices.stores])
        lost = DT * (np.maximum(p, 0.0) / eta_give - eta_take * np.maximum(-p, 0.0))
        assert_allclose(done.energy, before - lost, atol=1e-9)
        assert np.all(done.energy >= devices.low - 1e-9)
        assert np.all(done.energy <= devices.high + 1e-9)
        assert np.all(np.hypot(p, q) <= devices.size[:, 0] * (1.0 + 1e-9))
        assert np.all(done.source[0] <= reality.give[:, t] + 1e-12)
        assert np.all(np.abs(done.source[1]) <= done.source[0] * np.tan(np.arccos(0.9487)) + 1e-9)


def test_powers_at_the_connection_are_those_of_the_devices(devices: Devices) -> None:
    reality = realise(devices, PER_STEP, 0)
    for t, (_, _, done) in enumerate(steps(devices, reality, 0)):
        for c, fixed in enumerate((reality.fixed_p, reality.fixed_q)):
            assert_allclose(done.powers[c], fixed[:, t] + done.source[c] + done.storage[c], atol=1e-12)


def test_storages_that_can_keep_the_connection_where_it_was_told_to_be(devices: Devices) -> None:
    plant = Plant(devices, realise(devices, PER_STEP, 1), DT)
    for t in range(1, 9):
        seen = plant.measured(t)
        told = at_rest(devices, seen, storage_p=np.full(len(devices.stores), -2.0))
        done = plant.follow(t, t // PER_STEP, seen, told)
        assert np.all(np.abs(done.storage[0] + 2.0) > 1e-6)  # something did deviate
        assert_allclose(done.powers[0], seen.fixed_p + told.source_p + told.storage_p, atol=1e-9)


def test_a_curtailed_plant_gives_no_more_than_it_was_told(devices: Devices) -> None:
    plant = Plant(devices, realise(devices, PER_STEP, 2), DT)
    for t in range(1, 9):
        seen = plant.measured(t)
        done = plant.follow(t, t // PER_STEP, seen, at_rest(devices, seen, source_p=0.5 * seen.give))
        assert_allclose(done.source[0], 0.5 * seen.give)


def test_wear_and_reactive_energy_cost_what_the_assets_say(devices: Devices) -> None:
    for _, _, done in steps(devices, realise(devices, PER_STEP, 0), 3):
        moved = 0.01 * np.abs(done.storage[0]) + 0.002 * (np.abs(done.storage[1]) + np.abs(done.source[1]))
        assert_allclose(done.wear, DT * moved, atol=1e-12)
