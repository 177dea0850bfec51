"""Prices per step against the wall clock read step by step."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from admmflex.data.spec import TariffSpec
from admmflex.data.tariff import prices
from admmflex.errors import InputError
from admmflex.horizon import Horizon

BERLIN = ZoneInfo("Europe/Berlin")


def tariff(**keys: Any) -> TariffSpec:
    return TariffSpec.model_validate(keys)


def horizon(date: str = "2016-05-20", steps: int = 96, minutes: float = 15.0) -> Horizon:
    return Horizon(datetime.fromisoformat(date).replace(tzinfo=BERLIN), np.full(steps, minutes / 60.0))


def band(start: str, end: str, imp: float, exp: float) -> dict[str, Any]:
    return {"from": start, "to": end, "import": imp, "export": exp}


DAY_NIGHT = tariff(bands=[band("06:00", "22:00", 0.3, 0.08), band("22:00", "06:00", 0.2, 0.05)])


@pytest.mark.parametrize(("date", "steps"), [("2016-05-20", 96), ("2016-03-27", 92), ("2016-10-30", 100)])
def test_bands_follow_the_wall_clock(date: str, steps: int) -> None:
    h = horizon(date, steps)
    imp, exp = prices(DAY_NIGHT, h)
    time = h.start.astimezone(UTC)
    for t in range(steps):
        wall = (time + timedelta(minutes=15 * t)).astimezone(BERLIN)
        assert (imp[t], exp[t]) == ((0.3, 0.08) if 6 <= wall.hour < 22 else (0.2, 0.05))


def test_numbers_and_lists() -> None:
    imp, exp = prices(tariff(**{"import": [0.3, 0.2, 0.1], "export": 0.05}), horizon(steps=3))
    np.testing.assert_array_equal(imp, [0.3, 0.2, 0.1])
    np.testing.assert_array_equal(exp, [0.05, 0.05, 0.05])


def test_a_band_stands_over_the_base_prices() -> None:
    imp, _ = prices(
        tariff(**{"import": 0.3, "export": 0.1}, bands=[band("01:00", "02:00", 0.5, 0.1)]), horizon(steps=12)
    )
    np.testing.assert_array_equal(imp, [0.3] * 4 + [0.5] * 4 + [0.3] * 4)


@pytest.mark.parametrize(
    ("spec", "h", "found"),
    [
        (tariff(**{"import": 0.1, "export": 0.2}), horizon(), "import price 0.1 below export price 0.2"),
        (tariff(**{"import": [0.1, 0.2], "export": 0.0}), horizon(), "2 prices"),
        (tariff(**{"import": float("nan"), "export": 0.0}), horizon(), "not finite"),
        (tariff(bands=[band("06:00", "22:00", 0.3, 0.1)]), horizon(), "no price at 2016-05-20 00:00, 32 steps"),
        (tariff(bands=[band("00:00", "13:00", 1, 0), band("12:00", "00:00", 1, 0)]), horizon(), "overlaps 00:00-13:00"),
        (DAY_NIGHT, horizon("2016-05-20T05:30", 2, 60.0), "lies across the limit of a band"),
    ],
)
def test_a_tariff_that_does_not_fit_is_refused(spec: TariffSpec, h: Horizon, found: str) -> None:
    with pytest.raises(InputError, match=found):
        prices(spec, h)


def test_a_step_may_end_where_a_band_ends() -> None:
    imp, _ = prices(DAY_NIGHT, horizon("2016-05-20T05:00", 2, 60.0))
    np.testing.assert_array_equal(imp, [0.2, 0.3])
