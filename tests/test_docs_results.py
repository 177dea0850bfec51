"""docs/results.md against real results: every variable, attribute and key that they hold has its place there."""

import json
import re
from pathlib import Path

import pytest

import admmflex
from admmflex import examples
from admmflex.variables import EXPORT, HISTORY, VARIABLES

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([a-z_*]+)`", TEXT))

SCENARIOS = {
    "prices": {"horizon": {"start": "2016-05-26 11:00", "steps": 4}},
    "charts": {
        "horizon": {"start": "2016-05-26 11:00", "steps": 2},
        "coordination": {"method": "charts", "charts": {"control_seconds": 900}},
    },
    "connection": {
        "horizon": {"start": "2016-05-26 11:00", "steps": 2},
        "limits": {"v_min": 0.95, "v_max": 1.05, "connection": {"export_kw": 300}},
    },
    "island": {
        "horizon": {"start": "2016-05-26 20:00", "steps": 2},
        "mode": "islanded",
        "island": {"grid_forming": "community battery"},
        "outage": {"duration": {"hours": [0.5], "probability": [1.0]}},
    },
    "infeasible": {"horizon": {"start": "2016-05-26 20:00", "steps": 2}, "limits": {"v_min": 1.019, "v_max": 1.05}},
}
UNIT = {"e_max_kwh": 80, "p_charge_kw": 60, "p_discharge_kw": 60, "e_start_kwh": 60, "reactive": "disc"}
TABLES = {"tables": {"prosumers": "homes.csv", "profiles": "profiles.csv"}}


@pytest.fixture(scope="module", params=SCENARIOS)
def result(request, tmp_path_factory):
    """Some steps of the village, written and read again."""
    import yaml

    folder = tmp_path_factory.mktemp(request.param) / "village"
    examples.copy("village", folder)
    unit = {"name": "community battery", "bus": 1, "tariff": "none", "battery": UNIT}
    listed = {"list": [unit]} if request.param == "island" else {}
    whole = {"name": request.param, "network": "grid.json", "tariff": {"import": 0.3, "export": 0.08}}
    whole |= {"prosumers": TABLES | listed} | SCENARIOS[request.param]
    (folder / "some.yaml").write_text(yaml.safe_dump(whole))
    return admmflex.run(admmflex.load(folder / "some.yaml"), out=folder / "out")


def test_every_variable_has_its_place(result):
    parameters = {
        name for name, one in result.dataset.variables.items() if "asset parameter" in one.attrs.get("long_name", "")
    }
    variables = set(result.dataset.variables) - parameters
    history = {name for name in variables if name.startswith("history_")}
    assert variables - history <= NAMED
    assert {name.removeprefix("history_") for name in history} <= NAMED
    assert set(result.dataset.dims) <= NAMED


def test_every_attribute_and_key_has_its_place(result):
    assert set(result.dataset.attrs) <= NAMED
    written = json.loads((result.directory / "summary.json").read_text())
    assert set(written) == set(result.summary)
    assert set(result.summary) <= NAMED
    for key in ("timing", "residuals", "island", "outage", "connection", "control"):
        assert set(result.summary.get(key, {})) <= NAMED, key


def test_every_number_of_the_history_has_its_place(result):
    for line in (result.directory / "history.jsonl").read_text().splitlines():
        assert set(json.loads(line)) <= NAMED


def test_what_may_be_in_a_result_has_its_place():
    assert {*VARIABLES, *EXPORT, *HISTORY} <= NAMED
