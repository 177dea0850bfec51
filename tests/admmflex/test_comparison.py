"""Schemes are put side by side, days of different scenarios are refused by name."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from admmflex import results
from admmflex.cli import app
from admmflex.comparison import compare
from admmflex.console import comparison_tables
from admmflex.errors import InputError
from admmflex.report import comparison_page


def found(day, method, folder=None, **replaced):
    data = day.dataset(**replaced)
    data.attrs["method"] = method
    if method == "admm":
        data.attrs["answers_per_prosumer"] = 5
    return results.result(data) if folder is None else results.write(results.result(data), folder)


def test_each_scheme_has_its_numbers(day):
    above = {"v_pu": day.variables["v_pu"] + 0.01}
    both = compare([found(day, "admm"), found(day, "none", **above)])
    prices, alone = both.rows
    assert (prices.scheme, alone.scheme) == ("prices", "uncoordinated")
    assert (prices.broken_steps, alone.broken_steps) == (0, 1)
    assert alone.voltage_excess_pu == pytest.approx(0.0095)
    assert prices.curtailment_worst == pytest.approx(1 / 16)
    assert prices.numbers_per_home == 5 * 4 * 6
    assert (alone.numbers_per_home, alone.change_worst_eur) == (0, None)


def test_the_table_fits_80_columns_however_many_schemes(day):
    rows = compare([found(day, "admm")] * 6).rows
    console = Console(file=io.StringIO(), width=80)
    for table in comparison_tables(rows):
        console.print(table)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("cost, EUR" in line for line in lines) == 2


@pytest.mark.parametrize("name", ["import_price", "v_max", "load_p_kw", "eta_c", "e_start_kwh"])
def test_other_inputs_are_named(day, name):
    data = day.dataset()
    data[name] = data[name] * 1.01
    with pytest.raises(InputError, match=name):
        compare([found(day, "admm"), results.result(data)])


def test_other_homes_are_named(day):
    other = day.dataset().assign_coords(prosumer=["east", "south"])
    with pytest.raises(InputError, match="other homes"):
        compare([found(day, "admm"), results.result(other)])


def test_charts_live_through_a_day_of_their_own_and_it_is_said(day):
    lived = found(day, "charts")
    lived.dataset["avail_kw"] = lived.dataset["avail_kw"] * 0.9
    both = compare([found(day, "admm"), lived])
    assert "sun by 10.0 %" in both.notes[0]


def test_the_page_has_a_row_for_each_measure(day):
    several = [found(day, "admm"), found(day, "none", v_pu=day.variables["v_pu"] + 0.01)]
    text = comparison_page.page(compare(several), several)
    assert "<th>prices</th><th>uncoordinated</th>" in text
    assert "<td>steps beyond limits</td><td>0</td><td class=bad>1</td>" in text
    assert '<section id="fairness">' in text


def test_the_command_writes_table_and_page(day, tmp_path):
    folders = [tmp_path / name for name in ("a", "b")]
    for folder, method in zip(folders, ("admm", "none"), strict=True):
        found(day, method, folder)
    done = CliRunner().invoke(app, ["compare", *map(str, folders), "--out", str(tmp_path / "c.html")])
    assert done.exit_code == 0, done.stderr
    assert "uncoordinated" in done.stdout
    assert (tmp_path / "c.html").is_file()


def test_every_folder_that_is_none_is_listed(day, tmp_path):
    found(day, "admm", tmp_path / "a")
    (tmp_path / "b").mkdir()
    done = CliRunner().invoke(app, ["compare", *(str(tmp_path / name) for name in "abc")])
    assert done.exit_code == 2
    assert "2 faults" in done.stderr
    assert "no such folder" in done.stderr


def test_one_result_is_not_compared(day):
    with pytest.raises(InputError, match="two or more"):
        compare([found(day, "admm")])


def test_a_result_without_homes_is_not_compared(day):
    other = results.Result(day.dataset()[["v_min"]].assign_attrs(method="export-limits"), {})
    other = replace(
        other, dataset=other.dataset.drop_dims("prosumer", errors="ignore").drop_vars("prosumer", errors="ignore")
    )
    with pytest.raises(InputError, match="no homes"):
        compare([found(day, "admm"), other])


def test_names_of_equal_schemes_tell_their_folders(day, tmp_path):
    one = found(day, "admm")
    rows = compare([replace(one, directory=tmp_path / name) for name in ("x", "y")]).rows
    assert [row.scheme for row in rows] == ["prices (x)", "prices (y)"]
    assert np.isfinite(rows[0].cost_eur)


def test_homes_by_themselves_under_an_export_limit_are_a_scheme(day):
    limited = found(day, "none")
    limited.dataset["export_limit_kw"] = ("prosumer", np.array([3.0, np.inf]))
    both = compare([found(day, "none"), found(day, "admm"), limited])
    assert [one.scheme for one in both.rows] == ["uncoordinated", "prices", "fixed limits"]
    assert "1 of 2 homes may feed in at most 3 kW" in " ".join(both.notes)


def test_an_export_limit_of_coordinated_homes_is_another_scenario(day):
    limited = found(day, "admm")
    limited.dataset["export_limit_kw"] = ("prosumer", np.array([3.0, np.inf]))
    with pytest.raises(InputError, match="export_limit_kw"):
        compare([found(day, "central"), limited])


def test_limits_that_all_have_are_no_scheme(day):
    several = [found(day, "none"), found(day, "admm")]
    for one in several:
        one.dataset["export_limit_kw"] = ("prosumer", np.array([3.0, np.inf]))
    assert [one.scheme for one in compare(several).rows] == ["uncoordinated", "prices"]
