"""Exact answers of homes with at most one storage, by dynamic programming on the chain of its energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from admmflex.assets.flow import Flow
from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.chain_homes import ChainHomes, Edges, Field, Profiles
from admmflex.prosumers.fleet import asset_plans
from admmflex.prosumers.program import AssetPlan
from admmflex.prosumers.stores import shortfall
from admmflex.response import _home
from admmflex.response._data import REF, ROWS, SCALE, Answers, Data, Work
from admmflex.response.certificate import Question, lower_bound


class ChainResponse:
    """Answers for all chain homes of a rank (see ``signal.Response``); exact, also for rho = 0.

    The stage cost in the stored energy is convex and piecewise quadratic, so the state as a function of its multiplier
    is a monotone polyline: add the stage, cut at the bounds, go back along the multiplier. Reactive power separates
    unless an inverter polygon binds; then it is minimised within the stage. Nothing is allocated per answer.

    Charging and discharging at once is allowed, as in the common form of a flow; it is optimal only where consumption
    is paid for, and ``burn()`` tells how much.

    Source: section 2 of the formulation.
    """

    way: ClassVar[str] = "chain"

    def __init__(self, homes: ChainHomes, dt_h: Array) -> None:
        self.homes = homes
        self.rows: IntArray = homes.rows
        self._dt = np.ascontiguousarray(dt_h, float)
        self._data = _prepare(homes, self._dt)
        n, steps = len(homes), len(self._dt)
        self._answers = _no_answers(self._data)
        self._shortfall = _shortfall(homes, self._dt)
        self._work = _scratch(homes, steps)
        self._y = np.zeros((2, n, steps))
        self._signal: tuple[Array, Array, float] | None = None

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """See ``Response.answer``; the arrays must be C-contiguous."""
        _home.solve(price, target, float(rho), self._data, self._answers, self._work, out)
        np.take(out, self.rows, axis=1, out=self._y)
        self._signal = price, target, float(rho)

    def cost(self) -> Array:
        """Own cost of the last answer ``(n,)`` [EUR]."""
        return self.evaluate_cost(self._y[0], self.state())

    def state(self) -> dict[str, Array]:
        """Powers [kW, kvar] and energies [kWh] of the assets, ``(n, K)`` each; valid until the next answer."""
        names = ("gen", "give", "take", "energy", "gen_q", "store_q")
        return {name: getattr(self._answers, name) for name in names}

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost ``(n,)`` [EUR] of powers p ``(n, K)`` with these trajectories of the assets."""
        out = np.zeros(len(self.homes))
        trajectories = [np.ascontiguousarray(state[name]) for name in ("gen_q", "store_q", "give", "take", "energy")]
        _home.own_cost(np.ascontiguousarray(p), *trajectories, self._data, out)
        return out

    def certificate(self) -> Array:
        """Objective of the last answer minus a proven bound, ``(n,)`` [EUR]; the signal's arrays must be unchanged."""
        if self._signal is None:
            return np.zeros(len(self.homes))
        price, target, rho = self._signal
        asked = Question(self.homes, self._dt, price[:, self.homes.bus], target[:, self.rows], rho)
        scale = self._data.table[self._data.place[:, SCALE]]
        bound = lower_bound(asked, self._answers.mu / scale, self._y)
        return asked.objective(self._y, self.cost()) - bound

    def plans(self, state: Mapping[str, Array]) -> list[tuple[AssetPlan, ...]]:
        """What the assets of every home do in a (combination of) earlier state, in the order of ``homes.prosumers``."""
        return [asset_plans(flows, {name: a[i] for name, a in state.items()}) for i, flows in enumerate(self._flows)]

    @cached_property
    def _flows(self) -> list[list[Flow]]:
        """Of the assets of every home."""
        horizon = self.homes.horizon
        if horizon is None:
            raise ValueError("homes that were not built from prosumers have no assets to plan for")
        return [[asset.flow(horizon) for asset in prosumer.assets] for prosumer in self.homes.prosumers]

    def burn(self) -> Array:
        """Energy charged and discharged at the same time in the last answer ``(n,)`` [kWh]."""
        burnt: Array = np.minimum(self._answers.give, self._answers.take) @ self._dt
        return burnt

    def warm(self) -> dict[str, Array]:
        """Nothing: answers are exact."""
        return {}

    def counts(self) -> dict[str, float]:
        """See ``Response.counts``."""
        return {"coupled_homes": self.coupled.sum(), "burnt_kwh": self.burn().sum()}

    @property
    def shortfall(self) -> Array:
        """Energy by which a home cannot keep its storage within its band, ``(n,)`` [kWh]; prices do not matter."""
        return self._shortfall

    @property
    def coupled(self) -> BoolArray:
        """Homes ``(n,)`` whose inverter rating bound active and reactive power together in the last answer."""
        return self._answers.coupled


