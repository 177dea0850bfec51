"""Assets from the numbers of a scenario."""

from __future__ import annotations

from admmflex.assets import Battery, Pv
from admmflex.data.model_spec import BatteryModel, PvModel
from admmflex.horizon import Array


def pv(name: str, kwp: float, avail_kw: Array, model: PvModel) -> Pv:
    """A plant of ``kwp`` that behaves as ``model`` says."""
    return Pv(
        name=name,
        avail_kw=avail_kw,
        rating_kw=kwp,
        curtailable=model.curtailable,
        reactive=model.reactive,
        power_factor=model.power_factor,
        s_kva=model.oversize * kwp,
        q_cost=model.q_cost,
    )


def battery(name: str, kwh: float, kw: float, model: BatteryModel) -> Battery:
    """A battery of ``kwh`` and ``kw`` that behaves as ``model`` says; its fractions become energies here."""
    end = model.start if model.end == "start" else model.end
    return Battery(
        name=name,
        e_max_kwh=kwh,
        p_charge_kw=kw,
        p_discharge_kw=kw,
        e_start_kwh=model.start * kwh,
        e_min_kwh=model.floor * kwh,
        eta_c=model.eta_c,
        eta_d=model.eta_d,
        wear=model.wear,
        e_end_min_kwh=None if end is None else end * kwh,
        end_value=model.end_value,
        reactive=model.reactive,
        power_factor=model.power_factor,
        q_cost=model.q_cost,
    )
