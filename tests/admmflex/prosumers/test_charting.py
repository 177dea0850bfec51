"""Charts of homes against linear programs written from the flows of the same assets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import linprog

import mpo
from admmflex.assets import Battery, Boiler, ElectricVehicle, FixedLoad, HeatPump, Pv, Session, SheddableLoad
from admmflex.assets.flow import Asset
from admmflex.horizon import Horizon
from admmflex.prosumers.charting import Charting, Measured, Rest
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer

STEPS, NOON, NIGHT, SEGMENTS, DT = 24, 12, 1, 3, 10 / 3600
HORIZON = Horizon(datetime(2016, 5, 20, tzinfo=UTC), np.full(STEPS, 0.25))
HOUR = np.arange(STEPS) + 0.5
SUN = 5.0 * np.maximum(0.0, np.sin((HOUR - 6) / 12 * np.pi))
FLAT = np.ones(STEPS)
LOAD = FixedLoad("load", 1.5 * FLAT, 0.3 * FLAT)
CAR = Session(0.0, 6.0, 20.0, 24.0)


def pv(reactive: str, name: str = "pv", **options: object) -> Pv:
    return Pv(name, SUN, 5.0, reactive=reactive, **({"q_cost": 0.004} | options))


def battery(reactive: str, name: str = "battery", **options: object) -> Battery:
    defaults = {"wear": 0.02, "end_value": 0.1, "q_cost": 0.004, "e_min_kwh": 1.0}
    return Battery(name, 8.0, 4.0, 3.0, 4.0, reactive=reactive, **(defaults | options))


HEAT = HeatPump("heat pump", 3.0, 5.0, 0.2, 5.0 * FLAT, 3.0 * FLAT, 0.2 * FLAT, 18.0 * FLAT, 23.0 * FLAT, 20.0)
WATER = Boiler("boiler", 2.0, 200.0, 0.3 * FLAT, 60.0)
SHED = SheddableLoad("shed", 2.0 * FLAT, 0.5 * FLAT, 0.4, 1.5)
KINDS: dict[str, tuple[Asset, ...]] = {
    "plant": (LOAD, pv("none")),
    "plant with a box": (LOAD, pv("box")),
    "plant with a power factor": (LOAD, pv("power_factor")),
    "plant with a disc": (LOAD, pv("disc")),
    "plant with a larger disc": (LOAD, pv("disc", s_kva=6.0)),
    "plant that is not curtailed": (LOAD, pv("disc", curtailable=False, s_kva=6.0)),
    "two plants": (LOAD, pv("disc"), pv("box", "other", q_cost=0.01)),
    "battery": (LOAD, battery("none")),
    "battery with a disc": (LOAD, battery("disc")),
    "plant and battery": (LOAD, pv("power_factor"), battery("none")),
    "discs of equal cost": (LOAD, pv("disc"), battery("disc")),
    "boxes": (LOAD, pv("box"), battery("box", q_cost=0.01)),
    "no wear": (LOAD, pv("power_factor", q_cost=0.0), battery("disc", wear=0.0, q_cost=0.0)),
    "car": (LOAD, ElectricVehicle("car", 50.0, 7.4, (CAR,))),
    "car that gives back": (LOAD, pv("box"), ElectricVehicle("car", 50.0, 7.4, (CAR,), v2g_kw=5.0, wear=0.03)),
    "heat pump": (LOAD, pv("power_factor"), HEAT),
    "boiler": (LOAD, WATER),
    "load to shed": (LOAD, SHED, battery("box")),
    "two storages": (LOAD, pv("power_factor"), battery("disc"), battery("none", "second")),
    "three storages": (LOAD, pv("box"), battery("none"), WATER, HEAT),
    "load only": (LOAD,),
}
IMPORT = 0.3 * FLAT


def homes(**options: float) -> list[Prosumer]:
    found = [Prosumer(name, 1, assets, IMPORT, 0.08 * FLAT, **options) for name, assets in KINDS.items()]
    assert not [fault for one in found for fault in one.faults(HORIZON)]
    return found


class Case:
    """All homes in one state, drawn at random from a seed."""

    def __init__(
        self, seed: int, *, step: int = NOON, tau: float = 0.15, fill: float | None = None, sun: float | None = None,
        prices: tuple[float, float] = (0.3, 0.08), flat: bool = False, **options: float,
    ) -> None:  # fmt: skip
        rng = np.random.default_rng(seed)
        self.homes, self.step, self.options = homes(**options), step, options
        self.devices = devices = Devices.of(self.homes, HORIZON)
        n, C = devices.homes, len(devices.stores)
        self.charting = Charting(
            devices, np.tile(IMPORT, (n, 1)), np.full((n, STEPS), 0.08),
            *(np.array([getattr(one, name) for one in self.homes]) for name in ("import_limit_kw", "export_limit_kw")),
            segments=SEGMENTS, names=list(KINDS),
        )  # fmt: skip
        self.charting.begin(step)
        share = rng.random(len(devices.sources)) if sun is None else sun
        filled = rng.random(C) if fill is None else fill
        self.measured = Measured(
            devices.fixed_p[:, step] * rng.uniform(0.5, 1.2, n), devices.fixed_q[:, step] * rng.uniform(0.5, 1.2, n),
            devices.source_give[:, step] * share, devices.low + filled * (devices.high - devices.low),
        )  # fmt: skip
        inner = np.sort(rng.random((C, SEGMENTS - 1)), axis=1)
        ends = (
            devices.low[:, None]
            + np.column_stack([np.zeros(C), inner, np.ones(C)]) * (devices.high - devices.low)[:, None]
        )
        slopes = np.full((C, SEGMENTS), -0.15) if flat else np.sort(rng.uniform(-0.5, 0.0, (C, SEGMENTS)), axis=1)
        self.rest = Rest(
            tau, tau * rng.uniform(-2.0, 2.0, n), np.full(n, prices[0]), np.full(n, prices[1]), ends, slopes
        )
        self.drawn = self.charting.charts(self.measured, self.rest)

    def value(self, i: int, point: np.ndarray) -> float:
        """f_i(P, Q) of the chart."""
        return float((self.drawn.pieces[i] @ np.append(point, 1.0)).max())

    def beyond(self, i: int, point: np.ndarray) -> float:
        """How far a point is outside the sides, negative inside."""
        sides = self.drawn.sides[i]
        return float((sides[:, :2] @ point - sides[:, 2]).max())


class Direct:
    """The two sub-intervals of one home as a linear program, from the flows of its assets.

    Variables of every device: g1, t1, u, |u|, g2, t2; then d of the segments of every store; then buy, sell.
    """

    def __init__(self, case: Case, i: int) -> None:
        devices, measured, rest, k = case.devices, case.measured, case.rest, case.step
        first = int(devices.assets[:i].sum())
        flows = [asset.flow(HORIZON) for asset in case.homes[i].assets]
        source, storage = (
            {int(a) - first: number for number, (a, h) in enumerate(zip(assets, owner, strict=True)) if h == i}
            for assets, owner in (
                (devices.source_asset, devices.source_home), (devices.storage_asset, devices.storage_home)
            )
        )  # fmt: skip
        moving = [(a, source.get(a), storage.get(a)) for a in range(len(flows)) if a in source or a in storage]
        self.place = {a: place for place, (a, *_) in enumerate(moving)}
        self.n = 6 * len(moving) + SEGMENTS * len(storage) + 2
        self.cost, self.high = np.zeros(self.n), np.full(self.n, np.inf)
        self.low = np.zeros(self.n)
        self.A: list[np.ndarray] = []
        self.b: list[float] = []
        self.A_eq, self.b_eq = [np.zeros(self.n) for _ in range(3)], [0.0, 0.0, 0.0]
        buy, sell, d = self.n - 2, self.n - 1, 6 * len(moving)
        imp, exp = float(rest.import_price[i]), max(float(rest.export_price[i]), 0.0)
        self.cost[buy], self.cost[sell] = imp, -min(exp, imp)
        self.A_eq[2][[sell, buy]] = 1.0, -1.0
        self.b_eq = [-measured.fixed_p[i], -measured.fixed_q[i], float(rest.energy[i])]
        for place, (a, s, c) in enumerate(moving):
            g1, t1, u, size, g2, t2 = range(6 * place, 6 * place + 6)
            flow = flows[a]
            give = measured.give[s] if c is None else flow.give_max[k]
            self.high[[g1, t1]] = give, flow.take_max[k]
            self.high[[g2, t2]] = (0.0, 0.0) if c is None else (rest.tau * give, rest.tau * flow.take_max[k])
            self.low[u] = -np.inf
            self.cost[[g1, t1, size, g2, t2]] = (
                DT * flow.give_cost[k], DT * flow.take_cost[k], DT * flow.q_cost, flow.give_cost[k], flow.take_cost[k]
            )  # fmt: skip
            self.A_eq[0][[g1, t1]] = 1.0, -1.0
            self.A_eq[1][u] = 1.0
            self.A_eq[1][g1] = 0.0 if flow.give_q is None else flow.give_q[k]
            self.A_eq[2][[g2, t2]] = -1.0, 1.0
            for sign in (1.0, -1.0):
                self.row({u: sign, size: -1.0}, 0.0)
                for e_c, e_s in zip([*flow.edge_c, flow.q_max[k]], [*flow.edge_s, 0.0], strict=True):
                    self.row({u: sign, g1: -e_s, t1: e_s}, e_c)
            if c is not None:
                store, low, high = flow.store, devices.low[c], devices.high[c]
                now = {t1: DT * store.eta_take[k], g1: -DT / store.eta_give[k]}
                self.row({t1: now[t1]}, high - measured.energy[c])
                self.row({g1: -now[g1]}, measured.energy[c] - low)
                self.A_eq.append(np.zeros(self.n))
                self.b_eq.append(low - measured.energy[c])
                for name, gain in (now | {t2: store.eta_take[k], g2: -1.0 / store.eta_give[k]}).items():
                    self.A_eq[-1][name] = gain
                self.A_eq[-1][d : d + SEGMENTS] = -1.0
                self.cost[d : d + SEGMENTS] = rest.slopes[c]
                self.high[d : d + SEGMENTS] = np.diff(rest.ends[c])
                d += SEGMENTS
        self.prices, self.limits = (rest.import_price[i], rest.export_price[i]), case.options

    def row(self, terms: dict[int, float], right: float) -> None:
        self.A.append(np.zeros(self.n))
        for name, value in terms.items():
            self.A[-1][name] = value
        self.b.append(right)

    def fix(self, asset: int, p: float, q: float) -> None:
        """What a device does now; what it gives and takes at once is netted."""
        at = 6 * self.place[asset]
        for name, least in ((at, max(p, 0.0)), (at + 1, max(-p, 0.0)), (at + 2, q)):
            self.low[name], self.high[name] = least - 1e-7, least + 1e-7

    def value(self, point: np.ndarray) -> float:
        """Least cost at P, Q; NaN where these are not possible."""
        right = np.array(self.b_eq)
        right[:2] += point
        bounds = np.column_stack([self.low, self.high])
        found = linprog(
            self.cost, np.reshape(self.A, (-1, self.n)), self.b, np.array(self.A_eq), right, bounds,
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )  # fmt: skip
        bought, sold = max(-point[0], 0.0), max(point[0], 0.0)
        return found.fun + DT * (self.prices[0] * bought - self.prices[1] * sold) if found.status == 0 else np.nan


def corners(sides: np.ndarray) -> np.ndarray:
    """Of a polygon, which may be a line or a point."""
    a, b = np.triu_indices(len(sides), 1)
    across = sides[a, 0] * sides[b, 1] - sides[a, 1] * sides[b, 0]
    a, b, across = (one[np.abs(across) > 1e-9] for one in (a, b, across))
    points = np.column_stack([
        sides[a, 2] * sides[b, 1] - sides[a, 1] * sides[b, 2], sides[a, 0] * sides[b, 2] - sides[a, 2] * sides[b, 0]
    ]) / across[:, None]  # fmt: skip
    return points[((points @ sides[:, :2].T) <= sides[:, 2] + 1e-9).all(axis=1)]


CASES = {
    "noon": {},
    "much sun, little time": {"sun": 1.0, "tau": 1e-3},
    "no time left": {"tau": 0.0},
    "night": {"step": NIGHT, "sun": 0.0},
    "no sun": {"sun": 0.0},
    "full": {"fill": 1.0},
    "empty": {"fill": 0.0},
    "selling costs": {"prices": (0.3, -0.05)},
    "being paid to buy": {"prices": (-0.02, -0.06)},
    "one price": {"prices": (0.2, 0.2)},
    "no price, no value": {"prices": (0.0, 0.0), "flat": True},
    "value without a bend": {"flat": True},
    "limits": {"import_limit_kw": 2.5, "export_limit_kw": 1.0},
    "no export": {"export_limit_kw": 0.0, "import_limit_kw": 12.0},
}


@pytest.fixture(scope="module", params=list(CASES))
def case(request):
    return Case(list(CASES).index(request.param), **CASES[request.param])


def test_charts_are_the_least_costs_of_direct_programs(case):
    rng = np.random.default_rng(0)
    for i, one in enumerate(case.homes):
        direct, around = Direct(case, i), corners(case.drawn.sides[i])
        assert len(around), one.name
        for trial in range(8):
            inner = rng.dirichlet(np.full(len(around), 0.6)) @ around
            point = inner + (trial % 4 == 3) * 0.3 * rng.standard_normal(2)
            beyond, expected = case.beyond(i, point), direct.value(point)
            kept = -one.import_limit_kw - 1e-9 <= point[0] <= one.export_limit_kw + 1e-9
            if beyond < -1e-8 or trial % 4 != 3:
                if not np.isfinite(expected):  # rounding at the side
                    expected = direct.value(inner + 1e-9 * (around.mean(axis=0) - inner))
                assert_allclose(case.value(i, point), expected, atol=1e-9, err_msg=f"{one.name} at {point}")
            elif beyond > 1e-7 and kept:
                assert not np.isfinite(expected), f"{one.name} at {point}: the chart ends too early, by {beyond}"


def test_charts_are_convex_and_their_actions_do_what_they_promise(case):
    """Set-points all over the polygon: P and Q come out, every limit is kept, and the cost is that of the chart."""
    rng, charting, devices, k = np.random.default_rng(1), case.charting, case.devices, case.step
    around = [corners(sides) for sides in case.drawn.sides]
    for _ in range(4):
        points = np.array([rng.dirichlet(np.full(len(one), 0.6)) @ one for one in around])
        done = charting.actions(case.drawn, points[:, 0], points[:, 1])
        assert done.beyond.max() < 1e-3
        p, q = case.measured.fixed_p.copy(), case.measured.fixed_q.copy()
        for total, source, storage in ((p, done.source_p, done.storage_p), (q, done.source_q, done.storage_q)):
            np.add.at(total, devices.source_home, source)
            np.add.at(total, devices.storage_home, storage)
        assert_allclose(np.column_stack([p, q]), points, atol=1e-8)
        assert (done.source_p >= 0.0).all()
        assert (done.source_p <= case.measured.give + 1e-9).all()
        energy = case.measured.energy.copy()
        for i, one in enumerate(case.homes):
            first = int(devices.assets[:i].sum())
            direct = Direct(case, i)
            for owner, asset, at_p, at_q in (
                *zip(devices.source_home, devices.source_asset, done.source_p, done.source_q, strict=True),
                *zip(devices.storage_home, devices.storage_asset, done.storage_p, done.storage_q, strict=True),
            ):
                if owner == i:
                    flow = one.assets[asset - first].flow(HORIZON)
                    with_power = 0.0 if flow.give_q is None else flow.give_q[k] * at_p
                    reach = np.min([flow.q_max[k], *(flow.edge_c + flow.edge_s * at_p)])
                    assert abs(at_q - with_power) <= max(reach, 0.0) + 1e-7, one.name
                    direct.fix(asset - first, at_p, at_q - with_power)
            assert_allclose(direct.value(points[i]), case.value(i, points[i]), atol=1e-8, err_msg=one.name)
        for c, store in enumerate(devices.stores):
            p_c = done.storage_p[c]
            assert -devices.take[c, k] - 1e-9 <= p_c <= devices.give[c, k] + 1e-9
            energy[c] += DT * (store.eta_take[k] * max(-p_c, 0.0) - max(p_c, 0.0) / store.eta_give[k])
        assert (energy >= devices.low - 1e-8).all()
        assert (energy <= devices.high + 1e-8).all()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("energy", 9.0, "energy_c0 = 8 is not 0 to 7"),
        ("energy", np.nan, "energy is not a number"),
        ("give", 50.0, "give_s0 = 50"),
        ("give", np.nan, "give is not a number"),
        ("fixed_p", np.nan, "fixed_p is not a number"),
    ],
)
def test_a_measurement_that_makes_no_sense_leaves_the_others_as_they_are(field, value, said):
    """The home does what is safe: storages idle, the plant gives what it can without reactive power."""
    whole = Case(0)
    name = "boxes"
    i, devices = list(KINDS).index(name), whole.devices
    owner = {"energy": devices.storage_home, "give": devices.source_home, "fixed_p": np.arange(devices.homes)}[field]
    changed = getattr(whole.measured, field).copy()
    changed[owner == i] = value
    measured = replace(whole.measured, **{field: changed})
    drawn = whole.charting.charts(measured, whole.rest)
    assert list(np.flatnonzero(drawn.safe)) == [i]
    assert [fault.element for fault in drawn.faults] == [f"home {name!r}"]
    assert said.split(" is not")[0] in drawn.faults[0].value
    others = np.delete(np.arange(devices.homes), i)
    assert_allclose(drawn.pieces[others], whole.drawn.pieces[others])
    (point,) = np.unique(corners(drawn.sides[i]).round(9), axis=0)
    p, q = np.zeros(devices.homes), np.zeros(devices.homes)
    done = whole.charting.actions(drawn, p, q)
    assert (done.storage_p[devices.storage_home == i] == 0.0).all()
    power = done.source_p[devices.source_home == i]
    assert ((power >= 0.0) & (power <= 5.0)).all()
    assert_allclose(point, [drawn.measured.fixed_p[i] + power.sum(), drawn.measured.fixed_q[i]], atol=1e-8)


def test_old_measurements_say_nothing():
    whole = Case(0)
    age = np.zeros(whole.devices.homes)
    age[3], age[5] = 61.0, np.nan
    drawn = whole.charting.charts(replace(whole.measured, age_s=age), whole.rest)
    assert list(np.flatnonzero(drawn.safe)) == [3, 5]
    assert [fault.value for fault in drawn.faults] == ["measured 61 s ago", "measured nan s ago"]


def test_energy_beyond_its_band_by_rounding_is_at_its_end():
    whole = Case(0, fill=1.0)
    energy = whole.measured.energy * (1.0 + 1e-9)
    drawn = whole.charting.charts(replace(whole.measured, energy=energy), whole.rest)
    assert not drawn.safe.any()
    for i in range(len(KINDS)):
        point = corners(drawn.sides[i]).mean(axis=0)
        assert_allclose((drawn.pieces[i] @ np.append(point, 1.0)).max(), whole.value(i, point), atol=1e-9)


def envelope(p: np.ndarray, cost: np.ndarray) -> list[tuple[float, float]]:
    """Corners of the greatest convex function below points, from the left."""
    kept: list[tuple[float, float]] = []
    for x, y in sorted(zip(p, cost, strict=True)):
        while len(kept) > 1 and (kept[-1][1] - kept[-2][1]) * (x - kept[-2][0]) >= (y - kept[-2][1]) * (
            kept[-1][0] - kept[-2][0]
        ):
            kept.pop()
        kept.append((x, y))
    return kept


def test_plant_and_battery_without_a_rest_are_an_infimal_convolution():
    """With no time left the chart is the slopes of plant, battery and stored value in their order, and the meter's."""
    case = Case(0, tau=0.0)
    i = list(KINDS).index("plant and battery")
    c, s = (int(np.flatnonzero(owner == i)[0]) for owner in (case.devices.storage_home, case.devices.source_home))
    measured, rest, store = case.measured, case.rest, case.devices.stores[c]
    stored = np.interp  # of the value of energy
    ends = rest.ends[c]
    worth = np.concatenate([[0.0], np.cumsum(rest.slopes[c] * np.diff(ends))])
    energy = measured.energy[c]
    bends = np.concatenate([[energy], ends[(ends > energy - 0.1) & (ends < energy + 0.1)]])
    gained = np.unique(np.concatenate([bends - energy, [DT * 0.95 * 4.0, -DT * 3.0 / 0.95, 0.0]]))
    gained = gained[(gained >= -DT * 3.0 / 0.95 - 1e-12) & (gained <= DT * 0.95 * 4.0 + 1e-12)]
    gained = gained[(energy + gained >= ends[0]) & (energy + gained <= ends[-1])]
    power = np.where(gained > 0.0, -gained / (0.95 * DT), -gained * 0.95 / DT)
    cost = 0.02 * DT * np.abs(power) + stored(energy + gained, ends, worth)
    assert_allclose([store.eta_give[0], store.eta_take[0]], 0.95)
    battery_cost = mpo.PiecewiseLinear(*np.array(envelope(power, cost)).T)
    whole = mpo.PiecewiseLinear(np.array([0.0, measured.give[s]]), np.zeros(2)).infimal_convolution(battery_cost)
    left, right = whole.x[[0, -1]] + measured.fixed_p[i]
    at = np.linspace(left, right, 101)
    level = rest.cost()[i]
    expected = whole(np.clip(at - measured.fixed_p[i], *whole.x[[0, -1]])) + DT * np.where(at < 0.0, -0.3, -0.08) * at
    points = np.column_stack([at, np.full(101, measured.fixed_q[i])])
    assert_allclose([case.value(i, one) for one in points], expected + level, atol=1e-10)
    assert_allclose(np.sort(corners(case.drawn.sides[i])[:, 0])[[0, -1]], [left, right], atol=1e-9)
