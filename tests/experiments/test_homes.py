"""The homes of the three seasons in steps of an hour: the same homes, days and limits as in the scenario files."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from rich.console import Console

from admmflex import scenario
from admmflex.assets import Battery, ElectricVehicle, HeatPump, Session
from admmflex.coordination.schemes import Agreed
from admmflex.data import study as data
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.results import plain
from experiments import compare
from experiments.homes import figure, week
from experiments.homes.bills import Bills, bills, distance, evening, nearness, roof
from experiments.homes.bills_figure import bills_figure
from experiments.homes.day import SEASONS, Day, all_assets, by_kind, solve, strain
from experiments.homes.effects import at, bills_table, hours_table, record, rooms
from experiments.homes.promises import battery_breach, car_breach, devices, kept, room_breach, temperatures
from experiments.homes.run import PROMISE, Season, tables

FOLDER = compare.ROOT / "homes"


@cache
def hourly(name: str) -> Study:
    """A season's study with 24 steps."""
    source = scenario.load(FOLDER / f"{name}.yaml")
    horizon = source.spec.horizon.model_copy(update={"step_minutes": 60.0})
    return data.build(source.spec.model_copy(update={"horizon": horizon}), source.folder)


@cache
def day_of(name: str) -> Day:
    return solve(hourly(name))[0]


def spoiled(plan: Agreed, row: int, asset: int, values: Array) -> Agreed:
    """The plan with another power (row 0) or energy (row 2) of one asset."""
    assets = plan.assets.copy()
    assets[row, asset] = values
    return dataclasses.replace(plan, assets=assets)


def first(study: Study, kind: str) -> int:
    return next(k for k, asset in enumerate(all_assets(study)) if asset.kind == kind)


@pytest.mark.parametrize("name", SEASONS)
def test_homes_by_themselves_break_limits_and_agreed_ones_do_not(name: str) -> None:
    day = day_of(name)
    assert day.outcome.status == "optimal"
    assert strain(day.study, day.before).broken > 0
    assert strain(day.study, day.after).broken == 0
    promised = dataclasses.astuple(kept(day.study, day.after))
    assert max(promised) <= PROMISE


def test_every_home_takes_what_is_cheapest_and_of_that_the_earliest() -> None:
    day = day_of("winter")
    spread = day.outcome.baseline
    assert spread is not None
    assert day.before.cost == pytest.approx(spread.cost, rel=1e-6)
    hours = np.arange(24.0)
    early, late = (by_kind(day.study, plan, "ev").sum(axis=0) for plan in (day.before, spread))
    assert early.sum() == pytest.approx(late.sum(), rel=1e-6)
    assert early @ hours / early.sum() < late @ hours / late.sum() - 0.5
    before, after = at(day, 22)
    assert before > 3.0 * after


def test_a_broken_promise_is_noticed() -> None:
    day, study = day_of("winter"), hourly("winter")
    car, pump, battery = (first(study, kind) for kind in ("ev", "heat_pump", "battery"))
    charge, energy = day.after.assets[0, car], day.after.assets[2, battery]
    assert kept(study, spoiled(day.after, 0, car, 0.9 * charge)).cars_kwh > 0.1
    assert kept(study, spoiled(day.after, 0, pump, np.zeros(24))).rooms_k > 1.0
    assert kept(study, spoiled(day.after, 2, battery, energy + 9.0)).batteries_kwh > 1.0
    assert kept(study, spoiled(day.after, 2, battery, np.roll(energy, 3))).batteries_kwh > 0.1


def test_a_car_must_be_charged_in_time_while_it_is_there() -> None:
    horizon = dataclasses.replace(hourly("winter").horizon, dt_h=np.ones(4))
    car = ElectricVehicle("car", 20.0, 4.0, (Session(0.5, 3.0, 10.0, 16.0),), eta_c=1.0)
    assert car_breach(car, -np.array([2.0, 3.0, 1.0, 0.0]), horizon) == pytest.approx(0.0)
    assert car_breach(car, -np.array([2.0, 3.0, 0.5, 0.0]), horizon) == pytest.approx(0.5)  # not enough
    assert car_breach(car, -np.array([3.0, 3.0, 1.0, 0.0]), horizon) == pytest.approx(1.0)  # before it arrives
    assert car_breach(car, -np.array([2.0, 4.0, 0.0, 0.5]), horizon) == pytest.approx(0.5)  # after it left
    assert car_breach(car, -np.array([2.0, 5.0, 0.0, 0.0]), horizon) == pytest.approx(1.0)  # beyond the charger
    with pytest.raises(ValueError, match="gives back"):
        car_breach(dataclasses.replace(car, v2g_kw=1.0), np.zeros(4), horizon)


