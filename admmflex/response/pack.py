"""Homes with storages as the kernels want them: natural arrays, and boxes and steps of L homes in the last axis."""

from __future__ import annotations

import numpy as np

from admmflex.horizon import Array, BoolArray, IntArray
from admmflex.prosumers.storages import StorageHomes
from admmflex.response._answer import Answers, Homes
from admmflex.response._batch import Batch, Scratch
from admmflex.response._interior import (
    BOUGHT,
    BOX,
    CHAIN,
    COST,
    FIXED,
    KEEP,
    LANE,
    LINK,
    MOVE,
    RIGHT,
    SOLD,
    STEP,
    WIDTH,
    WORK,
    A,
    B,
)
from admmflex.response._lanes import L

NARROW = 1e-10  # kW, kWh: boxes below are points
MARGIN = 1.0  # kW by which the boxes of imported and exported power exceed what can be reached


def natural(homes: StorageHomes) -> Homes:
    """Data of the homes, one row each."""
    return Homes(
        homes.horizon.dt_h, homes.rows, homes.bus, homes.fixed_p, homes.avail, homes.shed_max, homes.shed_cost,
        homes.import_price, homes.export_price, homes.import_limit, homes.export_limit, homes.stores,
    )  # fmt: skip


def batches(homes: StorageHomes) -> list[tuple[int, Batch]]:
    """Groups by number of storages (at least one, which may be unable to move); homes that are alike are neighbours."""
    count, found = np.maximum(homes.count, 1), []
    alike = np.stack([homes.stores.give_max.any(axis=2).sum(axis=1), homes.avail.any(axis=1)])
    order = np.lexsort((*alike, count))
    for chains in np.unique(count):
        member = order[count[order] == chains]
        padding = np.full(-len(member) % L, member[-1])
        found.append((int(chains), _batch(homes, np.concatenate([member, padding]), int(chains))))
    return found


def _batch(homes: StorageHomes, member: IntArray, chains: int) -> Batch:
    steps, groups = len(homes.horizon.dt_h), len(member) // L
    width, cost = _boxes(homes, member, chains)
    width = np.where(width < NARROW, 0.0, width).reshape(groups, L, -1)
    cost = cost.reshape(groups, L, -1)
    used: BoolArray = np.any(width > 0.0, axis=1)
    first = np.concatenate([[0], np.cumsum(used.sum(axis=1))])
    rows = np.zeros((groups, steps + 1), np.int64)
    rows[:, 1:] = np.cumsum(used.reshape(groups, steps, -1).sum(axis=2), axis=1)
    box = np.zeros((first[-1], BOX, L))
    for m in range(groups):
        box[first[m] : first[m + 1], WIDTH] = width[m][:, used[m]].T
        box[first[m] : first[m + 1], COST] = cost[m][:, used[m]].T
    return Batch(
        member=member,
        first=first,
        at=np.where(used, np.cumsum(used, axis=1) - 1, -1),
        rows=rows,
        terms=2.0 * (width > 0.0).sum(axis=2),
        box=box.reshape(-1),
        step=_steps(homes, member, chains).reshape(-1),
        end=_last(homes.stores.end_value[member, :chains].reshape(groups, L, chains)).reshape(groups, -1),
    )


def _last(values: Array) -> Array:
    """``(groups, L, ...)`` with the lanes in the last axis."""
    return np.ascontiguousarray(np.moveaxis(values, 1, -1))


