"""Cars and heat pumps that are drawn: sound on every day, spread, repeatable, and what the physics says."""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from admmflex.assets import Asset, ElectricVehicle, FixedLoad, HeatPump, Session
from admmflex.data.adoption import Surroundings, adopt
from admmflex.data.clock import make_horizon
from admmflex.data.driving import draw_sessions
from admmflex.data.elements import Element
from admmflex.data.heat import of_building, of_profile
from admmflex.data.model_spec import AdoptedEv, AdoptedHeatPump, HeatModel
from admmflex.data.network_prosumers import Source, from_network
from admmflex.data.profiles import Columns, Resolver
from admmflex.data.spec import AdoptionSpec, HorizonSpec, SimbenchSpec, WeatherSpec
from admmflex.data.stays import cut_session
from admmflex.data.weather import Weather, clear_sky, typical
from admmflex.errors import InputError
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.qp import QpAnswer

EV = AdoptedEv.model_validate({"share": 0.5})


def day(start: str = "2016-01-20 00:00", duration: str = "1d", minutes: float = 15.0) -> Horizon:
    spec = {"start": start, "duration": duration, "step_minutes": minutes}
    return make_horizon(HorizonSpec.model_validate(spec))


def adopted(horizon: Horizon, count: int = 60, seed: int = 1, **keys: object) -> list[Prosumer]:
    zero, price = np.zeros(horizon.steps), np.full(horizon.steps, 0.3)
    homes = [Prosumer(f"home {k}", k, (FixedLoad("load", zero, zero),), price, price) for k in range(count)]
    columns = Columns("network 'x'", {"PV1": np.ones(horizon.steps)})
    weather = Weather(WeatherSpec(), horizon, Resolver(columns, horizon))
    return adopt(AdoptionSpec.model_validate(keys), homes, Surroundings(columns, horizon, weather, seed))


def of_kind(homes: list[Prosumer], kind: str) -> dict[str, Asset]:
    return {home.name: asset for home in homes for asset in home.assets if asset.kind == kind}


@pytest.mark.parametrize("start", ["2016-01-20", "2016-03-27", "2016-07-20 06:00", "2016-10-30", "2016-12-31 12:00"])
@pytest.mark.parametrize("charger", [2.3, 11.0])
def test_every_drawn_session_can_be_met(start: str, charger: float) -> None:
    horizon = day(start, "2d")
    for k in range(40):
        car = ElectricVehicle("car", 50.0, charger, draw_sessions(EV, 50.0, charger, horizon, (1, k)))
        assert car.faults(horizon) == []
        assert car.sessions
        assert all(one.due_kwh - one.arrival_kwh >= 0 for one in car.sessions)


def test_a_plan_made_later_sees_the_same_stays() -> None:
    early, late = day("2016-01-20 00:00", "3d"), day("2016-01-20 19:30", "1d")
    moved = 0
    for k in range(30):
        before = draw_sessions(EV, 50.0, 11.0, early, (1, k))
        for one in draw_sessions(EV, 50.0, 11.0, late, (1, k)):
            if 0 < one.arrive_h < one.depart_h < 24:
                same = [s for s in before if s.arrive_h == pytest.approx(one.arrive_h + 19.5)]
                assert len(same) == 1
                assert same[0].depart_h == pytest.approx(one.depart_h + 19.5)
                assert same[0].arrival_kwh == pytest.approx(one.arrival_kwh)
                moved += 1
    assert moved > 0


def test_arrivals_departures_and_energies_have_the_distribution_that_is_asked_for() -> None:
    horizon = day("2016-01-20 12:00", "1d")
    spec = EV.model_copy(update={"due": 1.0})
    found = [draw_sessions(spec, 90.0, 22.0, horizon, (7, k)) for k in range(1500)]
    nights = [one[0] for one in found if one and one[0].arrive_h > 0.0]
    arrive = np.array([12.0 + one.arrive_h for one in nights])
    depart = np.array([one.depart_h - 12.0 for one in nights])
    energy = np.array([one.due_kwh - one.arrival_kwh for one in nights])
    assert arrive.mean() == pytest.approx(17.75, abs=0.15)
    assert arrive.std() == pytest.approx(1.5, abs=0.1)
    assert depart.mean() == pytest.approx(7.5, abs=0.1)
    assert depart.std() == pytest.approx(1.0, abs=0.1)
    assert energy.mean() == pytest.approx(8.0, rel=0.05)
    assert energy.std() == pytest.approx(5.0, rel=0.1)
    assert len(np.unique(np.round(arrive, 3))) > 1000


def test_a_driver_keeps_habits() -> None:
    horizon = day("2016-01-18", "5d")
    by_car = [
        [one.arrive_h % 24.0 for one in draw_sessions(EV, 60.0, 11.0, horizon, (3, k)) if one.arrive_h > 0.0]
        for k in range(150)
    ]
    within = np.mean([np.var(arrivals, ddof=1) for arrivals in by_car if len(arrivals) > 3])
    between = np.var([np.mean(arrivals) for arrivals in by_car])
    assert between > 2.0 * within


