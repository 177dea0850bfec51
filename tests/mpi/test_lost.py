"""Ranks that raise, exit, are killed or stopped: nothing hangs, rank and cause are named, and the day can go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import admmflex
from admmflex import launch
from admmflex.coordination.keeper import Keeping
from admmflex.errors import InputError
from admmflex.watch import Watched

ROOT = Path(__file__).parents[2]
VICTIM = Path(__file__).with_name("victim.py")
DAY = ROOT / "experiments" / "hand" / "day.yaml"
SECONDS = 60
DEADLINE = 2.0
Start = Callable[..., "Case"]


class Case:
    """mpirun with ranks of which one is a victim."""

    def __init__(self, folder: Path, ranks: int, *words: str, survive: bool = False) -> None:
        whole = launch.command(ranks, "admmflex", [], survive=survive)
        command = [*whole[: whole.index(sys.executable)], sys.executable, str(VICTIM), *words]
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = launch.surroundings() | {"PYTHONPATH": path, launch.STATUS_FILE: str(folder / "status")}
        self.watched, self.folder = Watched(command, environment, folder), folder
        self.process = self.watched._process

    def pids(self) -> list[int]:
        return [int(path.read_text()) for path in self.folder.glob("pid-*")]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the victims, and sees that none of them is left."""
    started: list[Case] = []

    def begin(*given: Any, **options: Any) -> Case:
        try:
            launch.mpirun()
        except InputError:
            pytest.skip("no MPI is installed")
        started.append(Case(tmp_path, *given, **options))
        return started[-1]

    yield begin
    for case in started:
        left = [pid for pid in [case.process.pid, *case.pids()] if runs(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left


def runs(pid: int) -> bool:
    """Whether a process is there and not just waiting to be noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize(
    ("action", "rank", "cause"),
    [
        ("raise", 2, "rank 2 raised the error above"),
        ("exit", 1, "rank 1 exited with code 3"),
        ("kill", 0, "rank 0 was killed by signal 9 (SIGKILL)"),
        ("stop", 1, f"rank 1 stopped for {DEADLINE:g} s"),
    ],
)
def test_a_lost_rank_ends_all_within_seconds_and_is_named(
    start: Start, capfd: Any, action: str, rank: int, cause: str
) -> None:
    case = start(3, action, str(rank))
    while len(case.pids()) < 3 and case.process.poll() is None:
        time.sleep(0.02)
    assert case.watched.wait(DEADLINE) != 0
    assert case.watched.cause == cause
    told = capfd.readouterr().err
    assert ("this rank fails on purpose" in told) == (action == "raise")
    assert "prterun" not in told
    assert "MPI_ABORT" not in told


@pytest.mark.timeout(SECONDS)
def test_ranks_that_compute_or_wait_for_others_are_not_lost(start: Start) -> None:
    """For longer than the deadline; no other Python thread gets a turn."""
    case = start(2, "compute", "0")
    assert case.watched.wait(DEADLINE) == 0
    assert case.watched.cause == ""


@pytest.mark.timeout(2 * SECONDS)
def test_a_day_that_lost_a_rank_is_resumed_by_any_number(start: Start, tmp_path: Path) -> None:
    out, whole = tmp_path / "out", admmflex.run(admmflex.load(DAY))
    case = start(2, "kill", "1", str(out), str(DAY))
    assert case.watched.wait(SECONDS) != 0
    assert case.watched.cause == "rank 1 was killed by signal 9 (SIGKILL)"
    assert not (out / "summary.json").exists()
    assert len(list((out / "checkpoint").glob("round-000004.?.npz"))) == 2
    found = admmflex.run(admmflex.load(DAY), out=out, keeping=Keeping(resume=True))
    assert found.objective_eur == pytest.approx(whole.objective_eur, rel=1e-6)
    assert found.summary["answers_per_prosumer"] == whole.summary["answers_per_prosumer"]
    assert not (out / "checkpoint").exists()


@pytest.mark.timeout(2 * SECONDS)
def test_ranks_that_are_left_take_over(start: Start, tmp_path: Path, capfd: Any) -> None:
    """From rank 0, which writes and speaks."""
    out, whole = tmp_path / "out", admmflex.run(admmflex.load(DAY))
    case = start(3, "kill", "0", str(out), str(DAY), survive=True)
    case.watched.wait(SECONDS, survive=True)
    assert (tmp_path / "status").read_text() == "0"
    told = capfd.readouterr().err
    assert "a rank was lost; the others go on" in told
    assert "2 ranks" in told
    assert "going on after round 4" in told
    found = json.loads((out / "summary.json").read_text())
    assert found["objective_eur"] == pytest.approx(whole.objective_eur, rel=1e-6)
    assert (found["ranks"], found["answers_per_prosumer"]) == (2, whole.summary["answers_per_prosumer"])


@pytest.mark.timeout(2 * SECONDS)
@pytest.mark.parametrize("ranks", [1, 2])
def test_ctrl_c_keeps_the_round_and_says_how_to_go_on(tmp_path: Path, ranks: int) -> None:
    if ranks > 1:
        try:
            launch.mpirun()
        except InputError:
            pytest.skip("no MPI is installed")
    forever = {"method": "admm", "mixing": False, "max_iterations": 100000, "cost_tolerance": 1e-300}
    endless = yaml.safe_load(DAY.read_text()) | {"network": str(DAY.parent / "network.json"), "coordination": forever}
    (tmp_path / "long.yaml").write_text(yaml.safe_dump(endless))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "admmflex", "run", str(tmp_path / "long.yaml"), "--out", str(out)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.Popen(
        [*command, "--ranks", str(ranks)], env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE, text=True
    )
    history = out / "history.jsonl"
    while run.poll() is None and not (history.exists() and history.read_text().count("\n") > 3):
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=SECONDS)
    assert run.returncode == 130, told
    assert "stopping after this round" in told
    assert f"is kept in {out / 'checkpoint'}; go on with" in told
    assert f"--out {out} --resume" in told
    assert list((out / "checkpoint").glob("*.head"))
