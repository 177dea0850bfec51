"""Homes of one fixed part, free generation and at most one storage, as arrays with equal profiles stored once."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from admmflex.horizon import Array, Horizon, IntArray
from admmflex.prosumers.prosumer import Prosumer


class Field(IntEnum):
    """Profiles of a home, one row of ``ChainHomes.index`` each."""

    LOAD_P = 0
    LOAD_Q = 1
    AVAIL = 2
    IMPORT = 3
    EXPORT = 4
    TAKE_MAX = 5
    GIVE_MAX = 6
    TAKE_COST = 7
    GIVE_COST = 8
    ETA_TAKE = 9
    ETA_GIVE = 10
    KEEP = 11
    GAIN = 12
    E_MIN = 13
    E_MAX = 14
    GEN_Q_MAX = 15
    STORE_Q_MAX = 16


class Profiles:
    """Profiles ``(K,)`` stored once each: equal rows share one place, so a fleet needs little memory."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._rows: list[Array] = []
        self._place: dict[bytes, int] = {}

    def add(self, profile: Array | float) -> int:
        """Row of this profile in the table; a scalar is a constant profile."""
        row = np.add(profile, 0.0, dtype=np.float64)  # a copy in which -0 is 0, so that equal rows have equal bytes
        if row.shape != (self._steps,):
            row = np.full(self._steps, row)
        place = self._place.setdefault(row.tobytes(), len(self._rows))
        if place == len(self._rows):
            self._rows.append(row)
        return place

    def row(self, place: int) -> Array:
        """The profile at a place."""
        return self._rows[place]

    def table(self) -> Array:
        """(M, K) all rows, in the order of their places."""
        return np.array(self._rows).reshape(-1, self._steps)


@dataclass(frozen=True)
class Edges:
    """Upper limits of the reactive power as a function of a power, one concave polyline per home.

    Args:
        knots: (n,) number of knots, 0 where reactive power does not depend on the power.
        power: (n, J) [kW] ascending, value: (n, J) [kvar], padded with zeros.
    """

    knots: IntArray
    power: Array
    value: Array


@dataclass(frozen=True)
class ChainHomes:
    """n homes of one fixed part, at most one free generator and at most one storage.

    p = -load_p + y + give - take,   0 <= y <= avail,   q = -load_q + u_gen + u_store
    e[t+1] = keep e[t] + dt (eta_take take - give/eta_give) + gain,   e_min <= e[1..K] <= e_max
    |u_gen| <= min(gen_q_max, gen_edges(y)),   |u_store| <= min(store_q_max, store_edges(give - take))

    Args:
        rows: (n,) position of the home in the rank's list of prosumers.
        bus: (n,) position of its bus in the network.
        table: (M, K) distinct profiles.
        index: (n, len(Field)) row of the table for every field.
        e_start, end_value: (n,) [kWh], [EUR/kWh].
        gen_q_cost, store_q_cost: (n,) [EUR/kvarh].
        gen_edges, store_edges: reactive limits that depend on the power.
        prosumers, horizon: where the homes come from; without them the assets of a home cannot be told apart.
    """

    rows: IntArray
    bus: IntArray
    table: Array
    index: IntArray
    e_start: Array
    end_value: Array
    gen_q_cost: Array
    store_q_cost: Array
    gen_edges: Edges
    store_edges: Edges
    prosumers: tuple[Prosumer, ...] = ()
    horizon: Horizon | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def profile(self, field: Field) -> Array:
        """One field of all homes, ``(n, K)``, gathered from the table."""
        gathered: Array = self.table[self.index[:, field]]
        return gathered
