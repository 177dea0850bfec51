"""Sensitivities of all bus voltages to all injections: elimination along the tree against a dense inverse.

Both get the same operating points of a radial feeder of 500 buses and 96 steps, and write d|V| / dp and d|V| / dq of
every bus to every bus (499 x 499 each) for every step. The peer inverts the real Newton matrix (998 x 998, built
beforehand, not timed) with ``numpy.linalg.inv`` and projects the rows on |V|; it is timed on a few steps and scaled to
96. The second row adds the loading of both ends of every branch (1497 functionals per step).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

import grid
from experiments.benchmarks.common import Row, median_time, versions
from grid import topology

Real = NDArray[np.float64]
Complex = NDArray[np.complex128]
BUSES, STEPS, PEER_STEPS = 500, 96, 2


def feeder(buses: int, seed: int = 0) -> grid.Network:
    """A low-voltage grid with feeders of about 25 buses that branch at random; line impedances of NAYY 4x150 cable."""
    rng = np.random.default_rng(seed)
    ends: list[list[int]] = [[0] for _ in range(max(2, buses // 25))]
    parent = np.zeros(buses, dtype=np.int64)
    for bus in range(1, buses):
        line = ends[rng.integers(len(ends))]
        parent[bus] = line[-1] if rng.random() > 0.25 else line[rng.integers(len(line))]
        line.append(bus)
    order = topology.preorder(buses, parent[1:], np.arange(1, buses), 0)
    place = np.argsort(order)
    up, length = place[parent[order[1:]]], rng.uniform(0.01, 0.04, buses - 1)
    y: Complex = np.asarray(1 / (length * (0.2067 + 0.0804j) / 0.4**2), dtype=np.complex128)
    size = buses - 1
    return grid.Network(
        name=f"feeder of {buses} buses",
        buses=np.arange(buses),
        bus_names=("",) * buses,
        base_kv=np.full(buses, 0.4),
        v_slack=1.02 + 0j,
        v_min=np.full(buses, 0.95),
        v_max=np.full(buses, 1.05),
        shunt_y=np.zeros(buses, dtype=np.complex128),
        known_buses=np.arange(buses),
        known_positions=np.arange(buses),
        from_bus=up,
        to_bus=np.arange(1, buses),
        y_ff=y,
        y_ft=-y,
        y_tf=-y,
        y_tt=y,
        branch_kinds=("line",) * size,
        branch_index=np.arange(size),
        branch_names=("",) * size,
        is_transformer=np.zeros(size, dtype=np.bool_),
        i_max_from=np.full(size, 0.27 * np.sqrt(3) * 0.4),
        i_max_to=np.full(size, 0.27 * np.sqrt(3) * 0.4),
        s_max=np.full(size, np.inf),
    )


def rows() -> list[Row]:
    """Voltages; voltages and branch loadings. ``agreement``: largest difference over the largest entry of its row."""
    network = feeder(BUSES)
    limits = grid.Limits.of(network)
    rng = np.random.default_rng(1)
    p, q = rng.uniform(-1.0, 2.0, (BUSES, STEPS)), rng.uniform(-0.3, 0.3, (BUSES, STEPS))
    v = grid.power_flow(network, p, q, tol=1e-13).require().v
    found = []
    for what, ends in (("|V|", 0), ("|V| and |I| of both ends", limits.ends)):
        kind = np.concatenate([np.zeros(BUSES - 1, dtype=np.int64), np.full(ends, grid.BRANCH)])
        index = np.concatenate([np.arange(1, BUSES), np.arange(ends)])
        functionals = [limits.functional(v, np.full(len(kind), k), kind, index) for k in range(STEPS)]
        ours_s = median_time(partial(_ours, network, v, p, q, functionals), repeats=3)
        matrices = [_newton_matrix(network, v[:, k], p[:, k], q[:, k]) for k in range(PEER_STEPS)]
        peer_s = median_time(partial(_peer, v, functionals, matrices), repeats=3) * STEPS / PEER_STEPS
        apart = _apart(_ours(network, v, p, q, functionals), _peer(v, functionals, matrices))
        name = f"sensitivities of {what}, {len(kind)} rows to p and q of {BUSES - 1} buses, {STEPS} steps"
        note = f"peer measured on {PEER_STEPS} steps and scaled"
        peer, used = "numpy.linalg.inv of the Newton matrix", versions("numpy", "numba")
        found.append(Row(name, ours_s, peer, peer_s, apart, "of the row's largest entry", used, note))
    return found


def _ours(
    network: grid.Network, v: Complex, p: Real, q: Real, functionals: list[grid.Functional]
) -> list[tuple[Real, Real]]:
    """Linearise anew, then all rows of each step, into memory that is reused; the first steps are kept to compare."""
    linear = grid.linearise(network, v, p, q)
    kept, size = [], len(functionals[0].value)
    out = np.empty((size, network.n)), np.empty((size, network.n))
    for k, f in enumerate(functionals):
        linear.gradients(np.full(size, k), f.bus_a, f.h_a, f.bus_b, f.h_b, out=out)
        if k < PEER_STEPS:
            kept.append((out[0].copy(), out[1].copy()))
    return kept


def _newton_matrix(network: grid.Network, v: Complex, p: Real, q: Real) -> Real:
    """Dense 2 (n - 1) x 2 (n - 1) map from (Re dV, Im dV) to conj(V) times it, which is (dp, -dq)."""
    y, s = network.y_bus.toarray()[1:, 1:], (p - 1j * q)[1:] / 1000.0
    plain, conjugate = np.conj(v[1:, None]) * y, np.diag(s / np.conj(v[1:]))
    return np.block(
        [[(plain + conjugate).real, (conjugate - plain).imag], [(plain + conjugate).imag, (plain - conjugate).real]]
    )


def _peer(v: Complex, functionals: list[grid.Functional], matrices: list[Real]) -> list[tuple[Real, Real]]:
    """Invert, then pick and weight the rows of the inverse that a functional needs."""
    found, buses = [], len(v)
    for f, matrix in zip(functionals, matrices, strict=False):
        inverse = np.linalg.inv(matrix) / 1000.0
        weights = sp.lil_array((len(f.value), 2 * buses))
        at = np.arange(len(f.value))
        for bus, h in ((f.bus_a, f.h_a), (f.bus_b, f.h_b)):
            weights += sp.coo_array((h.real, (at, bus)), shape=weights.shape)
            weights -= sp.coo_array((h.imag, (at, buses + bus)), shape=weights.shape)
        kept = np.r_[1:buses, buses + 1 : 2 * buses]
        gradient = weights.tocsr()[:, kept] @ inverse
        found.append((gradient[:, : buses - 1], -gradient[:, buses - 1 :]))
    return found


def _apart(ours: list[tuple[Real, Real]], peer: list[tuple[Real, Real]]) -> float:
    worst = 0.0
    for mine, theirs in zip(ours, peer, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            worst = max(worst, float((np.abs(a[:, 1:] - b).max(axis=1) / np.abs(b).max(axis=1)).max()))
    return worst
