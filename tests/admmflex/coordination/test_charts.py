"""Control by charts: set-points that stay where they are, and homes that cannot be trusted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.coordination.charts import ChartControl
from admmflex.data.study import Study
from admmflex.errors import SolverError
from admmflex.horizon import Array
from admmflex.prosumers.charting import Measured
from grid.limits import Limits

FIVE = Path(__file__).parents[3] / "experiments" / "flex_charts" / "five.yaml"
STEP = 10 / 3600
BINDING, FREE = 46, 52  # quarter hours: 11:30, when the voltage limit binds, and 13:00


@pytest.fixture(scope="module")
def study() -> Study:
    return scenario.build(scenario.load(FIVE))


def control(study: Study, period: int) -> tuple[ChartControl, Measured]:
    """Homes with half-full stores that measure what was foreseen."""
    found = ChartControl(study, SerialComm())
    found.begin(period)
    devices = found.devices
    energy = devices.low + (devices.high - devices.low) * np.linspace(0.3, 0.7, len(devices.stores))
    return found, Measured(
        devices.fixed_p[:, period], devices.fixed_q[:, period], devices.source_give[:, period], energy
    )


def devices_at(found: ChartControl, measured: Measured, step: int) -> tuple[Array, bool]:
    """Powers of all devices, and whether a limit of the grid binds."""
    chosen = found.step(measured, (89 - step) * STEP)
    assert chosen.status == "optimal"
    done = chosen.actions
    powers = np.concatenate([done.source_p, done.source_q, done.storage_p, done.storage_q])
    return powers, bool(np.abs(chosen.price).max() > 1e-9)


@pytest.mark.parametrize("period", [BINDING, FREE])
def test_set_points_stay_while_nothing_changes(study: Study, period: int) -> None:
    found, measured = control(study, period)
    calls = [devices_at(found, measured, step) for step in range(8)]
    assert [binds for _, binds in calls] == [period == BINDING] * len(calls)
    for powers, _ in calls[2:]:
        assert_allclose(powers, calls[1][0], atol=1e-6)


@pytest.mark.parametrize("period", [BINDING, FREE])
def test_set_points_move_about_as_much_as_what_is_measured(study: Study, period: int) -> None:
    """A thousandth more or less at every home: some 10 W of sun each, 50 W in all."""
    found, measured = control(study, period)
    noise = np.random.default_rng(0)
    calls = []
    for step in range(8):
        give = measured.give * (1.0 + 1e-3 * noise.standard_normal(len(measured.give)))
        calls.append(devices_at(found, replace(measured, give=give), step)[0])
    assert np.abs(np.diff(calls[1:], axis=0)).max() < 0.1


def test_a_home_that_cannot_be_trusted_does_what_is_safe_and_the_others_go_on(study: Study) -> None:
    found, measured = control(study, BINDING)
    energy = measured.energy.copy()
    energy[2] = np.nan
    chosen = found.step(replace(measured, energy=energy), 0.1)
    assert chosen.status == "optimal"
    assert [fault.element for fault in chosen.drawn.faults] == ["home 'home 3'"]
    assert chosen.actions.storage_p[2] == 0.0
    assert chosen.actions.source_p[2] == pytest.approx(measured.give[2])
    assert np.abs(chosen.actions.storage_p[[0, 1, 3, 4]]).max() > 0.0


@pytest.mark.parametrize("fails", [False, True])
def test_where_the_grid_finds_nothing_homes_exchange_little(
    study: Study, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """Voltages that no power of the homes can make, or a solver that gives up."""
    network = study.network.with_limits(1.15, 1.20)
    found, measured = control(replace(study, network=network, limits=Limits.of(network)), FREE)
    if fails:

        def give_up(charts: object) -> None:
            raise SolverError("no answer")

        assert found.central is not None
        monkeypatch.setattr(found.central, "solve", give_up)
    chosen = found.step(measured, 0.1)
    assert chosen.status == ("failed" if fails else "infeasible")
    done = chosen.actions
    exchange = measured.fixed_p.copy()
    np.add.at(exchange, found.devices.source_home, done.source_p)
    np.add.at(exchange, found.devices.storage_home, done.storage_p)
    assert_allclose(exchange, 0.0, atol=1e-6)
