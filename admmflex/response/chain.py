"""Exact answers of homes with at most one storage, by dynamic programming on the chain of its energy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.fleet import ChainHomes, Field, Profiles
from admmflex.response import _home
from admmflex.response._home import Answers, Data, Work


class ChainResponse:
    """Answers for all chain homes of a rank (see ``signal.Response``); exact, also for rho = 0.

    The stage cost in the stored energy is convex and piecewise quadratic, so the state as a function of its multiplier is a
    monotone polyline: add the stage, cut at the bounds, go back along the multiplier. Reactive power separates unless an
    inverter polygon binds; then it is minimised within the stage. All memory is allocated here, none per answer.

    Charging and discharging at once is allowed, as in the common form of a flow; it is optimal only where consumption is paid
    for, and ``burn()`` tells how much.

    Source: section 2 of the formulation.
    """

    def __init__(self, homes: ChainHomes, dt_h: Array) -> None:
        self.homes = homes
        self.rows: IntArray = homes.rows
        self._dt = np.ascontiguousarray(dt_h, float)
        self._data = _prepare(homes, self._dt)
        n, steps = len(homes), len(self._dt)
        inner = [np.zeros((n, steps)) for _ in range(7)]
        self._answers = Answers(*inner, short=np.zeros(n), coupled=np.zeros(n, bool))
        self._work = _scratch(homes, steps)
        self._cost = np.zeros(n)
        self._p = np.zeros((n, steps))
        self._signal: tuple[Array, Array, float] | None = None

    def answer(self, price: Array, target: Array, rho: float, out: Array) -> None:
        """See ``Response.answer``; the arrays must be C-contiguous."""
        _home.solve(price, target, float(rho), self._data, self._answers, self._work, out)
        np.take(out[0], self.rows, axis=0, out=self._p)

    def cost(self) -> Array:
        """Own cost of the last answer ``(n,)`` [EUR]."""
        return self.evaluate_cost(self._p, self.state())

    def state(self) -> dict[str, Array]:
        """Powers [kW, kvar] and energies [kWh] of the assets, ``(n, K)`` each; valid until the next answer."""
        names = ("gen", "give", "take", "energy", "gen_q", "store_q")
        return {name: getattr(self._answers, name) for name in names}

    def evaluate_cost(self, p: Array, state: Mapping[str, Array]) -> Array:
        """Own cost ``(n,)`` [EUR] of powers p ``(n, K)`` with these trajectories of the assets."""
        out = np.zeros(len(self.homes))
        trajectories = [
            np.ascontiguousarray(state[name]) for name in ("gen_q", "store_q", "give", "take", "energy")
        ]
        _home.own_cost(np.ascontiguousarray(p), *trajectories, self._data, out)
        return out

    def burn(self) -> Array:
        """Energy charged and discharged at the same time in the last answer ``(n,)`` [kWh]."""
        burnt: Array = np.minimum(self._answers.give, self._answers.take) @ self._dt
        return burnt

    @property
    def shortfall(self) -> Array:
        """Energy by which a home cannot keep its storage within its bounds, ``(n,)`` [kWh]; it does not depend on prices."""
        return self._answers.short

    @property
    def coupled(self) -> BoolArray:
        """Homes ``(n,)`` whose inverter rating bound active and reactive power together in the last answer."""
        return self._answers.coupled


def _prepare(homes: ChainHomes, dt: Array) -> Data:
    """Constant data of the kernel: the coefficients of every stage, losses at standstill taken out of the chain."""
    profiles = Profiles(len(dt))
    index = np.empty((len(homes), _home.ROWS), np.int64)
    wear = np.empty((len(homes), 2), np.int64)
    end_value = np.empty(len(homes))
    known: dict[tuple[float, ...], tuple[list[int], float]] = {}
    for i in range(len(homes)):
        row = {field: homes.table[homes.index[i, field]] for field in Field}
        plain = (Field.LOAD_P, Field.LOAD_Q, Field.AVAIL, Field.IMPORT, Field.EXPORT, Field.TAKE_MAX, Field.GIVE_MAX)
        key = (*homes.index[i, Field.TAKE_MAX : Field.E_MAX + 1].tolist(), float(homes.e_start[i]))
        if key not in known:
            stages, scale = _stage_rows(row, dt, float(homes.e_start[i]))
            known[key] = [profiles.add(stage) for stage in stages], scale
        places, scale = known[key]
        end_value[i] = homes.end_value[i] * scale
        caps = _caps(homes, i, row)
        index[i] = [*(profiles.add(row[field]) for field in plain), *places, *(profiles.add(cap) for cap in caps)]
        wear[i] = [profiles.add(row[Field.TAKE_COST]), profiles.add(row[Field.GIVE_COST])]
    gen, store = homes.gen_edges, homes.store_edges
    return Data(
        self_contiguous(dt), profiles.table(), index, homes.rows, homes.bus, end_value, homes.gen_q_cost, homes.store_q_cost,
        gen.knots, gen.power, gen.value, store.knots, store.power, store.value, wear,
    )  # fmt: skip


def self_contiguous(a: Array) -> Array:
    return np.ascontiguousarray(a)


def _stage_rows(row: Mapping[Field, Array], dt: Array, e_start: float) -> tuple[list[Array], float]:
    """Profiles C_GIVE ... SCALE of one storage, and its final scale."""
    scale, ref, e = np.empty(len(dt)), np.empty(len(dt)), e_start
    kept = 1.0
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
    return stages, float(kept)


def _caps(homes: ChainHomes, i: int, row: Mapping[Field, Array]) -> tuple[Array, Array]:
    """Largest reactive power of the generator and the storage over all powers they can reach, ``(K,)`` each."""
    gen = _peak(row[Field.GEN_Q_MAX], homes.gen_edges.knots[i], homes.gen_edges.power[i], homes.gen_edges.value[i],
                np.zeros_like(row[Field.AVAIL]), row[Field.AVAIL])
    store = _peak(row[Field.STORE_Q_MAX], homes.store_edges.knots[i], homes.store_edges.power[i],
                  homes.store_edges.value[i], -row[Field.TAKE_MAX], row[Field.GIVE_MAX])
    return gen, store


def _peak(box: Array, knots: int, power: Array, value: Array, low: Array, high: Array) -> Array:
    """Largest value of a concave polyline between low and high; the box where there is none."""
    if knots == 0:
        return box
    at = np.clip(power[int(np.argmax(value[:knots]))], low, high)
    return np.interp(at, power[:knots], value[:knots])


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
        steps=np.zeros((8, steps)),
    )