def test_a_stay_that_is_cut_loses_nothing() -> None:
    whole = cut_session(3.0, 13.0, 10.0, 30.0, 24.0)
    assert whole == Session(3.0, 13.0, 10.0, 30.0)
    first = cut_session(3.0, 13.0, 10.0, 30.0, 7.0)
    rest = cut_session(3.0 - 7.0, 13.0 - 7.0, 10.0, 30.0, 17.0)
    assert first is not None
    assert rest is not None
    assert first.due_kwh == pytest.approx(rest.arrival_kwh) == pytest.approx(18.0)
    assert (rest.depart_h, rest.due_kwh) == (6.0, 30.0)
    assert cut_session(-5.0, 0.0, 10.0, 30.0, 24.0) is None
    full = cut_session(-2.0, 3.0, 40.0, 30.0, 24.0)
    assert full is not None
    assert (full.arrival_kwh, full.due_kwh) == (40.0, 30.0)


def test_the_clock_of_a_car_is_the_wall_clock() -> None:
    times = {"arrival": {"mean": "18:00", "std_h": 0}, "departure": {"mean": "07:00", "std_h": 0}}
    spec = AdoptedEv.model_validate({"share": 1, **times})
    for start in ("2016-03-26", "2016-10-29"):
        horizon = day(start, "2d")
        for one in draw_sessions(spec, 60.0, 11.0, horizon, (0, 0)):
            for hours, clock in ((one.arrive_h, "18:00"), (one.depart_h, "07:00")):
                if 0.0 < hours < horizon.dt_h.sum():
                    assert horizon.clock(hours)[-5:] == clock


def test_more_of_one_thing_moves_nothing_else() -> None:
    horizon = day()
    both = {"ev": {"share": 0.4}, "heat_pump": {"share": 0.3}}
    few = adopted(horizon, **both)
    more = adopted(horizon, ev={"share": 0.8}, heat_pump={"share": 0.3}, pv={"share": 0.5, "kwp": 8})
    assert len(of_kind(few, "ev")) == 24
    assert len(of_kind(few, "heat_pump")) == 18
    for kind in ("ev", "heat_pump"):
        kept, all_of_them = of_kind(few, kind), of_kind(more, kind)
        assert kept.keys() <= all_of_them.keys()
        for name, asset in kept.items():
            assert repr(asset) == repr(all_of_them[name])
    assert of_kind(adopted(horizon, seed=2, **both), "ev").keys() != of_kind(few, "ev").keys()


def test_limits_hold_for_every_candidate() -> None:
    homes = adopted(day(), ev={"share": 0.5}, export_limit_kw=7.0)
    assert {(one.import_limit_kw, one.export_limit_kw) for one in homes} == {(np.inf, 7.0)}
    homes = adopted(day(), import_limit_kw=17.0)
    assert {(one.import_limit_kw, one.export_limit_kw) for one in homes} == {(17.0, np.inf)}
    for wrong in ({}, {"import_limit_kw": -1.0}):
        with pytest.raises(ValueError, match="import_limit_kw"):
            adopted(day(), **wrong)


def test_heat_pumps_differ() -> None:
    pumps = list(of_kind(adopted(day(), heat_pump={"share": 1.0, "setback_k": 2.0}), "heat_pump").values())
    for field, least in (("p_max_kw", 1.5), ("capacity_kwh_per_k", 5.0), ("t_start_c", 1.0)):
        assert np.ptp([getattr(pump, field) for pump in pumps]) > least
    ends = {int(np.flatnonzero(np.diff(pump.t_min_c) > 0)[0]) for pump in pumps if isinstance(pump, HeatPump)}
    assert len(ends) > 3


def building(outdoor: Array, horizon: Horizon, **keys: object) -> HeatPump:
    spec = AdoptedHeatPump.model_validate({"share": 1.0, **keys})
    return of_building(
        "pump", spec, heat_kw=7.0, time_constant_h=60.0, start=0.4, shift_h=0.3, outdoor_c=outdoor, horizon=horizon
    )


@pytest.mark.parametrize("outdoor", [-12.0, -3.0, 8.0, 14.9, 16.0, 24.0, 35.0])
@pytest.mark.parametrize("setback", [0.0, 3.0])
def test_a_drawn_building_can_be_held_in_all_weathers(outdoor: float, setback: float) -> None:
    horizon = day(duration="2d")
    swing = 4.0 * np.sin(np.cumsum(horizon.dt_h) / 24.0 * 2 * np.pi)
    pump = building(outdoor + swing, horizon, setback_k=setback)
    assert pump.faults(horizon) == []
    room = pump.t_start_c
    for t in range(horizon.steps):
        stay = np.exp(-horizon.dt_h[t] / 60.0)
        room = stay * room + (1 - stay) * (pump.outdoor_c[t] + pump.gains_kw[t] / pump.loss_kw_per_k)
        assert room <= 22.5
    if outdoor < 8.0:
        assert_array_equal(pump.gains_kw, 0.4)


