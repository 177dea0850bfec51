"""One, three or four ranks agree on the same day; a failing rank ends all of them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex import launch
from admmflex.errors import InputError

WORKER = Path(__file__).with_name("worker.py")
ROOT = Path(__file__).parents[2]
DAYS = ["hand/day", *(["rural1/check"] if importlib.util.find_spec("simbench") else [])]
CHARTS, ISLAND = "flex_charts/five", "islanded/five"
SECONDS = 100
MIXED_KW = 2e-4
"""A mix is a point of a central path, found to many digits; rounding in the power flow moves it by some 1e-7 kW."""


def start(ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the worker under mpirun."""
    try:
        command = [str(launch.mpirun()), "-n", str(ranks), sys.executable, str(WORKER), *arguments]
    except InputError:
        pytest.skip("no MPI is installed")
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | launch._ENVIRONMENT | {"PYTHONPATH": path}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False)


def worker() -> Any:
    """What every rank does, as a module."""
    spec = importlib.util.spec_from_file_location("worker", WORKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def alone(name: str, kind: str) -> dict[str, Any]:
    """The outcome in this process, without MPI."""
    found: dict[str, Any] = worker().coordinate(str(ROOT / "experiments" / f"{name}.yaml"), kind)
    return found


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folder with the outcomes of so many ranks, which are started once."""
    known: dict[int, Path] = {}

    def find(ranks: int) -> Path:
        if ranks not in known:
            known[ranks] = tmp_path_factory.mktemp(f"ranks{ranks}")
            paths = [str(ROOT / "experiments" / f"{name}.yaml") for name in (CHARTS, *DAYS)]
            done = start(ranks, str(known[ranks]), *paths)
            assert done.returncode == 0, done.stderr
        return known[ranks]

    return find


@pytest.mark.parametrize("ranks", [3, 4])
def test_charts_do_not_depend_on_who_draws_them(together: Any, ranks: int) -> None:
    one = worker().control(str(ROOT / "experiments" / f"{CHARTS}.yaml"))
    many = dict(np.load(together(ranks) / "charts.npz"))
    assert (one["size"], many["size"]) == (1, ranks)
    assert many["differ"] == 0.0
    for name in ("y", "assets", "price", "cost"):
        assert_allclose(many[name], one[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", DAYS)
@pytest.mark.parametrize("kind", ["mixing", "plain", "random"])
@pytest.mark.parametrize("ranks", [3, 4])
def test_the_number_of_ranks_does_not_matter(together: Any, ranks: int, kind: str, name: str) -> None:
    """Nor who owns whom: status, cost, plans, prices and bound; on the day by hand one of four ranks owns no step."""
    one = alone(name, "mixing" if kind == "mixing" else "plain")
    many = dict(np.load(together(ranks) / f"{Path(name).parent}-{kind}.npz"))
    assert one["size"] == 1
    assert many["size"] == ranks
    assert many["status"] == one["status"]
    assert many["answers"] == one["answers"]
    assert many["ways"] == one["ways"] == [one["y"].shape[1]]
    for key in ("price", "cost", "baseline", "bound"):
        assert_allclose(many[key], one[key], atol=1e-8, rtol=1e-8, err_msg=key)
    assert_allclose(many["y"], one["y"], atol=MIXED_KW if kind == "mixing" else 1e-8)
    assert many["differ"] == 0.0


def test_an_island_does_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    done = start(2, str(tmp_path), *(str(ROOT / "experiments" / f"{name}.yaml") for name in (CHARTS, ISLAND)))
    assert done.returncode == 0, done.stderr
    for kind in ("mixing", "plain"):
        one, many = alone(ISLAND, kind), dict(np.load(tmp_path / f"islanded-{kind}.npz"))
        assert (one["size"], many["size"]) == (1, 2)
        assert many["differ"] == 0.0
        assert many["status"] == one["status"]
        assert many["answers"] == one["answers"]
        assert many["ways"].tolist() == one["ways"].tolist() == [5, 5]
        for key in ("y", "price", "cost", "bound"):
            assert_allclose(many[key], one[key], atol=1e-8, rtol=1e-8, err_msg=key)


@pytest.mark.parametrize(("ranks", "evening"), [(2, 1.0), (7, 12.0)])
def test_a_region_does_not_depend_on_the_number_of_ranks(
    region_file: Any, tmp_path: Path, ranks: int, evening: float
) -> None:
    """Five areas of which three are congested; more ranks than areas; an area that cannot meet its limits."""
    path = region_file(sun=(1.4, 1.6, 0.2, 1.5), evening=evening)
    one = worker().coordinate(str(path), "region")
    done = start(ranks, str(tmp_path), "region", str(path))
    assert done.returncode == 0, done.stderr
    many = dict(np.load(tmp_path / f"{path.parent.name}-region.npz"))
    assert (one["size"], many["size"]) == (1, ranks)
    assert many["differ"] == 0.0
    for key in ("status", "answers", "message"):
        assert many[key] == one[key]
    assert one["status"] == ("optimal" if evening == 1.0 else "infeasible")
    for key in ("price", "cost", "baseline", "bound"):
        assert_allclose(many[key], one[key], atol=1e-7, rtol=1e-7, err_msg=key)
    assert_allclose(many["y"], one["y"], atol=MIXED_KW)


def test_lost_answers_do_not_depend_on_the_number_of_ranks(tmp_path: Path) -> None:
    """Who is held, how often anybody was asked in vain, and the plan."""
    name = DAYS[-1]
    one = alone(name, "unreliable")
    done = start(3, str(tmp_path), "unreliable", str(ROOT / "experiments" / f"{name}.yaml"))
    assert done.returncode == 0, done.stderr
    many = dict(np.load(tmp_path / f"{Path(name).parent}-unreliable.npz"))
    assert (one["size"], many["size"]) == (1, 3)
    assert one["missed"] > 20
    assert "KeyError" in one["silent"]
    for key in ("status", "answers", "silent", "missed"):
        assert many[key] == one[key]
    assert many["differ"] == 0.0
    for key in ("price", "cost", "baseline", "bound"):
        assert_allclose(many[key], one[key], atol=1e-8, rtol=1e-8, err_msg=key)
    assert_allclose(many["y"], one["y"], atol=MIXED_KW)


def test_a_failing_rank_ends_all_ranks_within_seconds_and_says_why() -> None:
    started = time.monotonic()
    done = start(3)
    assert done.returncode != 0
    assert "this rank fails on purpose" in done.stderr
    assert time.monotonic() - started < 0.5 * SECONDS
