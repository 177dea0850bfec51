"""Tables of prosumers and profiles: what does not fit the steps is named, never repaired."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from admmflex.data.spec import TablesSpec
from admmflex.data.tables import profile_columns, prosumer_rows
from admmflex.errors import InputError
from admmflex.horizon import Horizon

BERLIN = ZoneInfo("Europe/Berlin")
SPEC = TablesSpec(profiles="profiles.csv")
MEAN = TablesSpec(profiles="profiles.csv", resample="mean")
HOUR = ["2016-05-20 06:00", "2016-05-20 06:15", "2016-05-20 06:30", "2016-05-20 06:45"]


def steps(start: str = "2016-05-20 06:00", count: int = 4, minutes: float = 15.0) -> Horizon:
    return Horizon(datetime.fromisoformat(start).replace(tzinfo=BERLIN), np.full(count, minutes / 60.0))


def table(folder: Path, times: list[Any], values: list[Any] | None = None, name: str = "profiles.csv") -> Path:
    frame = pd.DataFrame({"time": times, "sun": range(len(times)) if values is None else values})
    path = folder / name
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


def test_rows_are_found_by_their_instant(tmp_path: Path) -> None:
    extra = ["2016-05-20 05:45", *HOUR, "2016-05-20 07:00"]
    for path in (table(tmp_path, extra), table(tmp_path, list(pd.to_datetime(extra)), name="profiles.parquet")):
        np.testing.assert_array_equal(profile_columns(path, SPEC, steps()).values["sun"], [1.0, 2.0, 3.0, 4.0])


def test_offsets_and_another_zone(tmp_path: Path) -> None:
    with_offset = table(tmp_path, [f"2016-05-20T04:{m:02}Z" for m in (0, 15, 30, 45)])
    np.testing.assert_array_equal(profile_columns(with_offset, SPEC, steps()).values["sun"], range(4))
    utc = TablesSpec(profiles="profiles.csv", timezone="UTC")
    without = table(tmp_path, [f"2016-05-20 04:{m:02}" for m in (0, 15, 30, 45)])
    np.testing.assert_array_equal(profile_columns(without, utc, steps()).values["sun"], range(4))


@pytest.mark.parametrize(("date", "count"), [("2016-03-27", 92), ("2016-10-30", 100)])
def test_a_day_with_a_change_of_the_clock(tmp_path: Path, date: str, count: int) -> None:
    horizon = steps(f"{date} 00:00", count)
    instants = pd.date_range(f"{date} 00:00", periods=count, freq="15min", tz="Europe/Berlin")
    for times in (instants.tz_localize(None).astype(str), [stamp.isoformat() for stamp in instants]):
        path = table(tmp_path, list(times))
        np.testing.assert_array_equal(profile_columns(path, SPEC, horizon).values["sun"], range(count))


def test_rows_of_another_length_are_averaged_only_on_request(tmp_path: Path) -> None:
    path = table(tmp_path, HOUR, [1.0, 2.0, 6.0, 3.0])
    with pytest.raises(InputError, match="2 rows between the steps, the first 2016-05-20 06:15"):
        profile_columns(path, SPEC, steps(count=2, minutes=30.0))
    np.testing.assert_allclose(profile_columns(path, MEAN, steps(count=2, minutes=30.0)).values["sun"], [1.5, 4.5])
    np.testing.assert_allclose(
        profile_columns(path, MEAN, steps(count=12, minutes=5.0)).values["sun"][:4], [1, 1, 1, 2]
    )


@pytest.mark.parametrize(
    ("times", "values", "spec", "found"),
    [
        (HOUR[:3], None, SPEC, "no row for 1 of 4 steps, the first 2016-05-20 06:45"),
        ([*HOUR, HOUR[-1]], None, SPEC, "1 times appear twice, the first 2016-05-20 06:45"),
        ([HOUR[1], HOUR[0], *HOUR[2:]], None, SPEC, "not sorted: 2016-05-20 06:00.* in row 2 follows 2016-05-20 06:15"),
        ([HOUR[0], None, *HOUR[2:]], None, SPEC, "1 timestamps missing, the first in row 2"),
        (
            ["20.05.2016 06:00", *HOUR[1:]],
            None,
            SPEC,
            "1 values of 'time' are no times, the first '20.05.2016 06:00' in row 1",
        ),
        ([1, 2, 3, 4], None, SPEC, "4 values of 'time' are no times, the first '1' in row 1"),
        ([], None, SPEC, "has no rows"),
        ([HOUR[0] + "+02:00", *HOUR[1:]], None, SPEC, "has no offset, others have one"),
        (["2016-03-27 02:30"], None, SPEC, "no instants in Europe/Berlin"),
        (["2016-10-30 02:30"], None, SPEC, "no instants in Europe/Berlin"),
        (HOUR, [1, "two", 3, 4], SPEC, "column 'sun': has values that are not numbers, the first 'two' in row 2"),
        (HOUR, ["1", "2", "3", "0,4"], SPEC, "the first '0,4' in row 4; allowed: numbers with a decimal point"),
        ([HOUR[0], HOUR[1], HOUR[3]], None, MEAN, "gap after 2016-05-20 06:15"),
        (HOUR, [1.0, np.nan, 3.0, 4.0], MEAN, "column 'sun': 1 values not finite, the first at 2016-05-20 06:15"),
        (HOUR[:2], None, MEAN, "inside the profiles"),
    ],
)
def test_profiles_that_do_not_fit_are_refused(
    tmp_path: Path, times: list[Any], values: list[Any] | None, spec: TablesSpec, found: str
) -> None:
    with pytest.raises(InputError, match=found):
        profile_columns(table(tmp_path, times, values), spec, steps())


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is missing"):
        profile_columns(tmp_path / "none.csv", SPEC, steps())
    (tmp_path / "broken.parquet").write_bytes(b"no table")
    with pytest.raises(InputError, match="cannot be read"):
        profile_columns(tmp_path / "broken.parquet", SPEC, steps())
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="cannot be read"):
        profile_columns(tmp_path / "empty.csv", SPEC, steps())
    with pytest.raises(InputError, match="is a folder"):
        profile_columns(tmp_path, SPEC, steps())
    (tmp_path / "wide.csv").write_text("time,sun\n", encoding="utf-16")
    with pytest.raises(InputError, match="is not UTF-8 text"):
        profile_columns(tmp_path / "wide.csv", SPEC, steps())
    (tmp_path / "other.csv").write_text("when,sun\n1,2\n")
    with pytest.raises(InputError, match="no column 'time'"):
        profile_columns(tmp_path / "other.csv", SPEC, steps())


def test_a_row_has_the_keys_of_an_explicit_prosumer(tmp_path: Path) -> None:
    path = tmp_path / "prosumers.csv"
    path.write_text("name,bus,load.p_kw,pv.kwp,pv.profile,pv.curtailable\n12,3,house,5,sun,true\nb,4,1.5,,,\n")
    assert prosumer_rows(path) == [
        {"name": "12", "bus": 3, "load": {"p_kw": "house"}, "pv": {"kwp": 5, "profile": "sun", "curtailable": True}},
        {"name": "b", "bus": 4, "load": {"p_kw": 1.5}},
    ]


def test_columns_that_appear_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "prosumers.csv"
    path.write_text("name,bus,bus\na,1,2\n")
    with pytest.raises(InputError, match="column 'bus' appears 2 times"):
        prosumer_rows(path)
    (tmp_path / "profiles.csv").write_text("time,sun, sun\n2016-05-20 06:00,1,2\n")
    with pytest.raises(InputError, match="column 'sun' appears 2 times"):
        profile_columns(tmp_path / "profiles.csv", SPEC, steps(count=1))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name,bus,load.p_kw\na,1,2,3\n", "rows with more cells than the 3 columns"),
        ("name,bus,load.p_kw\na,1,2,3\nb,1,2\n", "rows with more cells than the 3 columns"),
        ("name,bus,load.p_kw\na,1,2\nb,1,2,3\n", "cannot be read: .*line 3"),
        ("name;bus;load.p_kw\na;1;2,5\n", "columns are separated by ';'"),
        ("name,bus,load,load.p_kw\na,1,2,3\n", r"column 'load' beside load\.\*"),
        ("name,bus,load.p_kw,load.p_kw.x\na,1,2,3\n", r"column 'load\.p_kw' beside load\.p_kw\.\*"),
    ],
)
def test_cells_belong_to_the_column_above_them(tmp_path: Path, text: str, found: str) -> None:
    """A spreadsheet's habits are refused; none moves a number into another column."""
    path = tmp_path / "prosumers.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=found):
        prosumer_rows(path)


def test_a_comma_at_the_end_of_every_row_moves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "prosumers.csv"
    path.write_text("name,bus,load.p_kw\na,1,2,\nb,3,4,\n", encoding="utf-8-sig")
    assert prosumer_rows(path) == [
        {"name": "a", "bus": 1, "load": {"p_kw": 2}},
        {"name": "b", "bus": 3, "load": {"p_kw": 4}},
    ]


@pytest.mark.parametrize("name", ["sessions", "tasks"])
def test_sessions_and_tasks_without_prosumers_are_refused(name: str) -> None:
    """Nobody would read them."""
    with pytest.raises(ValueError, match=r"give tables\.prosumers"):
        TablesSpec.model_validate({"profiles": "profiles.csv", name: "x.csv"})
