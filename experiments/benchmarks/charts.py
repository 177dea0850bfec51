"""Cost charts of homes: drawing them, the solution of a type of home, and the central step over them.

Homes are those of rural3, again and again up to 1,000, at noon of its sunny day, with sun and stored energy of their
own; charts have 3 segments of the value of energy. Peers draw the charts of a sample of the homes with a battery,
scaled to all: a linear program at every corner of every piece (HiGHS, which has to be told the corners), the plane of
every home by ``mpo.solve``, and one of them by PPOPT with a limit of time.
Agreement: largest difference of the values [EUR], in EUR per control step for the central step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import mpo
from admmflex import scenario
from admmflex.comm import SerialComm
from admmflex.coordination.charts import ChartControl
from admmflex.coordination.set_points import CentralStep, StepSettings, Way
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.chart import Charts
from admmflex.prosumers.charting import Charting, HomeCharts, Measured, Rest
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.period import period_program
from admmflex.prosumers.prosumer import Prosumer
from experiments.benchmarks.common import Peer, Row, attempt, clock, median_time, versions
from experiments.benchmarks.ppopt_peer import by_ppopt
from mpo.certify import direct_value
from mpo.linear import centre

SCENARIO = Path(__file__).parents[1] / "rural3" / "day.yaml"
HOMES, CENTRAL, SEGMENTS, NOON, SAMPLE, TAU, LIMIT_S = 1000, 150, 3, 50, 6, 0.15, 30.0
EUR = "EUR"


@dataclass(frozen=True, eq=False)
class Case:
    """Many homes at noon, what they measure, and what they expect."""

    charting: Charting
    measured: Measured
    rest: Rest

    def draw(self) -> HomeCharts:
        return self.charting.charts(self.measured, self.rest)


def rows(homes: int = HOMES, limit_s: float = LIMIT_S) -> list[Row]:
    """Every comparison."""
    study = scenario.build(scenario.load(SCENARIO))
    with TemporaryDirectory() as folder:
        planes, explicit = case(study, homes), case(study, homes, folder)
        started = clock()
        explicit.draw()
        first_s = clock() - started
        found = [*drawing(planes, explicit, homes, limit_s), *types(explicit, first_s)]
    return [*found, *central(study)]


def case(study: Study, homes: int, explicit: str | None = None) -> Case:
    """Homes in a state of their own."""
    own = [one for one in study.prosumers if isinstance(one, Prosumer)]
    every = [own[i % len(own)] for i in range(homes)]
    rng, devices = np.random.default_rng(0), Devices.of(every, study.horizon)
    prices = [np.stack([getattr(one, name) for one in every]) for name in ("import_price", "export_price")]
    limits = [np.array([getattr(one, name) for one in every]) for name in ("import_limit_kw", "export_limit_kw")]
    charting = Charting(devices, *prices, *limits, segments=SEGMENTS, explicit=explicit)
    charting.begin(NOON)
    S, C = len(devices.sources), len(devices.stores)
    band = (devices.high - devices.low)[:, None]
    measured = Measured(
        devices.fixed_p[:, NOON] * rng.uniform(0.5, 1.5, homes), devices.fixed_q[:, NOON],
        devices.source_give[:, NOON] * rng.uniform(0.3, 1.0, S), devices.low + rng.random(C) * band[:, 0],
    )  # fmt: skip
    power = measured.fixed_p.copy()
    np.add.at(power, devices.source_home, measured.give)
    inner = np.sort(rng.random((C, SEGMENTS - 1)), axis=1)
    ends = devices.low[:, None] + np.column_stack([np.zeros(C), inner, np.ones(C)]) * band
    slopes = np.sort(rng.uniform(-0.4, -0.05, (C, SEGMENTS)), axis=1)
    return Case(charting, measured, Rest(TAU, TAU * power, prices[0][:, NOON], prices[1][:, NOON], ends, slopes))


def drawing(planes: Case, explicit: Case, homes: int, limit_s: float) -> list[Row]:
    """Charts plane by plane and from solutions, against peers."""
    drawn, sliced = planes.draw(), explicit.draw()
    ours, theirs = median_time(planes.draw), median_time(explicit.draw)
    points, values = np.zeros((homes, 2)), []
    for one in (drawn, sliced):
        points = points if values else np.array([_inside(sides) for sides in one.sides])
        values.append((one.pieces @ np.append(points, np.ones((homes, 1)), axis=1)[:, :, None]).max(axis=1)[:, 0])
    apart = float(np.abs(values[0] - values[1]).max())
    samples = _sampled(planes, drawn)
    seconds, error = _by_solvers(samples)
    seconds *= homes / len(samples)
    name = f"charts of {homes} homes"
    pieces = float(np.mean([len(slices.x) for _, slices in samples]))
    about = f"peer on {len(samples)} homes, scaled; {pieces:.0f} pieces a chart"
    used = versions("highspy", "ppopt", "numba")
    found = [
        Row(
            f"{name}, plane by plane", ours, "HiGHS, a program at every corner", seconds[0], error[0], EUR, used, about
        ),
        Row(f"{name}, plane by plane", ours, "mpo.solve of every plane", seconds[1], error[1], EUR, used, about),
        Row(f"{name}, from solutions of types", theirs, "plane by plane", ours, apart, EUR, used),
    ]
    if limit_s:
        plane = attempt(lambda: _by_ppopt(*samples[0], limit_s))
        every = plane._replace(seconds=plane.seconds * homes)
        found.insert(2, Row.against(f"{name}, plane by plane", ours, "PPOPT, graph, of every plane", every, EUR, used))
    return found


def _by_solvers(samples: list[tuple[mpo.ParametricLP, mpo.Slices]]) -> tuple[Array, Array]:
    """Seconds and differences of HiGHS at all corners, and of the planes as programs of two parameters."""
    seconds, error = np.zeros(2), np.zeros(2)
    for problem, slices in samples:
        corners = slices.corners
        started = clock()
        direct = np.array([direct_value(problem, one) for one in corners])
        seconds[0] += clock() - started
        known = np.isfinite(direct)
        worth = (corners @ slices.slope.T + slices.constant).max(axis=1)
        error[0] = max(error[0], float(np.abs(worth - direct)[known].max()))
        started = clock()
        solution = mpo.solve(problem)
        seconds[1] += clock() - started
        middle = np.array([corners[slices.begin[k] : slices.begin[k + 1]].mean(axis=0) for k in range(len(slices.x))])
        value = solution.evaluate(middle).value
        worth = (middle @ slices.slope.T + slices.constant).max(axis=1)
        error[1] = max(error[1], float(np.nanmax(np.abs(worth - value))))
    return seconds, error


def _inside(sides: Array) -> Array:
    """The mean of the corners."""
    a, b = np.triu_indices(len(sides), 1)
    across = sides[a, 0] * sides[b, 1] - sides[a, 1] * sides[b, 0]
    a, b, across = (one[np.abs(across) > 1e-9] for one in (a, b, across))
    x = (sides[a, 2] * sides[b, 1] - sides[a, 1] * sides[b, 2]) / across
    y = (sides[a, 0] * sides[b, 2] - sides[a, 2] * sides[b, 0]) / across
    points = np.column_stack([x, y])
    return np.asarray(points[(points @ sides[:, :2].T <= sides[:, 2] + 1e-9).all(axis=1)].mean(axis=0))


def _sampled(one: Case, drawn: HomeCharts) -> list[tuple[mpo.ParametricLP, mpo.Slices]]:
    """Programs over p and q of homes with a storage, everything else a constant, and their slices."""
    group = max((group for group in drawn.groups if group.shape.storages), key=lambda group: len(group.homes))
    parameters = one.charting.setting.parameters(group, NOON, one.measured, one.rest)
    names, found = list(group.ranges), []
    for i in range(0, len(group.homes), max(len(group.homes) // SAMPLE, 1)):
        tied = {name: {"": float(values[i])} for name, values in parameters.items()}
        problem = period_program(group.shape, {name: group.ranges[name] for name in ("p", "q")}, tied)
        fixed = {names.index(name): values[i : i + 1] for name, values in parameters.items()}
        ((_, slices),) = one.charting.programs.slices(group, fixed)
        found.append((problem, slices))
    return found


def _by_ppopt(problem: mpo.ParametricLP, slices: mpo.Slices, limit_s: float) -> Peer:
    """One plane, in a process of its own that can be stopped."""
    theta = slices.corners[:: max(len(slices.corners) // 20, 1)] * 0.999
    found = by_ppopt(problem, theta, limit_s)
    if found is None:
        return Peer(limit_s, np.nan, f"PPOPT: one plane not finished within {limit_s:.0f} s", stopped=True)
    worth = (theta @ slices.slope.T + slices.constant).max(axis=1)
    known = np.isfinite(found.values)
    error = float(np.abs(worth - found.values)[known].max(initial=0.0))
    return Peer(
        found.seconds,
        error,
        f"peer on one home, scaled: {found.regions} regions, none at {(~known).mean():.0%} of the samples",
    )


def types(explicit: Case, first_s: float) -> list[Row]:
    """The solution of every type of home of the case."""
    found = []
    for group in {repr((one.shape, one.tied)): one for one in explicit.draw().groups if one.tied}.values():
        problem = period_program(group.shape, group.ranges, group.tied)
        started = clock()
        solution = mpo.solve(problem)
        seconds = clock() - started
        certificate = solution.certify(10_000, direct=50)
        size = f"{problem.parameters} parameters"
        note = f"{solution.status}, {len(solution)} regions, {certificate.holes} holes in {certificate.samples} samples"
        note += f"; first charts, solved and written: {first_s:.1f} s"
        slow = _direct_s(problem) * len(solution)
        peer = "HiGHS, one solve for each region"
        used = versions("highspy")
        found.append(Row(f"type of home, {size}", seconds, peer, slow, certificate.error, "relative", used, note))
    return found


def _direct_s(problem: mpo.ParametricLP) -> float:
    middle = centre(problem.theta_A, problem.theta_b)[1]
    return median_time(lambda: direct_value(problem, middle))


def central(study: Study) -> list[Row]:
    """The central step over the charts of 150 homes of rural3, called again and again as measurements move."""
    one, control = case(study, CENTRAL), ChartControl(study, SerialComm())
    bus = np.resize(control.bus, CENTRAL)
    calls, rng = [], np.random.default_rng(1)
    for _ in range(10):
        moved = one.measured.fixed_p * rng.normal(1.0, 0.02, CENTRAL)
        drawn = one.charting.charts(
            Measured(moved, one.measured.fixed_q, one.measured.give, one.measured.energy), one.rest
        )
        calls.append(Charts.stacked(bus, drawn.pieces, drawn.sides))
    price = 0.3 * one.charting.dt_h
    (ours, cost), (theirs, bound) = (_steps(study, calls, price, way) for way in ("linear", "cone"))
    name = f"central step, {study.network.n} buses, {CENTRAL} homes"
    peer = "cone (Clarabel), then linear steps"
    apart = float(np.abs(cost - bound).max())
    return [Row(name, ours, peer, theirs, apart, "EUR per step", versions("clarabel", "highspy"))]


def _steps(study: Study, calls: list[Charts], price: float, way: Way) -> tuple[float, Array]:
    step = CentralStep(study.network, study.limits, price, StepSettings(way=way))
    seconds, cost = [], []
    for charts in calls:
        started = clock()
        answer = step.solve(charts)
        seconds.append(clock() - started)
        cost.append(answer.cost)
    return float(np.median(seconds[1:])), np.array(cost)
