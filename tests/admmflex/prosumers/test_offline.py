"""Charts from the solution of a type of home are those from its planes; solutions are found again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

import mpo
from admmflex.prosumers import programs
from admmflex.prosumers.charting import Charting
from admmflex.prosumers.offline import explicit_solution, ties
from admmflex.prosumers.period import Shape, Source, Storage
from tests.admmflex.prosumers.test_charting import CASES, IMPORT, KINDS, STEPS, Case, corners

ONE = {"battery", "battery with a disc", "plant and battery", "boxes", "no wear", "load to shed", "boiler"}
BATTERY = Storage(True, True, 0.01, 0.01, 0.95, 0.95, None)
SHAPE = Shape((Source(0.0, None),), (BATTERY,), 2, 10 / 3600)
TIED = ties(SHAPE, 2.0, 1.0, 0.75, 0.0)


def ranges(shape: Shape = SHAPE, tied=None) -> dict[str, tuple[float, float]]:
    every = {"p": (-4.0, 4.0), "q": (-1.0, 1.0), "rest": (-1.0, 1.0), "exp": (-0.5, 0.5), "imp": (-0.5, 0.5)}
    every |= {name: (-1.0, 1.0) for name in shape.parameters() if name.startswith("slope")}
    full = {name: every.get(name, (0.0, 2.0)) for name in (*shape.parameters(), "tau")}
    return {name: full[name] for name in full if name not in (tied or {}) and (tied or name != "tau")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("types")


def with_solutions(case: Case, folder) -> Charting:
    n = case.devices.homes
    limits = (np.array([getattr(one, name) for one in case.homes]) for name in ("import_limit_kw", "export_limit_kw"))
    charting = Charting(
        case.devices, np.tile(IMPORT, (n, 1)), np.full((n, STEPS), 0.08), *limits, segments=3, explicit=folder
    )
    charting.begin(case.step)
    return charting


@pytest.mark.parametrize("name", list(CASES))
def test_both_ways_give_the_same_chart(name, folder):
    case, rng = Case(list(CASES).index(name), **CASES[name]), np.random.default_rng(0)
    charting = with_solutions(case, folder)
    drawn = charting.charts(case.measured, case.rest)
    sliced = {int(i) for group in drawn.groups for i in group.homes if group.tied}
    assert {list(KINDS)[i] for i in sliced} >= ONE
    assert not drawn.safe.any()
    points = np.empty((len(case.homes), 2))
    for i in range(len(case.homes)):
        mine, other = drawn.sides[i], case.drawn.sides[i]
        for one, two in ((mine, other), (other, mine)):
            assert (corners(one) @ two[:, :2].T <= two[:, 2] + 1e-7).all()
        around = corners(other)
        for point in rng.dirichlet(np.ones(len(around)), 10) @ around:
            found = (drawn.pieces[i] @ np.append(point, 1.0)).max()
            assert_allclose(found, case.value(i, point), atol=1e-9, err_msg=list(KINDS)[i])
            points[i] = point
    here, there = charting.actions(drawn, *points.T), case.charting.actions(case.drawn, *points.T)
    total = [np.zeros(len(case.homes)) for _ in range(2)]
    for one, done in zip(total, (here, there), strict=True):
        np.add.at(one, case.devices.source_home, done.source_p)
        np.add.at(one, case.devices.storage_home, done.storage_p)
    assert_allclose(*total, atol=1e-6)
    assert here.beyond.max() < 1e-3


def test_a_solution_is_found_again(tmp_path, monkeypatch):
    problem = ranges(tied=TIED)
    first = explicit_solution(SHAPE, problem, TIED, tmp_path)
    (path,) = tmp_path.iterdir()
    monkeypatch.setattr(mpo, "solve", None)
    again = explicit_solution(SHAPE, problem, TIED, tmp_path)
    assert len(again) == len(first) > 10
    monkeypatch.undo()
    path.write_bytes(b"something else")
    assert len(explicit_solution(SHAPE, problem, TIED, tmp_path)) == len(first)
    other = ties(SHAPE, 3.0, 1.0, 0.75, 0.0)
    explicit_solution(SHAPE, ranges(tied=other) | {"energy_c0": (0.0, 3.0)}, other, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_type_that_takes_too_long_is_explored_plane_by_plane(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "explicit_solution", lambda *_: None)
    case = Case(0)
    drawn = with_solutions(case, tmp_path).charts(case.measured, case.rest)
    for i in range(len(case.homes)):
        point = corners(case.drawn.sides[i]).mean(axis=0)
        assert_allclose((drawn.pieces[i] @ np.append(point, 1.0)).max(), case.value(i, point), atol=1e-9)
