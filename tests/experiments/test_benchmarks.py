"""The benchmarks of the DSO step and of the whole day run and agree with their peers, on grids that take no time."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

import grid
from admmflex.prosumers.fleet import split
from admmflex.response.home import HomeResponse
from experiments.benchmarks import coordination, dso, homes, mpo, prosumers
from experiments.benchmarks.parametric import double_integrator
from experiments.benchmarks.prosumers import Case, compare, timed
from experiments.benchmarks.synthetic import town

HIGHS = ("HiGHS", "highspy", lambda problem: coordination.highs(problem, "simplex", 60.0))
CLARABEL = ("Clarabel", "clarabel", lambda problem: coordination.clarabel(problem, 60.0))


def test_a_town_is_a_radial_grid_that_its_homes_overload() -> None:
    study = town(40, 20, steps=24)
    assert study.network.is_tree
    assert study.network.feeder.max() >= 1
    assert not [fault for home in study.prosumers for fault in home.faults(study.horizon)]
    alone = dso.on_their_own(study, coordination.SerialComm(), lambda record: None).plan.y
    voltage, loading = coordination.ac_excess(study, alone)
    assert max(voltage, loading) > 1e-2


def test_the_same_seed_gives_the_same_town() -> None:
    first, again, other = town(10, 8, 4), town(10, 8, 4), town(10, 8, 4, seed=1)
    assert np.array_equal(first.network.y_ff, again.network.y_ff)
    assert not np.array_equal(first.network.y_ff, other.network.y_ff)


def test_the_tree_form_is_the_differential_of_the_power_flow_at_no_load() -> None:
    study, rng = town(20, 12, 1), np.random.default_rng(0)
    network = study.network
    n, none = network.n - 1, np.zeros((network.n, 1))
    p, q = rng.normal(size=(2, network.n, 1))
    dv = grid.linearise(network, network.v_no_load[:, None], none, none).dv(p, q)
    form = dso.tree_form(network)
    free = np.linalg.solve(form[:, 2 * n :].toarray(), -form[:, : 2 * n] @ np.concatenate([p[1:, 0], q[1:, 0]]))
    assert_allclose(free[2 * n :], (np.conj(network.v_no_load[1:]) * dv[1:, 0]).real / abs(network.v_slack), atol=1e-12)


def test_the_projection_agrees_with_the_peer() -> None:
    pytest.importorskip("piqp")
    rows = dso.compare(town(40, 20, steps=24), rounds=3)
    assert len(rows) == 4
    assert all(row.agreement < 1e-4 for row in rows), "kW"
    assert all(row.ours_s > 0 and row.peer_s > 0 for row in rows)


def first_homes(count: int) -> Case:
    """Some homes of the benchmark."""
    day = homes.case()
    signals = (np.ascontiguousarray(values[:, :, :count]) for values in (day.price, day.target))
    return Case(day.horizon, day.prosumers[:count], *signals)


def test_homes_with_storages_are_answered_without_help_and_as_by_the_peers() -> None:
    pytest.importorskip("piqp")
    few = first_homes(24)
    assert not [fault for home in few.prosumers for fault in home.faults(few.horizon)]
    found = split(few.prosumers, few.horizon, {i: i for i in range(24)}).homes
    assert found is not None
    response = HomeResponse(found, homes.EXACT)
    rows = compare("homes", few, *timed(response, few))
    assert response.fallbacks == response.restarts == 0
    assert [row.agreement < limit for row, limit in zip(rows, (1e-3, 1e-6, 1e-8), strict=True)] == [True] * 3


def test_a_missing_peer_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piqp", None)
    monkeypatch.setattr(prosumers, "PEERS", prosumers.PEERS[:2])
    few = first_homes(prosumers.SAMPLE)
    found = split(few.prosumers, few.horizon, {i: i for i in range(len(few.prosumers))}).homes
    assert found is not None
    rows = compare("homes", few, *timed(HomeResponse(found, homes.EXACT), few))
    assert [row.failed for row in rows] == [False, True]
    assert "piqp" in rows[1].note


def test_the_coordination_agrees_with_the_whole_problem() -> None:
    study = town(30, 14, steps=24)
    simplex, interior = coordination.compare(study, [HIGHS, CLARABEL])
    assert simplex.agreement < 2e-3
    assert interior.agreement == pytest.approx(simplex.agreement, abs=1e-5)
    outcome, _ = coordination.ours(study)
    voltage, loading = coordination.ac_excess(study, outcome.plan.y)
    assert voltage <= 1e-4
    assert loading <= 1e-3


def test_a_peer_that_is_stopped_says_so() -> None:
    study = town(30, 14, steps=24)
    problem, _ = coordination.whole(study, np.zeros((2, 30, 24)))
    assert not coordination.highs(problem, "simplex", 0.0).finished


def test_explicit_solutions_agree_with_the_peer() -> None:
    pytest.importorskip("ppopt")
    row = mpo.against_ppopt("two steps", double_integrator(2), 60.0)
    assert row.agreement < 1e-9
    assert "9 regions; PPOPT has 9" in row.note


def test_three_phase_power_flow_agrees_with_the_peers() -> None:
    pytest.importorskip("dss")
    pytest.importorskip("power_grid_model")
    from experiments.benchmarks import unbalanced

    rows = unbalanced.compare(2, 8, {"power-grid-model": 8, "OpenDSS": 4}, repeats=1)
    assert len(rows) == 4
    assert all(row.agreement < 1e-8 for row in rows), "pu"


def test_export_limits_agree_with_bisections_in_the_peers() -> None:
    pytest.importorskip("dss")
    pytest.importorskip("power_grid_model")
    from experiments.benchmarks import export_limits_search

    rows = export_limits_search.compare(1, 24, {"power-grid-model": 4, "OpenDSS": 4}, repeats=1)
    assert len(rows) == 3
    assert all(row.agreement < 3e-6 for row in rows), "share of the rating"


def test_export_limits_agree_with_mixed_integer_programs(tmp_path: Path) -> None:
    from experiments.benchmarks import export_limits_milp
    from experiments.export_limits.feeders import feeder

    row = export_limits_milp.compare(feeder("european", tmp_path), 3, 1, 1, repeats=1)
    assert row.agreement < 2e-3, "of the rating; the cuts of the program"
    assert row.ratio > 1.0


def test_charts_and_stored_values_agree_with_linear_programs() -> None:
    from admmflex import scenario
    from experiments.benchmarks import charts, stored_value

    study = scenario.build(scenario.load(charts.SCENARIO))
    planes = charts.case(study, 40)
    rows = charts.drawing(planes, planes, 40, 0.0)
    assert len(rows) == 3
    assert all(row.agreement < 1e-9 for row in [*rows, *stored_value.rows()]), "EUR"