def test_a_car_that_left_fuller_needs_less_the_next_time() -> None:
    horizon = dataclasses.replace(hourly("winter").horizon, dt_h=np.ones(4))
    stays = (Session(0.0, 1.0, 10.0, 12.0), Session(2.0, 4.0, 11.0, 14.0))
    car = ElectricVehicle("car", 20.0, 4.0, stays, eta_c=1.0)
    p = -np.array([4.0, 0.0, 1.0, 0.0])
    assert car_breach(car, p, horizon) == pytest.approx(0.0)
    assert not car.faults(horizon)
    assert car_breach(car, -np.array([3.0, 0.0, 1.0, 0.0]), horizon) == pytest.approx(1.0)


def test_temperatures_follow_the_equation_of_the_room() -> None:
    """Against many small explicit steps."""
    study = hourly("winter")
    _, pump, p, _ = next(one for one in devices(study, day_of("winter").after) if isinstance(one[1], HeatPump))
    assert isinstance(pump, HeatPump)
    room, found, parts = pump.t_start_c, [], 4000
    for t in range(24):
        for _ in range(parts):
            heat = pump.gains_kw[t] - pump.cop[t] * p[t] + pump.loss_kw_per_k * (pump.outdoor_c[t] - room)
            room += heat / pump.capacity_kwh_per_k / parts
        found.append(room)
    assert_allclose(temperatures(pump, p, study.horizon), found, atol=1e-4)


def test_a_battery_that_does_both_within_a_step_is_within_its_powers() -> None:
    horizon = dataclasses.replace(hourly("winter").horizon, dt_h=np.ones(2))
    battery = Battery("b", 10.0, 5.0, 5.0, 2.0, eta_c=0.9, eta_d=0.9)
    charge, give = np.array([4.0, 0.0]), np.array([1.0, 1.5])
    energy = 2.0 + np.cumsum(0.9 * charge - give / 0.9)
    assert battery_breach(battery, give - charge, energy, horizon) == pytest.approx(0.0, abs=1e-12)
    assert battery_breach(battery, give - charge, energy + 0.5, horizon) > 0.1


def test_bills_add_up_to_the_cost_of_the_plan() -> None:
    for name in ("winter", "summer"):
        day = day_of(name)
        own = bills(day)
        assert own.own_before.sum() == pytest.approx(day.before.cost, abs=1e-6)
        assert own.own_after.sum() == pytest.approx(day.after.cost, abs=1e-6)
        assert own.cost == pytest.approx(day.after.cost - day.before.cost, abs=1e-6)
        assert own.borne.min() > -1e-3  # alone, nobody does better than alone
        power = sum(by_kind(day.study, day.after, kind) for kind in ("load", "pv", "battery", "ev", "heat_pump"))
        assert_allclose(power, day.after.y[0], atol=1e-9)


def test_shares_sum_to_one_over_homes_and_over_groups() -> None:
    day = day_of("winter")
    own = bills(day)
    for shares in (own.shares, own.grid_shares):
        assert shares.sum() == pytest.approx(1.0)
        for groups in (roof(day.study), evening(day.study), nearness(day.study)):
            assert set(groups.of) == set(groups.names)
            parts = [shares[np.array(groups.of) == name].sum() for name in groups.names]
            assert sum(parts) == pytest.approx(1.0)


def test_a_grid_that_costs_nothing_has_no_shares() -> None:
    zero = np.zeros(3)
    assert np.isnan(Bills(zero, zero, zero, zero, zero).shares).all()


def test_the_payment_has_the_sign_of_the_price() -> None:
    """By hand: at noon injection lowers the value of power along the feeder, so that who feeds in pays."""
    study = compare.study("hand/day")
    day, _ = solve(study)
    own, noon = bills(day), 1
    expected = -day.price[0, :, noon] * day.after.y[0, :, noon]
    assert_allclose(own.grid, expected, atol=1e-9)
    assert (np.diff(own.grid[:2]) > 0).all()
    assert own.grid.min() > 0


def test_distance_is_the_impedance_of_the_cable() -> None:
    assert_allclose(distance(compare.study("hand/day")), 0.032 * np.arange(1, 6), rtol=1e-9)


