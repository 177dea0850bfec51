"""Checkpoints survive whatever cuts them off, and a coordination goes on from them as if nothing had happened."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import admmflex
from admmflex.comm import SerialComm
from admmflex.coordination import checkpoint
from admmflex.coordination.admm import Admm
from admmflex.coordination.fingerprint import fingerprint
from admmflex.coordination.keeper import Keeper, Keeping, Never
from admmflex.coordination.settings import AdmmSettings
from admmflex.errors import InputError, Interrupted
from admmflex.interrupts import Interrupts
from admmflex.progress import Silent
from admmflex.scenario import Scenario, build, load
from experiments.reliability.unreliable import Trouble, Unreliable

ROOT = Path(__file__).parents[3]
DAYS = {
    "mixed": ("hand/day", {}),
    "plain": ("hand/day", {"mixing": False}),
    "island": ("islanded/five", {"max_iterations": 40}),
}
SIZES = (1_000, 20_000)


class After(Never):
    """Asks to stop when so many rounds have ended."""

    def __init__(self, rounds: int) -> None:
        super().__init__()
        self.left = rounds

    def asked(self) -> bool:
        self.left -= 1
        return self.left == 0


class Told(Silent):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def day(kind: str, **coordination: Any) -> Scenario:
    """A day of five homes, coordinated in one of the ways of ``DAYS``."""
    name, settings = DAYS[kind]
    found = load(ROOT / "experiments" / f"{name}.yaml")
    changed = found.spec.coordination.model_copy(update={"method": "admm", **settings, **coordination})
    return replace(found, spec=found.spec.model_copy(update={"coordination": changed}))


def stopped(scenario: Scenario, out: Path, rounds: int) -> Interrupted:
    """Run until so many rounds have ended."""
    with pytest.raises(Interrupted) as error:
        admmflex.run(scenario, out=out, keeping=Keeping(stop=After(rounds)))
    return error.value


def write(folder: Path, number: int, size: int = SIZES[0]) -> None:
    """A checkpoint of two parts that tells its round in every number."""
    parts = [checkpoint.write_part(folder, number, rank, {"x": np.full(size, number)}) for rank in range(2)]
    checkpoint.write_head(folder, number, parts, {"round": number})


def in_child(work: Callable[[], None]) -> int:
    """Fork a process that works and leaves without cleaning up."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


@pytest.mark.parametrize("kind", DAYS)
@pytest.mark.parametrize("rounds", [1, 3, 6])
def test_a_resumed_run_ends_like_one_that_was_not_interrupted(tmp_path: Path, kind: str, rounds: int) -> None:
    scenario, out, told = day(kind), tmp_path / "out", Told()
    whole = admmflex.run(scenario)
    end = stopped(scenario, out, rounds)
    assert (end.after_round, end.kept) == (rounds, True)
    assert not (out / "summary.json").exists()
    found = admmflex.run(scenario, out=out, observer=told, keeping=Keeping(resume=True))
    assert any(line.startswith(f"going on after round {rounds},") for line in told.lines)
    assert sorted(path.name for path in out.iterdir()) == ["history.jsonl", "result.nc", "summary.json"]
    assert (found.status, found.summary["answers_per_prosumer"]) == (
        whole.status,
        whole.summary["answers_per_prosumer"],
    )
    for name, ours in found.dataset.data_vars.items():
        if ours.dtype.kind == "f" and name != "history_elapsed_s":
            np.testing.assert_allclose(ours, whole.dataset[name], rtol=1e-9, atol=1e-9, err_msg=str(name))
    assert len((out / "history.jsonl").read_text().splitlines()) == found.dataset.sizes["iteration"]


def test_a_run_can_be_interrupted_again_and_again(tmp_path: Path) -> None:
    scenario = day("mixed")
    for _ in range(4):
        with pytest.raises(Interrupted):
            admmflex.run(scenario, out=tmp_path, keeping=Keeping(resume=True, stop=After(2)))
    found = admmflex.run(scenario, out=tmp_path, keeping=Keeping(resume=True))
    assert found.objective_eur == pytest.approx(admmflex.run(scenario).objective_eur, abs=1e-9)


def test_a_checkpoint_of_other_inputs_is_refused_by_name(tmp_path: Path) -> None:
    scenario = day("mixed")
    stopped(scenario, tmp_path, 3)
    other = build(day("mixed", max_iterations=7))
    homes = (replace(other.prosumers[0], import_price=other.prosumers[0].import_price + 0.01), *other.prosumers[1:])
    with pytest.raises(InputError, match="of another day: prosumers, settings differ") as error:
        admmflex.run(replace(other, prosumers=homes), out=tmp_path, keeping=Keeping(resume=True))
    assert "run without --resume" in error.value.faults[0].remedy
    admmflex.run(scenario, out=tmp_path, keeping=Keeping(resume=True))  # still there


def test_a_fingerprint_names_the_part_that_differs_and_nothing_else() -> None:
    study = build(day("mixed"))
    assert fingerprint(study) == fingerprint(build(day("mixed")))
    network = replace(study.network, v_max=study.network.v_max + 1e-12)
    for name, part in (("network", network), ("seed", study.seed + 1), ("prosumers", study.prosumers[::-1])):
        changed = fingerprint(replace(study, **{name: part}))
        assert [key for key, value in fingerprint(study).items() if changed[key] != value] == [name]