def _boxes(homes: StorageHomes, member: IntArray, chains: int) -> tuple[Array, Array]:
    """Widths [kW, kWh] and costs [EUR/kW] of all boxes, ``(len(member), K, 3 C + 4)``."""
    stores, dt = homes.stores, homes.horizon.dt_h
    width, cost = np.zeros((2, len(member), len(dt), 3 * chains + 4))
    chain = (member[:, None], np.arange(chains))
    take, give = stores.take_max[chain], stores.give_max[chain]
    take_min, give_min = stores.take_min[chain], stores.give_min[chain]
    width[:, :, :chains] = (take - take_min).transpose(0, 2, 1)
    width[:, :, chains : 2 * chains] = (give - give_min).transpose(0, 2, 1)
    cost[:, :, :chains] = (dt * stores.take_cost[chain]).transpose(0, 2, 1)
    cost[:, :, chains : 2 * chains] = (dt * stores.give_cost[chain]).transpose(0, 2, 1)
    gen, shed, bought, sold = range(2 * chains, 2 * chains + 4)
    width[:, :, gen], width[:, :, shed] = homes.avail[member], homes.shed_max[member]
    cost[:, :, shed] = dt * homes.shed_cost[member]
    lowest = homes.fixed_p[member] - take.sum(axis=1)
    highest = homes.fixed_p[member] + give.sum(axis=1) + homes.avail[member] + homes.shed_max[member]
    limits = homes.import_limit[member, None], homes.export_limit[member, None]
    width[:, :, bought] = np.where(lowest < 0.0, np.minimum(limits[0], MARGIN - lowest), 0.0)
    width[:, :, sold] = np.where(highest > 0.0, np.minimum(limits[1], MARGIN + highest), 0.0)
    width[:, :, 2 * chains + 4 :] = (stores.e_max[chain] - stores.e_min[chain]).transpose(0, 2, 1)
    return width, cost


def _steps(homes: StorageHomes, member: IntArray, chains: int) -> Array:
    """Data of the steps ``(groups, K, fields, L)``; energies and flows count from their minima, which move right.

    What the minima cost is a constant and left out; the objective serves as a scale only.
    """
    stores, dt = homes.stores, homes.horizon.dt_h
    step = np.zeros((len(member), len(dt), STEP + CHAIN * chains))
    step[:, :, BOUGHT], step[:, :, SOLD] = homes.import_price[member], homes.export_price[member]
    step[:, :, FIXED] = homes.fixed_p[member]
    for c in range(chains):
        field = STEP + CHAIN * c
        e_min, keep = stores.e_min[member, c], stores.keep[member, c]
        before = np.concatenate([stores.e_start[member, c][:, None], e_min[:, :-1]], axis=1)
        take_min, give_min = stores.take_min[member, c], stores.give_min[member, c]
        step[:, :, field + A] = a = dt * stores.eta_take[member, c]
        step[:, :, field + B] = b = dt / stores.eta_give[member, c]
        step[:, :, field + KEEP] = keep
        step[:, :, field + RIGHT] = keep * before + stores.gain[member, c] - e_min + a * take_min - b * give_min
        step[:, :, FIXED] += give_min - take_min
    return _last(step.reshape(-1, L, *step.shape[1:]))


def no_answers(homes: StorageHomes) -> Answers:
    """Room for the answers."""
    shape = homes.stores.take_max.shape
    n, steps = len(homes), shape[2]
    take, give, energy, mu = (np.zeros(shape) for _ in range(4))
    gen, shed, p, lean, nu = (np.zeros((n, steps)) for _ in range(5))
    failed, restarted = np.zeros((2, n), np.bool_)
    energy += homes.stores.e_min  # of storages that do not exist: stays
    return Answers(take, give, energy, gen, shed, p, lean, np.zeros(n), nu, mu, failed, restarted)


def scratch(batch: Batch, chains: int) -> Scratch:
    """Memory of one group."""
    rows, steps = int(np.diff(batch.first).max()), batch.rows.shape[1] - 1
    return Scratch(
        move=np.zeros(rows * MOVE * L),
        work=np.zeros(steps * (WORK + LINK * chains + chains * chains) * L),
        lane=np.zeros(LANE * L),
        block=np.zeros((chains + 2 * chains * chains) * L),
        tolerance=np.zeros(L),
        constant=np.zeros(L),
        reached=np.zeros(L, np.bool_),
    )
