"""The picture shows the numbers of the result, in local time, and needs nothing else."""

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex import results
from admmflex.report import page
from admmflex.report.figures import day as draw


def lines(figure, axis):
    return {trace.name: np.array(trace.y) for trace in figure.data if trace.yaxis == axis and trace.y[0] is not None}


def test_it_shows_the_extremes_over_the_buses_and_the_transformer(day):
    figure = draw(day.dataset())
    voltage, loading, price = lines(figure, "y"), lines(figure, "y2"), lines(figure, "y3")
    v = day.variables["v_pu"]
    assert_allclose(voltage["coordinated, highest"][:-1], v.max(axis=0))
    assert_allclose(voltage["coordinated, lowest"][:-1], v.min(axis=0))
    assert_allclose(voltage["uncoordinated, highest"][:-1], v.max(axis=0) + 0.01)
    assert_allclose(loading["coordinated"], [50, 99, 50, 20, 20])  # the last step is drawn to its end
    assert_allclose(loading["uncoordinated"][:-1], 1.5 * np.array([50, 99, 50, 20]))
    assert_allclose(price["coordinated, lowest"][:-1], [0, -8, 0, 0])  # ct
    assert_allclose(loading["limit"], 100.0)


def test_it_is_in_local_time(day):
    trace = next(trace for trace in draw(day.dataset()).data if trace.name == "coordinated, highest")
    assert [moment.strftime("%H:%M") for moment in trace.x] == ["12:00", "12:15", "12:30", "12:45", "13:00"]


def test_ticks_are_local_hours_when_the_clocks_change(day_from):
    data = day_from(datetime(2016, 10, 30, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))).dataset()
    hourly = data["time"].to_numpy()[0] + np.arange(4) * np.timedelta64(3600, "s")
    data = data.assign(dt_h=data["dt_h"] * 4).assign_coords(time=("time", hourly))
    axis = draw(data).layout.xaxis
    assert list(axis.ticktext) == ["02:00", "02:00", "03:00", "04:00"]
    assert axis.hoverformat.endswith("UTC")


def test_the_worst_bus_is_named(day):
    texts = [note.text for note in draw(day.dataset()).layout.annotations]
    assert "1.0595 pu at bus 9" in texts


def test_the_page_stands_alone(day, tmp_path):
    text = page.write(day.result(), tmp_path).read_text(encoding="utf-8")
    assert not re.search(r"<(script|link)[^>]+(src|href)=(?!\"data:)", text)
    assert text.count("plotly.js v") == 1
    assert len(text) < 8e6


def test_a_folder_can_be_drawn(day, tmp_path):
    results.write(day.result(), tmp_path)
    assert len(draw(tmp_path).data) == len(draw(day.dataset()).data)


@pytest.mark.parametrize("outputs", [True, False])
def test_an_infeasible_day_shows_what_there_is(day, outputs):
    dropped = [name for name in day.variables if name.endswith("_baseline") and not outputs]
    dropped += ["p_kw", "q_kvar", "asset_p_kw", "asset_q_kvar", "energy_kwh", "price_p", "price_q", "v_pu", "loading"]
    text = page.page(results.result(day.dataset("infeasible", drop=dropped)))
    assert ('<section id="day">' in text) == outputs
    assert '<section id="homes">' not in text


def test_a_day_without_any_power_flow_can_still_be_drawn(day):
    lost = {name: np.full_like(day.variables[name], np.nan) for name in day.variables if name.startswith("v_pu")}
    text = page.page(results.result(day.dataset("infeasible", **lost)))
    assert '<section id="day">' in text
    assert '<section id="map">' not in text


def test_left_to_itself_there_is_one_plan(day):
    data = day.dataset()
    data.attrs["method"] = "none"
    names = {trace.name for trace in draw(data).data}
    assert {name.split(",")[0] for name in names} == {"uncoordinated", "limit"}


def test_the_title_says_what_the_uncoordinated_day_breaks(day):
    title = draw(day.dataset()).layout.title.text
    assert "cost 2.25 EUR" in title
    assert "uncoordinated 1.50 EUR, limits broken in 1 step" in title
