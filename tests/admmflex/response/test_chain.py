"""The exact chain against Clarabel on the same homes, against its own dual bound, and against a grid search."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import clarabel
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from admmflex.horizon import Array
from admmflex.prosumers.chain_homes import ChainHomes, Edges, Field, Profiles
from admmflex.response.certificate import Question, lower_bound
from admmflex.response.chain import ChainResponse

F = Field
STEPS = 48
KINDS = (
    "standard", "no pv", "starts empty", "starts full", "no spread", "negative prices", "linear", "linear with ties",
    "leak", "heat pump", "vehicle", "ends as it began", "lossless", "marginal curtailment", "negative linear",
    "no load", "two wears", "no storage", "reactive boxes", "reactive linear", "discs", "discs, dear q", "pv disc only",
    "power factor", "battery disc only", "discs linear", "discs, negative prices",
)  # fmt: skip


@dataclass
class Home:
    """Data of one home as profiles (K,), its scalars, and what it is asked."""

    dt: Array
    data: dict[Field, Array]
    e_start: float
    end_value: float
    q_cost: tuple[float, float]
    edges: tuple[tuple[Array, Array], tuple[Array, Array]]
    price: Array
    target: Array
    rho: float

    def __getitem__(self, field: Field) -> Array:
        return self.data[field]

    def __setitem__(self, field: Field, value: Array | float) -> None:
        self.data[field] = np.broadcast_to(np.asarray(value, float), self.dt.shape).copy()


NO_EDGE = (np.zeros(0), np.zeros(0))


def disc(rating: float, sides: int, generates_only: bool = False) -> tuple[Array, Array]:
    """Upper edge of a regular polygon with vertices on the circle, as knots of ascending power."""
    angle = np.linspace(np.pi / 2 if generates_only else np.pi, 0.0, sides + 1)
    return np.round(rating * np.cos(angle), 12), np.round(rating * np.sin(angle), 12)


def standard_home(rng: np.random.Generator, steps: int) -> Home:
    dt = rng.choice([0.25, 0.5, 1.0], steps)
    hour = np.cumsum(dt) % 24
    size, power = rng.uniform(4, 15), rng.uniform(2, 8, 2)
    wear = rng.uniform(0, 0.05)
    bought = rng.uniform(0.15, 0.45, steps)
    sun = np.maximum(0, rng.uniform(2, 10) * np.sin((hour - 6) / 12 * np.pi)) * rng.uniform(0.6, 1, steps)
    values: dict[Field, Array | float] = {
        F.LOAD_P: rng.uniform(0.1, 3, steps), F.LOAD_Q: rng.uniform(-0.5, 0.5, steps), F.AVAIL: sun,
        F.IMPORT: bought, F.EXPORT: np.minimum(bought, rng.uniform(0, 0.15, steps)),
        F.TAKE_MAX: power[0], F.GIVE_MAX: power[1], F.TAKE_COST: wear, F.GIVE_COST: wear,
        F.ETA_TAKE: rng.uniform(0.85, 1), F.ETA_GIVE: rng.uniform(0.85, 1), F.KEEP: 1.0, F.GAIN: 0.0,
        F.E_MIN: 0.1 * size, F.E_MAX: size, F.GEN_Q_MAX: 0.0, F.STORE_Q_MAX: 0.0,
    }  # fmt: skip
    home = Home(
        dt, {}, rng.uniform(0.1, 1) * size, rng.uniform(0, 0.4), (0.0, 0.0), (NO_EDGE, NO_EDGE),
        np.stack([rng.normal(0, 0.1, steps), rng.normal(0, 0.01, steps)]), rng.normal(0, 3, (2, steps)),
        10 ** rng.uniform(-3, 0),
    )  # fmt: skip
    for field, value in values.items():
        home[field] = value
    return home


def random_home(kind: str, rng: np.random.Generator, steps: int = STEPS) -> Home:
    home = standard_home(rng, steps)
    e_max = float(home[F.E_MAX][0])
    match kind:
        case "no pv":
            home[F.AVAIL] = 0.0
        case "starts empty":
            home.e_start = float(home[F.E_MIN][0])
        case "starts full":
            home.e_start = e_max
        case "no spread":
            home[F.EXPORT] = home[F.IMPORT]
        case "negative prices":
            home[F.IMPORT], home[F.EXPORT] = home[F.IMPORT] - 0.5, home[F.EXPORT] - 0.5
        case "linear":
            home.rho, home.price = 0.0, 0.0 * home.price
        case "linear with ties":
            home.rho, home.price = 0.0, 0.0 * home.price
            home[F.IMPORT] = np.round(home[F.IMPORT], 1)
            home[F.EXPORT] = np.minimum(home[F.IMPORT], np.round(home[F.EXPORT], 1))
        case "leak":
            home[F.KEEP], home[F.GAIN] = rng.uniform(0.9, 0.999), rng.uniform(-0.02, 0.02, steps)
            home[F.E_MIN], home.e_start = 0.0, e_max / 2
        case "heat pump":
            home[F.GIVE_MAX], home[F.ETA_TAKE], home[F.KEEP] = 0.0, rng.uniform(2, 4, steps), 0.97
            home[F.GAIN], home[F.TAKE_MAX], home[F.TAKE_COST] = -rng.uniform(0, 0.3, steps), 4.0, 0.0
            home[F.E_MIN], home[F.E_MAX], home.e_start = 2.0, 9.0, 5.0
        case "vehicle":
            home[F.GIVE_MAX], home[F.TAKE_COST], home[F.TAKE_MAX] = 0.0, 0.0, 7.0
            home[F.E_MIN], home[F.E_MAX], home.e_start = 0.0, max(8.0, e_max), 1.0
            home[F.TAKE_MAX][15:35], home[F.E_MIN][14], home[F.GAIN][34] = 0.0, 5.0, -4.0
        case "ends as it began":
            home[F.E_MIN][-1] = home[F.E_MAX][-1] = home.e_start
        case "lossless":
            home[F.ETA_TAKE], home[F.ETA_GIVE], home[F.TAKE_COST], home[F.GIVE_COST] = 1.0, 1.0, 0.0, 0.0
        case "marginal curtailment":
            home.price[0], home.target[0] = -home[F.EXPORT], 0.0
        case "negative linear":
            home[F.IMPORT], home[F.EXPORT] = home[F.IMPORT] - 0.7, home[F.EXPORT] - 0.7
            home.rho, home.price, home[F.TAKE_COST], home[F.GIVE_COST] = 0.0, 0.0 * home.price, 0.0, 0.0
        case "no load":
            home[F.LOAD_P], home.target = 0.0, 0.0 * home.target
        case "two wears":
            home[F.TAKE_COST], home[F.GIVE_COST] = rng.uniform(0, 0.05, steps), rng.uniform(0, 0.05, steps)
        case "no storage":
            home[F.TAKE_MAX], home[F.GIVE_MAX], home[F.E_MIN], home.e_start = 0.0, 0.0, 0.0, 0.0
        case "reactive boxes" | "reactive linear":
            home[F.GEN_Q_MAX], home[F.STORE_Q_MAX] = rng.uniform(0, 3, steps), 1.5
            home.q_cost = tuple(rng.uniform(0, 0.02, 2))
            home.rho = 0.0 if kind == "reactive linear" else home.rho
        case "standard":
            pass
        case _:
            with_polygons(kind, home, rng)
    return home


def with_polygons(kind: str, home: Home, rng: np.random.Generator) -> None:
    """Inverters that share their rating between active and reactive power, with a wish that often exceeds it."""
    pv, battery = rng.uniform(3, 9), float(max(home[F.TAKE_MAX][0], home[F.GIVE_MAX][0]))
    home[F.AVAIL] = np.minimum(home[F.AVAIL], pv)
    home.target[1] = rng.normal(0, rng.choice([1.0, 4.0, 8.0]), len(home.dt))
    gen, store = disc(pv, 6, True), disc(battery, 8)
    if kind == "power factor":
        gen = (np.array([0.0, pv]), np.array([0.0, 0.4 * pv]))
    home.edges = (NO_EDGE if kind == "battery disc only" else gen, NO_EDGE if kind == "pv disc only" else store)
    if kind == "battery disc only":
        home[F.GEN_Q_MAX] = rng.uniform(0, 2, len(home.dt))
    if kind == "discs, dear q":
        home.q_cost = (0.02, 0.02)
    if kind == "discs linear":
        home.rho = 0.0
    if kind == "discs, negative prices":
        home[F.IMPORT], home[F.EXPORT] = home[F.IMPORT] - 0.5, home[F.EXPORT] - 0.5


def homes_of(group: list[Home]) -> ChainHomes:
    """Homes as the response takes them, each at a bus of its own."""
    profiles = Profiles(len(group[0].dt))
    index = np.array([[profiles.add(home[field]) for field in Field] for home in group])
    place = np.arange(len(group))
    cost = np.array([home.q_cost for home in group])
    return ChainHomes(
        place, place, profiles.table(), index, np.array([home.e_start for home in group]),
        np.array([home.end_value for home in group]), cost[:, 0].copy(), cost[:, 1].copy(),
        padded([home.edges[0] for home in group]), padded([home.edges[1] for home in group]),
    )  # fmt: skip


def padded(polylines: list[tuple[Array, Array]]) -> Edges:
    knots = np.array([len(x) for x, _ in polylines])
    power, value = np.zeros((2, len(knots), max(1, knots.max())))
    for i, (x, y) in enumerate(polylines):
        power[i, : len(x)], value[i, : len(x)] = x, y
    return Edges(knots, power, value)


def answer(group: list[Home]) -> tuple[ChainResponse, Array, Array]:
    """The response, its answers (2, n, K) and their objectives (n,)."""
    response = ChainResponse(homes_of(group), group[0].dt)
    y = np.zeros((2, len(group), len(group[0].dt)))
    price, target = np.stack([h.price for h in group], axis=1), np.stack([h.target for h in group], axis=1)
    response.answer(price, target, group[0].rho, y)
    signal = -price * y + group[0].rho / 2 * (y - target) ** 2
    return response, y, response.cost() + signal.sum(axis=0) @ group[0].dt


def reference(home: Home) -> float:
    """Optimal objective by Clarabel, of a model written here: take, give, y, bought, sold, e, ug+, ug-, us+, us-."""
    K, dt, rho = len(home.dt), home.dt, home.rho
    eye, D = sp.identity(K), sp.diags(home.dt)
    P_p = sp.hstack([0 * eye, 0 * eye, 0 * eye, -eye, eye, *[0 * eye] * 5]).tocsc()
    P_q = sp.hstack([*[0 * eye] * 6, eye, -eye, eye, -eye]).tocsc()
    H = sum((P.T @ (rho * D) @ P for P in (P_p, P_q)), sp.csc_matrix((10 * K, 10 * K)))
    zero = np.zeros(K)
    cost = np.concatenate(
        [dt * home[F.TAKE_COST], dt * home[F.GIVE_COST], zero, dt * home[F.IMPORT], -dt * home[F.EXPORT], zero]
        + [dt * home.q_cost[0]] * 2 + [dt * home.q_cost[1]] * 2
    )  # fmt: skip
    cost[6 * K - 1] -= home.end_value
    offset = np.stack([np.zeros(K), -home[F.LOAD_Q]])
    for P, lam, z, base in zip((P_p, P_q), home.price, home.target, offset, strict=True):
        cost += P.T @ (dt * (rho * (base - z) - lam))
    constant = np.sum(dt * (-home.price * offset + rho / 2 * (offset - home.target) ** 2))
    balance = sp.hstack([eye, -eye, -eye, -eye, eye, *[0 * eye] * 5])
    keep = sp.identity(K) - sp.diags(home[F.KEEP][1:], -1)
    store = sp.hstack(
        [-D @ sp.diags(home[F.ETA_TAKE]), D @ sp.diags(1 / home[F.ETA_GIVE]), *[0 * eye] * 3, keep, *[0 * eye] * 4]
    )
    after = home[F.GAIN].copy()
    after[0] += home[F.KEEP][0] * home.e_start
    rows, right = [], []
    for side, (columns, net) in enumerate([((6, 7), [(2, 1.0)]), ((8, 9), [(1, 1.0), (0, -1.0)])]):
        power, value = home.edges[side]
        for j in range(len(power) - 1):
            slope = (value[j + 1] - value[j]) / (power[j + 1] - power[j])
            blocks = [0 * eye] * 10
            for column in columns:
                blocks[column] = eye
            for column, sign in net:
                blocks[column] = -sign * slope * eye
            rows.append(sp.hstack(blocks))
            right.append(np.full(K, value[j] - slope * power[j]))
    big = np.full(K, 1e3)
    gen_q = big if len(home.edges[0][0]) else home[F.GEN_Q_MAX]
    store_q = big if len(home.edges[1][0]) else home[F.STORE_Q_MAX]
    high = np.concatenate(
        [home[F.TAKE_MAX], home[F.GIVE_MAX], home[F.AVAIL], big, big, home[F.E_MAX], gen_q, gen_q, store_q, store_q]
    )
    low = np.concatenate([*[zero] * 5, home[F.E_MIN], *[zero] * 4])
    A = sp.vstack([balance, store, *rows, sp.identity(10 * K), -sp.identity(10 * K)]).tocsc()
    b = np.concatenate([-home[F.LOAD_P], after, *right, high, -low])
    options = clarabel.DefaultSettings()
    options.verbose, options.max_iter = False, 300
    options.tol_gap_abs = options.tol_gap_rel = options.tol_feas = 1e-10
    cones = [clarabel.ZeroConeT(2 * K), clarabel.NonnegativeConeT(len(b) - 2 * K)]
    solution = clarabel.DefaultSolver(sp.triu(H, format="csc"), cost, A, b, cones, options).solve()
    assert str(solution.status) in ("Solved", "AlmostSolved")
    return float(solution.obj_val + constant)


def violation(home: Home, p: Array, q: Array, state: dict[str, Array], i: int = 0) -> float:
    """Largest violation of anything the home must respect."""
    s = {name: values[i] for name, values in state.items()}
    before = np.concatenate([[home.e_start], s["energy"][:-1]])
    flow = home[F.ETA_TAKE] * s["take"] - s["give"] / home[F.ETA_GIVE]
    limits = []
    for (power, value), box, at in zip(
        home.edges, (home[F.GEN_Q_MAX], home[F.STORE_Q_MAX]), (s["gen"], s["give"] - s["take"]), strict=True
    ):
        limits.append(np.interp(at, power, value) if len(power) else box)
    return float(
        max(
            np.abs(s["energy"] - home[F.KEEP] * before - home.dt * flow - home[F.GAIN]).max(),
            np.abs(p + home[F.LOAD_P] - s["gen"] - s["give"] + s["take"]).max(),
            np.abs(q + home[F.LOAD_Q] - s["gen_q"] - s["store_q"]).max(),
            (home[F.E_MIN] - s["energy"]).max(), (s["energy"] - home[F.E_MAX]).max(),
            (s["take"] - home[F.TAKE_MAX]).max(), (s["give"] - home[F.GIVE_MAX]).max(),
            (s["gen"] - home[F.AVAIL]).max(),
            -min(s["take"].min(), s["give"].min(), s["gen"].min()),
            (np.abs(s["gen_q"]) - limits[0]).max(), (np.abs(s["store_q"]) - limits[1]).max(),
        )
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_clarabels_and_certified(kind: str) -> None:
    for seed in range(5):
        home = random_home(kind, np.random.default_rng([KINDS.index(kind), seed]))
        response, y, objective = answer([home])
        if response.shortfall[0] > 0.0:
            continue
        assert violation(home, y[0, 0], y[1, 0], response.state()) <= 1e-9
        scale = 1.0 + abs(objective[0])
        assert abs(objective[0] - reference(home)) <= 1e-8 * scale
        assert abs(response.certificate()[0]) <= 1e-9 * scale


def test_a_grid_search_finds_nothing_better() -> None:
    home = standard_home(np.random.default_rng(7), 3)
    response, _, objective = answer([home])
    powers = [np.linspace(-home[F.TAKE_MAX][t], home[F.GIVE_MAX][t], 141) for t in range(3)]
    best = np.inf
    for b0, b1 in product(powers[0], powers[1]):
        b = np.stack([np.full(141, b0), np.full(141, b1), powers[2]])
        w = home.dt[:, None] * np.where(b > 0, -b / home[F.ETA_GIVE][:, None], -b * home[F.ETA_TAKE][:, None])
        e = home.e_start + np.cumsum(w, axis=0)
        fits = ((e >= home[F.E_MIN][:, None]) & (e <= home[F.E_MAX][:, None])).all(axis=0)
        y = np.linspace(0, 1, 21)[:, None, None] * home[F.AVAIL][:, None]
        p = -home[F.LOAD_P][:, None] + b + y
        stage = np.maximum(-home[F.IMPORT][:, None] * p, -home[F.EXPORT][:, None] * p) - home.price[0][:, None] * p
        stage += home.rho / 2 * (p - home.target[0][:, None]) ** 2
        total = home.dt @ (stage.min(axis=0) + home[F.TAKE_COST][:, None] * np.abs(b)) - home.end_value * e[-1]
        best = min(best, total[fits].min(initial=np.inf))
    q = -home[F.LOAD_Q]
    best += home.dt @ (-home.price[1] * q + home.rho / 2 * (q - home.target[1]) ** 2)
    assert objective[0] <= best + 1e-12
    assert objective[0] >= best - 0.05
    assert response.certificate()[0] <= 1e-12


@given(seed=st.integers(0, 10**6), kind=st.sampled_from(KINDS), steps=st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_answers_are_feasible_certified_and_cost_what_they_say(seed: int, kind: str, steps: int) -> None:
    home = random_home("standard" if kind == "vehicle" else kind, np.random.default_rng(seed), steps)
    response, y, objective = answer([home])
    if response.shortfall[0] > 0.0:
        return
    p, q, state = y[0, 0], y[1, 0], response.state()
    assert violation(home, p, q, state) <= 1e-9
    own = np.maximum(-home[F.IMPORT] * p, -home[F.EXPORT] * p)
    own = own + home[F.TAKE_COST] * state["take"][0] + home[F.GIVE_COST] * state["give"][0]
    own = own + home.q_cost[0] * np.abs(state["gen_q"][0]) + home.q_cost[1] * np.abs(state["store_q"][0])
    assert_allclose(response.cost()[0], home.dt @ own - home.end_value * state["energy"][0, -1], rtol=1e-12, atol=1e-12)
    assert abs(response.certificate()[0]) <= 1e-9 * (1.0 + abs(objective[0]))


def test_neither_order_nor_company_changes_an_answer() -> None:
    rng = np.random.default_rng(3)
    kinds = ("standard", "discs", "reactive boxes", "leak", "no storage", "discs, dear q")
    group = [random_home(kind, rng) for kind in kinds]
    for home in group:
        home.dt, home.rho = group[0].dt, group[0].rho
    _, together, _ = answer(group)
    order = [3, 0, 5, 1, 4, 2]
    _, shuffled, _ = answer([group[i] for i in order])
    assert np.array_equal(shuffled, together[:, order])


def test_answers_do_not_depend_on_what_was_asked_before() -> None:
    rng = np.random.default_rng(11)
    group = [random_home("discs", rng) for _ in range(4)]
    for home in group:
        home.dt, home.rho = group[0].dt, group[0].rho
    response, first, _ = answer(group)
    price, target = np.stack([h.price for h in group], axis=1), np.stack([h.target for h in group], axis=1)
    response.answer(price + 0.1, target - 1.0, 0.5, np.empty_like(first))
    again = np.empty_like(first)
    response.answer(price, target, group[0].rho, again)
    objective = [-price * y + group[0].rho / 2 * (y - target) ** 2 for y in (first, again)]
    assert_allclose(again, first, atol=1e-7)
    assert_allclose(objective[0].sum(), objective[1].sum(), rtol=1e-9)


def test_neighbouring_questions_are_answered_as_from_scratch() -> None:
    """Segments of the last answer, tried first, must lead to the optimum that the chain finds."""
    rng = np.random.default_rng(21)
    for kind in ("standard", "marginal curtailment", "no spread", "ends as it began", "vehicle", "heat pump"):
        home = random_home(kind, rng)
        warm, y, _ = answer([home])
        for _ in range(8):
            home.price = home.price + rng.normal(0, 0.03, home.price.shape)
            home.target = home.target + rng.normal(0, 0.5, home.target.shape)
            warm.answer(home.price[:, None], home.target[:, None], home.rho, y)
            signal = -home.price * y[:, 0] + home.rho / 2 * (y[:, 0] - home.target) ** 2
            objective = warm.cost()[0] + signal.sum(axis=0) @ home.dt
            assert_allclose(objective, answer([home])[2][0], rtol=1e-10, atol=1e-10)
            assert abs(warm.certificate()[0]) <= 1e-9 * (1.0 + abs(objective))
            assert violation(home, y[0, 0], y[1, 0], warm.state()) <= 1e-9


def test_a_question_with_nan_does_not_spoil_the_next() -> None:
    home = random_home("discs", np.random.default_rng(13))
    response, y, objective = answer([home])
    first = y.copy()
    response.answer(home.price[:, None] * np.nan, home.target[:, None], home.rho, y)
    response.answer(home.price[:, None], home.target[:, None], home.rho, y)
    assert_allclose(y, first, atol=1e-7)
    assert abs(response.certificate()[0]) <= 1e-9 * (1.0 + abs(objective[0]))


def test_only_its_own_rows_are_written() -> None:
    home = standard_home(np.random.default_rng(5), STEPS)
    homes = homes_of([home])
    placed = replace(homes, rows=np.array([2]), bus=np.array([1]))
    price, target, out = np.zeros((2, 3, STEPS)), np.zeros((2, 4, STEPS)), np.full((2, 4, STEPS), np.nan)
    price[:, 1], target[:, 2] = home.price, home.target
    ChainResponse(placed, home.dt).answer(price, target, home.rho, out)
    assert np.isnan(out[:, [0, 1, 3]]).all()
    assert np.array_equal(out[:, 2], answer([home])[1][:, 0])


def test_a_mixture_of_answers_costs_at_most_the_mixed_costs() -> None:
    rng = np.random.default_rng(2)
    home = random_home("reactive boxes", rng)
    response, y, _ = answer([home])
    one = {name: values.copy() for name, values in response.state().items()}, y[0].copy(), response.cost()
    response.answer(home.price[:, None] + 0.1, home.target[:, None], home.rho, y)
    two = response.state(), y[0], response.cost()
    mixed = {name: 0.3 * one[0][name] + 0.7 * two[0][name] for name in one[0]}
    p = 0.3 * one[1] + 0.7 * two[1]
    assert response.evaluate_cost(p, mixed)[0] <= 0.3 * one[2][0] + 0.7 * two[2][0] + 1e-12
    q = mixed["gen_q"][0] + mixed["store_q"][0] - home[F.LOAD_Q]
    assert violation(home, p[0], q, mixed) <= 1e-9


def test_a_band_out_of_reach_is_reported_in_kwh() -> None:
    home = random_home("standard", np.random.default_rng(1))
    home[F.TAKE_MAX], home[F.GIVE_MAX], home[F.E_MAX] = 1.0, 0.0, 50.0
    reach = home.e_start + float(np.sum(home.dt * home[F.ETA_TAKE]))
    home[F.E_MIN][-1] = reach + 2.5
    home[F.E_MAX] = 100.0
    assert_allclose(answer([home])[0].shortfall, [2.5], atol=1e-9)


def test_burning_energy_is_reported_only_where_consumption_is_paid_for() -> None:
    rng = np.random.default_rng(4)
    assert answer([random_home("standard", rng)])[0].burn()[0] <= 1e-9
    assert answer([random_home("negative linear", rng)])[0].burn()[0] > 1.0


def test_the_bound_holds_for_any_multipliers() -> None:
    rng = np.random.default_rng(9)
    home = random_home("discs", rng)
    _, y, objective = answer([home])
    asked = Question(homes_of([home]), home.dt, home.price[:, None], home.target[:, None], home.rho)
    for _ in range(20):
        wrong = lower_bound(asked, rng.normal(0.2, 0.1, (1, STEPS)), y + rng.normal(0, 1, y.shape))
        assert wrong[0] <= objective[0] + 1e-9
