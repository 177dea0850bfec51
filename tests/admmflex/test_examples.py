"""The examples that come with the package: copied whole, without other packages, with the numbers that they tell."""

import re
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import admmflex
from admmflex.cli import app
from admmflex.data.export_spec import ExportSpec
from admmflex.export_limits import study, uniform_limits
from admmflex.scenario import build

VILLAGE = Path(str(files("admmflex"))) / "examples" / "village"
README = (VILLAGE / "README.md").read_text(encoding="utf-8")
CENTRAL_EUR = -245.255  # of day.yaml: --method central, 17 s


def told(row):
    """The numbers in the first row of that name in the README's tables."""
    cells = re.search(rf"^\| {re.escape(row)} \|(.*)\|$", README, re.MULTILINE)
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", cells[1])]


def test_examples_are_listed_with_what_they_show():
    done = CliRunner().invoke(app, ["example"])
    assert done.exit_code == 0
    assert done.stdout.startswith("village    57 homes")
    assert max(len(line) for line in done.stdout.splitlines()) <= 100


def test_an_example_is_copied_whole_and_never_over_something(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["example", "village"]).stdout.endswith("admmflex run village/day.yaml\n")
    assert {one.name: one.read_bytes() for one in Path("village").iterdir()} == {
        one.name: one.read_bytes() for one in VILLAGE.iterdir()
    }
    Path("village", "homes.csv").write_text("mine")
    again = CliRunner().invoke(app, ["example", "village"])
    assert (again.exit_code, Path("village", "homes.csv").read_text()) == (2, "mine")
    assert "'village' exists" in again.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(["vilage"], "did you mean 'village'?"), (["village", "--out", "file/in"], "--out"), (["../village"], "allowed")],
)
def test_faults_are_named(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    done = CliRunner().invoke(app, ["example", *words])
    assert done.exit_code == 2
    assert said in done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


def test_every_scenario_is_told_of_and_needs_no_simbench(monkeypatch):
    monkeypatch.setitem(sys.modules, "simbench", None)
    names = sorted(one.name for one in VILLAGE.glob("*.yaml"))
    assert names == sorted(set(re.findall(r"`admmflex run village/([\w-]+\.yaml)`", README)))
    for name in names:
        scenario = admmflex.load(VILLAGE / name)
        if isinstance(scenario.spec, ExportSpec):
            assert study.build(scenario.spec, scenario.folder).customers.n == 57
        else:
            built = build(scenario)
            assert sum("community" not in one.name for one in built.prosumers) >= 57


def test_the_day_is_what_the_readme_tells():
    done = admmflex.run(admmflex.load(VILLAGE / "day.yaml"))
    found, before = done.summary, done.summary["baseline"]
    assert done.status == "optimal"
    assert [found["baseline_eur"], found["objective_eur"]] == pytest.approx(told("cost of the day")[:2], abs=0.05)
    assert told("cost of the day")[2] == pytest.approx(CENTRAL_EUR, abs=0.006)
    assert CENTRAL_EUR * (1 + 1e-5) <= found["objective_eur"] <= CENTRAL_EUR * (1 - 1e-3)
    worst = [100.0 * one["worst_loading"]["value"] for one in (before, found)]
    assert worst == pytest.approx(told("transformer")[:2], abs=0.5)
    assert before["steps_beyond_limits"] == told("limits")[0]


def test_the_island_sheds_what_the_readme_tells_for_want_of_energy():
    found = admmflex.run(admmflex.load(VILLAGE / "island.yaml")).summary
    assert found["status"] == "optimal"
    assert found["objective_eur"] == pytest.approx(told("cost")[1], rel=2e-3)  # the central optimum
    normal = found["island"]["normal"]
    assert normal["shed_kwh"] == pytest.approx(told("normal load shed")[0], abs=0.1)
    assert normal["missing"] == "energy"


def test_a_meter_without_active_power_is_a_fault(tmp_path):
    for name in ("export-limits.yaml", "grid.dss"):
        (tmp_path / name).write_bytes((VILLAGE / name).read_bytes())
    table = (VILLAGE / "meters.csv").read_text(encoding="utf-8")
    (tmp_path / "meters.csv").write_text(table.replace("H0-A_pload", "H0-A_power"), encoding="utf-8")
    done = CliRunner().invoke(app, ["validate", str(tmp_path / "export-limits.yaml")])
    assert done.exit_code == 2
    assert "'H0-A_qload' without active power" in done.stderr


def test_export_limits_hold_in_opendss():
    pytest.importorskip("dss")
    from admmflex.export_limits.verify import Simulator, simulate

    scenario = admmflex.load(VILLAGE / "export-limits.yaml")
    made = study.build(scenario.spec, scenario.folder)
    used = made.scenarios
    few = replace(used, load_p=used.load_p[:2], load_q=used.load_q[:2], avail=used.avail[:2])
    found = uniform_limits(made.customers, few, made.limits)
    simulator = Simulator(VILLAGE / "grid.dss", made.customers, {"Transformer.T": (2, 400.0)})
    limited = simulate(simulator, few, found.xi.min(axis=0))
    assert np.nanmax(limited.v) == pytest.approx(1.05, abs=1e-5)
    assert found.xi.min() < 0.5
    assert np.nanmax(simulate(simulator, few).v) > 1.07
