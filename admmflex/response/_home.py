"""All homes of a rank, one after the other: multipliers of the energy, then what the assets do (numba)."""

from __future__ import annotations

import numba as nb
import numpy as np

from admmflex.horizon import Array
from admmflex.response._chain import backward, forward
from admmflex.response._data import (
    AVAIL,
    BURN,
    C_GIVE,
    C_TAKE,
    EXPORT,
    G_GIVE,
    G_TAKE,
    GEN_Q,
    GIVE_MAX,
    HI,
    I_GIVE,
    I_TAKE,
    IMPORT,
    KAPPA,
    LO,
    LOAD_P,
    LOAD_Q,
    M_GIVE,
    M_TAKE,
    REF,
    SCALE,
    STORE_Q,
    TAKE_MAX,
    Answers,
    Data,
    Work,
)
from admmflex.response._reactive import curtail, edge_value, reactive_polyline
from admmflex.response._segments import Stage, burns, levels, meetings, solve_segments
from admmflex.response._stage import breakpoints, general_side, home_kinks, jumps, plain_side, restrict, top_level

UNBOUNDED = 1e300
"""Power per price without a penalty: any price that is not zero moves as much as is possible."""


@nb.njit(cache=True, error_model="numpy")
def _share(
    level: float, rho: float, cheap_cost: float, dear_cost: float, cheap_max: float, dear_max: float,
) -> tuple[float, float]:  # fmt: skip
    """Reactive power of two sources in merit order: min rho/2 (u1 + u2)^2 - level (u1 + u2) + costs, 0 <= u <= max."""
    if rho > 0.0:
        cheap = min(max((level - cheap_cost) / rho, 0.0), cheap_max)
        dear = min(max((level - dear_cost) / rho - cheap, 0.0), dear_max)
        return cheap, dear
    return cheap_max if level > cheap_cost else 0.0, dear_max if level > dear_cost else 0.0


@nb.njit(cache=True, error_model="numpy")
def _reactive(
    i: int, price: Array, target: Array, rho: float, gen_max: Array, store_max: Array, data: Data, ans: Answers,
    out: Array,
) -> None:  # fmt: skip
    """Set the reactive powers of home i within gen_max and store_max (K,)."""
    row = data.rows[i]
    load, lam, z = data.table[data.place[i, LOAD_Q]], price[1, data.bus[i]], target[1, row]
    q, gen_q, store_q = out[1, row], ans.gen_q[i], ans.store_q[i]
    gen_cost, store_cost = data.gen_cost[i], data.store_cost[i]
    for t in range(load.shape[0]):
        level = rho * (z[t] + load[t]) + lam[t]
        if gen_cost <= store_cost:
            gen, store = _share(abs(level), rho, gen_cost, store_cost, gen_max[t], store_max[t])
        else:
            store, gen = _share(abs(level), rho, store_cost, gen_cost, store_max[t], gen_max[t])
        sign = 1.0 if level >= 0.0 else -1.0
        gen_q[t] = sign * gen
        store_q[t] = sign * store
        q[t] = sign * (gen + store) - load[t]


@nb.njit(cache=True, error_model="numpy")
def _couple(
    i: int, price: Array, target: Array, rho: float, coupled: bool, data: Data, ans: Answers, work: Work,
    out: Array,
) -> bool:  # fmt: skip
    """Limits of the reactive powers of home i at its powers, curtailed for them if asked; whether the wish fits."""
    table, index, row = data.table, data.place, data.rows[i]
    load, avail, load_q = table[index[i, LOAD_P]], table[index[i, AVAIL]], table[index[i, LOAD_Q]]
    bought, sold, gen_box, store_box = (
        table[index[i, IMPORT]], table[index[i, EXPORT]], table[index[i, GEN_Q]], table[index[i, STORE_Q]]
    )  # fmt: skip
    gx, gy, ng = data.gen_power[i], data.gen_value[i], data.gen_knots[i]
    sx, sy, ns = data.store_power[i], data.store_value[i], data.store_knots[i]
    gen_max, store_max, gen = work.steps[8], work.steps[9], ans.gen[i]
    fits = True
    for t in range(load.shape[0]):
        b = ans.give[i, t] - ans.take[i, t]
        level = abs(rho * (target[1, row, t] + load_q[t]) + price[1, data.bus[i], t]) - data.cheapest[i]
        store_max[t] = edge_value(b, sx, sy, ns, store_box[t])
        if coupled:
            lean = price[0, data.bus[i], t] + rho * target[0, row, t]
            gen[t] = curtail(
                b - load[t], avail[t], -bought[t] - lean, -sold[t] - lean, rho, level - rho * store_max[t],
                gx, gy, ng, gen_box[t],
            )[0]  # fmt: skip
            out[0, row, t] = b - load[t] + gen[t]
        gen_max[t] = edge_value(gen[t], gx, gy, ng, gen_box[t])
        fits &= level <= max(0.0, rho * (gen_max[t] + store_max[t]))
    return fits


