"""The picture of a chart over part of the day of five homes."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from plotly.offline import get_plotlyjs
from scipy.optimize import linprog

from admmflex.coordination.charts import ChartSettings
from admmflex.report.chart_figure import SHADES, Picture, area, chart, polygon
from experiments.compare import study
from experiments.flex_charts import chart_figure
from experiments.flex_charts.chart_day import ChartDay, watch
from experiments.flex_charts.chart_figure import page, scenes

HOME, PERIODS = 4, range(44, 48)  # before noon the last home is moved by the grid


@cache
def day() -> ChartDay:
    settings = ChartSettings(control_h=180 / 3600, even=0.0)
    return watch(study("flex_charts/five"), settings, periods=PERIODS)


def embedded(text: str) -> dict:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


@cache
def shown() -> str:
    return page(day(), HOME)


def polygons(traces: list[dict]) -> list[np.ndarray]:
    """Closed outlines of the filled traces of the plane."""
    found = []
    for trace in traces:
        if trace.get("fill") == "toself":
            x, y = (np.array(trace[axis], dtype=float) for axis in "xy")
            ends = [-1, *np.flatnonzero(np.isnan(x)).tolist()]
            found += [np.column_stack([x, y])[a + 1 : b] for a, b in pairwise(ends)]
    return found


def within(corners: np.ndarray, point: np.ndarray, room: float) -> bool:
    """Whether a point is left of all edges of a counterclockwise closed outline."""
    for a, b in pairwise(corners):
        length = np.hypot(*(b - a))
        if length > 5e-3 and np.linalg.det([b - a, point - a]) / length < -room:
            return False
    return True


@pytest.mark.parametrize("home", range(5))
def test_regions_fill_the_polygon_and_their_pieces_are_the_dearest(home: int) -> None:
    for drawn in day().charts:
        picture = Picture.of(drawn.pieces[home] / day().control.settings.control_h, drawn.sides[home])
        whole = area(polygon(drawn.sides[home]))
        assert_allclose(sum(area(one) for one in picture.corners), whole, rtol=1e-6)
        every = drawn.pieces[home] / day().control.settings.control_h
        for corners, piece in zip(picture.corners, picture.pieces, strict=True):
            middle = np.append(corners.mean(axis=0), 1.0)
            assert_allclose(piece @ middle, (every @ middle).max(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("home", range(5))
def test_the_home_by_itself_is_at_the_optimum_of_a_linear_program(home: int) -> None:
    for drawn in day().charts:
        picture = Picture.of(drawn.pieces[home], drawn.sides[home])
        pieces, sides = drawn.pieces[home], drawn.sides[home]
        rows = np.vstack([np.column_stack([pieces[:, :2], -np.ones(len(pieces))]), sides * [1, 1, 0]])
        right = np.concatenate([-pieces[:, 2], sides[:, 2]])
        direct = linprog([0, 0, 1], rows, right, bounds=(None, None))
        own = picture.best(np.array([3.0, 1.0]))
        assert_allclose(picture.cost(own[None])[0], direct.fun, rtol=0, atol=1e-7)
        assert (sides[:, :2] @ own <= sides[:, 2] + 1e-6 * np.hypot(*sides[:, :2].T)).all()


def test_of_equally_cheap_points_the_nearest_counts() -> None:
    square = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])
    flat, steep = Picture(np.zeros((1, 3)), (square,)), Picture(np.array([[1.0, 0.0, 0.0]]), (square,))
    assert_allclose(flat.best(np.array([0.5, 1.5])), [0.5, 1.5])
    assert_allclose(flat.best(np.array([3.0, 1.0])), [2.0, 1.0])
    assert_allclose(steep.best(np.array([1.0, 1.25])), [0.0, 1.25], atol=1e-8)


def test_set_points_are_in_the_polygons_shown() -> None:
    data = embedded(shown())
    assert len(data["frames"]) == len(PERIODS)
    for k, frame in enumerate(data["frames"]):
        mark = next(one for one in frame["plane"] if one.get("name") == "chosen by the grid")
        point = np.array([mark["x"][0], mark["y"][0]])
        assert_allclose(point, day().chosen[:, HOME, k * day().every], atol=5.1e-4)
        outlines = polygons(frame["plane"])
        assert outlines
        assert any(within(one, point, 2e-3) for one in outlines)


def test_congestion_is_the_distance_between_the_points() -> None:
    found = scenes(day(), HOME)
    moved = np.array([one.moved for one in found])
    price = np.abs(day().price[:, HOME + 1, :: day().every]).max(axis=0)
    assert moved.max() > 0.05
    assert (price[moved > 1e-3] > 1e-4).all()
    assert embedded(shown())["first"] == moved.argmax()


def test_the_page_needs_nothing_else() -> None:
    text = shown()
    assert len(text.encode()) < 8e6
    own = text.replace(get_plotlyjs(), "")
    assert "http" not in own
    assert "src=" not in own
    assert "$" not in re.sub(r"\$\{", "", own)
    assert len({len(frame["plane"]) for frame in embedded(text)["frames"]}) == 1


def test_the_page_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart_figure, "watch", lambda *_, **__: day())
    target = tmp_path / "chart.html"
    chart_figure.main(["--home", "home 2", "--out", str(target)])
    assert "<title>Home 2:" in target.read_text(encoding="utf-8")


def test_a_home_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        chart_figure.main(["--home", "home 9", "--out", str(tmp_path / "chart.html")])
    assert "no home 'home 9'; there are home 1, " in capsys.readouterr().err


def test_a_chart_alone_has_regions_a_surface_and_both_points() -> None:
    drawn, dt_h = day().charts[0], day().control.settings.control_h
    found = chart(drawn.pieces[HOME] / dt_h, drawn.sides[HOME], day().chosen[:, HOME, 0])
    kinds = [trace.type for trace in found.data]
    assert kinds.count("scatter") == SHADES + 1 + 4
    assert kinds.count("mesh3d") == 1
    assert kinds.count("scatter3d") == 1 + 4
