"""What the kernels of the chain share: constant data, answers and scratch, as tuples of arrays."""

from __future__ import annotations

from typing import NamedTuple

from admmflex.horizon import Array, BoolArray, IntArray

LOAD_P, LOAD_Q, AVAIL, IMPORT, EXPORT, TAKE_MAX, GIVE_MAX = 0, 1, 2, 3, 4, 5, 6
C_GIVE, M_GIVE, G_GIVE, C_TAKE, M_TAKE, G_TAKE, KAPPA, BURN = 7, 8, 9, 10, 11, 12, 13, 14
LO, HI, REF, SCALE, GEN_Q, STORE_Q, I_GIVE, I_TAKE = 15, 16, 17, 18, 19, 20, 21, 22
ROWS = 23


class Data(NamedTuple):
    """Constant data of n homes; ``place`` (n, ROWS) points into the profiles ``table``.

    C, M, G: mu = C - M Phi', w = -G b when giving and taking, I = 1/M; KAPPA: level above which burning pays;
    BURN: energy per power burnt; LO, HI: bounds of x where e = REF + SCALE x, so that x has no losses at standstill.
    ``wear``: rows of the costs of taking and giving; ``cheapest``: cost of reactive power of homes with polygons;
    ``still``: homes without a storage that can move: their energies and multipliers stay as they are.
    ``steady``, ``jump``: whether curtailment is marginal at one multiplier when giving and one when taking, and these.
    """

    dt: Array
    table: Array
    place: IntArray
    rows: IntArray
    bus: IntArray
    end_value: Array
    gen_cost: Array
    store_cost: Array
    gen_knots: IntArray
    gen_power: Array
    gen_value: Array
    store_knots: IntArray
    store_power: Array
    store_value: Array
    wear: IntArray
    cheapest: Array
    still: BoolArray
    steady: BoolArray
    jump: Array


class Answers(NamedTuple):
    """Inner trajectories (n, K) of the last answer, multipliers of x, and how each home was answered.

    ``coupled``: a polygon bound; ``swept``: by the chain, not by segments; ``meets``: 1, -1 where x is held at HI, LO.
    """

    gen: Array
    give: Array
    take: Array
    energy: Array
    gen_q: Array
    store_q: Array
    mu: Array
    coupled: BoolArray
    swept: BoolArray
    meets: IntArray


class Work(NamedTuple):
    """Scratch of one home, allocated once."""

    first: IntArray
    kept: IntArray
    points: Array
    sorted: Array
    vertices: Array
    polygon: Array
    curve: Array
    steps: Array
