"""Tables hold every variable, and read back as they were."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from admmflex import results
from admmflex.cli import app
from admmflex.export.tables import tables


def test_every_variable_is_in_a_table(day):
    data = day.dataset()
    found = tables(data)
    columns = {column for frame in found.values() for column in frame}
    for name in data.data_vars:
        assert name in found or name in columns, name


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_read_back(day, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    results.write(day.result(), tmp_path)
    done = CliRunner().invoke(app, ["export", str(tmp_path), "--to", form])
    assert done.exit_code == 0, done.stderr
    read = pd.read_csv if form == "csv" else pd.read_parquet
    power = read(tmp_path / form / f"p_kw.{form}")
    assert list(power) == ["time", "north", "south"]
    assert power["time"][1] == "2016-05-20T12:15:00+02:00"
    assert_allclose(power[["north", "south"]].to_numpy().T, day.variables["p_kw"], atol=1e-12)
    assets = read(tmp_path / form / f"assets.{form}")
    assert list(assets["asset_kind"]) == ["load", "pv", "battery", "load"]
    assert assets["e_max_kwh"][2] == 10.0
    assert np.isnan(assets["e_max_kwh"][0])


def test_a_place_that_cannot_be_written_is_a_fault(day, tmp_path):
    results.write(day.result(), tmp_path)
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["export", str(tmp_path), "--to", "csv", "--out", str(tmp_path / "file")])
    assert done.exit_code == 2
    assert "cannot be written" in " ".join(done.stderr.split())
