"""Attacks on a plan: suspects misbehave within their capability, and the AC power flow tells what that does.

Two kinds: for every limit and step the attack that is worst to first order, and random ones. Neither uses the margins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import grid
from admmflex.data.study import Study
from admmflex.dso.margins import strongest
from admmflex.horizon import Array, IntArray
from grid.limits import BRANCH, V_HIGH, V_LOW

TOGETHER = 5000  # power flows at once
MET_PU, MET_LOADING = 1e-4, 1e-3  # excess up to which a limit counts as met, as in summaries
EXTREME = 0.5  # share of the random attacks that go to the edge of what a device can do


@dataclass(frozen=True)
class Attacked:
    """What attacks did to the limits of the network.

    Args:
        attacks: how many, each in every step.
        broken: how many of them broke a limit in some step, by more than the excess that counts as met.
        voltage_pu, loading: largest excess over a limit; negative while all were met. Infinite at a collapse.
    """

    attacks: int
    broken: int
    voltage_pu: float
    loading: float


def attack(
    study: Study, powers: Array, count: int, seed: int, observe: Callable[[int, int], None] | None = None
) -> Attacked:
    """Attack a plan: the worst attack on every limit, and random ones up to ``count`` in all.

    Args:
        study: with a threat.
        powers: (2, n, K) planned at the meters [kW, kvar].
        observe: told how many attacks are done, and of how many.
    """
    assert study.threat is not None
    plan = _injections(study, powers)
    steps = study.horizon.steps
    room = max(1, TOGETHER // steps)
    done, broken, voltage, loading = 0, 0, -np.inf, -np.inf
    for moves in _batches(study, plan, count, room, np.random.default_rng(seed)):
        total = np.repeat(plan[:, :, None], moves.shape[2], axis=2)  # (2, n, batch, K)
        for part, move in zip(total, moves, strict=True):
            np.add.at(part, study.threat.bus, move)
        high, low, over = _excess(study, total.reshape(2, len(plan[0]), -1))
        by_attack = np.maximum(high, low).reshape(-1, steps).max(axis=1), over.reshape(-1, steps).max(axis=1)
        done += len(by_attack[0])
        broken += int(((by_attack[0] > MET_PU) | (by_attack[1] > MET_LOADING)).sum())
        voltage, loading = max(voltage, by_attack[0].max()), max(loading, by_attack[1].max())
        if observe is not None:
            observe(done, count)
    return Attacked(done, broken, float(voltage), float(loading))


def _batches(study: Study, plan: Array, count: int, room: int, rng: np.random.Generator) -> Iterator[Array]:
    """(2, A, batch, K) deviations: the worst on every limit first, then random ones."""
    worst = _worst(study, plan)[:, :, :count]
    yield from (worst[:, :, first : first + room] for first in range(0, worst.shape[2], room))
    for first in range(worst.shape[2], count, room):
        yield _random(study, min(room, count - first), rng)


def _worst(study: Study, plan: Array) -> Array:
    """(2, A, M, K): for each of the M limits and every step the attack that is worst to first order."""
    threat, limits = study.threat, study.limits
    assert threat is not None
    buses, ends = np.arange(1, study.network.n), np.arange(limits.ends)
    index: IntArray = np.concatenate([buses, buses, ends])
    kind = np.repeat([V_HIGH, V_LOW, BRANCH], [len(buses), len(buses), len(ends)])
    flow = grid.power_flow(study.network, *plan).require()
    lin = grid.linearise(study.network, flow.v, *plan)
    found = np.zeros((2, len(threat.bus), len(index), study.horizon.steps))
    step = np.arange(study.horizon.steps)
    for r in range(len(index)):
        row = limits.functional(flow.v, step, np.full(len(step), kind[r]), np.full(len(step), index[r]))
        gradient = np.stack(lin.gradients(step, row.bus_a, row.h_a, row.bus_b, row.h_b))
        found[:, :, r] = strongest(threat, gradient[:, :, threat.bus].transpose(0, 2, 1))
    return found


def _random(study: Study, count: int, rng: np.random.Generator) -> Array:
    """(2, A, count, K): other suspects in every attack and step, half of them at the edge of what they can do."""
    threat, steps = study.threat, study.horizon.steps
    assert threat is not None
    shape = (len(threat.bus), count, steps)
    low, high, s = threat.low[:, None], threat.high[:, None], threat.s_kva[:, None, None]
    far, side = rng.random(shape) < EXTREME, rng.random(shape) < 0.5
    p = np.where(far & side, np.where(rng.random(shape) < 0.5, low, high), rng.uniform(low, high, shape))
    q = np.sqrt(np.maximum(s * s - p * p, 0.0)) * np.where(far & ~side, 1.0, rng.random(shape))
    q = np.where(s > 0.0, q * np.where(rng.random(shape) < 0.5, 1.0, -1.0), threat.plan[1][:, None])
    rank = rng.random(shape).argsort(axis=0).argsort(axis=0)
    return np.where(rank < threat.budget, np.stack([p, q]) - threat.plan[:, :, None], 0.0)


def _injections(study: Study, powers: Array) -> Array:
    """(2, n_bus, K) of powers at the meters."""
    at = study.network.positions([one.bus for one in study.prosumers])
    found = np.zeros((2, study.network.n, study.horizon.steps))
    for total, own in zip(found, powers, strict=True):
        np.add.at(total, at, own)
    return found


def _excess(study: Study, injections: Array) -> tuple[Array, Array, Array]:
    """Largest excess of each kind over the bare limits in an AC power flow, per column."""
    flow = grid.power_flow(study.network, *injections)
    tables = study.limits.excess(flow.v)
    worst = (np.where(flow.converged, one.max(axis=0, initial=-np.inf), np.inf) for one in tables)
    high, low, over = worst
    return high, low, over
