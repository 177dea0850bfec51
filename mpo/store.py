"""Explicit solutions on disk: one npz file of plain arrays, nothing that executes."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from mpo.arrays import freeze
from mpo.budget import Counts
from mpo.errors import Fault, InputError
from mpo.part import Part
from mpo.problem import ParametricLP, ParametricQP, Program
from mpo.solution import Solution

_FORMAT = 2


def save(solution: Solution, path: str | os.PathLike[str]) -> None:
    """Write a solution; the file appears whole or not at all."""
    problem = solution.problem
    about = {"format": _FORMAT, "program": type(problem).__name__, "status": solution.status}
    about |= {"report": asdict(solution.report), "parts": len(solution.parts)}
    arrays = {"about": np.array(json.dumps(about))}
    arrays |= {f"problem.{f.name}": getattr(problem, f.name) for f in fields(problem)}
    arrays |= {name: getattr(solution, name) for name in ("x0", "X", "theta_A", "theta_b")}
    for number, part in enumerate(solution.parts):
        arrays |= {f"part{number}.{f.name}": getattr(part, f.name) for f in fields(part)}
    target = Path(path)
    partial = target.with_name(target.name + ".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
    partial.replace(target)


def load(path: str | os.PathLike[str]) -> Solution:
    """Read a solution that ``save`` wrote.

    Raises:
        InputError: not such a file, or of another version.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as file:
            arrays = {name: freeze(file[name]) for name in file.files}
        about = json.loads(str(arrays["about"]))
        if about["format"] != _FORMAT:
            raise InputError([_fault(path, f"format {about['format']}")])
        return _solution(arrays, about)
    except FileNotFoundError:
        raise InputError([_fault(path, "no such file")]) from None
    except (KeyError, ValueError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, InputError):
            raise
        raise InputError([_fault(path, f"{type(error).__name__}: {error}"[:100])]) from None


def _fault(path: str | os.PathLike[str], value: str) -> Fault:
    return Fault(f"file {os.fspath(path)!r}", value, f"a solution saved in format {_FORMAT}", "solve and save again")


def _solution(arrays: dict[str, np.ndarray], about: dict[str, object]) -> Solution:
    kind: type[Program] = {"ParametricLP": ParametricLP, "ParametricQP": ParametricQP}[str(about["program"])]
    problem = object.__new__(kind)
    data = {f.name: arrays[f"problem.{f.name}"] for f in fields(kind)}
    problem.__dict__.update(data)
    parts = tuple(
        Part(**{f.name: arrays[f"part{number}.{f.name}"] for f in fields(Part)})
        for number in range(int(str(about["parts"])))
    )
    report = Counts(**dict(about["report"]))  # type: ignore[call-overload]
    rest = (arrays[name] for name in ("x0", "X", "theta_A", "theta_b"))
    return Solution(problem, about["status"], report, *rest, parts)  # type: ignore[arg-type,call-arg]
