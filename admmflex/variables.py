"""Every variable of a result file: dimensions, unit, meaning. ``docs/results.md`` explains them at length."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Role = Literal["input", "output", "baseline", "optional"]
"""Inputs are always there; outputs unless the day is infeasible; a baseline as a whole or not at all."""


@dataclass(frozen=True)
class Variable:
    """One array of a result."""

    dims: tuple[str, ...]
    units: str
    long_name: str
    role: Role


def _of(*dims: str) -> tuple[str, ...]:
    return dims


_TIME, _BUS, _BUS_TIME, _BRANCH_TIME = _of("time"), _of("bus"), _of("bus", "time"), _of("branch", "time")
_HOME_TIME, _ASSET_TIME, _ROUND = _of("prosumer", "time"), _of("asset", "time"), _of("iteration")
_CHART = _of("chart_home", "chart_time")

VARIABLES: MappingProxyType[str, Variable] = MappingProxyType(
    {
        "dt_h": Variable(_TIME, "h", "length of the step", "input"),
        "import_price": Variable(_HOME_TIME, "EUR/kWh", "tariff for energy taken from the grid", "input"),
        "export_price": Variable(_HOME_TIME, "EUR/kWh", "tariff for energy given to the grid", "input"),
        "prosumer_bus": Variable(_of("prosumer"), "1", "pandapower index of the prosumer's bus", "input"),
        "import_limit_kw": Variable(_of("prosumer"), "kW", "most power taken through the connection", "optional"),
        "export_limit_kw": Variable(_of("prosumer"), "kW", "most power given through the connection", "optional"),
        "v_min": Variable(_BUS, "pu", "lowest voltage allowed", "input"),
        "v_max": Variable(_BUS, "pu", "highest voltage allowed", "input"),
        "bus_name": Variable(_BUS, "", "name of the bus", "optional"),
        "branch_kind": Variable(_of("branch"), "", "line or transformer", "optional"),
        "bus_x": Variable(_of("bus"), "1", "coordinate of the grid file, NaN where it has none", "optional"),
        "bus_y": Variable(_of("bus"), "1", "coordinate of the grid file, NaN where it has none", "optional"),
        "branch_from_bus": Variable(_of("branch"), "1", "first end, position along dimension bus", "optional"),
        "branch_to_bus": Variable(_of("branch"), "1", "second end, position along dimension bus", "optional"),
        "branch_length_km": Variable(_of("branch"), "km", "length of a line, NaN for other branches", "optional"),
        "loading_max": Variable(_of("branch"), "1", "highest loading allowed", "optional"),
        "p_kw": Variable(_HOME_TIME, "kW", "active power at the meter, injection positive", "output"),
        "q_kvar": Variable(_HOME_TIME, "kvar", "reactive power at the meter, injection positive", "output"),
        "asset_p_kw": Variable(_ASSET_TIME, "kW", "active power of the asset, injection positive", "output"),
        "asset_q_kvar": Variable(_ASSET_TIME, "kvar", "reactive power of the asset, injection positive", "output"),
        "energy_kwh": Variable(_ASSET_TIME, "kWh", "stored energy at the end of the step", "output"),
        "price_p": Variable(_BUS_TIME, "EUR/kWh", "grid price of active energy, on top of the tariff", "output"),
        "price_q": Variable(_BUS_TIME, "EUR/kvarh", "grid price of reactive energy", "output"),
        "v_pu": Variable(_BUS_TIME, "pu", "voltage magnitude, AC power flow", "output"),
        "loading": Variable(_BRANCH_TIME, "1", "loading relative to the rating, AC power flow", "output"),
        "grid_p_kw": Variable(_TIME, "kW", "active power taken from the upstream grid, AC power flow", "optional"),
        "grid_q_kvar": Variable(
            _TIME, "kvar", "reactive power taken from the upstream grid, AC power flow", "optional"
        ),
        "out": Variable(_TIME, "1", "1 during an announced outage of the upstream grid", "optional"),
        "lasting": Variable(_TIME, "1", "probability that the outage still lasts", "optional"),
        "grid_p_min_kw": Variable(
            _TIME, "kW", "least active power that may be taken, -inf without a limit", "optional"
        ),
        "grid_p_max_kw": Variable(_TIME, "kW", "most active power that may be taken, inf without a limit", "optional"),
        "grid_q_min_kvar": Variable(_TIME, "kvar", "least reactive power that may be taken", "optional"),
        "grid_q_max_kvar": Variable(_TIME, "kvar", "most reactive power that may be taken", "optional"),
        "chart_prosumer": Variable(_of("chart_home"), "1", "whose charts were kept, along prosumer", "optional"),
        "chart_step": Variable(_of("chart_time"), "1", "when, at the beginning of the step along time", "optional"),
        "chart_pieces": Variable(
            (*_CHART, "piece", "term"), "EUR/h", "a, b, d: the cost is the largest of a P + b Q + d", "optional"
        ),
        "chart_sides": Variable((*_CHART, "side", "term"), "kW", "a, b, h: possible is a P + b Q <= h", "optional"),
        "chart_p_kw": Variable(_CHART, "kW", "active power that the grid chose", "optional"),
        "chart_q_kvar": Variable(_CHART, "kvar", "reactive power that the grid chose", "optional"),
        "p_kw_baseline": Variable(_HOME_TIME, "kW", "active power at the meter without coordination", "baseline"),
        "q_kvar_baseline": Variable(_HOME_TIME, "kvar", "reactive power at the meter without coordination", "baseline"),
        "asset_p_kw_baseline": Variable(_ASSET_TIME, "kW", "active power of the asset, uncoordinated", "baseline"),
        "asset_q_kvar_baseline": Variable(
            _ASSET_TIME, "kvar", "reactive power of the asset, uncoordinated", "baseline"
        ),
        "energy_kwh_baseline": Variable(_ASSET_TIME, "kWh", "energy at the end of the step, uncoordinated", "baseline"),
        "v_pu_baseline": Variable(_BUS_TIME, "pu", "voltage magnitude without coordination", "baseline"),
        "loading_baseline": Variable(_BRANCH_TIME, "1", "loading without coordination", "baseline"),
    }
)

EXPORT: MappingProxyType[str, Variable] = MappingProxyType(
    {
        "xi": Variable(_of("scenario", "time"), "1", "largest export limit over the inverter's rating", "output"),
        "xi_robust": Variable(_of("robustness", "time"), "1", "limit that holds in this share of scenarios", "output"),
        "passive": Variable(_of("scenario", "time"), "1", "1 where limits are broken without any export", "output"),
        "binding": Variable(_of("scenario", "time"), "", "limit of the feeder that binds, empty without", "output"),
        "rating_kw": Variable(_of("customer"), "kW", "rating of the inverter, 0 without PV", "input"),
        "customer_bus": Variable(_of("customer"), "", "name of the customer's bus", "input"),
        "phase_v_pu": Variable(
            _of("robustness", "quantile", "phase", "time"), "pu", "highest voltage of any customer, AC", "output"
        ),
        "phase_v_pu_free": Variable(_of("quantile", "phase", "time"), "pu", "the same without a limit", "output"),
        "customer_v_pu": Variable(_of("robustness", "customer"), "pu", "highest voltage of the customer, AC", "output"),
        "customer_v_pu_free": Variable(_of("customer"), "pu", "the same without a limit", "output"),
        "broken": Variable(_of("robustness", "time"), "1", "share of the scenarios that break a limit, AC", "output"),
        "broken_free": Variable(_of("time"), "1", "the same without a limit", "output"),
        "curtailed_share": Variable(_of("robustness", "customer"), "1", "part of the PV energy not made", "output"),
        "phase_share": Variable(_of("customer", "phase"), "1", "share of the customer's power in each phase", "input"),
    }
)
"""What a result of ``method: export-limits`` holds."""

HISTORY: MappingProxyType[str, Variable] = MappingProxyType(
    {
        "primal": Variable(_ROUND, "1", "relative disagreement between prosumers and grid", "optional"),
        "dual": Variable(_ROUND, "1", "relative movement of the prices", "optional"),
        "rho": Variable(_ROUND, "EUR/(kW kWh)", "penalty", "optional"),
        "cost_eur": Variable(_ROUND, "EUR", "cost of the prosumers' plans", "optional"),
        "voltage_excess_pu": Variable(_ROUND, "pu", "worst AC voltage violation of the plans", "optional"),
        "loading_excess": Variable(_ROUND, "1", "worst AC loading violation of the plans", "optional"),
        "connection_excess": Variable(_ROUND, "1", "worst AC violation at the slack, over the load", "optional"),
        "mix_cost_eur": Variable(_ROUND, "EUR", "cost of the mixed plan", "optional"),
        "mix_voltage_excess_pu": Variable(_ROUND, "pu", "worst AC voltage violation of the mixed plan", "optional"),
        "mix_loading_excess": Variable(_ROUND, "1", "worst AC loading violation of the mixed plan", "optional"),
        "mix_slack_kw": Variable(_ROUND, "kW", "what the mixed plan lacks to meet the linearised limits", "optional"),
        "rows": Variable(_ROUND, "1", "linearised limits that the operator keeps watching", "optional"),
        "answers": Variable(_ROUND, "1", "answers that every prosumer has given so far", "optional"),
        "elapsed_s": Variable(_ROUND, "s", "time since the start", "optional"),
    }
)
"""What a record of the history usually holds; other numbers are kept as well."""

PROFILES: MappingProxyType[str, Variable] = MappingProxyType(
    {
        "load_p_kw": Variable(_ASSET_TIME, "kW", "active consumption of a load, positive; 0 for other assets", "input"),
        "load_q_kvar": Variable(_ASSET_TIME, "kvar", "reactive consumption of a load; 0 for other assets", "input"),
        "avail_kw": Variable(_ASSET_TIME, "kW", "power that the sun offers a PV plant; 0 for other assets", "input"),
    }
)
"""Profiles of assets; every other field of an asset is a parameter under the field's own name."""
