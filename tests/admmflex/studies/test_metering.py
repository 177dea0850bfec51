"""Homes that do something else than was agreed are named after the first control step in which the meter shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from admmflex.coordination.charts import ChartSettings
from admmflex.data.reality import Deviations
from admmflex.data.study import Study
from admmflex.studies import closed_loop, receding
from admmflex.studies.day import Day
from admmflex.studies.plant import Done, Plant

LIE_KW, LIAR, FIRST = 2.0, 3, 4
WILD = Deviations(load=0.6, flicker=0.6, sun=0.4, clouds=0.5)
Control = Callable[..., Day]


class Lying(Plant):
    """One home draws 2 kW more than it told, from a control step on."""

    def follow(self, t: int, *arguments: Any) -> Done:
        done = super().follow(t, *arguments)
        if t < FIRST:
            return done
        lie = LIE_KW * (np.arange(done.powers.shape[1]) == LIAR)
        return replace(done, powers=done.powers - np.stack([lie, 0.0 * lie]))


def by_prices(study: Study, deviations: Deviations | None = None) -> Day:
    settings = receding.RecedingSettings(control_h=1 / 60)
    return receding.simulate_prices(study, None, settings, seed=1, deviations=deviations)


def by_charts(study: Study, deviations: Deviations | None = None) -> Day:
    return closed_loop.simulate(study, None, ChartSettings(control_h=1 / 60), seed=1, deviations=deviations)


@pytest.mark.parametrize("control", [by_prices, by_charts])
def test_whoever_keeps_to_what_was_agreed_is_never_named(five: Callable[[str, str], Study], control: Control) -> None:
    """However load and sun swing."""
    assert control(five("12:00", "30min"), WILD).unkept == []


@pytest.mark.parametrize(("control", "module"), [(by_prices, receding), (by_charts, closed_loop)])
def test_a_lie_is_named_at_the_first_metered_step(
    five: Callable[[str, str], Study], monkeypatch: pytest.MonkeyPatch, control: Control, module: Any
) -> None:
    hour = five("12:00", "15min")
    monkeypatch.setattr(module, "Plant", Lying)
    day = control(hour)
    (named,) = day.unkept
    assert named["step"] == FIRST
    assert named["kw"] == pytest.approx(LIE_KW, abs=0.5)
    assert named["prosumer"] == hour.prosumers[LIAR].name
