"""A step is named by number or time; what lies outside is a fault."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from admmflex.errors import InputError
from admmflex.export.steps import chosen


@pytest.mark.parametrize(("step", "at", "found"), [
    (3, None, 3), (None, "2016-05-20 12:00", 0), (None, "2016-05-20 12:44", 2), (None, "2016-05-20T10:15+00:00", 1),
    (None, None, 1),  # where the transformer is fullest
])  # fmt: skip
def test_a_step_is_found(day, step, at, found):
    assert chosen(day.dataset(), step, at) == found


@pytest.mark.parametrize(("step", "at", "said"), [
    (4, None, "0 to 3"), (-1, None, "0 to 3"), (None, "2016-05-20 13:00", "before 2016-05-20 13:00"),
    (None, "2016-05-20 11:59", "2016-05-20 12:00"), (None, "noon", "a date-time"), (1, "2016-05-20 12:00", "both"),
])  # fmt: skip
def test_what_is_no_step_is_a_fault(day, step, at, said):
    with pytest.raises(InputError, match=said):
        chosen(day.dataset(), step, at)


def test_the_hour_that_happens_twice_wants_its_offset(day_from):
    data = day_from(datetime(2016, 10, 30, 2, 0, tzinfo=ZoneInfo("Europe/Berlin"))).dataset()
    with pytest.raises(InputError, match="happens twice"):
        chosen(data, None, "2016-10-30 02:15")
    assert chosen(data, None, "2016-10-30 02:15+02:00") == 1
