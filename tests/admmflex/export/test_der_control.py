"""DER controls hold the plan, cover the day without gaps, and read back by envoy-schema's models."""

import csv
import os
from importlib import import_module

import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from admmflex import results
from admmflex.cli import app
from admmflex.export import der_control
from admmflex.export.der_control import Fallback

if not os.environ.get("CI"):  # there everything is installed, and nothing is skipped
    pytest.importorskip("envoy_schema")
der = import_module("envoy_schema.server.schema.sep2.der")


def kilowatts(limit):
    return limit.value * 10.0**limit.multiplier / 1e3


@pytest.fixture
def written(day, tmp_path):
    results.write(day.result(), tmp_path)
    done = CliRunner().invoke(app, ["export", str(tmp_path), "--to", "csip-aus", "--default-export-kw", "1.5"])
    assert done.exit_code == 0, done.stderr
    return tmp_path / "csip-aus"


def test_controls_are_the_plan(day, written):
    begin = int(day.horizon.start.timestamp())
    for row, power in enumerate(day.variables["p_kw"]):
        listed = der.DERControlListResponse.from_xml((written / f"{row:04d}_controls.xml").read_bytes())
        assert listed.all_ == listed.results == len(listed.DERControl)
        now = begin
        for one in listed.DERControl:
            assert one.interval.start == now  # no gaps, no overlaps
            first, last = ((at - begin) // 900 for at in (now, now + one.interval.duration))
            base = one.DERControlBase_
            for p in power[first:last]:
                assert_allclose(kilowatts(base.opModExpLimW), max(p, 0.0), atol=5e-4)
                assert_allclose(kilowatts(base.opModImpLimW), max(-p, 0.0), atol=5e-4)
            now += one.interval.duration
        assert now == begin + 3600
        assert len({one.mRID for one in listed.DERControl}) == len(listed.DERControl)


def test_steps_with_the_same_limits_are_one_control(day, written):
    count = len(der.DERControlListResponse.from_xml((written / "0001_controls.xml").read_bytes()).DERControl)
    assert count == 1  # the load of south never changes


def test_lost_communication_has_a_default(written):
    fallback = der.DefaultDERControl.from_xml((written / "0000_default.xml").read_bytes())
    assert kilowatts(fallback.DERControlBase_.opModExpLimW) == 1.5
    assert fallback.DERControlBase_.opModImpLimW is None


def test_files_are_named(written):
    rows = list(csv.DictReader((written / "homes.csv").open()))
    assert [(row["prosumer"], row["bus"]) for row in rows] == [("north", "9"), ("south", "7")]


@pytest.mark.parametrize("kw", [0.0, 0.0004, 7.0, 32.767, 32.768, 1234.5, 99999.0])
def test_powers_fit_16_bits(kw):
    limit = der_control._watts(kw)
    assert abs(limit.value) <= 32767
    assert_allclose(kilowatts(limit), kw, rtol=2e-4, atol=5e-4)


def test_the_same_plan_has_the_same_names(day):
    first, again = (der_control.controls(day.dataset(), 0, created) for created in (1, 2))
    assert [one.mRID for one in first.DERControl] == [one.mRID for one in again.DERControl]
    assert der_control.default(day.dataset(), 0, Fallback(0.0, 5.0)).DERControlBase_.opModImpLimW.value == 5000
