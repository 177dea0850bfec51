"""What the report says is what the result holds, and what is missing is absent."""

import base64
import json
import re

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from admmflex import results
from admmflex.cli import app
from admmflex.report import convergence, homes, limits, loading, network_map, page, payments, prices, voltage
from admmflex.report.tree import Tree
from admmflex.report.verdict import verdict


def test_the_verdict_names_what_was_broken_what_it_cost_and_what_the_check_says(day):
    told = " ".join(verdict(day.result().summary, 4))
    assert "in 1 of 4 steps: 1.0595 pu at bus 9 at 12:15 (limit 1.05 pu) and 148 % in trafo at 12:15" in told
    assert "0.75 EUR more" in told
    assert "1.0100 to 1.0495 pu, at most 99.0 % loading" in told


def test_the_verdict_does_not_praise_what_failed(day):
    data = day.dataset("infeasible")
    data.attrs["message"] = "voltage at bus 9"
    told = " ".join(verdict(results.summarise(data), 4))
    assert "no plan can meet the limits: voltage at bus 9" in told
    assert "confirms" not in told
    broken = results.result(day.dataset(v_pu=day.variables["v_pu"] + 0.01)).summary
    assert "breaks limits in 1 step: 1.0595 pu at bus 9 at 12:15 (limit 1.05 pu)." in " ".join(verdict(broken, 4))


def test_what_did_not_converge_is_no_plan(day):
    told = " ".join(verdict(day.result("not_converged").summary, 4))
    assert "did not converge" in told
    assert "meets every limit" not in told
    assert "An AC power flow of it gives 1.0100 to 1.0495 pu" in told


def test_a_message_of_the_run_is_passed_on(day):
    data = day.dataset()
    data.attrs["message"] = "2 kWh of critical load are shed"
    assert verdict(results.summarise(data), 4)[-1] == "2 kWh of critical load are shed."


def test_the_verdict_names_both_sides(day):
    swing = np.array([[1.0, 1.0, 1.0, 1.0], [1.06, 1.0, 1.0, 1.0], [1.0, 1.0, 0.93, 1.0]])
    told = " ".join(verdict(results.result(day.dataset(v_pu_baseline=swing)).summary, 4))
    assert "1.0600 pu at bus 7 at 12:00 (limit 1.05 pu) and 0.9300 pu at bus 9 at 12:30 (limit 0.95 pu)" in told


def test_distances_and_places_of_a_tree(day):
    tree = Tree.of(day.dataset())
    assert tree.parent.tolist() == [-1, 0, 1]
    assert_allclose(tree.distance, [0.0, 0.0, 0.4], atol=1e-5)
    # a fork: bus 0 feeds 1 and 2, 2 feeds 3 and 4
    data = day.dataset().isel(bus=[0, 1, 2, 2, 2], branch=[1, 1, 1, 1])
    data = data.assign(
        branch_from_bus=("branch", [0, 0, 2, 4]), branch_to_bus=("branch", [1, 2, 3, 2]),
        branch_length_km=("branch", [1.0, 2.0, 3.0, 1.0]),
    )  # fmt: skip
    tree = Tree.of(data)
    assert_allclose(tree.distance, [0, 1, 2, 5, 3])
    height = tree.places()[:, 1]
    assert len({height[1], height[3], height[4]}) == 3  # ends of the grid do not share a line
    assert height[2] == (height[3] + height[4]) / 2


def test_the_map_marks_what_is_beyond_a_limit(day):
    (before, alone), (after, agreed) = network_map.maps(day.dataset())
    assert (before, after) == ("uncoordinated", "coordinated")
    assert list(alone.data[-1].marker.size) == [7, 7, 9]
    assert list(agreed.data[-1].marker.size) == [7, 7, 7]
    assert "above 100 %" in [trace.name for trace in alone.data]
    assert "above 100 %" not in [trace.name for trace in agreed.data]


def test_the_voltage_profile_ends_at_the_extremes(day):
    figure = voltage.profile(day.dataset())
    highest = next(trace for trace in figure.data if trace.name == "coordinated, highest")
    assert max(value for value in highest.y if value == value) == pytest.approx(1.0495)


def test_of_very_many_lines_the_envelope_is_drawn(day, monkeypatch):
    monkeypatch.setattr(voltage, "MOST", 1)
    figure = voltage.profile(day.dataset())
    lowest = next(trace for trace in figure.data if trace.name == "uncoordinated, lowest")
    assert_allclose(lowest.y[[0, -1]], [1.03, 1.02])  # feeding bus and station, end of the line
    assert np.isnan(lowest.y[1:-1]).all()


