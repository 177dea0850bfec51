"""Plans and values of energy that look less far ahead than the horizon goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from admmflex.comm import SerialComm
from admmflex.coordination.charts import ChartControl, ChartSettings
from admmflex.coordination.foresight import Foresight
from admmflex.coordination.schemes import Sorted
from admmflex.data.reality import Deviations
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.closed_loop import simulate
from admmflex.studies.receding import RecedingSettings, simulate_prices

BINDING_KW = np.array([12.0, 0.0, 14.0, 13.0])


def test_a_grid_that_is_turned_has_the_rows_of_the_steps_where_they_are_now(five: Callable[[str, str], Study]) -> None:
    """The step that joins at the end begins like the one that was left behind."""
    study = five("11:00", "1h")
    buses = Sorted.of(study, SerialComm()).buses
    x = np.zeros((4, 2 * len(buses)))
    x[:, : len(buses)] = BINDING_KW[:, None]
    dso = Dso(study.network, study.limits, buses, 4)
    dso.relinearise(x)
    dso.project(x, np.ones_like(x))
    turned = dso.later(1, 4, study.limits)
    assert_array_equal(turned.origin, np.roll(dso.origin, -1, axis=0))
    assert_array_equal(np.bincount(turned.rows.step, minlength=4), np.roll(np.bincount(dso.rows.step, minlength=4), -1))
    assert (np.diff(turned.rows.step) >= 0).all()
    turned.relinearise(np.roll(x, -1, axis=0))
    for step in range(4):
        here, there = turned.rows.step == (step - 1) % 4, dso.rows.step == step
        assert_allclose(turned.rows.nu[here], dso.rows.nu[there])
        assert_allclose(turned.rows.value[here], dso.rows.value[there], atol=1e-9)


def test_energy_is_worth_what_the_window_says(five: Callable[[str, str], Study]) -> None:
    """As in a study that ends where the window does, with the least energy of the end there."""
    long, short = five("11:00", "2h"), five("11:00", "1h")
    values = []
    for study, ahead in ((long, 1.0), (short, 24.0)):
        homes = [one for one in study.prosumers if isinstance(one, Prosumer)]
        control = ChartControl(study, SerialComm(), ChartSettings())
        value = Foresight(control.devices, homes, study.horizon, 2e-4, ahead)
        value.begin(0)
        values.append(value.around(np.linspace(4.0, 29.0, 5), 0.1, 3))
    assert_allclose(values[0][1], values[1][1], atol=1e-12)
    assert_allclose(values[0][0], values[1][0], atol=1e-9)


@pytest.mark.parametrize("way", ["prices", "charts"])
def test_a_short_view_keeps_the_limits_and_the_bands(
    way: str, five: Callable[[str, str], Study], as_foreseen: Deviations
) -> None:
    study = five("11:00", "2h")
    if way == "prices":
        settings = RecedingSettings(control_h=1 / 12, lookahead_h=0.5)
        day = simulate_prices(study, None, settings, deviations=as_foreseen)
        whole = simulate_prices(study, None, replace(settings, lookahead_h=24.0), deviations=as_foreseen)
    else:
        drawn = ChartSettings(control_h=1 / 12, lookahead_h=0.5)
        day = simulate(study, None, drawn, deviations=as_foreseen)
        whole = simulate(study, None, replace(drawn, lookahead_h=24.0), deviations=as_foreseen)
    assert day.statuses == whole.statuses
    assert day.excess.max() <= 1e-3
    assert np.all(day.energy[:, -1] >= 6.0 - 0.05)
    stored = (day.energy[:, -1] - whole.energy[:, -1]).sum()
    assert day.cost.sum() >= whole.cost.sum() - 0.005 * abs(whole.cost.sum()) - 0.38 * max(stored, 0.0)
