"""The mistakes that are made on purpose, one at a time, and that those in the stopping test are all noticed."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.reliability.equivalent import EQUIVALENT
from experiments.reliability.mutants import ROOT, TARGETS, put
from experiments.reliability.mutate import mutants

TOY = '''
"""A module."""
MOST = 2.0

def count(values, least: float = 0.0):
    """How many."""
    found = 0
    for one in values:
        if one >= least and not one > MOST:
            found += 1
    assert values, "never"
    return max(found, -1)
'''


def test_every_mistake_is_one_change_and_is_taken_back() -> None:
    names = [one.name for one in mutants(TOY)]
    assert len(names) == len(set(names))
    assert set(names) >= {
        "module: MOST = 4.0",
        "count: found = 1",
        "count: if one > least and (not one > MOST):",
        "count: if one <= least and (not one > MOST):",
        "count: if one >= least or not one > MOST:",
        "count: if one >= least and one > MOST:",
        "count: found -= 1",
        "count: found += 2",
        "count: without found += 1",
        "count: return min(found, -1)",
        "count: return max(found, 1)",
    }
    assert not any("never" in name or "How many" in name for name in names)
    plain = ast.unparse(ast.parse(TOY)).splitlines()
    for one in mutants(TOY):
        changed = ast.unparse(one.tree).splitlines()
        assert len(changed) == len(plain)
        assert sum(mine != other for mine, other in zip(changed, plain, strict=True)) == 1


def test_a_mistake_is_put_where_the_module_is_in_use(tmp_path: Path) -> None:
    path = tmp_path / "toy.py"
    path.write_text(TOY)
    spec = importlib.util.spec_from_file_location("toy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    count, found = module.count, {}
    for one in mutants(TOY):
        if one.name != "module: MOST = 4.0":
            put(module, one.tree)
            found[one.name] = count([1.0, 2.0, 3.0, 4.0])
    put(module, ast.parse(TOY))
    with pytest.raises(LookupError, match="nothing has changed"):
        put(module, ast.parse(TOY))
    assert count([1.0, 2.0, 3.0, 4.0]) == 2
    assert found["count: found += 2"] == 4
    assert found["count: without found += 1"] == 0
    assert found["count: if one >= least and one > MOST:"] == 2
    assert found["count: if one >= least or not one > MOST:"] == 4


def test_what_makes_no_difference_is_named_as_it_is_in_the_module() -> None:
    for path, reasons in EQUIVALENT.items():
        assert path in TARGETS
        assert set(reasons) <= {one.name for one in mutants((ROOT / path).read_text())}


def test_no_mistake_in_the_stopping_test_goes_unnoticed() -> None:
    command = [sys.executable, "-m", "experiments.reliability.mutants", "admmflex/coordination/stopping.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    *_, last = done.stdout.strip().splitlines()
    _, _, count, killed, late, equivalent, left, _ = (part.strip() for part in last.split("|"))
    assert (int(equivalent), int(left)) == (0, 0), done.stderr[-2000:]
    assert int(killed) + int(late) == int(count) > 40
