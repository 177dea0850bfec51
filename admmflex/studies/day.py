"""What happened in a day that was controlled: powers, energies, costs, and the AC power flow of what was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import grid
from admmflex.comm import Comm
from admmflex.coordination.schemes import Sorted
from admmflex.data.study import Study
from admmflex.dso import AcCheck
from admmflex.horizon import Array, IntArray
from admmflex.prosumers.charting import Actions, Measured
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.metering import TOLERANCE_KW, unexplained_kw
from admmflex.studies.plant import Done


@dataclass(frozen=True, eq=False)
class Day:
    """What happened in T control steps to the homes and devices of a rank, sorted by bus.

    Args:
        dt_h: [h] length of a control step.
        powers: (2, n, T) at the connections [kW, kvar].
        source, storage: (2, S, T), (2, C, T) [kW, kvar].
        energy: (C, T) [kWh] at the end of each step.
        cost: (n, T) [EUR] tariff, wear, shed load and reactive energy.
        v_pu: (2, T) least and largest voltage anywhere.
        excess: (2, T) over the limits [pu, fraction of the rating], in the AC power flow of what was done.
        loss_kw: (T,).
        seconds: (2, T) of the homes (charts and set-points; the questions of one step), and of the central step.
        price: (2, n_bus, T) [EUR/kWh, EUR/kvarh], on rank 0.
        beyond: (T,) [kVA] largest distance of a set-point from its chart.
        rounds, answers: (T,) between homes and grid in the control step, and how often every home was asked.
        statuses: how many central steps ended how.
        plans: what every period told of the plan that was made for the rest of the day, where there is one.
        unkept: homes that did something else than was agreed and load and sun explain: ``prosumer``, the control
            ``step`` in which the meter showed it first, ``kw``.
    """

    dt_h: float
    powers: Array
    source: Array
    storage: Array
    energy: Array
    cost: Array
    v_pu: Array
    excess: Array
    loss_kw: Array
    seconds: Array
    price: Array
    beyond: Array
    rounds: IntArray
    answers: IntArray
    statuses: dict[str, int] = field(default_factory=dict)
    plans: list[dict[str, Any]] = field(default_factory=list)
    unkept: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Homes:
    """The homes of a rank, sorted by bus, and what the record needs to know of all of them.

    Args:
        names: (n,).
        bus: (N,) position in the network of every home of every rank.
        import_price, export_price: (n, K) [EUR/kWh].
    """

    study: Study
    comm: Comm
    devices: Devices
    names: tuple[str, ...]
    bus: IntArray
    import_price: Array
    export_price: Array

    @staticmethod
    def of(ordered: Sorted, study: Study, comm: Comm) -> tuple[list[Prosumer], Homes]:
        """The built-in prosumers of the rank, and their tables."""
        own = [one for one in ordered.prosumers[ordered.own] if isinstance(one, Prosumer)]
        bought, sold = _prices([one.import_price for one in own]), _prices([one.export_price for one in own])
        bus = ordered.buses[ordered.bus]
        names = tuple(one.name for one in own)
        return own, Homes(study, comm, Devices.of(own, study.horizon), names, bus, bought, sold)


@dataclass(frozen=True, eq=False)
class Step:
    """What the control tells of one of its steps, as in ``Day``; ``price`` in EUR/kWh and EUR/kvarh."""

    price: Array
    status: str
    seconds: tuple[float, float]
    beyond: float = 0.0
    rounds: int = 1
    answers: int = 1


class Record:
    """The day as it is written.

    Args:
        dt_h: [h] length of a control step; T of them.
    """

    def __init__(self, homes: Homes, dt_h: float, steps: int) -> None:
        devices, buses = homes.devices, homes.study.network.n
        n, sources, storages = devices.homes, len(devices.sources), len(devices.stores)

        def room(*size: int) -> Array:
            return np.zeros((*size, steps))

        self.homes = homes
        self._unkept = np.zeros(n, np.bool_)
        self.day = Day(
            dt_h=dt_h,
            powers=room(2, n),
            source=room(2, sources),
            storage=room(2, storages),
            energy=room(storages),
            cost=room(n),
            v_pu=room(2),
            excess=room(2),
            loss_kw=room(),
            seconds=room(2),
            price=room(2, buses),
            beyond=room(),
            rounds=np.zeros(steps, np.int64),
            answers=np.zeros(steps, np.int64),
        )

    def add(self, t: int, step: int, told: Step, done: Done) -> None:
        """Control step t, in step ``step`` of the horizon."""
        day, p = self.day, done.powers[0]
        day.powers[:, :, t], day.source[:, :, t], day.storage[:, :, t] = done.powers, done.source, done.storage
        day.energy[:, t] = done.energy
        bought, sold = self.homes.import_price[:, step], self.homes.export_price[:, step]
        day.cost[:, t] = day.dt_h * np.where(p < 0.0, -bought * p, -sold * p) + done.wear
        day.seconds[:, t], day.price[:, :, t], day.beyond[t] = told.seconds, told.price, told.beyond
        day.rounds[t], day.answers[t] = told.rounds, told.answers
        day.statuses[told.status] = day.statuses.get(told.status, 0) + 1

    def meter(self, t: int, told: Actions, before: Measured, now: Measured) -> None:
        """Compare the meters of control step t with what was agreed; a home is written down once."""
        found = unexplained_kw(self.homes.devices, told, before, now, self.day.powers[0, :, t])
        new = (found > TOLERANCE_KW) & ~self._unkept
        if new.any():
            self._unkept |= new
            homes = np.flatnonzero(new).tolist()
            self.day.unkept.extend({"prosumer": self.homes.names[i], "step": t, "kw": float(found[i])} for i in homes)

    def check(self, span: slice) -> dict[str, Any]:
        """The AC power flow of a period, and what to tell of it."""
        day, homes, study = self.day, self.homes, self.homes.study
        injected = np.zeros((2, study.network.n, span.stop - span.start))
        for c in range(2):
            np.add.at(injected[c], homes.bus, homes.comm.stack(np.ascontiguousarray(day.powers[c, :, span])))
        flow = grid.power_flow(study.network, injected[0], injected[1])
        found = AcCheck.of(study.limits, flow)
        magnitude = np.abs(flow.v)
        day.v_pu[:, span] = magnitude.min(axis=0), magnitude.max(axis=0)
        day.excess[:, span] = found.voltage_pu, found.loading
        day.loss_kw[span] = flow.loss_kw
        cost = homes.comm.sum(np.array([day.cost[:, : span.stop].sum()]))[0]
        homes_s, central_s = day.seconds[:, span].mean(axis=1)
        return {
            "cost_eur": float(cost),
            "voltage_excess_pu": float(found.voltage_pu.max()),
            "loading_excess": float(found.loading.max()),
            "chart_ms": 1e3 * float(homes_s),
            "central_ms": 1e3 * float(central_s),
        }


def _prices(rows: Sequence[Array]) -> Array:
    return np.stack(rows) if rows else np.zeros((0, 0))
