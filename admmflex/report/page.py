"""The report: one HTML page that needs nothing else, from a result alone."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING

from admmflex.report import (
    charts,
    convergence,
    devices,
    homes,
    limits,
    limits_check,
    loading,
    network_map,
    payments,
    prices,
    voltage,
)
from admmflex.report.document import about, document, save, section
from admmflex.report.figures import day
from admmflex.report.verdict import numbers, verdict
from admmflex.results import Result

if TYPE_CHECKING:
    import plotly.graph_objects as go
    import xarray as xr

NAME = "report.html"
MAP = (
    "Buses in the colour of their worst voltage, lines as thick as their highest loading; "
    "black rings and red lines are beyond a limit."
)
PRICES = (
    "Value of energy on top of the tariff, by bus, nearest to the transformer at the bottom. "
    "Orange: consumption is welcome; blue: feeding in is."
)

CHECKED = "Highest voltage of the customers of each phase, by AC power flow of every scenario."
BROKEN = "By AC power flow of the scenarios that the limits come from; of new ones the table of the run bounds it."
CUSTOMERS = (
    "Every customer with PV under the strictest limit: its highest voltage, and the part of its sun it gives up."
)
DEVICES = "Energy of all devices of a kind, where coordination moves it."


def write(result: Result, folder: Path | str) -> Path:
    """Write ``report.html`` into a folder; parts whose data the result lacks are absent."""
    return save(page(result), Path(folder) / NAME)


def page(result: Result) -> str:
    """The whole page."""
    data, summary = result.dataset, result.summary
    said = limits.told(summary) if "export_limits" in summary else verdict(summary, data.sizes["time"])
    told = "".join(f"<p>{html.escape(text)}</p>" for text in said if text)
    cards = "".join(_card(*one) for one in numbers(summary))
    versions = ", ".join(f"{name} {version}" for name, version in summary.get("versions", {}).items())
    return document(
        title=str(data.attrs.get("name") or "Result"),
        about=about(data),
        status="" if result.status == "optimal" else result.status.replace("_", " "),
        opening=f'<div class="verdict">{told}</div><dl class="numbers">{cards}</dl>',
        sections=_sections(data),
        ending=_ending(str(data.attrs.get("scenario", "")), versions),
    )


def _sections(data: xr.Dataset) -> list[str]:
    """All parts of the report, in the order of reading."""
    flows = "v_pu" in data or "v_pu_baseline" in data
    both = "Highest and lowest of the day at every bus."
    money = [("", payments.changes(data)), ("", payments.curtailment(data))]
    return [
        section("limits", "How much may be exported", "", [("", limits.fan(data))]),
        section("voltages", "Voltages with and without a limit", CHECKED, [("", limits_check.voltages(data))]),
        section("broken", "How often a limit of the feeder is broken", BROKEN, [("", limits_check.broken(data))]),
        section("binding", "What binds", "", [("", limits_check.binding(data))]),
        section("customers", "Who gives way", CUSTOMERS, [("", limits_check.customers(data))]),
        section("day", "The day", "", [("", _day(data) if flows else None)]),
        section("map", "Where it is tight", MAP, network_map.maps(data)),
        section("profile", "Voltage along the lines", both, [("", voltage.profile(data))]),
        section("loading", "The fullest lines and transformers", "", [("", loading.peaks(data))]),
        section("prices", "What the grid asks", PRICES, prices.heat_maps(data)),
        section("devices", "What the devices do", DEVICES, [("", devices.energies(data))]),
        homes.section(data),
        charts.section(data),
        section("money", "Who pays", payments.told(data), money),
        section("rounds", "How the plan came about", "", [("", convergence.rounds(data))]),
        section("control", "How the day was controlled", "", [("", convergence.control(data))]),
    ]


def _day(data: xr.Dataset) -> go.Figure:
    """The day without its title: the page has one."""
    figure = day(data)
    figure.update_layout(title=None, height=720, margin={"l": 48, "r": 12, "t": 56, "b": 50})
    return figure


def _card(name: str, value: str, remark: str) -> str:
    return f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(value)}<small>{html.escape(remark)}</small></dd></div>"


def _ending(scenario: str, versions: str) -> str:
    """How to check the page: the scenario as it was read, and the versions."""
    text = f"<details><summary>The scenario</summary><pre>{html.escape(scenario)}</pre></details>" if scenario else ""
    return f"{text}<p>All numbers are in <code>result.nc</code> beside this page. {html.escape(versions)}</p>"
