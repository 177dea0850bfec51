"""The scaling study counts and replays what it says, on traces and regions that can be worked out by hand."""

from __future__ import annotations

import importlib.util
import json
import time
from pathlib import Path

import numpy as np
import pytest

from admmflex import launch
from admmflex.comm import SerialComm
from admmflex.errors import InputError
from experiments.scaling import figure, run, tables
from experiments.scaling.findings import Case, Findings
from experiments.scaling.model import Link, Model, growth
from experiments.scaling.trace import Trace, heaviest_first, in_turn
from experiments.scaling.watch import COMMUNICATION, FOR_OWN, FOR_TRUNK, Clock, Counting

HAND = Trace(np.array([[1.0, 1.0, 0.0, 2.0], [3.0, 0.0, 1.0, 0.0]]), np.array([0.5, 0.0]))


def test_between_two_calls_the_slowest_rank_counts():
    assert HAND.total == 8.5
    assert HAND.parallel(np.array([0, 0, 0, 0])) == 8.5
    assert HAND.parallel(np.array([0, 0, 1, 1])) == 0.5 + 2.0 + 3.0
    assert HAND.parallel(np.array([0, 1, 1, 0])) == 0.5 + 3.0 + 3.0
    assert HAND.efficiency(np.array([0, 0, 1, 1])) == pytest.approx(8.5 / (2 * 5.5))


def test_a_trace_has_the_work_of_all_ranks_and_the_trunk_of_one():
    records = [
        {"areas": 2, "own": [0], "trace": [[0, 0, 1.0], [0, FOR_TRUNK, 0.2], [1, FOR_OWN, 0.1]]},
        {"areas": 2, "own": [1], "trace": [[0, 1, 2.0], [0, FOR_TRUNK, 0.3]]},
    ]
    found = Trace.of(records)
    np.testing.assert_allclose(found.work, [[1.0, 2.0], [0.1, 0.0]])
    np.testing.assert_allclose(found.serial, [0.3, 0.0])


def test_ways_to_share_out_areas():
    assert in_turn(5, 2).tolist() == [0, 1, 0, 1, 0]
    weight = np.array([4.0, 1.0, 3.0, 2.0])
    owner = heaviest_first(weight, 2)
    assert np.bincount(owner, weight).tolist() == [5.0, 5.0]


def test_drawing_one_kind_of_area_waits_for_nobody():
    same = Trace(np.full((3, 4), 0.5), np.zeros(3))
    assert same.drawn(100, 8, np.random.default_rng(0)) == pytest.approx(3 * 8 * 0.5)
    assert Model(same, 10, 1e6, 1.0).weak(100, 8, Link(0.0, 0.0), np.random.default_rng(0)).waiting == pytest.approx(
        0.0
    )


def test_the_link_is_found_from_times_that_obey_it():
    sizes = [8.0, 1024.0, 65536.0, 1e6]
    fitted = Link.fitted({"bytes": sizes, "seconds": [3e-6 + 1e-9 * size for size in sizes]})
    assert fitted.alpha == pytest.approx(3e-6)
    assert fitted.beta == pytest.approx(1e-9)
    assert fitted.seconds(8, 10, 1e6) == pytest.approx(10 * 3 * 3e-6 + 1e-3)
    assert growth([10, 20, 80], [3.0, 6.0, 24.0]) == pytest.approx(1.0)


def test_the_clock_counts_nothing_twice_and_waiting_for_nobody():
    clock = Clock()
    comm = Counting(SerialComm(), clock)
    before = time.thread_time()
    clock.start()
    with clock.within("outer", 3):
        _work()
        with clock.within("inner"):
            _work()
        comm.sum(np.zeros(5))
        _work()
    clock.stop()
    spent = time.thread_time() - before
    record = clock.record()
    assert 0.8 * spent < sum(record["cpu_s"].values()) <= spent
    assert record["busy_s"] == pytest.approx(sum(record["cpu_s"].values()) - record["cpu_s"][COMMUNICATION])
    assert record["calls"] == {"sum": 1}
    assert record["bytes"] == {"sum": 40}
    intervals = {(interval, area) for interval, area, _ in record["trace"]}
    assert {(0, 3), (1, 3)} <= intervals <= {(0, 3), (1, 3), (0, FOR_OWN), (1, FOR_OWN)}


def _work() -> None:
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass


@pytest.mark.skipif(not importlib.util.find_spec("simbench"), reason="SimBench is not installed")
def test_two_ranks_agree_on_the_same_bits(tmp_path: Path):
    """A region of four areas, one of them congested; tables, figure and JSON of it."""
    try:
        launch.mpirun()
    except InputError:
        pytest.skip("no MPI is installed")
    few = [run.measure(Case(areas, ranks), tmp_path) for areas, ranks in ((2, 1), (4, 1), (4, 2))]
    found = Findings(few, Link(1e-6, 1e-9))
    one, two = few[1:]
    assert [len(record["own"]) for record in two.ranks] == [2, 2]
    assert one.ranks[0]["status"] == "optimal"
    assert two.difference(one) <= 1e-9
    assert two.ranks[0]["calls"] == one.ranks[0]["calls"]
    assert two.ranks[0]["cost"] == pytest.approx(one.ranks[0]["cost"], rel=1e-12)
    assert two.homes == one.homes
    assert one.trace.total == pytest.approx(one.ranks[0]["busy_s"], rel=1e-3)
    run.report(found, tmp_path / "found.json", tmp_path / "found.html")
    told = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert [row["difference"] for row in told["runs"]] == [0.0, 0.0, two.difference(one)]
    assert len(figure.draw(tables.predictions(found), 100.0).data) == len(figure.PARTS)
