"""Random days: a day of the year, devices, tariff and limits, drawn from one number."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
import yaml

from admmflex.data.spec import ScenarioSpec
from admmflex.horizon import Array
from admmflex.scenario import Scenario
from experiments.compare import ROOT

GRIDS = {"rural1": 100.0, "semiurb4": 40.0, "rural3": 20.0}
"""Of SimBench, without prefix; about the largest mean size of a plant [kWp] that its homes may get."""

FIRST, DAYS = date(2016, 1, 2), 363  # of the profiles' year, without its ends: profiles count in another time zone
ROUNDS = 40  # of 200 by default: what has not converged then takes minutes
PEAK_H = 19.0  # of a dynamic tariff; it is lowest at noon and may fall below zero
SPREAD_H = 2.0


def document(number: int) -> dict[str, Any]:
    """The scenario of one number, as it would stand in a file; grids take turns."""
    rng = np.random.default_rng([2016, number])
    grid = list(GRIDS)[number % len(GRIDS)]
    day = FIRST + timedelta(days=int(rng.integers(DAYS)))
    limits, slack = _limits(rng)
    return {
        "name": f"random day {number}",
        "network": {"source": f"1-LV-{grid}--2-sw", "taps": "neutral", "slack_pu": slack},
        "horizon": {"start": f"{day} 00:00", "duration": "1d", "step_minutes": 30, "timezone": "Europe/Berlin"},
        "tariff": _tariff(rng, _hours(day)),
        "limits": limits,
        "prosumers": {
            "simbench": {"by": "bus", "pv": {"use": False}, "storages": {"use": "idle"}},
            "adoption": _adoption(rng, GRIDS[grid]),
        },
        "coordination": {"method": "admm", "max_iterations": ROUNDS},
        "seed": number,
    }


def scenario(number: int) -> Scenario:
    """The same, ready to run."""
    drawn = document(number)
    path = ROOT / "reliability" / f"day-{number}.yaml"
    return Scenario(path, yaml.safe_dump(drawn), ScenarioSpec.model_validate(drawn))


def _hours(day: date) -> int:
    """Hours of a calendar day in Central Europe in 2016."""
    return {date(2016, 3, 27): 23, date(2016, 10, 30): 25}.get(day, 24)


def _tariff(rng: np.random.Generator, hours: int) -> dict[str, Any]:
    """A constant one, bands, bands that pay what they charge, or one that changes every hour."""
    kind = rng.choice(["constant", "bands", "even", "dynamic"])
    if kind == "constant":
        return {"import": float(rng.uniform(0.2, 0.4)), "export": float(rng.uniform(0.0, 0.12))}
    if kind == "dynamic":
        return _dynamic(rng, hours)
    night, day, evening = np.sort(rng.uniform(0.12, 0.45, 3)).round(3).tolist()
    export = float(rng.uniform(0.04, 0.12))

    def band(start: str, end: str, price: float) -> dict[str, Any]:
        return {"from": start, "to": end, "import": price, "export": price if kind == "even" else export}

    return {"bands": [band("06:00", "17:00", day), band("17:00", "22:00", evening), band("22:00", "06:00", night)]}


def _dynamic(rng: np.random.Generator, hours: int) -> dict[str, Any]:
    """Hourly prices with a peak in the evening and a dip at noon, 12 ct/kWh dearer to buy than to sell."""
    hour = np.arange(float(hours))
    level, peak, dip = rng.uniform(0.03, 0.1), rng.uniform(0.05, 0.2), rng.uniform(0.0, 0.2)
    sold = level + peak * _bump(hour, PEAK_H) - dip * _bump(hour, 13.0) + rng.normal(0.0, 0.01, len(hour))
    sold = np.repeat(sold, 2).round(4)
    return {"import": (sold + 0.12).round(4).tolist(), "export": sold.tolist()}


def _bump(hour: Array, at: float) -> Array:
    bump: Array = np.exp(-0.5 * ((hour - at) / SPREAD_H) ** 2)
    return bump


def _limits(rng: np.random.Generator) -> tuple[dict[str, Any], float]:
    """The usual ones or closer ones, and a voltage of the slack that leaves room on both sides."""
    band, percent = 0.05, 100.0
    if rng.random() < 0.5:
        band, percent = float(rng.uniform(0.02, 0.05)), float(rng.uniform(50.0, 100.0))
    slack = 1.0 + float(rng.uniform(-0.6, 0.6)) * band
    drawn = {"v_min": 1.0 - band, "v_max": 1.0 + band, "line_percent": percent, "transformer_percent": percent}
    return drawn | {"transformer": "current"}, slack


def _adoption(rng: np.random.Generator, largest_kwp: float) -> dict[str, Any]:
    """PV and batteries always; cars and heat pumps in half of the days."""
    kwp, kwh = float(rng.uniform(0.2, 1.0)) * largest_kwp, float(rng.uniform(5.0, 20.0))
    drawn: dict[str, Any] = {
        "pv": {
            "share": float(rng.random()), "of": "buses", "kwp": [0.5 * kwp, 1.5 * kwp],
            "reactive": str(rng.choice(["none", "box", "disc"])), "power_factor": 0.95,
            "q_cost": float(rng.choice([0.0, 0.002])),
        },
        "battery": {
            "share_of_pv": float(rng.random()), "kwh": kwh, "kw": kwh * float(rng.uniform(0.3, 0.7)),
            "eta_c": 0.95, "eta_d": 0.95, "wear": float(rng.choice([0.0, 0.02])),
            "start": float(rng.uniform(0.1, 0.9)), "end": "start",
        },
    }  # fmt: skip
    if rng.random() < 0.5:
        drawn["ev"] = {"share": float(rng.random()), "charger_kw": 11, "capacity_kwh": [40, 80]}
    if rng.random() < 0.5:
        drawn["heat_pump"] = {"share": float(rng.uniform(0.0, 0.8)), "heat_kw": [5, 10], "setback_k": 2}
    return drawn
