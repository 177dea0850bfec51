"""The central step over cost charts against brute force, the AC power flow, and its two ways against each other."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pandapower as pp
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize

import grid
from admmflex.coordination.cone import ConeProgram
from admmflex.coordination.linear_steps import LinearSteps, Stop
from admmflex.coordination.set_points import CentralStep, SetPoints, StepSettings
from admmflex.horizon import Array
from admmflex.prosumers.chart import Chart, Charts
from grid.branchflow import BranchFlow
from grid.limits import Limits
from grid.network import Network


def octagon(size: float) -> tuple[Array, Array]:
    angle = np.arange(8) * np.pi / 4
    return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.full(8, size)


def around(wish: Array, size: float, rng: np.random.Generator, pieces: int = 12) -> Chart:
    """Tangents of a paraboloid with its lowest point at the wish."""
    curve = np.array([0.02, 0.01])
    at = rng.uniform(-size, size, (pieces, 2))
    at[0] = wish
    slope = 2 * curve * (at - wish)
    height = (curve * (at - wish) ** 2).sum(axis=1) - (slope * at).sum(axis=1)
    return Chart(slope[:, 0], slope[:, 1], height, *octagon(size))


def exporter(export: float, size: float) -> Chart:
    """PV at noon: every kW up to ``size`` earns ``export``; 1 kvar either way at next to no cost."""
    H, h = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([size, 0.0, 1.0, 1.0])
    return Chart(np.full(2, -export), np.array([0.001, -0.001]), np.zeros(2), H, h)


@cache
def feeder(ohm_per_km: float = 0.6, km: float = 0.3) -> Network:
    """Three buses at 0.4 kV behind a stiff slack at 1 pu."""
    net = pp.create_empty_network(name="feeder")
    buses = [pp.create_bus(net, vn_kv=0.4, name=f"Bus {i}") for i in range(3)]
    pp.create_ext_grid(net, buses[0], vm_pu=1.0)
    for a, b in pairwise(buses):
        pp.create_line_from_parameters(
            net, a, b, km, r_ohm_per_km=ohm_per_km, x_ohm_per_km=0.1, c_nf_per_km=200, max_i_ka=0.25
        )
    return grid.read(net).with_limits(0.95, 1.05)


@cache
def rural3() -> Network:
    return grid.read_case("1-LV-rural3--2-sw").network.with_limits(0.95, 1.06)


def drawn(mean_kw: float, seed: int, n: int = 150) -> Charts:
    rng = np.random.default_rng(seed)
    bus = rng.integers(2, rural3().n, n)
    wishes = rng.normal([mean_kw, 0.0], [2.0, 0.5], (n, 2))
    return Charts.of([around(wish, 10.0, rng) for wish in wishes], bus)


def power_flow(network: Network, charts: Charts, p: Array, q: Array) -> grid.PowerFlow:
    injected = np.zeros((2, network.n, 1))
    np.add.at(injected[0, :, 0], charts.bus, p)
    np.add.at(injected[1, :, 0], charts.bus, q)
    return grid.power_flow(network, *injected).require()


def solve(network: Network, charts: Charts, price_loss: float, way: str) -> SetPoints:
    settings = StepSettings(way=way)  # type: ignore[arg-type]
    return CentralStep(network, Limits.of(network), price_loss, settings).solve(charts)


def test_tight_cone_is_the_power_flow() -> None:
    charts, model = drawn(3.0, 1), BranchFlow.of(rural3())
    found = ConeProgram(model, Limits.of(rural3()), charts, 0.08).solve(charts)
    assert found.p is not None
    assert found.q is not None
    flow = power_flow(rural3(), charts, found.p, found.q)
    v, *_ = model.split(found.y)
    assert_allclose(np.sqrt(v), np.abs(flow.v[1:, 0]), atol=1e-6)
    assert_allclose(model.losses(found.y)[0] * model.base_kva, flow.loss_kw[0], atol=1e-6 * model.base_kva)
    assert found.surplus_kw < 1e-5


@pytest.mark.parametrize(("mean_kw", "seed"), [(0.0, 2), (3.0, 3), (4.0, 4), (-3.0, 5)])
def test_both_ways_agree_where_the_cone_is_tight(mean_kw: float, seed: int) -> None:
    charts = drawn(mean_kw, seed)
    cone, linear = (solve(rural3(), charts, 0.08, way).require() for way in ("cone", "linear"))
    assert (cone.way, linear.way) == ("cone", "linear")
    tolerance = 2 * StepSettings().gap_kw * charts.steepest
    assert cone.gap < tolerance
    assert abs(linear.cost - cone.cost) < tolerance
    assert linear.cost > cone.bound - 1e-9


def best_of_three_buses(network: Network, charts: Charts, price_loss: float) -> float:
    """Least cost over p, q at two buses: SLSQP on the AC power flow from several points, epigraphs as variables."""
    limits = Limits.of(network)

    def flow(x: Array) -> grid.PowerFlow:
        return power_flow(network, charts, x[:2], x[2:4])

    def room(x: Array) -> Array:
        high, low, over = limits.excess(flow(x).v)
        pieces = x[4:][charts.of_piece] - charts.a * x[:2][charts.of_piece] - charts.b * x[2:4][charts.of_piece]
        sides = charts.h - charts.H[:, 0] * x[:2][charts.of_side] - charts.H[:, 1] * x[2:4][charts.of_side]
        return np.concatenate([-100 * high[1:, 0], -100 * low[1:, 0], -over[:, 0], pieces - charts.d, sides])

    best = np.inf
    for start in ([0, 0, 0, 0], [5, 5, -5, -5], [-3, 2, 1, -2]):
        x = np.concatenate([np.array(start, dtype=float), np.zeros(2)])
        x[4:] = charts.costs(x[:2], x[2:4])
        found = minimize(
            lambda x: x[4:].sum() + price_loss * flow(x).loss_kw[0],
            x,
            constraints={"type": "ineq", "fun": room},
            method="SLSQP",
            options={"ftol": 1e-12, "maxiter": 500},
        )
        if room(found.x).min() > -1e-6:
            best = min(best, float(found.fun))
    return best


@pytest.mark.parametrize("way", ["cone", "linear"])
@pytest.mark.parametrize("mean_kw", [-15.0, 0.0, 25.0])
def test_three_buses_against_a_nonlinear_program(way: str, mean_kw: float) -> None:
    rng = np.random.default_rng(7)
    charts = Charts.of([around(np.array([mean_kw, 3.0]), 30.0, rng) for _ in range(2)], [1, 2])
    found = solve(feeder(), charts, 0.3, way).require()
    assert_allclose(found.cost, best_of_three_buses(feeder(), charts, 0.3), atol=2e-3 * charts.steepest)


def test_the_trap_at_noon() -> None:
    """An upper voltage limit binds and losses are cheap: the cone invents losses, the set-points do not."""
    network = feeder()
    charts = Charts.of([exporter(0.08, 60.0), exporter(0.08, 60.0)], [1, 2])
    cone = ConeProgram(BranchFlow.of(network), Limits.of(network), charts, 0.02).solve(charts)
    assert cone.p is not None
    assert cone.q is not None
    assert cone.surplus_kw > 1.0
    high, _, _ = Limits.of(network).excess(power_flow(network, charts, cone.p, cone.q).v)
    assert high.max() > 1e-3
    nothing = 0.02 * power_flow(network, charts, np.zeros(2), np.zeros(2)).loss_kw[0]
    for way in ("auto", "cone", "linear"):
        found = solve(network, charts, 0.02, way).require()
        assert found.way == "linear"
        assert max(found.voltage_excess_pu, found.loading_excess) <= 1e-6
        assert cone.value - 1e-6 <= found.cost < nothing - 0.1
        assert_allclose(found.cost, best_of_three_buses(network, charts, 0.02), atol=1e-3)


@pytest.mark.parametrize("way", ["cone", "linear"])
def test_prices_are_the_worth_of_a_little_more(way: str) -> None:
    """Cost of a fixed injection at a bus: its derivative is minus the price there."""
    charts = drawn(3.5, 11, 40)
    fixed_h = np.array([1.0, -1.0, 1.0, -1.0])
    H = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    step, costs, price = 0.5, [], None
    settings = StepSettings(way=way, gap_kw=1e-5)  # type: ignore[arg-type]
    for p in (-step, 0.0, step):
        fixed = Chart([0.0], [0.0], [0.0], H, fixed_h * np.array([p, p, 0.0, 0.0]))
        whole = _with(charts, fixed, 60)
        found = CentralStep(rural3(), Limits.of(rural3()), 0.08, settings).solve(whole).require()
        costs.append(found.cost)
        price = found.price if p == 0.0 else price
    assert price is not None
    slopes = -np.diff(costs) / step
    assert slopes[1] - 1e-4 <= price[0, 60] <= slopes[0] + 1e-4


def _with(charts: Charts, one: Chart, bus: int) -> Charts:
    single = [
        Chart(*(getattr(charts, name)[charts.of_piece == j] for name in "abd"),
              charts.H[charts.of_side == j], charts.h[charts.of_side == j])
        for j in range(len(charts))
    ]  # fmt: skip
    return Charts.of([*single, one], [*charts.bus, bus])


@pytest.mark.parametrize("way", ["cone", "linear"])
def test_later_calls_give_what_a_new_solver_gives(way: str) -> None:
    settings = StepSettings(way=way)  # type: ignore[arg-type]
    limits = Limits.of(rural3())
    step = CentralStep(rural3(), limits, 0.08, settings)
    for seed, mean in ((1, 0.0), (2, 5.0), (3, 2.0)):
        first = drawn(mean, 21)
        charts = Charts(first.bus, first.of_piece, first.a * (1 + 0.01 * seed), first.b, first.d, first.of_side,
                        first.H, first.h)  # fmt: skip
        kept, new = step.solve(charts).require(), CentralStep(rural3(), limits, 0.08, settings).solve(charts).require()
        assert abs(kept.cost - new.cost) < 2 * settings.gap_kw * charts.steepest


@pytest.mark.parametrize("mean_kw", [1.0, 6.0])
def test_every_call_of_a_day_settles(mean_kw: float) -> None:
    """Charts that move from call to call; loads that bind turn the direction of the current cuts."""
    step, rng, charts = CentralStep(rural3(), Limits.of(rural3()), 0.08), np.random.default_rng(0), drawn(mean_kw, 5)
    for k in range(15):
        d = charts.d + rng.normal(0.0, 0.01, len(charts.d))
        moved = Charts(charts.bus, charts.of_piece, charts.a, charts.b, d, charts.of_side, charts.H,
                       charts.h * (1 + 0.01 * k))  # fmt: skip
        found = step.solve(moved).require()
        assert np.isfinite(found.bound) == (k == 0)  # later calls settle without the cone


def test_without_a_price_of_losses() -> None:
    charts = drawn(4.0, 8)
    cone, linear = (solve(rural3(), charts, 0.0, way).require() for way in ("cone", "linear"))
    assert abs(linear.cost - cone.cost) < 2e-3 * charts.steepest


@pytest.mark.parametrize("way", ["auto", "cone"])
def test_demand_beyond_the_grid_is_proven_infeasible(way: str) -> None:
    fixed = Chart([0.0], [0.0], [0.0], [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]], [-80.0, 80.0, 0.0, 0.0])
    found = solve(feeder(), Charts.of([fixed], [2]), 0.1, way)
    assert found.status == "infeasible"
    assert np.isnan(found.p).all()


def test_bad_charts_are_named() -> None:
    good = around(np.zeros(2), 5.0, np.random.default_rng(0))
    lost = Chart(good.a, good.b, good.d * np.nan, good.H, good.h)
    empty = Chart(good.a, good.b, good.d, good.H, -good.h)
    with pytest.raises(grid.InputError, match="chart 1: d has NaN"):
        Charts.of([good, lost], [1, 2])
    for way in ("auto", "cone", "linear"):
        with pytest.raises(grid.InputError, match="chart 1: its sides"):
            solve(feeder(), Charts.of([good, empty], [1, 2]), 0.1, way)
    with pytest.raises(grid.InputError, match="chart 0: its sides leave a direction free"):
        Charts.of([Chart(good.a, good.b, good.d, good.H[:4], good.h[:4])], [1])
    with pytest.raises(grid.InputError, match="bus position 9"):
        solve(feeder(), Charts.of([good], [9]), 0.1, "auto")


def test_programs_that_are_cut_short_are_unsettled_and_can_be_gone_on_from() -> None:
    """Three programs at each of three operating points: rows go on joining, from one call to the next as well."""
    charts = drawn(6.0, 3)
    model = BranchFlow.of(rural3(), 100.0)
    steps = LinearSteps(model, Limits.of(rural3()), charts, 0.3)
    short, enough = Stop(1e-5, 1e-3, points=3, rounds=3), Stop(1e-5, 1e-3)
    assert not steps.solve(charts, short).settled
    for _ in range(10):
        last = steps.solve(charts, short)
    whole = LinearSteps(model, Limits.of(rural3()), charts, 0.3).solve(charts, enough)
    assert whole.settled
    assert_allclose(charts.costs(last.p, last.q).sum(), charts.costs(whole.p, whole.q).sum(), rtol=1e-4)


@pytest.mark.parametrize(("size", "export", "full"), [(1.0, 0.1, False), (40.0, 0.1, True), (40.0, -1.0, False)])
def test_feeders_that_inject_close_to_a_limit_are_full(size: float, export: float, full: bool) -> None:
    """At the slack no feeder begins; the rest is told by the voltage at the end, and by who injects."""
    charts = Charts.of([exporter(export, size)], np.array([2]))
    found = solve(feeder(), charts, 0.0, "linear")
    volts = np.abs(power_flow(feeder(), charts, found.p, found.q).v[:, 0]).max()
    assert (volts > 1.05 - 0.01) == full
    assert found.full[2] == full


def test_a_heavy_import_does_not_make_a_feeder_full() -> None:
    H, h = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]), np.array([-20.0, 20.0, 0.0, 0.0])
    limits, charts = (
        Limits.of(feeder(0.05), line_loading=0.12),
        Charts.of([Chart(*np.zeros((3, 1)), H, h)], np.array([2])),
    )
    found = CentralStep(feeder(0.05), limits, 0.0).solve(charts)
    flow = power_flow(feeder(0.05), charts, found.p, found.q)
    assert 0.95 < np.abs(limits.loading(flow.v)).max() < 1.0
    assert not found.full.any()
