"""Watching over mpirun and its ranks: who computes, who is lost, what mpirun says of it, and requests to stop.

A rank that waits for others polls, so that its processor time grows like that of one at work, however long a step
takes and whether or not Python runs in it. Where it does not grow for the deadline the rank is stopped, or stuck: it is
lost. Processor times are read from /proc, on Linux only; elsewhere only the ends of processes are noticed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from admmflex.interrupts import Interrupts

LISTENING, STOP = "listening", "stop"
"""Files by which the ranks say that they can stop after a round, and are asked to."""
LOOK_S = 0.1
GRACE_S = 1.5  # for mpirun to end when its ranks are gone
RULE = b"-" * 74  # above and below what mpirun has to say
STATES = {"T": "stopped", "t": "held by a debugger", "D": "stuck in input or output", "Z": "ended", "S": "asleep"}
SIGNALLED = re.compile(r"process rank (\d+) with PID \d+ on node \S+ exited on\s+signal (\d+)")
EXITED = re.compile(r"Process name: \[[^,\]]*,(\d+)\]\s+Exit code:\s+(\d+)")
ABORTED = re.compile(r"MPI_ABORT was invoked on rank (\d+)")


class Watched:
    """mpirun under way.

    Args:
        command, environment: of mpirun, which gets a process group of its own: Ctrl-C is for us.
        folder: where the ranks leave their process numbers.

    Attributes:
        cause: which rank was lost and why, as far as it is known.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self.folder, self.cause = folder, ""
        self._seen: dict[int, tuple[int, float]] = {}  # processor time of each rank, and since when it stands still
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0
        )
        assert self._process.stderr is not None
        self._said = Said(self._process.stderr)

    def wait(self, deadline_s: float, *, survive: bool = False) -> int:
        """Wait for the end, whatever it takes to bring it about; what mpirun returned.

        Raises:
            KeyboardInterrupt: asked to stop at once.
        """
        with Interrupts() as interrupts:
            try:
                self._look_after(deadline_s, interrupts, survive)
            finally:
                self._end()
        said = self._said.cause()
        self.cause = self.cause or said
        if not self.cause:
            self._said.show_rest()
        return int(self._process.returncode)

    def _look_after(self, deadline_s: float, interrupts: Interrupts, survive: bool) -> None:
        while self._process.poll() is None:
            interrupts.listening = (self.folder / LISTENING).exists()
            if interrupts.asked():
                (self.folder / STOP).touch()
            lost = self._still(deadline_s)
            for rank, pid, state in lost:
                self.cause = f"rank {rank} {state} for {deadline_s:g} s"
                _kill(pid)
                (self.folder / f"pid-{rank}").unlink()
            if lost and not survive:
                return
            time.sleep(LOOK_S)

    def _still(self, deadline_s: float) -> list[tuple[int, int, str]]:
        """Ranks whose processor time has stood still for the deadline: number, process, state."""
        found, now = [], time.monotonic()
        for rank, pid in self._ranks().items():
            told = _processor_time(pid)
            if told is None:
                continue
            state, ticks = told
            before, since = self._seen.get(rank, (-1, now))
            self._seen[rank] = (ticks, since if ticks == before else now)
            if now - self._seen[rank][1] >= deadline_s and state != "Z":
                found.append((rank, pid, STATES.get(state, "idle")))
        return found

    def _ranks(self) -> dict[int, int]:
        """Process of every rank that has told it."""
        found = {}
        for path in self.folder.glob("pid-*"):
            with suppress(ValueError):  # not yet written
                found[int(path.name.removeprefix("pid-"))] = int(path.read_text(encoding="utf-8"))
        return found

    def _end(self) -> None:
        """Leave no process behind."""
        if self._process.poll() is None:
            for pid in self._ranks().values():
                _kill(pid)
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._said.close()


class Said:
    """What mpirun and the ranks write to standard error: passed on at once, but what mpirun itself has to say."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._kept = stream, bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self) -> None:
        self._reader.join(GRACE_S)

    def cause(self) -> str:
        """Which rank mpirun says was lost, and how; empty where it says nothing of the kind."""
        text = self._kept.decode(errors="replace")
        if found := SIGNALLED.search(text):
            number = int(found[2])
            known = {one.value: one.name for one in signal.Signals}
            return f"rank {found[1]} was killed by signal {number} ({known.get(number, 'unknown')})"
        if found := ABORTED.search(text):
            return f"rank {found[1]} raised the error above"
        if found := EXITED.search(text):
            return f"rank {found[1]} exited with code {found[2]}"
        return ""

    def show_rest(self) -> None:
        """Pass on what mpirun said, where nobody could make sense of it."""
        sys.stderr.write(self._kept.decode(errors="replace"))

    def _read(self) -> None:
        within = False
        descriptor = self._stream.fileno()
        line = bytearray()
        while chunk := os.read(descriptor, 65536):
            for piece in chunk.splitlines(keepends=True):
                line += piece
                if not line.endswith(b"\n"):
                    continue
                if line.strip() == RULE:
                    within = not within
                    self._kept += line
                elif within:
                    self._kept += line
                else:
                    _pass_on(bytes(line))
                line.clear()
        _pass_on(bytes(line))
        self._stream.close()


def _pass_on(line: bytes) -> None:
    sys.stderr.write(line.decode(errors="replace"))
    sys.stderr.flush()


def _processor_time(pid: int) -> tuple[str, int] | None:
    """State and processor time [clock ticks] of a process; None where there is none, or no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return None
    return fields[0], int(fields[11]) + int(fields[12])


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
