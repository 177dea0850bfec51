"""When a coordination is kept on disk, taken up again, or stopped on request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from admmflex.comm import Comm
from admmflex.coordination import checkpoint, snapshot
from admmflex.errors import Fault, InputError, Interrupted

if TYPE_CHECKING:
    from admmflex.coordination.admm import Admm

LEAST_S = 5.0  # between two checkpoints
SHARE = 0.02  # of the time that they may take
BYTES_PER_S = 2e8  # that a first one is expected to be written with


class Stop(Protocol):
    """Whoever may ask a coordination to stop; while it is ``listening`` a round is ended first."""

    listening: bool

    def asked(self) -> bool: ...


@dataclass
class Never:
    """Nobody asks."""

    listening: bool = False

    def asked(self) -> bool:
        return False


@dataclass(frozen=True)
class Keeping:
    """Checkpoints of a run by prices, in the folder ``checkpoint`` of its results, until it ends whole.

    Args:
        resume: go on from the newest one, if there is any.
        every_s: seconds between two; by default 5, and as many more as keep their cost below 2 % of the time.
        stop: who may ask to stop after a round.
        survive: go on from the last checkpoint with the ranks that are left when one is lost.
    """

    resume: bool = False
    every_s: float | None = None
    stop: Stop | None = None
    survive: bool = False


@dataclass
class Keeper:
    """Checkpoints of one coordination in a folder.

    Args:
        folder: where they are.
        about: fingerprints of the inputs, see ``fingerprint``; asked for only when needed.
        resume: go on from the newest whole checkpoint, if there is any.
        every_s: seconds between two checkpoints; by default 5, and as many more as keep their cost below 2 %.
        stop: looked at after every round.
        say: told what is worth a line, on rank 0.

    Attributes:
        head: the checkpoint to go on from.
    """

    folder: Path
    comm: Comm
    about: Callable[[], dict[str, str]]
    resume: bool = False
    every_s: float | None = None
    stop: Stop = field(default_factory=Never)
    say: Callable[[str], None] = lambda text: None
    head: checkpoint.Head | None = None

    def find(self) -> list[dict[str, Any]]:
        """Look for the checkpoint to go on from, on all ranks; the records of its rounds.

        Raises:
            InputError: it belongs to other inputs, or none is readable.
        """
        chosen, wrong = np.array([-1.0, 0.0]), list[str]()
        if self.comm.rank == 0:
            if self.resume:
                self.head, wrong = checkpoint.newest(self.folder)
            else:
                checkpoint.clear(self.folder)
            chosen = np.array([-1.0 if self.head is None else self.head.round, float(len(wrong))])
        number, unreadable = self.comm.broadcast(chosen).astype(int).tolist()
        if number < 0 and unreadable:
            remedy = "run without --resume, which begins anew"
            raise InputError(Fault("checkpoint", "; ".join(wrong) or "not readable", "one whole checkpoint", remedy))
        if number < 0:
            if self.resume:
                self.say(f"no checkpoint in {self.folder}: beginning anew")
            return []
        self.head = self.head or checkpoint.read_head(self.folder, number)
        for one in wrong:
            self.say(f"checkpoint left out, {one}")
        self._require_same(self.head)
        history: list[dict[str, Any]] = self.head.content["numbers"]["history"]
        return history

    def begin(self, admm: Admm) -> int:
        """Put a coordination where the checkpoint was; the round to go on with."""
        self.stop.listening = True
        self._last, self._cost_s = time.perf_counter(), 0.0
        if self.head is None:
            return 1
        told, first = self.head.content, self.head.round + 1
        opened = [
            np.load(checkpoint.part_path(self.folder, self.head.round, rank), allow_pickle=False)
            for rank in range(len(told["parts"]))
        ]
        cuts = [(range(*part["prosumers"]), range(*part["steps"])) for part in told["parts"]]
        parts = [snapshot.Part(*cut, file.__getitem__) for cut, file in zip(cuts, opened, strict=True)]
        snapshot.restore(admm, told["numbers"], parts)
        for file in opened:
            file.close()
        self.say(f"going on after round {self.head.round}, kept in {self.folder}")
        self.head = None
        return first

    def end_round(self, admm: Admm, iteration: int) -> None:
        """Write a checkpoint when it is time, or when asked to stop.

        Raises:
            Interrupted: asked to stop; ``kept`` says whether a checkpoint of this round was written.
        """
        asked = self.stop.asked()
        due, stop = self.comm.broadcast(np.array([float(asked or self._due(admm)), float(asked)]))
        kept = bool(due) and self._write(admm, iteration)
        if stop:
            raise Interrupted(iteration, kept)

    def done(self) -> None:
        """The coordination is over: remove its checkpoints."""
        if self.comm.rank == 0:
            checkpoint.clear(self.folder)

    def _due(self, admm: Admm) -> bool:
        passed = time.perf_counter() - self._last
        if self.every_s is not None:
            return passed >= self.every_s
        if passed < LEAST_S:
            return False
        cost = self._cost_s or sum(one.nbytes for one in snapshot.arrays(admm).values()) / BYTES_PER_S
        return passed * SHARE >= cost

    def _write(self, admm: Admm, iteration: int) -> bool:
        """All parts, then the head; a run that cannot write goes on without, and says so."""
        started, problem = time.perf_counter(), ""
        digest = np.full((1, checkpoint.HASH_BYTES), -1.0)
        try:
            written = checkpoint.write_part(self.folder, iteration, self.comm.rank, snapshot.arrays(admm))
            digest[0] = np.frombuffer(written, np.uint8)
        except OSError as error:
            problem = str(error)
        own = [admm.exchange.z.shape[1], admm.exchange.steps.start, admm.exchange.steps.stop]
        table = self.comm.stack(np.column_stack([digest, [own]]))
        whole = bool(np.all(table[:, 0] >= 0.0))
        if self.comm.rank == 0 and whole:
            whole = self._complete(admm, iteration, table)
        elif self.comm.rank == 0:
            self._unwritten(iteration, problem or "a rank could not write its part")
        whole = bool(self.comm.broadcast(np.array([float(whole)]))[0])
        self._last = time.perf_counter()
        self._cost_s = self._last - started
        return whole

    def _complete(self, admm: Admm, iteration: int, table: Any) -> bool:
        """Write the head on rank 0."""
        cuts = table[:, checkpoint.HASH_BYTES :].astype(int)
        ends = np.cumsum(cuts[:, 0])
        parts = [
            {"prosumers": [int(end - n), int(end)], "steps": [int(first), int(last)]}
            for end, (n, first, last) in zip(ends, cuts, strict=True)
        ]
        content = {"inputs": self.about(), "numbers": snapshot.numbers(admm), "parts": parts}
        hashes = [row.astype(np.uint8).tobytes() for row in table[:, : checkpoint.HASH_BYTES]]
        try:
            checkpoint.write_head(self.folder, iteration, hashes, content)
        except OSError as error:
            self._unwritten(iteration, str(error))
            return False
        return True

    def _unwritten(self, iteration: int, problem: str) -> None:
        checkpoint.remove(self.folder, iteration)
        self.say(f"no checkpoint of round {iteration}: {problem}; going on with the one before, if any")

    def _require_same(self, head: checkpoint.Head) -> None:
        theirs, ours = head.content["inputs"], self.about()
        differing = [name for name in sorted(theirs.keys() | ours.keys()) if theirs.get(name) != ours.get(name)]
        if differing:
            what = f"of another day: {', '.join(differing)} differ{'s' * (len(differing) == 1)}"
            remedy = "resume the scenario it belongs to, or run without --resume, which begins anew"
            raise InputError(Fault(f"checkpoint in '{self.folder}'", what, "the same inputs and version", remedy))