class _Alike(NamedTuple):
    """What homes with the same devices and tariff have in common: places of all profiles but the load, and numbers."""

    places: list[int]
    scale: float
    steady: bool
    jump: tuple[float, float]
    wear: list[int]


def _devices(
    homes: ChainHomes, i: int, own: list[int], dt: Array, profiles: Profiles, place_of: Callable[[int], int]
) -> _Alike:
    """Enter the profiles of a home, its load apart."""
    plain = (Field.AVAIL, Field.IMPORT, Field.EXPORT, Field.TAKE_MAX, Field.GIVE_MAX)
    row = {field: homes.table[place] for field, place in zip(tuple(Field), own, strict=True)}
    stages, scale = _stage_rows(row, dt, float(homes.e_start[i]))
    inverses = [profiles.add(1.0 / stages[1]), profiles.add(1.0 / stages[4])]
    places = [profiles.add(stage) for stage in stages]
    caps = [
        place_of(own[field]) if cap is row[field] else profiles.add(cap)
        for field, cap in zip((Field.GEN_Q_MAX, Field.STORE_Q_MAX), _caps(homes, i, row), strict=True)
    ]
    steady, jump = _steady(row, [profiles.row(place) for place in places])
    wear = [place_of(own[Field.TAKE_COST]), place_of(own[Field.GIVE_COST])]
    return _Alike([*(place_of(own[field]) for field in plain), *places, *caps, *inverses], scale, steady, jump, wear)


def _prepare(homes: ChainHomes, dt: Array) -> Data:
    """Constant data of the kernel: the coefficients of every stage, losses at standstill taken out of the chain."""
    profiles = Profiles(len(dt))
    index = np.empty((len(homes), ROWS), np.int64)
    wear = np.empty((len(homes), 2), np.int64)
    end_value, jump = np.empty(len(homes)), np.zeros((len(homes), 2))
    steady = np.zeros(len(homes), np.bool_)
    taken: dict[int, int] = {}  # rows of the homes' table that are in the new one
    known: dict[tuple[float, ...], _Alike] = {}

    def place_of(row: int) -> int:
        if row not in taken:
            taken[row] = profiles.add(homes.table[row])
        return taken[row]

    for i, own in enumerate(homes.index.tolist()):
        polygons = (i,) if homes.gen_edges.knots[i] or homes.store_edges.knots[i] else ()
        key = (*own[Field.AVAIL :], float(homes.e_start[i]), *polygons)  # homes with the same devices and tariff
        if key not in known:
            known[key] = _devices(homes, i, own, dt, profiles, place_of)
        alike = known[key]
        index[i] = [place_of(own[Field.LOAD_P]), place_of(own[Field.LOAD_Q]), *alike.places]
        end_value[i] = homes.end_value[i] * alike.scale
        steady[i], jump[i], wear[i] = alike.steady, alike.jump, alike.wear
    gen, store = homes.gen_edges, homes.store_edges
    return Data(
        dt, profiles.table(), index, homes.rows, homes.bus, end_value, homes.gen_q_cost, homes.store_q_cost,
        gen.knots, gen.power, gen.value, store.knots, store.power, store.value, wear, _cheapest(homes),
        _still(homes), steady, jump,
    )  # fmt: skip


def _shortfall(homes: ChainHomes, dt: Array) -> Array:
    """Largest energy ``(n,)`` [kWh] by which the reachable energies of a home miss its band at the end of a step."""
    least = -dt * homes.profile(Field.GIVE_MAX) / homes.profile(Field.ETA_GIVE)
    most = dt * homes.profile(Field.TAKE_MAX) * homes.profile(Field.ETA_TAKE)
    band = homes.profile(Field.E_MIN), homes.profile(Field.E_MAX)
    return shortfall(homes.e_start, band, (least, most), homes.profile(Field.KEEP), homes.profile(Field.GAIN))