def test_the_design_load_keeps_the_building_at_its_temperature() -> None:
    horizon = day()
    pump = building(np.full(horizon.steps, -12.0), horizon)
    assert pump.loss_kw_per_k * (20.0 + 12.0) == pytest.approx(7.0)
    assert pump.p_max_kw * pump.cop[0] == pytest.approx(1.2 * 7.0)


def test_a_known_profile_can_be_followed_or_moved() -> None:
    horizon = day(minutes=60)
    use = np.where(np.arange(24) % 6 < 2, 2.5, 0.6)
    pump = of_profile("pump", 3.0, use, np.full(24, 3.0), HeatModel(), ground=False)
    assert pump.faults(horizon) == []
    price = np.where(np.arange(24) < 12, 0.2, 0.4)
    home = Prosumer("home", 1, (pump,), price, np.zeros(24))
    answer = QpAnswer(program(home, horizon))
    p = answer.solve(np.zeros((2, 24)), np.zeros((2, 24)), 0.0)[0]
    loss = pump.loss_kw_per_k * 2.5 * 24.0 / pump.cop[0]
    assert -p.sum() == pytest.approx(use.sum(), abs=2.0 * loss)
    assert price @ -p < price @ use - 0.1


def test_a_typical_year_is_what_its_page_says() -> None:
    winter, summer = typical(day("2016-01-20")), typical(day("2016-07-20"))
    assert winter.mean() == pytest.approx(0.0, abs=0.05)
    assert summer.mean() == pytest.approx(19.0, abs=0.1)
    assert np.ptp(summer) == pytest.approx(8.0, rel=0.01)
    assert day("2016-07-20").label(int(summer.argmax()))[-5:] in ("14:45", "15:00")


def test_a_clear_sky_follows_the_sun() -> None:
    """The sun is highest at solar noon, from equations of its own: declination and hour angle."""
    pytest.importorskip("pvlib")
    place = WeatherSpec(latitude=51.3, longitude=9.5)
    energies = {}
    for start, declination in (("2016-06-21", 23.44), ("2016-12-21", -23.44)):
        horizon = day(start)
        sun = clear_sky(place, horizon, typical(horizon))
        assert sun.min() >= 0.0
        assert sun.max() <= 1.0
        tan = -np.tan(np.radians(51.3)) * np.tan(np.radians(declination))
        hours = 2.0 * np.degrees(np.arccos(tan)) / 15.0
        assert 0.25 * np.count_nonzero(sun) == pytest.approx(hours, abs=0.8)
        noon = 12.0 - 9.5 / 15.0 + (2.0 if start[5:7] == "06" else 1.0)
        assert (sun @ (np.arange(96) + 0.5)) / 4.0 / sun.sum() == pytest.approx(noon, abs=0.5)
        energies[start] = 0.25 * sun.sum()
    assert 6.0 < energies["2016-06-21"] < 8.0
    assert energies["2016-12-21"] < 0.45 * energies["2016-06-21"]


def test_a_clear_sky_needs_a_place() -> None:
    with pytest.raises(InputError, match="latitude and longitude"):
        adopted(day(), pv={"share": 0.5, "kwp": 8, "profile": "clear_sky"})


def test_without_pvlib_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pvlib", None)
    horizon = day()
    with pytest.raises(InputError, match=r"admmflex\[weather\]"):
        clear_sky(WeatherSpec(latitude=50.0, longitude=9.0), horizon, typical(horizon))


def test_stays_do_not_depend_on_the_steps() -> None:
    fine, coarse = day(minutes=15), day(minutes=60)
    assert draw_sessions(EV, 60.0, 11.0, fine, (1, 1)) == draw_sessions(EV, 60.0, 11.0, coarse, (1, 1))
    for a, b in pairwise(draw_sessions(EV, 60.0, 11.0, day(duration="4d"), (1, 1))):
        assert b.arrive_h - a.depart_h >= 1.0


def test_flexible_heat_pumps_of_the_network_keep_heat_and_reactive_power() -> None:
    horizon = day(minutes=60)
    shape = {"Air_1_pload": np.linspace(0.1, 0.8, 24), "Air_1_qload": np.linspace(0.3, 0.1, 24)}
    source = Source(Columns("network 'x'", shape), horizon, np.full(24, 0.3), np.full(24, 0.08))
    load = Element("load", "a", 1, 0.004, 0.001, np.nan, np.nan, 1.0, "Air_1", True)
    (fixed,) = from_network(SimbenchSpec(), [load], [1], source)
    spec = SimbenchSpec.model_validate({"heat_pumps": {"use": "flexible"}})
    (flexible,) = from_network(spec, [load], [1], source)
    (whole,), (rest, pump) = fixed.assets, flexible.assets
    assert isinstance(whole, FixedLoad)
    assert isinstance(rest, FixedLoad)
    assert isinstance(pump, HeatPump)
    assert_array_equal(rest.p_kw, 0.0)
    assert_allclose(rest.q_kvar, whole.q_kvar)
    assert_allclose(-pump.gains_kw / pump.cop, whole.p_kw)
    assert pump.p_max_kw == pytest.approx(4.0)
