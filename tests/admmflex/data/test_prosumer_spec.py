"""The sections of a scenario stand for assets: what they leave out is what the asset itself assumes."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from admmflex.assets.battery import Battery
from admmflex.assets.boiler import Boiler
from admmflex.assets.deferrable import Deferrable
from admmflex.assets.ev import ElectricVehicle
from admmflex.assets.heat_pump import HeatPump
from admmflex.assets.pv import Pv
from admmflex.data.prosumer_spec import (
    BatterySpec,
    BoilerSpec,
    DeferrableSpec,
    EvSpec,
    HeatPumpSpec,
    PvSpec,
)

PAIRS = [
    (BatterySpec, Battery),
    (BoilerSpec, Boiler),
    (DeferrableSpec, Deferrable),
    (EvSpec, ElectricVehicle),
    (HeatPumpSpec, HeatPump),
    (PvSpec, Pv),
]


@pytest.mark.parametrize(("section", "asset"), PAIRS, ids=lambda one: one.__name__)
def test_defaults_are_those_of_the_asset(section: Any, asset: Any) -> None:
    assumed = {one.name: one.default for one in fields(asset) if one.default is not MISSING}
    given = {
        name: one.default
        for name, one in section.model_fields.items()
        if name in assumed and not one.is_required() and one.default is not None
    }
    assert given
    assert given == {name: assumed[name] for name in given}
