"""``method: export-limits`` from a file to a result."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandapower as pp
import pandas as pd
import pytest
from typer.testing import CliRunner

import admmflex
import grid
from admmflex import launch, results
from admmflex.cli import app
from admmflex.errors import InputError
from admmflex.export_limits import Scenarios, customers_of, robust_limits, uniform_limits
from admmflex.variables import EXPORT

TEXT = """name: three homes
network: feeder.json
limits: {v_min: 0.9, v_max: 1.02}
customers: {rating_kw: 10}
scenarios: {table: days.csv, start: "2016-06-01T10:00", step_minutes: 60}
coordination: {method: export-limits, robustness_percent: [100, 50]}
"""
COUNT, STEPS, NAMES = 6, 4, ("home a", "home b", "home c")


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("made")
    net = pp.create_empty_network(name="street")
    bus = [pp.create_bus(net, 0.4, name=f"B{i}") for i in range(3)]
    pp.create_ext_grid(net, bus[0], s_sc_max_mva=1e3, rx_max=0.1, x0x_max=1.0, r0x0_max=0.1)
    for a, b in itertools.pairwise(bus):
        pp.create_line_from_parameters(
            net, a, b, 0.3, r_ohm_per_km=0.4, x_ohm_per_km=0.08, c_nf_per_km=0, max_i_ka=0.2,
            r0_ohm_per_km=1.2, x0_ohm_per_km=0.3, c0_nf_per_km=0,
        )  # fmt: skip
    for name, where, phase in zip(NAMES, (1, 2, 2), "aab", strict=True):
        pp.create_asymmetric_load(net, bus[where], name=name, **{f"p_{phase}_mw": 1e-3})
    pp.to_json(net, str(tmp_path / "feeder.json"))
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(COUNT), range(STEPS), NAMES], names=["scenario", "step", "customer"])
    sun = np.repeat(np.tile([2.0, 6.0, 10.0, 0.0], COUNT), len(NAMES))
    table = pd.DataFrame({"load_p_kw": rng.lognormal(-1, 1, len(index)), "avail_kw": sun}, index).reset_index()
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "days.csv", index=False)
    (tmp_path / "day.yaml").write_text(TEXT)
    return tmp_path


@pytest.fixture(name="folder")
def _folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "case"))


def test_result_is_that_of_the_search(folder):
    result = admmflex.run(admmflex.load(folder / "day.yaml"), out=folder / "out").require()
    customers = customers_of(grid.read_three_phase(folder / "feeder.json"), 10.0)
    table = pd.read_csv(folder / "days.csv").sort_values(["scenario", "customer", "step"])
    load, avail = (table[name].to_numpy().reshape(COUNT, 3, STEPS) for name in ("load_p_kw", "avail_kw"))
    scenarios = Scenarios(load, 0 * load, avail, 1.0, "2016-06-01T10:00")
    xi = uniform_limits(customers, scenarios, grid.UnbalancedLimits(customers.network, 0.9, 1.02)).xi
    data = results.read(folder / "out").dataset
    np.testing.assert_allclose(data["xi"], xi, atol=2e-6)
    assert xi.min() < 0.9
    np.testing.assert_allclose(data["xi_robust"][1], robust_limits(xi, 0.5).xi, atol=2e-6)
    assert ((data["binding"].to_numpy() == "") == (xi == 1.0)).all()
    assert set(EXPORT) == set(data.data_vars)
    assert str(data["time"].to_numpy()[2])[:16] == "2016-06-01T12:00"
    limits = result.summary["export_limits"]["limits"]
    assert limits[0]["lowest_limit"] == pytest.approx(xi.min(), abs=2e-6)
    assert limits[1]["pv_kwh"] >= limits[0]["pv_kwh"]


def test_command_line_tells_the_limits(folder):
    found = CliRunner().invoke(app, ["run", str(folder / "day.yaml"), "--out", str(folder / "out")])
    assert found.exit_code == 0, found.output
    for part in ("3 customers, 6 scenarios", "holds in", "100 %", "50 %", "95 % confidence"):
        assert part in found.output
    assert max(len(line) for line in found.output.splitlines()) <= 80 + len(str(folder))
    found = CliRunner().invoke(app, ["validate", str(folder / "day.yaml")])
    assert "ok, 3 customers, 3 buses, 6 scenarios, 4 steps" in found.output
    found = CliRunner().invoke(app, ["run", str(folder / "day.yaml"), "--method", "admm"])
    assert found.exit_code == 2


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("feeder.json", "gone.json", "gone.json is missing"),
        ("customers: {rating_kw: 10}", "customers: {rating_kw: {nobody: 3}}", "no such customer"),
        ("customers: {rating_kw: 10}", "customers: {}", "no PV at any"),
        ("rating_kw: 10", "rating_kw: -1", "rating_kw = -1"),
        ("v_max: 1.02", "v_max: 0.5", "must be below v_max"),
        ("robustness_percent", "robustnes", "unknown key 'robustnes'"),
        ("[100, 50]", "[100, 120]", "120"),
        ("table: days.csv, ", "", "give either drawn or table"),
        ("days.csv", "gone.csv", "gone.csv is missing"),
    ],
)
def test_bad_input_is_told(folder, old, new, told):
    (folder / "day.yaml").write_text(TEXT.replace(old, new))
    with pytest.raises(InputError) as caught:
        admmflex.run(admmflex.load(folder / "day.yaml"))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.drop(columns="avail_kw"), "column 'avail_kw' is missing"),
        (lambda table: table.replace("home b", "home x"), "customer 'home x'"),
        (lambda table: table.iloc[1:], "each once"),
        (lambda table: table.assign(step=table.step - 0.5), "no whole number"),
        (lambda table: table.assign(avail_kw=-1.0), "avail = -1 of customer"),
        (lambda table: table.assign(load_p_kw="much"), "load_p = nan"),
    ],
)
def test_faults_of_a_table_are_told(folder, change, told):
    change(pd.read_csv(folder / "days.csv")).to_csv(folder / "days.csv", index=False)
    with pytest.raises(InputError) as caught:
        admmflex.run(admmflex.load(folder / "day.yaml"))
    assert told in str(caught.value)


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_the_scenarios(folder, ranks):
    """Six of them on two ranks, or on three; with the numbers of one process."""
    try:
        launch.mpirun()
    except InputError:
        pytest.skip("no MPI is installed")
    alone = admmflex.run(admmflex.load(folder / "day.yaml")).require().dataset
    command = [sys.executable, "-m", "admmflex", "run", "day.yaml", "--ranks", str(ranks), "--out", "shared", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    shared = results.read(folder / "shared").dataset
    for name in ("xi", "xi_robust"):
        np.testing.assert_allclose(shared[name], alone[name], atol=1e-9)
