"""Whose meter shows something else than was agreed.

A home may leave its set-point by what its load and its sun have moved since they were measured last, in that direction
and no further: its storages make up for it, if they do anything. With P the power at the meter, told what was agreed of
each device, and x+, x- the positive and the negative part of x,

    -(l - l')- - sum (s - s')-  <=  P - (l' + sum told)  <=  (l - l')+ + sum (s - s')+        but for a tolerance,

l the load and s what the sources could give, in the step itself and (') when it was agreed on.
"""

from __future__ import annotations

import numpy as np

from admmflex.horizon import Array
from admmflex.prosumers.charting import Actions, Measured
from admmflex.prosumers.devices import Devices

TOLERANCE_KW = 0.1


def unexplained_kw(devices: Devices, told: Actions, before: Measured, now: Measured, p: Array) -> Array:
    """(n,) how far meters are from what was agreed, less what load and sun explain [kW].

    Args:
        told: the set-points of a control step, chosen when ``before`` was known.
        now: loads and sun of the step itself.
        p: (n,) mean powers at the meters in the step.
    """
    agreed = before.fixed_p.copy()
    up, down = np.maximum(now.fixed_p - before.fixed_p, 0.0), np.maximum(before.fixed_p - now.fixed_p, 0.0)
    np.add.at(agreed, devices.source_home, told.source_p)
    np.add.at(agreed, devices.storage_home, told.storage_p)
    np.add.at(up, devices.source_home, np.maximum(now.give - before.give, 0.0))
    np.add.at(down, devices.source_home, np.maximum(before.give - now.give, 0.0))
    return np.asarray(np.maximum(p - agreed - up, agreed - down - p))
