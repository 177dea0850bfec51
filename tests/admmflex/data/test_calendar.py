"""Tables over odd days: every energy is that of the instants, or a named fault."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from admmflex.data.clock import make_horizon
from admmflex.data.spec import HorizonSpec, TablesSpec
from admmflex.data.tables import profile_columns
from admmflex.errors import InputError

DAYS = {
    "spring change": ("Europe/Berlin", datetime(2016, 3, 27), 92),
    "autumn change": ("Europe/Berlin", datetime(2016, 10, 30), 100),
    "leap day": ("Europe/Berlin", datetime(2016, 2, 29), 96),
    "28 February of a leap year": ("Europe/Berlin", datetime(2016, 2, 28), 96),
    "28 February of another": ("Europe/Berlin", datetime(2015, 2, 28), 96),
    "year end": ("Europe/Berlin", datetime(2016, 12, 31), 96),
    "half an hour": ("Australia/Lord_Howe", datetime(2016, 4, 3), 98),
    "a day that is not": ("Pacific/Apia", datetime(2011, 12, 29), 96),
}


def instants(zone: str, day: datetime) -> list[datetime]:
    """Quarter hours from midnight to the next one, counted in UTC."""
    begin = day.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = (day + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return [begin + timedelta(minutes=15 * k) for k in range(round((end - begin) / timedelta(minutes=15)))]


def written(folder: Path, zone: str, rows: list[datetime], values: np.ndarray, offset: bool) -> Path:
    local = [row.astimezone(ZoneInfo(zone)) for row in rows]
    texts = [row.isoformat() if offset else row.replace(tzinfo=None).isoformat() for row in local]
    pd.DataFrame({"time": texts, "sun": values}).to_csv(folder / "profiles.csv", index=False)
    return folder / "profiles.csv"


def horizon(zone: str, day: datetime, minutes: float = 15.0) -> object:
    keys = {"start": f"{day:%Y-%m-%d} 00:00", "duration": "1d", "step_minutes": minutes, "timezone": zone}
    return make_horizon(HorizonSpec.model_validate(keys))


@pytest.mark.parametrize("name", DAYS)
@pytest.mark.parametrize("offset", [True, False], ids=["offset", "wall clock"])
def test_a_day_of_a_table_has_its_energy(name: str, offset: bool, tmp_path: Path) -> None:
    """Quarter by quarter, and as hours where the day has whole ones."""
    zone, day, count = DAYS[name]
    rows = instants(zone, day)
    values = np.random.default_rng(count).random(len(rows)).round(6)
    assert len(rows) == count
    path = written(tmp_path, zone, rows, values, offset)
    found = profile_columns(path, TablesSpec(), horizon(zone, day)).values["sun"]  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, values)
    if count % 4 == 0:
        hours = profile_columns(path, TablesSpec(resample="mean"), horizon(zone, day, 60.0))  # type: ignore[arg-type]
        np.testing.assert_allclose(hours.values["sun"].sum(), 0.25 * values.sum())


@settings(derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(DAYS)), row=st.integers(0, 91), twice=st.booleans(), offset=st.booleans())
def test_a_row_too_many_or_too_few_is_named(name: str, row: int, twice: bool, offset: bool, tmp_path: Path) -> None:
    """Whichever row of whichever day: it never moves the others."""
    zone, day, _ = DAYS[name]
    rows = instants(zone, day)
    rows[row : row + 1] = [rows[row]] * (2 * twice)
    path = written(tmp_path, zone, rows, np.ones(len(rows)), offset)
    with pytest.raises(InputError, match=r"appear twice|no row for 1 of|no instants|not sorted"):
        profile_columns(path, TablesSpec(), horizon(zone, day))  # type: ignore[arg-type]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu", "UTC"]),
    day=st.dates(datetime(1971, 1, 1).date(), datetime(2150, 1, 1).date()),
)
def test_every_local_day_is_as_long_as_its_clock_says(zone: str, day: object) -> None:
    midnight = datetime.combine(day, datetime.min.time())  # type: ignore[arg-type]
    try:
        found = horizon(zone, midnight)
    except InputError as error:
        assert "clock" in str(error)  # noqa: PT017  midnight itself is skipped or doubled
        return
    assert found.steps == len(instants(zone, midnight))  # type: ignore[attr-defined]
