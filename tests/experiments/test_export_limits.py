"""The experiment on export limits, small: two simulators agree, rows add up, the page shows every panel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from experiments.export_limits import figure
from experiments.export_limits.feeders import feeder
from experiments.export_limits.run import rows
from experiments.export_limits.study import study

pytest.importorskip("dss")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return study(feeder("european", tmp_path_factory.mktemp("feeder")), 12, 3)


def test_rows_add_up(done):
    found = rows(done)
    free, strict, *_ = found
    assert [row["robustness"] for row in found] == [None, 1.0, 0.95, 0.9]
    for row in found:
        assert_allclose(row["pv_kwh"] + row["curtailed_kwh"], free["pv_kwh"])
        load = float(done.held.load_p.sum(axis=(1, 2)).mean()) * done.held.dt_h
        assert_allclose(row["export_kwh"], row["pv_kwh"] - load - row["loss_kwh"], atol=1e-6)
        assert row["lost"] == 0
    assert strict["v_max"] < free["v_max"]
    assert strict["broken"].share < free["broken"].share


def test_the_page_has_every_panel(done, tmp_path):
    path = tmp_path / "page.html"
    figure.write(done, path)
    shown = figure.page(done)
    assert len({trace.yaxis for trace in shown.data}) == len(figure.TITLES)
    assert "home" in path.read_text(encoding="utf-8")
    assert all(np.isfinite(np.asarray(trace.x, dtype=float)).all() for trace in shown.data)
