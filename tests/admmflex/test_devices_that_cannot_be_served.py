"""What a device cannot have: a fault with device, hour and energy, or a shortfall at a price; every kind of device."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import admmflex
from admmflex.data.spec import ScenarioSpec
from admmflex.errors import InputError
from admmflex.scenario import Scenario

HAND = Path(__file__).parents[2] / "experiments" / "hand" / "day.yaml"
PRICE = 0.7

STAY = {"arrive": "2016-06-01 12:00", "depart": "2016-06-01 14:00", "arrival_kwh": 5, "due_kwh": 20}
TASK = {"earliest": "2016-06-01 11:00", "deadline": "2016-06-01 13:00", "energy_kwh": 6}
DEVICES: dict[str, tuple[dict[str, Any], str, float]] = {
    "ev": ({"capacity_kwh": 40, "charger_kw": 3, "eta_c": 1, "sessions": [STAY]}, "14:00", 15.0 - 6.0),
    "deferrable": ({"p_max_kw": 2, "tasks": [TASK]}, "13:00", 6.0 - 4.0),
    "boiler": ({"p_max_kw": 0.1, "volume_l": 50, "draw_kw": 3, "t_start_c": 50}, "1[123]:00", 0.0),
    "heat_pump": (
        {
            "p_max_kw": 0.1, "capacity_kwh_per_k": 2, "loss_kw_per_k": 0.4, "t_start_c": 20, "t_min_c": 20,
            "t_max_c": 23, "outdoor_c": -10, "cop": 3,
        },
        "1[123]:00",
        0.0,
    ),
}  # fmt: skip
"""With its hour, and what it lacks [kWh] where that is plain: the charger or the plug at full power all the time."""


def day(home: dict[str, Any]) -> Scenario:
    """Five homes over three hours, the second of them changed."""
    document = yaml.safe_load(HAND.read_text(encoding="utf-8"))
    document["horizon"]["start"] = "2016-06-01 11:00"
    document["prosumers"]["list"][1] |= home
    return Scenario(HAND, yaml.safe_dump(document), ScenarioSpec.model_validate(document))


@pytest.mark.parametrize("kind", DEVICES)
def test_without_relax_device_hour_and_energy_are_named(kind: str) -> None:
    device, hour, _ = DEVICES[kind]
    with pytest.raises(InputError, match=rf"(?s)home 2.*2016-06-01 {hour}|2016-06-01 {hour}.*home 2") as caught:
        admmflex.run(day({kind: device}))
    assert "kWh" in str(caught.value) or "degC" in str(caught.value)


@pytest.mark.parametrize("kind", DEVICES)
def test_with_relax_the_rest_is_listed_and_priced(kind: str) -> None:
    device, _, missing = DEVICES[kind]
    found = admmflex.run(day({kind: {**device, "relax": True, "shortfall_price": PRICE}})).require()
    listed = found.summary["shortfalls"]
    assert {one["prosumer"] for one in listed} == {"home 2"}
    total = sum(one["kwh"] for one in listed)
    assert total == pytest.approx(missing, abs=1e-6) if missing else total > 0.0
    assert found.summary["shortfall_eur"] == pytest.approx(PRICE * total)
    assert all(one["from"].startswith("2016-06-01") and one["element"] for one in listed)
    assert found.summary["steps_beyond_limits"] == 0


def test_a_battery_that_cannot_end_as_full_as_asked_is_a_fault() -> None:
    battery = {"e_max_kwh": 20, "p_charge_kw": 2, "p_discharge_kw": 2, "e_start_kwh": 0, "e_end_min_kwh": 10}
    with pytest.raises(InputError, match="e_end_min_kwh = 10"):
        admmflex.run(day({"battery": battery}))


@pytest.mark.parametrize(("price", "status"), [(10.0, "optimal"), (None, "infeasible")])
def test_what_the_connection_cannot_give_is_missed_at_a_price_or_infeasible(price: float | None, status: str) -> None:
    drawn = day({})
    limits = {"v_min": 0.95, "v_max": 1.05, "connection": {"import_kw": 4.0, "unmet_price": price}}
    document = yaml.safe_load(drawn.text) | {"limits": limits}
    found = admmflex.run(replace(drawn, text=yaml.safe_dump(document), spec=ScenarioSpec.model_validate(document)))
    assert found.status == status
    if price is None:
        assert "13:00" in found.summary["message"]  # no sun, 10 kW of load, a battery of 2 kWh
    else:
        missed = found.summary["connection"]
        assert 3.9 < float(missed["unmet_kwh"]) < 4.3  # and losses
