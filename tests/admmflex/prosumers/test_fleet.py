"""Which prosumers are chains, and whether their arrays say what their assets said."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose

from admmflex.assets.battery import Battery
from admmflex.assets.fixed_load import FixedLoad
from admmflex.assets.flow import Asset
from admmflex.assets.pv import Pv
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.chain_homes import Edges, Field, Profiles
from admmflex.prosumers.fleet import Groups, split
from admmflex.prosumers.program import program
from admmflex.prosumers.prosumer import Prosumer
from admmflex.response.chain import ChainResponse
from admmflex.response.home import HomeResponse
from admmflex.response.qp import QpAnswer

STEPS = 24
HORIZON = Horizon(datetime(2016, 6, 1, tzinfo=UTC), np.ones(STEPS))
SUN = np.maximum(0.0, 5.0 * np.sin((np.arange(STEPS) - 6) / 12 * np.pi))
LOAD = 1.0 + 0.5 * np.sin(np.arange(STEPS))


def load(p: Array = LOAD) -> FixedLoad:
    return FixedLoad("load", p, 0.2 * p)


def pv(name: str = "pv", **options: object) -> Pv:
    return Pv(name, SUN, 5.0, **options)


def battery(name: str = "battery", **options: object) -> Battery:
    return Battery(name, 10.0, 3.0, 3.0, 4.0, wear=0.01, **options)


def prosumer(*assets: Asset, bus: int = 7) -> Prosumer:
    return Prosumer("home", bus, assets, np.full(STEPS, 0.3), np.full(STEPS, 0.08))


CHAINS = {
    "load only": (load(),),
    "pv only": (pv(),),
    "two loads, pv, battery": (load(), load(2.0 * LOAD), pv(), battery()),
    "two plants without q": (load(), pv("a"), pv("b")),
    "two plants with boxes": (load(), pv("a", reactive="box"), pv("b", reactive="box"), battery()),
    "boxes of different cost": (load(), pv(reactive="box", q_cost=0.01), battery(reactive="box", q_cost=0.002)),
    "power factor": (load(), pv(reactive="power_factor"), battery()),
    "discs of equal cost": (load(), pv(reactive="disc", q_cost=0.01), battery(reactive="disc", q_cost=0.01)),
    "not curtailable": (load(), pv(reactive="disc", curtailable=False), battery(reactive="disc")),
}
OTHERS = {
    "four storages": (load(), *(battery(name) for name in "abcd")),
    "two, one larger than its inverter": (load(), battery("a"), battery("b", reactive="disc", s_kva=2.0)),
}
HOMES = {
    "two storages": (load(), battery("a"), battery("b")),
    "discs of different cost": (load(), pv(reactive="disc", q_cost=0.01), battery(reactive="disc")),
    "two plants with discs": (load(), pv("a", reactive="disc"), pv("b", reactive="disc")),
    "two boxes of different cost": (pv("a", reactive="box", q_cost=0.01), pv("b", reactive="box")),
}


def answering(groups: Groups) -> ChainResponse | HomeResponse:
    """The response of the only prosumer."""
    if groups.chain is not None:
        return ChainResponse(groups.chain, HORIZON.dt_h)
    assert groups.homes is not None
    return HomeResponse(groups.homes)


@pytest.mark.parametrize("assets", CHAINS.values(), ids=CHAINS.keys())
def test_a_chain_answers_as_the_program_of_its_assets(assets: tuple[Asset, ...]) -> None:
    home = prosumer(*assets)
    groups = split([home], HORIZON, {7: 0})
    assert groups.chain is not None
    assert groups.others == []
    rng = np.random.default_rng(0)
    price, target = rng.normal(0, 0.1, (2, 1, STEPS)), rng.normal(0, 3, (2, 1, STEPS))
    chain, general = ChainResponse(groups.chain, HORIZON.dt_h), QpAnswer(program(home, HORIZON))
    y = np.zeros((2, 1, STEPS))
    chain.answer(price, target, 0.05, y)
    peer = general.solve(price[:, 0], target[:, 0], 0.05)

    def signal(answer: Array) -> float:
        return float(np.sum(-price[:, 0] * answer + 0.025 * (answer - target[:, 0]) ** 2))

    theirs = general.program.own_cost(general.x) + signal(peer)
    assert_allclose(chain.cost()[0] + signal(y[:, 0]), theirs, rtol=1e-7, atol=1e-7)
    assert chain.certificate()[0] <= 1e-9


@pytest.mark.parametrize("assets", [*CHAINS.values(), *HOMES.values()], ids=[*CHAINS.keys(), *HOMES.keys()])
def test_plans_of_the_assets_add_up_to_the_meter_and_respect_their_limits(assets: tuple[Asset, ...]) -> None:
    home = prosumer(*assets)
    groups = split([home], HORIZON, {7: 0})
    response = answering(groups)
    y = np.zeros((2, 1, STEPS))
    response.answer(np.full((2, 1, STEPS), -0.05), np.full((2, 1, STEPS), 2.0), 0.05, y)
    (plans,) = response.plans(response.state())
    assert_allclose(sum(plan.p for plan in plans), y[0, 0], atol=1e-9)
    assert_allclose(sum(plan.q for plan in plans), y[1, 0], atol=1e-9)
    for asset, plan in zip(assets, plans, strict=True):
        flow = asset.flow(HORIZON)
        assert np.all(plan.p <= flow.fixed_p + flow.give_max + 1e-9)
        assert np.all(plan.p >= flow.fixed_p - flow.take_max - 1e-9)
        assert np.all(np.abs(plan.q - flow.fixed_q) <= flow.q_max + 1e-9)
        assert (plan.energy is None) == (flow.store is None)


@pytest.mark.parametrize("assets", OTHERS.values(), ids=OTHERS.keys())
def test_what_is_no_chain_is_left_to_others(assets: tuple[Asset, ...]) -> None:
    groups = split([prosumer(load()), prosumer(*assets)], HORIZON, {7: 0}, rows=[4, 9])
    assert groups.chain is not None
    assert groups.chain.rows.tolist() == [4]
    assert groups.others == [9]


@pytest.mark.parametrize("assets", HOMES.values(), ids=HOMES.keys())
def test_homes_with_storages_are_no_chain(assets: tuple[Asset, ...]) -> None:
    groups = split([prosumer(load()), prosumer(*assets)], HORIZON, {7: 0}, rows=[4, 9])
    assert groups.homes is not None
    assert groups.homes.rows.tolist() == [9]
    assert groups.others == []


@pytest.mark.parametrize(("limit", "chain"), [(2.0, False), (50.0, True)])
def test_a_connection_that_can_bind_takes_a_home_from_the_chain(limit: float, chain: bool) -> None:
    home = replace(prosumer(load(), pv(), battery()), export_limit_kw=limit)
    groups = split([home], HORIZON, {7: 0})
    assert (groups.chain is not None) == chain
    assert (groups.homes is not None) != chain


def test_no_chain_at_all() -> None:
    assert split([], HORIZON, {}).chain is None


def test_rows_and_buses_are_positions() -> None:
    homes = [prosumer(load(), bus=30), prosumer(battery("a"), battery("b"), bus=10), prosumer(load(), bus=10)]
    chain = split(homes, HORIZON, {10: 0, 30: 1}).chain
    assert chain is not None
    assert chain.rows.tolist() == [0, 2]
    assert chain.bus.tolist() == [1, 0]


def test_equal_profiles_are_stored_once() -> None:
    chain = split([prosumer(load(), pv(), battery()) for _ in range(50)], HORIZON, {7: 0}).chain
    assert chain is not None
    assert len(chain.table) < 15
    assert_allclose(chain.profile(Field.LOAD_P), np.tile(LOAD, (50, 1)))


def test_a_constant_profile_and_its_array_share_a_place() -> None:
    profiles = Profiles(3)
    assert profiles.add(2.0) == profiles.add(np.full(3, 2.0))
    assert profiles.add(-0.0) == profiles.add(0.0)
    assert profiles.table().shape == (2, 3)


@pytest.mark.parametrize("reactive", ["disc", "power_factor"])
def test_the_polyline_is_the_envelope_of_the_edges(reactive: str) -> None:
    plant = pv(reactive=reactive)
    chain = split([prosumer(load(), plant)], HORIZON, {7: 0}).chain
    assert chain is not None
    edges: Edges = chain.gen_edges
    flow, k = plant.flow(HORIZON), edges.knots[0]
    at = np.linspace(0.0, edges.power[0, k - 1], 50)
    envelope = np.min(flow.edge_c[:, None] + flow.edge_s[:, None] * at, axis=0)
    assert_allclose(
        np.interp(at, edges.power[0, :k], edges.value[0, :k]), np.minimum(envelope, flow.q_max.max()), atol=1e-12
    )
