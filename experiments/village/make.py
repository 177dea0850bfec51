"""Write the grid files and tables of the packaged example: Kerber's village network with SimBench's households.

python -m experiments.village.make
"""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandapower as pp
import pandapower.networks
import pandas as pd

import admmflex
import grid
from admmflex.export_limits.generate import SIZES_KW
from admmflex.export_limits.history import History, simbench_history
from experiments.export_limits.feeders import load_line, script

VILLAGE = Path(admmflex.__file__).parent / "examples" / "village"
SEED = 1
DAY = date(2016, 5, 26)  # a Thursday; of May to July the day with the most PV energy
NEAR_DAYS = 21
SLACK_PU = 1.02
ZERO_OVER_POSITIVE = 4.0  # of the lines: cables whose fourth conductor carries the return current
PV_KWP, PV_SHARE, BATTERY_SHARE = (15.0, 20.0, 25.0, 30.0), 0.8, 0.6
BATTERY_KWH = (10.0, 15.0, 20.0)
THREE_PHASE = 0.5  # of the homes; the others have one phase


def network() -> pp.pandapowerNet:
    """57 homes on cables behind a transformer of 400 kVA, the loads named after the homes."""
    random.seed(SEED)  # pandapower draws the service cables
    net = pandapower.networks.create_kerber_dorfnetz()
    net.name = "village"
    net.ext_grid["vm_pu"] = SLACK_PU
    net.load["name"] = [f"home {i}" for i in range(1, len(net.load) + 1)]
    return net


def days(history: History, at: date) -> list[int]:
    """Workdays near a day, as positions in the history."""
    middle = (at - history.start.date()).days
    near = range(middle - NEAR_DAYS, middle + NEAR_DAYS + 1)
    return [d for d in near if (history.start + timedelta(days=d)).weekday() < 5]


def homes(net: pp.pandapowerNet, rng: np.random.Generator) -> pd.DataFrame:
    """One row per home: where it stands, what it owns. The keys are those of ``prosumers.list``."""
    n = len(net.load)
    pv, stores = rng.permutation(n) < PV_SHARE * n, rng.random(n) < BATTERY_SHARE
    kwp, kwh = rng.choice(PV_KWP, n), rng.choice(BATTERY_KWH, n)
    rows = []
    for i, (name, bus) in enumerate(zip(net.load["name"], net.load["bus"], strict=True)):
        row: dict[str, Any] = {"name": name, "bus": bus, "load.p_kw": f"p{i + 1}", "load.q_kvar": f"q{i + 1}"}
        if pv[i]:
            row |= {"pv.kwp": kwp[i], "pv.profile": f"sun{i % 4 + 1}", "pv.reactive": "power_factor"}
            row |= {"pv.power_factor": 0.95, "pv.q_cost": 0.002}
        if pv[i] and stores[i]:
            row |= {
                "battery.e_max_kwh": kwh[i],
                "battery.p_charge_kw": kwh[i] / 2,
                "battery.p_discharge_kw": kwh[i] / 2,
            }
            row |= {"battery.e_start_kwh": kwh[i] / 5, "battery.wear": 0.02}
        rows.append(row)
    return pd.DataFrame(rows)


def profiles(case: grid.Case, n: int, rng: np.random.Generator) -> pd.DataFrame:
    """Of every home a measured workday near ``DAY``, of the sun ``DAY`` itself, four plants [kW per kWp]."""
    history = simbench_history(case)
    kept, near = case.profiles, days(history, DAY)
    assert kept is not None
    first = 96 * (DAY - history.start.date()).days - 4  # rows are in standard time, the scenario is not
    table = {"time": pd.date_range(f"{DAY} 00:00", periods=96, freq="15min").strftime("%Y-%m-%d %H:%M")}
    for i in range(n):
        at = (rng.integers(len(history.household)), near[rng.integers(len(near))])
        size = rng.choice(SIZES_KW)
        for letter, power in (("p", history.load_p), ("q", history.load_q)):
            table[f"{letter}{i + 1}"] = np.round(np.roll(size * power[at], 4), 3)
    plants = [str(name) for name in kept.names if str(name).startswith("PV")]
    for number, name in enumerate(plants, start=1):
        table[f"sun{number}"] = np.round(kept[name][first : first + 96], 4)
    return pd.DataFrame(table)


def meters(history: History) -> pd.DataFrame:
    """Half hours of six weeks: five households per kW of their size, and the sun, in standard time."""
    middle = (DAY - history.start.date()).days
    kept = slice(middle - NEAR_DAYS, middle + NEAR_DAYS)
    begin = history.start + timedelta(days=kept.start)
    time = pd.date_range(begin, periods=48 * 2 * NEAR_DAYS, freq="30min").strftime("%Y-%m-%d %H:%M")
    table = {"time": time, "sun": _half_hours(history.sun[kept])}
    for name, p, q in zip(history.household, history.load_p, history.load_q, strict=True):
        table |= {f"{name}_pload": _half_hours(p[kept]), f"{name}_qload": _half_hours(q[kept])}
    return pd.DataFrame(table)


def _half_hours(quarters: np.ndarray) -> np.ndarray:
    return np.round(quarters.reshape(-1, 2).mean(axis=1), 4)


def by_phase(net: pp.pandapowerNet, rng: np.random.Generator) -> str:
    """The same feeder as an OpenDSS script; which homes have one phase, and which, is drawn."""
    lines = []
    for name, bus in zip(net.load["name"], net.load["bus"], strict=True):
        three, phase = rng.random() < THREE_PHASE, rng.integers(1, 4)
        at = (f"{bus}", 3, 0.4) if three else (f"{bus}.{phase}", 1, 0.231)
        lines.append(load_line(name.replace(" ", "_"), *at))
    by = ZERO_OVER_POSITIVE
    return script(net, by * net.line.r_ohm_per_km, by * net.line.x_ohm_per_km, lines)


def main() -> None:
    """Write all five files."""
    rng, net = np.random.default_rng(SEED), network()
    case = grid.read_case("1-LV-rural3--2-sw")
    VILLAGE.mkdir(parents=True, exist_ok=True)
    pp.to_json(net, str(VILLAGE / "grid.json"))
    homes(net, rng).to_csv(VILLAGE / "homes.csv", index=False)
    profiles(case, len(net.load), rng).to_csv(VILLAGE / "profiles.csv", index=False)
    meters(simbench_history(case)).to_csv(VILLAGE / "meters.csv", index=False)
    (VILLAGE / "grid.dss").write_text(by_phase(net, rng), encoding="utf-8")


if __name__ == "__main__":
    main()
