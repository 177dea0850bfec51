"""From a signal to the answers of homes with storages: starting points, iterations, exactly feasible powers (numba)."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.stores import Stores
from admmflex.response._batch import Batch, Scratch, iterate
from admmflex.response._interior import BOX, CHAIN, LEAN, MU, NU, OBJECTIVE, STEP, WIDTH, Z_LOW, Z_UP, Chains, X
from admmflex.response._lanes import L

TIGHT = 1e-9  # of the objective: tolerance of answers that have to be exact
FOLLOWS = 1e-3  # tolerance of the movement of the objective [EUR]
SHIFT, PUSH = 0.3, 2.0  # of the movement into complementarity; kW per square root of EUR away from a bound
FAR = 0.3  # of the value of one kW all day: a signal that moved further is answered from a cold start
WARM_LIMIT, COLD_LIMIT = 30, 80  # iterations
ROUNDING = 1e-13  # of the cost of a step: what differs less is equal


class Homes(NamedTuple):
    """Data of n homes as in ``StorageHomes.held()``."""

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
    stores: Stores


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
    answers: Answers, movement: Array, constant: Array,
) -> None:  # fmt: skip
    """Write the signal of group m, and how much it moved: sum_t dt |change of the marginal cost of power| [EUR/kW]."""
    K, C = len(homes.dt), len(chains)
    for n in range(L):
        i = batch.member[m * L + n]
        lam, z = price[0, homes.bus[i]], target[0, homes.rows[i]]
        moved = 0.0
        constant[n] = 0.0
        for t in range(K):
            lean = lam[t] + rho * z[t]
            constant[n] += 0.5 * homes.dt[t] * rho * z[t] * z[t]
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
            inverse = centre / (x * (width - x))
            box[(r * BOX + X) * L + n] = x
            box[(r * BOX + Z_LOW) * L + n] = max(box[(r * BOX + Z_LOW) * L + n], inverse * (width - x))
            box[(r * BOX + Z_UP) * L + n] = max(box[(r * BOX + Z_UP) * L + n], inverse * x)


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
def _generate(
    b: float, lean: float, rho: float, bought: float, sold: float, low: float, high: float, avail: float,
    shed_max: float, shed_cost: float,
) -> tuple[float, float, float]:  # fmt: skip
    """Best generation and shedding on top of power b, and what the step then costs [EUR/h]."""
    gen = min(max(_best(0.0, bought, sold, lean, rho, low, high) - b, 0.0), avail)
    shed = 0.0
    if shed_max > 0.0 and gen >= avail:
        shed = min(max(_best(shed_cost, bought, sold, lean, rho, low, high) - b - gen, 0.0), shed_max)
    p = b + gen + shed
    return gen, shed, (-sold if p > 0.0 else -bought) * p + p * (0.5 * rho * p - lean) + shed_cost * shed


@nb.njit(cache=True, error_model="numpy")
def _hold(
    take: float, give: float, rest: float, a: float, b: float, take_max: float, give_max: float, low: float, high: float
) -> tuple[float, float]:
    """The flows nearest to these with  low <= rest + a take - b give <= high."""
    over = rest + a * take - b * give - high
    if over > 0.0:
        cut = min(take, over / a)
        take -= cut
        give = min(give + max(over - a * cut, 0.0) / b, give_max)
    short = low - (rest + a * take - b * give)
    if short > 0.0:
        cut = min(give, short / b)
        give -= cut
        take = min(take + max(short - b * cut, 0.0) / a, take_max)
    return take, give


@nb.njit(cache=True, error_model="numpy")
def _roll(i: int, C: int, homes: Homes, answers: Answers) -> None:
    """Energies of home i along its flows, which give way where the band could not be held."""
    stores, dt = homes.stores, homes.dt
    for c in range(C):
        take, give, energy = answers.take[i, c], answers.give[i, c], answers.energy[i, c]
        take_max, give_max, low, high = (
            stores.take_max[i, c], stores.give_max[i, c], stores.e_min[i, c], stores.e_max[i, c]
        )  # fmt: skip
        eta_take, eta_give, keep, gain = (
            stores.eta_take[i, c], stores.eta_give[i, c], stores.keep[i, c], stores.gain[i, c]
        )  # fmt: skip
        e = stores.e_start[i, c]
        for t in range(len(dt)):
            a, b, rest = dt[t] * eta_take[t], dt[t] / eta_give[t], keep[t] * e + gain[t]
            take[t], give[t] = _hold(take[t], give[t], rest, a, b, take_max[t], give_max[t], low[t], high[t])
            e = rest + a * take[t] - b * give[t]
            energy[t] = e


@nb.njit(cache=True, error_model="numpy")
def _finish(i: int, C: int, rho: float, homes: Homes, answers: Answers) -> None:
    """Exactly feasible powers of home i from nearly feasible flows.

    Generation follows the storages; taking and giving at once is undone where that does not cost more.
    """
    _roll(i, C, homes, answers)
    take, give = answers.take[i], answers.give[i]
    lean, gens, sheds, power = answers.lean[i], answers.gen[i], answers.shed[i], answers.p[i]
    bought, sold, fixed, avail = homes.bought[i], homes.sold[i], homes.fixed_p[i], homes.avail[i]
    shed_max, shed_cost = homes.shed_max[i], homes.shed_cost[i]
    low, high = -homes.import_limit[i], homes.export_limit[i]
    eta_take, eta_give = homes.stores.eta_take[i], homes.stores.eta_give[i]
    take_cost, give_cost = homes.stores.take_cost[i], homes.stores.give_cost[i]
    for t in range(len(power)):
        b = fixed[t]
        for c in range(C):
            b += give[c, t] - take[c, t]
        gen, shed, cost = _generate(
            b, lean[t], rho, bought[t], sold[t], low, high, avail[t], shed_max[t], shed_cost[t]
        )  # fmt: skip
        for c in range(C):
            if take[c, t] <= 0.0 or give[c, t] <= 0.0:
                continue
            cycle = eta_take[c, t] * eta_give[c, t]
            less = min(take[c, t], give[c, t] / cycle)
            calm = b + less * (1.0 - cycle)
            calm_gen, calm_shed, calm_cost = _generate(
                calm, lean[t], rho, bought[t], sold[t], low, high, avail[t], shed_max[t], shed_cost[t]
            )  # fmt: skip
            calm_cost -= less * (take_cost[c, t] + cycle * give_cost[c, t])
            if calm_cost <= cost + ROUNDING * (1.0 + abs(cost)) and calm <= high:
                take[c, t], give[c, t] = max(take[c, t] - less, 0.0), max(give[c, t] - cycle * less, 0.0)
                b, gen, shed, cost = calm, calm_gen, calm_shed, calm_cost
        gens[t], sheds[t] = gen, shed
        b = fixed[t] + gen + shed
        for c in range(C):
            b += give[c, t] - take[c, t]
        power[t] = b


@nb.njit(cache=True, error_model="numpy")
def _read(m: int, chains: Chains, homes: Homes, batch: Batch, answers: Answers) -> None:
    """Flows and multipliers of group m."""
    K, C = len(homes.dt), len(chains)
    box, step, at, first, stores = batch.box, batch.step, batch.at[m], batch.first[m], homes.stores
    for n in range(L):
        i = batch.member[m * L + n]
        lean, nu = answers.lean[i], answers.nu[i]
        for t in range(K):
            s = (m * K + t) * (STEP + CHAIN * C)
            lean[t], nu[t] = step[(s + LEAN) * L + n], step[(s + NU) * L + n]
        for c in range(C):
            mu, take, give = answers.mu[i, c], answers.take[i, c], answers.give[i, c]
            take_min, give_min = stores.take_min[i, c], stores.give_min[i, c]
            take_max, give_max = stores.take_max[i, c], stores.give_max[i, c]
            for t in range(K):
                mu[t] = step[((m * K + t) * (STEP + CHAIN * C) + STEP + CHAIN * c + MU) * L + n]
                r_take, r_give = at[t * (3 * C + 4) + c], at[t * (3 * C + 4) + C + c]
                take[t], give[t] = take_min[t], give_min[t]
                if r_take >= 0:
                    take[t] = min(take_min[t] + max(box[((first + r_take) * BOX + X) * L + n], 0.0), take_max[t])
                if r_give >= 0:
                    give[t] = min(give_min[t] + max(box[((first + r_give) * BOX + X) * L + n], 0.0), give_max[t])


@nb.njit(cache=True, error_model="numpy")
def answer(
    chains: Chains, price: Array, target: Array, rho: float, before: float, homes: Homes, batch: Batch,
    answers: Answers, scratch: Scratch, loosest: float,
) -> None:  # fmt: skip
    """Answer for all homes of a batch; ``before`` is the penalty of the last answer, negative when there was none.

    The tolerance follows the movement of the signal up to the loosest one; without a penalty, when the objective is a
    bound, it is tight.
    """
    movement, reached = np.zeros(L), scratch.reached
    for m in range(len(batch.at)):
        _signal(m, chains, price, target, rho, before, homes, batch, answers, movement, scratch.constant)
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
                scratch.tolerance[n] = min(max(follow, TIGHT), loosest)
        iterate(chains, m, homes.dt, rho, batch, WARM_LIMIT, scratch)
        for n in range(L):
            answers.restarted[batch.member[m * L + n]] = not reached[n]
        if not reached.all():
            for n in range(L):
                if not reached[n]:
                    _start_cold(m, n, chains, homes, batch)
            iterate(chains, m, homes.dt, rho, batch, COLD_LIMIT, scratch)
        _read(m, chains, homes, batch, answers)
        for n in range(L):
            i = batch.member[m * L + n]
            answers.failed[i], answers.objective[i] = not reached[n], scratch.lane[OBJECTIVE * L + n]
            _finish(i, len(chains), rho, homes, answers)
