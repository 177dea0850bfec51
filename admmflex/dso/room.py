"""Where the grid has no room for more than was agreed."""

from __future__ import annotations

import numpy as np

from admmflex.dso.rows import ComplexArray
from admmflex.horizon import Array, BoolArray
from grid.limits import Limits

NEAR_PU, NEAR_LOADING = 0.01, 0.2  # of a limit: what the sun may add within a minute


def full_feeders(limits: Limits, p: Array, v: ComplexArray) -> BoolArray:
    """(n,) buses of feeders that inject in all and have a voltage or a loading close to its upper limit.

    Args:
        p, v: (n,) injections [kW] and voltages [pu] in an AC power flow; NaN where there is no solution: full.
    """
    over, _, overload = limits.excess(v[:, None])
    label = limits.network.feeder - int(limits.network.feeder.min(initial=0))
    trunk = limits.network.feeder.min(initial=0) < 0  # label 0, above the feeders
    ends = np.maximum(label[limits.from_bus], label[limits.to_bus])
    close, total = np.zeros((2, int(label.max(initial=0)) + 1))
    close[label[~(over[:, 0] <= -NEAR_PU)]] = 1.0
    close[ends[~(overload[:, 0] <= -NEAR_LOADING)]] = 1.0
    np.add.at(total, label, p)
    shared = bool(trunk and close[0] and p.sum() > 0.0)
    return np.asarray(((close > 0.0) & (total > 0.0))[label] | shared)
