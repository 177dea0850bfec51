"""The page of all benchmarks and the guard of their ratios, on results that are made up."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from experiments.benchmarks import __main__ as program
from experiments.benchmarks import common, guard, ppopt_peer, runs
from experiments.benchmarks.common import Peer, Row
from experiments.benchmarks.page import page
from experiments.benchmarks.parametric import FIXED_PRICES, current_period
from experiments.benchmarks.runs import Run

USED = {"python": "3.11.2", "machine": "x86_64", "piqp": "0.6.4"}
STEP = Row("step, 100 | 200 homes", 0.01, "PIQP", 0.5, 1e-8, "kW", USED, "sampled")
SLOW = Row("step, 100 | 200 homes", 0.01, "PPOPT", 30.0, math.nan, "kW", USED, "not finished", stopped=True)
GONE = Row.against("chart", 2e-5, "PIQP", common.attempt(lambda: Peer(1 / 0, 0.0)), "EUR", USED)
RUNS = [
    Run("charts", "Charts.", "a machine", 60.0, math.nan, (GONE,)),
    Run("homes", "Homes.", "a machine", 30.0, 0.25, (), "ModuleNotFoundError: No module named 'piqp'"),
    Run("step", "A step.", "a machine", 90.0, 0.5, (STEP, SLOW)),
]


def changed(row: Row, **values: object) -> list[Run]:
    """One benchmark of one row, changed."""
    return [Run("step", "A step.", "a machine", 90.0, 0.5, (replace(row, **values),))]  # type: ignore[arg-type]


def failures(old: Row, **values: object) -> list[str]:
    """What the guard says when a row changes."""
    return [str(one) for one in guard.compare(changed(old), changed(old, **values)) if one.fails]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of stored results, and the page beside it, out of the way of the real ones."""
    monkeypatch.setattr(program, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(program, "PAGE", tmp_path / "README.md")
    monkeypatch.setattr(runs, "names", lambda: ["homes", "step"])
    monkeypatch.setattr(runs, "about", lambda name: "made up")
    runs.save(RUNS, tmp_path / "results.json")
    return tmp_path / "results.json"


def test_runs_survive_being_written(tmp_path: Path) -> None:
    runs.save(reversed(RUNS), tmp_path / "a.json")
    again = runs.load(tmp_path / "a.json")
    assert repr(again) == repr(RUNS), "NaN is not equal to itself"
    records = json.loads((tmp_path / "a.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert records[2]["rows"][0]["ratio"] == pytest.approx(50.0)
    assert records[0]["rows"][0]["peer_s"] is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_rows_have_the_keys_that_others_rely_on(tmp_path: Path) -> None:
    common.write([STEP, GONE], tmp_path / "rows.json")
    for record in json.loads((tmp_path / "rows.json").read_text()):
        assert {"name", "ours_s", "peer", "peer_s", "ratio", "agreement", "versions"} <= record.keys()
    assert repr(common.read(tmp_path / "rows.json")) == repr([STEP, GONE])


def test_the_page_has_every_row_and_every_failure() -> None:
    text = page(RUNS)
    assert "| step, 100 \\| 200 homes | 10 ms | PIQP | 500 ms | 50 | 1.0e-08 kW | 1 |" in text
    assert "|  |  | PPOPT | > 30 s | > 3,000 | - | 2 |" in text
    assert "| chart | 20 us | PIQP | - | - | - | 1 |" in text
    assert "ZeroDivisionError" in text
    assert "**Failed**: ModuleNotFoundError: No module named 'piqp'" in text
    assert "| [step](#step) | 1.5 | 0.5 |  |" in text
    assert "| piqp | 0.6.4 |" in text
    assert "nan" not in text.lower()


def test_tables_of_the_page_are_whole() -> None:
    lines = page(RUNS).splitlines()
    for above, line in pairwise(lines):
        if above.startswith("|") and line.startswith("|"):
            assert above.replace("\\|", "").count("|") == line.replace("\\|", "").count("|"), line


def test_the_guard_is_silent_when_nothing_changes() -> None:
    assert guard.compare(RUNS[::2], RUNS[::2]) == []
    assert failures(STEP, peer_s=0.5 * 0.51) == []
    assert failures(STEP, ours_s=0.001, agreement=9e-8) == []
    assert failures(replace(STEP, agreement=1e-16), agreement=9e-12) == [], "rounding"


def test_the_guard_names_what_became_slower_or_worse() -> None:
    (slower,) = failures(STEP, ours_s=0.025)
    assert slower == "step, step, 100 | 200 homes, PIQP: ratio 50 before, 20 now, at least 25 wanted"
    (worse,) = failures(STEP, agreement=1.1e-7)
    assert "agreement 1.0e-08 kW before, 1.1e-07 now" in worse
    assert len(failures(STEP, ours_s=0.025, agreement=1.1e-7)) == 2
    assert failures(STEP, agreement=math.nan) != []
    assert failures(STEP, peer_s=math.nan, note="failed: no such peer") == [
        "step, step, 100 | 200 homes, PIQP: failed: no such peer"
    ]
    assert failures(SLOW, ours_s=0.021) != []


def test_the_guard_names_rows_that_come_and_go() -> None:
    found = guard.compare(changed(STEP), changed(STEP, peer="OSQP"))
    assert [(one.row[-1], one.what, one.fails) for one in found] == [
        ("PIQP", "missing, was stored", False),
        ("OSQP", "new, not stored", False),
    ]
    assert guard.compare(RUNS, changed(STEP)[:0]) == [], "what did not run is not missing"


def test_a_benchmark_that_fails_fails_the_guard_once() -> None:
    broken = [replace(RUNS[2], rows=(), error="RuntimeError: no")]
    assert [str(one) for one in guard.compare(RUNS, broken)] == ["step: failed: RuntimeError: no"]


def test_exit_codes_of_the_guard(stored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = stored.with_name("new.json")
    runs.save(RUNS[2:], new)
    assert program.main(["guard", "--json", str(new)]) == 0
    runs.save(changed(STEP, ours_s=0.04), new)
    assert program.main(["guard", "homes", "--json", str(new)]) == 0
    assert program.main(["guard", "--json", str(new)]) == 1
    assert "ratio 50 before, 12.5 now" in capsys.readouterr().out
    new.write_text('[{"name": "a row, not a run"}]')
    assert program.main(["guard", "--json", str(new)]) == 2
    assert program.main(["guard", "--json", str(stored.with_name("none.json"))]) == 2
    assert "make bench" in capsys.readouterr().out


def test_a_new_run_replaces_its_own_part_only(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "apart", lambda name: Run(name, "Anew.", "a machine", 1.0, 0.0, ()))
    assert program.main(["bench", "homes"]) == 0
    assert [(run.name, run.about) for run in runs.load(stored)] == [("homes", "Anew."), ("step", "A step.")]
    assert (stored.parent / "README.md").read_text() == page(runs.load(stored))


def test_all_writes_the_rows_of_those_that_did_not_fail(stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "apart", lambda name: next(run for run in RUNS if run.name == name))
    assert program.main(["all", "--json", str(stored.with_name("all.json"))]) == 1
    assert repr(common.read(stored.with_name("all.json"))) == repr([STEP, SLOW])


def test_a_process_that_fails_says_why() -> None:
    assert runs.finished([sys.executable, "-c", "pass"], 30.0) == ""
    assert runs.finished([sys.executable, "-c", "raise ValueError('no such grid')"], 30.0) == "ValueError: no such grid"
    assert (
        runs.finished([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 30.0) == "ended with exit code -9"
    )


def test_a_process_that_hangs_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    started = time.perf_counter()
    assert runs.finished([sys.executable, "-c", parent], 3.0) == "stopped after 3 s"
    assert time.perf_counter() - started < 30.0
    state = subprocess.run(["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text()], capture_output=True, text=True)
    assert state.stdout.strip() in ("", "Z") or state.stdout.startswith("Z")


def test_other_work_is_what_others_did() -> None:
    before, own = runs.busy_s(), runs.children_s()
    if math.isnan(before):
        pytest.skip("the system does not tell")
    spin = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    assert runs.children_s() - own >= 0.5
    assert runs.busy_s() - before >= 0.4
    assert runs.busy_s() < time.clock_gettime(time.CLOCK_BOOTTIME) * (os.cpu_count() or 1) * 1.01


def test_benchmarks_are_found_and_say_what_they_measure() -> None:
    names = runs.names()
    assert {"dso", "startup", "unbalanced"} <= set(names)
    assert not {"common", "page", "guard", "runs", "parametric", "synthetic", "ppopt_peer"} & set(names)
    assert all(runs.about(name).endswith(".") for name in names)


def test_a_peer_that_fails_in_its_own_process_is_not_taken_for_a_slow_one() -> None:
    with pytest.raises(RuntimeError, match="PPOPT: "):
        ppopt_peer.by_ppopt(None, None, 60.0)  # type: ignore[arg-type]


def test_a_peer_that_takes_too_long_is_stopped() -> None:
    pytest.importorskip("ppopt")
    problem = current_period(1, reduced=True).program(fixed=FIXED_PRICES | {"T0": -0.2})
    assert ppopt_peer.by_ppopt(problem, np.zeros((0, problem.parameters)), 1.0) is None


def test_the_stored_page_is_that_of_the_stored_results() -> None:
    stored = runs.load(program.RESULTS)
    assert {run.name for run in stored} == set(runs.names())
    assert program.PAGE.read_text(encoding="utf-8") == page(stored)
    rows = [(run.name, row.name, row.peer) for run in stored for row in run.rows]
    assert len(rows) == len(set(rows)), "a row is found again by benchmark, name and peer"
