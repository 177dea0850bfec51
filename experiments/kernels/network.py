"""The kernels of the grid: power flow, differential, gradients, the projection of the DSO."""

from __future__ import annotations

import numba as nb
import numpy as np

import grid
from admmflex.dso import _project
from admmflex.horizon import Array, IntArray
from experiments.benchmarks.dso import asked, new_dso
from experiments.benchmarks.synthetic import town
from experiments.kernels.work import F, Work
from grid import _tree, _tree_gradients, _tree_linear
from grid._tree import LANES
from grid._tree_gradients import TOGETHER
from grid.network import S_BASE_KVA, Network

BUSES, STEPS, DAY = 130, 3072, 96
SWEEPS = 4
TURNS = 500

TO_ROOT, TO_LEAVES = (8, 4), (32, 10)  # operations and numbers moved, per bus and step
FACTOR, SOLVE = (28, 12), (50, 28)
DESCENT = (8, 5)  # per bus and functional


def works() -> list[Work]:
    """All kernels of the grid."""
    study = town(BUSES - 2, BUSES, DAY)
    rng = np.random.default_rng(0)
    p, q = rng.normal(size=(2, BUSES, STEPS))
    return [
        flow_work(study.network, p, q),
        *linear_works(study.network, p[:, :DAY].copy(), q[:, :DAY].copy()),
        descent_work(study.network, p[:, :DAY].copy(), q[:, :DAY].copy()),
        projection_work(),
    ]


def _formula(*parts: tuple[float, float]) -> str:
    return f"{sum(one[0] for one in parts):.0f} operations, {sum(one[1] for one in parts):.0f} numbers"


def flow_work(network: Network, p: Array, q: Array) -> Work:
    """Sweeps to the root and to the leaves, and what a solution costs besides, shared by ``SWEEPS`` sweeps."""
    n, steps = p.shape
    v, error, order = np.empty((n, steps, 2)), np.empty(steps), np.arange(n)
    start = np.broadcast_to(network.v_no_load[:, None], p.shape).astype(complex).view(float).reshape(v.shape)

    def run() -> None:
        v[:] = start
        given = order, network.parent, network.tree_factors, p, q, 1.0 / S_BASE_KVA
        _tree.sweep(*given, v, error, 1e-30, SWEEPS)

    each = [TO_ROOT, TO_LEAVES, (14 / SWEEPS, 12 / SWEEPS)]
    operations, numbers = (sum(one[k] for one in each) for k in (0, 1))
    return Work(
        f"power flow, {n} buses", "bus, step and sweep", n * steps * SWEEPS, run, operations, F * numbers,
        F * n * 6 * LANES, _formula(*each),
    )  # fmt: skip


def linear_works(network: Network, p: Array, q: Array) -> list[Work]:
    """Elimination of the differential of the power flow, and a solution with it."""
    flow = grid.power_flow(network, p, q).require()
    lin = grid.linearise(network, flow.v, p, q)
    blocks, order, y = lin._blocks, np.arange(network.n), network.tree_admittance
    fresh, right, out = blocks.copy(), np.array([p, q]) / S_BASE_KVA, np.zeros((*p.shape, 2))

    def factor() -> None:
        for block in fresh:
            block[:, : 2 * LANES] = 2.0
            _tree_linear.factor(order, network.parent, y, block)

    def solve() -> None:
        _tree_linear.solve(order, network.parent, y, blocks, right, p.shape[1], out)

    units, held = float(blocks.shape[0] * network.n * LANES), F * network.n * 6 * LANES
    return [
        Work(
            "differential, elimination", "bus and step", units, factor, FACTOR[0], F * FACTOR[1], held, _formula(FACTOR)
        ),
        Work("differential, solution", "bus and step", units, solve, SOLVE[0], F * SOLVE[1], held, _formula(SOLVE)),
    ]


@nb.njit(error_model="numpy")
def _repeat_descent(parent: IntArray, table: Array, m: IntArray, p: Array, q: Array, turns: int) -> None:
    for _ in range(turns):
        _tree_gradients._descend4(parent, table, m, p, q)


def descent_work(network: Network, p: Array, q: Array) -> Work:
    """Gradients of four functionals of one step, from the root to the leaves."""
    flow = grid.power_flow(network, p, q).require()
    lin = grid.linearise(network, flow.v, p, q)
    lin.gradients(np.array([0]), np.array([network.n - 1]), np.array([1.0 + 0j]), np.array([0]), np.array([0j]))
    table, m, n = lin._table[0][0], np.arange(TOGETHER), network.n
    p_out, q_out = np.zeros((2, TOGETHER, n))

    def run() -> None:
        _repeat_descent(network.parent, table, m, p_out, q_out, TURNS)

    held = F * n * (9 + 2 * TOGETHER)
    units = float(TURNS * n * TOGETHER)
    return Work(
        "gradients, descent", "bus and functional", units, run, DESCENT[0], F * DESCENT[1], held, _formula(DESCENT)
    )


def projection_work(buses: int = 500) -> Work:
    """Products of the rows of every step, and the search for those that bind."""
    study = town(2 * (buses - 2), buses, DAY)
    targets, mobility = asked(study, 3)
    dso = new_dso(study)
    for target in targets:
        dso.project(target, mobility)
    rows, first = dso.rows, dso.rows.first(DAY)
    point, price, nu = targets[-1].copy(), np.zeros_like(mobility), rows.nu.copy()
    count = np.diff(first)
    room, width = _project.Products.room(DAY, int(count.max())), mobility.shape[1]

    def run() -> None:
        room.done[:] = 0
        nu[:] = rows.nu
        given = np.arange(DAY), first, rows.gradient, rows.value, dso.origin, targets[-1], mobility
        _project.project_some(*given, nu, point, price, room)

    active = int((rows.nu > 0).sum())
    operations = width * (float((count * (count + 1)).sum()) + 3.0 * len(nu) + 2.0 * active + 3.0 * DAY)
    numbers = width * (len(nu) + 6.0 * DAY) + float((count**2).sum())
    formula = f"m (m + 4) n of {len(nu)} rows, {int(count.max())} in a step at most, n = {width}; rows once"
    held = F * width * (count.max() + 6.0)
    return Work(
        f"projection, {buses} buses",
        "row",
        float(len(nu)),
        run,
        operations / len(nu),
        F * numbers / len(nu),
        held,
        formula,
    )
