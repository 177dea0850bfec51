"""The exported grid, run by pandapower for the whole day, has the voltages and loadings of the result."""

from pathlib import Path

import pandapower as pp
import pytest
from numpy.testing import assert_allclose
from pandapower.timeseries import OutputWriter, run_timeseries
from typer.testing import CliRunner

import admmflex
from admmflex.cli import app

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five homes by themselves, with another slack voltage than the file has."""
    place = tmp_path_factory.mktemp("five")
    net = pp.from_json(str(EXPERIMENTS / "flex_charts" / "five.json"))
    pp.to_json(net, str(place / "five.json"))
    for name in ("homes.csv", "profiles.csv"):
        (place / name).write_bytes((EXPERIMENTS / "flex_charts" / name).read_bytes())
    text = (EXPERIMENTS / "flex_charts" / "five.yaml").read_text()
    text = text.replace("network: five.json", "network: {source: five.json, slack_pu: 1.01}")
    (place / "five.yaml").write_text(text.replace("method: charts", "method: none"))
    admmflex.run(admmflex.load(place / "five.yaml"), out=place / "result")
    return place / "result"


def export(folder, *more):
    return CliRunner().invoke(app, ["export", str(folder), "--to", "pandapower", *more])


def test_pandapower_gets_the_same_day(folder):
    done = export(folder, "--step", "50")
    assert done.exit_code == 0, done.stderr
    assert "step 50, 2016-05-26 12:30" in done.stdout
    net, data = pp.from_json(str(folder / "net.json")), admmflex.results.read(folder).dataset
    buses = data["bus"].to_numpy()
    assert_allclose(net.res_bus.vm_pu.loc[buses], data["v_pu"].to_numpy()[:, 50], atol=1e-8)
    steps = range(0, 96, 8)
    writer = OutputWriter(net, steps, log_variables=[("res_bus", "vm_pu"), ("res_line", "loading_percent")])
    run_timeseries(net, steps, calculate_voltage_angles=True, verbose=False)
    voltage = writer.output["res_bus.vm_pu"].to_numpy()
    at = [list(net.bus.index).index(bus) for bus in buses]
    assert_allclose(voltage[:, at].T, data["v_pu"].to_numpy()[:, steps], atol=1e-8)
    lines = data["branch_kind"].to_numpy() == "line"
    loading = writer.output["res_line.loading_percent"].to_numpy()
    assert_allclose(loading.T, 100.0 * data["loading"].to_numpy()[lines][:, steps], atol=1e-4)


def test_powers_keep_their_sign_and_batteries_their_size(folder):
    export(folder, "--step", "50")
    net, data = pp.from_json(str(folder / "net.json")), admmflex.results.read(folder).dataset
    assert net.res_load.p_mw.sum() > 0.0
    total = net.sgen.p_mw.sum() - net.load.p_mw.sum() - net.storage.p_mw.sum()
    assert total == pytest.approx(float(data["p_kw"][:, 50].sum()) / 1e3)
    assert_allclose(net.storage.max_e_mwh, 0.03)


def test_a_grid_that_moved_is_asked_for(folder):
    source = folder.parent / "five.json"
    moved = source.rename(folder.parent / "elsewhere.json")
    try:
        done = export(folder)
        assert done.exit_code == 2
        assert "--network" in done.stderr
        assert export(folder, "--network", str(moved)).exit_code == 0
    finally:
        moved.rename(source)


@pytest.mark.parametrize("change", ["no buses", "a longer line"])
def test_another_grid_is_refused(folder, tmp_path, change):
    net = pp.from_json(str(folder.parent / "five.json"))
    if change == "no buses":
        net = pp.create_empty_network()
        pp.create_ext_grid(net, pp.create_bus(net, 0.4))
    else:
        net.line.loc[net.line.index[0], "length_km"] *= 1.5
    pp.to_json(net, str(tmp_path / "other.json"))
    done = export(folder, "--network", str(tmp_path / "other.json"))
    assert done.exit_code == 2
    assert "another grid" in done.stderr


def test_an_unknown_step_is_a_fault(folder):
    done = export(folder, "--step", "96")
    assert done.exit_code == 2
    assert "0 to 95" in done.stderr
