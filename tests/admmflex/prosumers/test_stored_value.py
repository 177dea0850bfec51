"""The value of stored energy against linear programs of the same home."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

from admmflex.assets import Battery, Boiler, ElectricVehicle, FixedLoad, Pv, Session
from admmflex.assets.flow import Asset, Flow
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.stored_value import Function, Meter, Outlook, at_end, before, outlook, value

STEPS = 40
KINDS = ("battery", "car", "boiler")


@dataclass(frozen=True)
class Given:
    """An asset that is a flow."""

    of: Flow
    name: str = "store"
    kind: ClassVar[str] = "given"

    def faults(self, horizon: Horizon) -> list:
        return []

    def flow(self, horizon: Horizon) -> Flow:
        return self.of


def horizon(seed: int) -> Horizon:
    rng = np.random.default_rng(seed)
    return Horizon(datetime(2016, 5, 20, tzinfo=UTC), rng.choice([0.25, 0.5, 1.0], STEPS))


def store(kind: str, span: Horizon) -> Flow:
    asset: Asset
    if kind == "battery":
        asset = Battery("store", 9.0, 4.0, 3.0, 5.0, e_min_kwh=1.0, eta_c=0.93, eta_d=0.96, wear=0.01, end_value=0.12)
    elif kind == "car":
        stays = (Session(2.0, 9.0, 20.0, 38.0), Session(12.0, 16.0, 15.0, 30.0))
        asset = ElectricVehicle("store", 50.0, 11.0, stays, v2g_kw=5.0, wear=0.02)
    else:
        draw = np.random.default_rng(3).uniform(0.0, 0.8, span.steps)
        asset = Boiler("store", 3.0, 200.0, draw, 60.0, loss_kw_per_k=0.01)
    assert not asset.faults(span)
    return asset.flow(span)


def home(kind: str, seed: int) -> tuple[Horizon, Prosumer]:
    """A load, a plant and a store; selling earns money, or costs some. The connection binds for odd seeds."""
    span, rng = horizon(seed), np.random.default_rng([seed, 1])
    hour = np.cumsum(span.dt_h) % 24
    sun = 6.0 * np.maximum(0.0, np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0.5, 1.0, STEPS)
    load = FixedLoad("load", rng.uniform(0.2, 2.5, STEPS), np.zeros(STEPS))
    buy = rng.uniform(0.15, 0.4, STEPS)
    sell = buy * rng.uniform(-0.3, 0.8, STEPS)
    limits = {"import_limit_kw": 11.0, "export_limit_kw": 3.0} if seed % 2 else {}
    return span, Prosumer("home", 1, (load, Pv("pv", sun, 6.0), Given(store(kind, span))), buy, sell, **limits)


def least_cost(span: Horizon, one: Prosumer, energy: float, first: int) -> float:
    """Of the home's linear program from a step on; infinite when it has no solution."""
    rest = Horizon(span.start, span.dt_h[first:])
    flows = [_later(asset.flow(span), first) for asset in one.assets]
    assert flows[-1].store is not None
    flows[-1] = replace(flows[-1], store=replace(flows[-1].store, e_start=energy))
    prices = {"import_price": one.import_price[first:], "export_price": one.export_price[first:]}
    whole = program(replace(one, assets=tuple(Given(flow) for flow in flows), **prices), rest)
    A, b = np.vstack([whole.A.toarray(), -whole.A.toarray()]), np.concatenate([whole.high, -whole.low])
    bounds, finite = np.stack([whole.x_min, whole.x_max], axis=1), np.isfinite(b)
    found = linprog(whole.cost, A[finite], b[finite], bounds=bounds)
    return float(found.fun) + whole.cost_constant if found.success else np.inf


def _later(flow: Flow, first: int) -> Flow:
    def cut(x: object) -> object:
        return x[first:] if isinstance(x, np.ndarray) and x.shape == (STEPS,) else x

    store = flow.store and replace(flow.store, **{k: cut(v) for k, v in vars(flow.store).items()})
    return replace(flow, **{k: cut(v) for k, v in vars(flow).items() if k != "store"}, store=store)


def of(span: Horizon, one: Prosumer, others: Array | None = None):
    flows = [asset.flow(span) for asset in one.assets]
    meter = Meter(one.import_price, one.export_price, one.import_limit_kw, one.export_limit_kw)
    ahead = outlook(span.dt_h, [(meter, flows, len(flows) - 1)])
    return ahead if others is None else ahead._replace(fixed=ahead.fixed + others)


def all_from(ahead: Outlook, first: int) -> Function:
    """The value before a step, of all that follows."""
    return before(ahead, first, STEPS, at_end(ahead, STEPS))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("first", [0, 13, STEPS - 1])
def test_values_are_those_of_the_linear_program(kind, seed, first):
    span, one = home(kind, seed)
    ahead = of(span, one)
    found = all_from(ahead, first)
    low, high = (ahead.e_min[0, first - 1], ahead.e_max[0, first - 1]) if first else (ahead.low[0], ahead.high[0])
    energies = np.linspace(low, high, 9)
    direct = np.array([least_cost(span, one, e, first) for e in energies])
    solved = np.isfinite(direct)
    assert solved.sum() >= 2
    values = np.array([value(found, np.array([e]))[0] for e in energies])
    assert_allclose(values[solved], direct[solved], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_ascend_and_the_band_is_covered(kind):
    span, one = home(kind, 1)
    found, flow = all_from(of(span, one), 0), one.assets[-1].flow(span)
    assert (np.diff(found.slopes[0, : found.segments[0]]) >= 0.0).all()
    assert_allclose(found.ends[0, [0, found.segments[0]]], [flow.store.e_min.min(), flow.store.e_max.max()])


def test_what_cannot_be_kept_costs_the_steep_slope():
    """Ten kWh short of what the car needs, however it charges."""
    span, one = home("car", 0)
    outlook_ = of(span, one)
    late = int(np.searchsorted(np.cumsum(span.dt_h), 9.0)) - 1
    found = all_from(outlook_, late)
    assert found.slopes[0, 0] == pytest.approx(-outlook_.steep[0])


def test_homes_do_not_touch_each_other():
    span, one = home("battery", 2)
    _, other = home("boiler", 2)
    rows = []
    for prosumer in (one, other, one):
        flows = [asset.flow(span) for asset in prosumer.assets]
        rows.append((Meter(prosumer.import_price, prosumer.export_price), flows, 2))
    together, alone = (all_from(outlook(span.dt_h, some), 0) for some in (rows, rows[:1]))
    for row in (0, 2):
        count = together.segments[row]
        assert count == alone.segments[0]
        assert_allclose(together.slopes[row, :count], alone.slopes[0, :count], rtol=1e-12)