def _stage_rows(row: Mapping[Field, Array], dt: Array, e_start: float) -> tuple[list[Array], float]:
    """Profiles C_GIVE ... SCALE of one storage, and its final scale."""
    scale, ref = np.ones(len(dt)), np.full(len(dt), e_start)
    if row[Field.GAIN].any() or not (row[Field.KEEP] == 1.0).all():
        e, kept = e_start, 1.0
        for t in range(len(dt)):
            kept *= row[Field.KEEP][t]
            e = row[Field.KEEP][t] * e + row[Field.GAIN][t]
            scale[t], ref[t] = kept, e
    eta_take, eta_give = row[Field.ETA_TAKE], row[Field.ETA_GIVE]
    take_cost, give_cost = row[Field.TAKE_COST], row[Field.GIVE_COST]
    cycle = eta_take * eta_give
    burns = (row[Field.TAKE_MAX] > 0.0) & (row[Field.GIVE_MAX] > 0.0) & (cycle < 1.0)
    loss = np.where(burns, 1.0 - cycle, 1.0)
    kappa = np.where(burns, (take_cost + cycle * give_cost) / loss, np.inf)
    stages = [
        -eta_give * give_cost * scale,
        eta_give * scale,
        dt / (eta_give * scale),
        take_cost / eta_take * scale,
        scale / eta_take,
        dt * eta_take / scale,
        kappa,
        np.where(burns, dt * (1.0 / eta_give - eta_take) / scale, 1.0),
        (row[Field.E_MIN] - ref) / scale,
        (row[Field.E_MAX] - ref) / scale,
        ref,
        scale,
    ]
    return stages, float(scale[-1])


def _steady(row: Mapping[Field, Array], stages: Sequence[Array]) -> tuple[bool, tuple[float, float]]:
    """Whether curtailment is marginal at one multiplier all day, when giving and when taking; the two multipliers."""
    sunny = row[Field.AVAIL] > 0.0
    give, take = stages[0][sunny & (row[Field.GIVE_MAX] > 0.0)], stages[3][sunny & (row[Field.TAKE_MAX] > 0.0)]
    steady = all(len(side) == 0 or float(np.ptp(side)) == 0.0 for side in (give, take))
    return steady, (float(give[0]) if len(give) else np.inf, float(take[0]) if len(take) else np.inf)


def _caps(homes: ChainHomes, i: int, row: Mapping[Field, Array]) -> tuple[Array, Array]:
    """Largest reactive power of the generator and the storage over all powers they can reach, ``(K,)`` each."""
    none = np.zeros_like(row[Field.AVAIL])
    gen = _peak(row[Field.GEN_Q_MAX], homes.gen_edges, i, none, row[Field.AVAIL])
    store = _peak(row[Field.STORE_Q_MAX], homes.store_edges, i, -row[Field.TAKE_MAX], row[Field.GIVE_MAX])
    return gen, store


def _peak(box: Array, edges: Edges, i: int, low: Array, high: Array) -> Array:
    """Largest value of a concave polyline between low and high; the box where there is none."""
    k = edges.knots[i]
    if k == 0:
        return box
    power, value = edges.power[i, :k], edges.value[i, :k]
    peak: Array = np.interp(np.clip(power[int(np.argmax(value))], low, high), power, value)
    return peak


def _no_answers(data: Data) -> Answers:
    """Room for the answers; energies and multipliers as they are without a move."""
    n, steps = len(data.rows), len(data.dt)
    gen, give, take, gen_q, store_q = (np.zeros((n, steps)) for _ in range(5))
    energy, mu = data.table[data.place[:, REF]], np.repeat(data.end_value[:, None], steps, axis=1)
    coupled, swept = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    return Answers(gen, give, take, energy, gen_q, store_q, mu, coupled, swept, np.zeros((n, steps), np.int64))


def _still(homes: ChainHomes) -> BoolArray:
    """Homes ``(n,)`` without a storage that can move."""
    able: BoolArray = (homes.profile(Field.GIVE_MAX) > 0.0) | (homes.profile(Field.TAKE_MAX) > 0.0)
    return ~np.asarray(able.any(axis=1))


def _cheapest(homes: ChainHomes) -> Array:
    """Cost of reactive power of homes with polygons, where both inverters have one cost ``(n,)`` [EUR/kvarh]."""
    has_gen = homes.profile(Field.GEN_Q_MAX).any(axis=1)
    return np.where(has_gen, homes.gen_q_cost, homes.store_q_cost)


def _scratch(homes: ChainHomes, steps: int) -> Work:
    """Memory for one home at a time."""
    knots = int((homes.gen_edges.knots + homes.store_edges.knots).max(initial=0))
    poly = 16 + 16 * knots
    vertices = poly + 16
    return Work(
        first=np.zeros(steps + 1, np.int64),
        kept=np.zeros(steps + 1, np.int64),
        points=np.zeros((3, steps * vertices)),
        sorted=np.zeros((3, 2 * steps * vertices)),
        vertices=np.zeros((3, vertices)),
        polygon=np.zeros((4, poly)),
        curve=np.zeros((2, steps * vertices)),
        steps=np.zeros((10, steps)),
    )
