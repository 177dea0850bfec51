"""Reading: what is converted, what is refused, and that every fault is named in one go."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import grid
from tests.grid.conftest import ring, village


def broken(change: Callable[[Any], None]) -> str:
    """The message of the faults of a village after a change."""
    net = village()
    change(net)
    with pytest.raises(grid.InputError) as caught:
        grid.read(net)
    return str(caught.value)


def put(table: str, column: str, value: Any, row: int = 0) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table].loc[row, column] = value

    return change


def lose_a_load(net: Any) -> None:
    pp.create_load(net, 6, 0.001)
    net.line.loc[2, "in_service"] = False


def drop(table: str) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table] = net[table].iloc[:0]

    return change


def twice(table: str) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table].index = [0, 0, *net[table].index[2:]]

    return change


FAULTS: dict[str, tuple[Callable[[Any], None], str]] = {
    "negative resistance": (put("line", "r_ohm_per_km", -0.2), "line 0 'Line 0': r_ohm_per_km = -0.2; allowed: >= 0"),
    "missing number": (put("line", "x_ohm_per_km", np.nan, 1), "line 1 'Line 1': x_ohm_per_km = nan"),
    "no length": (put("line", "length_km", 0.0), "line 0 'Line 0': length_km = 0.0; allowed: > 0"),
    "negative rating": (put("line", "max_i_ka", -0.3), "line 0 'Line 0': max_i_ka = -0.3"),
    "zero transformer": (put("trafo", "sn_mva", 0.0), "trafo 0 'Trafo': sn_mva = 0.0"),
    "resistance above impedance": (put("trafo", "vkr_percent", 7.0), "vkr_percent = 7.0 above vk_percent = 6.0"),
    "sides exchanged": (lambda net: put("trafo", "vn_hv_kv", 0.4)(net), "vn_hv_kv = 0.4 at a bus of 20 kV"),
    "two voltages": (put("line", "to_bus", 0), "line 0 'Line 0': joins 0.4 kV and 20 kV"),
    "unknown bus": (put("line", "to_bus", 77), "line 0 'Line 0': to_bus = 77"),
    "no slack": (drop("ext_grid"), "no external grid in service"),
    "two slacks": (
        lambda net: pp.create_ext_grid(net, 3),
        "2 external grids: ext_grid 0 at bus 0, ext_grid 1 at bus 3",
    ),
    "slack voltage": (put("ext_grid", "vm_pu", 10.2), "vm_pu = 10.2; allowed: 0.5 to 1.5"),
    "cut off, alone": (lambda net: pp.create_bus(net, 0.4, name="lost"), "bus 7 'lost': cut off from the slack"),
    "cut off, line out": (lose_a_load, "bus 6 'Bus 6': cut off from the slack"),
    "same line index": (twice("line"), "line 0: index used more than once"),
    "same bus index": (twice("bus"), "bus 0: index used more than once"),
    "generator": (lambda net: pp.create_gen(net, 3, 0.1), "gen 0: a gen is not modelled"),
    "ward": (lambda net: pp.create_ward(net, 3, 0.1, 0, 0, 0), "ward 0: a ward is not modelled"),
    "voltage-dependent load": (lambda net: pp.create_load(net, 3, 0.1, const_z_p_percent=50), "const_z_p_percent = 50"),
    "load without power": (lambda net: pp.create_load(net, 3, np.nan), "load 0: p_mw = nan"),
}


@pytest.mark.parametrize("case", list(FAULTS))
def test_a_fault_names_element_value_and_what_is_allowed(case: str) -> None:
    change, expected = FAULTS[case]
    message = broken(change)
    assert expected in message
    assert "; allowed: " in message


def test_all_faults_are_reported_at_once() -> None:
    def change(net: Any) -> None:
        for fault in ("negative resistance", "missing number", "zero transformer", "slack voltage", "generator"):
            FAULTS[fault][0](net)

    assert len(broken(change).splitlines()) == 5


def test_a_spare_bus_behind_an_open_switch_is_left_out_and_noted() -> None:
    net = village()
    spare = pp.create_bus(net, 0.4)
    pp.create_switch(net, 3, spare, et="b", closed=False)
    network = grid.read(net)
    assert any("1 buses behind open switches" in note for note in network.notes)
    with pytest.raises(grid.InputError, match="bus 7: unknown or cut off"):
        network.positions([1, 7])
    pp.create_load(net, spare, 0.001)
    with pytest.raises(grid.InputError, match="bus 7: cut off"):
        grid.read(net)


def test_buses_joined_by_a_switch_share_a_position_and_the_order_is_parents_first() -> None:
    network = grid.read(village())
    assert network.is_tree
    assert network.buses[0] == 0
    assert network.positions([1])[0] == network.positions([2])[0]
    assert (network.parent[1:] < np.arange(1, network.n)).all()
    busbar = network.positions([1])[0]
    assert_array_equal(network.feeder[[0, busbar]], -1)
    labels = network.feeder[network.positions([3, 4, 5, 6])]
    assert labels[0] == labels[1] != labels[2] == labels[3]
    assert not grid.read(ring()).is_tree


def test_positions_name_all_unknown_buses() -> None:
    with pytest.raises(grid.InputError) as caught:
        grid.read(village()).positions([3, 99, 98, 0])
    assert len(caught.value.faults) == 2


def test_an_open_circuited_line_keeps_its_charging() -> None:
    network = grid.read(village())
    tie = network.branch_names.index("Tie")
    assert -1 in (network.buses[network.from_bus[tie]], network.buses[network.to_bus[tie]])


@pytest.mark.parametrize("kind", ["Ratio", None])
def test_a_tap_counts_with_and_without_a_changer_type(kind: str | None) -> None:
    net = village()
    net.trafo["tap_changer_type"] = kind
    network = grid.read(net)
    assert bool(network.notes) == (kind is None)
    assert_allclose(network.v_no_load, grid.read(village()).v_no_load)
    neutral = grid.read(net, taps="neutral")
    turns = abs(network.v_no_load[1]) / abs(neutral.v_no_load[1])
    assert turns == pytest.approx(1 / 0.975, rel=1e-5)


def test_limits_of_the_grid() -> None:
    net = village()
    net.bus["min_vm_pu"], net.bus["max_vm_pu"] = np.nan, 1.1
    net.bus.loc[2, "max_vm_pu"] = 1.05
    network = grid.read(net)
    assert network.v_max[network.positions([1])[0]] == 1.05
    assert (network.v_min == 0.9).all()
    narrow = network.with_limits(v_min=0.95, v_max=1.05)
    assert (narrow.v_min == 0.95).all()
    with pytest.raises(grid.InputError, match=r"v_min = 1\.1, v_max = 1\.05"):
        network.with_limits(1.1, 1.05)
    with pytest.raises(grid.InputError, match="line_loading = 0"):
        grid.Limits.of(network, line_loading=0)
    labels = [grid.Limits.of(network).label(grid.BRANCH, e) for e in range(2)]
    assert labels == ["current of line 0 'Line 0' at its from end", "current of line 0 'Line 0' at its to end"]


def test_arrays_are_frozen_and_survive_a_file(tmp_path: Path) -> None:
    network = grid.read(village())
    with pytest.raises(ValueError, match="read-only"):
        network.v_max[0] = 2.0
    network.save(tmp_path / "grid.npz")
    again = grid.Network.load(tmp_path / "grid.npz")
    for name, value in network.to_arrays().items():
        assert_array_equal(again.to_arrays()[name], value)
    assert again.notes == network.notes
    assert again.v_slack == network.v_slack
    (tmp_path / "grid.npz").write_bytes(b"garbage")
    with pytest.raises(grid.InputError, match="not readable as a grid"):
        grid.Network.load(tmp_path / "grid.npz")


def test_the_callers_grid_is_not_changed() -> None:
    net = village()
    net.trafo["tap_changer_type"] = None
    before = {name: table.copy() for name, table in net.items() if hasattr(table, "columns")}
    grid.read(net, taps="neutral")
    assert all(net[name].equals(table) for name, table in before.items())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ADMMFLEX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_is_read_once_and_a_damaged_cache_is_built_anew(tmp_path: Path, cache: Path) -> None:
    net = village()
    pp.create_load(net, 6, p_mw=0.004, q_mvar=0.001, scaling=0.5, name="Home")
    pp.create_sgen(net, 5, p_mw=0.003)
    pp.create_storage(net, 5, p_mw=-0.002, max_e_mwh=0.01)
    path = tmp_path / "village.json"
    pp.to_json(net, str(path))
    first = grid.read_case(path)
    (stored,) = cache.iterdir()
    stamp = stored.stat().st_mtime_ns
    second = grid.read_case(path)
    assert stored.stat().st_mtime_ns == stamp
    stored.write_bytes(stored.read_bytes()[:300])
    third = grid.read_case(path)
    for case in (second, third):
        assert_array_equal(case.network.y_ff, first.network.y_ff)
        assert case.elements.label(0) == "load 0 'Home'"
        p, q = case.bus_sums(slice(0, 3), kinds=("load", "sgen", "storage"))
        assert_allclose(p[case.network.positions([6, 5]), 0], [-2.0, 5.0])
        assert_allclose(q.sum(axis=0), -0.5)
    grid.read_case(path, taps="neutral")
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "no such file, and no SimBench code"),
        ("{]", "not JSON"),
        ("[1, 2]", "not a pandapower grid"),
        (json.dumps({"bus": {}}), "not a pandapower grid"),
        (
            json.dumps({"_class": "pandapowerNet", "_module": "pandapower.auxiliary", "_object": {"bus": 3}}),
            "no table: bus",
        ),
    ],
)
def test_files_that_are_no_grids(tmp_path: Path, cache: Path, content: str | None, expected: str) -> None:
    path = tmp_path / "village.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(grid.InputError, match=expected):
        grid.read_case(path)


def test_an_unknown_simbench_code_suggests_a_known_one(cache: Path) -> None:
    pytest.importorskip("simbench")
    with pytest.raises(grid.InputError, match=r"unknown SimBench code.*1-LV-rural1--2-sw"):
        grid.read_case("1-LV-rurall--2-sw")


def test_a_simbench_year_equals_simbench() -> None:
    simbench = pytest.importorskip("simbench")
    case = grid.read_case("1-LV-rural1--2-sw")
    net = simbench.get_simbench_net("1-LV-rural1--2-sw")
    absolute = simbench.get_absolute_values(net, profiles_instead_of_study_cases=True)
    rows = slice(13464, 13560)
    p, q = case.bus_sums(rows)
    at = case.network.positions(net.load.bus)
    expected = np.zeros((case.network.n, 96))
    np.add.at(expected, at, -absolute["load", "q_mvar"].to_numpy()[rows].T * 1000)
    assert_allclose(q, expected, atol=1e-12)
    np.add.at(expected := np.zeros_like(expected), at, -absolute["load", "p_mw"].to_numpy()[rows].T * 1000)
    np.add.at(expected, case.network.positions(net.sgen.bus), absolute["sgen", "p_mw"].to_numpy()[rows].T * 1000)
    assert_allclose(p, expected, atol=1e-12)
    assert case.profiles is not None
    assert case.profiles.time[13464] == "20.05.2016 07:00", "labels are wall-clock times: 06:00 CET"