def test_rooms_stay_in_their_band() -> None:
    comfort = rooms(hourly("winter"), day_of("winter").after)
    assert comfort.margin_k > -PROMISE
    assert 17.0 < comfort.lowest_c < comfort.mean_c < comfort.highest_c <= 22.5 + PROMISE


def test_what_is_found_can_be_shown_and_written() -> None:
    day, console = day_of("winter"), Console(width=100, record=True, quiet=True)
    own = bills(day)
    for table in (hours_table(day), bills_table(day, own)):
        console.print(table)
    written = json.dumps(plain(record("winter", day, own)), allow_nan=False)
    assert len(json.loads(written)["homes"]) == 118


def test_a_season_names_the_goals_that_it_misses() -> None:
    day = day_of("spring")
    row = compare.Compared("optimal", 100.2, 100.0, 99.9, 0.0, 2e-3, 20, 41, 1.0, 1.0)
    found = Season(
        "spring", 118, 99.0, strain(day.study, day.before), row, kept(day.study, day.after), {"fallbacks": 1}
    )
    assert found.missed == ["gap", "limits", "answers"]
    assert json.loads(json.dumps(found.record()))["missed"] == found.missed
    assert len(tables([found])) == 3


def test_a_picture_stacks_up_to_the_power_at_the_meters() -> None:
    day = day_of("winter")
    for drawn in (figure.home_day(day), figure.homes_day(day)):
        meters = [line for line in drawn.data if (line.name or "").startswith("at the meter")]
        assert len(meters) == 2
        for row, meter in zip(("1", "2"), meters, strict=True):
            parts = [line.y for line in drawn.data if (line.stackgroup or "").startswith(row)]
            assert_allclose(np.sum(parts, axis=0), meter.y, atol=1e-6)
    assert len(bills_figure(day, bills(day)).data) == 9


def test_a_day_begins_where_the_last_one_ended() -> None:
    study = hourly("winter")
    state = week.left(study, day_of("winter").after)
    next_day = week.begun(study, {name: value + 0.5 for name, value in state.items()})
    for asset in all_assets(next_day):
        assert not asset.faults(study.horizon)
        if isinstance(asset, Battery):
            assert asset.e_start_kwh == pytest.approx(state[asset.name] + 0.5)
            assert asset.end_bound_kwh == pytest.approx(2.0)
        elif isinstance(asset, HeatPump):
            assert asset.t_start_c == pytest.approx(min(state[asset.name] + 0.5, 22.5))


def test_windows_are_opened_only_as_far_as_the_band_needs() -> None:
    study = hourly("summer")
    pump = next(asset for asset in all_assets(study) if isinstance(asset, HeatPump))
    hot = dataclasses.replace(pump, outdoor_c=pump.outdoor_c + 8.0, gains_kw=pump.gains_kw + 0.5, t_start_c=22.4)
    assert room_breach(hot, np.zeros(24), study.horizon) > 0.1
    aired = dataclasses.replace(hot, gains_kw=week.aired(hot, 22.4, study.horizon.dt_h))
    assert temperatures(aired, np.zeros(24), study.horizon).max() <= 22.5
    cold = dataclasses.replace(pump, outdoor_c=pump.outdoor_c - 20.0)
    assert_allclose(week.aired(cold, pump.t_start_c, study.horizon.dt_h), cold.gains_kw)


def test_an_interrupted_week_goes_on_after_the_last_finished_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, console, path = scenario.load(FOLDER / "spring.yaml"), Console(quiet=True), tmp_path / "deep" / "week.jsonl"
    asked: list[str] = []

    def lived(start: str, study: Study) -> dict[str, object]:
        if len(asked) == 3:
            raise KeyboardInterrupt
        battery = next(asset for asset in all_assets(study) if isinstance(asset, Battery))
        assert battery.e_start_kwh == pytest.approx(2.0 + len(asked))
        asked.append(start)
        return {"start": start, "good": True, "left": {battery.name: 2.0 + len(asked)}}

    monkeypatch.setattr(week, "lived", lived)
    with pytest.raises(KeyboardInterrupt):
        week.week(source, path, console)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"scenario": "cut o')
    monkeypatch.setattr(week, "lived", lambda start, study: {"start": start, "good": True, "left": {}})
    rows = week.week(source, path, console)
    assert [row["start"] for row in rows][:3] == asked
    assert len(rows) == len({row["start"] for row in rows}) == 7
    assert len(path.read_text(encoding="utf-8").splitlines()) == 7
    other = dataclasses.replace(source, text=source.text + "\n")
    with pytest.raises(SystemExit, match="another state of the scenario"):
        week.week(other, path, console)