def test_peaks_are_those_of_the_day(day):
    figure = loading.peaks(day.dataset())
    assert {trace.name: list(trace.x) for trace in figure.data} == {
        "uncoordinated": pytest.approx([90.0, 148.5]),
        "coordinated": pytest.approx([60.0, 99.0]),
    }


def test_prices_of_zero_are_not_drawn(day):
    assert [name for name, _ in prices.heat_maps(day.dataset())] == ["Price of active energy, ct/kWh"]


def test_the_chooser_holds_every_home(day):
    data = day.dataset()
    packed = homes.chooser(data)
    assert packed["names"] == ["north", "south"]
    battery = next(one for one in packed["series"] if one["name"] == "battery")
    whole = np.frombuffer(base64.b64decode(battery["bytes"]), "<i2").reshape(2, 4)
    assert_allclose(whole * np.array(battery["scale"])[:, None], [[-1.0] * 4, [0.0] * 4], atol=1e-3)
    (energy,) = packed["energy"]
    assert (energy["low"], energy["high"]) == ([0.0, None], [10.0, None])
    json.dumps(packed, allow_nan=False)


def test_too_many_homes_are_those_that_moved_most(day, monkeypatch):
    monkeypatch.setattr(homes, "BYTES", 100)
    baseline = day.variables["p_kw"] + np.array([[0.0], [3.0]])
    assert homes.chooser(day.dataset(p_kw_baseline=baseline))["names"] == ["south"]


def test_money_is_drawn_from_the_one_who_pays_most(day):
    baseline = day.variables["p_kw"] + np.array([[0.5], [0.0]])
    figure = payments.changes(day.dataset(p_kw_baseline=baseline))
    assert list(figure.data[0].x) == [1, 2]
    assert figure.data[0].text[0].startswith("north")
    assert payments.curtailment(day.dataset()).data[0].y[0] == pytest.approx(6.25)


def test_rounds_and_control_need_their_history(day):
    data = day.dataset()
    assert convergence.rounds(data) is not None
    assert convergence.control(data) is None


def test_parts_without_data_are_absent(day):
    data = day.dataset(drop=["branch_from_bus", "branch_to_bus", "branch_length_km"])
    keys = re.findall(r'<section id="(\w+)"', page.page(results.result(data)))
    assert {"map", "profile", "control"}.isdisjoint(keys)
    assert {"day", "loading", "prices", "homes", "money", "rounds"} <= set(keys)


def test_export_limits_are_a_fan(day):
    xi = np.linspace(0.2, 1.0, 21)[:, None] * np.array([[1.0, 0.5, 0.5, 1.0]])
    data = xr.Dataset(
        {"xi": (("scenario", "time"), xi), "xi_robust": (("robustness", "time"), xi[[1]])},
        {"time": day.dataset()["time"].values, "robustness": [95.0]},
        {"status": "optimal", "name": "limits", "method": "export-limits"},
    )
    given = {"robustness_percent": 95.0, "lowest_limit": 0.12, "curtailed_kwh": 3.0}
    summary = {"export_limits": {"customers": 55, "scenarios": 21, "limits": [given]}, "method": "export-limits"}
    text = page.page(results.Result(data, summary))
    assert re.findall(r'<section id="(\w+)"', text) == ["limits"]
    assert "holds in 95 % of 21 scenarios is at its lowest 12.0 %" in text
    figure = limits.fan(data)
    assert_allclose(figure.data[0].y, 100.0 * np.percentile(xi, 5.0, axis=0))
    assert_allclose(figure.data[-1].y, 100.0 * xi[1])


def test_names_cannot_break_the_page(day):
    data = day.dataset().assign_coords(prosumer=["</script><b>", "south"])
    data.attrs["name"] = "<i>"
    text = page.page(results.result(data))
    assert "</script><b>" not in text
    assert "<title>&lt;i&gt;</title>" in text


def test_the_command_writes_the_page_where_it_is_told(day, tmp_path):
    results.write(day.result(), tmp_path / "r")
    for more, target in (
        ([], tmp_path / "r" / "report.html"),
        (["--out", str(tmp_path / "x.html")], tmp_path / "x.html"),
    ):
        done = CliRunner().invoke(app, ["report", str(tmp_path / "r"), *more])
        assert done.exit_code == 0, done.stderr
        assert target.is_file()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (None, "no such folder"),
        ({}, "summary.json and result.nc missing"),
        ({"history.jsonl": ""}, "did not end"),
        ({"summary.json": "{}", "result.nc": "x"}, "not readable"),
    ],
)
def test_what_is_no_result_is_a_fault(tmp_path, files, said):
    if files is not None:
        (tmp_path / "r").mkdir()
        for name, text in files.items():
            (tmp_path / "r" / name).write_text(text)
    done = CliRunner().invoke(app, ["report", str(tmp_path / "r")])
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
