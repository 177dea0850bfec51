"""What ``run`` was asked for, and what it leaves when it does not end."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

Method = Literal["admm", "charts", "central", "none", "export-limits"]


@dataclass(frozen=True)
class Options:
    """What ``run`` was asked for."""

    scenario: Path
    folder: Path
    method: Method | None
    quiet: bool
    as_json: bool
    resume: bool = False
    every_s: float | None = None
    deadline_s: float | None = None
    survive: bool = False
    ranks: int = 1

    def arguments(self) -> list[str]:
        """The same command for every rank."""
        given = ["run", str(self.scenario), "--out", str(self.folder)]
        given += ["--method", self.method] if self.method else []
        given += [] if self.every_s is None else ["--checkpoint-every", str(self.every_s)]
        switches = {"--quiet": self.quiet, "--json": self.as_json, "--resume": self.resume, "--survive": self.survive}
        return given + [name for name, wanted in switches.items() if wanted]


def left_behind(options: Options) -> str:
    """What a run that was stopped leaves, and where."""
    kept = going_on(options)
    if kept:
        return f"{options.scenario}: stopped; {kept}"
    path = options.folder / "history.jsonl"
    if (options.folder / "summary.json").is_file():  # a run removes what an earlier one left before its first round
        return f"{options.scenario}: stopped; {options.folder} holds a whole result, not of what was stopped"
    rounds = len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0
    if not rounds:
        return f"{options.scenario}: stopped before the first round; there is no result"
    return f"{options.scenario}: stopped after {rounds} round{'s' * (rounds > 1)}, kept in {path}; there is no result"


def going_on(options: Options) -> str:
    """Where the state of a run is kept and how to go on; empty where there is none."""
    from admmflex.coordination.checkpoint import newest

    head, _ = newest(options.folder / "checkpoint")
    if head is None:
        return ""
    again = replace(options, every_s=None, quiet=False, as_json=False, resume=True, survive=False).arguments()
    again += ["--ranks", str(options.ranks)] if options.ranks > 1 else []
    where, words = options.folder / "checkpoint", " ".join(shlex.quote(word) for word in again)
    return f"the state after round {head.round} is kept in {where}; go on with\n  admmflex {words}"
