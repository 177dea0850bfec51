"""All homes of a rank, one after the other: stages, chain, and what the assets do (numba, called by chain.py only)."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.response._chain import backward, forward
from admmflex.response._reactive import curtail, edge_value, reactive_polyline
from admmflex.response._stage import breakpoints, general_side, home_kinks, plain_side, restrict, top_level

LOAD_P, LOAD_Q, AVAIL, IMPORT, EXPORT, TAKE_MAX, GIVE_MAX = 0, 1, 2, 3, 4, 5, 6
C_GIVE, M_GIVE, G_GIVE, C_TAKE, M_TAKE, G_TAKE, KAPPA, BURN = 7, 8, 9, 10, 11, 12, 13, 14
LO, HI, REF, SCALE, GEN_Q, STORE_Q = 15, 16, 17, 18, 19, 20
ROWS = 21


class Data(NamedTuple):
    """Constant data of n homes; ``index`` (n, ROWS) points into the profiles ``table``.

    C, M, G: mu = C - M Phi', w = -G b when giving and taking; KAPPA: level above which burning pays; BURN: energy per power burnt;
    LO, HI: bounds of x where e = REF + SCALE x, so that the chain itself has no losses at standstill.
    """

    dt: Array
    table: Array
    index: IntArray
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


class Answers(NamedTuple):
    """Inner trajectories (n, K) of the last answer, the multipliers of the stored energy, and how each home was answered."""

    gen: Array
    give: Array
    take: Array
    energy: Array
    gen_q: Array
    store_q: Array
    mu: Array
    short: Array
    coupled: BoolArray


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


@nb.njit(cache=True, error_model="numpy", inline="always")
def _share(level, rho, cheap_cost, dear_cost, cheap_max, dear_max):
    """Reactive power of two sources in merit order: min rho/2 (u1 + u2)^2 - level (u1 + u2) + costs, 0 <= u <= max."""
    if rho > 0.0:
        cheap = min(max((level - cheap_cost) / rho, 0.0), cheap_max)
        dear = min(max((level - dear_cost) / rho - cheap, 0.0), dear_max)
        return cheap, dear
    return cheap_max if level > cheap_cost else 0.0, dear_max if level > dear_cost else 0.0


@nb.njit(cache=True, error_model="numpy", inline="always")
def _reactive(i, t, zq, lam_q, rho, data, gen_max, store_max, ans, out):
    """Set the reactive powers of one step within gen_max and store_max."""
    load = data.table[data.index[i, LOAD_Q], t]
    level = rho * (zq + load) + lam_q
    sign = 1.0 if level >= 0.0 else -1.0
    gen_cost, store_cost = data.gen_cost[i], data.store_cost[i]
    if gen_cost <= store_cost:
        gen, store = _share(abs(level), rho, gen_cost, store_cost, gen_max, store_max)
    else:
        store, gen = _share(abs(level), rho, store_cost, gen_cost, store_max, gen_max)
    ans.gen_q[i, t] = sign * gen
    ans.store_q[i, t] = sign * store
    out[1, data.rows[i], t] = sign * (gen + store) - load
    return gen, store


@nb.njit(cache=True, error_model="numpy")
def _coupled_polyline(i, t, below, above, price, target, rho, data, work):
    """Polyline of a step where the reactive power wanted may exceed what an inverter polygon leaves; 0 vertices if it cannot."""
    index, table = data.index, data.table
    row, bus = data.rows[i], data.bus[i]
    avail = table[index[i, AVAIL], t]
    take, give = table[index[i, TAKE_MAX], t], table[index[i, GIVE_MAX], t]
    gen_cap, store_cap = table[index[i, GEN_Q], t], table[index[i, STORE_Q], t]
    ng, ns = data.gen_knots[i], data.store_knots[i]
    level = abs(rho * (target[1, row, t] + table[index[i, LOAD_Q], t]) + price[1, bus, t]) - data.gen_cost[i]
    gx, gy, sx, sy = data.gen_power[i], data.gen_value[i], data.store_power[i], data.store_value[i]
    least = min(edge_value(0.0, gx, gy, ng, gen_cap), edge_value(avail, gx, gy, ng, gen_cap))
    least += min(edge_value(-take, sx, sy, ns, store_cap), edge_value(give, sx, sy, ns, store_cap))
    if level <= rho * least:
        return 0
    return reactive_polyline(
        table[index[i, LOAD_P], t], avail, below, above, rho, level, gx, gy, ng, gen_cap, sx, sy, ns, store_cap,
        take, give, work.polygon[0], work.polygon[1],
    )  # fmt: skip


@nb.njit(cache=True, error_model="numpy")
def _stages(i, price, target, rho, coupled, data, work):
    """Build the points of every stage of home i."""
    table, index = data.table, data.index
    row, bus = data.rows[i], data.bus[i]
    first, kept = work.first, work.kept
    x, jump, slope = work.points[0], work.points[1], work.points[2]
    vertex_mu, vertex_w, vertex_b = work.vertices[0], work.vertices[1], work.vertices[2]
    kink_b, kink_d, poly_b, poly_d = work.polygon[2], work.polygon[3], work.polygon[0], work.polygon[1]
    w_low, w_high = work.steps[0], work.steps[1]
    at = 0
    stored = 0
    first[0] = 0
    kept[0] = 0
    for t in range(data.dt.shape[0]):
        lean = price[0, bus, t] + rho * target[0, row, t]
        below = -table[index[i, IMPORT], t] - lean
        above = -table[index[i, EXPORT], t] - lean
        take, give = table[index[i, TAKE_MAX], t], table[index[i, GIVE_MAX], t]
        cd, md, gd = table[index[i, C_GIVE], t], table[index[i, M_GIVE], t], table[index[i, G_GIVE], t]
        cc, mc, gc = table[index[i, C_TAKE], t], table[index[i, M_TAKE], t], table[index[i, G_TAKE], t]
        kappa = table[index[i, KAPPA], t]
        k = 0
        if take + give <= 0.0:
            w_low[t] = 0.0
            w_high[t] = 0.0
        else:
            n = _coupled_polyline(i, t, below, above, price, target, rho, data, work) if coupled else 0
            if n == 0:
                home_kinks(table[index[i, LOAD_P], t], table[index[i, AVAIL], t], below, above, rho, kink_b, kink_d)
                if top_level(give, rho, kink_b, kink_d) > kappa:
                    n = restrict(give, -take, rho, kink_b, kink_d, poly_b, poly_d)
            if n == 0:
                if give > 0.0:
                    k = plain_side(give, 0.0, cd, md, gd, rho, kink_b, kink_d, vertex_mu, vertex_w, k)
                if take > 0.0:
                    k = plain_side(0.0, -take, cc, mc, gc, rho, kink_b, kink_d, vertex_mu, vertex_w, k)
            else:
                k = general_side(
                    n, poly_b, poly_d, give, take, cd, md, gd, cc, mc, gc, kappa, vertex_mu, vertex_w, vertex_b
                )
                if poly_d[0] > kappa:
                    for j in range(k):
                        work.curve[0, stored + j] = vertex_w[j]
                        work.curve[1, stored + j] = vertex_b[j]
                    stored += k
            w_low[t] = vertex_w[0]
            w_high[t] = max(vertex_w[0], vertex_w[k - 1])
            at = breakpoints(k, vertex_mu, vertex_w, x, jump, slope, at)
        first[t + 1] = at
        kept[t + 1] = stored


@nb.njit(cache=True, error_model="numpy", inline="always")
def _burnt(w, first, last, curve, give_gain, take_gain, burn_gain):
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
def _assets(i, price, target, rho, coupled, data, ans, work, out):
    """What the assets of home i do at the moves found; returns whether the reactive powers fit the polygons."""
    table, index = data.table, data.index
    row, bus = data.rows[i], data.bus[i]
    move, kept = work.steps[4], work.kept
    edged = data.gen_knots[i] + data.store_knots[i] > 0
    fits = True
    x = 0.0
    for t in range(data.dt.shape[0]):
        w = move[t]
        x += w
        ans.energy[i, t] = table[index[i, REF], t] + table[index[i, SCALE], t] * x
        gd, gc = table[index[i, G_GIVE], t], table[index[i, G_TAKE], t]
        burnt = 0.0
        if kept[t + 1] > kept[t]:
            b, burnt = _burnt(w, kept[t], kept[t + 1], work.curve, gd, gc, table[index[i, BURN], t])
        elif w < 0.0:
            b = min(-w / gd, table[index[i, GIVE_MAX], t])
        elif w > 0.0:
            b = max(-w / gc, -table[index[i, TAKE_MAX], t])
        else:
            b = 0.0
        ans.give[i, t] = max(b, 0.0) + burnt
        ans.take[i, t] = max(-b, 0.0) + burnt
        load, avail = table[index[i, LOAD_P], t], table[index[i, AVAIL], t]
        gen_max, store_max = table[index[i, GEN_Q], t], table[index[i, STORE_Q], t]
        lean = price[0, bus, t] + rho * target[0, row, t]
        below = -table[index[i, IMPORT], t] - lean
        above = -table[index[i, EXPORT], t] - lean
        if edged:
            ng = data.gen_knots[i]
            gx, gy = data.gen_power[i], data.gen_value[i]
            store_max = edge_value(b, data.store_power[i], data.store_value[i], data.store_knots[i], store_max)
        y = 0.0
        if edged and coupled:
            level = abs(rho * (target[1, row, t] + table[index[i, LOAD_Q], t]) + price[1, bus, t]) - data.gen_cost[i]
            y = curtail(b - load, avail, below, above, rho, level - rho * store_max, gx, gy, ng, gen_max)[0]
        else:
            if above < 0.0:
                best = -above / rho if rho > 0.0 else np.inf
            elif below > 0.0:
                best = -below / rho if rho > 0.0 else -np.inf
            else:
                best = 0.0
            y = min(max(best - (b - load), 0.0), avail)
        ans.gen[i, t] = y
        out[0, row, t] = b - load + y
        if edged:
            gen_max = edge_value(y, gx, gy, ng, gen_max)
        gen, store = _reactive(i, t, target[1, row, t], price[1, bus, t], rho, data, gen_max, store_max, ans, out)
        if edged and not coupled:
            wanted = abs(rho * (target[1, row, t] + table[index[i, LOAD_Q], t]) + price[1, bus, t]) - data.gen_cost[i]
            fits &= wanted <= max(0.0, rho * (gen_max + store_max))
    return fits


@nb.njit(cache=True, error_model="numpy")
def solve(price, target, rho, data, ans, work, out):
    """Answer for all homes; a home with polygons is first tried without them, which is exact when its answer fits them."""
    steps = work.steps
    for i in range(data.rows.shape[0]):
        for attempt in range(2):
            coupled = attempt == 1
            _stages(i, price, target, rho, coupled, data, work)
            lo, hi = data.table[data.index[i, LO]], data.table[data.index[i, HI]]
            ans.short[i] = forward(
                work.first, steps[0], steps[1], work.points[0], work.points[1], work.points[2], lo, hi,
                work.sorted[0], work.sorted[1], work.sorted[2], steps[2], steps[3],
            )  # fmt: skip
            backward(
                data.end_value[i], work.first, steps[0], steps[1], work.points[0], work.points[1], work.points[2],
                lo, hi, steps[2], steps[3], ans.mu[i], steps[4], steps[5], steps[6], steps[7],
            )  # fmt: skip
            ans.coupled[i] = coupled
            if _assets(i, price, target, rho, coupled, data, ans, work, out):
                break


@nb.njit(cache=True, error_model="numpy")
def own_cost(p, gen_q, store_q, give, take, energy, data, out):
    """Tariff, wear and reactive power minus the value of the final energy, per home."""
    table, index = data.table, data.index
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
