"""Homes with batteries, cars, heat pumps, boilers and tasks: who answers for them, warm answers, plans and mixtures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import cvxpy as cp
import numpy as np
from numpy.testing import assert_allclose

from admmflex.assets import (
    Asset,
    Battery,
    Boiler,
    Deferrable,
    ElectricVehicle,
    FixedLoad,
    HeatPump,
    Pv,
    Session,
    SheddableLoad,
    Task,
    cop,
)
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.choose import AnyProsumer, populate
from admmflex.response.custom import CvxpyModel
from admmflex.response.home import HomeResponse

Optimum = Callable[[Prosumer, Horizon, Array, Array, float], float]
STEPS, RHO = 48, 0.03
HORIZON = Horizon(datetime(2016, 1, 20, tzinfo=UTC), np.full(STEPS, 0.5))
HOUR = (np.arange(STEPS) + 0.5) / 2
EXACT = 1e-9
MIXES = (
    ("battery", "ev"), ("battery", "heat pump", "ev"), ("heat pump", "boiler"), ("ev", "deferrable"),
    ("battery", "deferrable", "boiler"), ("battery", "battery"), ("ev", "ev", "heat pump"), ("battery", "boiler"),
)  # fmt: skip


def device(kind: str, name: str, rng: np.random.Generator) -> Asset:
    match kind:
        case "battery":
            size, end = rng.uniform(5, 12), rng.choice([None, 0.15])
            return Battery(name, size, 3.0, 3.5, 0.4 * size, wear=0.02, eta_d=0.93, end_value=end, reactive="box")
        case "ev":
            sessions = Session(0.0, rng.uniform(6, 8), 12.0, rng.uniform(20, 30)), Session(17.3, 24.0, 14.0, 22.0)
            v2g = rng.choice([0.0, 5.0])
            return ElectricVehicle(name, 50.0, 7.4, sessions, v2g_kw=v2g, wear=0.04, reserve_kwh=8.0 if v2g else 0.0)
        case "heat pump":
            outdoor = rng.uniform(-4, 3) + 4.0 * np.sin((HOUR - 9) / 12 * np.pi)
            band = np.full(STEPS, 20.0), np.full(STEPS, 23.0)
            return HeatPump(name, 3.5, 6.0, 0.2, outdoor, cop(outdoor), np.full(STEPS, 0.4), *band, 21.0)
        case "short stay":
            stay = Session(1.2, rng.uniform(4, 6), 12.0, 50.0), Session(20.1, 24.0, 14.0, 45.0)
            v2g = rng.choice([0.0, 5.0])
            return ElectricVehicle(name, 50.0, 7.4, stay, v2g_kw=v2g, wear=0.04, relax=True, shortfall_price=1.0)
        case "weak heat pump":
            outdoor = rng.uniform(-9, -4) + 4.0 * np.sin((HOUR - 9) / 12 * np.pi)
            band = np.full(STEPS, 20.0), np.full(STEPS, 23.0)
            forced = {"relax": True, "shortfall_price": 1.0}
            return HeatPump(name, 1.0, 6.0, 0.2, outdoor, cop(outdoor), np.full(STEPS, 0.4), *band, 21.0, **forced)
        case "boiler":
            draw = 1.2 * (np.abs(HOUR - 7) < 1) + rng.uniform(0.5, 1.5) * (np.abs(HOUR - 19) < 1.5)
            return Boiler(name, 2.0, 200.0, draw, 60.0)
        case _:
            return Deferrable(name, 2.2, (Task(1.0, 7.0, 3.0), Task(9.0, 21.0, rng.uniform(1, 4))))


def home(mix: tuple[str, ...], number: int = 0, **limits: float) -> Prosumer:
    rng = np.random.default_rng(number)
    sun = rng.uniform(4, 9) * np.maximum(0.0, np.sin((HOUR - 7) / 10 * np.pi))
    load = FixedLoad("load", rng.uniform(0.2, 2.0, STEPS), rng.uniform(0.0, 0.4, STEPS))
    devices = [device(kind, f"{kind} {k}", rng) for k, kind in enumerate(mix)]
    assets = (load, Pv("pv", sun, 9.0, reactive="box", q_cost=0.004), *devices)
    tariff = np.where((HOUR >= 17) & (HOUR < 21), 0.38, np.where(HOUR < 6, 0.22, 0.30))
    one = Prosumer(f"home {number}", number, assets, tariff, np.full(STEPS, 0.08), **limits)
    assert one.faults(HORIZON) == []
    return one


@dataclass(frozen=True)
class Heater:
    """Written in cvxpy: 5 kWh, whenever."""

    name: str = "heater"
    bus: int = 99
    import_price: Array = field(default_factory=lambda: np.full(STEPS, 0.3))
    export_price: Array = field(default_factory=lambda: np.full(STEPS, 0.1))

    def build(self, horizon: Horizon) -> CvxpyModel:
        heat = cp.Variable(STEPS)
        power = cp.Constant(np.zeros(STEPS))
        return CvxpyModel(-heat, power, cp.Constant(0.0), (heat >= 0, heat <= 2, 0.5 * cp.sum(heat) == 5))


@dataclass(frozen=True)
class Street:
    """A home of every mix, each at a bus of its own, and signals (R, 2, n, K) that settle to a value."""

    homes: list[Prosumer]
    price: Array
    target: Array

    def response(self, loosest: float = EXACT) -> HomeResponse:
        found = split(self.homes, HORIZON, {i: i for i in range(len(self.homes))})
        assert found.homes is not None
        assert len(found.homes) == len(self.homes)
        return HomeResponse(found.homes, loosest)

    def objective(self, response: HomeResponse, y: Array, k: int, rho: float = RHO) -> Array:
        signal = -self.price[k] * y + rho / 2 * (y - self.target[k]) ** 2
        total: Array = response.cost() + signal.sum(axis=0) @ HORIZON.dt_h
        return total


def street(rounds: int = 8, repeats: int = 2) -> Street:
    rng = np.random.default_rng(3)
    homes = [home(mix, r * len(MIXES) + k) for r in range(repeats) for k, mix in enumerate(MIXES)]
    shape = (2, len(homes), STEPS)
    scale = np.array([1.0, 0.2])[:, None, None]
    price, target = scale * rng.normal(0.0, 0.1, shape), scale * rng.normal(0.0, 2.0, shape)
    fading = 0.3 ** np.arange(rounds)[:, None, None, None]
    noise = rng.normal(0.0, 1.0, (2, rounds, *shape))
    return Street(homes, price + 0.05 * fading * noise[0], target + fading * noise[1])


def infeasibility(one: Prosumer, y: Array, plans: tuple[AssetPlan, ...]) -> float:
    """Largest violation by plans: meter, powers, bands of energy, and energies that the flows cannot bring about."""
    worst = [np.abs(y - [sum(plan.p for plan in plans), sum(plan.q for plan in plans)]).max()]
    for asset, plan in zip(one.assets, plans, strict=True):
        flow, dt = asset.flow(HORIZON), HORIZON.dt_h
        p, q = plan.p - flow.fixed_p, plan.q - flow.fixed_q
        worst += [(p - flow.give_max).max(), (-p - flow.take_max).max(), (np.abs(q) - flow.q_max).max()]
        if flow.store is not None:
            store = flow.store
            assert plan.energy is not None
            before = np.concatenate([[store.e_start], plan.energy[:-1]])
            moved = plan.energy - store.keep * before - store.gain
            most = dt * np.where(p > 0, -p / store.eta_give, -p * store.eta_take)
            worst += [(moved - most).max(), (store.e_min - plan.energy).max(), (plan.energy - store.e_max).max()]
            worst += [(most - moved).max()] if not (flow.give_max * flow.take_max).any() else []
    return float(max(worst))


def test_the_sum_is_answered_as_by_clarabel_with_every_device(optimum: Optimum) -> None:
    day = street(1)
    response = day.response()
    for rho in (RHO, 0.0):
        y = np.zeros_like(day.price[0])
        response.answer(day.price[0], day.target[0], rho, y)
        least = [optimum(one, HORIZON, day.price[0][:, i], day.target[0][:, i], rho) for i, one in enumerate(day.homes)]
        assert_allclose(day.objective(response, y, 0, rho), least, rtol=1e-8, atol=1e-8)
    assert response.fallbacks == 0


def test_devices_that_are_forced_leave_something_to_decide_to_the_others(optimum: Optimum) -> None:
    """A car that cannot be filled in time, a pump too weak for the cold: their power is given, that of the rest not."""
    mixes = [("short stay", "battery"), ("weak heat pump", "ev"), ("short stay", "weak heat pump", "boiler")]
    homes = [home(mix, 3 * r + k) for r in range(3) for k, mix in enumerate(mixes)]
    rng = np.random.default_rng(8)
    day = Street(homes, 0.1 * rng.normal(size=(2, 2, 9, STEPS)), rng.normal(size=(2, 2, 9, STEPS)))
    response, y = day.response(), np.zeros((2, 9, STEPS))
    for k, rho in ((0, RHO), (1, RHO), (1, 0.0)):
        response.answer(day.price[k], day.target[k], rho, y)
        least = [optimum(one, HORIZON, day.price[k][:, i], day.target[k][:, i], rho) for i, one in enumerate(homes)]
        assert_allclose(day.objective(response, y, k, rho), least, rtol=1e-8, atol=1e-8)
        assert (response.certificate() <= 1e-8 * np.maximum(1.0, np.abs(least))).all()
        for i, plans in enumerate(response.plans(response.state())):
            assert infeasibility(homes[i], y[:, i], plans) <= 1e-9
    assert response.fallbacks == 0


def test_warm_answers_equal_cold_ones_and_are_feasible() -> None:
    day = street()
    warm, y = day.response(), np.zeros_like(day.price[0])
    for k in [*range(len(day.price)), 0, 5]:
        warm.answer(day.price[k], day.target[k], RHO, y)
        cold, again = day.response(), np.zeros_like(y)
        cold.answer(day.price[k], day.target[k], RHO, again)
        assert_allclose(day.objective(warm, y, k), day.objective(cold, again, k), rtol=1e-8, atol=1e-8)
        for i, plans in enumerate(warm.plans(warm.state())):
            assert infeasibility(day.homes[i], y[:, i], plans) <= 1e-9
    assert warm.fallbacks == 0


def test_answers_get_exact_as_the_signals_settle() -> None:
    """With the tolerance that follows the movement: within 1e-4 always, within 1e-8 when hardly anything moves."""
    day = street(12)
    following, exact, y = day.response(1e-4), day.response(), np.zeros_like(day.price[0])
    excess = []
    for k in range(12):
        values = []
        for response in (following, exact):
            response.answer(day.price[k], day.target[k], RHO, y)
            values.append(day.objective(response, y, k))
        excess.append(np.max((values[0] - values[1]) / np.maximum(1.0, np.abs(values[1]))))
    assert max(excess) <= 1e-4
    assert excess[-1] <= 1e-8
    following.answer(day.price[5], day.target[5], 0.0, y)
    assert (following.certificate() <= 1e-8 * np.maximum(1.0, np.abs(day.objective(following, y, 5, 0.0)))).all()


def test_mixtures_are_feasible_and_cost_no_more_than_their_parts() -> None:
    day = street(4)
    response, y = day.response(), np.zeros_like(day.price[0])
    powers, states, costs = [], [], []
    for k, rho in enumerate((RHO, 0.0, 0.3, 0.0)):
        response.answer(day.price[k], day.target[k], rho, y)
        powers.append(y.copy())
        states.append({name: values.copy() for name, values in response.state().items()})
        costs.append(response.cost().copy())
        assert_allclose(response.evaluate_cost(y[0], states[-1]), costs[-1])
    weights = np.random.default_rng(5).dirichlet(np.ones(4))
    power = np.tensordot(weights, powers, 1)
    mixed = {name: np.tensordot(weights, [state[name] for state in states], 1) for name in states[0]}
    assert (response.evaluate_cost(power[0], mixed) <= weights @ costs + 1e-9).all()
    for i, plans in enumerate(response.plans(mixed)):
        assert infeasibility(day.homes[i], power[:, i], plans) <= 1e-9


def test_energy_is_burnt_only_where_taking_is_paid_for() -> None:
    two = home(("battery", "battery"))
    for price, burns in ((0.0, False), (-1.5, True)):
        day = Street([two], np.full((1, 2, 1, STEPS), price), np.zeros((1, 2, 1, STEPS)))
        response = day.response()
        response.answer(day.price[0], day.target[0], 0.0, np.zeros((2, 1, STEPS)))
        assert (response.burn()[0] > 1.0) == burns
        assert burns or response.burn()[0] <= 1e-9


def test_the_way_of_answering_follows_from_the_devices() -> None:
    zero = np.zeros(STEPS)
    dear = SheddableLoad("dear", np.full(STEPS, 0.5), zero, 0.5, 0.6)
    follows = replace(dear, q_kvar=np.full(STEPS, 0.1))
    chain = home(("battery",), 1)
    homes: dict[str, list[AnyProsumer]] = {
        "chain": [chain, home((), 2), replace(chain, export_limit_kw=50.0), home(("heat pump",), 3)],
        "interior point": [
            home(("battery", "ev"), 4), home(("ev", "boiler", "heat pump"), 5), replace(chain, export_limit_kw=3.0),
            replace(chain, import_limit_kw=4.0), replace(chain, assets=(*chain.assets, dear)),
        ],
        "quadratic program": [
            home(("battery", "ev", "boiler", "heat pump"), 6), replace(chain, assets=(*chain.assets, follows)),
            replace(chain, assets=(*chain.assets, dear, replace(dear, name="dearer"))),
        ],
        "cvxpy": [Heater()],
    }  # fmt: skip
    for way, ones in homes.items():
        assert populate(ones, HORIZON, {one.bus: 0 for one in ones}).ways() == {way: len(ones)}
    everyone = [one for ones in homes.values() for one in ones]
    population = populate(everyone[::-1], HORIZON, {one.bus: 0 for one in everyone})
    assert population.ways() == {way: len(ones) for way, ones in homes.items()}
    assert sorted(row for response in population.responses for row in response.rows) == list(range(len(everyone)))
