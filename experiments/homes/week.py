"""A week around the day of a season, day after day: ``python -m experiments.homes.week winter``.

Batteries and rooms begin a day as the last one left them. A car's stay that goes on beyond 08:00 is charged in
proportion to time on either side, so that the next day begins where the last one ended. Every finished day is a line of
a file; a run that was interrupted goes on after the last one.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex import scenario
from admmflex.assets import Asset, Battery, HeatPump
from admmflex.data import study as data
from admmflex.data.study import Study
from admmflex.horizon import Array
from admmflex.scenario import Scenario
from experiments import compare
from experiments.compare import ROOT, percent
from experiments.homes.day import SEASONS, solve, strain
from experiments.homes.promises import devices, kept, temperatures
from experiments.homes.run import LOADING, PROMISE, VOLTAGE

REACH = 3  # days before and after the day of the season
SPARE_K = 0.05  # below the top of its band a room stays when the windows are open

State = dict[str, float]
"""What a day leaves to the next: energy of a battery [kWh] or temperature of a room [degC], by the device's name."""


def days(source: Scenario) -> Iterator[tuple[str, Study]]:
    """The seven days of a scenario's week, each with the same homes."""
    spec = source.spec
    middle = datetime.fromisoformat(spec.horizon.start)
    for shift in range(-REACH, REACH + 1):
        start = (middle + timedelta(days=shift)).isoformat(" ", "minutes")
        horizon = spec.horizon.model_copy(update={"start": start})
        yield start, data.build(spec.model_copy(update={"horizon": horizon}), source.folder)


def begun(study: Study, state: State) -> Study:
    """The day as it begins where the last one ended; devices that ``state`` does not name begin as drawn."""
    homes = [
        replace(home, assets=tuple(_begun(asset, state, study.horizon.dt_h) for asset in home.assets))
        for home in study.prosumers
    ]
    return replace(study, prosumers=tuple(homes))


def _begun(asset: Asset, state: State, dt_h: Array) -> Asset:
    """A battery or a heat pump from its state; at the end it owes what it would have owed anyway."""
    if asset.name not in state:
        return asset
    last = state[asset.name]
    if isinstance(asset, Battery):
        start = float(np.clip(last, asset.e_min_kwh, asset.e_max_kwh))
        return replace(asset, e_start_kwh=start, e_end_min_kwh=asset.end_bound_kwh)
    assert isinstance(asset, HeatPump)
    start = float(np.clip(last, asset.t_min_c[0], asset.t_max_c[0]))
    return replace(asset, t_start_c=start, t_end_min_c=asset.end_c, gains_kw=aired(asset, start, dt_h))


def aired(pump: HeatPump, start_c: float, dt_h: Array) -> Array:
    """Gains ``(K,)`` [kW], lowered by open windows where an unheated room would leave its band at the top."""
    gains, room = pump.gains_kw.copy(), start_c
    stay = np.exp(-dt_h * pump.loss_kw_per_k / pump.capacity_kwh_per_k)
    for t, keep in enumerate(stay):
        rest = pump.outdoor_c[t] + gains[t] / pump.loss_kw_per_k
        free = keep * room + (1.0 - keep) * rest
        room = min(free, max(float(pump.t_max_c[t]) - SPARE_K, keep * room))
        gains[t] -= pump.loss_kw_per_k * (free - room) / (1.0 - keep)
    return gains


def left(study: Study, plan: Any) -> State:
    """What the plan of a day leaves to the next."""
    found: State = {}
    for _, asset, p, energy in devices(study, plan):
        if isinstance(asset, Battery):
            found[asset.name] = float(energy[-1])
        elif isinstance(asset, HeatPump):
            found[asset.name] = float(temperatures(asset, p, study.horizon)[-1])
    return found


def lived(start: str, study: Study) -> dict[str, Any]:
    """The row of a day: what it cost, whether it is optimal and within the limits, what it leaves."""
    day, seconds = solve(study)
    outcome, over = day.outcome, compare.excess(study, day.after)
    bound = outcome.lower_bound
    promises = asdict(kept(study, day.after))
    met = over[0] <= VOLTAGE and over[1] <= LOADING and max(promises.values()) <= PROMISE
    return {
        "start": start,
        "status": outcome.status,
        "good": outcome.status == "optimal" and met,
        "alone_broken_steps": strain(study, day.before).broken,
        "alone_eur": day.before.cost,
        "cost_eur": day.after.cost,
        "certified_gap": None if bound is None else compare.gap(day.after.cost, bound),
        "voltage_pu": over[0],
        "loading": over[1],
        "answers": outcome.answers,
        "fallbacks": outcome.responses.get("fallbacks", 0),
        "seconds": seconds,
        "promises": promises,
        "left": left(study, day.after),
    }


def finished(path: Path, key: str) -> list[dict[str, Any]]:
    """Rows of an earlier run; a last line that was cut off is removed from the file.

    Raises:
        SystemExit: rows of another scenario.
    """
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    if len(whole) < len(lines):
        path.write_text("".join(whole), encoding="utf-8")
    rows = [json.loads(line) for line in whole]
    if any(row["scenario"] != key for row in rows):
        raise SystemExit(
            f"{path} holds days of another state of the scenario; remove it or name another file with --out"
        )
    return rows


def week(source: Scenario, path: Path, console: Console) -> list[dict[str, Any]]:
    """All days of the week, those of an earlier run included; every new one is written as it ends."""
    key = hashlib.sha256(source.text.encode()).hexdigest()[:16]
    rows = finished(path, key)
    known = {row["start"]: row for row in rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    state: State = {}
    with path.open("a", encoding="utf-8") as file:
        for start, study in days(source):
            if start not in known:
                with console.status(start):
                    known[start] = {"scenario": key, **lived(start, begun(study, state))}
                file.write(json.dumps(known[start]) + "\n")
                file.flush()
                os.fsync(file.fileno())
            state = known[start]["left"]
    return list(known.values())


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """A row for each day."""
    shown = Table(
        "EUR", "alone", "broken", "prices", "certified", "over V", "over I", "answers", "fallbacks", "s", "", padding=0
    )
    for row in rows:
        name = datetime.fromisoformat(row["start"]).strftime("%d %b")
        alone = [f"{row['alone_eur']:.2f}", str(row["alone_broken_steps"])]
        costs = [f"{row['cost_eur']:.2f}", percent(row["certified_gap"])]
        over = [f"{row['voltage_pu']:.0e}", f"{100 * row['loading']:.3f} %"]
        ending = [
            str(row["answers"]),
            str(row["fallbacks"]),
            f"{row['seconds']:.1f}",
            "met" if row["good"] else row["status"],
        ]
        shown.add_row(name, *alone, *costs, *over, *ending)
    return shown


def main(arguments: Sequence[str] | None = None) -> None:
    """Run or continue, and print; exit code 1 when a day is not optimal, or breaks a limit or a promise."""
    parser = argparse.ArgumentParser(prog="python -m experiments.homes.week", description=__doc__)
    parser.add_argument("season", choices=SEASONS)
    parser.add_argument("--out", type=Path, help="file of the days; results/homes/week-SEASON.jsonl unless given")
    chosen = parser.parse_args(arguments)
    console = Console()
    source = scenario.load(ROOT / "homes" / f"{chosen.season}.yaml")
    rows = week(source, chosen.out or Path("results/homes") / f"week-{chosen.season}.jsonl", console)
    console.print(table(rows))
    sys.exit(0 if all(row["good"] for row in rows) else 1)


if __name__ == "__main__":
    main()
