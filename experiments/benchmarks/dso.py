"""The DSO step: the nearest bus powers that a radial grid can carry, against PIQP on the sparse tree form.

500 buses, 96 steps, two homes at every bus; the targets settle from round to round as in a coordination. Both project
on the limits of the same linear grid: the differential of the power flow at no load, which on lines without charging is

    P_i = p_i + sum of P over the children,     v_i = v_parent + (r_i P_i + x_i Q_i) / v_0,     |v| within its limits

(Q likewise). Loadings are discs; ours cuts them where the answer leaves them, and the peer is given just the cuts that
ours holds in the round, without having to search for them. It is set up once for each step and gets a new linear cost
in every round.
``agreement`` is the largest difference of a bus power [kW, kvar].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import piqp
import scipy.sparse as sp
from numpy.typing import NDArray

from admmflex.comm import SerialComm
from admmflex.coordination.schemes import on_their_own
from admmflex.data.study import Study
from admmflex.dso import Dso
from admmflex.horizon import Array, BoolArray, IntArray
from experiments.benchmarks.common import Row, clock, versions
from experiments.benchmarks.synthetic import town
from grid import BRANCH
from grid.network import S_BASE_KVA, Network

BUSES, STEPS, ROUNDS, RHO = 500, 96, 10, 0.05
LOOSE = 2.0  # limit of a cut that our working set does not hold in a round


@dataclass(frozen=True)
class Cuts:
    """Cuts of the loading discs of one step: monitored ``end (M,)``, ``direction (M,)``, in which rounds ``(R, M)``."""

    end: IntArray
    direction: NDArray[np.complex128]
    used: BoolArray


@dataclass(frozen=True)
class Projected:
    """Points ``(R, K, 2 B)`` [kW, kvar], seconds ``(R,)``, cuts of every step, where a limit binds ``(R, K)``."""

    points: Array
    seconds: Array
    cuts: list[Cuts]
    binding: BoolArray


def rows() -> list[Row]:
    """Warm rounds, the first round, and a whole round of the DSO with its power flows."""
    return compare(town(2 * (BUSES - 2), BUSES, STEPS), ROUNDS)


def compare(study: Study, rounds: int) -> list[Row]:
    """The rows for one town."""
    targets, mobility = asked(study, rounds)
    ours(study, targets[:1], mobility)
    mine = ours(study, targets, mobility)
    theirs, each = peer(study, targets, mobility, mine.cuts)
    apart = float(np.abs(theirs - mine.points).max())
    size = f"{study.network.n} buses, {study.horizon.steps} steps"
    tool, used = "PIQP, sparse tree form", versions("numpy", "numba", "piqp")
    warm, all_steps = float(np.median(mine.seconds[1:])), float(np.median(each.sum(axis=1)))
    tight = float(np.median((each * mine.binding).sum(axis=1)))
    share = f"a limit binds in {int(mine.binding.max(axis=0).sum())} steps"
    whole = float(np.median(whole_rounds(study, targets, mobility)))
    answers = apart, "kW, kvar", used
    flows = "ours with two power flows and all rows linearised anew, peer without"
    return [
        Row(f"projection, {size}", warm, tool, all_steps, *answers, f"working set of the last round; {share}"),
        Row(f"projection, {size}", warm, f"{tool}, steps that bind only", tight, *answers, share),
        Row(f"first projection, {size}", float(mine.seconds[0]), tool, all_steps, *answers, "no row is known yet"),
        Row(f"round of the DSO, {size}", whole, tool, all_steps, *answers, flows),
    ]


def asked(study: Study, rounds: int) -> tuple[Array, Array]:
    """Targets ``(R, K, 2 B)``: what the homes want on their own, with noise that fades; mobility ``(K, 2 B)``."""
    rng = np.random.default_rng(study.seed)
    wish = on_their_own(study, SerialComm(), lambda record: None).plan.y
    position = study.network.positions([home.bus for home in study.prosumers])
    buses, bus = np.unique(position, return_inverse=True)
    sums = np.zeros((2, len(buses), study.horizon.steps))
    for part in (0, 1):
        np.add.at(sums[part], bus, wish[part])
    target = sums.reshape(-1, study.horizon.steps).T
    noise = rng.normal(size=(rounds, *target.shape))
    fading = 0.5 ** np.arange(rounds)
    mobility = np.tile(np.bincount(bus), 2) / RHO
    return target + fading[:, None, None] * noise, np.broadcast_to(mobility, target.shape).copy()


def new_dso(study: Study) -> Dso:
    """The DSO, linearised at no load."""
    buses = np.unique(study.network.positions([home.bus for home in study.prosumers]))
    dso = Dso(study.network, study.limits, buses, study.horizon.steps)
    dso.relinearise(np.zeros((study.horizon.steps, 2 * len(buses))))
    return dso


def ours(study: Study, targets: Array, mobility: Array) -> Projected:
    """All rounds at one linearisation."""
    dso, points, seconds, binding = new_dso(study), [], [], []
    cuts: list[dict[tuple[int, complex], list[int]]] = [{} for _ in range(study.horizon.steps)]
    for k, target in enumerate(targets):
        start = clock()
        point, price = dso.project(target, mobility)
        seconds.append(clock() - start)
        points.append(point)
        binding.append(price.any(axis=1))
        rows = dso.rows
        for r in np.flatnonzero(rows.kind == BRANCH):
            cuts[rows.step[r]].setdefault((int(rows.index[r]), complex(rows.direction[r])), []).append(k)
    by_step = []
    for own in cuts:
        used = np.zeros((len(targets), len(own)), np.bool_)
        for m, known in enumerate(own.values()):
            used[known, m] = True
        end, direction = (np.array([key[side] for key in own]) for side in (0, 1))
        by_step.append(Cuts(end.astype(np.int64), direction.astype(np.complex128), used))
    return Projected(np.array(points), np.array(seconds), by_step, np.array(binding))


def whole_rounds(study: Study, targets: Array, mobility: Array) -> list[float]:
    """Seconds of all but the first round: power flow, rows linearised anew, projection, check of the limits."""
    dso, seconds = new_dso(study), []
    point = dso.project(targets[0], mobility)[0]
    for target in targets[1:]:
        start = clock()
        dso.relinearise(point)
        point = dso.project(target, mobility)[0]
        dso.check(target)
        seconds.append(clock() - start)
    return seconds


def peer(study: Study, targets: Array, mobility: Array, cuts: list[Cuts]) -> tuple[Array, Array]:
    """Points ``(R, K, 2 B)`` of PIQP, and its seconds ``(R, K)``."""
    buses = new_dso(study).buses
    columns = np.concatenate([buses - 1, study.network.n - 1 + buses - 1])
    points, seconds = np.empty_like(targets), np.empty(targets.shape[:2])
    for step, own in enumerate(cuts):
        solver, linear = _set_up(study, columns, mobility[step], own)
        for k, target in enumerate(targets[:, step]):
            linear[columns] = -target / mobility[step]
            high = np.where(own.used[k], 1.0, LOOSE)
            start = clock()
            solver.update(c=linear, h_u=high)
            status = solver.solve()
            seconds[k, step] = clock() - start
            if status != piqp.PIQP_SOLVED:
                raise RuntimeError(f"PIQP: {status}")
            points[k, step] = solver.result.x[columns]
    return points, seconds


def _set_up(study: Study, columns: IntArray, mobility: Array, cuts: Cuts) -> tuple[piqp.SparseSolver, Array]:
    """The quadratic program of one step, over p, q, P, Q and v of all buses but the slack; and its linear cost."""
    network, n = study.network, study.network.n - 1
    weight, low, high = np.zeros(5 * n), np.full(5 * n, -np.inf), np.full(5 * n, np.inf)
    weight[columns] = 1.0 / mobility
    still = np.setdiff1d(np.arange(2 * n), columns)
    low[still] = high[still] = 0.0
    v_0 = abs(network.v_slack)
    low[4 * n :], high[4 * n :] = network.v_min[1:] - v_0, network.v_max[1:] - v_0
    solver = piqp.SparseSolver()
    solver.settings.verbose = False
    G, linear, A = _cut_rows(study, cuts), np.zeros(5 * n), tree_form(network)
    below, above = np.full(G.shape[0], -np.inf), np.ones(G.shape[0])
    solver.setup(sp.diags(weight).tocsc(), linear, A, np.zeros(3 * n), G, below, above, low, high)
    return solver, linear


def tree_form(network: Network) -> sp.csc_matrix:
    """Equations ``A x = 0`` of the linear power flow over p, q, P, Q [kW, kvar] and the voltage deviations v [pu]."""
    n, parent = network.n - 1, network.parent
    assert parent is not None
    bus = np.flatnonzero(parent[1:] > 0)
    child = sp.csc_matrix((np.ones(len(bus)), (parent[1:][bus] - 1, bus)), shape=(n, n))
    one, none = sp.identity(n), sp.csc_matrix((n, n))
    z = -1.0 / network.y_ft / (abs(network.v_slack) * S_BASE_KVA)
    r, x = sp.diags(z.real), sp.diags(z.imag)
    flow_p = [one, none, child - one, none, none]
    flow_q = [none, one, none, child - one, none]
    drop = [none, none, r, x, child.T - one]
    blocks = [sp.hstack(row) for row in (flow_p, flow_q, drop)]
    return sp.csc_matrix(sp.vstack(blocks))


def _cut_rows(study: Study, cuts: Cuts) -> sp.csc_matrix:
    """Rows ``Re(conj(u) loading) <= 1``: the current towards the slack is (P - jQ) / v_0, positive at the to end."""
    limits, n, count = study.limits, study.network.n - 1, len(cuts.end)
    own = limits.branch[cuts.end]
    rating = np.abs(study.network.y_ft[own] / limits.c_t[cuts.end])
    sign = np.where(limits.at_from[cuts.end], -1.0, 1.0) / (rating * abs(study.network.v_slack) * S_BASE_KVA)
    place = np.arange(count)
    P = sp.csc_matrix((sign * cuts.direction.real, (place, own)), shape=(count, n))
    Q = sp.csc_matrix((-sign * cuts.direction.imag, (place, own)), shape=(count, n))
    none = sp.csc_matrix((count, n))
    return sp.csc_matrix(sp.hstack([none, none, P, Q, none]))
