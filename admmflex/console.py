"""Texts for a terminal of 80 columns: lists of faults and the table that ends a run."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from admmflex.measures import lines
from admmflex.summary import TITLES
from admmflex.time_left import elapsed

if TYPE_CHECKING:
    from rich.table import Table

    from admmflex.comparison import Row
    from grid.errors import InputError

WIDTH, PLACE = 80, 20
AT_ONCE = 4  # schemes in one table
SILENT = 5  # prosumers that are named


def fault_list(error: InputError, source: str) -> str:
    """All faults of an input, numbered, at most 80 columns wide."""
    count = len(error.faults)
    lines = [f"{source}: {count} fault{'s' if count != 1 else ''}"]
    for number, fault in enumerate(error.faults, 1):
        lines += _wrapped(f"{number:3d}. ", f"{fault.element}: {fault.value}")
        lines += _wrapped("     allowed: ", fault.allowed)
        lines += _wrapped("     to do:   ", fault.remedy)
    return "\n".join(lines)


def _wrapped(first: str, text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first)) or [first.rstrip()]


def summary_table(summary: Mapping[str, Any]) -> Table:
    """What the day cost, whether it met the limits and where it was tightest, before and after coordination."""
    from rich import box
    from rich.table import Table

    status = summary.get("status", "optimal")
    about = "" if status == "optimal" else f", [red]{status.replace('_', ' ')}[/]"
    plans = {TITLES.get(summary.get("method", ""), "coordinated") + about: summary}
    if "baseline" in summary:
        before = summary["baseline"] | {"objective_eur": summary.get("baseline_eur")}
        plans = {"uncoordinated": before} | plans
    table = Table(box=box.SIMPLE_HEAD, width=16 + 32 * len(plans), pad_edge=False, show_edge=False)
    table.add_column("", width=16)
    for title in plans:
        table.add_column(title, justify="right", ratio=1)
    for label, key, form in (
        ("cost of the day", "objective_eur", _euro),
        ("limits", "steps_beyond_limits", _met),
        ("highest voltage", "highest_voltage", _volt),
        ("lowest voltage", "lowest_voltage", _volt),
        ("worst loading", "worst_loading", _load),
    ):
        table.add_row(label, *(form(plan.get(key)) for plan in plans.values()))
    return table


def limits_table(summary: Mapping[str, Any]) -> Table:
    """The export limits of every robustness: how low, what they cost, what they claim."""
    from rich import box
    from rich.table import Table

    found = summary["export_limits"]
    title = f"{found['customers']} customers, {found['scenarios']} scenarios, means per scenario"
    table = Table(box=box.SIMPLE_HEAD, width=WIDTH, pad_edge=False, show_edge=False, title=title, title_justify="left")
    for name in ("holds in", "lowest limit", "PV kWh", "curtailed kWh", "worst-off", "breaks in steps", "in days"):
        table.add_column(name, justify="right")
    for one in found["limits"]:
        step, day = one["broken_per_step_at_most"], one["broken_per_day_at_most"]
        table.add_row(
            f"{one['robustness_percent']:g} %", f"{100 * one['lowest_limit']:.1f} %", f"{one['pv_kwh']:.1f}",
            f"{one['curtailed_kwh']:.1f}", f"{100 * one['worst_off']:.1f} %",
            f"{100 * step:.1f} %", "-" if day is None or math.isnan(day) else f"{100 * day:.0f} %",
        )  # fmt: skip
    confidence = found["limits"][0]["confidence"]
    table.caption = f"limits in % of the ratings; breaks of new ones at most, {100 * confidence:g} % confidence"
    table.caption_justify = "left"
    return table


def comparison_tables(rows: tuple[Row, ...]) -> list[Table]:
    """Schemes side by side; several tables when they are too many for one of 80 columns."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    found = []
    for first in range(0, len(rows), AT_ONCE):
        part = rows[first : first + AT_ONCE]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, width=min(WIDTH, 20 + 15 * len(part)))
        table.padding = (0, 0, 0, 1)
        table.add_column("", width=20, no_wrap=True)
        for row in part:
            table.add_column(escape(row.scheme), justify="right", ratio=1)
        for name, texts, bad in lines(part):
            safe = [escape(text) for text in texts]
            cells = [f"[bold red]{text}[/]" if wrong else text for text, wrong in zip(safe, bad, strict=True)]
            table.add_row(name, *cells)
        found.append(table)
    return found


