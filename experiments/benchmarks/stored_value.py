"""The value of stored energy of the homes of rural3 over their day, by the energy in the store at its beginning.

Peers: linear programs of the whole day at some energies (HiGHS), and slopes merged in numpy (``mpo.storage_value``),
which makes the cost of every step out of its parts first. Agreement: largest difference of the values [EUR].
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.optimize import linprog

import mpo
from admmflex import scenario
from admmflex.assets.flow import Flow
from admmflex.comm import SerialComm
from admmflex.coordination.charts import ChartControl, ChartSettings
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.stored_value import Function, at_end, before, value
from experiments.benchmarks.charts import SCENARIO
from experiments.benchmarks.common import Row, clock, median_time, versions

ENERGIES, SAMPLE, MOST = 9, 6, 1e3


def rows() -> list[Row]:
    """All stores at once against a sample of them one by one."""
    study = scenario.build(scenario.load(SCENARIO))
    control = ChartControl(study, SerialComm(), ChartSettings(even=0.0))
    stores = len(control.devices.stores)

    def ours() -> Function:
        return before(
            control.foresight.ahead, 0, study.horizon.steps, at_end(control.foresight.ahead, study.horizon.steps)
        )

    values, seconds, error = ours(), np.zeros(2), np.zeros(2)
    sample = range(0, stores, max(stores // SAMPLE, 1))
    for c in sample:
        home = control.homes[control.devices.storage_home[c]]
        low, high = control.devices.low[c], control.devices.high[c]
        energies = np.linspace(low, high, ENERGIES)
        mine = np.array([value(values, np.full(stores, e))[c] for e in energies])
        started = clock()
        direct = _programs(study, home, energies)
        seconds[0] += clock() - started
        started = clock()
        merged = _merged(study, home)(energies)
        seconds[1] += clock() - started
        for k, theirs in enumerate((direct, merged)):
            known = np.isfinite(theirs)
            error[k] = max(error[k], float(np.abs(mine - theirs)[known].max()))
    seconds /= len(sample)
    ours_s = median_time(ours) / stores
    name, used = f"value of stored energy, {study.horizon.steps} steps, one store", versions("highspy")
    return [
        Row(name, ours_s, f"HiGHS, {ENERGIES} energies", seconds[0], error[0], "EUR", used),
        Row(name, ours_s, "mpo.storage_value, stages included", seconds[1], error[1], "EUR", used),
    ]


def _flows(study: Study, home: Prosumer) -> tuple[Array, Array, Flow]:
    """What is fixed, what plants could give, and the flow with the store."""
    flows = [asset.flow(study.horizon) for asset in home.assets]
    (own,) = [one for one in flows if one.store is not None]
    fixed = np.sum([one.fixed_p for one in flows], axis=0)
    return fixed, np.sum([one.give_max for one in flows if one.store is None], axis=0), own


def _programs(study: Study, home: Prosumer, energies: Array) -> Array:
    """Least cost of the day by linear programs; NaN where the store cannot keep its band."""
    fixed, plants, flow = _flows(study, home)
    dt, K, store = study.horizon.dt_h, study.horizon.steps, flow.store
    assert store is not None
    cost = np.concatenate([home.import_price, -home.export_price, 0 * dt, flow.give_cost, flow.take_cost])
    cost *= np.tile(dt, 5)
    eye, none = sp.eye(K), sp.csr_matrix((K, K))
    balance = sp.hstack([eye, -eye, eye, eye, -eye]).tocsr()
    gain = np.tril(np.ones((K, K)))
    stock = sp.hstack([none, none, none, -gain * (dt / store.eta_give), gain * (dt * store.eta_take)]).tocsr()
    high = np.concatenate([np.full(2 * K, np.inf), plants, flow.give_max, flow.take_max])
    bounds = np.column_stack([np.zeros(5 * K), high])
    found = []
    for e in energies:
        right = np.concatenate([store.e_max - e, e - store.e_min])
        answer = linprog(cost, sp.vstack([stock, -stock]), right, balance, -fixed, bounds)
        found.append(answer.fun if answer.status == 0 else np.nan)
    return np.array(found)


def _merged(study: Study, home: Prosumer) -> mpo.PiecewiseLinear:
    """The same by merging slopes in numpy; the band at the end is that of the value at the end."""
    fixed, plants, flow = _flows(study, home)
    store, stages = flow.store, []
    assert store is not None
    for k, dt in enumerate(study.horizon.dt_h):
        most = 1e3
        meter = mpo.PiecewiseLinear(
            [-most, 0.0, most], [most * home.import_price[k], 0.0, -most * home.export_price[k]]
        )
        plant = mpo.PiecewiseLinear([-plants[k], 0.0], [0.0, 0.0])
        power = meter.infimal_convolution(plant)
        bends = power.x - fixed[k]
        y = np.unique(np.concatenate([[-flow.take_max[k], 0.0, flow.give_max[k]], bends]))
        y = y[(y >= -flow.take_max[k]) & (y <= flow.give_max[k])][::-1]
        wear = flow.give_cost[k] * y.clip(0.0) + flow.take_cost[k] * (-y).clip(0.0)
        gained = dt * np.where(y > 0.0, -y / store.eta_give[k], -y * store.eta_take[k])
        stages.append(mpo.PiecewiseLinear(gained, dt * (power(fixed[k] + y) + wear)))
    end = mpo.PiecewiseLinear([store.e_min[-1], store.e_max[-1]], np.zeros(2))
    return mpo.storage_value(stages, end, float(store.e_min.min()), float(store.e_max.max()))
