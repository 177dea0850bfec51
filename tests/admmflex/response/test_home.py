"""Homes with several storages against Clarabel on the same homes, against their own dual bound, and as plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from admmflex.assets.flow import Flow, Store
from admmflex.assets.inverter import disc_edges
from admmflex.errors import Fault, InputError, SolverError
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.fleet import split
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.storages import HomesBuilder, roles_of
from admmflex.response import _answer
from admmflex.response._answer import Answers
from admmflex.response.chain import ChainResponse
from admmflex.response.choose import populate
from admmflex.response.home import HomeResponse

Optimum = Callable[[Prosumer, Horizon, Array, Array, float], float]
STEPS = 48
NO_EDGE = np.zeros(0)
KINDS = (
    "standard", "no pv", "no spread", "negative prices", "linear", "linear with prices", "negative linear", "leak",
    "lossless, no wear", "ends as it began", "connection", "connection, one storage", "shedding",
    "shedding, weak connection", "reactive boxes", "reactive linear", "discs", "power factor", "full power only",
    "dear signal", "tiny penalty", "stiff penalty", "four quarters", "no load",
)  # fmt: skip


@dataclass(frozen=True)
class Raw:
    """Any flow at all."""

    name: str
    raw: Flow
    kind: ClassVar[str] = "raw"

    def faults(self, horizon: Horizon) -> list[Fault]:
        return []

    def flow(self, horizon: Horizon) -> Flow:
        return self.raw


@dataclass(frozen=True)
class Case:
    """Homes, each at a bus of its own, and what they are asked: price and target (2, n, K)."""

    homes: list[Prosumer]
    horizon: Horizon
    price: Array
    target: Array
    rho: float


def flow(steps: int, **fields: object) -> Flow:
    zero = np.zeros(steps)
    empty = Flow(zero, zero, zero, zero, zero, zero, zero, 0.0, NO_EDGE, NO_EDGE)
    arrays = {k: zero + v if k not in ("q_cost", "edge_c", "edge_s", "store") else v for k, v in fields.items()}
    return replace(empty, **arrays)  # type: ignore[arg-type]


def battery(rng: np.random.Generator, steps: int) -> Flow:
    size, wear = rng.uniform(4, 15), rng.uniform(0, 0.05)
    zero, eta = np.zeros(steps), rng.uniform(0.85, 1.0, 2)
    store = Store(rng.uniform(0.1, 1) * size, zero + 0.1 * size, zero + size, zero + eta[0], zero + eta[1], zero + 1.0,
                  zero, rng.uniform(0, 0.3))  # fmt: skip
    power = rng.uniform(1, 6, 2)
    return flow(steps, give_max=power[0], take_max=power[1], give_cost=wear, take_cost=rng.choice([wear, 0.5 * wear]),
                store=store)  # fmt: skip


def vehicle(rng: np.random.Generator, steps: int, dt: Array) -> Flow:
    """Away in the middle of the horizon, due before; some give back."""
    zero = np.zeros(steps)
    leaves, returns = int(steps * rng.uniform(0.25, 0.4)), int(steps * rng.uniform(0.6, 0.75))
    here = (np.arange(steps) < leaves) | (np.arange(steps) >= returns)
    take = 7.0 * here
    e_min, gain, start = zero.copy(), zero.copy(), rng.uniform(5, 15)
    e_min[leaves - 1] = start + rng.uniform(0.1, 0.8) * 0.9 * float(dt[:leaves] @ take[:leaves])
    gain[returns - 1] = -rng.uniform(0, 0.9) * e_min[leaves - 1]
    store = Store(
        start,
        e_min,
        zero + max(start, e_min.max()) + 20.0,
        zero + 0.9,
        zero + 0.92,
        zero + 1.0,
        gain,
        rng.uniform(0, 0.2),
    )
    return flow(steps, take_max=take, give_max=5.0 * here * (rng.random() < 0.4), give_cost=0.03, store=store)


def heat_pump(rng: np.random.Generator, steps: int, dt: Array) -> Flow:
    zero, power = np.zeros(steps), rng.uniform(1.5, 3.5)
    cop = 2.6 + 0.8 * np.sin(np.arange(steps) / steps * 2 * np.pi)
    losses = power * dt * cop * rng.uniform(0.1, 0.7, steps)
    top = rng.uniform(6, 14)
    store = Store(0.5 * top, zero, zero + top, cop, zero + 1.0, np.exp(-0.03 * dt), -losses, rng.uniform(0, 0.08))
    return flow(steps, take_max=power, store=store)


def home(kind: str, number: int, rng: np.random.Generator, dt: Array) -> Prosumer:
    steps, zero = len(dt), np.zeros(len(dt))
    hour = np.cumsum(dt) % 24
    sun = np.maximum(0, rng.uniform(2, 10) * np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0.6, 1, steps)
    load = flow(steps, fixed_p=-rng.uniform(0.1, 3, steps), fixed_q=rng.uniform(-0.5, 0.5, steps))
    pv = flow(steps, give_max=0.0 if kind == "no pv" else sun)
    kinds = [battery(rng, steps), vehicle(rng, steps, dt), heat_pump(rng, steps, dt), battery(rng, steps)]
    storages = list(rng.choice(np.array(kinds, object), 2 + number % 2, replace=False))
    bought = rng.uniform(0.15, 0.45, steps)
    sold = np.minimum(bought, rng.uniform(0, 0.15, steps))
    limits, more = (np.inf, np.inf), []
    match kind:
        case "no spread":
            sold = bought
        case "negative prices":
            bought, sold = bought - 0.5, sold - 0.5
        case "negative linear":
            bought, sold = bought - 0.7, sold - 0.7
        case "leak":
            storages = [with_store(one, keep=zero + 0.99, e_min=zero) for one in storages]
        case "lossless, no wear":
            storages = [with_store(battery(rng, steps), eta_take=zero + 1.0, eta_give=zero + 1.0) for _ in storages]
            storages = [replace(one, give_cost=zero, take_cost=zero) for one in storages]
        case "ends as it began":
            storages = [ending(battery(rng, steps)) for _ in storages]
        case "connection":
            limits = (12.0, rng.uniform(0.0, 1.5))
        case "connection, one storage":
            storages, limits = [battery(rng, steps)], (3.5, rng.uniform(0.5, 2.0))
        case "shedding" | "shedding, weak connection":
            more = [flow(steps, give_max=-0.5 * load.fixed_p, give_cost=rng.uniform(0.05, 0.5, steps))]
            limits = (1.6, 2.0) if kind != "shedding" else limits
            storages = [battery(rng, steps) for _ in storages] if kind != "shedding" else storages
        case "reactive boxes" | "reactive linear":
            pv = replace(pv, q_max=rng.uniform(0, 3, steps), q_cost=rng.uniform(0, 0.02))
            storages = [replace(one, q_max=zero + 1.0, q_cost=rng.uniform(0, 0.02)) for one in storages]
        case "discs":
            storages = [with_disc(battery(rng, steps)) for _ in storages]
        case "power factor":
            pv = replace(pv, q_max=0.3 * sun, edge_c=np.zeros(1), edge_s=np.array([0.3]), q_cost=0.001)
            storages[0] = replace(storages[0], q_max=zero + 0.7, q_cost=0.004)
        case "full power only":
            storages = [straight(battery(rng, steps), dt) for _ in storages]
        case "no load":
            load = flow(steps)
        case "four quarters":
            more = [flow(steps, give_max=0.3 * sun, q_max=0.4), flow(steps, fixed_p=0.2 * sun)]
    flows = [load, pv, *more, *storages]
    assets = tuple(Raw(f"a{i}", one) for i, one in enumerate(flows))
    return Prosumer(f"{kind} {number}", number, assets, bought, sold, *limits)


def with_store(one: Flow, **fields: Array) -> Flow:
    assert one.store is not None
    return replace(one, store=replace(one.store, **fields))


def ending(one: Flow) -> Flow:
    assert one.store is not None
    low, high = one.store.e_min.copy(), one.store.e_max.copy()
    low[-1] = high[-1] = one.store.e_start
    return with_store(one, e_min=low, e_max=high)


def straight(one: Flow, dt: Array) -> Flow:
    """Due at an energy that only full power from the first step on reaches: nothing is left to decide until then."""
    assert one.store is not None
    due = len(dt) // 2
    e_min, e_max = one.store.e_min.copy(), one.store.e_max + 200.0
    e_min[due - 1] = one.store.e_start + float((dt * one.store.eta_take * one.take_max)[:due].sum())
    return with_store(one, e_min=e_min, e_max=e_max)


def with_disc(one: Flow) -> Flow:
    rating = max(one.give_max[0], one.take_max[0])
    edge_c, edge_s = disc_edges(rating, generates_only=False)
    return replace(one, q_max=one.give_max * 0.0 + rating, q_cost=0.002, edge_c=edge_c, edge_s=edge_s)


def case_of(kind: str, homes: int = 14, steps: int = STEPS) -> Case:
    rng = np.random.default_rng(KINDS.index(kind))
    dt = rng.choice([0.25, 0.5, 1.0], steps)
    rho = 0.0 if "linear" in kind else {"tiny penalty": 1e-5, "stiff penalty": 3.0}.get(kind, 10 ** rng.uniform(-3, 0))
    scale = {"linear": 0.0, "negative linear": 0.0, "dear signal": 100.0}.get(kind, 1.0)
    price = scale * np.stack([rng.normal(0, 0.1, (homes, steps)), rng.normal(0, 0.01, (homes, steps))])
    target = rng.normal(0, 3, (2, homes, steps))
    horizon = Horizon(datetime(2024, 6, 1, tzinfo=UTC), dt)
    return Case([home(kind, i, rng, dt) for i in range(homes)], horizon, price, target, rho)


def respond(homes: list[Prosumer], horizon: Horizon) -> HomeResponse:
    """All of them by the interior point, also those that would be a chain."""
    builder = HomesBuilder(horizon)
    for i, one in enumerate(homes):
        flows = [asset.flow(horizon) for asset in one.assets]
        roles = roles_of(flows)
        assert roles is not None
        builder.add(i, i, one, flows, roles)
    arrays = builder.homes()
    assert arrays is not None
    return HomeResponse(arrays)


def objectives(case: Case, response: HomeResponse | ChainResponse, y: Array) -> Array:
    signal = -case.price * y + case.rho / 2 * (y - case.target) ** 2
    total: Array = response.cost() + signal.sum(axis=0) @ case.horizon.dt_h
    return total


def solved(case: Case, response: HomeResponse) -> Array:
    y = np.zeros_like(case.price)
    response.answer(case.price, case.target, case.rho, y)
    return y


def best(case: Case, optimum: Optimum) -> Array:
    signals = zip(case.homes, case.price.swapaxes(0, 1), case.target.swapaxes(0, 1), strict=True)
    return np.array([optimum(home, case.horizon, price, target, case.rho) for home, price, target in signals])


@pytest.mark.parametrize("kind", KINDS)
def test_objective_equals_clarabel_and_the_dual_bound(kind: str, optimum: Optimum) -> None:
    case = case_of(kind)
    response = respond(case.homes, case.horizon)
    value, least = objectives(case, response, solved(case, response)), best(case, optimum)
    scale = np.maximum(1.0, np.abs(least))
    assert np.max(np.abs(value - least) / scale) <= 1e-8
    assert np.nanmax(response.certificate() / scale, initial=0.0) <= 1e-8
    assert response.fallbacks == 0


def test_one_storage_is_answered_as_by_the_exact_chain() -> None:
    case = case_of("standard")
    case = replace(case, homes=[replace(one, assets=one.assets[:3]) for one in case.homes])
    groups = split(case.homes, case.horizon, {i: i for i in range(len(case.homes))})
    assert groups.chain is not None
    values = []
    for response in (ChainResponse(groups.chain, case.horizon.dt_h), respond(case.homes, case.horizon)):
        y = np.zeros_like(case.price)
        response.answer(case.price, case.target, case.rho, y)
        values.append(objectives(case, response, y))
    assert_allclose(values[1], values[0], rtol=1e-8, atol=1e-8)


def test_inverters_that_bind_are_left_to_the_quadratic_program_and_counted(optimum: Optimum) -> None:
    case = case_of("discs")
    case = replace(case, target=4.0 * case.target)
    response = respond(case.homes, case.horizon)
    value = objectives(case, response, solved(case, response))
    assert response.coupled.any()
    assert_allclose(value, best(case, optimum), rtol=1e-8, atol=1e-8)
    assert np.isnan(response.certificate()[response.coupled]).all()


def test_what_does_not_converge_is_answered_by_the_quadratic_program(
    monkeypatch: pytest.MonkeyPatch, optimum: Optimum
) -> None:
    """Homes 3 and 10 give up and leave nonsense behind; the next answer is their own again."""
    case = case_of("connection")
    response, iterate = respond(case.homes, case.horizon), _answer.answer

    def give_up(*arguments: Any) -> None:
        iterate(*arguments)
        answers = next(one for one in arguments if isinstance(one, Answers))
        answers.failed[[3, 10]], answers.p[[3, 10]] = True, np.nan

    with monkeypatch.context() as patch:
        patch.setattr(_answer, "answer", give_up)
        y = solved(case, response)
    least = best(case, optimum)
    assert response.fallbacks == 2
    assert_allclose(objectives(case, response, y), least, rtol=1e-8, atol=1e-8)
    assert_array_equal(np.flatnonzero(np.isnan(response.certificate())), [3, 10])
    for i, plans in enumerate(response.plans(response.state())):
        assert_allclose(sum(plan.p for plan in plans), y[0, i], atol=1e-9)
    assert_allclose(objectives(case, response, solved(case, response)), least, rtol=1e-8, atol=1e-8)
    assert response.fallbacks == 2


def test_a_signal_that_is_no_number_is_refused_and_forgotten(optimum: Optimum) -> None:
    case = case_of("standard")
    response, wrong = respond(case.homes, case.horizon), case.price.copy()
    wrong[0, 5, 7] = np.nan
    with pytest.raises(SolverError, match="standard 5"):
        solved(replace(case, price=wrong), response)
    assert_allclose(objectives(case, response, solved(case, response)), best(case, optimum), rtol=1e-8, atol=1e-8)


def test_a_second_storage_that_cannot_hold_its_band_is_named() -> None:
    case = case_of("lossless, no wear", homes=4)
    wrong = case.homes[2].assets[-1]
    assert isinstance(wrong, Raw)
    assert wrong.raw.store is not None
    e_min = wrong.raw.store.e_min.copy()
    e_min[3] = 1.5 + float(wrong.raw.store.e_start + case.horizon.dt_h[:4].sum() * wrong.raw.take_max[0])
    wide = with_store(wrong.raw, e_min=e_min, e_max=wrong.raw.store.e_max + e_min[3])
    home = replace(case.homes[2], assets=(*case.homes[2].assets[:-1], replace(wrong, raw=wide)))
    homes = [*case.homes[:2], home, case.homes[3]]
    assert_allclose(respond(homes, case.horizon).shortfall, [0.0, 0.0, 1.5, 0.0])
    with pytest.raises(InputError) as error:
        populate(homes, case.horizon, {i: i for i in range(4)})
    (fault,) = error.value.faults
    assert fault.element == f"raw {wrong.name!r} of prosumer {home.name!r}"
    assert "1.5 kWh short" in fault.value
    assert case.horizon.label(3) in fault.value


def test_connections_that_are_too_weak_are_named_with_what_they_lack() -> None:
    """A load of 3 kW with 1 kW of battery needs 2 kW of 1.75; a plant of 4 kW that nobody can curtail 3 kW of 2.5."""
    steps = 4
    horizon = Horizon(datetime(2024, 6, 1, tzinfo=UTC), np.ones(steps))
    store = Store(8.0, *(np.full(steps, x) for x in (0.0, 16.0, 1.0, 1.0, 1.0, 0.0)), 0.0)
    small = flow(steps, take_max=0.5, give_max=0.5, store=store)

    def home(name: str, power: float, **limit: float) -> Prosumer:
        assets = (Raw("fixed", flow(steps, fixed_p=power)), Raw("a", small), Raw("b", small))
        return Prosumer(name, 0, assets, np.full(steps, 0.3), np.full(steps, 0.1), **limit)

    weak = [home("buyer", -3.0, import_limit_kw=1.75), home("seller", 4.0, export_limit_kw=2.5)]
    with pytest.raises(InputError) as error:
        populate(weak, horizon, {0: 0})
    texts = [f"{fault.element}: {fault.value}; {fault.allowed}" for fault in error.value.faults]
    assert len(texts) == 2
    assert "'buyer': 2 kW" in texts[0]
    assert "0.25 kW too much; 1 kWh in all; import_limit_kw = 1.75" in texts[0]
    assert "'seller': 3 kW" in texts[1]
    assert "0.5 kW too much; 2 kWh in all; export_limit_kw = 2.5" in texts[1]
    populate([home("buyer", -3.0, import_limit_kw=2.0), home("seller", 4.0, export_limit_kw=3.0)], horizon, {0: 0})
