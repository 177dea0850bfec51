"""The corridor of energies and flows against linear programs: nothing outside can happen, edges of energy can."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from admmflex.assets import Asset, Battery, Boiler, Deferrable, ElectricVehicle, FixedLoad, Session, Task
from admmflex.assets.flow import Flow
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.prosumer import Prosumer

STEPS = 16
HORIZON = Horizon(datetime(2016, 1, 20, tzinfo=UTC), np.full(STEPS, 1.5))
DEVICES: dict[str, Asset] = {
    "battery": Battery("battery", 10.0, 2.0, 1.5, 3.0, e_min_kwh=1.0),
    "car": ElectricVehicle("car", 40.0, 5.0, (Session(0.0, 7.2, 10, 28), Session(17.0, 24.0, 15, 30)), v2g_kw=4.0),
    "late car": ElectricVehicle("car", 50.0, 5.0, (Session(0.0, 7.2, 10.0, 43.0),), v2g_kw=4.0),
    "boiler": Boiler("boiler", 2.0, 150.0, np.where(np.arange(STEPS) % 8 == 5, 2.0, 0.1), 60.0),
    "tasks": Deferrable("tasks", 2.2, (Task(1.3, 7.0, 6.0), Task(10.0, 20.3, 3.0))),
}


def extremes(flow: Flow) -> tuple[Array, Array]:
    """Least and largest energy, taken and given power (3, K) of every step over all plans, by linear programs."""
    store, dt = flow.store, HORIZON.dt_h
    assert store is not None
    keep = sp.identity(STEPS) - sp.diags(store.keep[1:], -1)
    rows = sp.hstack([keep, -sp.diags(dt * store.eta_take), sp.diags(dt / store.eta_give)])
    right = store.gain.copy()
    right[0] += store.keep[0] * store.e_start
    low = np.concatenate([store.e_min, np.zeros(2 * STEPS)])
    bounds = np.stack([low, np.concatenate([store.e_max, flow.take_max, flow.give_max])], axis=1)
    costs = [sign * unit for sign in (1.0, -1.0) for unit in np.eye(3 * STEPS)]
    found = np.array([linprog(cost, A_eq=rows, b_eq=right, bounds=bounds).fun for cost in costs]).reshape(2, 3, STEPS)
    return found[0], -found[1]


@pytest.mark.parametrize("name", DEVICES)
def test_the_corridor_is_all_that_can_be_reached(name: str) -> None:
    device, flat = DEVICES[name], np.full(STEPS, 0.3)
    assert device.faults(HORIZON) == []
    assets = (FixedLoad("load", flat, flat), device, Battery("other", 5.0, 1.0, 1.0, 1.0))
    homes = split([Prosumer("home", 0, assets, flat, flat)], HORIZON, {0: 0}).homes
    assert homes is not None
    c = homes.roles[0].storages.index(1)
    held = homes.held().stores
    least, most = extremes(device.flow(HORIZON))
    assert_allclose(held.e_min[0, c], least[0], atol=1e-7)
    assert_allclose(held.e_max[0, c], most[0], atol=1e-7)
    for low, high, k in ((held.take_min, held.take_max, 1), (held.give_min, held.give_max, 2)):
        assert (low[0, c] <= least[k] + 1e-7).all()
        assert (high[0, c] >= most[k] - 1e-7).all()
    if name == "tasks":
        assert ((held.e_max - held.e_min)[0, c] < 1e-12).sum() > STEPS // 4
    if name == "late car":
        assert_allclose(held.take_min[0, c, :4], least[1, :4], atol=1e-7)
        assert held.take_min[0, c, :4].min() > 4.0