@nb.njit(cache=True, error_model="numpy")
def _coupled_polyline(
    i: int, t: int, below: float, above: float, price: Array, target: Array, rho: float, data: Data, work: Work,
) -> int:  # fmt: skip
    """Polyline of a step whose reactive power may exceed what the polygons leave; 0 vertices if it cannot."""
    index, table = data.place, data.table
    avail, load_q = table[index[i, AVAIL], t], table[index[i, LOAD_Q], t]
    take, give = table[index[i, TAKE_MAX], t], table[index[i, GIVE_MAX], t]
    gen_box, store_box = table[index[i, GEN_Q], t], table[index[i, STORE_Q], t]
    gx, gy, ng = data.gen_power[i], data.gen_value[i], data.gen_knots[i]
    sx, sy, ns = data.store_power[i], data.store_value[i], data.store_knots[i]
    level = abs(rho * (target[1, data.rows[i], t] + load_q) + price[1, data.bus[i], t]) - data.cheapest[i]
    least = min(edge_value(0.0, gx, gy, ng, gen_box), edge_value(avail, gx, gy, ng, gen_box))
    least += min(edge_value(-take, sx, sy, ns, store_box), edge_value(give, sx, sy, ns, store_box))
    if level <= rho * least:
        return 0
    n: int = reactive_polyline(
        table[index[i, LOAD_P], t], avail, below, above, rho, level, gx, gy, ng, gen_box, sx, sy, ns, store_box,
        take, give, work.polygon[0], work.polygon[1],
    )  # fmt: skip
    return n


@nb.njit(cache=True, error_model="numpy")
def _stages(i: int, price: Array, target: Array, rho: float, coupled: bool, data: Data, work: Work) -> None:
    """Build the points of every stage of home i."""
    table, index = data.table, data.place
    lam, z = price[0, data.bus[i]], target[0, data.rows[i]]
    load, avail, bought, sold = (
        table[index[i, LOAD_P]], table[index[i, AVAIL]], table[index[i, IMPORT]], table[index[i, EXPORT]]
    )  # fmt: skip
    give_max, c_give, m_give, g_give = (
        table[index[i, GIVE_MAX]], table[index[i, C_GIVE]], table[index[i, M_GIVE]], table[index[i, G_GIVE]]
    )  # fmt: skip
    take_max, c_take, m_take, g_take = (
        table[index[i, TAKE_MAX]], table[index[i, C_TAKE]], table[index[i, M_TAKE]], table[index[i, G_TAKE]]
    )  # fmt: skip
    kappa = table[index[i, KAPPA]]
    first, kept, w_low, w_high = work.first, work.kept, work.steps[0], work.steps[1]
    x, jump, slope = work.points[0], work.points[1], work.points[2]
    mu, w, net = work.vertices[0], work.vertices[1], work.vertices[2]
    poly_b, poly_d, kink_b, kink_d = work.polygon[0], work.polygon[1], work.polygon[2], work.polygon[3]
    at = 0
    stored = 0
    for t in range(load.shape[0]):
        first[t] = at
        kept[t] = stored
        w_low[t] = 0.0
        w_high[t] = 0.0
        give, take = give_max[t], take_max[t]
        if give <= 0.0 and take <= 0.0:
            continue
        lean = lam[t] + rho * z[t]
        below = -bought[t] - lean
        above = -sold[t] - lean
        if rho == 0.0 and not coupled and above <= kappa[t]:
            w_low[t], w_high[t] = -g_give[t] * give, g_take[t] * take
            at = jumps(
                below, above, load[t], avail[t], give, take, c_give[t], m_give[t], g_give[t], c_take[t], m_take[t],
                g_take[t], x, jump, slope, at,
            )  # fmt: skip
            continue
        n = _coupled_polyline(i, t, below, above, price, target, rho, data, work) if coupled else 0
        if n == 0:
            home_kinks(load[t], avail[t], below, above, rho, kink_b, kink_d)
            if top_level(give, rho, kink_b, kink_d) > kappa[t]:
                n = restrict(give, -take, rho, kink_b, kink_d, poly_b, poly_d)
        k = 0
        if n == 0:
            if give > 0.0:
                k = plain_side(give, 0.0, c_give[t], m_give[t], g_give[t], rho, kink_b, kink_d, mu, w, k)
            if take > 0.0:
                k = plain_side(0.0, -take, c_take[t], m_take[t], g_take[t], rho, kink_b, kink_d, mu, w, k)
        else:
            k = general_side(
                n, poly_b, poly_d, give, take, c_give[t], m_give[t], g_give[t], c_take[t], m_take[t], g_take[t],
                kappa[t], mu, w, net,
            )  # fmt: skip
            if poly_d[0] > kappa[t]:
                for j in range(k):
                    work.curve[0, stored + j] = w[j]
                    work.curve[1, stored + j] = net[j]
                stored += k
        w_low[t] = w[0]
        w_high[t] = max(w[0], w[k - 1])
        at = breakpoints(k, mu, w, x, jump, slope, at)
    first[load.shape[0]] = at
    kept[load.shape[0]] = stored


