"""What prices do to charging, comfort and bills: ``python -m experiments.homes.effects winter``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex.assets import HeatPump
from admmflex.coordination.schemes import Agreed
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.results import plain
from experiments import compare
from experiments.homes.bills import Bills, Groups, bills, distance, evening, nearness, roof
from experiments.homes.day import SEASONS, Day, by_kind, kinds, solve
from experiments.homes.promises import devices, temperatures

SHOWN = ("ev", "heat_pump", "battery")
WORDS = ("cars", "pumps", "batteries", "homes")


@dataclass(frozen=True)
class Rooms:
    """Temperatures of all heated homes at the end of all steps [degC], and the least distance from the band [K]."""

    lowest_c: float
    mean_c: float
    highest_c: float
    margin_k: float


def rooms(study: Study, plan: Agreed) -> Rooms:
    """The comfort of a plan."""
    found = [
        (temperatures(pump, p, study.horizon), pump.t_min_c, pump.t_max_c)
        for _, pump, p, _ in devices(study, plan)
        if isinstance(pump, HeatPump)
    ]
    room, low, high = (np.array(part) for part in zip(*found, strict=True))
    margin = min(float(np.min(room - low)), float(np.min(high - room)))
    mean = float(np.mean(room @ study.horizon.dt_h) / study.horizon.dt_h.sum())
    return Rooms(float(room.min()), mean, float(room.max()), margin)


def clock(study: Study) -> list[datetime]:
    """Local time of the beginning of each step."""
    seconds = study.horizon.times_utc.astype(np.int64)
    return [datetime.fromtimestamp(int(one), tz=study.horizon.start.tzinfo) for one in seconds]


def hourly(study: Study) -> tuple[list[str], Array]:
    """Hours of the day in order of time, and the means over their steps as a matrix ``(hours, K)``."""
    names = [moment.strftime("%d %H:00") for moment in clock(study)]
    hours = list(dict.fromkeys(names))
    inside = np.array([[name == hour for name in names] for hour in hours]) * study.horizon.dt_h
    return [hour[3:] for hour in hours], inside / inside.sum(axis=1, keepdims=True)


def hours_table(day: Day) -> Table:
    """Mean power taken by all cars, heat pumps, batteries and homes in every hour, before and after."""
    table = Table(
        "kW", "price\nct/kWh", *(f"{word}\n{when}" for word in WORDS for when in ("before", "after")), padding=0
    )
    names, mean = hourly(day.study)
    price = 100.0 * mean @ day.price[0].mean(axis=0)
    columns = [mean @ by_kind(day.study, plan, kind).sum(axis=0) for kind in SHOWN for plan in (day.before, day.after)]
    columns += [mean @ plan.y[0].sum(axis=0) for plan in (day.before, day.after)]
    for row, name in enumerate(names):
        table.add_row(name, f"{price[row] + 0.0:.2f}", *(f"{round(-column[row])}" for column in columns))
    return table


def bills_table(day: Day, own: Bills) -> Table:
    """Bills of a home of each group, and what each group bears."""
    table = Table(
        "EUR per home", "homes", "tariff\nbefore", "\nafter", "to the\ngrid", "share of\nthe cost", "share of\nthe rent"
    )
    everyone = Groups(("all",), ["all"] * len(day.study.prosumers))
    for groups in (roof(day.study), evening(day.study), nearness(day.study), everyone):
        for name in groups.names:
            part = np.array(groups.of) == name
            each = (own.tariff_before, own.tariff_after, own.grid)
            means = [f"{values[part].mean():.2f}" for values in each[:2]] + [f"{own.grid[part].mean():.3f}"]
            shares = [share(float(values[part].sum())) for values in (own.shares, own.grid_shares)]
            table.add_row(name, str(part.sum()), *means, *shares)
        table.add_section()
    return table


def share(part: float) -> str:
    """A share as a percentage; a dash where there is nothing to share."""
    return "-" if np.isnan(part) else f"{round(100.0 * part, 1) + 0.0:.1f} %"


def at(day: Day, hour: int) -> tuple[float, float]:
    """Power that all cars take in the quarter of an hour that begins at a full hour, before and after [kW]."""
    step = next(k for k, moment in enumerate(clock(day.study)) if (moment.hour, moment.minute) == (hour, 0))
    before, after = (-by_kind(day.study, plan, "ev")[:, step].sum() for plan in (day.before, day.after))
    return float(before), float(after)


def show(name: str, day: Day, own: Bills, console: Console) -> None:
    """Print everything of a season."""
    before, after = at(day, 22)
    console.rule(name)
    console.print(hours_table(day))
    console.print(f"cars at 22:00: {before:.0f} kW before, {after:.0f} kW after")
    for word, plan in (("before", day.before), ("after", day.after)):
        room = rooms(day.study, plan)
        console.print(
            f"rooms {word}: {room.lowest_c:.2f} to {room.highest_c:.2f} degC, mean {room.mean_c:.3f}; "
            f"margin {room.margin_k:.0e} K"
        )
    console.print(bills_table(day, own))
    console.print(f"the limits cost {own.cost:.2f} EUR; the grid collects {own.rent:.2f} EUR")


def record(name: str, day: Day, own: Bills) -> dict[str, Any]:
    """A season as it is written to JSON, with the bill of every home."""
    study = day.study
    names, mean = hourly(study)
    power = {
        word: {kind: mean @ by_kind(study, plan, kind).sum(axis=0) for kind in (*SHOWN, "pv", "load")}
        for word, plan in (("before", day.before), ("after", day.after))
    }
    columns = zip(distance(study), own.tariff_before, own.tariff_after, own.borne, own.grid, strict=True)
    keys = ("distance_ohm", "tariff_before_eur", "tariff_after_eur", "borne_eur", "grid_eur")
    homes = [
        {"home": home.name, "owns": sorted(kinds(home)), **dict(zip(keys, values, strict=True))}
        for home, values in zip(study.prosumers, columns, strict=True)
    ]
    found = {"season": name, "hours": names, "kw": power, "cars_at_22": at(day, 22)}
    comfort = {"before": asdict(rooms(study, day.before)), "after": asdict(rooms(study, day.after))}
    return {**found, "rooms": comfort, "cost_eur": own.cost, "rent_eur": own.rent, "homes": homes}


def main(arguments: Sequence[str] | None = None) -> None:
    """Solve, print and write."""
    parser = argparse.ArgumentParser(prog="python -m experiments.homes.effects", description=__doc__)
    parser.add_argument("season", nargs="*", default=SEASONS, help="names of files in experiments/homes")
    parser.add_argument("--json", type=Path, help="also write what was found to this file, home by home")
    chosen = parser.parse_args(arguments)
    console, records = Console(), []
    for name in chosen.season:
        day, _ = solve(compare.study(f"homes/{name}"))
        own = bills(day)
        show(name, day, own, console)
        records.append(record(name, day, own))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(plain(records), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
