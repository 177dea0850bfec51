"""Charts and prices in closed loop, against perfect foresight: ``python -m experiments.flex_charts.run five``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from admmflex.comm import SerialComm
from admmflex.coordination.charts import ChartSettings
from admmflex.coordination.schemes import Outcome, by_prices
from admmflex.data.reality import Deviations, Reality, realise
from admmflex.data.study import Study
from admmflex.prosumers.devices import Devices
from admmflex.prosumers.prosumer import Prosumer
from admmflex.studies.closed_loop import simulate
from admmflex.studies.day import Day
from admmflex.studies.hindsight import hindsight
from admmflex.studies.receding import RecedingSettings, simulate_prices
from experiments.compare import gap, study
from experiments.flex_charts.courses import Course, write

DAYS = ("five", "semiurb4", "rural3")
NONE = Deviations(load=0.0, flicker=0.0, sun=0.0, clouds=0.0)


@dataclass(frozen=True)
class Row:
    """One way of controlling a day.

    Args:
        cost_eur: tariff, wear and reactive energy of all homes.
        gap: to perfect foresight, relative to it.
        pv_kwh, charged_kwh, discharged_kwh, reactive_kvarh, losses_kwh: over the day.
        excess_pu, excess_loading: largest in the AC power flow of any control step.
        chart_ms, central_ms: per home, and per control step; median.
    """

    name: str
    cost_eur: float
    gap: float
    pv_kwh: float
    charged_kwh: float
    discharged_kwh: float
    reactive_kvarh: float
    losses_kwh: float
    excess_pu: float
    excess_loading: float
    chart_ms: float
    central_ms: float
    seconds: float


@dataclass(frozen=True)
class Case:
    """A day and what happened on it."""

    study: Study
    reality: Reality
    control_s: float

    @staticmethod
    def of(day: Study, control_s: float, deviations: Deviations | None = None, seed: int = 1) -> Case:
        devices = Devices.of([one for one in day.prosumers if isinstance(one, Prosumer)], day.horizon)
        per_step = round(3600.0 * float(day.horizon.dt_h[0]) / control_s)
        return Case(day, realise(devices, per_step, seed, deviations), control_s)

    @property
    def per_step(self) -> int:
        return self.reality.fixed_p.shape[1] // self.study.horizon.steps

    def known(self, merge: int = 1) -> Study:
        """The study with hindsight, in steps of ``merge`` control steps."""
        return hindsight(self.study, self.reality, merge=merge)


def foresight(case: Case, merge: int) -> tuple[Row, Outcome]:
    """All homes and the grid, with everything known beforehand: agreed by prices, proven by their bound."""
    started, known = time.perf_counter(), case.known(merge)
    found = by_prices(known, SerialComm(), lambda record: None)
    if found.status != "optimal":
        raise RuntimeError(f"perfect foresight is {found.status}: nothing to compare with")
    devices = Devices.of([one for one in known.prosumers if isinstance(one, Prosumer)], known.horizon)
    dt = known.horizon.dt_h
    sources, storages = found.plan.assets[:, devices.source_asset], found.plan.assets[:, devices.storage_asset]
    moved = storages[0] @ dt if len(storages[0]) else np.zeros(0)
    taken = (storages[0].clip(max=0.0) @ dt).sum()
    reactive = (np.abs(sources[1]) @ dt).sum() + (np.abs(np.nan_to_num(storages[1])) @ dt).sum()
    row = Row(
        "perfect foresight", found.plan.cost, 0.0, float((sources[0] @ dt).sum()), -float(taken),
        float(moved.sum() - taken), float(reactive), np.nan, np.nan, np.nan, np.nan, np.nan,
        time.perf_counter() - started,
    )  # fmt: skip
    return row, found


def row(name: str, day: Day, best: float, seconds: float) -> Row:
    """What a day in closed loop came to."""
    dt, homes = day.dt_h, day.powers.shape[1]
    return Row(
        name,
        float(day.cost.sum()),
        gap(float(day.cost.sum()), best),
        float(day.source[0].sum() * dt),
        -float(day.storage[0].clip(max=0.0).sum() * dt),
        float(day.storage[0].clip(min=0.0).sum() * dt),
        float((np.abs(day.source[1]).sum() + np.abs(day.storage[1]).sum()) * dt),
        float(day.loss_kw.sum() * dt),
        float(day.excess[0].max()),
        float(day.excess[1].max()),
        1e3 * float(np.median(day.seconds[0])) / homes,
        1e3 * float(np.median(day.seconds[1])),
        seconds,
    )


def charts(
    case: Case, name: str, best: float, settings: ChartSettings, forecast: Study | None = None
) -> tuple[Row, Day]:
    """The day under charts; ``forecast``: instead of the profiles."""
    started = time.perf_counter()
    chosen = replace(settings, control_h=case.control_s / 3600.0)
    day = simulate(forecast or case.study, settings=chosen, reality=case.reality)
    return row(name, day, best, time.perf_counter() - started), day


def prices(case: Case, name: str, best: float) -> tuple[Row, Day]:
    """The day under price coordination: a plan every period, every control step by itself in between."""
    started = time.perf_counter()
    settings = RecedingSettings(control_h=case.control_s / 3600.0)
    day = simulate_prices(case.study, settings=settings, reality=case.reality)
    return row(name, day, best, time.perf_counter() - started), day


def compared(case: Case, merge: int, settings: ChartSettings, *, with_prices: bool) -> tuple[list[Row], list[Course]]:
    """Every way, on what happened; charts with these settings."""
    best, found = foresight(case, merge)
    rows, courses = [best], [Course.of_plan(best.name, case.known(merge), found)]
    ways = [prices(case, "prices, forecast", best.cost_eur)] if with_prices else []
    exact = case.known(case.per_step)
    ways.append(charts(case, "charts, quarter hours known", best.cost_eur, settings, exact))
    ways.append(charts(case, "charts, forecast", best.cost_eur, settings))
    blind = replace(settings, future="none")
    ways.append(charts(case, "charts without a future", best.cost_eur, blind))
    for one, day in ways:
        rows.append(one)
        courses.append(Course.of_day(one.name, day))
    return rows, courses


def table(rows: Sequence[Row], title: str) -> Table:
    """For people."""
    shown = Table("", "EUR", "gap %", "PV kWh", "charged", "discharged", "kvarh", "excess pu", title=title)
    for one in rows:
        cells = (one.cost_eur, 100 * one.gap, one.pv_kwh, one.charged_kwh, one.discharged_kwh, one.reactive_kvarh)
        excess = "-" if np.isnan(one.excess_pu) else f"{one.excess_pu:.1e}"
        shown.add_row(one.name, *(f"{value:.2f}" for value in cells), excess)
    return shown


def main() -> None:
    """Print the tables; write them as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("day", nargs="?", choices=DAYS, default="five")
    parser.add_argument("--control", type=float, default=10.0, help="seconds of a control step")
    parser.add_argument("--merge", type=int, help="control steps that perfect foresight takes together; a minute")
    parser.add_argument("--no-prices", action="store_true", help="leave out the closed loop by prices")
    parser.add_argument("--even", type=float, default=ChartSettings.even, help="of charts, EUR/kWh per kW")
    parser.add_argument("--loss-price", type=float, default=ChartSettings.loss_price, help="of charts, EUR/kWh")
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--figure", type=Path, help="a page with both schemes on the day that differs from the forecast"
    )
    given = parser.parse_args()
    merge = given.merge or max(1, round(60.0 / given.control))
    settings = ChartSettings(even=given.even, loss_price=given.loss_price)
    day, console, found = study(f"flex_charts/{given.day}"), Console(width=100), {}
    for name, deviations in (("forecast exact", NONE), ("forecast and what happened differ", None)):
        case = Case.of(day, given.control, deviations)
        rows, courses = compared(case, merge, settings, with_prices=not given.no_prices)
        title = f"{given.day}, {given.control:g} s, {name}"
        console.print(table(rows, title))
        found[name] = [asdict(one) for one in rows]
        if given.json:
            given.json.write_text(json.dumps(found, indent=1))
    if given.figure:
        write(courses, float(day.network.v_max.max()), title, given.figure)


if __name__ == "__main__":
    main()
