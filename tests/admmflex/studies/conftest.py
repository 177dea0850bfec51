"""Five homes on one cable, for some hours of a sunny day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from admmflex import scenario
from admmflex.data.reality import Deviations
from admmflex.data.study import Study

FIVE = Path(__file__).parents[3] / "experiments" / "flex_charts" / "five.yaml"
AS_FORESEEN = Deviations(load=0.0, flicker=0.0, sun=0.0, clouds=0.0)


@pytest.fixture(scope="session")
def five() -> Callable[[str, str], Study]:
    """The study of so many hours from a time on."""
    loaded = scenario.load(FIVE)

    def build(start: str, duration: str) -> Study:
        horizon = loaded.spec.horizon.model_dump() | {"start": f"2016-05-26 {start}", "duration": duration}
        spec = loaded.spec.model_copy(update={"horizon": type(loaded.spec.horizon).model_validate(horizon)})
        return scenario.build(replace(loaded, spec=spec))

    return build


@pytest.fixture(scope="session")
def as_foreseen() -> Deviations:
    """What happens is what was foreseen."""
    return AS_FORESEEN
