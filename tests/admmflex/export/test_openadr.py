"""Events are those of OpenADR 3 by the models of openadr3, and their prices those of the result."""

import json
import os
from importlib import import_module

import numpy as np
import pytest
from numpy.testing import assert_allclose
from typer.testing import CliRunner

from admmflex import results
from admmflex.cli import app
from admmflex.errors import InputError
from admmflex.export.openadr import document

if not os.environ.get("CI"):  # there everything is installed, and nothing is skipped
    pytest.importorskip("openadr3")
entities = import_module("openadr3.entities")
raw = import_module("openadr3.entities.raw")


def test_events_are_in_form_and_hold_the_prices(day, tmp_path):
    results.write(day.result(), tmp_path)
    done = CliRunner().invoke(app, ["export", str(tmp_path), "--to", "openadr"])
    assert done.exit_code == 0, done.stderr
    found = json.loads((tmp_path / "openadr.json").read_text())
    program = raw.RawProgram.model_validate(found["program"])
    assert {one.payload_type for one in program.payload_descriptors} == {"PRICE", "EXPORT_PRICE"}
    events = {one.targets[0]: one for one in map(raw.RawEvent.model_validate, found["events"])}
    assert events.keys() == {"north", "south"}
    for name, bus in (("north", 2), ("south", 1)):
        event = events[name]
        assert (event.interval_period.start, event.interval_period.duration) == ("2016-05-20T10:00:00Z", "PT900S")
        for kind, tariff in (("PRICE", 0.3), ("EXPORT_PRICE", 0.08)):
            told = [one.values[0] for step in event.intervals for one in step.payloads if one.type == kind]
            assert_allclose(told, tariff + day.variables["price_p"][bus], atol=1e-6)


def test_the_periods_of_an_event_are_understood(day):
    event = entities.coerce(document(day.dataset())["events"][0])
    assert event.interval_period.duration.total_seconds() == 900


def test_homes_of_a_bus_with_one_tariff_share_an_event(day):
    data = day.dataset()
    data["prosumer_bus"][:] = 9
    (event,) = document(data)["events"]
    assert event["targets"] == ["north", "south"]
    data["import_price"][1] += 0.01
    assert len(document(data)["events"]) == 2


def test_steps_of_different_length_have_periods_of_their_own(day):
    data = day.dataset()
    data["dt_h"][:] = [0.25, 0.25, 0.5, 0.25]
    intervals = document(data)["events"][0]["intervals"]
    assert [one["intervalPeriod"]["duration"] for one in intervals] == ["PT900S", "PT900S", "PT1800S", "PT900S"]


def test_without_prices_there_are_no_events(day):
    data = day.dataset("infeasible", drop=["price_p", "price_q"])
    with pytest.raises(InputError, match="no prices"):
        document(data)
    assert np.isfinite(data["import_price"]).all()
