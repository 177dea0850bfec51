"""The kernels of the prosumers: chain by segments, chain by dynamic programme, interior point."""

from __future__ import annotations

from dataclasses import replace

import numba as nb
import numpy as np

from admmflex.prosumers.fleet import split
from admmflex.response import _batch, _chain, _home, _interior, _segments, _stage
from admmflex.response._data import (
    AVAIL,
    C_GIVE,
    C_TAKE,
    G_GIVE,
    G_TAKE,
    GIVE_MAX,
    I_GIVE,
    I_TAKE,
    LOAD_P,
    TAKE_MAX,
)  # fmt: skip
from admmflex.response._interior import BOX, CHAIN, LINK, MOVE, STEP, WORK
from admmflex.response._lanes import L
from admmflex.response.chain import ChainResponse
from admmflex.response.home import HomeResponse
from experiments.benchmarks import homes as several
from experiments.benchmarks import prosumers as single
from experiments.benchmarks.prosumers import RHO, STEPS, Case
from experiments.kernels.count import operations
from experiments.kernels.work import F, Work

FIELDS = (LOAD_P, AVAIL, GIVE_MAX, TAKE_MAX, C_GIVE, I_GIVE, G_GIVE, C_TAKE, I_TAKE, G_TAKE)
CHAIN_MODULES = (_home, _chain, _stage, _segments)
SAMPLE = 3  # homes that are counted
ROUNDS = range(4, 8)  # signals in the midst of a coordination
ITERATIONS = 4  # of the interior point that are timed
TURNS = 2000


def works() -> list[Work]:
    """All kernels of the prosumers."""
    day, cars = single.case(), several.case()
    plain = replace(day, prosumers=[replace(one, assets=one.assets[:-1]) for one in day.prosumers])
    return [
        moved_work(day),
        chain_work("homes without a battery", plain, RHO),
        chain_work("chain, segments", day, RHO),
        chain_work("chain, dynamic programme", day, RHO, by_segments=False),
        chain_work("the same without penalty", day, 0.0),
        interior_work(cars),
    ]


def chain_response(day: Case) -> ChainResponse:
    """Answers of homes with at most one battery."""
    found = split(day.prosumers, day.horizon, {i: i for i in range(len(day.prosumers))}).chain
    assert found is not None
    return ChainResponse(found, day.horizon.dt_h)


def chain_work(name: str, day: Case, rho: float, *, by_segments: bool = True) -> Work:
    """All homes answer one signal after the other; counted is the answer to a signal that did not move."""
    response = chain_response(day)
    n, data, answers, scratch = len(response.rows), response._data, response._answers, response._work
    data.steady[:] &= by_segments
    out = np.zeros((2, n, STEPS))
    signals = [(np.ascontiguousarray(day.price[k]), np.ascontiguousarray(day.target[k])) for k in ROUNDS]

    def run() -> None:
        for price, target in signals:
            _home.solve(price, target, rho, data, answers, scratch, out)

    run()
    points = int(scratch.first[-1]) if answers.swept.all() else 0
    some = data._replace(rows=data.rows[:SAMPLE])
    found = operations(CHAIN_MODULES, "solve", *signals[-1], rho, some, answers, scratch, out) / SAMPLE
    moved = (data.table.nbytes + sum(part.nbytes for part in answers)) / n + F * STEPS * 6
    formula = f"per step {found / STEPS:.0f} operations (counted), {moved / STEPS / F:.0f} numbers to read and write"
    point = "point of a stage" if points else ""
    return Work(name, "home", n * len(signals), run, found, moved, moved * n, formula, point, points)


@nb.njit(error_model="numpy")
def _repeat_moved(m: float, inverse: float, stage: _segments.Stage, turns: int) -> float:
    total = 0.0
    for k in range(turns):
        total += _segments._moved(m + 1e-12 * k, 0, len(stage.load), inverse, stage)[0]
    return total


def moved_work(day: Case) -> Work:
    """Energy moved by a day at one multiplier: the innermost loop of the segments."""
    response = chain_response(day)
    response.answer(day.price[-1], day.target[-1], RHO, np.zeros((2, len(day.prosumers), STEPS)))
    data, m = response._data, float(response._answers.mu[-1, 0])
    rows = [data.table[data.place[-1, field]] for field in FIELDS]
    stage = _segments.Stage(response._work.steps[0], response._work.steps[1], *rows)
    found = operations((_segments,), "_moved", m, 0, STEPS, 1.0 / RHO, stage) / STEPS

    def run() -> float:
        return float(_repeat_moved(m, 1.0 / RHO, stage, TURNS))

    formula = f"{found:.0f} operations (counted), 12 numbers"
    units, held = float(TURNS * STEPS), 12.0 * F * STEPS
    return Work("segments, energy at a multiplier", "step", units, run, found, 12 * F, held, formula)


def interior_work(day: Case) -> Work:
    """Newton steps of all groups of homes with two storages, from the same cold start every time."""
    found = split(day.prosumers, day.horizon, {i: i for i in range(len(day.prosumers))}).homes
    assert found is not None
    response, out = HomeResponse(found), np.zeros((2, len(found), STEPS))
    response.answer(day.price[0], day.target[0], RHO, out)
    C, batch, scratch = response._batches[0]
    chains, dt, box, step = tuple(range(C)), day.horizon.dt_h, batch.box.copy(), batch.step.copy()
    groups = len(batch.at)

    def run() -> None:
        batch.box[:], batch.step[:] = box, step
        scratch.tolerance[:] = -1.0
        for m in range(groups):
            scratch.reached[:] = False
            _batch.iterate(chains, m, dt, RHO, batch, ITERATIONS, scratch)

    run()
    each = operations((_batch, _interior), "iterate", chains, 0, dt, RHO, batch, 1, scratch)
    each -= operations((_batch, _interior), "iterate", chains, 0, dt, RHO, batch, 0, scratch)
    rows = batch.first[1]
    by_row, by_step = 43, 4 * (WORK + LINK * C + C * C) + 2 * (STEP + CHAIN * C)
    moved = F * (rows * by_row + STEPS * by_step)
    held = F * L * (rows * (BOX + MOVE) + STEPS * (WORK + LINK * C + C * C + STEP + CHAIN * C))
    formula = f"{each / STEPS / L:.0f} operations (counted) and {by_step} numbers per step, {by_row} per variable"
    units = float(groups * L * ITERATIONS)
    return Work(f"interior point, {C} storages", "Newton step of a home", units, run, each / L, moved, held, formula)
