"""What every asset promises: sound data passes, a flow that solvers can use comes out, bad data is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from admmflex.assets import (
    Asset,
    Battery,
    Boiler,
    Deferrable,
    ElectricVehicle,
    FixedLoad,
    Flow,
    Generator,
    HeatPump,
    Pv,
    Session,
    SheddableLoad,
    Task,
    Unmet,
)
from admmflex.horizon import Horizon

HORIZON = Horizon(datetime(2016, 5, 20, 6, tzinfo=ZoneInfo("Europe/Berlin")), np.array([0.25, 0.25, 0.5, 1.0, 2.0]))
SUN = np.array([0.0, 2.0, 8.0, 10.0, 4.0])
LOAD = np.array([0.3, 1.2, 0.9, 0.0, -2.0])

load = FixedLoad("load", LOAD, 0.3 * LOAD)
pv = Pv("roof", SUN, rating_kw=10.0)
battery = Battery("cellar", e_max_kwh=10.0, p_charge_kw=5.0, p_discharge_kw=4.0, e_start_kwh=2.0, wear=0.02)

car = ElectricVehicle("car", 40.0, 11.0, (Session(0.1, 0.9, 15.0, 20.0), Session(1.5, 3.6, 12.0, 25.0)))
machine = Deferrable("machine", 2.0, (Task(0.0, 0.6, 0.8), Task(1.0, 3.0, 2.5)))
COLD = np.array([-4.0, -3.0, -2.0, 0.0, 2.0])
pump = HeatPump(
    "pump", 3.0, capacity_kwh_per_k=5.0, loss_kw_per_k=0.2, outdoor_c=COLD, cop=np.full(5, 3.0), gains_kw=0.1 * SUN,
    t_min_c=np.full(5, 20.0), t_max_c=np.full(5, 22.0), t_start_c=20.5,
)  # fmt: skip
boiler = Boiler("boiler", 3.0, volume_l=200.0, draw_kw=np.array([0.0, 2.0, 1.0, 0.0, 0.5]), t_start_c=58.0)
diesel = Generator("diesel", 12.0, cost=0.45, fuel_kwh=20.0)
gap = Unmet("gap", 50.0, price=10.0)
optional = SheddableLoad("optional", np.abs(LOAD), 0.3 * LOAD, share=0.4, lost_load_price=2.0)

ASSETS: dict[str, Asset] = {
    "load": load,
    "pv": pv,
    "pv not curtailable": replace(pv, curtailable=False),
    "pv box": replace(pv, reactive="box", q_cost=0.002),
    "pv power factor": replace(pv, reactive="power_factor", power_factor=0.9),
    "pv power factor fixed": replace(pv, reactive="power_factor", curtailable=False),
    "pv disc": replace(pv, reactive="disc", s_kva=9.0),
    "pv disc fixed": replace(pv, reactive="disc", s_kva=11.0, curtailable=False),
    "battery": battery,
    "battery with a value": replace(battery, end_value=0.2, e_min_kwh=1.0),
    "battery with a bound": replace(battery, e_end_min_kwh=9.0),
    "battery box": replace(battery, reactive="box", power_factor=0.8),
    "battery disc": replace(battery, reactive="disc", s_kva=5.0, q_cost=0.001),
    "battery without power": replace(battery, p_charge_kw=0.0, p_discharge_kw=0.0),
}
IDLE = dict(ASSETS)
"""Assets that may as well do nothing."""
ASSETS |= {
    "ev": car,
    "ev to grid": replace(car, v2g_kw=6.0, wear=0.05, reserve_kwh=14.0),
    "ev away": replace(car, sessions=()),
    "ev charged elsewhere": replace(
        car, sessions=(Session(0.0, 0.5, 15.0, 15.0), Session(1.0, 2.0, 35.0, 20.0), Session(2.0, 4.0, 40.0, 40.0))
    ),
    "ev short": replace(
        car, charger_kw=5.0, v2g_kw=2.0, relax=True, shortfall_price=1.0,
        sessions=(Session(0.1, 0.9, 15.0, 40.0), Session(1.5, 3.6, 12.0, 25.0)),
    ),
    "deferrable": machine,
    "deferrable short": replace(machine, p_max_kw=0.9, relax=True, shortfall_price=0.5),
    "heat pump": pump,
    "heat pump without losses": replace(pump, loss_kw_per_k=0.0, t_end_min_c=20.0),
    "heat pump at night": replace(pump, t_min_c=np.array([18.0, 18.0, 18.5, 20.0, 20.0]), t_start_c=18.0),
    "heat pump too small": replace(pump, p_max_kw=0.7, relax=True, shortfall_price=0.5),
    "heat pump in the sun": replace(pump, gains_kw=2.0 * SUN, relax=True, shortfall_price=0.5),
    "heat pump cold at the start": replace(pump, t_start_c=17.0, relax=True, shortfall_price=0.5),
    "boiler": boiler,
    "boiler too small": replace(boiler, p_max_kw=0.2, volume_l=80.0, relax=True, shortfall_price=0.5),
    "sheddable": optional,
    "sheddable and critical": replace(optional, priority="critical"),
    "generator": diesel,
    "generator without a tank": replace(diesel, fuel_kwh=None, reactive="box"),
    "generator without reactive power": replace(diesel, reactive="none"),
    "unmet request": gap,
    "sheddable and idle": replace(optional, p_kw=0.0 * LOAD, q_kvar=0.1 * LOAD),
}  # fmt: skip
FAULTS: list[tuple[Asset, dict[str, Any], str]] = [
    (load, {"p_kw": LOAD[:3]}, "p_kw has shape (3,)"),
    (load, {"p_kw": LOAD[:, None]}, "p_kw has shape (5, 1)"),
    (load, {"p_kw": np.where(LOAD > 1, -1e300, LOAD)}, "p_kw = -1e+300 at 2016-05-20 06:15"),
    (load, {"q_kvar": np.where(LOAD > 1, np.nan, LOAD)}, "q_kvar has 1 of 5 values not finite, the first nan"),
    (pv, {"avail_kw": np.append(SUN, 1.0)}, "avail_kw has shape (6,)"),
    (pv, {"avail_kw": np.full(5, np.inf)}, "avail_kw has 5 of 5 values not finite"),
    (pv, {"avail_kw": -SUN}, "avail_kw = -2 at 2016-05-20 06:15"),
    (pv, {"avail_kw": 2 * SUN}, "avail_kw = 16 at 2016-05-20 06:30"),
    (pv, {"rating_kw": 0.0}, "rating_kw = 0"),
    (pv, {"rating_kw": np.nan}, "rating_kw = nan"),
    (pv, {"power_factor": 1.2}, "power_factor = 1.2"),
    (pv, {"power_factor": 0.0}, "power_factor = 0"),
    (pv, {"q_cost": -0.1}, "q_cost = -0.1"),
    (pv, {"s_kva": -1.0}, "s_kva = -1"),
    (pv, {"reactive": "full"}, "reactive = 'full'"),
    (pv, {"reactive": "disc", "s_kva": 9.0, "curtailable": False}, "avail_kw = 10"),
    (battery, {"eta_c": 0.0}, "eta_c = 0"),
    (battery, {"eta_c": 1.01}, "eta_c = 1.01"),
    (battery, {"eta_d": -0.9}, "eta_d = -0.9"),
    (battery, {"eta_d": np.nan}, "eta_d = nan"),
    (battery, {"e_start_kwh": 12.0}, "e_start_kwh = 12"),
    (battery, {"e_start_kwh": 0.5, "e_min_kwh": 1.0}, "e_start_kwh = 0.5"),
    (battery, {"e_min_kwh": 11.0}, "e_max_kwh = 10"),
    (battery, {"e_max_kwh": np.inf}, "e_max_kwh = inf"),
    (battery, {"p_charge_kw": -1.0}, "p_charge_kw = -1"),
    (battery, {"p_discharge_kw": np.nan}, "p_discharge_kw = nan"),
    (battery, {"wear": -0.01}, "wear = -0.01"),
    (battery, {"e_end_min_kwh": 10.5}, "e_end_min_kwh = 10.5"),
    (battery, {"e_end_min_kwh": 9.9, "p_charge_kw": 1.0}, "e_end_min_kwh = 9.9"),
    (battery, {"end_value": np.inf}, "end_value = inf"),
    (battery, {"reactive": "power_factor"}, "reactive = 'power_factor'"),
    (battery, {"e_max_kwh": 10000.0}, "e_max_kwh = 10000 with p_charge_kw = 5"),
    (car, {"capacity_kwh": 0.0}, "capacity_kwh = 0"),
    (car, {"charger_kw": -1.0}, "charger_kw = -1"),
    (car, {"v2g_kw": np.nan}, "v2g_kw = nan"),
    (car, {"eta_c": 1.2}, "eta_c = 1.2"),
    (car, {"reserve_kwh": 41.0}, "reserve_kwh = 41"),
    (car, {"relax": True}, "relax without a shortfall_price"),
    (car, {"shortfall_price": -1.0}, "shortfall_price = -1"),
    (car, {"sessions": (Session(0, 2, 10.0, 41.0),)}, "session 1: due_kwh = 41"),
    (car, {"sessions": (Session(0, 2, -1.0, 5.0),)}, "session 1: arrival_kwh = -1"),
    (car, {"sessions": (Session(-1, 2, 10.0, 11.0),)}, "session 1 begins at = -1"),
    (car, {"sessions": (Session(0, 4.5, 10.0, 11.0),)}, "session 1 ends at = 4.5"),
    (car, {"sessions": (Session(2, 1, 10.0, 11.0),)}, "session 1 ends at 2016-05-20 07:00, begins at"),
    (
        car,
        {"sessions": (Session(0, 2, 5, 5), Session(1.5, 3, 5, 5))},
        "session 2 begins at 2016-05-20 07:30, session 1",
    ),
    (car, {"sessions": (Session(0, 1.2, 5, 5), Session(1.4, 3, 5, 5))}, "session 2 begins at 2016-05-20 07:24"),
    (car, {"sessions": (Session(2, 3, 5, 5), Session(0, 1, 5, 5))}, "session 2 begins at 2016-05-20 06:00"),
    (car, {"sessions": (Session(0, 1, 10.0, 30.0),)}, "session 1 ends 9.88 kWh short of due_kwh = 30 at 2016-05-20 07"),
    (machine, {"p_max_kw": -1.0}, "p_max_kw = -1"),
    (machine, {"tasks": (Task(0, 1, -1.0),)}, "task 1: energy_kwh = -1"),
    (machine, {"tasks": (Task(0, 1, 2.5),)}, "task 1 is 0.5 kWh short of energy_kwh = 2.5 at 2016-05-20 07:00"),
    (machine, {"tasks": (Task(0, 2, 1), Task(1, 3, 1))}, "task 2 begins at 2016-05-20 07:00"),
    (pump, {"capacity_kwh_per_k": 0.0}, "capacity_kwh_per_k = 0"),
    (pump, {"loss_kw_per_k": -1.0}, "loss_kw_per_k = -1"),
    (pump, {"p_max_kw": np.inf}, "p_max_kw = inf"),
    (pump, {"outdoor_c": COLD[:2]}, "outdoor_c has shape (2,)"),
    (pump, {"cop": np.zeros(5)}, "cop = 0"),
    (pump, {"gains_kw": np.full(5, np.nan)}, "gains_kw has 5 of 5 values not finite"),
    (pump, {"t_min_c": np.full(5, 23.0)}, "t_min_c = 23 above t_max_c = 22"),
    (pump, {"t_start_c": 19.0}, "t_start_c = 19"),
    (pump, {"t_end_min_c": 23.0}, "t_end_min_c = 23"),
    (pump, {"p_max_kw": 0.7}, "1.01 K below its band at 2016-05-20 10:00, from 2016-05-20 07:00 on"),
    (pump, {"gains_kw": 2.0 * SUN}, "3.8 K above its band at 2016-05-20 10:00"),
    (boiler, {"volume_l": 0.0}, "volume_l = 0"),
    (boiler, {"draw_kw": -SUN}, "draw_kw = -2"),
    (boiler, {"ambient_c": np.nan}, "ambient_c = nan"),
    (boiler, {"t_start_c": 80.0}, "t_start_c = 80"),
    (boiler, {"p_max_kw": 0.0}, "9.57 K below its band"),
    (optional, {"share": 1.1}, "share = 1.1"),
    (optional, {"lost_load_price": -1.0}, "lost_load_price = -1"),
    (optional, {"p_kw": LOAD}, "p_kw = -2"),
    (optional, {"priority": "vip"}, "priority = 'vip'"),
    (diesel, {"p_max_kw": 0.0}, "p_max_kw = 0"),
    (diesel, {"cost": -0.1}, "cost = -0.1"),
    (diesel, {"fuel_kwh": np.nan}, "fuel_kwh = nan"),
    (diesel, {"s_kva": -1.0}, "s_kva = -1"),
    (diesel, {"power_factor": 0.0}, "power_factor = 0"),
    (diesel, {"reactive": "power_factor"}, "reactive = 'power_factor'"),
    (gap, {"price": 0.0}, "price = 0"),
    (gap, {"largest_kw": np.inf}, "largest_kw = inf"),
]


@pytest.fixture(params=ASSETS, ids=str)
def asset(request: pytest.FixtureRequest) -> Asset:
    return ASSETS[request.param]


def test_sound_data_has_no_faults(asset: Asset) -> None:
    assert asset.faults(HORIZON) == []


def test_the_flow_is_finite_arrays_over_the_horizon(asset: Asset) -> None:
    flow = asset.flow(HORIZON)
    names = ("fixed_p", "fixed_q", "give_max", "take_max", "give_cost", "take_cost", "q_max")
    arrays = [getattr(flow, name) for name in names]
    if flow.store is not None:
        arrays += [getattr(flow.store, name) for name in ("e_min", "e_max", "eta_take", "eta_give", "keep", "gain")]
    for array in arrays:
        assert array.shape == (HORIZON.steps,)
        assert array.dtype == np.float64
        assert np.isfinite(array).all()
    assert flow.edge_c.shape == flow.edge_s.shape
    assert flow.edge_c.ndim == 1


def test_bounds_are_ordered(asset: Asset) -> None:
    flow = asset.flow(HORIZON)
    for bound in (flow.give_max, flow.take_max, flow.q_max, flow.give_cost, flow.take_cost):
        assert (bound >= 0).all()
    if flow.store is not None:
        assert (flow.store.e_min <= flow.store.e_max).all()
        assert (flow.store.eta_take > 0).all()
        assert (flow.store.eta_take <= 1).all() or not flow.give_max.any()  # heat may be pumped, energy not made
        assert ((flow.store.eta_give > 0) & (flow.store.eta_give <= 1)).all()
        assert ((flow.store.keep > 0) & (flow.store.keep <= 1)).all()
        assert flow.store.e_start <= flow.store.e_max[0]


@pytest.mark.parametrize("asset", IDLE.values(), ids=IDLE)
def test_doing_nothing_is_feasible_until_the_end(asset: Asset) -> None:
    flow = asset.flow(HORIZON)
    assert (flow.edge_c >= 0).all()
    if flow.store is not None:
        store = flow.store
        energy = store.e_start
        for t in range(HORIZON.steps - 1):
            energy = store.keep[t] * energy + store.gain[t]
            assert store.e_min[t] <= energy <= store.e_max[t]


def test_some_plan_keeps_the_band(asset: Asset) -> None:
    """Highs and lows that can be reached never part from the band; a band that is relaxed is met exactly."""
    flow = asset.flow(HORIZON)
    if flow.store is not None:
        store, low, high = flow.store, flow.store.e_start, flow.store.e_start
        for t in range(HORIZON.steps):
            charge = HORIZON.dt_h[t] * store.eta_take[t] * flow.take_max[t]
            discharge = HORIZON.dt_h[t] * flow.give_max[t] / store.eta_give[t]
            high = store.keep[t] * high + charge + store.gain[t]
            low = store.keep[t] * low - discharge + store.gain[t]
            assert high >= store.e_min[t] - 1e-9
            assert low <= store.e_max[t] + 1e-9
            low, high = max(low, store.e_min[t]), min(high, store.e_max[t])


@pytest.mark.parametrize("asset", IDLE.values(), ids=IDLE)
def test_the_end_of_the_horizon_can_be_reached(asset: Asset) -> None:
    store, take = asset.flow(HORIZON).store, asset.flow(HORIZON).take_max
    if store is not None:
        energy = store.e_start
        for t in range(HORIZON.steps):
            energy = min(store.e_max[t], energy + HORIZON.dt_h[t] * store.eta_take[t] * take[t])
        assert energy >= store.e_min[-1] - 1e-12


@pytest.mark.parametrize(("good", "change", "found"), FAULTS, ids=[f"{a.kind} {f}" for a, _, f in FAULTS])
def test_bad_data_is_named(good: Any, change: dict[str, Any], found: str) -> None:
    faults = replace(good, **change).faults(HORIZON)
    assert len(faults) == 1
    assert faults[0].value.startswith(found)
    assert repr(good.name) in faults[0].element
    assert faults[0].element.startswith(good.kind)
    assert faults[0].allowed
    assert faults[0].remedy


def test_all_faults_of_an_asset_come_at_once() -> None:
    found = replace(battery, eta_c=1.2, e_start_kwh=12.0, wear=-1.0).faults(HORIZON)
    assert {fault.value.split(" =")[0] for fault in found} == {"eta_c", "e_start_kwh", "wear"}


def reactive_limit(flow: Flow, p: float, step: int) -> float:
    """|u| that the flow allows at a flow of p, straight from the definition."""
    edges = [c + s * p for c, s in zip(flow.edge_c, flow.edge_s, strict=True)]
    return min([float(flow.q_max[step]), *edges])


@pytest.mark.parametrize(
    ("make", "low", "s"),
    [
        (lambda s: replace(pv, reactive="disc", s_kva=s), 0.0, 10.0),
        (lambda s: replace(battery, p_charge_kw=s, p_discharge_kw=s, reactive="disc", s_kva=s), -7.0, 7.0),
    ],
    ids=["pv", "battery"],
)
def test_the_polygon_keeps_the_rating_and_loses_less_than_two_percent(
    make: Callable[[float], Asset], low: float, s: float
) -> None:
    flow = make(s).flow(HORIZON)
    for p in np.linspace(low, s, 301):
        q = reactive_limit(flow, p, 3)
        assert np.hypot(p, q) <= s * (1 + 1e-12)
        assert np.hypot(p, q) >= s * np.cos(np.pi / 16) - 1e-9
    assert reactive_limit(flow, s, 3) == pytest.approx(0.0, abs=1e-12)


def test_a_power_factor_is_an_angle() -> None:
    flow = replace(pv, reactive="power_factor", power_factor=0.9).flow(HORIZON)
    for p in (0.0, 1.0, 7.5, 10.0):
        q = reactive_limit(flow, p, 3)
        assert np.angle(p + 1j * q) == pytest.approx(np.arccos(0.9) if p else 0.0)


@pytest.mark.parametrize("reactive", ["power_factor", "disc"])
def test_a_plant_that_cannot_curtail_keeps_the_capability_of_one_that_does_not(reactive: Any) -> None:
    free = replace(pv, reactive=reactive, s_kva=11.0)
    flow, fixed = free.flow(HORIZON), replace(free, curtailable=False).flow(HORIZON)
    assert len(fixed.edge_c) == 0
    for t, p in enumerate(SUN):
        assert fixed.q_max[t] == pytest.approx(reactive_limit(flow, p, t))


def test_a_net_profile_may_feed_in() -> None:
    flow = load.flow(HORIZON)
    np.testing.assert_array_equal(flow.fixed_p, -LOAD)
    assert flow.fixed_p[-1] > 0


def test_without_a_word_on_the_end_a_battery_ends_as_full_as_it_starts() -> None:
    assert battery.end_bound_kwh == battery.e_start_kwh
    assert replace(battery, end_value=0.1).end_bound_kwh == battery.e_min_kwh
    assert replace(battery, end_value=0.1, e_end_min_kwh=3.0).end_bound_kwh == 3.0
