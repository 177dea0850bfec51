"""What every asset promises: sound data passes, a flow that solvers can use comes out, bad data is named."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from admmflex.assets import Asset, Battery, FixedLoad, Flow, Pv
from admmflex.horizon import Horizon

HORIZON = Horizon(datetime(2016, 5, 20, 6, tzinfo=ZoneInfo("Europe/Berlin")), np.array([0.25, 0.25, 0.5, 1.0, 2.0]))
SUN = np.array([0.0, 2.0, 8.0, 10.0, 4.0])
LOAD = np.array([0.3, 1.2, 0.9, 0.0, -2.0])

load = FixedLoad("load", LOAD, 0.3 * LOAD)
pv = Pv("roof", SUN, rating_kw=10.0)
battery = Battery("cellar", e_max_kwh=10.0, p_charge_kw=5.0, p_discharge_kw=4.0, e_start_kwh=2.0, wear=0.02)

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
FAULTS: list[tuple[Asset, dict[str, Any], str]] = [
    (load, {"p_kw": LOAD[:3]}, "p_kw has shape (3,)"),
    (load, {"p_kw": LOAD[:, None]}, "p_kw has shape (5, 1)"),
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
        assert ((flow.store.eta_take > 0) & (flow.store.eta_take <= 1)).all()
        assert ((flow.store.eta_give > 0) & (flow.store.eta_give <= 1)).all()
        assert flow.store.e_start <= flow.store.e_max[0]


def test_doing_nothing_is_feasible_until_the_end(asset: Asset) -> None:
    flow = asset.flow(HORIZON)
    assert (flow.edge_c >= 0).all()
    if flow.store is not None:
        store = flow.store
        energy = store.e_start
        for t in range(HORIZON.steps - 1):
            energy = store.keep[t] * energy + store.gain[t]
            assert store.e_min[t] <= energy <= store.e_max[t]


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
