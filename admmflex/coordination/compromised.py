"""Days with devices under suspicion: these keep their last trusted plan, and the grid keeps a margin against them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import grid
from admmflex.assets.battery import Battery
from admmflex.assets.held import Held
from admmflex.comm import SerialComm
from admmflex.coordination.schemes import on_their_own
from admmflex.data.compromised import Suspects
from admmflex.data.study import Study
from admmflex.dso.margins import ComplexArray, Guard
from admmflex.errors import Fault, InputError
from admmflex.horizon import Array, Horizon
from admmflex.prosumers.prosumer import Prosumer
from admmflex.prosumers.threat import Threat, capability, own_cost


def secured(study: Study) -> Study:
    """The study in which suspects keep their last trusted plan and trusted batteries keep headroom for them.

    The last trusted plan is what the owner does at no grid price. Suspects are asked nothing more: to their home they
    are ``Held``. What they may do instead is the ``threat`` of the study that is made, against which limits get margins
    (``admmflex.dso.margins``).

    Raises:
        InputError: trusted batteries cannot cover the suspects for as long as they go unnoticed.
    """
    if study.suspects is None or study.threat is not None:
        return study
    plans = _trusted_plans(study, study.suspects)
    threat = _threat(study, study.suspects, plans)
    prosumers = list(study.prosumers)
    for (i, j), plan in zip(study.suspects.devices, plans, strict=True):
        assets = prosumers[i].assets
        held = Held(assets[j].name, *plan)
        prosumers[i] = replace(prosumers[i], assets=(*assets[:j], held, *assets[j + 1 :]))
    headroom = Headroom.against(threat, study.suspects.detection_h, study.horizon)
    note = f"under suspicion and held to their own plan: {len(plans)}; at once at most {threat.budget} misbehave"
    kept = tuple(headroom.kept(prosumers))
    return replace(study, prosumers=kept, threat=threat, notes=(*study.notes, note))


def _trusted_plans(study: Study, suspects: Suspects) -> list[Array]:
    """(2, K) powers [kW, kvar] of every suspect in what its owner does at no grid price."""
    owners = sorted({i for i, _ in suspects.devices})
    alone = replace(study, prosumers=tuple(study.prosumers[i] for i in owners))
    found = on_their_own(alone, SerialComm(), lambda record: None).plan.assets
    counts = [len(study.prosumers[i].assets) for i in owners]
    first = dict(zip(owners, np.concatenate([[0], np.cumsum(counts)[:-1]]).tolist(), strict=True))
    return [found[:2, int(first[i]) + j].copy() for i, j in suspects.devices]


def _threat(study: Study, suspects: Suspects, plans: list[Array]) -> Threat:
    owners = [study.prosumers[i] for i, _ in suspects.devices]
    assets = [study.prosumers[i].assets[j] for i, j in suspects.devices]
    able = [capability(asset, study.horizon) for asset in assets]
    return Threat(
        names=tuple(f"{owner.name}/{asset.name}" for owner, asset in zip(owners, assets, strict=True)),
        bus=study.network.positions([owner.bus for owner in owners]),
        low=np.stack([low for low, _, _ in able]),
        high=np.stack([high for _, high, _ in able]),
        s_kva=np.array([rating for _, _, rating in able]),
        plan=np.ascontiguousarray(np.stack(plans, axis=1)),
        budget=suspects.budget,
        plan_eur=sum(own_cost(one, plan[0], plan[1], study.horizon) for one, plan in zip(assets, plans, strict=True)),
    )


@dataclass(frozen=True)
class Headroom:
    """Power and energy that trusted batteries together keep free, so that they can cover what suspects do.

    A surplus of D(t) for a time T, from any step on, wants D kW of charging power and the largest integral of D over T
    as room below e_max; a shortage the same of discharging power and of energy above e_min. The batteries share both in
    proportion to their powers.

    Args:
        power_kw, energy_kwh: (surplus, shortage), at the meter.
    """

    power_kw: tuple[float, float]
    energy_kwh: tuple[float, float]

    @staticmethod
    def against(threat: Threat, detection_h: float, horizon: Horizon) -> Headroom:
        """Enough for whatever ``threat.budget`` suspects do for ``detection_h`` hours; nothing for zero hours."""
        if detection_h == 0.0:
            return Headroom((0.0, 0.0), (0.0, 0.0))
        ends = np.concatenate([[0.0], np.cumsum(horizon.dt_h)])
        both = threat.deviation_kw()
        energies = []
        for power in both:
            made = np.concatenate([[0.0], np.cumsum(power * horizon.dt_h)])
            energies.append(float((np.interp(ends + detection_h, ends, made) - made).max()))
        surplus, shortage = (float(power.max()) for power in both)
        return Headroom((surplus, shortage), (energies[0], energies[1]))

    def kept(self, prosumers: list[Any]) -> list[Any]:
        """The prosumers with batteries that keep the headroom.

        Raises:
            InputError: batteries that cannot, each named; or none at all.
        """
        if not any(self.power_kw):
            return prosumers
        owned = [(one, a) for one in prosumers if isinstance(one, Prosumer) for a in one.assets]
        batteries = [(one, asset) for one, asset in owned if isinstance(asset, Battery)]
        able = (
            sum(p_charge for _, asset in batteries if (p_charge := asset.p_charge_kw)),
            sum(asset.p_discharge_kw for _, asset in batteries),
        )
        if able[0] < self.power_kw[0] or able[1] < self.power_kw[1]:
            raise InputError(
                Fault(
                    "compromised",
                    f"suspects can add {self.power_kw[0]:.4g} and take away {self.power_kw[1]:.4g} kW",
                    f"what trusted batteries can cover: {able[0]:.4g} and {able[1]:.4g} kW",
                    "lower budget, suspect fewer batteries, or set detection_h to 0: the upstream grid then covers it",
                )
            )
        part = self.power_kw[0] / able[0] if able[0] else 0.0, self.power_kw[1] / able[1] if able[1] else 0.0
        energy = self.energy_kwh[0] / able[0] if able[0] else 0.0, self.energy_kwh[1] / able[1] if able[1] else 0.0
        faults: list[Fault] = []
        changed = {id(asset): self._reduced(one.name, asset, part, energy, faults) for one, asset in batteries}
        if faults:
            raise InputError(faults)
        return [
            replace(one, assets=tuple(changed.get(id(asset), asset) for asset in one.assets))
            if isinstance(one, Prosumer)
            else one
            for one in prosumers
        ]

    @staticmethod
    def _reduced(
        owner: str, one: Battery, part: tuple[float, float], energy: tuple[float, float], faults: list[Fault]
    ) -> Battery:
        """A battery without its share of the headroom; energies are per kW of power [h]."""
        low = one.e_min_kwh + energy[1] * one.p_discharge_kw / one.eta_d
        high = one.e_max_kwh - energy[0] * one.p_charge_kw * one.eta_c
        if not low <= one.e_start_kwh <= high or one.end_bound_kwh > high:
            faults.append(
                Fault(
                    f"battery {one.name!r} of prosumer {owner!r}",
                    f"e_start_kwh = {one.e_start_kwh:g}, at the end at least {one.end_bound_kwh:g}",
                    f"{low:.4g} to {high:.4g}: the headroom for as long as suspects go unnoticed",
                    "shorten compromised.detection_h, lower its budget, or change e_start_kwh",
                )
            )
            return one
        return replace(
            one,
            e_min_kwh=low,
            e_max_kwh=high,
            e_end_min_kwh=max(one.end_bound_kwh, low) if one.end_value is None else one.e_end_min_kwh,
            p_charge_kw=(1.0 - part[0]) * one.p_charge_kw,
            p_discharge_kw=(1.0 - part[1]) * one.p_discharge_kw,
            s_kva=one.inverter_kva,
        )


def largest_budget(study: Study, agrees: Callable[[Study], bool]) -> int | None:
    """How many suspects of a study may misbehave at once so that there still is a plan; None where not even zero.

    By bisection: a margin never shrinks with the budget.
    """
    assert study.threat is not None
    low, high = -1, study.threat.budget
    while high - low > 1:
        middle = (low + high) // 2
        if agrees(replace(study, threat=replace(study.threat, budget=middle))):
            low = middle
        else:
            high = middle
    return None if low < 0 else low


def checked(study: Study, powers: Array) -> tuple[Guard, ComplexArray]:
    """The guard of a study at the AC power flow of powers ``(2, n, K)`` at the meters, and its voltages (n_bus, K)."""
    at = study.network.positions([one.bus for one in study.prosumers])
    injection = np.zeros((2, study.network.n, study.horizon.steps))
    for total, own in zip(injection, powers, strict=True):
        np.add.at(total, at, own)
    flow = grid.power_flow(study.network, *injection)
    guard = Guard(study.limits, study.threat)
    guard.renew(grid.linearise(study.network, flow.v, *injection))
    return guard, flow.v


def margin_left(study: Study, powers: Array) -> dict[str, Any]:
    """For the summary: who is suspected, and how far every kind of limit is kept whatever they do.

    A negative number says by how much they could break a limit.
    """
    if study.threat is None:
        return {}
    guard, v = checked(study, powers)
    left: dict[str, Any] = {}
    for kind, (name, table) in enumerate(
        zip(("highest_voltage_pu", "lowest_voltage_pu", "loading"), guard.excess(v), strict=True)
    ):
        if not np.isfinite(table).any():
            continue
        row, step = np.unravel_index(int(np.nanargmax(table)), table.shape)
        where, when = study.limits.label(kind, int(row)), study.horizon.label(int(step))
        left[name] = {"left": -float(table[row, step]), "at": where, "time": when}
    one = study.threat
    about = {"devices": len(one.bus), "budget": one.budget, "plan_eur": one.plan_eur, "margin_left": left}
    return {"compromised": about}