@nb.njit(cache=True, error_model="numpy")
def _burnt(
    w: float, first: int, last: int, curve: Array, give_gain: float, take_gain: float, burn_gain: float,
) -> tuple[float, float]:  # fmt: skip
    """Net power and power burnt of a stage whose curve was kept, at energy w."""
    k = first
    while k < last - 2 and curve[0, k + 1] < w:
        k += 1
    b = curve[1, k]
    rise = curve[0, k + 1] - curve[0, k]
    if rise > 0.0:
        b += min(max((w - curve[0, k]) / rise, 0.0), 1.0) * (curve[1, k + 1] - b)
    clean = -give_gain * b if b > 0.0 else -take_gain * b
    return b, max(0.0, (clean - w) / burn_gain)


@nb.njit(cache=True, error_model="numpy")
def _storage_powers(i: int, data: Data, ans: Answers, work: Work) -> None:
    """Energies, and powers of taking and giving, of home i at the moves found."""
    table, index = data.table, data.place
    g_give, g_take, burn = table[index[i, G_GIVE]], table[index[i, G_TAKE]], table[index[i, BURN]]
    give_max, take_max = table[index[i, GIVE_MAX]], table[index[i, TAKE_MAX]]
    ref, scale = table[index[i, REF]], table[index[i, SCALE]]
    give, take, energy = ans.give[i], ans.take[i], ans.energy[i]
    move, kept = work.steps[4], work.kept
    for t in range(np.uint64(move.shape[0])):
        w, gain, spent = move[t], g_give[t], g_take[t]
        b = min(max(-w / (gain if w < 0.0 else spent), -take_max[t]), give_max[t])
        give[t] = max(b, 0.0)
        take[t] = max(-b, 0.0)
    x = 0.0
    for t in range(move.shape[0]):
        x += move[t]
        energy[t] = ref[t] + scale[t] * x
    if kept[move.shape[0]] == 0:
        return
    for t in range(move.shape[0]):
        if kept[t + 1] > kept[t]:
            b, burnt = _burnt(move[t], kept[t], kept[t + 1], work.curve, g_give[t], g_take[t], burn[t])
            give[t] = max(b, 0.0) + burnt
            take[t] = max(-b, 0.0) + burnt


@nb.njit(cache=True, error_model="numpy")
def _generate(i: int, price: Array, target: Array, rho: float, data: Data, ans: Answers, out: Array) -> None:
    """Generation and power of home i on top of its storage."""
    table, index = data.table, data.place
    lam, z, p = price[0, data.bus[i]], target[0, data.rows[i]], out[0, data.rows[i]]
    load, avail, bought, sold = (
        table[index[i, LOAD_P]], table[index[i, AVAIL]], table[index[i, IMPORT]], table[index[i, EXPORT]]
    )  # fmt: skip
    gen, give, take = ans.gen[i], ans.give[i], ans.take[i]
    inverse = 1.0 / rho if rho > 0.0 else UNBOUNDED
    for t in range(np.uint64(load.shape[0])):
        lean = lam[t] + rho * z[t]
        best = (max(sold[t] + lean, 0.0) + min(bought[t] + lean, 0.0)) * inverse
        rest = give[t] - take[t] - load[t]
        power = min(max(best - rest, 0.0), avail[t])
        gen[t] = power
        p[t] = rest + power


