"""Steps in local time, and profiles cut to them: energies are right on every day of the year."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admmflex.data.clock import ProfileAxis, make_horizon
from admmflex.data.spec import HorizonSpec
from admmflex.errors import InputError
from admmflex.horizon import Horizon

BERLIN = ZoneInfo("Europe/Berlin")
AXIS = ProfileAxis(datetime(2016, 1, 1, tzinfo=BERLIN), 35136)
YEAR = np.random.default_rng(0).random(35136)


def day(date: str, **keys: object) -> Horizon:
    return make_horizon(HorizonSpec.model_validate({"start": f"{date} 00:00", "duration": "1d", **keys}))


def instants(profile_of: np.ndarray, begin: datetime, end: datetime) -> float:
    """Energy between two instants, summed over the labels of the rows one by one."""
    first = datetime(2015, 12, 31, 23, tzinfo=UTC)
    rows = [k for k in range(35136) if begin <= first + timedelta(minutes=15 * k) < end]
    return 0.25 * float(sum(profile_of[k] for k in rows))


@pytest.mark.parametrize(
    ("date", "steps"), [("2016-03-27", 92), ("2016-10-30", 100), ("2016-07-01", 96), ("2016-01-01", 96)]
)
def test_a_local_day_has_the_energy_between_its_two_midnights(date: str, steps: int) -> None:
    horizon = day(date)
    assert horizon.steps == steps
    begin = datetime.fromisoformat(date).replace(tzinfo=BERLIN)
    end = (begin + timedelta(days=1)).astimezone(UTC)
    energy = float(horizon.dt_h @ AXIS.window(horizon).cut(YEAR))
    assert energy == pytest.approx(instants(YEAR, begin.astimezone(UTC), end), rel=1e-13)


def test_the_days_of_a_year_are_all_of_its_energy() -> None:
    start = datetime(2016, 1, 1)
    days = [day(str((start + timedelta(days=k)).date())) for k in range(366)]
    total = sum(float(h.dt_h @ AXIS.window(h).cut(YEAR)) for h in days)
    assert total == pytest.approx(0.25 * YEAR.sum(), rel=1e-12)
    assert sum(h.steps for h in days) == 35136


def test_steps_that_are_rows_take_their_values_unchanged() -> None:
    horizon = make_horizon(HorizonSpec(start="2016-05-20 07:00", steps=96))
    np.testing.assert_array_equal(AXIS.window(horizon).cut(YEAR), YEAR[13464 : 13464 + 96])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([1.0, 4.0, 15.0, 20.0, 35.0, 60.0, 125.0]), min_size=1, max_size=30),
    st.integers(0, 60 * 24 * 300),
)
def test_steps_of_any_length_keep_the_energy(minutes: list[float], offset: int) -> None:
    start = AXIS.first.astimezone(UTC) + timedelta(minutes=offset)
    horizon = Horizon(start.astimezone(BERLIN), np.array(minutes) / 60.0)
    energy = float(horizon.dt_h @ AXIS.window(horizon).cut(YEAR))
    each_minute = np.repeat(YEAR, 15)[offset : offset + int(sum(minutes))] / 60.0
    assert energy == pytest.approx(each_minute.sum(), rel=1e-9)


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({"start": "2016-03-27 02:30", "steps": 4}, "does not exist"),
        ({"start": "2016-10-30 02:30", "steps": 4}, "happens twice"),
        ({"start": "0001-01-01T00:00+02:00", "steps": 4}, "start = '0001-01-01"),
        ({"start": "9999-12-31", "duration": "1d"}, "a year from 1900 to 2200"),
        ({"start": "20.05.2016", "steps": 4}, "start = '20.05.2016'"),
        ({"start": "2016-05-20", "steps": 4, "timezone": "Europe/Berlinn"}, "timezone = 'Europe/Berlinn'"),
        ({"start": "2016-05-20", "duration": "100 min"}, "is 100 minutes"),
        ({"start": "2016-05-20", "duration": "99999h", "step_minutes": 0.1}, "is 5.99994e[+]06 minutes"),
        ({"start": "2016-05-20", "duration": "9999999d"}, "is inf minutes"),
        ({"start": "2016-05-20", "duration": "9" * 400 + "h"}, "is inf minutes"),
        ({"start": "2016-05-20T10:00:00.5", "steps": 4}, "fraction of a second"),
        ({"start": "2016-05-20", "steps": 4, "step_minutes": 0.01}, "step_minutes = 0.01; allowed: a second"),
        ({"start": "2016-05-20", "step_minutes": [15.0, 1e9]}, r"step_minutes = 1e\+09; allowed: a second"),
        ({"start": "2016-05-20", "steps": 1_000_000, "step_minutes": 10_000}, "ends after the year 2200"),
    ],
)
def test_a_start_that_is_not_one_instant_is_refused(keys: dict[str, object], found: str) -> None:
    with pytest.raises(InputError, match=found):
        make_horizon(HorizonSpec.model_validate(keys))


def test_steps_of_a_second_have_times_of_their_own() -> None:
    horizon = make_horizon(HorizonSpec(start="2016-10-30 01:59:58", steps=4, step_minutes=1 / 60))
    assert np.diff(horizon.times_utc).astype(int).tolist() == [1, 1, 1]


def test_an_offset_chooses_one_of_two_hours() -> None:
    early = make_horizon(HorizonSpec(start="2016-10-30T02:30+02:00", steps=1))
    late = make_horizon(HorizonSpec(start="2016-10-30T02:30+01:00", steps=1))
    assert late.start.timestamp() - early.start.timestamp() == 3600
    assert early.label(0) == late.label(0) == "2016-10-30 02:30"


@pytest.mark.parametrize(
    ("start", "steps"), [("2015-12-31 23:45", 2), ("2016-12-31 23:00", 5), ("2020-05-20 06:00", 1)]
)
def test_a_horizon_outside_the_profiles_is_refused(start: str, steps: int) -> None:
    horizon = make_horizon(HorizonSpec(start=start, steps=steps))
    with pytest.raises(InputError, match="inside the profiles: 2016-01-01T00:00:00"):
        AXIS.window(horizon)


def test_unequal_steps() -> None:
    horizon = make_horizon(HorizonSpec.model_validate({"start": "2016-05-20", "step_minutes": [15, 15, 30, 60]}))
    np.testing.assert_allclose(horizon.dt_h, [0.25, 0.25, 0.5, 1.0])
