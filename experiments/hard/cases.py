"""Days on which price coordination is hard: grids, seasons, devices, tariffs and limits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from admmflex import scenario
from admmflex.data.spec import ScenarioSpec
from admmflex.data.study import Study
from experiments.compare import ROOT
from experiments.convergence.trials import split

BANDS = {
    "bands": [
        {"from": "06:00", "to": "17:00", "import": 0.30, "export": 0.08},
        {"from": "17:00", "to": "22:00", "import": 0.40, "export": 0.08},
        {"from": "22:00", "to": "06:00", "import": 0.22, "export": 0.08},
    ]
}
EVEN = {
    "bands": [
        {"from": "06:00", "to": "17:00", "import": 0.25, "export": 0.25},
        {"from": "17:00", "to": "22:00", "import": 0.40, "export": 0.40},
        {"from": "22:00", "to": "06:00", "import": 0.15, "export": 0.15},
    ]
}
"""Buying and selling at the same price: without wear every cost is linear."""

SPOT = (60, 52, 45, 40, 38, 45, 80, 110, 95, 40, 5, -30, -65, -80, -60, -20, 30, 90, 150, 210, 160, 110, 85, 70)
"""A spring day of a dynamic tariff with negative hours at noon [EUR/MWh], hour by hour."""

TIGHT = {"v_min": 0.97, "v_max": 1.03, "line_percent": 60, "transformer_percent": 60, "transformer": "current"}
WIDE = {"v_min": 0.95, "v_max": 1.05, "transformer": "current"}
PV = {"share": 0.8, "of": "buses", "kwp": 10, "reactive": "box", "power_factor": 0.95, "q_cost": 0.002}
BATTERY = {
    "share_of_pv": 0.5, "kwh": 10, "kw": 5, "eta_c": 0.95, "eta_d": 0.95, "wear": 0.02, "start": 0.2, "end": "start"
}  # fmt: skip
EV = {"share": 0.6, "charger_kw": 11, "capacity_kwh": [40, 80], "energy_kwh": {"mean": 12, "std": 6}}
HEAT_PUMP = {"share": 0.4, "heat_kw": [5, 10], "time_constant_h": [40, 80], "setback_k": 2}
SEASONS = {"winter": "2016-02-22 08:00", "spring": "2016-05-26 00:00", "summer": "2016-06-10 08:00"}
EVERYTHING: dict[str, Any] = {"pv": PV, "battery": BATTERY, "ev": EV, "heat_pump": HEAT_PUMP}


def spot(surcharge: float = 0.12, fee: float = 0.01) -> dict[str, Any]:
    """Prices that jump every hour; importing costs ``surcharge`` more, exporting earns ``fee`` less [EUR/kWh]."""
    quarters = [price / 1000.0 for price in SPOT for _ in range(4)]
    return {"import": [price + surcharge for price in quarters], "export": [price - fee for price in quarters]}


@dataclass(frozen=True)
class Case:
    """One grid on one day.

    Args:
        grid: of SimBench, without its prefix.
        adoption, tariff, limits: as in a scenario file.
        parts: equal prosumers instead of each one; the optimum is the same.
    """

    name: str
    grid: str
    season: str
    adoption: dict[str, Any]
    tariff: dict[str, Any] = field(default_factory=lambda: BANDS)
    limits: dict[str, Any] = field(default_factory=lambda: WIDE)
    parts: int = 1

    def document(self) -> dict[str, Any]:
        """The scenario."""
        return {
            "name": self.name,
            "network": {"source": f"1-LV-{self.grid}--2-sw", "taps": "neutral"},
            "horizon": {
                "start": SEASONS[self.season], "duration": "1d", "step_minutes": 15, "timezone": "Europe/Berlin"
            },
            "tariff": self.tariff,
            "limits": self.limits,
            "prosumers": {
                "simbench": {"by": "bus", "pv": {"use": False}, "storages": {"use": "idle"}},
                "adoption": self.adoption,
            },
            "seed": 1,
        }  # fmt: skip

    def whole(self) -> Study:
        """The study before prosumers are parted."""
        document = self.document()
        text = yaml.safe_dump(document)
        return scenario.build(scenario.Scenario(ROOT / "hard" / self.name, text, ScenarioSpec.model_validate(document)))

    def study(self) -> Study:
        """The study."""
        day = self.whole()
        return replace(day, prosumers=tuple(part for one in day.prosumers for part in split(one, self.parts)))


def changed(part: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A section of a scenario with other values."""
    return {**part, **changes}


FREE_PV, LINEAR_BATTERY = changed(PV, q_cost=0.0), changed(BATTERY, wear=0.0)
SUNNY: dict[str, Any] = {"pv": PV, "battery": BATTERY}
BIG: dict[str, Any] = {"pv": changed(PV, share=1.0, kwp=20), "battery": changed(BATTERY, kwh=15, kw=7)}
FARMS: dict[str, Any] = {"pv": changed(PV, share=1.0, kwp=50), "battery": changed(BATTERY, kwh=40, kw=20)}
CARS: dict[str, Any] = {"ev": changed(EV, share=1.0)}


def linear(adoption: dict[str, Any]) -> dict[str, Any]:
    """Batteries that do not wear."""
    return {**adoption, "battery": changed(adoption["battery"], wear=0.0)}


def free_q(adoption: dict[str, Any]) -> dict[str, Any]:
    """Reactive power that costs nothing."""
    return {**adoption, "pv": changed(adoption["pv"], q_cost=0.0)}


CASES = (
    Case("rural1-spring", "rural1", "spring", FARMS),
    Case("rural1-spot", "rural1", "summer", FARMS | CARS, tariff=spot()),
    Case("rural1-free-q", "rural1", "spring", free_q(FARMS)),
    Case("rural2-summer", "rural2", "summer", EVERYTHING),
    Case("rural2-tight", "rural2", "spring", SUNNY, limits=TIGHT),
    Case("rural3-summer", "rural3", "summer", EVERYTHING),
    Case("rural3-linear", "rural3", "spring", linear(SUNNY), tariff=EVEN),
    Case("rural3-spot", "rural3", "spring", SUNNY | {"ev": EV}, tariff=spot()),
    Case("rural3-equal", "rural3", "spring", SUNNY, parts=17),
    Case("semiurb4-spring", "semiurb4", "spring", BIG),
    Case("semiurb4-linear", "semiurb4", "summer", linear(BIG), tariff=EVEN, limits=TIGHT),
    Case("rural2-winter", "rural2", "winter", EVERYTHING | CARS),
    Case("semiurb5-summer", "semiurb5", "summer", BIG | CARS, limits=TIGHT),
    Case("semiurb5-tight", "semiurb5", "spring", SUNNY, limits=TIGHT),
    Case("urban6-spot", "urban6", "spring", BIG | CARS, tariff=spot(), limits=TIGHT),
)
