"""Which small mistakes would the tests not notice?

    python -m experiments.reliability.mutants                         # all modules of TARGETS
    python -m experiments.reliability.mutants admmflex/money.py       # one of them
    python -m experiments.reliability.mutants admmflex/money.py --json money.json

The tests of a module run once without a mistake. Then every mistake of ``mutate`` gets a copy of the process, with what
the tests share there already and the module's functions and constants replaced, and the same tests run until one fails,
those first that noticed a mistake last. Where none fails, the mistake is *left*, unless ``EQUIVALENT`` says why it
makes no difference. Needs ``os.fork``.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from experiments.reliability.equivalent import EQUIVALENT
from experiments.reliability.mutate import Mutant, mutants

ROOT = Path(__file__).parents[2]
COORDINATION, DSO = "tests/admmflex/coordination", "tests/admmflex/dso"
TARGETS = {
    "admmflex/money.py": ("tests/admmflex/test_money.py",),
    "admmflex/coordination/stopping.py": (f"{COORDINATION}/test_stopping.py",),
    "admmflex/coordination/proof.py": (f"{COORDINATION}/test_proof.py",),
    "grid/limits.py": ("tests/grid/test_limits.py",),
    "admmflex/dso/rows.py": (f"{DSO}/test_rows.py",),
    "admmflex/coordination/trunk.py": (f"{COORDINATION}/test_trunk.py",),
}
QUIET = ("-q", "--no-header", "--no-summary", "-p", "no:xdist", "-p", "no:cacheprovider", "--timeout=0")
SPARE_S = 20.0
OUTCOMES = ("killed", "timed out", "equivalent", "left")
BROKEN, MOST_TESTS = 255, 250  # an exit code says which of them noticed


@dataclass(frozen=True)
class Outcome:
    """What became of a mistake."""

    module: str
    mutant: Mutant
    what: str


def put(module: ModuleType, tree: ast.Module) -> None:
    """Let a loaded module behave as its changed text says, wherever its functions and constants are in use."""
    changed: dict[str, Any] = vars(module) | {}
    exec(compile(tree, str(module.__file__), "exec"), changed)
    theirs, count = {_place(one): one for one in _functions(changed)}, 0
    for one in _functions(vars(module)):
        other = theirs.get(_place(one))
        if other is not None and other.__code__ != one.__code__:
            one.__code__ = other.__code__
            count += 1
    for name, value in list(vars(module).items()):
        if isinstance(value, int | float | tuple) and changed[name] != value:
            count += 1
            for user in list(sys.modules.values()):
                if getattr(user, "__dict__", {}).get(name) is value:
                    setattr(user, name, changed[name])
    if not count:
        raise LookupError(f"{module.__name__}: nothing has changed")


def _functions(namespace: dict[str, Any]) -> list[FunctionType]:
    """All functions of a module: its own, those of its classes, and those that decorators wrap."""
    waiting, found = list(namespace.values()), dict[int, FunctionType]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, type) and one.__module__ == namespace["__name__"]:
            waiting += vars(one).values()
        elif isinstance(one, FunctionType):
            waiting += [one.__wrapped__] if hasattr(one, "__wrapped__") else []
            if one.__globals__ is namespace:
                found[id(one)] = one
        elif isinstance(one, property):
            waiting.append(one.fget)
        elif isinstance(one, classmethod | staticmethod):
            waiting.append(one.__func__)
        elif isinstance(one, cached_property):
            waiting.append(one.func)
    return list(found.values())


def _place(one: FunctionType) -> tuple[str, int]:
    return one.__qualname__, one.__code__.co_firstlineno


class Examination:
    """A plugin of pytest: instead of once, the tests run once for every mistake in a module."""

    def __init__(self, path: str, like: str) -> None:
        self.path, self.like, self.found = path, like, list[Outcome]()
        self.items: list[pytest.Item] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items, start = list(session.items), time.monotonic()
        if len(self.items) > MOST_TESTS or self._noticing() is not None:
            raise pytest.UsageError(f"{self.path}: too many tests, or they fail without a mistake")
        allowed = 5.0 * (time.monotonic() - start) + SPARE_S
        module = importlib.import_module(self.path.removesuffix(".py").replace("/", "."))
        known = EQUIVALENT.get(self.path, {})
        for mutant in mutants((ROOT / self.path).read_text()):
            if self.like not in mutant.name:
                continue
            what = self._outcome(module, mutant, allowed)
            what = "equivalent" if what == "left" and mutant.name in known else what
            self.found.append(Outcome(self.path, mutant, what))
            if what == "left":
                print(f"left: {self.path}:{mutant.line}  {mutant.name}", file=sys.stderr, flush=True)
        return True

    def _noticing(self) -> int | None:
        """The first test that fails; fixtures of the session stay for the next run."""
        for i, (item, later) in enumerate(zip(self.items, [*self.items[1:], self.items[0].session], strict=True)):
            if any(report.failed for report in runtestprotocol(item, log=False, nextitem=later)):  # type: ignore[arg-type]
                return i
        return None

    def _outcome(self, module: ModuleType, mutant: Mutant, allowed_s: float) -> str:
        """Run the tests against one mistake in a copy of this process."""
        start, child = time.monotonic(), os.fork()
        if child == 0:
            code = BROKEN
            try:
                put(module, mutant.tree)
                noticed = self._noticing()
                code = 0 if noticed is None else 1 + noticed
            finally:
                os._exit(code)
        while time.monotonic() - start < allowed_s:
            done, status = os.waitpid(child, os.WNOHANG)
            if done and status == 0:
                return "left"
            if done:
                code = os.waitstatus_to_exitcode(status)
                if code == BROKEN:
                    raise RuntimeError(f"{self.path}: no such mistake can be made: {mutant.name}")
                self.items.insert(0, self.items.pop(max(code, 1) - 1))
                return "killed"
            time.sleep(0.005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timed out"


def examine(path: str, tests: Sequence[str], like: str = "") -> list[Outcome]:
    """Outcomes of all mistakes in a module, or of those that have a text in their name."""
    examination = Examination(path, like)
    code = pytest.main([*QUIET, *(str(ROOT / one) for one in tests)], plugins=[examination])
    if code != pytest.ExitCode.OK:
        raise SystemExit(f"{path}: {code.name if isinstance(code, pytest.ExitCode) else code}")
    return examination.found


def table(found: Sequence[Outcome]) -> str:
    """Module by module."""
    lines = ["| module | mistakes | " + " | ".join(OUTCOMES) + " |", "|---" * (2 + len(OUTCOMES)) + "|"]
    for path in dict.fromkeys(one.module for one in found):
        counts = Counter(one.what for one in found if one.module == path)
        lines.append(f"| {path} | {counts.total()} | " + " | ".join(str(counts[one]) for one in OUTCOMES) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Which small mistakes would the tests not notice?")
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=f"{', '.join(TARGETS)}; all by default")
    parser.add_argument("--like", default="", help="only mistakes with this text in their name")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    if unknown := [path for path in given.modules if path not in TARGETS]:
        parser.error(f"not examined: {', '.join(unknown)}; choose from {', '.join(TARGETS)}")
    os.environ.setdefault("ADMMFLEX_CACHE", str(ROOT / ".pytest_cache" / "d" / "networks"))
    os.chdir(ROOT)
    found = [one for path in given.modules or TARGETS for one in examine(path, TARGETS[path], given.like)]
    print(table(found))
    if given.json:
        rows = [(one.module, one.mutant.line, one.mutant.name, one.what) for one in found]
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
