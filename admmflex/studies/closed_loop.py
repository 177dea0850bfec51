"""A day as it happens: charts control homes whose loads and sun differ from the forecast, checked by AC power flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import grid
from admmflex.comm import Comm, SerialComm
from admmflex.coordination.charts import ChartControl, ChartSettings, Control
from admmflex.data.reality import Deviations, Reality, realise
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.prosumers.charting import Actions, Measured
from admmflex.prosumers.devices import Devices


@dataclass(frozen=True, eq=False)
class Day:
    """What happened, T control steps; devices in the order of ``Devices``.

    Args:
        powers: (2, n, T) at the connections [kW, kvar].
        source, storage: (2, S, T), (2, C, T) [kW, kvar].
        energy: (C, T) [kWh] after each step.
        cost: (n, T) [EUR] tariff, wear and reactive energy.
        v_pu: (2, T) least and largest voltage.
        excess: (2, T) over the limits [pu, fraction of the rating].
        loss_kw: (T,).
        chart_s, central_s: (T,).
        price: (2, n_bus, T) [EUR/kWh, EUR/kvarh].
        status: (T,).
    """

    powers: Array
    source: Array
    storage: Array
    energy: Array
    cost: Array
    v_pu: Array
    excess: Array
    loss_kw: Array
    chart_s: Array
    central_s: Array
    price: Array
    status: list[str]
