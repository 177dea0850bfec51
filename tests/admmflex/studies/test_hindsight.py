"""The reference that knows what happened."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from numpy.testing import assert_allclose

from admmflex.coordination.central import solve_central
from admmflex.data.reality import Deviations, realise
from admmflex.data.study import Study
from admmflex.prosumers.devices import Devices
from admmflex.studies.hindsight import hindsight

PER_STEP = 6


@pytest.fixture(scope="module")
def study(five: Callable[[str, str], Study]) -> Study:
    return five("11:00", "3h")


def optimum(study: Study) -> float:
    found = solve_central(study.network, study.limits, study.prosumers, study.horizon)
    assert found.status == "optimal"
    return found.cost


@pytest.mark.parametrize("merge", [2, PER_STEP])
def test_without_deviations_it_is_the_study(study: Study, as_foreseen: Deviations, merge: int) -> None:
    devices = Devices.of(list(study.prosumers), study.horizon)
    known = hindsight(study, realise(devices, PER_STEP, 0, as_foreseen), merge=merge)
    assert known.horizon.steps == study.horizon.steps * PER_STEP // merge
    assert optimum(known) == pytest.approx(optimum(study), rel=1e-4)


@pytest.mark.parametrize("merge", [1, 2, 3, PER_STEP])
def test_merging_conserves_energy(study: Study, merge: int) -> None:
    devices = Devices.of(list(study.prosumers), study.horizon)
    reality = realise(devices, PER_STEP, 4)
    known = hindsight(study, reality, merge=merge)
    found = Devices.of(list(known.prosumers), known.horizon)
    control_h = float(study.horizon.dt_h[0]) / PER_STEP
    for name, happened in (("fixed_p", reality.fixed_p), ("fixed_q", reality.fixed_q), ("source_give", reality.give)):
        assert_allclose(getattr(found, name) @ known.horizon.dt_h, control_h * happened.sum(axis=1), rtol=1e-12)
    assert known.horizon.dt_h.sum() == pytest.approx(study.horizon.dt_h.sum())
    assert_allclose(found.low, devices.low)
