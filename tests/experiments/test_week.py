"""The experiment of a week, over two hours of five homes: every way, and that what is finished is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from admmflex import scenario
from admmflex.data.study import Study
from experiments.compare import ROOT
from experiments.week import run


def two_hours(name: str) -> Study:
    loaded = scenario.load(ROOT / f"{name}.yaml")
    horizon = loaded.spec.horizon.model_copy(update={"start": "2016-05-26 11:00", "duration": "2h"})
    return scenario.build(replace(loaded, spec=loaded.spec.model_copy(update={"horizon": horizon})))


def test_ways_are_compared_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "study", two_hours)
    asked = ["run", "--scenario", "flex_charts/five", "--control", "60", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", asked)
    run.main()
    (file,) = tmp_path.iterdir()
    rows = {row.way: row for row in run._finished(file)}
    assert set(rows) == set(run.WAYS)
    best = rows[run.BEST].cost_eur
    for way in (run.WARM, run.COLD, run.CHARTS):
        assert rows[way].cost_eur >= best - 0.003 * abs(best)
        assert rows[way].excess_pu <= 1e-3
    assert rows[run.WARM].rounds < rows[run.COLD].rounds
    capsys.readouterr()

    def never(*given: object) -> run.Row:
        raise AssertionError("gone through again")

    monkeypatch.setattr(run, "follow", never)
    run.main()
    assert f"{rows[run.CHARTS].cost_eur:.2f}" in capsys.readouterr().out
