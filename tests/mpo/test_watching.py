"""Searches that are watched and interrupted, and what they count."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

import mpo
from experiments.benchmarks.parametric import current_period, double_integrator
from mpo import _explore, search, spaces
from mpo.budget import Counts
from mpo.presolve import presolve

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def problem():
    return current_period(4, reduced=True).program()


@pytest.fixture(autouse=True)
def interrupts():
    """Ctrl-C as Python handles it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def ctrl_c(*_):
    os.kill(os.getpid(), signal.SIGINT)


def assert_usable(solution):
    assert (solution.status, solution.report.stopped) == ("budget", "interrupted")
    certificate = solution.certify(200, direct=5)
    assert certificate.holes > 0
    assert max(certificate.infeasibility, certificate.stationarity, certificate.gap, certificate.error) < 1e-9
    with pytest.raises(mpo.SolveError, match="interrupted"):
        solution.require()


def test_progress_is_told(problem):
    seen = []
    solution = mpo.solve(problem, observe=seen.append)
    assert solution.status == "complete"
    assert len(seen) > 5
    for name in ("regions", "tested", "seconds"):
        values = [getattr(progress, name) for progress in seen]
        assert values == sorted(values)
    assert 0 < seen[0].tested < seen[-1].tested <= solution.report.tested
    assert seen[-1].regions >= len(solution)
    assert seen[-1].seconds <= solution.report.seconds


def test_ctrl_c_keeps_what_has_been_found(problem):
    seen = []

    def observe(progress):
        seen.append(progress)
        if len(seen) == 3:
            ctrl_c()

    solution = mpo.solve(problem, observe=observe)
    assert len(seen) == 3
    assert solution.report.tested == seen[-1].tested
    assert 0 < len(solution) == seen[-1].regions - solution.report.flat - solution.report.merged
    assert_usable(solution)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_at_any_time(problem):
    """A signal from a timer, wherever the search is."""
    before = signal.signal(signal.SIGALRM, ctrl_c)
    mpo.solve(double_integrator(2))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        solution = mpo.solve(problem)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert_usable(solution)


def test_ctrl_c_twice_ends_at_once(problem):
    def observe(_):
        ctrl_c()
        ctrl_c()

    with pytest.raises(KeyboardInterrupt):
        mpo.solve(problem, observe=observe)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_handlers_of_others_are_left_alone(problem):
    calls = []
    signal.signal(signal.SIGINT, lambda *_: calls.append(1))
    assert mpo.solve(double_integrator(2), observe=ctrl_c).status == "complete"
    assert mpo.solve(problem, observe=lambda _: ctrl_c() if not calls else None).status == "complete"
    assert calls == [1]


def test_other_threads_may_solve():
    solutions = []
    thread = threading.Thread(target=lambda: solutions.append(mpo.solve(double_integrator(3))))
    thread.start()
    thread.join()
    assert len(solutions[0]) == 19


@pytest.mark.parametrize(
    ("budget", "reason"),
    [({"regions": 300}, "regions"), ({"seconds": 0.0}, "seconds"), ({"megabytes": 1}, "megabytes")],
)
def test_the_report_says_which_limit_was_reached(problem, budget, reason):
    solution = mpo.solve(problem, budget=mpo.Budget(**budget))
    assert (solution.status, solution.report.stopped) == ("budget", reason)


def referred(space, key):
    """Counts and regions after a basis that the search left open."""
    found, w, counts = search.room(space), _explore.work(space), Counts()
    _explore.add(found, key, np.zeros(space.theta_G.shape[1]), False)
    found.unknown[0], found.counts[_explore.UNKNOWN] = 0, 1
    search._settle(space, found, w, 0, counts)
    return counts.referred, counts.undecided, int(found.counts[_explore.REGIONS])


def test_what_is_left_open_is_referred_and_counted(monkeypatch):
    """HiGHS finds the region around the origin, and none for rows that contradict each other."""
    (block,) = presolve(double_integrator(3)).blocks
    space = spaces.space_of(block)
    w, keys, m = _explore.work(space), mpo.solve(double_integrator(3)).parts[0].keys, len(block.w)
    candidates = (np.array([n], np.uint64) for n in range(2**m) if n not in keys)
    other = next(key for key in candidates if _explore.tableau(space, key, m, w))
    assert referred(space, keys[0]) == (1, 0, 1)
    assert referred(space, other) == (1, 0, 0)

    def stalls(*_):
        raise RuntimeError("HiGHS: unknown")

    monkeypatch.setattr(spaces, "centre", stalls)
    assert referred(space, keys[0]) == (1, 1, 0)


def test_a_singular_basis_is_undecided():
    """No slack of a linear program can be exchanged for its own multiplier alone."""
    block = max(presolve(current_period(1).program()).blocks, key=lambda one: len(one.w))
    space = spaces.space_of(block)
    key = np.zeros(_explore.words(len(block.w)), np.uint64)
    key[0] = 1
    assert referred(space, key) == (1, 1, 0)
