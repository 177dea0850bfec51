"""The period of a type of home solved once for all its parameters, kept in a folder, found again.

A type is a shape with one storage whose limits, size and band are constants in units of the power of the storage; what
is left of the period is a parameter, the limits of the rest of it are multiples of that. Charts are slices of the
solution, equal to those of ``mpo.Planes``; where minimisers are not unique, the order of the variables decides in both:
sources before storages.

Source: section 3.2 of the formulation.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

import numpy as np

import mpo
from admmflex.prosumers.period import CONSTANT, Shape, Terms, period_program

TAU = "tau"
DIGITS = 12  # of the constants of a type
LONGEST = mpo.Budget(seconds=60.0)


def ties(shape: Shape, capacity: float, give: float, take: float, size: float) -> dict[str, Terms]:
    """Parameters of the only storage as constants, and as multiples of tau."""
    found: dict[str, Terms] = {
        "capacity_c0": {CONSTANT: capacity},
        "give_c0": {CONSTANT: give},
        "take_c0": {CONSTANT: take},
        "size_c0": {CONSTANT: size},
        "later_give_c0": {TAU: give},
        "later_take_c0": {TAU: take},
    }
    known = set(shape.parameters())
    return {name: terms for name, terms in found.items() if name in known}


def explicit_solution(
    shape: Shape, ranges: Mapping[str, tuple[float, float]], tied: Mapping[str, Terms], folder: Path
) -> mpo.Solution | None:
    """The solution of a type: read from the folder, or solved and written there; None where that takes too long.

    Raises:
        OSError: the folder cannot be written.
    """
    problem = period_program(shape, ranges, tied)
    name = hashlib.sha256(repr((shape, sorted(ranges.items()), list(ranges), _sorted(tied))).encode()).hexdigest()[:24]
    path = folder / f"{name}.npz"
    if path.exists():
        try:
            found = mpo.load(path)
        except mpo.InputError:  # of another version: solved anew
            found = None
        if found is not None and _same(found.problem, problem):
            return found
    solution = mpo.solve(problem, budget=LONGEST)
    if solution.status != "complete":
        return None
    folder.mkdir(parents=True, exist_ok=True)
    own = folder / f"{name}.{os.getpid()}.npz"
    solution.save(own)
    own.replace(path)
    return solution


def _sorted(tied: Mapping[str, Terms]) -> list[tuple[str, list[tuple[str, float]]]]:
    return [(name, sorted(terms.items())) for name, terms in sorted(tied.items())]


def _same(one: object, other: mpo.ParametricLP) -> bool:
    if not isinstance(one, mpo.ParametricLP):
        return False
    return all(np.array_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(other))
