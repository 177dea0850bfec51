"""How long an island serves its critical loads, and what is missing then.

    survival = dt max{ k : a plan for steps 1..k meets every limit in the AC power flow with no critical load shed }

Whatever serves 1..k+1 serves 1..k, so that k is found by bisection. Each question is the central problem with a price
on critical loads alone; they cost more the earlier they are shed, so that a plan that fails fails late and bounds k
from below.

Source: section 2 of the formulation (islanded operation), [G].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from admmflex.assets import Asset, Flow, SheddableLoad
from admmflex.coordination.central import CentralResult, CentralSettings, solve_central
from admmflex.data.study import Study
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, BoolArray, Horizon
from admmflex.studies.variants import Change, is_critical, priced, variant
from grid.limits import SLACK, Limits

Lack = Literal["energy", "power", "grid"]
SMALL = 1e-2  # [EUR/kWh], [EUR/kvarh] against 1 to 2 of critical load: what is idle need not swing between equal plans
SERVED = 1e-3  # of the critical load of a step, and of the load in the AC power flow: less is not missed
_QUESTION = CentralSettings(violation=SERVED, cost_change=1e-2)


@dataclass(frozen=True)
class Missing:
    """Why critical loads cannot be served any longer.

    Args:
        step: the first that cannot be served.
        lack: "energy" when plans with unlimited stores and tanks serve it, "grid" when those without limits of voltage
            and loading do as well, and "power" when even they do not.
        kwh: critical load up to the end of the step that no plan serves.
        where: the limits of the grid that stand in the way, the most costly first.
    """

    step: int
    lack: Lack
    kwh: float
    where: tuple[str, ...] = ()

    def describe(self, horizon: Horizon) -> str:
        """A sentence for messages."""
        place = f" ({', '.join(self.where[:3])})" if self.where else ""
        what = {"energy": "energy", "power": "power", "grid": f"room in the grid{place}"}[self.lack]
        return (
            f"from {horizon.label(self.step)} on {what} is missing: at least {self.kwh:.3g} kWh of critical load are "
            f"not served by {horizon.clock(float(horizon.dt_h[: self.step + 1].sum()))}"
        )


@dataclass(frozen=True)
class Survival:
    """What was found.

    Args:
        steps, hours: how long all critical load is served.
        missing: what ends it; None when it lasts to the end of the horizon.
        questions: central problems solved.
    """

    steps: int
    hours: float
    missing: Missing | None
    questions: int


def survive(study: Study, observe: Callable[[int, int], None] | None = None) -> Survival:
    """The survival duration of an island.

    What a battery is to hold at the end of the horizon is not asked of it; reserves are kept.

    Args:
        observe: told how many steps are decided, and of how many.

    Raises:
        InputError: no critical loads; prosumers without assets.
        SolverError: the solver gave up.
    """
    _require_critical(study)
    asked = _Asked(study)
    low, high, k = 0, study.horizon.steps, study.horizon.steps
    while low < high:
        first = asked.served(k)
        if first == k:
            low, k = k, (k + high + 1) // 2
        else:
            high = k - 1
            low = k = max(low, min(first, high))
            k += 1
        if observe is not None:
            observe(study.horizon.steps - (high - low), study.horizon.steps)
    missing = None if low == study.horizon.steps else asked.missing(low)
    return Survival(low, float(study.horizon.dt_h[:low].sum()), missing, asked.count)


def critical_shed(study: Study, plans: CentralResult) -> Array:
    """(K,) critical load [kW] that a plan of a variant of the study sheds."""
    total = np.zeros(plans.y.shape[2])
    for one, own in zip(study.prosumers, plans.plans, strict=True):
        for asset, plan in zip(one.assets, own, strict=True):
            if is_critical(asset):
                assert isinstance(asset, SheddableLoad)
                total += plan.p + asset.p_kw[: len(total)]
    return total


class _Asked:
    """The questions about one study."""

    def __init__(self, study: Study) -> None:
        self.study, self.count = study, 0
        loads = [load for one in study.prosumers for load in one.assets if isinstance(load, SheddableLoad)]
        self.enough_kw = SERVED * np.sum([load.p_kw for load in loads if is_critical(load)], axis=0)
        self.dt_h = study.horizon.dt_h

    def served(self, steps: int) -> int:
        """How many of the first ``steps`` steps a plan serves that tries all of them."""
        found = self._solve(variant(self.study, _cheapest_late(self.study.horizon), steps, empty=True))
        lacking = np.flatnonzero(self._lacks(found))
        return int(lacking[0]) if len(lacking) else steps

    def missing(self, step: int) -> Missing:
        """What the first step that cannot be served lacks."""
        steps = step + 1
        even = _even(self.study.horizon)
        tight = self._solve(variant(self.study, even, steps, empty=True))
        kwh = self._kwh(tight)
        endless = self._solve(variant(self.study, _endless(even), steps, empty=True))
        if not self._lacks(endless).any():
            return Missing(step, "energy", kwh)
        ideal = variant(self.study, _endless(even), steps, empty=True)
        ideal = replace(ideal, limits=_only_balance(ideal.limits), network=_only_balance(ideal.limits).network)
        if self._lacks(self._solve(ideal)).any():
            return Missing(step, "power", kwh)
        dearest = sorted(endless.rows, key=lambda row: -row.multiplier)
        where = [row.label for row in dearest if row.kind != SLACK and row.step == step]
        return Missing(step, "grid", kwh, tuple(dict.fromkeys(where)))

    def _lacks(self, found: CentralResult) -> BoolArray:
        """(K,) where critical load is shed; everywhere when no plan was found."""
        shed = critical_shed(self.study, found)
        return np.asarray((shed > self.enough_kw[: len(shed)]) | (found.status != "optimal"))

    def _kwh(self, found: CentralResult) -> float:
        shed = critical_shed(self.study, found)
        return float(shed @ self.dt_h[: len(shed)]) if found.status == "optimal" else float("nan")

    def _solve(self, study: Study) -> CentralResult:
        self.count += 1
        return solve_central(study.network, study.limits, study.prosumers, study.horizon, _QUESTION)


def _even(horizon: Horizon) -> Change:
    """Critical load costs 1 EUR/kWh, everything else next to nothing."""
    return _at(np.ones(horizon.steps))


def _cheapest_late(horizon: Horizon) -> Change:
    """Critical load costs 2 EUR/kWh in the first step, and less and less down to 1."""
    return _at(np.linspace(2.0, 1.0, horizon.steps))


def _at(price: Array) -> Change:
    def change(asset: Asset, flow: Flow) -> Flow:
        own = price[: len(flow.give_max)]
        if is_critical(asset):
            return priced(flow, own)
        sheds = isinstance(asset, SheddableLoad)
        return replace(
            priced(flow, np.full_like(own, -SMALL if sheds else SMALL)),
            take_cost=np.full_like(own, SMALL),
            q_cost=SMALL,
        )

    return change


def _endless(change: Change) -> Change:
    """The same with stores and tanks that never run empty or full."""

    def unlimited(asset: Asset, flow: Flow) -> Flow:
        return replace(change(asset, flow), store=None)

    return unlimited


def _only_balance(limits: Limits) -> Limits:
    """The limits of the slack alone."""
    network = limits.network.with_limits(v_min=1e-6, v_max=np.inf)
    return replace(
        limits,
        network=network,
        **{
            name: getattr(limits, name)[:0]
            for name in ("branch", "at_from", "as_power", "from_bus", "to_bus", "c_f", "c_t")
        },
    )


def _require_critical(study: Study) -> None:
    if not any(is_critical(asset) for one in study.prosumers for asset in getattr(one, "assets", ())):
        allowed, remedy = "at least one", "give island.shedding with a critical_share above 0"
        raise InputError(Fault("study", "no critical loads", allowed, remedy))
