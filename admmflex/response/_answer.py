"""From a signal to the answers of homes with storages: starting points, iterations, exactly feasible powers (numba)."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.response._batch import Batch, Scratch, iterate
from admmflex.response._interior import BOX, CHAIN, LEAN, MU, NU, OBJECTIVE, STEP, WIDTH, Z_LOW, Z_UP, Chains, X
from admmflex.response._lanes import L

TIGHT, LOOSE = 1e-9, 1e-4  # of the objective: limits of the tolerance
FOLLOWS = 1e-3  # tolerance of the movement of the objective [EUR]
SHIFT, PUSH = 0.3, 2.0  # of the movement into complementarity; kW per square root of EUR away from a bound
FAR = 0.3  # of the value of one kW all day: a signal that moved further is answered from a cold start
WARM_LIMIT, COLD_LIMIT = 30, 80  # iterations
ROUNDING = 1e-13  # of the cost of a step: what differs less is equal


class Homes(NamedTuple):
    """Data of n homes as in ``StorageHomes``; low, high (n, C, K): energies from which the band can still be held."""

    dt: Array
    rows: IntArray
    bus: IntArray
    fixed_p: Array
    avail: Array
    shed_max: Array
    shed_cost: Array
    bought: Array
    sold: Array
    import_limit: Array
    export_limit: Array
    take_max: Array
    give_max: Array
    take_cost: Array
    give_cost: Array
    eta_take: Array
    eta_give: Array
    keep: Array
    gain: Array
    low: Array
    high: Array
    e_start: Array


class Answers(NamedTuple):
    """Trajectories of the last answer, (n, C, K) and (n, K); lean (n, K) and rho (1,) it was given to, objective (n,).

    failed, restarted: (n,) homes that did not converge, those that did from a cold start only. nu, mu: multipliers.
    """

    take: Array
    give: Array
    energy: Array
    gen: Array
    shed: Array
    p: Array
    lean: Array
    objective: Array
    nu: Array
    mu: Array
    failed: BoolArray
    restarted: BoolArray


@nb.njit(cache=True, error_model="numpy")
def _signal(
    m: int, chains: Chains, price: Array, target: Array, rho: float, before: float, homes: Homes, batch: Batch,
    answers: Answers, movement: Array,
) -> None:  # fmt: skip
    """Write the signal of group m, and how much it moved: sum_t dt |change of the marginal cost of power| [EUR/kW]."""
    K, C = len(homes.dt), len(chains)
    for n in range(L):
        i = batch.member[m * L + n]
        lam, z = price[0, homes.bus[i]], target[0, homes.rows[i]]
        moved = 0.0
        for t in range(K):
            lean = lam[t] + rho * z[t]
            moved += homes.dt[t] * abs(lean - answers.lean[i, t] - (rho - before) * answers.p[i, t])
            batch.step[((m * K + t) * (STEP + CHAIN * C) + LEAN) * L + n] = lean
        movement[n] = moved


@nb.njit(cache=True, error_model="numpy")
def _value(i: int, homes: Homes) -> float:
    """What one kW all day is worth at the mean of both tariffs [EUR/kW]."""
    value = 0.0
    for t in range(len(homes.dt)):
        value += 0.5 * homes.dt[t] * (abs(homes.bought[i, t]) + abs(homes.sold[i, t]))
    return value


@nb.njit(cache=True, error_model="numpy")
def _start_cold(m: int, n: int, chains: Chains, homes: Homes, batch: Batch) -> None:
    """Lane n of group m: the middle of every box, equal multipliers."""
    K, C = len(homes.dt), len(chains)
    i = batch.member[m * L + n]
    scale = 0.0
    for t in range(K):
        s = (m * K + t) * (STEP + CHAIN * C)
        scale += homes.dt[t] * (abs(homes.bought[i, t]) + abs(homes.sold[i, t]) + abs(batch.step[(s + LEAN) * L + n]))
        batch.step[(s + NU) * L + n] = 0.0
        for c in range(C):
            batch.step[(s + STEP + CHAIN * c + MU) * L + n] = 0.0
    scale = max(0.3 * scale / K, 1e-6)
    for r in range(batch.first[m], batch.first[m + 1]):
        width = batch.box[(r * BOX + WIDTH) * L + n]
        z = scale if width > 0.0 else 0.0
        batch.box[(r * BOX + X) * L + n] = 0.5 * width
        batch.box[(r * BOX + Z_LOW) * L + n] = z
        batch.box[(r * BOX + Z_UP) * L + n] = z


@nb.njit(cache=True, error_model="numpy")
def _start_warm(m: int, n: int, movement: float, batch: Batch) -> None:
    """Lane n of group m: the last point, away from the bounds as far as the signal moved."""
    box = batch.box
    centre = SHIFT * max(movement, 1e-9) / batch.terms[m, n]
    away = PUSH * np.sqrt(centre)
    for r in range(batch.first[m], batch.first[m + 1]):
        width = box[(r * BOX + WIDTH) * L + n]
        if width > 0.0:
            least = min(0.1 * width, away)
            x = min(max(box[(r * BOX + X) * L + n], least), width - least)
            box[(r * BOX + X) * L + n] = x
            box[(r * BOX + Z_LOW) * L + n] = max(box[(r * BOX + Z_LOW) * L + n], centre / x)
            box[(r * BOX + Z_UP) * L + n] = max(box[(r * BOX + Z_UP) * L + n], centre / (width - x))


@nb.njit(cache=True, error_model="numpy")
def _best(slope: float, bought: float, sold: float, lean: float, rho: float, low: float, high: float) -> float:
    """Power at the meter where further generation is worth ``slope`` [EUR/kWh], within the connection."""
    p = 0.0
    if sold + lean > slope:
        p = (sold + lean - slope) / rho if rho > 0.0 else np.inf
    elif bought + lean < slope:
        p = (bought + lean - slope) / rho if rho > 0.0 else -np.inf
    return min(max(p, low), high)


@nb.njit(cache=True, error_model="numpy")
def _generate(i: int, t: int, b: float, rho: float, lean: float, homes: Homes) -> tuple[float, float, float]:
    """Best generation and shedding on top of power b, and what the step then costs [EUR/h]."""
    bought, sold = homes.bought[i, t], homes.sold[i, t]
    low, high = -homes.import_limit[i], homes.export_limit[i]
    gen = min(max(_best(0.0, bought, sold, lean, rho, low, high) - b, 0.0), homes.avail[i, t])
    shed = 0.0
    if homes.shed_max[i, t] > 0.0 and gen >= homes.avail[i, t]:
        wish = _best(homes.shed_cost[i, t], bought, sold, lean, rho, low, high) - b - gen
        shed = min(max(wish, 0.0), homes.shed_max[i, t])
    p = b + gen + shed
    cost = (-sold if p > 0.0 else -bought) * p + p * (0.5 * rho * p - lean) + homes.shed_cost[i, t] * shed
    return gen, shed, cost


@nb.njit(cache=True, error_model="numpy")
def _roll(i: int, c: int, t: int, e: float, homes: Homes, answers: Answers) -> None:
    """Storage c through step t from energy e: the flows that are nearest and keep it where its band can be held."""
    a, b = homes.dt[t] * homes.eta_take[i, c, t], homes.dt[t] / homes.eta_give[i, c, t]
    take, give = answers.take[i, c, t], answers.give[i, c, t]
    rest = homes.keep[i, c, t] * e + homes.gain[i, c, t]
    over = rest + a * take - b * give - homes.high[i, c, t]
    if over > 0.0:
        cut = min(take, over / a)
        take -= cut
        give = min(give + max(over - a * cut, 0.0) / b, homes.give_max[i, c, t])
    short = homes.low[i, c, t] - (rest + a * take - b * give)
    if short > 0.0:
        cut = min(give, short / b)
        give -= cut
        take = min(take + max(short - b * cut, 0.0) / a, homes.take_max[i, c, t])
    answers.take[i, c, t], answers.give[i, c, t] = take, give
    answers.energy[i, c, t] = rest + a * take - b * give


@nb.njit(cache=True, error_model="numpy")
def _finish(i: int, C: int, rho: float, homes: Homes, answers: Answers) -> None:
    """Exactly feasible powers of home i from nearly feasible ones.

    Energies are rolled along; taking and giving at once is undone where that does not cost more; generation follows.
    """
    for t in range(len(homes.dt)):
        lean = answers.lean[i, t]
        b = homes.fixed_p[i, t]
        for c in range(C):
            _roll(i, c, t, answers.energy[i, c, t - 1] if t > 0 else homes.e_start[i, c], homes, answers)
            b += answers.give[i, c, t] - answers.take[i, c, t]
        gen, shed, cost = _generate(i, t, b, rho, lean, homes)
        for c in range(C):
            take, give = answers.take[i, c, t], answers.give[i, c, t]
            if take > 0.0 and give > 0.0:
                cycle = homes.eta_take[i, c, t] * homes.eta_give[i, c, t]
                less = min(take, give / cycle)
                calm = b + less * (1.0 - cycle)
                new_gen, new_shed, new_cost = _generate(i, t, calm, rho, lean, homes)
                saved = less * (homes.take_cost[i, c, t] + cycle * homes.give_cost[i, c, t])
                if new_cost - saved <= cost + ROUNDING * (1.0 + abs(cost)) and calm <= homes.export_limit[i]:
                    answers.take[i, c, t] = max(take - less, 0.0)
                    answers.give[i, c, t] = max(give - cycle * less, 0.0)
                    b, gen, shed, cost = calm, new_gen, new_shed, new_cost
        answers.gen[i, t], answers.shed[i, t] = gen, shed
        b = homes.fixed_p[i, t] + gen + shed
        for c in range(C):
            b += answers.give[i, c, t] - answers.take[i, c, t]
        answers.p[i, t] = b


@nb.njit(cache=True, error_model="numpy")
def _read(m: int, n: int, chains: Chains, homes: Homes, batch: Batch, answers: Answers) -> None:
    """Flows and multipliers of lane n of group m."""
    K, C = len(homes.dt), len(chains)
    i = batch.member[m * L + n]
    for t in range(K):
        s = (m * K + t) * (STEP + CHAIN * C)
        answers.lean[i, t], answers.nu[i, t] = batch.step[(s + LEAN) * L + n], batch.step[(s + NU) * L + n]
        for c in range(C):
            answers.mu[i, c, t] = batch.step[(s + STEP + CHAIN * c + MU) * L + n]
            take, give = batch.at[m, t * (3 * C + 4) + c], batch.at[m, t * (3 * C + 4) + C + c]
            answers.take[i, c, t], answers.give[i, c, t] = 0.0, 0.0
            if take >= 0:
                x = batch.box[((batch.first[m] + take) * BOX + X) * L + n]
                answers.take[i, c, t] = min(max(x, 0.0), homes.take_max[i, c, t])
            if give >= 0:
                x = batch.box[((batch.first[m] + give) * BOX + X) * L + n]
                answers.give[i, c, t] = min(max(x, 0.0), homes.give_max[i, c, t])


@nb.njit(cache=True, error_model="numpy")
def answer(
    chains: Chains, price: Array, target: Array, rho: float, before: float, homes: Homes, batch: Batch,
    answers: Answers, scratch: Scratch,
) -> None:  # fmt: skip
    """Answer for all homes of a batch; ``before`` is the penalty of the last answer, negative when there was none.

    The tolerance follows the movement of the signal; without a penalty, when the objective is a bound, it is tight.
    """
    movement, reached = np.zeros(L), scratch.reached
    for m in range(len(batch.at)):
        _signal(m, chains, price, target, rho, before, homes, batch, answers, movement)
        for n in range(L):
            i = batch.member[m * L + n]
            reached[n] = False
            scratch.tolerance[n] = TIGHT
            cold = before < 0.0 or answers.failed[i] or movement[n] > FAR * _value(i, homes)
            if cold:
                _start_cold(m, n, chains, homes, batch)
            else:
                _start_warm(m, n, movement[n], batch)
            if rho > 0.0 and not cold:
                follow = FOLLOWS * movement[n] / max(1.0, abs(answers.objective[i]))
                scratch.tolerance[n] = min(max(follow, TIGHT), LOOSE)
        iterate(chains, m, homes.dt, rho, batch, WARM_LIMIT, scratch)
        for n in range(L):
            answers.restarted[batch.member[m * L + n]] = not reached[n]
        if not reached.all():
            for n in range(L):
                if not reached[n]:
                    _start_cold(m, n, chains, homes, batch)
            iterate(chains, m, homes.dt, rho, batch, COLD_LIMIT, scratch)
        for n in range(L):
            i = batch.member[m * L + n]
            answers.failed[i], answers.objective[i] = not reached[n], scratch.lane[OBJECTIVE * L + n]
            _read(m, n, chains, homes, batch, answers)
            _finish(i, len(chains), rho, homes, answers)