def test_without_a_checkpoint_a_run_begins_anew_and_one_without_resume_forgets_the_last(tmp_path: Path) -> None:
    scenario, told = day("mixed"), Told()
    admmflex.run(scenario, out=tmp_path, observer=told, keeping=Keeping(resume=True))
    assert f"no checkpoint in {tmp_path / 'checkpoint'}: beginning anew" in told.lines
    stopped(scenario, tmp_path, 5)
    stopped(scenario, tmp_path, 2)
    head, _ = checkpoint.newest(tmp_path / "checkpoint")
    assert head is not None
    assert head.round == 2


def test_the_newest_whole_checkpoint_is_read_whatever_byte_is_wrong(tmp_path: Path) -> None:
    """Every fault that one file of the newest checkpoint can have: the one before is used, and the fault is told."""
    for damage in ("flip", "cut", "lose"):
        for name in ("round-000002.head", "round-000002.0.npz", "round-000002.1.npz"):
            folder = tmp_path / damage / name
            for number in (1, 2):
                write(folder, number)
            path = folder / name
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            if damage == "lose" and not name.endswith("head"):
                path.unlink()
            else:
                path.write_bytes(content if damage == "flip" else content[: len(content) // 3])
            head, wrong = checkpoint.newest(folder)
            assert head is not None
            assert head.round == 1
            assert len(wrong) == 1
            assert str(folder / "round-000002") in wrong[0]


def test_a_run_with_no_readable_checkpoint_is_refused(tmp_path: Path) -> None:
    stopped(day("mixed"), tmp_path, 4)
    for path in (tmp_path / "checkpoint").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(InputError, match=r"round-000004\.0\.npz differs from its hash"):
        admmflex.run(day("mixed"), out=tmp_path, keeping=Keeping(resume=True))


def test_fifty_kills_leave_a_whole_checkpoint_each(tmp_path: Path) -> None:
    """A process that writes one checkpoint after the other is killed at any time."""
    rng, last = np.random.default_rng(0), 0
    write(tmp_path, 1, SIZES[1])

    def work() -> None:
        for number in range(last + 1, 1_000_000):
            write(tmp_path, number, SIZES[1])

    for _ in range(50):
        head, wrong = checkpoint.newest(tmp_path)
        assert head is not None
        assert not wrong
        assert head.round >= last
        last = head.round
        for rank in range(2):
            np.testing.assert_array_equal(np.load(checkpoint.part_path(tmp_path, last, rank))["x"], last)
        child = in_child(work)
        time.sleep(rng.uniform(0.0, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert last > 10
    checkpoint.clear(tmp_path)
    assert not tmp_path.exists()


def test_a_file_that_cannot_be_written_whole_leaves_nothing_and_the_last_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, 1)
    before = sorted(path.name for path in tmp_path.iterdir())

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
        try:
            write(tmp_path, 2, SIZES[1])
        except OSError:
            os._exit(3)

    _, status = os.waitpid(in_child(work), 0)
    assert os.waitstatus_to_exitcode(status) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    head, _ = checkpoint.newest(tmp_path)
    assert head is not None
    assert head.round == 1


@pytest.mark.parametrize("name", ["write_part", "write_head"])
def test_a_full_disk_does_not_end_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real, told = getattr(checkpoint, name), Told()

    def full(folder: Path, number: int, *given: Any) -> Any:
        if number == 2:
            raise OSError(28, "No space left on device")
        return real(folder, number, *given)

    monkeypatch.setattr(checkpoint, name, full)
    with pytest.raises(Interrupted):
        admmflex.run(day("mixed"), out=tmp_path, observer=told, keeping=Keeping(every_s=0.0, stop=After(2)))
    assert any("no checkpoint of round 2: [Errno 28] No space left on device" in line for line in told.lines)
    head, wrong = checkpoint.newest(tmp_path / "checkpoint")
    assert head is not None
    assert (head.round, wrong) == (1, [])
    assert not list((tmp_path / "checkpoint").glob("*000002*"))


def test_a_signal_is_noted_while_somebody_listens_and_interrupts_otherwise() -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored, where the tests run in the background of a shell
    with Interrupts() as interrupts:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        interrupts.listening = True
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.asked()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_home_that_is_held_is_held_when_a_run_goes_on(setting: Any, tmp_path: Path) -> None:
    one, home = setting("hand/day"), 3

    def going(keeper: Keeper | None, first: int) -> Admm:
        community, dso = one.parts()
        population = Unreliable(community.population, {home: Trouble("raises", first=first)}, one.ordered.order, 0)
        return Admm(replace(community, population=population), dso, SerialComm(), AdmmSettings(), keeper=keeper)

    def keeper(**how: Any) -> Keeper:
        return Keeper(tmp_path, SerialComm(), lambda: {"day": "hand"}, **how)

    whole = going(None, 2).run()
    before = going(keeper(stop=After(6)), 2)
    with pytest.raises(Interrupted):
        before.run()
    assert before.exchange.trust.held.tolist() == [i == home for i in range(5)]
    after = going(resumed := keeper(resume=True), 1)
    resumed.find()
    found = after.run()
    assert (found.status, found.rounds, found.answers) == (whole.status, whole.rounds, whole.answers)
    np.testing.assert_allclose(found.plan.y, whole.plan.y, atol=1e-9)
    assert after.exchange.trust.held.tolist() == before.exchange.trust.held.tolist()
    assert after.exchange.trust.why[home] == "KeyError: 'soc'"
