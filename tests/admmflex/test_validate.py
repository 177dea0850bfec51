"""Every fault of a grid in one list, exit code 2, nothing solved: balanced, by phase, OpenDSS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pytest
import yaml
from typer.testing import CliRunner

from admmflex.cli import app
from grid import read, supply
from tests.fuzz import random_net


def village(by_phase: bool = False) -> Any:
    """Six buses in a row; bus 5 stands for itself."""
    net = pp.create_empty_network(name="village")
    for i in range(6):
        pp.create_bus(net, 0.4, name=f"bus {i}")
    pp.create_ext_grid(net, 0)
    more = {"r0_ohm_per_km": 1.0, "x0_ohm_per_km": 0.4, "c0_nf_per_km": 10.0} if by_phase else {}
    for i in range(4):
        pp.create_line_from_parameters(net, i, i + 1, 0.1, 0.3, 0.1, 10.0, 0.2, **more)
    pp.create_load(net, 4, 0.001)
    return net


def told(folder: Path, net: Any, scenario: dict[str, Any], command: str = "validate") -> str:
    pp.to_json(net, str(folder / "grid.json"))
    (folder / "day.yaml").write_text(yaml.safe_dump(scenario))
    done = CliRunner().invoke(app, [command, str(folder / "day.yaml")])
    assert done.exit_code == 2, (done.output, done.exception)
    return " ".join(done.stderr.split())


BALANCED: dict[str, Any] = {
    "name": "day",
    "network": "grid.json",
    "horizon": {"start": "2016-05-20 06:00", "steps": 1},
    "tariff": {"import": 0.3, "export": 0.1},
    "prosumers": {"list": [{"name": "a", "bus": 9, "load": {"p_kw": 1}}]},
}
EXPORT: dict[str, Any] = {
    "name": "limits",
    "network": "grid.json",
    "scenarios": {"table": "days.csv", "start": "2016-05-20 06:00"},
    "coordination": {"method": "export-limits"},
}


def spoilt(net: Any, *, slack: str) -> list[str]:
    """Everything that is wrong with a grid at once, and what has to be said."""
    net.line.loc[0, "r_ohm_per_km"] = -0.3
    net.line.loc[1, "length_km"] = np.nan
    net.line.loc[2, "to_bus"] = 77
    net.load = net.load.loc[[0, 0]]
    said = ["line 0: r_ohm_per_km = -0.3", "line 1: length_km = nan", "line 2: to_bus = 77", "load 0: index used more"]
    if slack == "none":
        net.ext_grid.in_service = False
        return [*said, "no external grid in service"]
    said += [f"bus {i} 'bus {i}': cut off from the slack" for i in (3, 4, 5)]
    if slack == "two":
        pp.create_ext_grid(net, 1)
        said.append("2 external grids")
    return said


@pytest.mark.parametrize("slack", ["one", "two", "none"])
@pytest.mark.parametrize("by_phase", [False, True], ids=["balanced", "by phase"])
def test_all_faults_of_a_grid_at_once(slack: str, by_phase: bool, tmp_path: Path) -> None:
    net = village(by_phase)
    said = spoilt(net, slack=slack)
    found = told(tmp_path, net, EXPORT if by_phase else BALANCED)
    assert [one for one in said if one not in found] == [], found
    assert found.count("allowed:") == len(said)
    assert not list(tmp_path.glob("results*"))


def test_a_loop_is_named_where_a_tree_is_needed(tmp_path: Path) -> None:
    """By phase, and where charts are drawn; prices take it."""
    net = village(by_phase=True)
    for i in (4, 3):
        more = {"r0_ohm_per_km": 1.0, "x0_ohm_per_km": 0.4, "c0_nf_per_km": 10.0}
        pp.create_line_from_parameters(net, 0 if i == 4 else 5, i, 0.1, 0.3, 0.1, 10.0, 0.2, **more)
    assert "closes a loop" in told(tmp_path, net, EXPORT)
    homes = {"list": [{"name": "a", "bus": 4, "load": {"p_kw": 1}}]}
    scenario = BALANCED | {"prosumers": homes, "coordination": {"method": "charts"}}
    assert "a radial grid" in told(tmp_path, net, scenario)


def test_all_faults_of_an_opendss_file_at_once(tmp_path: Path) -> None:
    (tmp_path / "grid.dss").write_text(
        "New Circuit.c basekv=0.4 bus1=a\n"
        "New Line.one bus1=a bus2=b r1=nan\n"
        "New Line.one bus1=b bus2=c\n"
        "New Line.far bus1=x bus2=y\n"
        "New Load.home bus1=b.1 phases=1 kw=-inf pf=2\n"
        "New Vsource.second bus1=b\n"
    )
    (tmp_path / "day.yaml").write_text(yaml.safe_dump(EXPORT | {"network": "grid.dss"}))
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "day.yaml")])
    found = " ".join(done.stderr.split())
    assert done.exit_code == 2
    for one in ("r1 = nan", "new line.one", "bus x", "kw = -inf", "pf = 2", "vsource.second"):
        assert one in found, found


@pytest.mark.parametrize("seed", range(8))
def test_supply_by_tables_is_supply_by_pandapower(seed: int) -> None:
    """Buses behind open switches: none is lost that pandapower feeds, none kept that it does not."""
    net = random_net(1000 + seed, 10)
    rng = np.random.default_rng(seed)
    for line in rng.choice(len(net.line), min(3, len(net.line)), replace=False).tolist():
        pp.create_switch(net, net.line.from_bus[line], line, et="l", closed=False)
    lost, spare = supply.lost_and_spare(net)
    assert set(lost) | set(spare) == set(pp.topology.unsupplied_buses(net))
    net.load.drop(net.load.index, inplace=True)
    net.bus.loc[supply.lost_and_spare(net)[0], "in_service"] = False
    assert set(read(net).known_buses) == set(net.bus.index[net.bus.in_service]) - set(supply.lost_and_spare(net)[1])


@pytest.mark.parametrize("name", ["a\x00b", "\x1b[2J", "", "x" * 201])
def test_names_are_printable(name: str, tmp_path: Path) -> None:
    homes = {"list": [{"name": name, "bus": 4, "load": {"p_kw": 1}}]}
    (tmp_path / "day.yaml").write_text(json.dumps(BALANCED | {"prosumers": homes}))
    pp.to_json(village(), str(tmp_path / "grid.json"))
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "day.yaml")])
    assert done.exit_code == 2
    assert "prosumers.list[0].name" in done.stderr
    assert "\x1b" not in done.stderr
    assert "\x00" not in done.stderr
