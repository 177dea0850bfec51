"""Benchmarks one after the other, each in a process of its own, and the file that keeps what they found."""

from __future__ import annotations

import ast
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.benchmarks.common import Row, read
from grid.errors import Fault, InputError

HERE = Path(__file__).parent
LIMIT_S = 1800.0


@dataclass(frozen=True)
class Run:
    """One benchmark as it was run.

    Args:
        name, about: of the benchmark, and the first line of what it says about itself.
        machine: what it ran on.
        seconds: all of it, with imports and what is measured to be scaled.
        others: mean number of cores that other processes kept busy meanwhile; NaN where the system does not tell.
        rows: what it found.
        error: why there is nothing, or "".
    """

    name: str
    about: str
    machine: str
    seconds: float
    others: float
    rows: tuple[Row, ...]
    error: str = ""

    def record(self) -> dict[str, Any]:
        """The run as it is written to JSON, null for NaN."""
        others = None if math.isnan(self.others) else self.others
        return {**asdict(self), "others": others, "rows": [row.record() for row in self.rows]}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Run:
        """The run that was written as ``record``."""
        others = math.nan if record["others"] is None else record["others"]
        return cls(**{**record, "others": others, "rows": tuple(Row.of(row) for row in record["rows"])})


def names() -> list[str]:
    """Benchmarks: the modules beside this one that have rows."""
    return sorted(path.stem for path in HERE.glob("*.py") if "\ndef rows(" in path.read_text(encoding="utf-8"))


def about(name: str) -> str:
    """First line of the docstring of a benchmark; the module is not imported."""
    text = (HERE / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]


def apart(name: str, limit_s: float = LIMIT_S) -> Run:
    """Run one benchmark in a process of its own; whatever happens to it, the others are not lost."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "experiments.benchmarks", name, "--json", str(file)]
        started, busy, own = time.perf_counter(), busy_s(), children_s()
        error = finished(command, limit_s)
        seconds = time.perf_counter() - started
        others = max((busy_s() - busy - (children_s() - own)) / seconds, 0.0)  # NaN stays
        rows = tuple(read(file)) if not error else ()
    return Run(name, about(name), machine(), seconds, others, rows, error)


def finished(command: list[str], limit_s: float) -> str:
    """Why a command did not succeed, or ""; nothing that it started stays behind."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said = process.communicate(timeout=limit_s)[1].strip()
    except subprocess.TimeoutExpired:
        return f"stopped after {limit_s:.0f} s"
    finally:
        with suppress(ProcessLookupError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.returncode == 0:
        return ""
    return said.splitlines()[-1] if said else f"ended with exit code {process.returncode}"


def machine() -> str:
    """Processor, cores and system."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor()}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}"


def busy_s() -> float:
    """Seconds that all cores have worked since the system started; NaN where it does not tell."""
    stat = Path("/proc/stat")
    if not stat.is_file():
        return math.nan
    user, nice, system, _, _, *rest = map(int, stat.read_text(encoding="utf-8").splitlines()[0].split()[1:])
    return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")


def children_s() -> float:
    """Processor seconds of the processes started here that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def load(path: Path) -> list[Run]:
    """Runs that ``save`` wrote.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    try:
        return [Run.of(record) for record in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError) as error:
        value, allowed = f"{type(error).__name__}: {error}", "a file like experiments/benchmarks/results.json"
        raise InputError(Fault(f"file {path}", value, allowed, "make one with `make bench`")) from error


def save(runs: Iterable[Run], path: Path) -> None:
    """Write runs, by name; the file is whole at any time."""
    records = [run.record() for run in sorted(runs, key=lambda run: run.name)]
    draft = path.with_name(f"{path.name}.part")
    draft.write_text(json.dumps(records, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")
    draft.replace(path)
