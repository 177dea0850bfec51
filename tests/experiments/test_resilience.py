"""The resilience map: cases are what they say, and nothing that is solved is lost or solved again."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from rich.console import Console

from admmflex.assets import Battery, SheddableLoad
from experiments.islanded import resilience
from experiments.islanded.cases import Case, cases, study
from experiments.islanded.resilience_figure import page, resilience_map

QUIET = Console(file=io.StringIO())


def fake(case: Case) -> dict[str, Any]:
    hours = 24.0 if case.season == "summer" else 3.0 * case.storage
    one = {"status": "optimal", "survival_h": hours, "expected_eur": 1.0, "load_kwh": 50.0}
    one |= {"normal_kwh": 2.0, "critical_kwh": 1.0, "expected_kwh": 3.0}
    record = {"key": case.key, "grid": case.grid, "season": case.season, "start": case.start, "storage": case.storage}
    return record | {"critical": case.critical, "survival_h": hours, "lack": None, "longest": one, "expected": one}


def test_a_sweep_goes_on_where_it_was_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, solved = cases("five", full=False), []

    def stops(case: Case) -> dict[str, Any]:
        if len(solved) == 5:
            raise KeyboardInterrupt
        solved.append(case.key)
        return fake(case)

    path = tmp_path / "map" / "cases.jsonl"
    monkeypatch.setattr(resilience, "solve", stops)
    with pytest.raises(KeyboardInterrupt):
        resilience.sweep(wanted, path, QUIET)
    with path.open("a") as file:
        file.write('{"key": "five/win')  # cut off while it was written
    assert len(resilience.known(path)) == 5
    again: list[str] = []
    monkeypatch.setattr(resilience, "solve", lambda case: again.append(case.key) or fake(case))
    found = resilience.sweep(wanted, path, QUIET)
    assert [one["key"] for one in found] == [case.key for case in wanted]
    assert solved + again == [case.key for case in wanted]
    assert set(resilience.known(path)) == {case.key for case in wanted}
    assert json.loads(path.read_text().splitlines()[-1])["key"] == wanted[-1].key


def test_cases_differ_in_what_they_name() -> None:
    small, large = (study(Case("five", "winter", 18, size, 0.3)) for size in (0.5, 2.0))
    unit = [
        next(a for one in made.prosumers for a in one.assets if isinstance(a, Battery) and "community" in a.name)
        for made in (small, large)
    ]
    assert_allclose(unit[1].e_max_kwh - unit[1].e_min_kwh, 4.0 * (unit[0].e_max_kwh - unit[0].e_min_kwh))
    loads = [a for one in large.prosumers for a in one.assets if isinstance(a, SheddableLoad)]
    by_class = [sum(float(a.p_kw.sum()) for a in loads if a.priority == name) for name in ("normal", "critical")]
    assert by_class[1] / sum(by_class) == pytest.approx(0.3)
    assert large.lasting is not None
    assert_allclose(large.lasting[[0, 2, 6, 12]], [1.0, 0.5, 0.25, 0.1])
    assert large.horizon.label(0) == "2016-01-21 18:00"


def test_the_map_has_a_panel_for_each_share_season_and_measure() -> None:
    records = [fake(case) for case in cases("five", full=False)]
    figure = resilience_map(records)
    assert len(figure.data) == 2 * 2 * 4
    assert all(np.isfinite(np.array(panel.z, float)).all() for panel in figure.data)
    summer = next(panel for panel in figure.data if "summer" in panel.hovertemplate)
    assert summer.text[0][0] == "24+"
    assert resilience.map_table(records).row_count == 4 * 2 * 3


def test_the_page_has_a_map_for_each_season_and_says_what_is_missing() -> None:
    records = [
        fake(case) | {"lack": None if case.season == "summer" else "energy"} for case in cases("five", full=False)
    ]
    text = page(records)
    seasons = {one["season"] for one in records}
    assert all(f'<section id="{season}">' in text for season in seasons)
    lasting = sum(one["survival_h"] >= 24.0 for one in records)
    assert f"{lasting} of {len(records)} islands serve all critical load" in text
    assert f"want of energy ({len(records) - sum(one['season'] == 'summer' for one in records)})" in text
    assert len(text) < 8e6