@nb.njit(cache=True, error_model="numpy")
def _quick(i: int, price: Array, target: Array, rho: float, data: Data, ans: Answers, work: Work) -> bool:
    """Try the segments of the last answer; whether they lead to a proven optimum."""
    if rho <= 0.0 or not data.steady[i]:
        return False
    table, index, above, below = data.table, data.place, work.steps[0], work.steps[1]
    levels(
        price[0, data.bus[i]], target[0, data.rows[i]], rho, table[index[i, IMPORT]], table[index[i, EXPORT]],
        above, below,
    )  # fmt: skip
    stage = Stage(
        above, below, table[index[i, LOAD_P]], table[index[i, AVAIL]], table[index[i, GIVE_MAX]],
        table[index[i, TAKE_MAX]], table[index[i, C_GIVE]], table[index[i, I_GIVE]], table[index[i, G_GIVE]],
        table[index[i, C_TAKE]], table[index[i, I_TAKE]], table[index[i, G_TAKE]],
    )  # fmt: skip
    for t in range(work.kept.shape[0]):
        work.kept[t] = 0
    found = solve_segments(
        table[index[i, LO]], table[index[i, HI]], data.end_value[i], ans.meets[i], ans.mu[i], 1.0 / rho, stage,
        data.jump[i, 0], data.jump[i, 1], work.steps[4], work.steps[5],
    )  # fmt: skip
    return found and not burns(ans.mu[i], rho, stage, table[index[i, KAPPA]])


@nb.njit(cache=True, error_model="numpy")
def _sweep(
    i: int, price: Array, target: Array, rho: float, coupled: bool, data: Data, ans: Answers, work: Work,
) -> None:  # fmt: skip
    """Moves and multipliers of home i by the chain."""
    x, jump, slope, steps = work.points[0], work.points[1], work.points[2], work.steps
    sorted_x, sorted_jump, sorted_slope = work.sorted[0], work.sorted[1], work.sorted[2]
    lo, hi = data.table[data.place[i, LO]], data.table[data.place[i, HI]]
    _stages(i, price, target, rho, coupled, data, work)
    forward(
        work.first, steps[0], steps[1], x, jump, slope, lo, hi, sorted_x, sorted_jump, sorted_slope, steps[2], steps[3]
    )
    backward(
        data.end_value[i], work.first, steps[0], steps[1], x, jump, slope, lo, hi, steps[2], steps[3],
        ans.mu[i], steps[4], steps[5], steps[6], steps[7],
    )  # fmt: skip
    meetings(lo, hi, data.end_value[i], ans.mu[i], ans.meets[i])


@nb.njit(cache=True, error_model="numpy")
def solve(price: Array, target: Array, rho: float, data: Data, ans: Answers, work: Work, out: Array) -> None:
    """Answer for all homes; a home with polygons is first tried without them, which is exact when its answer fits."""
    for i in range(data.rows.shape[0]):
        edged = data.gen_knots[i] + data.store_knots[i] > 0
        coupled, done = False, False
        while not done:
            if not data.still[i]:
                ans.swept[i] = coupled or not _quick(i, price, target, rho, data, ans, work)
                if ans.swept[i]:
                    _sweep(i, price, target, rho, coupled, data, ans, work)
                _storage_powers(i, data, ans, work)
            _generate(i, price, target, rho, data, ans, out)
            ans.coupled[i] = coupled
            done = not edged or _couple(i, price, target, rho, coupled, data, ans, work, out) or coupled
            coupled = True
        gen_max, store_max = data.table[data.place[i, GEN_Q]], data.table[data.place[i, STORE_Q]]
        if edged:
            gen_max, store_max = work.steps[8], work.steps[9]
        _reactive(i, price, target, rho, gen_max, store_max, data, ans, out)


@nb.njit(cache=True, error_model="numpy")
def own_cost(
    p: Array, gen_q: Array, store_q: Array, give: Array, take: Array, energy: Array, data: Data, out: Array,
) -> None:  # fmt: skip
    """Tariff, wear and reactive power minus the value of the final energy, per home."""
    table, index = data.table, data.place
    last = data.dt.shape[0] - 1
    for i in range(out.shape[0]):
        total = 0.0
        for t in range(last + 1):
            here = p[i, t]
            cost = -table[index[i, EXPORT], t] * here if here > 0.0 else -table[index[i, IMPORT], t] * here
            cost += table[data.wear[i, 0], t] * take[i, t] + table[data.wear[i, 1], t] * give[i, t]
            cost += data.gen_cost[i] * abs(gen_q[i, t]) + data.store_cost[i] * abs(store_q[i, t])
            total += data.dt[t] * cost
        out[i] = total - data.end_value[i] / table[index[i, SCALE], last] * energy[i, last]
