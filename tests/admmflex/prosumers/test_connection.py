"""Connections that cannot be kept: found exactly where a linear program says so, and named with what they lack."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import highspy
import numpy as np
import pytest

from admmflex.assets import Battery, Boiler, Deferrable, ElectricVehicle, FixedLoad, Pv, Session, Task
from admmflex.horizon import Horizon
from admmflex.prosumers.connection import connection_faults
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer

STEPS = 24
HORIZON = Horizon(datetime(2016, 1, 20, tzinfo=UTC), np.ones(STEPS))
HOUR = np.arange(STEPS) + 0.5


def home(seed: int, curtailable: bool = True) -> Prosumer:
    rng = np.random.default_rng(seed)
    sun = rng.uniform(4, 9) * np.maximum(0.0, np.sin((HOUR - 7) / 10 * np.pi))
    draw = rng.uniform(0.5, 1.5) * (np.abs(HOUR - 19) < 2.5)
    session = Session(0.0, 8.0, 12.0, rng.uniform(20, 45))
    assets = (
        FixedLoad("load", rng.uniform(0.2, 2.0, STEPS), np.zeros(STEPS)),
        Pv("pv", sun, 9.0, curtailable=curtailable),
        ElectricVehicle("car", 50.0, 7.4, (session,), v2g_kw=rng.choice([0.0, 5.0])),
        Boiler("boiler", 2.0, 200.0, draw, 60.0),
        Battery("battery", 6.0, 2.0, 2.0, rng.uniform(0, 6))
        if seed % 2
        else Deferrable("tasks", 2.2, (Task(1.0, 7.0, 5.0),)),
    )
    one = Prosumer(f"home {seed}", 0, assets, np.full(STEPS, 0.3), np.full(STEPS, 0.08))
    assert one.faults(HORIZON) == []
    return one


def least_peak(one: Prosumer, sign: float) -> float:
    """The lowest limit of import (-1) or export (1) that some plan keeps, by a linear program of its own."""
    free = program(one, HORIZON)
    n = len(free.cost)
    model = highspy.Highs()
    model.silent()
    x = [model.addVariable(low, high) for low, high in zip(free.x_min, free.x_max, strict=True)]
    peak = model.addVariable(0.0, 1e3)
    for row, low, high in zip(free.A.toarray(), free.low, free.high, strict=True):
        model.addConstr(sum(a * x[j] for j, a in enumerate(row) if a) >= low) if low > -np.inf else None
        model.addConstr(sum(a * x[j] for j, a in enumerate(row) if a) <= high) if high < np.inf else None
    for row, p0 in zip(free.P.toarray(), free.p0, strict=True):
        model.addConstr(sum(sign * a * x[j] for j, a in enumerate(row) if a) + sign * p0 <= peak)
    model.minimize(peak)
    return float(model.getSolution().col_value[n])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("field", "sign"), [("import_limit_kw", -1.0), ("export_limit_kw", 1.0)])
def test_a_fault_is_found_just_below_the_least_peak(seed: int, field: str, sign: float) -> None:
    one = home(seed, curtailable=sign < 0)
    peak = least_peak(one, sign)
    assert peak > 0.5
    assert connection_faults(one, HORIZON) == []
    for factor in (1.001, 1.2, 2.0):
        assert connection_faults(replace(one, **{field: factor * peak}), HORIZON) == []
    for factor in (0.999, 0.7, 0.0):
        (fault,) = connection_faults(replace(one, **{field: factor * peak}), HORIZON)
        assert fault.element == f"prosumer {one.name!r}"
        assert fault.allowed == f"{field} = {factor * peak:g}"
        assert "relax does not apply" in fault.remedy


def test_the_fault_tells_hour_power_and_energy() -> None:
    """2 kW of load from 06:00 to 09:00, 1 kW otherwise; a battery of 1 kWh saves a part of what 1.5 kW lack."""
    load = np.where((HOUR > 6) & (HOUR < 9), 2.0, 1.0)
    battery = Battery("battery", 1.0, 1.0, 1.0, 0.0, eta_c=1.0, eta_d=1.0)
    assets = (FixedLoad("load", load, np.zeros(STEPS)), battery)
    weak = Prosumer("weak", 0, assets, np.full(STEPS, 0.3), np.full(STEPS, 0.1), import_limit_kw=1.5)
    (fault,) = connection_faults(weak, HORIZON)
    assert "2016-01-20 0" in fault.value
    assert "0.5 kWh in all" in fault.value
    assert connection_faults(replace(weak, import_limit_kw=1.7), HORIZON) == []