def facts(summary: Mapping[str, Any]) -> list[str]:
    """Further numbers of the run, one a line; what is unknown is left out."""
    found = []
    solved = summary.get("status") != "infeasible"
    if solved and "curtailed_kwh" in summary:
        found.append(f"curtailed PV energy    {summary['curtailed_kwh']:.1f} kWh")
    for key, name, unit in (("price_p", "grid price of p", "EUR/kWh"), ("price_q", "grid price of q", "EUR/kvarh")):
        if solved and key in summary:
            found.append(f"{name:<22} {summary[key]['min']:+.4f} to {summary[key]['max']:+.4f} {unit}")
    if "answers_per_prosumer" in summary:
        found.append(f"answers per prosumer   {summary['answers_per_prosumer']}")
    found += _answered(summary)
    found += _controlled(summary.get("control"))
    found += _exchanged(summary)
    if summary.get("gap") is not None:
        gap = summary["gap"]  # below zero: the bound belongs to limits that were linearised elsewhere
        found.append(f"gap at most            {f'{100.0 * gap:.3f} %' if gap >= 0.0 else 'not known'}")
    timing = summary.get("timing", {})
    if "total_s" in timing:
        solving = f", {elapsed(timing['solve_s'])} of it solving" if "solve_s" in timing else ""
        found.append(f"time                   {elapsed(timing['total_s'])}{solving}")
    return found


def _answered(summary: Mapping[str, Any]) -> list[str]:
    """Who answered for the prosumers, and what was out of the ordinary."""
    found = []
    if summary.get("ways"):
        found.append(f"answered by            {', '.join(f'{way} {n}' for way, n in summary['ways'].items())}")
    if "coupled_homes" in summary:
        found.append(f"inverter bound p and q {summary['coupled_homes']} homes")
    if "fallbacks" in summary:
        found.append(f"answered by fallback   {summary['fallbacks']} times")
    if "burnt_kwh" in summary:
        found.append(f"burnt energy           {summary['burnt_kwh']:.1f} kWh")
    if "missed_answers" in summary:
        found.append(f"answers missing        {summary['missed_answers']}")
    for one in summary.get("silent", [])[:SILENT]:
        text = f"no answer from {one['prosumer']!r}, held to the plan told last: {one['why']}"
        found += textwrap.wrap(text, WIDTH, subsequent_indent="    ")
    if (more := len(summary.get("silent", [])) - SILENT) > 0:
        found.append(f"    and from {more} more, see summary.json")
    return found


def _exchanged(summary: Mapping[str, Any]) -> list[str]:
    """What an island serves, or whether the connection kept its limits."""
    found = []
    island = summary.get("island") or summary.get("outage")
    if island is not None:
        for name in ("normal", "critical"):
            one = island[name]
            mean = f", {one['expected_shed_kwh']:.1f} kWh expected" if "expected_shed_kwh" in one else ""
            found.append(f"{name + ' load shed':<22} {one['shed_kwh']:.1f} of {one['load_kwh']:.1f} kWh{mean}")
        share = f"{100.0 * island['residual_of_load']:.4f} % of the load"
        found.append(f"residual at the slack  {island['residual_kva']:.4f} kVA, {share}")
    about = island or summary.get("connection")
    return found + (textwrap.wrap(about["message"], WIDTH) if about is not None else [])


def _controlled(control: Mapping[str, Any] | None) -> list[str]:
    """How a horizon went that was controlled by charts."""
    if control is None:
        return []
    excess = f"{control['voltage_excess_pu']:.1e} pu, {100.0 * control['loading_excess']:.2f} %"
    found = [
        f"control steps          {control['steps']} of {control['seconds']:g} s, largest excess {excess}",
        f"charts, central step   {control['chart_ms']:.1f} ms, {control['central_ms']:.1f} ms",
    ]
    if control["unsettled"]:
        found.append(f"not settled            {control['unsettled']} central steps")
    return found


def verdict(status: str, reason: str, source: str) -> str:
    """Why a day has no plan that meets the limits, at most 80 columns wide."""
    return textwrap.fill(f"{source}: {status.replace('_', ' ')}: {reason}", WIDTH, subsequent_indent="    ")


def _euro(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f} EUR"


def _met(steps: int | None) -> str:
    if not steps:
        return "-" if steps is None else "met"
    return f"[bold red]broken in {steps} step{'s' if steps > 1 else ''}[/]"


def _volt(worst: Mapping[str, Any] | None) -> str:
    return "-" if worst is None else _marked(f"{worst['value']:.4f} pu", worst, f"bus {worst['bus']}", 1e-4)


def _load(worst: Mapping[str, Any] | None) -> str:
    return "-" if worst is None else _marked(f"{100.0 * worst['value']:.1f} %", worst, str(worst["branch"]), 1e-3)


def _marked(value: str, worst: Mapping[str, Any], place: str, tolerance: float) -> str:
    """Value, place and hour; red when beyond the limit."""
    from rich.markup import escape

    hour = datetime.fromisoformat(worst["time"]).strftime("%H:%M")
    value = f"[bold red]{value}[/]" if worst["excess"] > tolerance else value
    place = escape(place.split(" '")[0])  # the index alone tells a branch
    return f"{value}\n[dim]{place if len(place) <= PLACE else place[: PLACE - 2] + '..'} {hour}[/]"
