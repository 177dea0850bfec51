"""A small day that any module can be shown."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from admmflex import results
from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.pv import Pv
from admmflex.horizon import Horizon
from admmflex.prosumers.prosumer import Prosumer


class Day:
    """Two prosumers, three buses, two branches, four quarter hours from 12:00 local time."""

    steps = 4
    buses = np.array([0, 7, 9])
    branches = ("trafo", "line")

    def __init__(self, start=datetime(2016, 5, 20, 12, tzinfo=ZoneInfo("Europe/Berlin"))):  # noqa: B008
        flat = np.ones(self.steps)
        self.horizon = Horizon(start, 0.25 * flat)
        sunny = (
            FixedLoad("load", 0.5 * flat, 0.1 * flat),
            Pv("pv", 4.0 * flat, 5.0, reactive="disc"),
            Battery("battery", e_max_kwh=10.0, p_charge_kw=3.0, p_discharge_kw=2.0, e_start_kwh=4.0),
        )
        self.prosumers = (
            Prosumer("north", 9, sunny, 0.3 * flat, 0.08 * flat),
            Prosumer("south", 7, (FixedLoad("load", 2.0 * flat, 0.0 * flat),), 0.3 * flat, 0.08 * flat),
        )
        asset_p = np.array([-0.5 * flat, [4.0, 3.0, 4.0, 4.0], -1.0 * flat, -2.0 * flat])
        asset_q = np.array([-0.1 * flat, -0.4 * flat, 0.0 * flat, 0.0 * flat])
        owner = np.array([[1, 1, 1, 0], [0, 0, 0, 1]])
        v = np.array([1.02 * flat, [1.03, 1.04, 1.03, 1.02], [1.04, 1.0495, 1.04, 1.01]])
        loading = np.array([[0.5, 0.99, 0.5, 0.2], [0.3, 0.6, 0.3, 0.1]])
        energy = np.full((4, self.steps), np.nan)
        energy[2] = 4.0 + 0.95 * 0.25 * np.arange(1, 5)
        self.variables = {
            "v_min": np.full(3, 0.95), "v_max": np.full(3, 1.05),
            "bus_name": np.array(["station", "south", "north"], object),
            "branch_kind": np.array(["transformer", "line"], object),
            "branch_from_bus": np.array([0, 1]), "branch_to_bus": np.array([1, 2]),
            "branch_length_km": np.array([np.nan, 0.4]), "bus_x": np.array([0.0, 0.0, 3.0]), "bus_y": np.zeros(3),
            "p_kw": owner @ asset_p, "q_kvar": owner @ asset_q,
            "asset_p_kw": asset_p, "asset_q_kvar": asset_q, "energy_kwh": energy, "v_pu": v, "loading": loading,
            "price_p": np.array([0.0 * flat, 0.0 * flat, [0, -0.08, 0, 0]]), "price_q": np.zeros((3, 4)),
            "p_kw_baseline": owner @ asset_p, "q_kvar_baseline": np.zeros((2, 4)),
            "asset_p_kw_baseline": asset_p, "asset_q_kvar_baseline": 0.0 * asset_q, "energy_kwh_baseline": energy,
            "v_pu_baseline": v + 0.01, "loading_baseline": 1.5 * loading,
        }  # fmt: skip
        self.history = [
            {"iteration": 1, "primal": 0.5, "dual": 0.1},
            {"iteration": 2, "primal": 1e-3, "dual": 2e-3, "rho": 0.01},
        ]

    def dataset(self, status="optimal", drop=(), **replaced):
        about = {"status": status, "objective_eur": 2.25, "baseline_eur": 1.5, "history": self.history, "seed": 3}
        about |= {"scenario": "name: day\n", "name": "day"}
        variables = {name: value for name, value in (self.variables | replaced).items() if name not in drop}
        return results.dataset(self.horizon, self.prosumers, self.buses, self.branches, variables, **about)

    def result(self, status="optimal", **extra):
        return results.result(self.dataset(status), **extra)


@pytest.fixture
def day():
    return Day()


@pytest.fixture
def day_from():
    return Day
