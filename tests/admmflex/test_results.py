"""A result file holds everything, says what it is, and is never half written."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from admmflex import load, results, run
from admmflex.errors import InputError
from admmflex.summary import local_times
from admmflex.variables import HISTORY, PROFILES, VARIABLES

DOCUMENT = Path(__file__).parents[2] / "docs" / "results.md"


def test_reading_gives_back_what_was_written(day, tmp_path):
    written = results.write(day.result(timing={"total_s": 1.0}), tmp_path)
    found = results.read(tmp_path)
    assert set(found.dataset.variables) == set(written.dataset.variables)
    for name, values in written.dataset.variables.items():
        assert_array_equal(found.dataset[name].to_numpy(), values.to_numpy(), err_msg=name)
    assert found.summary == written.summary
    assert (found.status, found.objective_eur, found.directory) == ("optimal", 2.25, tmp_path)
    assert found.dataset.attrs["scenario"] == "name: day\n"
    assert found.dataset.attrs["seed"] == 3


@pytest.mark.parametrize("below", ["", "deeper/still"])
def test_a_folder_that_cannot_be_written_is_named_before_anything_is_solved(tmp_path, below):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match=r"result folder .* cannot be written: .*; choose another with --out"):
        results.require_folder(tmp_path / "file" / below)
    results.require_folder(tmp_path / "new" / "folder")
    assert not list((tmp_path / "new" / "folder").iterdir())


def test_the_file_is_plain_hdf5(day, tmp_path):
    results.write(day.result(), tmp_path)
    with h5py.File(tmp_path / "result.nc") as file:
        assert_array_equal(file["p_kw"], day.variables["p_kw"])
        assert_array_equal(file["time"], 1463738400 + 900 * np.arange(4))  # 10:00 UTC
        assert file["time"].attrs["units"].startswith("seconds since 1970-01-01")
        assert [name.decode() for name in file["asset"]] == ["north/load", "north/pv", "north/battery", "south/load"]
        assert json.loads(file.attrs["versions"])["numpy"] == np.__version__


def test_every_variable_has_a_unit_a_meaning_and_a_place_in_the_document(day):
    text = DOCUMENT.read_text(encoding="utf-8")
    for name in (*VARIABLES, *PROFILES, *HISTORY):
        assert f"`{name}`" in text, name
    for name, variable in day.dataset().data_vars.items():
        assert {"units", "long_name"} <= variable.attrs.keys(), name


def test_every_number_of_a_summary_has_a_place_in_the_document(day):
    text = DOCUMENT.read_text(encoding="utf-8")
    for key in (*day.result(ranks=1, timing={}).summary, "steps_beyond_limits", "lower_bound_eur", "gap"):
        assert f"`{key}`" in text, key


def test_parameters_are_the_fields_of_the_assets_as_they_applied(day):
    data = day.dataset()
    assert_array_equal(data["eta_c"], [np.nan, np.nan, 0.95, np.nan])
    assert_array_equal(data["e_max_kwh"], [np.nan, np.nan, 10.0, np.nan])
    assert_array_equal(data["s_kva"], [np.nan, 5.0, 3.0, np.nan])  # neither was given
    assert_array_equal(data["e_end_min_kwh"], [np.nan, np.nan, 4.0, np.nan])  # ends as it starts
    assert_array_equal(data["curtailable"], [np.nan, 1.0, np.nan, np.nan])
    assert list(data["reactive"].to_numpy()) == ["", "disc", "none", ""]
    assert data["e_max_kwh"].attrs["units"] == "kWh"
    assert_array_equal(data["load_p_kw"][:, 0], [0.5, 0.0, 0.0, 2.0])
    assert_array_equal(data["avail_kw"][:, 0], [0.0, 4.0, 0.0, 0.0])
    assert_array_equal(data["asset_prosumer"], [0, 0, 0, 1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "fine"}, "status is 'fine'"),
        ({"voltage": np.zeros(3)}, "no such variable in a result: voltage"),
        ({"drop": ("price_q",)}, "lacks price_q"),
        ({"drop": ("loading_baseline",)}, "lacks loading_baseline"),
        ({"v_pu": np.ones((3, 5))}, r"v_pu has shape \(3, 5\); .* is \(3, 4\)"),
        ({"p_kw": np.full((2, 4), np.nan)}, "p_kw of an optimal result is not finite"),
    ],
)
def test_a_wrong_result_is_not_made(day, change, said):
    with pytest.raises(ValueError, match=said):
        day.dataset(**change)


def test_an_infeasible_day_may_lack_outputs_and_cannot_be_required(day):
    outputs = [name for name, variable in VARIABLES.items() if variable.role in ("output", "baseline")]
    found = results.result(day.dataset("infeasible", drop=outputs))
    assert found.summary["status"] == "infeasible"
    with pytest.raises(results.UnsolvedError, match="infeasible"):
        found.require()
    assert day.result().require().status == "optimal"


def test_a_failing_write_leaves_the_old_files(day, tmp_path, monkeypatch):
    results.write(day.result(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    broken = day.result()

    def half(path, **_):
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(type(broken.dataset), "to_netcdf", lambda self, path, **how: half(path, **how))
    with pytest.raises(OSError, match="disk full"):
        results.write(broken, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_history_is_on_disk_after_every_round_and_has_no_nan(tmp_path):
    with results.History(tmp_path) as history:
        history.append({"iteration": 1, "primal": np.float64(0.5), "dual": float("nan"), "rows": np.int64(3)})
        lines = (tmp_path / "history.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == [{"iteration": 1, "primal": 0.5, "dual": None, "rows": 3}]
        history.append({"iteration": 2})
    assert len((tmp_path / "history.jsonl").read_text().splitlines()) == 2
    assert len(history.records) == 2


def test_a_new_history_removes_the_result_it_does_not_belong_to(day, tmp_path):
    results.write(day.result(), tmp_path)
    with results.History(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["history.jsonl"]


def test_the_summary_names_the_worst_places(day):
    summary = day.result().summary
    top = summary["highest_voltage"]
    assert (top["value"], top["bus"], top["name"], top["time"]) == (1.0495, 9, "north", "2016-05-20T12:15:00+02:00")
    assert top["excess"] == pytest.approx(-0.0005)
    assert summary["baseline"]["worst_voltage"]["excess"] == pytest.approx(0.0095)
    assert summary["baseline"]["worst_loading"]["value"] == pytest.approx(1.485)
    assert summary["worst_loading"]["branch"] == "trafo"
    assert summary["lowest_voltage"]["value"] == 1.01
    assert summary["curtailed_kwh"] == pytest.approx(0.25)  # 1 kW for a quarter of an hour
    assert summary["price_p"] == {"min": -0.08, "max": 0.0}
    assert summary["residuals"] == {"primal": 1e-3, "dual": 2e-3, "rho": 0.01}
    assert summary["steps_without_power_flow"] == 0
    assert (summary["steps_beyond_limits"], summary["baseline"]["steps_beyond_limits"]) == (0, 1)


def test_only_prices_that_somebody_is_asked_count(day):
    price = day.variables["price_p"].copy()
    price[0] = 99.0  # the station, where nobody lives
    assert results.result(day.dataset(price_p=price)).summary["price_p"] == {"min": -0.08, "max": 0.0}


def test_a_step_without_power_flow_is_counted(day):
    v = day.variables["v_pu"].copy()
    v[:, 2] = np.nan
    summary = results.result(day.dataset("not_converged", v_pu=v)).summary
    assert summary["steps_without_power_flow"] == summary["steps_beyond_limits"] == 1
    assert summary["highest_voltage"]["value"] == 1.0495


@pytest.mark.parametrize(
    ("zone", "start", "hours"),
    [("Europe/Berlin", (2016, 3, 27, 1, 30), ["01:30", "01:45", "03:00", "03:15"]),
     ("Europe/Berlin", (2016, 10, 30, 2, 30), ["02:30", "02:45", "02:00", "02:15"])],
)  # fmt: skip
def test_local_times_follow_the_change_of_the_clocks(day_from, zone, start, hours):
    data = day_from(datetime(*start, tzinfo=ZoneInfo(zone))).dataset()
    assert [moment.strftime("%H:%M") for moment in local_times(data)] == hours
    utc = [moment.astimezone(UTC).timestamp() for moment in local_times(data)]
    assert_array_equal(np.diff(utc), 900.0)


def test_a_run_looks_at_its_folder_before_it_solves(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules["admmflex.run"], "SCHEMES", {})
    (tmp_path / "file").write_text("not a folder")
    day = load(Path(__file__).parents[2] / "experiments" / "hand" / "day.yaml")
    with pytest.raises(InputError, match="result folder"):
        run(day, out=tmp_path / "file")
