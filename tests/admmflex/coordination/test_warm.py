"""A warm start reaches the plan of a cold one in fewer answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.coordination.admm import Admm
from admmflex.coordination.central import solve_central
from admmflex.coordination.coordinated import Coordinated, Warm
from admmflex.coordination.schemes import Sorted, admm_settings
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.prosumers.prosumer import Prosumer

CHECK = Path(__file__).parents[3] / "experiments" / "rural1" / "check.yaml"


def coordinate(study: Study, warm: Warm | None = None) -> Coordinated:
    ordered = Sorted.of(study, SerialComm())
    dso = Dso(study.network, study.limits, ordered.buses, study.horizon.steps)
    settings = admm_settings(study.settings)
    return Admm(ordered.community(study.horizon), dso, SerialComm(), settings, warm=warm).run()


def changed(study: Study, spread: float) -> Study:
    """The same homes with other loads than forecast."""
    rng = np.random.default_rng(0)

    def other(one: Prosumer) -> Prosumer:
        return replace(
            one,
            assets=tuple(
                replace(asset, p_kw=asset.p_kw * (1 + spread * rng.normal(size=study.horizon.steps)))
                if asset.kind == "load"
                else asset
                for asset in one.assets
            ),
        )

    return replace(study, prosumers=tuple(other(one) for one in study.prosumers))


@pytest.fixture(scope="module")
def study() -> Study:
    return scenario.build(scenario.load(CHECK))


def test_a_changed_forecast_needs_fewer_answers_from_yesterdays_prices(study: Study) -> None:
    yesterday = coordinate(study)
    today = changed(study, 0.05)
    assert any(
        not np.array_equal(a.assets[0].p_kw, b.assets[0].p_kw)
        for a, b in zip(study.prosumers, today.prosumers, strict=True)
    )
    cold, warm = coordinate(today), coordinate(today, yesterday.warm)
    optimum = solve_central(today.network, today.limits, today.prosumers, today.horizon).cost
    assert cold.status == warm.status == "optimal"
    assert abs(warm.plan.cost - optimum) <= 1e-3 * abs(optimum)
    assert warm.answers <= 0.75 * cold.answers


def test_restarting_at_the_answer_stays_there(study: Study) -> None:
    first = coordinate(study)
    again = coordinate(study, first.warm)
    assert again.baseline is None
    assert again.plan.cost == pytest.approx(first.plan.cost, rel=1e-3)
    assert np.all(again.plan.excess <= [1e-4, 1e-3])
